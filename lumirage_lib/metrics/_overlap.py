"""Overlap of label maps: Dice from counts, and its soft form without any one-hot volume."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import pandas as pd

from ..images.warp import check_displacement
from ._checks import check_label_pair, check_labels, to_label_list

SLAB_VOXELS = 250_000  # voxels worked on at once: small enough for the cache


def find_common_labels(fixed_labels: np.ndarray, moving_labels: np.ndarray) -> list[int]:
    """Labels present in both images before warping, background 0 left out.

    This is the set over which means are taken: it is fixed before the registration is known,
    so a structure that the warp loses stays in it and counts.

    Parameters
    ----------
    fixed_labels, moving_labels : integer arrays
        Label maps; their grids may differ.

    Returns
    -------
    list of int, ascending
    """
    present = [
        np.flatnonzero(np.bincount(check_labels(labels, name).ravel()))
        for labels, name in ((fixed_labels, "fixed_labels"), (moving_labels, "moving_labels"))
    ]
    return [int(label) for label in np.intersect1d(*present) if label != 0]


def count_labels(label_map: np.ndarray, labels: Iterable[int]) -> list[int]:
    """Voxels of each label in a map."""
    found = dict(zip(*np.unique(label_map, return_counts=True), strict=True))
    return [int(found.get(label, 0)) for label in labels]


def compute_overlap(
    fixed_labels: np.ndarray, moved_labels: np.ndarray, labels: Iterable[int] | None = None
) -> pd.DataFrame:
    """Dice of every label at once.

    Dice = 2 |F & M| / (|F| + |M|) (Dice 1945), F and M the voxels of the label in the fixed
    and the moved map, all counted by `bincount` in one pass over the labelled voxels.

    Parameters
    ----------
    fixed_labels, moved_labels : (X, Y, Z) integer arrays
        Label maps on the fixed grid.
    labels : iterable of int, optional
        The labels to report, usually `find_common_labels` of the maps before warping; by
        default those of either map, background 0 left out. Ask for 0 to have it counted.

    Returns
    -------
    DataFrame indexed by label, with columns

    n_fixed, n_moved, n_both
        Voxels of the label in the fixed map, in the moved map, and in both.
    dice
        NaN where the label is absent from the fixed map: there is nothing to overlap with.
    lost
        True where the fixed map has the label and the moved map has none of it; its dice is 0.

    Raises
    ------
    InputError
        If the maps differ in shape or are not whole, non-negative numbers.
    """
    fixed, moved = check_label_pair(fixed_labels, moved_labels, "moved_labels")
    labelled = (fixed != 0) | (moved != 0)
    f, m = fixed[labelled], moved[labelled]
    size = int(max(f.max(initial=0), m.max(initial=0))) + 1
    counts = np.stack([np.bincount(values, minlength=size) for values in (f, m, f[f == m])])
    counts[:, 0] += fixed.size - f.size  # background in both maps: never gathered above
    if labels is None:
        labels = np.flatnonzero(counts[:2, 1:].any(axis=0)) + 1
    return _tabulate(counts, to_label_list(labels), "dice")


def compute_soft_overlap(
    fixed_labels: np.ndarray,
    moving_labels: np.ndarray,
    displacement: np.ndarray,
    labels: Iterable[int],
) -> pd.DataFrame:
    """Soft Dice between the fixed one-hot map and the linearly warped one-hot moving map.

    With w_l(x) the trilinear weight of label l at x + displacement(x), soft Dice is
    2 sum_x [fixed(x) = l] w_l(x) / (sum_x [fixed(x) = l] + sum_x w_l(x)). Both sums are
    gathered for all labels in eight passes, one for each corner of the interpolation cell.

    Parameters
    ----------
    fixed_labels : (X, Y, Z) integer array
    moving_labels : integer array, on its own grid
    displacement : (3, X, Y, Z) float array
        Voxels, moved(x) = moving(x + displacement(x)). Voxels outside the moving grid are
        background, as in `warp_labels(rule="linear")`, which takes the label of largest weight.
    labels : iterable of int
        The labels to report; 0 is background.

    Returns
    -------
    DataFrame indexed by label
        As `compute_overlap`, with `soft_dice` for `dice`; `n_moved` and `n_both` are sums of
        weights, in voxels.

    Raises
    ------
    InputError
        If shapes disagree, the displacement is not finite or the maps are not whole numbers.
    """
    fixed = check_labels(fixed_labels, "fixed_labels")
    displacement = check_displacement(displacement, fixed.shape)
    moving = check_labels(moving_labels, "moving_labels")
    # Background around the grid: one layer before it, and one more after it so that the far
    # corners of the last cell exist.
    moving = np.ascontiguousarray(np.pad(moving, (1, 2)))
    limits = np.array(moving.shape).reshape(3, 1, 1, 1) - 2
    strides = np.array(moving.strides) // moving.itemsize
    moving_values, near_label = moving.ravel(), _near_label(moving).ravel()

    size = int(max(fixed.max(), moving.max())) + 1
    counts = np.zeros((3, size))
    counts[0] = np.bincount(fixed.ravel(), minlength=size)
    rows = max(1, SLAB_VOXELS // fixed[0].size)
    for start in range(0, fixed.shape[0], rows):
        slab = slice(start, start + rows)
        points = np.indices(fixed[slab].shape, dtype=np.float64) + displacement[:, slab] + 1
        points[0] += start
        inside = ((points >= 0) & (points <= limits)).all(axis=0)
        points = points[:, inside]
        base = points.astype(np.intp)
        corner = strides @ base
        # Where all eight corners are background the weight of background is 1: no arithmetic.
        touching = near_label[corner]
        fraction = (points - base)[:, touching]
        corner, values = corner[touching], fixed[slab][inside][touching]
        counts[1, 0] += inside.size - corner.size
        counts[2, 0] += np.count_nonzero(fixed[slab] == 0) - np.count_nonzero(values == 0)
        for offset in product((0, 1), repeat=3):
            weight = np.prod([g if o else 1 - g for g, o in zip(fraction, offset, strict=True)], 0)
            found = moving_values[corner + strides @ offset]
            both = found == values
            counts[1] += np.bincount(found, weight, size)
            counts[2] += np.bincount(found[both], weight[both], size)
    return _tabulate(counts, to_label_list(labels), "soft_dice")


def _near_label(moving: np.ndarray) -> np.ndarray:
    """True at the lower corner of every cell that has a label at one of its eight corners."""
    near = moving != 0
    for axis in range(3):
        near = near.swapaxes(0, axis)
        near[:-1] |= near[1:]
        near = near.swapaxes(0, axis)
    return near


def _tabulate(counts: np.ndarray, labels: list[int], name: str) -> pd.DataFrame:
    """Dice from the rows (fixed, moved, both) of `counts`, one column a label."""
    inside = [label if label < counts.shape[1] else -1 for label in labels]
    n_fixed, n_moved, n_both = np.pad(counts, ((0, 0), (0, 1)))[:, inside]
    with np.errstate(invalid="ignore"):
        dice = np.where(n_fixed > 0, 2.0 * n_both / (n_fixed + n_moved), np.nan)
    return pd.DataFrame(
        {
            "n_fixed": n_fixed.astype(np.int64),
            "n_moved": n_moved,
            "n_both": n_both,
            name: dice,
            "lost": (n_fixed > 0) & (n_moved == 0),
        },
        index=pd.Index(labels, name="label", dtype=np.int64),
    )
