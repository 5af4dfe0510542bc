"""Accuracy at equal smoothness: what Dice was bought with.

Every method of a curve was run on the same pairs at several strengths of its own smoothing. A field
that bends more overlaps better, so two methods are comparable where their fields are equally rough:
at one spread of log J, or one share of folded voxels, read off each pair's own curve.
"""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ... import stats
from ...methods import family_of, name_of
from ..families import Families
from ..run import Run
from ..sentences import describe_families, make_table, show, show_interval
from .plan import CURVE

ROUGHNESS = "sd_log_j"  # the axis at which methods are compared
MEASURES = ("dice", ROUGHNESS, "nonpositive_fraction")
PAIR = ["fixed", "moving", "fixed_subject", "moving_subject"]


def find_curves(run: Run) -> pd.DataFrame:
    """Registrations of the curves, of pairs on which a method was run at every strength it should be.

    Returns
    -------
    DataFrame
        Columns method, place (0 is roughest), value (of the parameter), pair, subjects and `MEASURES`.
        Methods of which no pair is whole are left out, and pairs that not all methods have.
    """
    entries = [e for e in run.entries if e.arm == CURVE]
    rows = run.registrations
    rows = rows[rows["arm"].eq(CURVE) & rows["status"].eq("ok")]
    if rows.empty:
        return pd.DataFrame(columns=["method", "place", "value", *PAIR, *MEASURES])
    values = {(e.condition, e.dose): dict(e.task.parameters) for e in entries}
    n_places = pd.Series([m for m, _ in values]).value_counts()
    rows = rows.assign(method=rows["condition"], place=rows["dose"].astype(int))
    n_done = rows.groupby(["method", "fixed", "moving"])["place"].transform("nunique")
    rows = rows[n_done == rows["method"].map(n_places)]
    n_methods = rows.groupby(["fixed", "moving"])["method"].transform("nunique")
    rows = rows[n_methods == rows["method"].nunique()]
    said = [
        next(iter(values[m, p].values())) for m, p in zip(rows["method"], rows["dose"], strict=True)
    ]
    return rows.assign(value=said)[["method", "place", "value", *PAIR, *MEASURES]]


def read_at(
    curves: pd.DataFrame, level: float, scale: Callable[..., Any] = np.asarray
) -> pd.DataFrame:
    """Dice of every method and pair where the field's SD log J is `level`.

    Between two strengths the curve is a line over `scale` of SD log J; beyond its ends it is not known and
    the Dice is NaN.

    Returns
    -------
    DataFrame
        Columns method, pair, subjects and dice.
    """
    out = []
    for names, rows in curves.groupby(["method", *PAIR], sort=False):
        rows = rows.sort_values(ROUGHNESS)
        rough = scale(rows[ROUGHNESS])
        dice = np.interp(scale(level), rough, rows["dice"], left=np.nan, right=np.nan)
        out.append((*names, float(dice)))
    return pd.DataFrame(out, columns=["method", *PAIR, "dice"])


def choose_level(curves: pd.DataFrame) -> float:
    """The roughness, in the middle of the range that every method reaches on every pair.

    NaN if there is none: no method can then be read at another's smoothness.
    """
    ends = curves.groupby(["method", *PAIR])[ROUGHNESS].agg(["min", "max"])
    low, high = ends["min"].max(), ends["max"].min()
    return float((low + high) / 2) if low <= high else np.nan


def compare_at(dice: pd.DataFrame) -> pd.DataFrame:
    """Every two methods at one smoothness: first minus second, with its interval over subjects.

    Returns
    -------
    DataFrame
        Columns first, second, difference, low, high, n_pairs, n_subjects, n_failed.
    """
    rows = dice.assign(
        status="ok", condition="equal smoothness", family=dice["method"].map(family_of)
    )
    out = []
    for first, second in combinations(dict.fromkeys(dice["method"]), 2):
        found = stats.compute_interval(stats.match_pairs(rows, first, second))
        out.append({"first": first, "second": second, **stats.as_row(found, "difference")})
    return pd.DataFrame(out)


def tabulate_curves(curves: pd.DataFrame) -> str:
    """Mean Dice, roughness and folding at every strength."""
    means = curves.groupby(["method", "place"], sort=False)[list(MEASURES)].mean()
    values = curves.groupby(["method", "place"], sort=False)["value"].first()
    return make_table(
        {
            "method": name_of(method),
            "its smoothing": str(values[method, place]),
            "Dice": show(row["dice"]),
            "SD log J": show(row[ROUGHNESS]),
            "folded voxels": f"{100 * row['nonpositive_fraction']:.3f} %",
        }
        for (method, place), row in means.sort_index().iterrows()
    )


def say_regularity(
    curves: pd.DataFrame, declared: Mapping, n_pairs: int, families: Families
) -> str:
    """What the curves say, or why they say nothing yet."""
    if curves.empty:
        return (
            f"Not finished: {stats.count(len(declared), 'method')} at several strengths of smoothing on "
            f"{stats.count(n_pairs, 'pair')}; no pair has them all yet."
            if declared
            else "This profile asks for no other strengths of smoothing."
        )
    level = choose_level(curves)
    if np.isnan(level):
        return (
            "No roughness is reached by every method on every pair, so none can be compared at one."
        )
    dice = read_at(curves, level)
    means = _average(dice)
    n = curves[["fixed", "moving"]].drop_duplicates().shape[0]
    said = (
        f"Where every field has an SD log J of {level:.3f} (on {stats.count(n, 'pair')}), "
        f"{name_of(means.index[0])}"
    )
    if len(means) == 1:
        return f"{said} reaches Dice {show(means.iloc[0])}; no other method has a curve here."
    lead = show(means.iloc[0] - means.iloc[1])
    return f"{said} comes first, {lead} Dice ahead: {describe_families(means, families=families)}."


def _average(dice: pd.DataFrame) -> pd.Series:
    return dice.groupby("method")["dice"].mean().sort_values(ascending=False)


def say_reading(curves: pd.DataFrame, families: Families) -> str:
    """How a curve is read between two strengths, and what another way of reading it would give."""
    level = choose_level(curves)
    if np.isnan(level):
        return ""
    other = describe_families(_average(read_at(curves, level, np.log)), families=families)
    method, low, high = find_widest_gap(curves, level)
    return (
        "Between two strengths a pair's curve is read off a straight line, as it is drawn; where a curve "
        f"flattens, it lies above that line. The longest is that of {name_of(method)}, from {low:.3f} to "
        f"{high:.3f} on average. Over the logarithm of SD log J the lines would give: {other}."
    )


def find_widest_gap(curves: pd.DataFrame, level: float) -> tuple[str, float, float]:
    """The method whose strengths on either side of `level` are farthest apart, and their mean SD log J."""
    ends = {}
    for method, rough in curves.groupby(["method", "place"])[ROUGHNESS].mean().groupby("method"):
        ends[str(method)] = (rough[rough <= level].max(), rough[rough >= level].min())
    method = max(ends, key=lambda m: np.nan_to_num(ends[m][1] - ends[m][0]))
    low, high = ends[method]
    return method, float(low), float(high)


def tabulate_comparison(dice: pd.DataFrame) -> str:
    """Every two methods at one smoothness, from the table of :func:`read_at`."""
    if dice["dice"].isna().all():
        return ""
    return make_table(
        {
            "difference": f"{name_of(row.first)} − {name_of(row.second)}",
            "Dice (95 %)": show_interval(row.difference, row.low, row.high),
            "pairs": row.n_pairs,
        }
        for row in compare_at(dice).itertuples()
    )
