"""Notebook 01: are networks as accurate as iterative methods on the images they were trained on?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ... import stats
from ...cohorts.local import LAYOUTS
from ...errors import StoreError
from ...methods import name_of, order_of
from ...runs import store as results
from ..run import Run

CLAIM = "T1w: deep and iterative methods are equally accurate"


@dataclass(frozen=True)
class Result:
    """Sentences, tables and figure data of the page; every number in them is computed."""

    answer: str
    design: str
    summary_text: str
    summary_table: str
    comparison_text: str
    differences: pd.DataFrame | None
    best: tuple[str, str] | None
    best_names: str
    structure_text: str
    cost_text: str
    limits: str
    pairs: pd.DataFrame
    structures: pd.DataFrame
    verdict: stats.Verdict | None


@dataclass(frozen=True)
class Panel:
    """Packed slices and Dice by method, of one pair."""

    pair: str
    slices: dict[str, bytes]
    dice: dict[str, float]


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    margin, seed = parameters["margin"], parameters["seed"]
    first = _first_label_set(run)
    structures = run.structures.query(f"label_set == {first!r} and rule == 'nearest' and label > 0")
    hd95 = structures.groupby("key")["hd95_mm"].mean()  # lost labels are NaN, counted in n_lost
    table = run.registrations.join(hd95, on="key")
    between = table[table["kind"] == "between"]
    everywhere = _methods_on_all_pairs(between)
    deep, iterative = (
        [m for m in everywhere if _family(between, m) == family] for family in ("deep", "iterative")
    )
    rows, verdict = [], None
    if deep and iterative:
        rows = [_compare(between, d, i, margin, seed) for d in deep for i in iterative]
        verdict = _decide(between, deep, iterative, margin, seed)
    best = tuple(_best(between, group) for group in (deep, iterative)) if rows else None
    differences = _by_structure(structures, run, best) if best else None
    return Result(
        answer=_answer(between, verdict, rows, best, margin),
        design=_design(between),
        summary_text=_summary_text(between),
        summary_table=_summary_table(table),
        comparison_text=_comparison_text(rows, verdict, margin, run),
        differences=differences,
        best=best,
        best_names=f"{name_of(best[0])} minus {name_of(best[1])}" if best else "",
        structure_text=_structure_text(differences, best),
        cost_text=_cost_text(between),
        limits=_limits(run, table),
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        structures=structures.drop(columns=["label_set", "rule"]),
        verdict=verdict,
    )


def panel(run: Run, number: int = 0) -> Panel:
    """Slices of the pair that most methods have them for.

    Raises
    ------
    StoreError
        No registration of this run kept slices.
    """
    found: dict[str, dict] = {}
    for row in run.registrations.query("status == 'ok'").itertuples():
        blob = results.read_slices(run.store, row.key)
        if blob is not None:
            found.setdefault(f"{row.moving} → {row.fixed}", {})[row.method] = (blob, row.dice)
    if not found:
        raise StoreError("no display slices in the store; run with n_panels of at least 1")
    pair = sorted(found, key=lambda p: -len(found[p]))[number]
    return Panel(
        pair,
        {m: blob for m, (blob, _) in found[pair].items()},
        {m: dice for m, (_, dice) in found[pair].items()},
    )


def _first_label_set(run: Run) -> str:
    """The labels that mean Dice is of."""
    return next(iter(run.tasks[0].get_cohort().label_sets))


def _family(table: pd.DataFrame, method: str) -> str:
    return table.loc[table["method"] == method, "family"].iloc[0]


def _methods_on_all_pairs(table: pd.DataFrame) -> list[str]:
    counts = table["method"].value_counts()
    return order_of(counts.index[counts == counts.max()])


def _best(table: pd.DataFrame, methods: list[str]) -> str:
    return table[table["method"].isin(methods)].groupby("method")["dice"].mean().idxmax()


def _design(table: pd.DataFrame) -> str:
    pairs = len(table[["fixed", "moving"]].drop_duplicates())
    subjects = len({*table["fixed_subject"], *table["moving_subject"]})
    return f"{pairs} ordered pairs of {subjects} subjects."


def _compare(table, first: str, second: str, margin: float, seed) -> dict:
    matched = stats.match_pairs(table, first, second)
    effects = stats.compute_effect_sizes(matched)
    equal = stats.tost(matched, margin)
    return {"first": first, "second": second, "effects": effects, "equal": equal}


def _decide(table, deep: list[str], iterative: list[str], margin: float, seed) -> stats.Verdict:
    claim = stats.Claim(
        "in-distribution",
        CLAIM,
        "equal",
        tuple(deep),
        tuple(iterative),
        margin=margin,
        where="on T1w brains",
    )
    return stats.decide(claim, table)


def _answer(table: pd.DataFrame, verdict, rows: list[dict], best, margin: float) -> str:
    if verdict is None:
        ranking = _summary_text(table)
        return f"**Answer.** No network could run here, so the question stays open. {ranking}"
    (row,) = [r for r in rows if (r["first"], r["second"]) == best]
    inside = row["equal"].interval
    return (
        f"**Answer.** {verdict.sentence} Best against best, {name_of(best[0])} minus "
        f"{name_of(best[1])}: {inside.estimate:+.4f} (90 % interval {inside.low:+.4f} to "
        f"{inside.high:+.4f}), {'within' if row['equal'].equivalent else 'not within'} ±{margin:g}."
    )


def _summary_text(table: pd.DataFrame) -> str:
    means = table.query("status == 'ok'").groupby("method")["dice"].mean().sort_values()[::-1]
    return "Mean Dice: " + ", ".join(f"{name_of(m)} {v:.3f}" for m, v in means.items()) + "."


def _summary_table(table: pd.DataFrame) -> str:
    lines = [
        "| method | family | pairs | failed | mean Dice | SD over pairs | HD95 mm | folding % "
        "| lost labels | rescan Dice |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method in order_of(table["method"]):
        rows = table[table["method"] == method]
        pairs, rescan = rows[rows["kind"] == "between"], rows[rows["kind"] == "rescan"]
        lines.append(
            f"| {name_of(method)} | {rows['family'].iloc[0]} | {len(pairs)} "
            f"| {int((pairs['status'] != 'ok').sum())} | {pairs['dice'].mean():.3f} "
            f"| {pairs['dice'].std():.3f} | {pairs['hd95_mm'].mean():.2f} "
            f"| {pairs['ndv_percent'].mean():.3f} | {int(pairs['n_lost'].sum())} "
            f"| {'–' if rescan.empty else format(rescan['dice'].mean(), '.3f')} |"
        )
    return "\n".join(lines)


def _comparison_text(rows: list[dict], verdict, margin: float, run: Run) -> str:
    if not rows:
        why = "; ".join(f"{name_of(m)}: {reason}" for m, reason in run.absent.items())
        return f"There is no network to compare on this page ({why or 'none was asked for'})."
    lines = [
        f"| deep | iterative | difference in Dice | 90 % interval | within ±{margin:g} "
        "| d_z (95 %) | d_av (95 %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        inside = row["equal"].interval
        lines.append(
            f"| {name_of(row['first'])} | {name_of(row['second'])} | {inside.estimate:+.4f} "
            f"| {inside.low:+.4f} to {inside.high:+.4f} "
            f"| {'yes' if row['equal'].equivalent else 'no'} "
            f"| {_effect(row['effects'].g_z)} | {_effect(row['effects'].g_av)} |"
        )
    return "\n".join(lines) + (
        f"\n\n{verdict.sentence} The rule compares the mean over the deep methods with the mean over "
        "the iterative ones, of those run on all pairs. d_z divides the mean difference by the "
        "standard deviation of the differences, d_av by that of the methods themselves; both are "
        "Hedges-corrected."
    )


def _effect(interval: stats.Interval) -> str:
    return f"{interval.estimate:+.2f} ({interval.low:+.2f} to {interval.high:+.2f})"


def _by_structure(structures: pd.DataFrame, run: Run, best: tuple[str, str]) -> pd.DataFrame:
    """Mean difference of the two best methods per structure with its interval over pairs."""
    rows = structures.query("kind == 'between'")
    wide = rows[rows["method"].isin(best)].pivot_table(
        "dice", ["label", "fixed", "moving"], "method", dropna=False
    )
    difference = (wide[best[0]] - wide[best[1]]).dropna().groupby("label")
    table = pd.DataFrame({"mean": difference.mean(), "n_pairs": difference.size()})
    half = 1.96 * difference.std() / np.sqrt(table["n_pairs"])
    names = run.tasks[0].get_cohort().label_sets[_first_label_set(run)]
    return (
        table.assign(low=table["mean"] - half, high=table["mean"] + half).join(names).reset_index()
    )


def _structure_text(table: pd.DataFrame | None, best) -> str:
    if table is None:
        return "Without a network there is no comparison to draw."
    better = int((table["low"] > 0).sum())
    worse = int((table["high"] < 0).sum())
    groups = table.groupby("group")["mean"].mean()
    by_group = ", ".join(f"{group} {value:+.3f}" for group, value in groups.items())
    return (
        f"Of {len(table)} structures, {name_of(best[0])} is ahead in {better}, {name_of(best[1])} in "
        f"{worse}; in the others the interval contains zero. Mean difference by group: {by_group}."
    )


def _cost_text(table: pd.DataFrame) -> str:
    done = table.query("status == 'ok' and method != 'affine'")
    costs = done.groupby("method")[["cpu_seconds", "method_mb"]].median().sort_values("cpu_seconds")
    items = [
        f"{name_of(m)} {row.cpu_seconds:.0f} s and {row.method_mb:.0f} MB"
        for m, row in costs.iterrows()
    ]
    return "Median per pair, processor time and memory: " + "; ".join(items) + "."


def _limits(run: Run, table: pd.DataFrame) -> str:
    cohort = run.tasks[0].get_cohort()
    lines = []
    if cohort.name == "template":
        lines.append(
            "- The subjects are one template under random smooth deformations: anatomy varies less "
            "than between people, every fold of the cortex has its counterpart. This page shows that "
            "the machinery works and is rerun in minutes; it does not measure how methods rank on people."
        )
    elif cohort.name.startswith("oasis"):
        lines.append(
            "- The networks were trained on OASIS too, some of them perhaps on these very subjects: the "
            "authors publish no list of scans. That would favour the networks, without labels."
        )
    elif cohort.name in LAYOUTS:
        lines.append(
            f"- Mean Dice is of the {_first_label_set(run)} labels that lie beside the images. Where a "
            "program drew them, a method is rewarded for what that program would draw."
        )
    start = run.tasks[0].preprocessing.alignment
    if start != "affine":
        lines.append(
            f"- The methods start from the alignment `{start}` alone, and the row that is otherwise "
            "the affine shows that start."
        )
    lines.append(
        "- Published networks see the images once; the iterative methods run with the settings of their "
        "authors, not tuned on these pairs."
    )
    lines.append(
        f"- Times are of {table['threads'].dropna().max():.0f} thread(s) a registration on "
        f"{table['hardware'].dropna().iloc[0]}, no GPU where none is named."
    )
    return "\n".join(lines)
