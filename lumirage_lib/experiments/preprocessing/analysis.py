"""Notebook 05: what does a change of the preprocessing cost each method?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ... import stats
from ...images.preprocess import PERTURBATIONS, STANDARD
from ...methods import name_of, order_of
from ...stats import count, join
from ..choice import split_methods
from ..completeness import keep_complete
from ..run import Run

CLAIM = "Deep methods are sensitive to preprocessing"
REFERENCE = STANDARD.name
N_CARRYING = 2  # perturbations that are left out to see what the difference rests on
SUMMARY = ["method", "mean", "worst", "low", "high", "worst_condition"]  # what is read of one


@dataclass(frozen=True)
class Result:
    """Sentences, tables and figure data of the page; every number in them is computed."""

    answer: str
    design: str
    drops: pd.DataFrame
    summary: pd.DataFrame
    summary_table: str
    heat_text: str
    gain_text: str  # what suits a method better than the standard
    worst_text: str
    rules_text: str
    carried_text: str  # which perturbations the difference between the sides rests on
    state: str
    limits: str
    pairs: pd.DataFrame
    families: dict[str, str]
    verdicts: dict[str, stats.Verdict]


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook: methods, conditions, margin, seed.
    """
    table = run.registrations
    if "dice" not in table:  # nothing done yet, or all of it failed
        table = table.assign(dice=np.nan)
    seed = parameters["seed"]
    drops = measure_drops(table, seed)
    summary = stats.summarise_drops(drops) if len(drops) else pd.DataFrame(columns=SUMMARY)
    verdicts = _decide(table, parameters["margin"], seed)
    return Result(
        answer=_answer(verdicts, summary),
        design=_design(table),
        drops=drops,
        summary=summary,
        summary_table=_summary_table(table, summary),
        heat_text=_heat_text(drops),
        gain_text=_gain_text(drops),
        worst_text=_worst_text(summary),
        rules_text=_rules_text(verdicts),
        carried_text=_carried_text(table, drops, verdicts.get("more"), seed),
        state=_state(run, table, parameters),
        limits=_limits(run),
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        families=dict(zip(table["method"], table["family"], strict=True)),
        verdicts=verdicts,
    )


def measure_drops(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Drop in mean Dice by method and condition, see :func:`lumirage_lib.stats.compute_drops`.

    Only conditions under which a method was tried on a pair that it also has the standard for;
    `kind` of the perturbation is added. No rows where there is none.
    """
    rows = []
    for method in order_of(table["method"]):
        conditions = _tried(table, method)
        if conditions:
            rows.append(
                stats.compute_drops(table, [method], reference=REFERENCE, conditions=conditions)
            )
    if not rows:
        return pd.DataFrame(columns=["method", "condition", "drop", "low", "high", "kind"])
    drops = pd.concat(rows, ignore_index=True)
    return drops.assign(kind=[PERTURBATIONS[name].kind for name in drops["condition"]])


def _tried(table: pd.DataFrame, method: str) -> list[str]:
    rows = table[table["method"] == method]
    pairs = {
        c: set(zip(g["fixed"], g["moving"], strict=True)) for c, g in rows.groupby("condition")
    }
    standard = pairs.get(REFERENCE, set())
    return [name for name in PERTURBATIONS if standard & pairs.get(name, set())]


def _groups(table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Complete methods by side: iterative, deep as trained, deep refined on the pair."""
    refined = table["method"].str.endswith("+io")
    sides = {
        "deep": table[(table["family"] == "deep") & ~refined],
        "iterative": table[table["family"] == "iterative"],
        "refined": table[refined],
    }
    return {side: tuple(keep_complete(rows)) for side, rows in sides.items()}


def _decide(table: pd.DataFrame, margin: float, seed) -> dict[str, stats.Verdict]:
    """The rule for each side alone, and for the deep side against the iterative one."""
    groups = {k: methods for k, methods in _groups(table).items() if methods}
    where = "under perturbed preprocessing"
    verdicts = {}
    for name, methods in groups.items():
        conditions = _shared(table, methods)
        if conditions:
            claim = stats.Claim(
                f"preprocessing-{name}", CLAIM, "loses", methods, condition=conditions,
                reference=REFERENCE, margin=margin, where=where,
            )  # fmt: skip
            verdicts[name] = stats.decide(claim, table)
    both = (*groups.get("deep", ()), *groups.get("iterative", ()))
    if {"deep", "iterative"} <= groups.keys() and _shared(table, both):
        claim = stats.Claim(
            "preprocessing-more", CLAIM, "loses", groups["deep"], groups["iterative"],
            condition=_shared(table, both), reference=REFERENCE, margin=margin, where=where,
        )  # fmt: skip
        verdicts["more"] = stats.decide(claim, table)
    return verdicts


def _shared(table: pd.DataFrame, methods: Sequence[str]) -> tuple[str, ...]:
    tried = [_tried(table, m) for m in methods]
    return tuple(name for name in PERTURBATIONS if all(name in one for one in tried))


# ---- sentences -----------------------------------------------------------------------------------


def _design(table: pd.DataFrame) -> str:
    pairs = len(table[["fixed", "moving"]].drop_duplicates())
    subjects = len({*table["fixed_subject"], *table["moving_subject"]})
    n = table.loc[table["condition"] != REFERENCE, "condition"].nunique()
    return f"{count(pairs, 'ordered pair')} of {count(subjects, 'subject')}, {count(n, 'perturbation')}."


def _answer(verdicts: dict[str, stats.Verdict], summary: pd.DataFrame) -> str:
    if "deep" not in verdicts:
        return "**Answer.** No network could run here, so the question stays open. " + _worst_text(
            summary
        )
    text = f"**Answer.** {verdicts['deep'].sentence}"
    if "iterative" in verdicts:
        text += (
            f" The same rule for the iterative methods: {_lower(verdicts['iterative'].sentence)}"
        )
    if "more" in verdicts:
        text += f" Deep against iterative, mean over the perturbations: {_lower(verdicts['more'].sentence)}"
    return text


def _say(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")  # adding 0 takes the sign off a zero


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _rules_text(verdicts: dict[str, stats.Verdict]) -> str:
    titles = {
        "deep": "Networks as trained",
        "iterative": "Iterative methods",
        "refined": "Networks, refined on the pair",
        "more": "Deep against iterative",
    }
    lines = [f"- {titles[name]}: {_lower(v.sentence)}" for name, v in verdicts.items()]
    return "\n".join(lines) or "No method was run under a perturbation."


def _carried_text(table, drops: pd.DataFrame, verdict: stats.Verdict | None, seed) -> str:
    """The two perturbations that add most to the difference between the sides, and what is left."""
    if verdict is None:
        return ""
    claim = verdict.claim
    wide = drops.pivot(index="condition", columns="method", values="drop")
    gap = wide[list(claim.first)].mean(axis=1) - wide[list(claim.second)].mean(axis=1)
    gap = gap.reindex(list(claim.condition)).sort_values(ascending=False)
    if len(gap) < 2 * N_CARRYING or gap.isna().any():
        return ""
    most = list(gap.index[:N_CARRYING])
    rest = tuple(c for c in claim.condition if c not in most)
    without = stats.decide(
        replace(claim, condition=rest, where=f"under the other {len(rest)}"), table
    )
    each = [f"{_say(gap[name])} with {name}" for name in most]
    return (
        f"Where the sides differ most, networks lose more than iterative methods by {join(each)}. "
        f"Without these {N_CARRYING}, which were picked after seeing the result: "
        f"{_lower(without.sentence)}"
    )


def _summary_table(table: pd.DataFrame, summary: pd.DataFrame) -> str:
    standard = table[(table["condition"] == REFERENCE) & (table["status"] == "ok")]
    dice = standard.groupby("method")["dice"].mean()
    lines = [
        "| method | Dice, standard | mean drop | worst drop | simultaneous 95 % | worst with "
        "| perturbations | pairs | failed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in summary.itertuples():
        lines.append(
            f"| {name_of(row.method)} | {_say(dice.get(row.method, np.nan))} | {_say(row.mean)} "
            f"| {_say(row.worst)} | {_say(row.low)} to {_say(row.high)} | {row.worst_condition} "
            f"| {row.n_conditions} | {row.n_pairs} | {row.n_failed} |"
        )
    return "\n".join(lines)


def _heat_text(drops: pd.DataFrame) -> str:
    seen = drops.dropna(subset="drop")
    if seen.empty:
        return "No registration under a perturbation was completed."
    by_kind = seen.pivot_table("drop", "kind", "method", sort=False)
    parts = [
        f"{kind}: " + ", ".join(f"{name_of(m)} {_say(row[m])}" for m in row.dropna().index)
        for kind, row in by_kind[order_of(by_kind.columns)].iterrows()
    ]
    return "Mean drop in Dice by kind of perturbation. " + "; ".join(parts) + "."


def _gain_text(drops: pd.DataFrame) -> str:
    """Perturbations that suit a method better than the standard, which is then not its best."""
    clear = drops[drops["high"] < 0]
    if clear.empty:
        return "No perturbation clearly helps a method: no interval lies below zero."
    parts = [
        f"{name_of(row.method)} with {row.condition} by {_say(-row.drop)} "
        f"({_say(-row.high)} to {_say(-row.low)})"
        for row in clear.itertuples()
    ]
    return f"Clearly better than under the standard: {join(parts)}."


def _worst_text(summary: pd.DataFrame) -> str:
    parts = [
        f"{name_of(row.method)} loses {_say(row.mean)} on average and {_say(row.worst)} at worst "
        f"({row.worst_condition})"
        for row in summary.dropna(subset="worst").itertuples()
    ]
    return "; ".join(parts) + "." if parts else "No drop could be measured."


def _state(run: Run, table: pd.DataFrame, parameters: Mapping) -> str:
    """How much of the plan is there, and which methods are not and why."""
    done = len(table)
    lines = []
    if done < len(run.tasks):
        planned = pd.Series([task.method for task in run.tasks]).value_counts(sort=False)
        there = table["method"].value_counts()
        each = [f"{name_of(m)} {there.get(m, 0)} of {n}" for m, n in planned.items() if n]
        lines.append(
            f"This run is not complete: {done} of {len(run.tasks)} registrations are in ({join(each)})."
        )
    for method, why in split_methods(parameters["methods"])[1].items():
        lines.append(f"{name_of(method)} was asked for and left out: {why}.")
    return " ".join(lines)


def _limits(run: Run) -> str:
    lines = []
    if run.tasks and run.tasks[0].cohort == "template":
        lines.append(
            "- The subjects are one template under random smooth deformations; drops on people differ."
        )
    start = run.tasks[0].preprocessing.alignment if run.tasks else STANDARD.alignment
    lines += [
        f"- The start (`{start}`) is estimated on the clean images, once for all conditions but the one "
        "without it. A pipeline that estimates it on perturbed images can lose more.",
        "- *Rim left* stands for a careless skull-strip: these images are stripped already, so a "
        "shell of textured noise replaces the tissue that would have been left.",
        "- Perturbations come one at a time and in one strength; in practice they come together.",
    ]
    return "\n".join(lines)
