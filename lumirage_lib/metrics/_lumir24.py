"""The evaluation of the LUMIR challenge (Learn2Reg 2024) as its code does it, quirks included.

Facts from the evaluation scripts of JHU-MedImage-Reg/LUMIR_L2R. Use it to compare with the
leaderboard, and `score_case` for everything else. What differs from there:

- background 0 is one of the labels, with a Dice near 1 and an HD95 of its own;
- HD95 is in voxels, whatever the spacing;
- a label the warp loses has Dice 0 and an infinite HD95, and the mean with it;
- the non-diffeomorphic volume is measured in the mask of the *moving* image;
- SD log J takes the determinant plus 3, so folds down to -3 count as if they were none, and
  covers the whole grid but two voxels at each end;
- the target registration error is that of the centroids of nearest-warped landmark blobs, in
  voxels, and NaN if one blob is lost;
- every aggregate has the 30 % quantile as its robustness, for errors too, where the worst
  cases are at the other end.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy

from ..images.warp import check_displacement
from ._checks import check_label_pair, check_labels, to_label_list
from ._jacobian import LOG_FLOOR, compute_field_measures, compute_jacobian_determinant
from ._landmarks import find_centroids
from ._overlap import compute_overlap
from ._surface import compute_hd95

_RANGES = (
    *((0, 0), (4, 4), (11, 11), (23, 23), (30, 32), (35, 41), (44, 45), (47, 52), (55, 62)),
    *((71, 73), (75, 76), (100, 109), (112, 125), (128, 129), (132, 157), (160, 187)),
    (190, 207),
)
# Background and the Neuromorphometrics structures of the challenge's configuration file.
LUMIR24_LABELS = tuple(label for first, last in _RANGES for label in range(first, last + 1))


def measure_lumir24(
    fixed_labels: np.ndarray,
    moving_labels: np.ndarray,
    displacement: np.ndarray,
    moving_mask: np.ndarray,
    labels: Iterable[int] = LUMIR24_LABELS,
) -> tuple[dict[str, float], pd.DataFrame]:
    """One case as the challenge scores it; see the module for what that means.

    Parameters
    ----------
    fixed_labels, moving_labels : (X, Y, Z) integer arrays
    displacement : (3, X, Y, Z) float array, voxels
    moving_mask : (X, Y, Z) array
        Above zero inside; the challenge takes the moving image itself.
    labels : iterable of int
        By default those of the challenge, background first.

    Returns
    -------
    measures : dict
        dice and hd95_voxel (means over the labels both images have; hd95_voxel is infinite if
        one of them is lost), ndv_percent, sd_log_j_plus3, n_labels, n_lost.
    table : DataFrame indexed by label, columns dice, hd95_voxel, lost
        NaN where either image lacks the label.
    """
    fixed, moving = check_label_pair(fixed_labels, moving_labels, "moving_labels")
    displacement = check_displacement(displacement, fixed.shape)
    labels = to_label_list(labels)
    moved = _warp_nearest(moving, displacement)
    table = compute_overlap(fixed, moved, labels)[["dice", "lost"]]
    table.insert(1, "hd95_voxel", compute_hd95(fixed, moved, labels, (1, 1, 1)))
    table.loc[table["lost"], "hd95_voxel"] = np.inf
    in_moving = np.isin(labels, np.unique(moving))
    table.loc[~in_moving, ["dice", "hd95_voxel"]] = np.nan
    table["lost"] &= in_moving
    measures = {
        "dice": float(np.nanmean(table["dice"])),
        "hd95_voxel": float(np.nanmean(table["hd95_voxel"])),
        **measure_lumir24_field(displacement, moving_mask),
        "n_labels": int(table["dice"].notna().sum()),
        "n_lost": int(table["lost"].sum()),
    }
    return measures, table


def measure_lumir24_field(displacement: np.ndarray, moving_mask: np.ndarray) -> dict[str, float]:
    """The challenge's two measures of the field: `ndv_percent` and `sd_log_j_plus3`."""
    determinant = compute_jacobian_determinant(displacement)[1:-1, 1:-1, 1:-1]
    log_j = np.log(np.maximum(determinant + np.float64(3), LOG_FLOOR))
    ndv_percent = compute_field_measures(displacement, moving_mask)["ndv_percent"]
    return {"ndv_percent": ndv_percent, "sd_log_j_plus3": float(log_j.std())}


def compute_lumir24_tre(
    fixed_landmarks: np.ndarray, moving_landmarks: np.ndarray, displacement: np.ndarray
) -> float:
    """Mean distance, in voxels, of landmark centroids after a nearest-neighbour warp.

    Parameters
    ----------
    fixed_landmarks, moving_landmarks : (X, Y, Z) integer arrays
        One blob of voxels for each landmark, numbered alike in both; 0 elsewhere.
    displacement : (3, X, Y, Z) float array, voxels

    Returns
    -------
    float
        NaN if the warp loses one of the landmarks of the fixed image.
    """
    fixed, moving = check_label_pair(fixed_landmarks, moving_landmarks, "moving_landmarks")
    which = np.unique(fixed)[1:]  # the smallest value is taken for the background
    moved = _warp_nearest(moving, check_displacement(displacement, fixed.shape))
    error = find_centroids(moved, which) - find_centroids(fixed, which)
    return float(np.linalg.norm(error, axis=1).mean())


def _warp_nearest(moving: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """The challenge's warp: scipy's, which gives 0 anywhere outside the voxel centres."""
    moving = check_labels(moving, "moving_labels")
    points = np.indices(displacement.shape[1:], dtype=np.float64) + displacement
    return np.asarray(scipy.ndimage.map_coordinates(moving, points, order=0))
