"""Metrics of a registration, on arrays only.

Every function measures all labels, or the whole field, in one call. Labels that are absent or
lost are NaN and counted; nothing is ever infinite in a mean.
"""

from lumirage_lib.metrics._jacobian import compute_field_measures, compute_jacobian_determinant
from lumirage_lib.metrics._overlap import (
    compute_overlap,
    compute_soft_overlap,
    find_common_labels,
)
from lumirage_lib.metrics._surface import compute_hd95, compute_hd95_table

__all__ = [
    "compute_field_measures",
    "compute_hd95",
    "compute_hd95_table",
    "compute_jacobian_determinant",
    "compute_overlap",
    "compute_soft_overlap",
    "find_common_labels",
]
