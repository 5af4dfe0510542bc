"""From tables of structures to changes of volume, and to what a study of volumes would need."""

import numpy as np
import pandas as pd
import scipy

from ...cohorts.atrophy import STRUCTURES

DIFFERENCE = 0.05  # of the volume, between the two groups of a study
ALPHA, POWER = 0.05, 0.8
LEAST_SUBJECTS = 5  # for a correlation


def name_structures(rows: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    """The rows of hippocampus and ventricle alone, either side one, with `structure`.

    Parameters
    ----------
    rows : DataFrame
        With `label`.
    names : Series
        Label -> its name in the cohort's table.
    """
    which = {
        label: structure
        for structure, (words, _) in STRUCTURES.items()
        for label, name in names.items()
        if words in str(name)
    }
    rows = rows[rows["label"].isin(list(which))]
    return rows.assign(structure=rows["label"].map(which))


def measure_changes(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Change of volume that a field says, from fixed to moving image, over the labels of each group.

    Parameters
    ----------
    rows : DataFrame
        n_fixed, j_mean and `voxels`, a voxel of the moving image over one of the fixed.
    by : list of str
        Columns that make a group; both sides of a structure are summed.

    Returns
    -------
    DataFrame
        by, change (share of the volume; NaN where the field was not measured).
    """
    after = rows["n_fixed"] * rows["j_mean"] * rows["voxels"]
    sums = rows.assign(after=after).groupby(by, sort=False)[["n_fixed", "after"]]
    total = sums.sum(min_count=1)
    return (total["after"] / total["n_fixed"] - 1).rename("change").reset_index()


def summarise_volumes(rows: pd.DataFrame) -> pd.DataFrame:
    """Error of the volume that propagated labels give, and what it costs a study.

    Parameters
    ----------
    rows : DataFrame
        condition, method, family, structure, fixed, moving, fixed_subject, n_fixed, n_moved.

    Returns
    -------
    DataFrame
        condition, method, family, structure, bias, spread (mean and standard deviation over pairs of the
        relative error), r (correlation of propagated and manual volume over pairs; NaN with fewer than
        five subjects), r_low, r_high (95 %, by Fisher's z, counting subjects), n_manual (subjects a group
        that a study needs to see a difference of 5 % by manual labels), n_needed (by propagated ones),
        n_pairs, n_subjects.

        A difference in true volume shows in the propagated one with the slope of their regression, and
        what spreads is the propagated volume: together, the number of subjects grows by 1 / r².
    """
    keys = ["condition", "method", "family", "structure"]
    pairs = rows.groupby([*keys, "fixed", "moving", "fixed_subject"], sort=False)
    sums = pairs[["n_fixed", "n_moved"]].sum().reset_index()
    out = []
    for key, mine in sums.groupby(keys, sort=False):
        error = mine["n_moved"] / mine["n_fixed"] - 1
        true = mine.drop_duplicates("fixed_subject")["n_fixed"]
        n, r = len(true), np.nan
        if n >= LEAST_SUBJECTS and mine["n_moved"].std() > 0 and true.std() > 0:
            r = float(np.corrcoef(mine["n_fixed"], mine["n_moved"])[0, 1])
        half = scipy.stats.norm.ppf(1 - ALPHA / 2) / np.sqrt(max(n - 3, 1))
        low, high = np.tanh(np.arctanh(r) + np.array([-half, half])) if abs(r) < 1 else (r, r)
        n_manual = count_subjects(float(true.std() / true.mean()))
        out.append(
            {
                **dict(zip(keys, key, strict=True)), "bias": error.mean(), "spread": error.std(),
                "r": r, "r_low": low, "r_high": high, "n_manual": n_manual,
                "n_needed": n_manual / r**2 if r > 0 else np.nan,
                "n_pairs": len(mine), "n_subjects": n,
            }
        )  # fmt: skip
    return pd.DataFrame(out)


def count_subjects(variation: float) -> float:
    """Subjects a group that see a relative difference of 5 % in four studies of five.

    Two-sided test at 5 % of two group means, normal approximation.

    Parameters
    ----------
    variation : float
        Standard deviation over subjects by the mean.

    Examples
    --------
    >>> round(count_subjects(0.1))
    63
    """
    reach = scipy.stats.norm.ppf(1 - ALPHA / 2) + scipy.stats.norm.ppf(POWER)
    return float(2 * (reach * variation / DIFFERENCE) ** 2)


def fit_doses(changes: pd.DataFrame) -> pd.DataFrame:
    """Line through measured against true change, of each subject; mean and interval over subjects.

    Parameters
    ----------
    changes : DataFrame
        structure, method, family, fixed_subject, true, change.

    Returns
    -------
    DataFrame
        structure, method, family, slope, slope_low, slope_high, intercept, intercept_low,
        intercept_high (95 %, Student's t over subjects; NaN with fewer than three), slope_sd and
        intercept_sd (standard deviation over subjects, likewise), n_subjects. A subject with fewer than
        two doses has no line and is left out.
    """
    out = []
    for key, mine in changes.dropna(subset="change").groupby(
        ["structure", "method", "family"], sort=False
    ):
        lines = [
            np.polyfit(one["true"], one["change"], 1)
            for _, one in mine.groupby("fixed_subject")
            if one["true"].nunique() > 1
        ]
        if not lines:
            continue
        row = dict(zip(("structure", "method", "family"), key, strict=True))
        for name, values in zip(("slope", "intercept"), np.transpose(lines), strict=True):
            half = spread = np.nan
            if len(values) > 2:
                spread = float(values.std(ddof=1))
                half = scipy.stats.t.ppf(1 - ALPHA / 2, len(values) - 1) * scipy.stats.sem(values)
            mean = float(values.mean())
            row |= {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}
            row[f"{name}_sd"] = spread
        out.append(row | {"n_subjects": len(lines)})
    bounds = [f"{n}{b}" for n in ("slope", "intercept") for b in ("", "_low", "_high", "_sd")]
    return pd.DataFrame(out, columns=["structure", "method", "family", *bounds, "n_subjects"])
