"""Everything about one registration that its labels and its displacement tell."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..images.warp import warp_labels
from ._checks import check_labels, to_label_list
from ._jacobian import compute_field_measures
from ._overlap import compute_overlap, find_common_labels
from ._surface import compute_hd95_table


def measure_case(
    fixed_labels: np.ndarray,
    moving_labels: np.ndarray,
    displacement: np.ndarray,
    mask: np.ndarray,
    spacing_mm: Iterable[float],
    labels: Iterable[int] | None = None,
    label_rule: str = "nearest",
) -> tuple[dict[str, float], pd.DataFrame]:
    """Overlap, surface distance and folding of one registration.

    Parameters
    ----------
    fixed_labels : (X, Y, Z) integer array
    moving_labels : integer array, on its own grid
    displacement : (3, X, Y, Z) float array
        Voxels, moved(x) = moving(x + displacement(x)).
    mask : (X, Y, Z) array
        Above zero where the field is judged, see `compute_field_measures`.
    spacing_mm : three floats
        Voxel size of the fixed grid.
    labels : iterable of int, optional
        By default `find_common_labels`: those in both images before warping, no background.
    label_rule : {"nearest", "linear"}
        See `lumirage_lib.images.warp.warp_labels`.

    Returns
    -------
    measures : dict
        dice
            Mean over the labels; a lost label counts 0. A label the fixed image lacks is out.
        hd95_mm, hd95_voxel
            Mean over the labels that are not lost: read them with `n_lost`.
        n_labels, n_lost
            Labels of the fixed image, and how many of them the warp lost.
        and all of `compute_field_measures`.
    table : DataFrame indexed by label
        The columns of `compute_overlap` and `compute_hd95_table`.
    """
    fixed = check_labels(fixed_labels, "fixed_labels")
    moving = check_labels(moving_labels, "moving_labels")
    labels = find_common_labels(fixed, moving) if labels is None else to_label_list(labels)
    moved = warp_labels(moving, displacement, label_rule)
    table = compute_overlap(fixed, moved, labels)
    table = table.join(compute_hd95_table(fixed, moved, labels, spacing_mm))
    measures = {
        **table[["dice", "hd95_mm", "hd95_voxel"]].mean().to_dict(),
        "n_labels": int(table["dice"].notna().sum()),
        "n_lost": int(table["lost"].sum()),
        **compute_field_measures(displacement, mask),
    }
    return measures, table
