"""Overlap of label maps: Dice from counts, and its soft form without any one-hot volume."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..images.warp import check_displacement
from ._checks import check_label_pair, check_labels, to_codes, to_label_list
from ._votes import count_by_rules


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
    fixed, moving = (
        np.unique(check_labels(labels, name))
        for labels, name in ((fixed_labels, "fixed_labels"), (moving_labels, "moving_labels"))
    )
    return [int(label) for label in np.intersect1d(fixed, moving) if label != 0]


def compute_overlap(
    fixed_labels: np.ndarray, moved_labels: np.ndarray, labels: Iterable[int] | None = None
) -> pd.DataFrame:
    """Dice of every label at once.

    ``Dice = 2 |F & M| / (|F| + |M|)`` (Dice 1945), F and M the voxels of the label in the fixed
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
    maps = check_label_pair(fixed_labels, moved_labels, "moved_labels")
    values, (fixed, moved) = to_codes(*maps)
    labelled = (fixed != 0) | (moved != 0)
    f, m = fixed[labelled], moved[labelled]
    counts = np.stack([np.bincount(v, minlength=len(values)) for v in (f, m, f[f == m])])
    counts[:, 0] += fixed.size - f.size  # background in both maps: never gathered above
    if labels is None:
        labels = values[counts[:2].any(axis=0) & (values != 0)]
    return _tabulate_labels(counts, values, labels)


def compute_soft_overlap(
    fixed_labels: np.ndarray,
    moving_labels: np.ndarray,
    displacement: np.ndarray,
    labels: Iterable[int],
) -> pd.DataFrame:
    """Soft Dice between the fixed one-hot map and the linearly warped one-hot moving map.

    With w_l(x) the trilinear weight of label l at x + displacement(x), soft Dice is
    2 sum_x [fixed(x) = l] w_l(x) / (sum_x [fixed(x) = l] + sum_x w_l(x)), both sums gathered for
    all labels at once.

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
    values, codes = to_codes(fixed, check_labels(moving_labels, "moving_labels"))
    (found,) = count_by_rules([(codes[0], codes[1])], displacement, ["soft"])
    table = _tabulate_labels(found.counts["soft"], values, labels)
    return table.rename(columns={"dice": "soft_dice"})


def tabulate(counts: np.ndarray, codes: Iterable[int]) -> pd.DataFrame:
    """Dice from the rows (fixed, moved, both) of `counts`, a column for each code from 0 on.

    Returns
    -------
    DataFrame indexed by code
        n_fixed, n_moved, n_both, dice, lost as `compute_overlap` has them; a code of -1 is
        nowhere.
    """
    codes = list(codes)
    n_fixed, n_moved, n_both = np.pad(counts, ((0, 0), (0, 1)))[:, codes]
    with np.errstate(invalid="ignore"):
        dice = np.where(n_fixed > 0, 2.0 * n_both / (n_fixed + n_moved), np.nan)
    return pd.DataFrame(
        {
            "n_fixed": n_fixed.astype(np.int64),
            "n_moved": n_moved,
            "n_both": n_both,
            "dice": dice,
            "lost": (n_fixed > 0) & (n_moved == 0),
        },
        index=pd.Index(codes, name="label", dtype=np.int64),
    )


def _tabulate_labels(counts: np.ndarray, values: np.ndarray, labels: Iterable[int]) -> pd.DataFrame:
    """`tabulate`, of labels."""
    code_of = {int(value): code for code, value in enumerate(values)}
    labels = to_label_list(labels)
    table = tabulate(counts, [code_of.get(label, -1) for label in labels])
    return table.set_axis(pd.Index(labels, name="label", dtype=np.int64))
