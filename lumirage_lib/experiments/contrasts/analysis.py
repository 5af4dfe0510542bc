"""Notebook 03: do networks lose more than iterative methods on contrasts they were not trained on?"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ... import stats
from ...images.contrast import INVERTED
from ...methods import name_of, order_of
from ...stats import count
from ..comparison import (
    ALL,
    adjust,
    compare_networks,
    count_declared,
    judge_by_labels,
    list_verdicts,
    split_arms,
    tabulate_networks,
)
from ..completeness import keep_matched, keep_whole
from ..experiment import Result
from ..families import (
    ARMS,
    FRESH,
    LEAK_FREE,
    Arm,
    Families,
    is_primary,
    name_claim,
    name_plainly,
)
from ..opening import Opening, say_certainty, say_together
from ..run import Run
from ..sentences import (
    list_limits,
    list_points,
    make_table,
    say_sides,
    show,
    show_interval,
    write_design,
    write_designs,
    write_state,
)
from ..specifications import specify_arms
from .checks import load_checks
from .parts import CONTROLS, compare_scalings, say_parts, split_changes, tabulate_scalings
from .plan import DOSES, SCALED

BESIDE = (DOSES, SCALED)  # arms that no verdict is read from


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    table = run.registrations
    sides = {arm: found for arm, found in split_arms(run).items() if arm not in BESIDE}
    verdicts, changes, effects = [], [], []
    for arm, (rows, families) in sides.items():
        planned = dict.fromkeys(e.condition for e in run.entries if e.arm == arm)
        for condition, reference in find_references(arm, planned).items():
            changes.append(compare_networks(rows, families, condition, reference, LEAK_FREE))
            if condition not in CONTROLS:
                verdicts += _judge(
                    run, arm, rows, families, condition, reference, parameters["margin"]
                )
        effects.append(_measure(rows, families))
    adjusted = {v.claim.id: v for v in adjust(verdicts)}
    together = [pd.concat(frames, ignore_index=True) if frames else pd.DataFrame() for frames in
                (changes, effects)]  # fmt: skip
    whole = [
        keep_whole(rows, families, count_declared(arm, families))
        for arm, (rows, families) in sides.items()
    ]
    matched = keep_matched(pd.concat(whole) if whole else table.iloc[:0])
    scaled = compare_scalings(table, sides)
    groups, parts = compare_groups(run, sides), split_changes(together[0], scaled)
    doses = _average_doses(table)
    return Result(
        opening=_open(adjusted, together[0], doses),
        state=write_state(run),
        design=write_designs(matched),
        sides_text=say_sides({arm: families for arm, (_, families) in sides.items()}),
        verdicts=adjusted,
        verdict_text=list_verdicts(adjusted),
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        matched=matched,
        changes=together[0],
        changes_table=tabulate_networks(together[0]),
        parts=parts,
        parts_text=say_parts(parts, adjusted),
        scalings_table=tabulate_scalings(table),
        specify=lambda: specify_arms(run, adjusted.values(), sides),
        effects=together[1],
        effects_table=_tabulate_effects(together[1]),
        groups=groups,
        groups_text=_say_groups(groups, adjusted),
        doses=doses,
        doses_design=write_design(table[table["arm"] == DOSES]),
        doses_text=_say_doses(doses),
        power_text=_tabulate_power(adjusted),
        checks=load_checks(parameters["profile"]),
        limits=list_points([*list_limits(run), *_LIMITS]),
    )


# ---- numbers -------------------------------------------------------------------------------------


def find_references(arm: str, conditions: Iterable[str]) -> dict[str, str]:
    """Condition -> the one it is referred to: as declared where that is among them, else T1w."""
    conditions = list(conditions)
    declared: Mapping[str, str] = ARMS[arm].references if arm in ARMS else {}
    chosen = {c: declared.get(c, "T1w") for c in conditions if c != "T1w"}
    return {c: r if r in conditions else "T1w" for c, r in chosen.items()}


def _judge(
    run: Run,
    arm: str,
    rows: pd.DataFrame,
    families: Families,
    condition: str,
    reference: str,
    margin: float,
) -> list[stats.Verdict]:
    """The verdict; where some pairs had never been scored before, one on these alone beside it."""
    declared = ARMS.get(arm)
    common: dict[str, Any] = {
        "says": "loses",
        "text": f"networks lose more than iterative methods from T1w to {condition}",
        "where": f"from {reference} to {condition} ({declared.title if declared else name_plainly(arm)})",
        "margin": margin,
    }
    found = [judge_by_labels(run, arm, rows, families, condition, reference=reference, **common)]
    pairs = find_fresh(run, declared) if declared and families == declared.families else []
    if declared and len(pairs):
        common |= {"reference": reference, "n_pairs": len(pairs)}
        fresh = judge_by_labels(run, arm, rows.merge(pairs), families, condition, **common)
        if fresh.verdict not in (stats.INCOMPLETE, stats.NOT_TESTED) or fresh.n_pairs:
            name = f"{fresh.claim.id}, the {count(len(pairs), 'pair')} {declared.fresh}"
            found.append(replace(fresh, claim=replace(fresh.claim, id=name, n_pairs=None)))
    return found


def find_fresh(run: Run, arm: Arm) -> pd.DataFrame:
    """Pairs of an arm, fixed and moving, that nobody here had scored when the rules were written.

    None of an arm of which all pairs had been scored, or none.
    """
    planned: dict[str, dict[tuple[str, str], None]] = {}
    for entry in run.entries:
        pair = entry.task.pair
        planned.setdefault(entry.arm, {})[pair.fixed.id, pair.moving.id] = None
    pairs = list(planned.get(arm.name, {}))[arm.n_scored :] if arm.fresh else []
    known = planned.get(arm.scored_in, {})
    return pd.DataFrame([p for p in pairs if p not in known], columns=["fixed", "moving"])


def _measure(rows: pd.DataFrame, families: Families) -> pd.DataFrame:
    """Effect sizes of deep minus iterative (means over methods) under each contrast."""
    out = []
    for condition in rows["condition"].unique():
        mine = rows[rows["condition"] == condition]
        sides = [tuple(m for m in side if m in set(mine["method"])) for side in
                 (families.deep, families.iterative)]  # fmt: skip
        if not all(sides):
            continue
        matched = stats.match_pairs(mine, *sides)
        tried = matched.n_pairs + matched.n_failed
        if matched.n_subjects < stats.LEAST_SUBJECTS or tried < count_declared(
            rows["arm"].iloc[0], families
        ):
            continue
        found = stats.compute_effect_sizes(matched)
        row = {"arm": rows["arm"].iloc[0], "condition": condition, "n_pairs": matched.n_pairs}
        out.append(row | found.as_row("mean_difference", "g_z", "g_av"))
    return pd.DataFrame(out)


def compare_groups(run: Run, sides: Mapping[str, tuple[pd.DataFrame, Families]]) -> pd.DataFrame:
    """Difference in differences by group of structures: arm, condition, group, change, n_structures.

    Of conditions that both families were tried on, with their reference, on every pair; the pairs are
    those that all of them completed.
    """
    tasks = {task.key: task for task in run.tasks}
    out = []
    for arm, (rows, families) in sides.items():
        if not families.deep or not families.iterative or rows.empty:
            continue
        cohort = tasks[rows["key"].iloc[0]].get_cohort()
        first, names = next(iter(cohort.label_sets.items()))
        chosen = run.structures.query("rule == 'nearest' and label > 0")
        chosen = chosen.loc[chosen["label_set"] == first, ["key", "label", "dice"]]
        rows = rows[rows["method"].isin(families.methods)]
        for condition, reference in find_references(arm, rows["condition"].unique()).items():
            both = rows[rows["condition"].isin([condition, reference])]
            tried = both.groupby(["fixed", "moving"])["key"].transform("size")
            both = both[tried == 2 * len(families.methods)]
            if len(both) < max(1, count_declared(arm, families)) * 2 * len(families.methods):
                continue  # the first pairs of a run say nothing of structures
            failed = both["status"].ne("ok").groupby([both["fixed"], both["moving"]])
            both = both[~failed.transform("any")]
            if both.empty:
                continue
            means = both.merge(chosen, on="key", suffixes=("_pair", "")).pivot_table(
                "dice", ["condition", "label"], "method"
            )
            deep, iterative = (means[list(side)].mean(axis=1) for side in
                               (families.deep, families.iterative))  # fmt: skip
            gap = deep - iterative
            change = (gap.loc[condition] - gap.loc[reference]).rename("change").to_frame()
            by_group = change.join(names["group"]).groupby("group")["change"]
            out.append(
                pd.DataFrame({"change": by_group.mean(), "n_structures": by_group.size()})
                .reset_index()
                .assign(arm=arm, condition=condition)
            )
    columns = ["arm", "condition", "group", "change", "n_structures"]
    return pd.concat(out, ignore_index=True)[columns] if out else pd.DataFrame(columns=columns)


def _average_doses(table: pd.DataFrame) -> pd.DataFrame:
    """Mean Dice by method and dose; the inverted image has no dose."""
    rows = table[(table["arm"] == DOSES) & (table["status"] == "ok")]
    columns = ["method", "family", "condition", "dose"]
    if rows.empty:
        return pd.DataFrame(columns=[*columns, "dice", "n_pairs"])
    groups = rows.groupby(columns, dropna=False)["dice"]
    return groups.agg(dice="mean", n_pairs="size").reset_index()


# ---- sentences -----------------------------------------------------------------------------------


def _open(
    verdicts: Mapping[str, stats.Verdict], changes: pd.DataFrame, doses: pd.DataFrame
) -> Opening:
    if not any(v.n_pairs for v in verdicts.values()):
        found = "Nothing was registered in two contrasts by both sides, so the question stays open."
        return Opening(found, (), tuple(verdicts.values()))
    judges = [v for name, v in verdicts.items() if is_primary(name)]
    judges = judges or [
        v for name, v in verdicts.items()
        if not name.endswith(FRESH) and v.verdict != stats.NOT_JUDGED
    ]  # fmt: skip
    if not judges:
        found = "Nothing is judged here: more than the contrast differs between the two sides."
        return Opening(found, (), tuple(verdicts.values()))
    beside = [v for v in verdicts.values() if v not in judges and v.word]
    decided = list_decided(verdicts)
    names = [name_claim(*of) for of in zip(changes["arm"], changes["condition"], strict=True)]
    means = changes[(changes["method"] == ALL) & pd.Series(names, changes.index).isin(decided)]
    what = (
        f"From the reference to a new image Dice of networks changes by {_show_span(means['deep'])}, of "
        f"iterative methods by {_show_span(means['iterative'])}."
        if len(means)
        else _say_undecided(verdicts, "table")
    )
    named = {name_plainly(v.claim.id): v for v in judges}
    return Opening(
        say_together(named),
        (
            f"**What.** {what}",
            say_certainty(judges),
            "**What it depends on.** "
            + (say_together({name_plainly(v.claim.id): v for v in beside}) or _say_dip(doses)),
        ),
        tuple(judges),
    )


def list_decided(verdicts: Mapping[str, stats.Verdict]) -> list[str]:
    """Claims that have a word."""
    return [name for name, v in verdicts.items() if v.word]


def _say_undecided(verdicts: Mapping[str, stats.Verdict], shown_in: str) -> str:
    """Why no comparison has a word, where none has."""
    few = any(v.verdict == stats.NOT_DECIDABLE and not v.by_failures for v in verdicts.values())
    return (
        f"Too few individuals for a word; see the {shown_in}."
        if few
        else "No comparison has a word yet."
    )


def _show_span(values: pd.Series) -> str:
    """ "−0.050 to +0.004"."""
    return " to ".join(dict.fromkeys(show(x, sign=True) for x in (values.min(), values.max())))


def _say_dip(doses: pd.DataFrame) -> str:
    mixed = doses.dropna(subset="dose")
    if mixed["dose"].nunique() < 3:  # without ends there is nothing between them
        return "Which contrast, and whether it is real or synthesised."
    worst = mixed.loc[mixed.groupby("method")["dice"].idxmin(), "dose"]
    inside = worst.between(mixed["dose"].min(), mixed["dose"].max(), inclusive="neither")
    return (
        f"Which contrast: a mixture of T1w and T2w is worse than either of them for {inside.sum()} of "
        f"{count(len(worst), 'method')}."
    )


def _tabulate_effects(effects: pd.DataFrame) -> str:
    table = make_table(
        {
            "images": name_plainly(name_claim(r["arm"], r["condition"])),
            "deep − iterative, Dice (95 %)": show_interval(
                *(r[f"mean_difference{end}"] for end in ("", "_low", "_high"))
            ),
            "g_z (95 %)": show_interval(
                *(r[f"g_z{end}"] for end in ("", "_low", "_high")), digits=2
            ),
            "g_av (95 %)": show_interval(
                *(r[f"g_av{end}"] for end in ("", "_low", "_high")), digits=2
            ),
            "pairs": r["n_pairs"],
        }
        for r in effects.to_dict("records")
    )
    unseen = _UNSEEN if UNSEEN & {*effects.get("arm", ())} else ""
    return f"{table}\n\n{_EFFECTS_NOTE}{unseen}" if len(effects) else table


def _say_groups(groups: pd.DataFrame, verdicts: Mapping[str, stats.Verdict]) -> str:
    """The groups of structures that change most, of comparisons that were decided."""
    if groups.empty:
        return "Without a network and an iterative method there is nothing to compare."
    names = [name_claim(*of) for of in zip(groups["arm"], groups["condition"], strict=True)]
    groups = groups[pd.Series(names, groups.index).isin(list_decided(verdicts))]
    if groups.empty:
        return _say_undecided(verdicts, "figure")
    worst, best = (groups.loc[groups["change"].agg(f)] for f in ("idxmin", "idxmax"))
    return (
        f"Networks change most for the worse against iterative methods in {worst['group']} structures on "
        f"{name_plainly(name_claim(worst['arm'], worst['condition']))} "
        f"({show(worst['change'], sign=True)} Dice), least, or for the better, in {best['group']} structures "
        f"on {name_plainly(name_claim(best['arm'], best['condition']))} ({show(best['change'], sign=True)})."
    )


def _say_doses(doses: pd.DataFrame) -> str:
    mixed = doses.dropna(subset="dose").sort_values("dose").groupby("method")
    inverted = doses[doses["condition"] == INVERTED].set_index("method")["dice"]
    return make_table(
        (
            {
                "method": name_of(method),
                "lowest Dice": show(rows["dice"].min()),
                "at a share of T2w of": f"{rows.loc[rows['dice'].idxmin(), 'dose']:g}",
                "in T1w": show(rows["dice"].iloc[0]),
                "inverted": show(inverted.get(method, np.nan)),
            }
            for method, rows in sorted(
                mixed, key=lambda group: order_of(doses["method"]).index(group[0])
            )
        ),
        "No dose-response was run.",
    )


def _tabulate_power(verdicts: Mapping[str, stats.Verdict]) -> str:
    return make_table(
        {
            "images": name_plainly(name),
            "seen four times in five": show(v.detectable),
            "pairs": v.n_pairs,
            "subjects": v.n_subjects,
        }
        for name, v in verdicts.items()
        if v.n_pairs and v.verdict != stats.INCOMPLETE
    )


_EFFECTS_NOTE = (
    "g is d corrected for small samples {cite}`hedges1981`. Whether there is a difference is read from Dice: "
    "the coverage of its interval was simulated. Those of effect sizes are approximate, so with few subjects "
    "one may leave out 0 where that of Dice does not, or the reverse; they tell the size only."
)
UNSEEN = {"nichart at 1 mm", "real5"}  # arms of whose people no network of the families has learned
_UNSEEN = (
    " No network of these families has learned from the older adults or the five people "
    "([who has seen what](../methods.md#who-has-seen-what)): their T1w ask the question of the "
    "[chapter on T1w](01_in_distribution_open.ipynb) without leakage. No verdict was declared for them."
)
_LIMITS = (
    "Half-way between T1w and T2w, grey and white matter come near to the same intensity: there every "
    "method has less to go by, whatever it was trained on.",
)
