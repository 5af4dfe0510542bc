"""Metrics of a registration, on arrays only.

Every function measures all labels, or the whole field, in one call. Labels that are absent or
lost are NaN and counted; nothing is ever infinite in a mean, except where `measure_lumir24`
repeats a challenge whose code lets it.
"""

from ._jacobian import compute_field_measures, compute_jacobian_determinant
from ._landmarks import (
    compute_centroid_tre,
    compute_inverse_consistency,
    compute_tre,
    find_centroids,
)
from ._lumir24 import LUMIR24_LABELS, compute_lumir24_tre, measure_lumir24, measure_lumir24_field
from ._overlap import compute_overlap, compute_soft_overlap, find_common_labels
from ._similarity import compute_correlation
from ._surface import compute_hd95, compute_hd95_table
from .case import FIELD_MEASURES, RULER, RULES, STRUCTURE_MEASURES, score_case

__all__ = [
    "FIELD_MEASURES",
    "LUMIR24_LABELS",
    "RULER",
    "RULES",
    "STRUCTURE_MEASURES",
    "compute_centroid_tre",
    "compute_correlation",
    "compute_field_measures",
    "compute_hd95",
    "compute_hd95_table",
    "compute_inverse_consistency",
    "compute_jacobian_determinant",
    "compute_lumir24_tre",
    "compute_overlap",
    "compute_soft_overlap",
    "compute_tre",
    "find_centroids",
    "find_common_labels",
    "measure_lumir24",
    "measure_lumir24_field",
    "score_case",
]
