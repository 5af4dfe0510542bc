"""Notebook 03: do networks lose more than iterative methods on contrasts they were not trained on?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ... import stats
from ...cohorts.local import LAYOUTS
from ...images.contrast import INVERTED
from ...methods import name_of, order_of
from ...runs import store as results
from ...stats import count
from ..choice import split_methods
from ..completeness import find_methods, keep_matched
from ..in_distribution.analysis import Panel
from ..run import Run
from .checks import Checks, load_checks
from .plan import CONTROL, DOSES, SYNTHESISED

REFERENCE = "T1w"
ARM_NAMES = {
    SYNTHESISED: "synthesised contrasts",
    "openms": "real T2w and FLAIR of three patients",
    "nichart": "real FLAIR of eighteen older adults",
    "nimh": "real contrasts of healthy adults",
}


@dataclass(frozen=True)
class Result:
    """Sentences, tables and figure data of the page; every number in them is computed."""

    answer: str
    state: str
    design: str
    verdicts: dict[str, stats.Verdict]
    verdict_text: str
    pairs: pd.DataFrame
    matched: pd.DataFrame
    changes: pd.DataFrame
    changes_table: str
    effects: pd.DataFrame
    effects_table: str
    groups: pd.DataFrame
    groups_text: str
    doses: pd.DataFrame
    doses_text: str
    power_text: str
    checks: Checks
    limits: str


def tabulate(run: Run, parameters: Mapping) -> pd.DataFrame:
    """One row per registration and place in the experiment: arm, condition, dose, method, dice, …"""
    return run.registrations


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    seed = parameters["seed"]
    table = tabulate(run, parameters)
    arms = table[table["arm"] != DOSES]
    changes, effects, verdicts, sights = [], [], {}, []
    for arm, rows in arms.groupby("arm", sort=False):
        deep, iterative = (find_methods(rows, family) for family in ("deep", "iterative"))
        conditions = [c for c in rows["condition"].unique() if c != REFERENCE]
        if not deep or not iterative or not conditions:
            continue
        changes.append(_compare(rows, arm, conditions, deep, iterative, seed))
        effects.append(_measure(rows, arm, [REFERENCE, *conditions], deep, iterative, seed))
        claimed = [c for c in conditions if c != CONTROL]
        for condition in claimed:
            claim = _claim(arm, condition, deep, iterative, parameters["margin"])
            verdicts[claim.id] = stats.decide(claim, rows)
            sights.append(_see(rows, arm, condition, deep, iterative))
    verdicts = dict(zip(verdicts, stats.adjust_verdicts(list(verdicts.values())), strict=True))
    changes = pd.concat(changes, ignore_index=True) if changes else pd.DataFrame()
    effects = pd.concat(effects, ignore_index=True) if effects else pd.DataFrame()
    matched = keep_matched(arms)
    groups = compare_groups(run, matched)
    doses = _doses(table)
    return Result(
        answer=_answer(verdicts, arms),
        state=_state(run, parameters),
        design=_design(matched),
        verdicts=verdicts,
        verdict_text=_verdict_text(verdicts),
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        matched=matched,
        changes=changes,
        changes_table=_changes_table(changes),
        effects=effects,
        effects_table=_effects_table(effects),
        groups=groups,
        groups_text=_groups_text(groups),
        doses=doses,
        doses_text=_doses_text(doses),
        power_text=_power_text(sights),
        checks=load_checks(parameters["profile"]),
        limits=_limits(table, parameters),
    )


def panel(run: Run, parameters: Mapping, condition: str) -> Panel | None:
    """Slices of the first pair of the synthesised arm under a contrast; None if none were kept."""
    table = tabulate(run, parameters)
    rows = table.query("arm == @SYNTHESISED and condition == @condition and status == 'ok'")
    found: dict[str, tuple[bytes, float]] = {}
    pair = None
    for row in rows.itertuples():
        blob = results.read_slices(run.store, row.key)
        name = f"{row.moving} → {row.fixed}"
        if blob is not None and pair in (None, name):
            pair, found[row.method] = name, (blob, row.dice)
    if pair is None:
        return None
    return Panel(pair, {m: b for m, (b, _) in found.items()}, {m: d for m, (_, d) in found.items()})


# ---- numbers -------------------------------------------------------------------------------------


def _claim(arm, condition, deep, iterative, margin: float) -> stats.Claim:
    return stats.Claim(
        f"{arm}: {condition}",
        f"networks lose more than iterative methods from T1w to {condition}",
        "loses",
        tuple(deep),
        tuple(iterative),
        condition=condition,
        reference=REFERENCE,
        margin=margin,
        where=f"from T1w to {condition} ({ARM_NAMES.get(arm, arm)})",
    )


def _compare(rows, arm, conditions, deep, iterative, seed) -> pd.DataFrame:
    """Difference in differences of every network, and of all, against the iterative methods."""
    out = []
    for condition in conditions:
        for name, who in [("all networks", tuple(deep)), *((d, d) for d in deep)]:
            matched = stats.match_changes(
                rows, who, tuple(iterative), condition=condition, reference=REFERENCE
            )
            row = {"arm": arm, "condition": condition, "method": name, "n_pairs": matched.n_pairs}
            row |= {"n_subjects": matched.n_subjects, "n_failed": matched.n_failed}
            if matched.n_pairs:
                found = stats.compute_interval(matched)
                row |= {"deep": matched.first.mean(), "iterative": matched.second.mean()}
                row |= {"change": found.estimate, "low": found.low, "high": found.high}
            out.append(row)
    columns = ["deep", "iterative", "change", "low", "high"]
    return pd.DataFrame(out).reindex(columns=[*list(out[0])[:6], *columns])


def _measure(rows, arm, conditions, deep, iterative, seed) -> pd.DataFrame:
    """Effect sizes of deep minus iterative (means over methods) under each contrast."""
    out = []
    for condition in conditions:
        matched = stats.match_pairs(rows, tuple(deep), tuple(iterative), condition=condition)
        if matched.n_pairs < 2:
            continue
        found = stats.compute_effect_sizes(matched)
        row = {"arm": arm, "condition": condition, "n_pairs": matched.n_pairs}
        row |= {"n_subjects": matched.n_subjects}
        for name in ("mean_difference", "g_z", "g_av"):
            interval = getattr(found, name)
            row |= {name: interval.estimate, f"{name}_low": interval.low}
            row |= {f"{name}_high": interval.high}
        out.append(row)
    return pd.DataFrame(out)


def _see(rows, arm, condition, deep, iterative) -> dict:
    """The smallest difference in differences that this arm sees with a power of 0.8."""
    matched = stats.match_changes(
        rows, tuple(deep), tuple(iterative), condition=condition, reference=REFERENCE
    )
    row = {"arm": arm, "condition": condition, "pairs": matched.n_pairs}
    row |= {"subjects": matched.n_subjects, "seen": np.nan, "needed": pd.NA}
    if matched.n_subjects < 3:
        return row
    parts = stats.estimate_components(matched)
    each = min(max(1, round(matched.n_pairs / matched.n_subjects)), matched.n_subjects - 1)
    row["seen"] = stats.compute_detectable_effect(parts, matched.n_subjects, each)
    row["needed"] = stats.plan_subjects(parts, effects=[0.01], pairs_per_subject=[each])[
        "n_subjects"
    ].iloc[0]
    return row


def compare_groups(run: Run, arms: pd.DataFrame) -> pd.DataFrame:
    """Difference in differences by group of structures: arm, condition, group, change, n_structures."""
    out = []
    for arm, rows in arms.groupby("arm", sort=False):
        deep, iterative = (find_methods(rows, family) for family in ("deep", "iterative"))
        if not deep or not iterative:
            continue
        task = next(t for t in run.tasks if t.key == rows["key"].iloc[0])
        first, names = next(iter(task.get_cohort().label_sets.items()))
        chosen = run.structures.query("rule == 'nearest' and label > 0")
        chosen = chosen.loc[chosen["label_set"] == first, ["key", "label", "dice"]]
        merged = rows[["key", "condition", "method"]].merge(chosen, on="key")
        means = merged.pivot_table("dice", ["condition", "label"], "method")
        gap = means[deep].mean(axis=1) - means[iterative].mean(axis=1)
        for condition in [c for c in rows["condition"].unique() if c != REFERENCE]:
            change = (gap.loc[condition] - gap.loc[REFERENCE]).rename("change").to_frame()
            by_group = change.join(names["group"]).groupby("group")["change"]
            out.append(
                pd.DataFrame({"change": by_group.mean(), "n_structures": by_group.size()})
                .reset_index()
                .assign(arm=arm, condition=condition)
            )
    columns = ["arm", "condition", "group", "change", "n_structures"]
    return pd.concat(out, ignore_index=True)[columns] if out else pd.DataFrame(columns=columns)


def _doses(table: pd.DataFrame) -> pd.DataFrame:
    """Mean Dice by method and dose; the inverted image has no dose."""
    rows = table[(table["arm"] == DOSES) & (table["status"] == "ok")]
    columns = ["method", "family", "condition", "dose"]
    if rows.empty:
        return pd.DataFrame(columns=[*columns, "dice", "n_pairs"])
    groups = rows.groupby(columns, dropna=False)["dice"]
    return groups.agg(dice="mean", n_pairs="size").reset_index()


# ---- sentences -----------------------------------------------------------------------------------


def _answer(verdicts: Mapping[str, stats.Verdict], arms: pd.DataFrame) -> str:
    if not verdicts:
        return (
            "**Answer.** Of no arm are both a network and an iterative method there, in T1w and in "
            "another contrast, so the question stays open."
        )
    words = pd.Series([v.verdict for v in verdicts.values()]).value_counts()
    counted = ", ".join(f"{n} {word}" for word, n in words.items())
    return (
        "**Answer.** That networks lose more than iterative methods is, of "
        f"{count(len(verdicts), 'contrast')} in {count(arms['arm'].nunique(), 'arm')} "
        f"(Holm-corrected together): {counted}."
    )


def _verdict_text(verdicts: Mapping[str, stats.Verdict]) -> str:
    return "\n".join(f"- **{name}.** {v.sentence}" for name, v in verdicts.items()) or (
        "No rule could be applied: a network or an iterative method is missing."
    )


def _state(run: Run, parameters: Mapping) -> str:
    named = dict.fromkeys([*parameters["methods"], *parameters["dose_methods"]])
    _, unknown = split_methods(named)
    lines = []
    if run.counts["skipped"]:
        lines.append(
            f"The run is not complete: {run.counts['skipped']} of {len(run.tasks)} registrations "
            "are still to be computed; what follows is of those that are there."
        )
    if unknown:
        lines.append(f"Not in the registry here, and left out: {', '.join(unknown)}.")
    return " ".join(lines)


def _design(arms: pd.DataFrame) -> str:
    parts = []
    for arm, rows in arms.groupby("arm", sort=False):
        pairs = len(rows[["fixed", "moving"]].drop_duplicates())
        subjects = len({*rows["fixed_subject"], *rows["moving_subject"]})
        parts.append(f"{arm}: {pairs} ordered pairs of {subjects} subjects")
    return "; ".join(parts) + "."


def _interval(row, name: str, digits: int = 3) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def _changes_table(changes: pd.DataFrame) -> str:
    if changes.empty:
        return "There is no comparison to tabulate."
    lines = [
        "| arm | contrast | networks | networks changed by | iterative changed by "
        "| difference in differences (95 %) | pairs | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in changes.to_dict("records"):
        lines.append(
            f"| {row['arm']} | {row['condition']} | {name_of(row['method'])} | {row['deep']:+.3f} "
            f"| {row['iterative']:+.3f} | {row['change']:+.3f} ({row['low']:+.3f} to "
            f"{row['high']:+.3f}) | {row['n_pairs']} | {row['n_failed']} |"
        )
    return "\n".join(lines)


def _effects_table(effects: pd.DataFrame) -> str:
    if effects.empty:
        return "There is no effect to tabulate."
    lines = [
        "| arm | contrast | deep − iterative, Dice (95 %) | d_z (95 %) | d_av (95 %) | pairs |",
        "|---|---|---|---|---|---|",
    ]
    for row in effects.to_dict("records"):
        lines.append(
            f"| {row['arm']} | {row['condition']} | {_interval(row, 'mean_difference')} "
            f"| {_interval(row, 'g_z', 2)} | {_interval(row, 'g_av', 2)} | {row['n_pairs']} |"
        )
    return "\n".join(lines)


def _groups_text(groups: pd.DataFrame) -> str:
    if groups.empty:
        return "Without a network and an iterative method there is nothing to compare."
    worst = groups.loc[groups["change"].idxmin()]
    best = groups.loc[groups["change"].idxmax()]
    return (
        f"Networks lose most against iterative methods in {worst['group']} structures on "
        f"{worst['condition']} ({worst['arm']}: {worst['change']:+.3f}) and least in {best['group']} "
        f"structures on {best['condition']} ({best['arm']}: {best['change']:+.3f})."
    )


def _doses_text(doses: pd.DataFrame) -> str:
    if doses.empty:
        return "No dose-response was run."
    parts = []
    for method in order_of(doses["method"]):
        rows = doses[doses["method"] == method]
        mixed = rows.dropna(subset="dose").sort_values("dose")
        inverted = rows[rows["condition"] == INVERTED]["dice"]
        if mixed.empty:
            continue
        worst = mixed.loc[mixed["dice"].idxmin()]
        text = (
            f"{name_of(method)}: {mixed['dice'].iloc[0]:.3f} at dose {mixed['dose'].iloc[0]:g}, "
            f"lowest {worst['dice']:.3f} at {worst['dose']:g}"
        )
        if len(inverted):
            text += f", {inverted.iloc[0]:.3f} inverted"
        parts.append(text)
    return "; ".join(parts) + "."


def _power_text(sights: list[dict]) -> str:
    sights = [s for s in sights if np.isfinite(s["seen"])]
    if not sights:
        return "With fewer than three subjects the power of an arm cannot be computed."
    lines = [
        "| arm | contrast | pairs | subjects | smallest difference seen with power 0.8 "
        "| subjects that would see 0.01 |",
        "|---|---|---|---|---|---|",
    ]
    for s in sights:
        needed = "more than 5000" if pd.isna(s["needed"]) else s["needed"]
        lines.append(
            f"| {s['arm']} | {s['condition']} | {s['pairs']} | {s['subjects']} | {s['seen']:.3f} "
            f"| {needed} |"
        )
    return "\n".join(lines)


def _limits(table: pd.DataFrame, parameters: Mapping) -> str:
    arms = set(table["arm"])
    lines = []
    if arms & {SYNTHESISED, DOSES}:
        lines += [
            "- Synthesised contrasts have the anatomy, the resolution and the labels of their T1w "
            "images; no artefact that only another sequence has (distortion, vessels, iron) is in them. "
            "Grey matter is one tissue: deep nuclei have the relaxation times of the cortex.",
            "- Half-way between T1w and T2w, grey and white matter come near to the same intensity: "
            "there every method has less to go by, whatever it was trained on.",
        ]
    if arms & set(LAYOUTS):
        lines.append(
            "- A program drew the labels of each contrast on the images of that contrast, so the ruler "
            "changes with the contrast. Every contrast starts from the centres of mass of its own two "
            "images, as with the paper's authors, and not from one alignment for all."
        )
    if parameters["cohort"] == "template":
        lines.append(
            "- The subjects are one template under random smooth deformations, so anatomy varies less "
            "than between people: this page shows the machinery, not how methods rank on people."
        )
    if "openms" in arms:
        lines.append(
            "- The labels of the three patients are automatic, made on T1w; three subjects cannot stand "
            "for a population, and the interval says so."
        )
    if "nichart" in arms:
        lines.append(
            "- DLMUSE draws on T1w as well, and FLAIR was thick-sliced before its source resampled it "
            "to 2 mm; networks see it interpolated to the 1 mm they were trained at."
        )
    return "\n".join(lines)
