"""Robust summaries and drops under a change of condition."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import InputError
from ._design import count_subjects
from ._intervals import compute_interval
from ._pairs import SUBJECTS, check_pairs, is_error, match_conditions

WORST = 0.3
COUNTS = ("pairs", "subjects", "failed", "missing")


def compute_worst(values: npt.ArrayLike, *, error: bool, share: float = WORST) -> float:
    """Mean of the worst share of the values: the lowest, or the highest if `error`.

    The number of values is rounded up, so that there is always one. The LUMIR challenge took the
    lower 30 % quantile of every measure, which for a distance is its best end.

    Parameters
    ----------
    values : array-like of float
        NaN is left out; NaN is returned if nothing remains.
    error : bool
        Whether small values are good.
    """
    values = np.asarray(values, float)
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return float("nan")
    count = int(np.ceil(share * len(values) - 1e-9))
    return float((values[-count:] if error else values[:count]).mean())


def summarise(
    table: pd.DataFrame,
    measure: str = "dice",
    *,
    by: Sequence[str] = ("method",),
    error: bool | None = None,
) -> pd.DataFrame:
    """Median, quartiles and the worst 30 % over pairs, with what failed beside them.

    Parameters
    ----------
    table : DataFrame
        The pairs table.
    by : sequence of str
        Columns that make a group; with several conditions, name the condition among them.
    error : bool, optional
        Whether small values are good; known for Dice, HD95, TRE and the like.

    Returns
    -------
    DataFrame
        One row per group: the columns of `by`, n_pairs (completed), n_subjects, n_failed, failures
        ("2 timeout, 1 out_of_memory"), median, q1, q3, iqr, mean, sd (over pairs), worst30. All
        statistics are of completed pairs; NaN if none was.

    Raises
    ------
    InputError
        If a column is missing or the direction of the measure is not known.
    """
    rows = check_pairs(table, measure)
    absent = [c for c in by if c not in rows.columns]
    if absent:
        raise InputError(f"cannot group by {', '.join(absent)}: no such column")
    error = is_error(measure) if error is None else error
    out = []
    for key, group in rows.groupby(list(by), sort=False, dropna=False):
        good = group[group["value"].notna()]
        bad = group[group["value"].isna()]
        words = bad["status"].where(bad["status"] != "ok", f"no {measure}").value_counts()
        q1, median, q3 = (float(good["value"].quantile(q)) for q in (0.25, 0.5, 0.75))
        out.append(
            {
                **dict(zip(by, key, strict=True)),
                "n_pairs": len(good),
                "n_subjects": count_subjects(*(good[name].to_numpy() for name in SUBJECTS)),
                "n_failed": len(bad),
                "failures": ", ".join(f"{n} {word}" for word, n in words.items()),
                "median": median,
                "q1": q1,
                "q3": q3,
                "iqr": q3 - q1,
                "mean": float(good["value"].mean()),
                "sd": float(good["value"].std()),
                "worst30": compute_worst(good["value"], error=error),
            }
        )
    return pd.DataFrame(out)


def compute_drops(
    table: pd.DataFrame,
    methods: Sequence[str],
    *,
    reference: str,
    conditions: Sequence[str] | None = None,
    measure: str = "dice",
    error: bool | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """How much worse each method gets under each condition than under the reference.

    Parameters
    ----------
    methods : sequence of str
        Methods or families.
    conditions : sequence of str, optional
        All but the reference by default.
    level : float
        Of all intervals of one method together (Bonferroni), so that the worst may be picked.

    Returns
    -------
    DataFrame
        method, condition, drop (positive: worse), low, high, p (two-sided, unadjusted), n_pairs,
        n_subjects, n_failed, n_missing. A condition under which
        no pair was completed has a NaN drop and its failures.
    """
    error = is_error(measure) if error is None else error
    if conditions is None:
        conditions = [c for c in table["condition"].unique() if c != reference]
    if not conditions:
        raise InputError(f"no condition besides the reference {reference!r}")
    each = 1 - (1 - level) / len(conditions)
    rows = []
    for method in methods:
        for condition in conditions:
            matched = match_conditions(
                table, method, condition=condition, reference=reference, measure=measure
            )
            row: dict[str, Any] = {"method": method, "condition": condition}
            row |= dict.fromkeys(("drop", "low", "high", "p"), np.nan)
            row |= {f"n_{n}": getattr(matched, f"n_{n}") for n in COUNTS}
            if matched.n_pairs:
                found = compute_interval(matched, level=each)
                low, high = (found.low, found.high) if error else (-found.high, -found.low)
                drop = found.estimate if error else -found.estimate
                row |= {"drop": drop, "low": low, "high": high, "p": found.compute_p()}
            rows.append(row)
    return pd.DataFrame(rows)


def summarise_drops(drops: pd.DataFrame) -> pd.DataFrame:
    """Worst-case and mean drop of every method over the conditions.

    Returns
    -------
    DataFrame
        method, worst (largest mean drop), worst_condition, low, high (of that drop, simultaneous),
        mean (over conditions with a drop), n_conditions, n_pairs (least over conditions),
        n_subjects (of those pairs), n_failed (sum), n_missing (sum). A condition under which every
        registration failed is the worst, and no number says how bad: worst, low, high and mean are NaN.
    """
    rows = []
    for method, group in drops.groupby("method", sort=False):
        seen = group.dropna(subset="drop")
        worst: Mapping[str, Any] = dict(seen.loc[seen["drop"].idxmax()]) if len(seen) else {}
        mean = float(seen["drop"].mean())
        lost = group.loc[group["drop"].isna() & (group["n_failed"] > 0), "condition"]
        if len(lost):
            worst, mean = {"condition": lost.iloc[0]}, np.nan
        rows.append(
            {
                "method": method,
                "worst": worst.get("drop", np.nan),
                "worst_condition": worst.get("condition"),
                "low": worst.get("low", np.nan),
                "high": worst.get("high", np.nan),
                "mean": mean,
                "n_conditions": len(seen),
                "n_pairs": int(group["n_pairs"].min()),
                "n_subjects": int(group.loc[group["n_pairs"].idxmin(), "n_subjects"]),
                "n_failed": int(group["n_failed"].sum()),
                "n_missing": int(group["n_missing"].sum()),
            }
        )
    return pd.DataFrame(rows)
