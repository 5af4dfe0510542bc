"""Notebook 06: the same registrations under many rulers: does the ruler choose the winner?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...methods import get_method, name_of, order_of
from ...methods.display import split_method
from ...stats import count
from ..completeness import find_complete
from ..contrasts.plan import REAL
from ..experiment import Result
from ..families import Families, choose_families
from ..opening import Opening
from ..run import Run
from ..sentences import (
    list_points,
    make_table,
    name_some,
    say_sides,
    show,
    write_design,
    write_designs,
)
from .drawn import RULER, STEP, compare_rulers, say_drawn, say_turned, tabulate_rulers
from .plan import CURVE
from .regularity import (
    choose_level,
    find_curves,
    read_at,
    say_reading,
    say_regularity,
    tabulate_comparison,
    tabulate_curves,
)

WORST = 0.3  # share of pairs that count as the worst, as in the challenge


@dataclass(frozen=True)
class Ruler:
    """One way to turn the structures of a run into one number per method.

    Attributes
    ----------
    name : str
    factor : str
        Which decision it varies.
    rows : str
        Query on the structures table.
    column : str
    better : {"high", "low"}
    per_pair : callable
        Values of one pair's structures (a DataFrame with `column` and `n_fixed`) -> one value.
    over_pairs : callable
        One value per pair -> one number.
    """

    name: str
    factor: str
    rows: str
    column: str = "dice"
    better: str = "high"
    per_pair: Callable[[pd.DataFrame, str], float] = lambda rows, column: rows[column].mean()
    over_pairs: Callable[[pd.Series], float] = pd.Series.mean


def _volume_weighted(rows: pd.DataFrame, column: str) -> float:
    known = rows.dropna(subset=[column])
    return float(np.average(known[column], weights=known["n_fixed"]))


def mean_of_worst(values: pd.Series, better: str, share: float = WORST) -> float:
    """Mean over the worst `share` of pairs: the lowest where high is good, else the highest."""
    ordered = values.dropna().sort_values(ascending=better == "high")
    return float(ordered.head(max(1, round(share * len(ordered)))).mean())


MANUAL = "label_set == 'manual' and rule == '{}' and label > 0"
NEAREST, LINEAR, SOFT = (MANUAL.format(rule) for rule in ("nearest", "linear", "soft"))
WITH_BACKGROUND = "label_set == 'manual' and rule == 'nearest'"
TISSUES = "label_set == 'tissues' and rule == 'nearest' and label > 0"

RULERS = (
    Ruler("default", "reference", NEAREST),
    Ruler("cortical labels", "label set", NEAREST + " and group == 'cortical'"),
    Ruler("subcortical labels", "label set", NEAREST + " and group == 'subcortical'"),
    Ruler("three tissues", "label set", TISSUES),
    Ruler("whole brain", "label set", "label_set == 'brain'"),
    Ruler("labels warped linearly", "label rule", LINEAR),
    Ruler("soft Dice", "label rule", SOFT),
    Ruler("background averaged in", "background", WITH_BACKGROUND),
    Ruler("weighted by volume", "average", NEAREST, per_pair=_volume_weighted),
    Ruler("worst 30 % of pairs", "average", NEAREST, over_pairs=lambda v: mean_of_worst(v, "high")),
    Ruler("HD95, mm", "distance", NEAREST, "hd95_mm", "low"),
    Ruler("HD95, voxels", "distance", NEAREST, "hd95_voxel", "low"),
    Ruler("HD95 tissues, mm", "distance", TISSUES, "hd95_mm", "low"),
    Ruler(
        "HD95 worst 30 %, mm",
        "distance",
        NEAREST,
        "hd95_mm",
        "low",
        over_pairs=lambda v: mean_of_worst(v, "low"),
    ),
)
POOLED = Ruler("pooled over structures and pairs", "average", NEAREST)
NOTHING = Opening("No method was run on every pair yet, so none is ranked.", ())


def measure(structures: pd.DataFrame, ruler: Ruler) -> pd.Series:
    """One number per method under a ruler; NaN where nothing could be measured."""
    rows = structures.query(ruler.rows)
    if rows.empty:
        return pd.Series(dtype=float)
    if ruler is POOLED:
        return rows.groupby("method")[ruler.column].mean()
    pairs = (
        rows.groupby(["method", "fixed", "moving"])[[ruler.column, "n_fixed"]]
        .apply(lambda r: ruler.per_pair(r, ruler.column))
        .rename("value")
    )
    return pairs.groupby("method").agg(ruler.over_pairs)


def analyse(run: Run, parameters: Mapping) -> Result:
    """Every ruler on the methods that were run on all pairs, failures left out of no mean in silence."""
    rows = run.registrations
    between = rows[rows["kind"].eq("between") & ~rows["arm"].isin([CURVE, *REAL])]
    methods = find_complete(between[between["status"] == "ok"])
    names = run.tasks[0].get_cohort().label_sets["manual"]["group"]
    structures = run.structures[run.structures["key"].isin(between["key"])]
    structures = structures.query("method in @methods")
    structures = structures.assign(group=structures["label"].map(names))
    rulers = [*RULERS, POOLED]
    measured = {r.name: measure(structures, r) for r in rulers if methods}
    values = pd.DataFrame(measured, methods, [r.name for r in rulers], float)
    if methods:  # distances in voxels of 1 mm are those in mm, and no second ruler
        values = values.loc[:, ~values.T.duplicated()].dropna(axis=1, how="all")
        rulers = [r for r in rulers if r.name in values]
    ranks = _rank(values, rulers)
    winners = _find_winners(ranks) if methods else {}
    families = _find_families(run)
    curves = find_curves(run)
    curve_text = say_regularity(curves, parameters["curves"], parameters["n_curve_pairs"], families)
    begun = compare_rulers(run, parameters["margin"])
    drawn = begun[begun["word"] != ""]  # the first pairs of a run are no result
    return Result(
        opening=_open(
            winners,
            ranks,
            values,
            say_turned(drawn),
            curve_text if len(curves) else "",
            _say_stranger(run, rulers, values, families, winners["default"]),
        )
        if methods
        else NOTHING,
        design=f"{write_design(between)}, {len(methods)} methods.",
        values=values,
        ranks=ranks,
        changes=_tabulate_winners(rulers, values, ranks, winners) if methods else "",
        spread=_say_spread(ranks),
        curves=curves,
        level=choose_level(curves),
        curve_design=write_design(curves) + ".",
        curve_text=curve_text,
        sides_text=say_sides({"": families}) if len(curves) else "",
        curve_reading=say_reading(curves, families),
        curve_table=tabulate_curves(curves),
        equal_table=tabulate_comparison(read_at(curves, choose_level(curves))),
        drawn=drawn,
        drawn_text=say_drawn(begun, parameters["drawn"]),
        drawn_table=tabulate_rulers(drawn, RULER),
        steps_table=tabulate_rulers(drawn, STEP),
        drawn_design=write_designs(rows[rows["arm"].isin(drawn["arm"])]),
        limits=list_points(_list_limits(run, between, methods)),
    )


def _rank(values: pd.DataFrame, rulers: Sequence[Ruler]) -> pd.DataFrame:
    """The place of every method under every ruler."""
    return pd.DataFrame(
        {r.name: values[r.name].rank(method="min", ascending=r.better == "low") for r in rulers}
    )


def _find_families(run: Run) -> Families:
    """Who is compared on the pairs that are ranked."""
    ranked = [e for e in run.entries if e.arm not in (CURVE, *REAL)]
    return choose_families(ranked[0].arm, dict.fromkeys(e.task.method for e in ranked))


def _say_stranger(
    run: Run, rulers: Sequence[Ruler], values: pd.DataFrame, families: Families, first: str
) -> str:
    """Of a first that is in neither family: what it learned from, and who is first among the families."""
    members = [m for m in families.methods if m in values.index]
    if first in families.methods or not members:
        return ""
    training = get_method(split_method(first)[0]).training
    own = training is not None and run.tasks[0].cohort in training.unseen
    learned = (
        ": it was trained here, on the training group of the very cohort that is tested, prepared alike"
        if own
        else ""
    )
    ranks = _rank(values.loc[members], rulers)
    best = _find_winners(ranks)["default"]
    return (
        f"It is in no declared family{learned}. Among the families, {name_of(best)} is first "
        f"{_count_firsts(ranks, best)}. "
    )


def _find_winners(ranks: pd.DataFrame) -> dict[str, str]:
    """Ruler -> who comes first; a tie for the first place does not change the winner."""
    first = str(ranks["default"].idxmin())
    return {str(n): first if ranks.loc[first, n] == 1 else str(ranks[n].idxmin()) for n in ranks}


def _count_firsts(ranks: pd.DataFrame, method: str) -> str:
    """ "under 14 of 15 rulers, tied under 1"."""
    first, shared = ranks.loc[method] == 1, (ranks == 1).sum() > 1
    ties = f", tied under {(first & shared).sum()}" if (first & shared).any() else ""
    return f"under {(first & ~shared).sum()} of {ranks.shape[1]} rulers{ties}"


def _open(
    winners: Mapping[str, str],
    ranks: pd.DataFrame,
    values: pd.DataFrame,
    turned: str,
    smooth: str,
    stranger: str,
) -> Opening:
    reference, n = winners["default"], len(winners)
    changed = [name for name, winner in winners.items() if winner != reference]
    firsts = _count_firsts(ranks, reference)
    headline = (
        f"Sometimes: under {len(changed)} of {n} ways to score, another method comes first."
        if changed
        else f"Not for the first place: one method leads {firsts}."
    )
    spans = ranks.max(axis=1) - ranks.min(axis=1)
    lead = values["default"].sort_values(ascending=False)
    gap = lead.iloc[0] - lead.iloc[1] if len(lead) > 1 else np.nan
    least = show(_find_least_lead(values), 4)
    closer = "" if show(gap, 4) in (least, show(np.nan)) else f", by another only {least}"
    kinds = dict.fromkeys(r.factor for r in [*RULERS, POOLED] if r.name in changed)
    return Opening(
        headline,
        (
            f"**What.** {name_of(reference)} is first {firsts}. {stranger}"
            f"One method changes its place by up to {spans.max():.0f}.",
            *([f"**At equal smoothness.** {smooth}"] if smooth else []),
            f"**How sure.** By the usual ruler the first is {show(gap, 4)} Dice ahead of the second{closer}. "
            "Ranks hide how close that is; chapter 08 has an interval for every difference.",
            "**What it depends on.** "
            + (
                f"The {', '.join(kinds)} of the ruler."
                if kinds
                else "No ruler puts another first alone."
            )
            + f" {turned}".rstrip(),
        ),
    )


def _find_least_lead(values: pd.DataFrame) -> float:
    """By how little the first is ahead of the second, under the ruler in Dice where that is least."""
    rulers = [r.name for r in [*RULERS, POOLED] if r.column == "dice" and r.name in values]
    return min(float(np.ptp(values[name].nlargest(2))) for name in rulers)


def _tabulate_winners(
    rulers: Sequence[Ruler],
    values: pd.DataFrame,
    ranks: pd.DataFrame,
    winners: Mapping[str, str],
) -> str:
    rows, ties = [], (ranks == 1).sum() - 1
    for ruler in rulers:
        column = values[ruler.name].sort_values(ascending=ruler.better == "low")
        lead = abs(column.iloc[0] - column.iloc[1]) if len(column) > 1 else np.nan
        rows.append(
            {
                "ruler": ruler.name,
                "first": name_of(winners[ruler.name])
                + (f", tied with {count(ties[ruler.name], 'other')}" if ties[ruler.name] else ""),
                "its value": show(column.iloc[0], 4),
                "ahead of the second by": show(lead, 4),
                "varies": ruler.factor,
            }
        )
    return make_table(rows)


def _say_spread(ranks: pd.DataFrame) -> str:
    spans = (ranks.max(axis=1) - ranks.min(axis=1)).sort_values(ascending=False)
    return make_table(
        {
            "method": name_of(m),
            "best place": f"{ranks.loc[m].min():.0f}",
            "worst place": f"{ranks.loc[m].max():.0f}",
        }
        for m in spans.index
    )


def _list_limits(run: Run, between: pd.DataFrame, methods: list[str]) -> list[str]:
    lines = []
    ranked = {e.task.method for e in run.entries if e.arm not in (CURVE, *REAL)}
    if left_out := order_of(ranked - set(methods)):
        lines.append(f"Not completed on every pair, so not ranked: {name_some(left_out)}.")
    if (between["spacing_mm"].dropna() - 1).abs().lt(1e-6).any():
        lines.append(
            "The voxels are 1 mm cubes, so HD95 in voxels and in millimetres are the same number here and "
            "one ruler; on the live page with other voxels they are two."
        )
    return [
        *lines,
        "A rank hides how close two methods are: read it with the lead in the table, and the lead with "
        "the intervals of chapter 08, which are corrected for all comparisons.",
    ]
