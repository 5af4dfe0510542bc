"""Notebook 05: what does a change of the preprocessing cost, and whom more?"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ... import stats
from ...images.preprocess import PERTURBATIONS, STANDARD
from ...methods import family_of, name_of, order_of
from ...stats import count, join
from ..comparison import (
    adjust,
    compare_networks,
    judge,
    list_verdicts,
    split_arms,
    tabulate_networks,
)
from ..experiment import Result
from ..families import Families, name_claim, name_plainly
from ..opening import Opening, say_certainty, say_together
from ..run import Run
from ..sentences import (
    describe_families,
    list_limits,
    list_points,
    make_table,
    name_some,
    say_sides,
    show,
    show_interval,
    write_design,
    write_state,
)
from ..specifications import specify_arms
from .plan import EXPLORED, PRIMARY

CLAIM = "networks are more sensitive to preprocessing than iterative methods"
REFERENCE = STANDARD.name
FALSE_SHARE = 0.05  # of the findings among the explored conditions that may be false
N_CARRYING = 2  # perturbations that are left out to see what a mean over all rests on
SUMMARY = [
    "method",
    "mean",
    "worst",
    "low",
    "high",
    "worst_condition",
    "n_conditions",
]  # what is read of one


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    table = run.registrations
    if "dice" not in table:  # nothing done yet, or all of it failed
        table = table.assign(dice=np.nan)
    arms = split_arms(run)
    verdicts = {v.claim.id: v for v in adjust(list(_decide(arms, parameters["margin"]).values()))}
    drops = measure_drops(table)
    rows, families = arms[EXPLORED]
    explored = explore(rows, families, [str(v.claim.condition) for v in verdicts.values()])
    summary = stats.summarise_drops(drops) if len(drops) else pd.DataFrame(columns=SUMMARY)
    return Result(
        opening=_open(verdicts, explored, summary, families),
        design=_design(table),
        design_of_methods=_design(table, by_method=True),
        verdicts=verdicts,
        sides_text=say_sides({PRIMARY: arms[PRIMARY][1]} if PRIMARY in arms else {}),
        verdict_text=list_verdicts(verdicts),
        networks_table=_networks_table(arms),
        conditions_table=_conditions_table(table),
        drops=drops,
        heat_text=_heat_text(drops, summary, families),
        gain_text=_gain_text(drops),  # what suits a method better than the standard
        explored=explored,
        explored_table=_explored_table(explored),
        explored_text=_explored_text(explored, families),
        explorers_text=_explorers_text(rows, families, arms.get(PRIMARY, arms[EXPLORED])[1]),
        summary=summary,
        summary_table=_summary_table(table, summary),
        worst_text=_worst_text(summary, families),
        shift_text=_shift_text(drops),
        state=write_state(run, [*parameters["methods"], *parameters["explored_methods"]]),
        limits=_limits(run),
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        specify=lambda: specify_arms(run, verdicts.values(), arms),
    )


# ---- numbers -------------------------------------------------------------------------------------


def _decide(arms: Mapping, margin: float) -> dict[str, stats.Verdict]:
    """Each primary condition by the families declared for the arm, before any adjustment."""
    if PRIMARY not in arms:
        return {}
    rows, families = arms[PRIMARY]
    conditions = [c for c in PERTURBATIONS if c in set(rows["condition"])]
    return {
        name_claim(PRIMARY, condition): judge(
            PRIMARY, rows, families, condition, reference=REFERENCE, says="loses", text=CLAIM,
            where=f"with {condition}", margin=margin,
        )
        for condition in conditions
    }  # fmt: skip


def measure_drops(table: pd.DataFrame) -> pd.DataFrame:
    """Drop in mean Dice by method and condition, see :func:`lumirage_lib.stats.compute_drops`.

    Of either arm what it has most pairs of; only conditions under which a method was tried on a pair
    that it also has the standard for; `kind` of the perturbation is added. No rows where there is none.
    """
    table = table.drop_duplicates("key")
    rows = []
    for method in order_of(table["method"]):
        conditions = _find_tried(table, method)
        if conditions:
            rows.append(
                stats.compute_drops(table, [method], reference=REFERENCE, conditions=conditions)
            )
    if not rows:
        return pd.DataFrame(columns=["method", "condition", "drop", "low", "high", "kind"])
    drops = pd.concat(rows, ignore_index=True)
    return drops.assign(kind=[PERTURBATIONS[name].kind for name in drops["condition"]])


def _find_tried(table: pd.DataFrame, method: str) -> list[str]:
    rows = table[table["method"] == method]
    pairs = {
        c: set(zip(g["fixed"], g["moving"], strict=True)) for c, g in rows.groupby("condition")
    }
    standard = pairs.get(REFERENCE, set())
    # One pair says nothing of the next; a run of one pair has no other.
    least = min(2, len(table[["fixed", "moving"]].drop_duplicates()))
    return [n for n in PERTURBATIONS if len(standard & pairs.get(n, set())) >= max(least, 1)]


def explore(rows: pd.DataFrame, families: Families, decided: Sequence[str]) -> pd.DataFrame:
    """Networks against iterative methods under every condition that both sides have been tried under.

    Parameters
    ----------
    decided : sequence of str
        Conditions with a verdict of their own, which are left out.

    Returns
    -------
    DataFrame
        condition, kind, deep, iterative (changes from the standard), change (their difference), low,
        high (95 %, each alone), p, q (Benjamini & Hochberg over the conditions), n_pairs, n_subjects,
        n_failed.
    """
    shared = set.intersection(
        set(PERTURBATIONS), *(set(_find_tried(rows, m)) for m in families.methods)
    )
    out = []
    if families.deep and families.iterative:
        for condition in [c for c in PERTURBATIONS if c in shared - set(decided)]:
            matched = stats.match_changes(
                rows, families.deep, families.iterative, condition=condition, reference=REFERENCE
            )
            if not matched.n_pairs:
                continue
            found = stats.compute_interval(matched)
            out.append(
                {
                    "condition": condition,
                    "kind": PERTURBATIONS[condition].kind,
                    "deep": matched.first.mean(),
                    "iterative": matched.second.mean(),
                    **stats.as_row(found, "change"),
                    "p": found.compute_p(),
                }
            )
    table = pd.DataFrame(out)
    return table if table.empty else table.assign(q=stats.control_false_discoveries(table["p"]))


# ---- sentences -----------------------------------------------------------------------------------


def _design(table: pd.DataFrame, *, by_method: bool = False) -> str:
    """Pairs of the paper's own conditions and of the others; on request who had fewer of them."""
    arms = dict(iter(table.groupby("arm", sort=False)))
    decided = set(arms[PRIMARY]["condition"]) if PRIMARY in arms else set()
    parts = []
    for arm, rows in arms.items():
        n = len(set(rows["condition"]) - {REFERENCE} - (set() if arm == PRIMARY else decided))
        which = (
            f"{count(n, 'condition')} of the paper"
            if arm == PRIMARY
            else count(n, "explored condition")
        )
        if n:
            parts.append(f"{write_design(rows)} for the {which}")
            parts += _list_fewer(rows) if by_method else []
    return "; ".join(parts) + "." if parts else "No pairs, no subjects."


def _list_fewer(rows: pd.DataFrame) -> list[str]:
    """Methods that were not given every pair of an arm, with what they were given."""
    given = {m: write_design(mine) for m, mine in rows.groupby("method", sort=False)}
    fewer = {m: design for m, design in given.items() if design != write_design(rows)}
    return [
        f"by {name_some(m for m, mine in fewer.items() if mine == design)} {design}"
        for design in dict.fromkeys(fewer.values())
    ]


def _open(
    verdicts: Mapping[str, stats.Verdict],
    explored: pd.DataFrame,
    summary: pd.DataFrame,
    families: Families,
) -> Opening:
    if not verdicts and explored.empty:
        return Opening("No network stands beside an iterative method: the question stays open.", ())
    clear = int((explored["q"] <= FALSE_SHARE).sum()) if len(explored) else 0
    headline = (
        say_together({name_plainly(v.claim.id): v for v in verdicts.values()}, "with")
        if verdicts
        else f"Under {clear} of {count(len(explored), 'condition')} networks and iterative methods lose "
        "clearly unlike amounts of accuracy."
    )
    sure = (
        say_certainty(list(verdicts.values()))
        if verdicts
        else "**How sure.** Explored on few pairs: nothing here is a verdict."
    )
    whole = _keep_whole(summary)
    what = _explored_text(explored, families) or "No condition but the paper's own was run."
    worst = describe_families(whole.set_index("method")["worst"].astype(float), 3, families)
    return Opening(
        headline,
        (
            f"**What.** {what}",
            sure,
            "**What it depends on.** On the condition: "
            + (
                f"{_say_whole(whole)}, the worst costs {worst} (Dice)."
                if worst
                else "no drop was measured."
            ),
        ),
        tuple(verdicts.values()),
    )


def _networks_table(arms: Mapping) -> str:
    """The networks' family and each network alone, those beside the family too, in the primary arm."""
    if PRIMARY not in arms:
        return ""
    rows, families = arms[PRIMARY]
    deep = order_of(rows.loc[rows["family"] == "deep", "method"])
    conditions = [c for c in PERTURBATIONS if c in set(rows["condition"])]
    found = [compare_networks(rows, families, c, REFERENCE, deep) for c in conditions]
    return tabulate_networks(pd.concat(found)) if found else ""


def _explored_table(explored: pd.DataFrame) -> str:
    return make_table(
        (
            {
                "condition": row["condition"],
                "networks lose more by (95 %)": show_interval(
                    -row["change"], -row["high"], -row["low"]
                ),
                "networks' own loss": show(-row["deep"]),
                "iterative": show(-row["iterative"]),
                "q (smallest false-discovery rate that calls it clear)": show(row["q"]),
                "pairs": row["n_pairs"],
                "failed": row["n_failed"],
            }
            for row in explored.sort_values("change").to_dict("records")
        )
        if len(explored)
        else (),
        "No condition was tried by both sides.",
    )


def _explorers_text(rows: pd.DataFrame, families: Families, decided: Families) -> str:
    """Who the two sides are that explore, where they are not those above, and who is in neither."""
    others = rows[
        ~rows["method"].isin(families.methods) & rows["method"].map(family_of).ne("baseline")
    ]
    names = name_some(order_of(others["method"]))
    beside = f"Beside them: {names}, {write_design(others)}." if len(others) else ""
    return f"{say_sides({EXPLORED: families}) if families != decided else ''}\n\n{beside}".strip()


def _explored_text(explored: pd.DataFrame, families: Families) -> str:
    """How many conditions stand after control of the false-discovery rate, and what a mean rests on."""
    if explored.empty:
        return ""
    if explored["q"].isna().all():
        return f"Explored, {count(len(explored), 'condition')}: too few pairs for an interval."
    stand = explored[explored["q"] <= FALSE_SHARE].sort_values("change")
    worse, better = stand[stand["change"] < 0], stand[stand["change"] > 0]
    text = (
        f"Explored with {count(len(families.deep), 'network')} and "
        f"{count(len(families.iterative), 'iterative method')}, of {count(len(explored), 'condition')} "
        f"(false-discovery rate {100 * FALSE_SHARE:.0f} %): networks lose more under "
        f"{_name(worse)}, less under {_name(better)}."
    )
    if len(explored) <= 2 * N_CARRYING:
        return text
    ordered = explored.sort_values("change")
    rest = ordered[N_CARRYING:-N_CARRYING]
    return (
        f"{text} Over all of them networks lose {show(-ordered['change'].mean())} more on average; "
        f"without {join(ordered.drop(rest.index)['condition'])}, where they lose most and least, "
        f"{show(-rest['change'].mean())}."
    )


def _name(rows: pd.DataFrame) -> str:
    return f"{len(rows)} ({join(rows['condition'])})" if len(rows) else "none"


def _summary_table(table: pd.DataFrame, summary: pd.DataFrame) -> str:
    standard = table[(table["condition"] == REFERENCE) & table["method"].isin(summary["method"])]
    standard = standard.drop_duplicates("key")
    # Means of different pairs cannot be compared: only those that every method has.
    dice = standard.pivot(index=["fixed", "moving"], columns="method", values="dice").dropna()
    column = f"Dice, standard ({count(len(dice), 'pair')} that all have)"
    return make_table(
        {
            "method": name_of(row.method),
            "worst drop (simultaneous 95 %)": show_interval(row.worst, row.low, row.high),
            "worst with": row.worst_condition,
            "mean drop": show(row.mean),
            column: show(dice[row.method].mean()),
            "perturbations": row.n_conditions,
            "pairs, at least": row.n_pairs,
            "failed": row.n_failed,
        }
        for row in summary.itertuples()
    )


def _conditions_table(table: pd.DataFrame) -> str:
    """What the names stand for."""
    tried = set(table["condition"])
    return make_table(
        {"condition": p.name, "kind": p.kind, "what is done": p.about}
        for p in PERTURBATIONS.values()
        if p.name in tried
    )


def _heat_text(drops: pd.DataFrame, summary: pd.DataFrame, families: Families) -> str:
    """By kind, of methods that have every condition: a mean over some of a kind is another thing."""
    whole = _keep_whole(summary)
    seen = drops[drops["method"].isin(whole["method"])].dropna(subset="drop")
    if seen.empty:
        return "No registration under a perturbation was completed."
    by_kind = seen.pivot_table("drop", "kind", "method", sort=False)
    parts = [
        f"{kind}: {describe_families(row.dropna(), 3, families)}"
        for kind, row in by_kind.iterrows()
    ]
    return f"Mean drop in Dice by kind of perturbation, {_say_whole(whole)}. {'; '.join(parts)}."


def _gain_text(drops: pd.DataFrame) -> str:
    """Perturbations that suit a method better than the standard, which is then not its best."""
    clear = drops[drops["high"] < 0]
    if drops["high"].isna().all():
        return "No perturbation has an interval yet."
    if clear.empty:
        return "No perturbation clearly helps a method: no interval lies below zero."
    return "Clearly better than under the standard:\n\n" + make_table(
        {
            "method": name_of(row.method),
            "gain in Dice (95 %)": show_interval(-row.drop, -row.high, -row.low),
            "with": row.condition,
        }
        for row in clear.itertuples()
    )


def _keep_whole(summary: pd.DataFrame) -> pd.DataFrame:
    """Methods that were given every perturbation that any was given: the worst of a few is another thing."""
    known = summary.dropna(subset="worst")
    return known[known["n_conditions"] == known["n_conditions"].max()] if len(known) else known


def _say_whole(whole: pd.DataFrame) -> str:
    """Of whom a range is: those that :func:`_keep_whole` left."""
    n = int(whole["n_conditions"].max())
    return f"of {count(len(whole), 'method')} run under {'all ' if n > 1 else ''}{count(n, 'condition')}"


def _worst_text(summary: pd.DataFrame, families: Families) -> str:
    whole = _keep_whole(summary)
    if whole.empty:
        return "No drop could be measured."
    known = whole.set_index("method")[["mean", "worst"]].astype(float)
    mean, worst = (describe_families(known[c], 3, families) for c in known)
    return f"Mean drop, {_say_whole(whole)}: {mean}. Worst drop of the same: {worst}."


def _shift_text(drops: pd.DataFrame) -> str:
    """Which workflow the shift stands for."""
    if "moving shifted by 20 mm" not in set(drops["condition"]):
        return ""
    return (
        "The shift of 20 mm comes after the affine: it stands for a workflow whose linear alignment "
        "failed, or in which images were re-centred between it and the deformable step. Where the "
        "affine is estimated after the shift, it takes the shift out whole, and what is left is the "
        "standard."
    )


def _limits(run: Run) -> str:
    start = run.tasks[0].preprocessing.alignment if run.tasks else STANDARD.alignment
    return list_points(
        [
            *list_limits(run),
            f"The start (`{start}`) is estimated on the clean images, once for all conditions but the one "
            "without it. A pipeline that estimates it on perturbed images can lose more.",
            "*Rim left* stands for a careless skull-strip: these images are stripped already, so a "
            "shell of textured noise replaces the tissue that would have been left.",
            "Perturbations come one at a time and in one strength; in practice they come together.",
            "Which perturbations are explored was our choice. A mean over them is a mean over that list.",
        ]
    )
