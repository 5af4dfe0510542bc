"""Notebook 01: are networks as accurate as iterative methods on the images they were trained on?"""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from ... import stats
from ...methods import name_of, order_of
from ...stats import count
from ..comparison import (
    adjust,
    compare_networks,
    judge,
    list_verdicts,
    split_arms,
    tabulate_networks,
)
from ..completeness import find_complete
from ..experiment import Result
from ..families import Families
from ..opening import Opening, say_certainty, say_together
from ..run import Run
from ..sentences import (
    describe_families,
    list_limits,
    list_points,
    make_table,
    say_sides,
    show,
    show_interval,
    write_design,
    write_state,
)
from ..specifications import USUAL, say_specifications, specify, take_dice

CLAIM = "T1w: deep and iterative methods are equally accurate"


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    cohort = run.tasks[0].get_cohort()
    first = next(iter(cohort.label_sets))  # the labels that mean Dice is of
    structures = run.structures.query("label_set == @first and rule == 'nearest' and label > 0")
    hd95 = structures.groupby("key")["hd95_mm"].mean()  # lost labels are NaN, counted in n_lost
    table = run.registrations.join(hd95, on="key")
    between = table[table["kind"] == "between"]
    ((arm, (rows, families)),) = split_arms(run).items()
    condition = run.entries[0].condition
    margin = parameters["margin"]
    verdict = judge(
        arm,
        rows,
        families,
        condition,
        says="equal",
        text=CLAIM,
        where="on T1w brains",
        margin=margin,
    )
    (verdict,) = adjust([verdict])
    complete = find_complete(between)
    sides = [
        tuple(m for m in side if m in complete) for side in (families.deep, families.iterative)
    ]
    differences = _compare_structures(structures, run, sides, first) if all(sides) else None
    begun = verdict.verdict == stats.INCOMPLETE  # what a part of its methods says could mislead
    specifications = (
        specify(run, verdict.claim, rows, complete) if all(sides) and not begun else pd.DataFrame()
    )
    specification_text = (
        "The choice of networks, baselines, labels and rulers, which is judged once the run is finished."
        if begun
        else f"{say_specifications(specifications)} "
        f"{_say_labels(specifications, cohort.call_labels)}".rstrip()
    )
    changes = compare_networks(rows, families, condition)
    beside = [m for m in complete if m not in families.methods and m != "affine"]
    means = _say_means(between, complete, families)
    return Result(
        opening=Opening(
            say_together({"T1w brains": verdict}),
            (
                f"**What.** {means} Dice is the overlap of structures, 1 is perfect.",
                say_certainty([verdict]),
                f"**What it depends on.** {specification_text}",
            ),
            (verdict,),
        ),
        state=write_state(run),
        design=f"{write_design(between)}.",
        summary_text=means,
        summary_table=_tabulate_means(table, complete),
        sides_text=say_sides({arm: families}),
        comparison_text=f"{list_verdicts({arm: verdict})}\n\n{tabulate_networks(changes)}\n\n"
        + _tabulate_beside(between, families, beside, margin),
        differences=differences,
        structure_text=_say_structures(differences),
        rescan_text=_say_rescans(table),
        cost_text=_say_cost(between, complete, families),
        complete=complete,
        specifications=specifications,
        label_words=dict(cohort.label_words),
        specify=lambda: specifications,
        specification_text=specification_text,
        limits=list_points([*list_limits(run), *_list_limits(run, table)]),
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        structures=_name_labels(structures.drop(columns=["label_set", "rule"]), run, first),
        verdict=verdict,
    )


# ---- numbers -------------------------------------------------------------------------------------


def _name_labels(structures: pd.DataFrame, run: Run, label_set: str) -> pd.DataFrame:
    """The same rows, the name of a label beside its number."""
    names = run.tasks[0].get_cohort().label_sets[label_set]["name"]
    first = ["key", "label", "name"]
    named = structures.assign(name=structures["label"].map(names))
    return named[[*first, *named.columns.difference(first, sort=False)]]


def _compare_structures(
    structures: pd.DataFrame, run: Run, sides: Sequence[tuple[str, ...]], first: str
) -> pd.DataFrame:
    """Mean difference of the families per structure, with its interval and Holm's p over subjects."""
    pair = ["fixed", "moving", "fixed_subject", "moving_subject"]
    rows = structures[structures["kind"] == "between"]
    wide = rows.pivot_table("dice", ["label", *pair], "method")
    deep, iterative = (wide[list(side)].mean(axis=1, skipna=False) for side in sides)
    both = pd.DataFrame({"deep": deep, "iterative": iterative}).dropna().reset_index()
    out = []
    for label, mine in both.groupby("label"):
        columns = (mine[c].to_numpy() for c in ("deep", "iterative", *pair[2:]))
        found = stats.compute_interval(stats.Matched(*columns))
        out.append({"label": label, **stats.as_row(found, "mean"), "p": found.compute_p()})
    table = pd.DataFrame(out).assign(p_holm=lambda t: stats.holm(t["p"]))
    return table.merge(run.tasks[0].get_cohort().label_sets[first], on="label")


# ---- sentences -----------------------------------------------------------------------------------


def _say_means(between: pd.DataFrame, complete: list[str], families: Families) -> str:
    done = between[(between["status"] == "ok") & between["method"].isin(complete)]
    if done.empty:
        return "No method has been run on these pairs yet."
    means = done.groupby("method")["dice"].mean()
    return (
        f"Mean Dice by method: {describe_families(means, families=families)}; {write_design(done)}."
    )


def _say_labels(choices: pd.DataFrame, call: Callable[[str], str]) -> str:
    """What the same families give by label sets other than that of the verdict, each word at 95 %."""
    if choices.empty:
        return ""
    mine = take_dice(choices[choices["declared"] & (choices["choice"] == "families")])
    usual = mine.loc[mine["usual"].astype(bool), "labels"].iloc[0]
    others = mine[(mine["ruler"] == USUAL) & (mine["labels"] != usual)]
    said = [
        f"“{call(row.labels)}” labels instead of “{call(usual)}” give the same families "
        f"{show_interval(row.estimate, row.low, row.high)}, {row.word}."
        for row in others.itertuples()
    ]
    return " ".join(said)


def _tabulate_means(table: pd.DataFrame, complete: list[str]) -> str:
    """All means are of the same pairs; what was not run on all of them is named below."""
    rows = []
    for method in complete:
        mine = table[table["method"] == method]
        pairs, rescan = mine[mine["kind"] == "between"], mine[mine["kind"] == "rescan"]
        rows.append(
            {
                "method": name_of(method),
                "mean Dice": show(pairs["dice"].mean()),
                "SD over pairs": show(pairs["dice"].std()),
                "HD95 mm": show(pairs["hd95_mm"].mean(), 2),
                "folding %": show(pairs["ndv_percent"].mean()),
                "lost labels": int(pairs["n_lost"].sum()),
                "rescan Dice": show(rescan["dice"].mean()),
                "family": mine["family"].iloc[0],
                "pairs": len(pairs),
                "failed": int((pairs["status"] != "ok").sum()),
            }
        )
    between = table[table["kind"] == "between"]
    counts = between["method"].value_counts()
    few = [f"- {name_of(m)}: {counts[m]}" for m in order_of(counts.index) if m not in complete]
    said = "\n\nNot in the table, for want of pairs:\n\n" + "\n".join(few) if few else ""
    return make_table(rows) + said


def _tabulate_beside(
    between: pd.DataFrame, families: Families, beside: list[str], margin: float
) -> str:
    """What stands beside the families against the other side's mean, and the best of either."""
    networks = set(between.loc[between["family"] == "deep", "method"])
    means = between.groupby("method")["dice"].mean()
    deep, iterative = (
        [m for m in side if m in means] for side in (families.deep, families.iterative)
    )
    compared: list[tuple[str, list[str], list[str]]] = [
        (f"{name_of(m)} − iterative methods", [m], iterative)
        if m in networks
        else (f"networks − {name_of(m)}", deep, [m])
        for m in beside
    ]
    if deep and iterative:
        best = [str(means[side].idxmax()) for side in (deep, iterative)]
        named = " − ".join(name_of(m) for m in best)
        compared.append((f"{named}: the best of either, picked after looking", best[:1], best[1:]))
    rows = []
    for name, first, second in compared:
        if first and second:
            found = stats.compute_interval(stats.match_pairs(between, first, second))
            rows.append(
                {
                    "beside the families": name,
                    "Dice (95 %)": show_interval(found.estimate, found.low, found.high),
                    "word": stats.find_word(found.low, found.high, margin),
                    "pairs": found.n_pairs,
                }
            )
    return make_table(rows, "")


def _say_structures(table: pd.DataFrame | None) -> str:
    if table is None:
        return "Without a network there is no comparison to draw."
    clear = table[table["p_holm"] < 0.05]
    ahead, behind = int((clear["mean"] > 0).sum()), int((clear["mean"] < 0).sum())
    groups = table.groupby("group")["mean"].mean()
    return (
        f"Of {len(table)} structures, networks are ahead in {ahead} and iterative methods in {behind}, "
        "after Holm's correction over structures. Mean difference by group: "
        + ", ".join(f"{group} {show(value, sign=True)}" for group, value in groups.items())
        + "."
    )


def _say_rescans(table: pd.DataFrame) -> str:
    """Who makes two scans of one brain agree less than the affine alignment alone."""
    rows = table[(table["kind"] == "rescan") & (table["status"] == "ok")]
    wide = rows.pivot_table("dice", ["fixed", "moving"], "method")
    if wide.empty or "affine" not in wide:
        return "No two scans of one brain were registered on this page."
    change = wide.drop(columns="affine").sub(wide["affine"], axis=0)
    return (
        "Two scans of one brain have nothing to be deformed. Against the affine alignment alone:\n\n"
    ) + make_table(
        {
            "method": name_of(m),
            "change of Dice": show(change[m].mean(), sign=True),
            "below the affine on": f"{int((change[m] < 0).sum())} of {change[m].count()}",
        }
        for m in order_of(change.columns)
    )


def _say_cost(between: pd.DataFrame, complete: list[str], families: Families) -> str:
    """What methods cost that were run on the same pairs."""
    done = between.query("status == 'ok' and method != 'affine' and method in @complete")
    if done.empty:
        return ""
    costs = done.groupby("method")[["cpu_seconds", "method_mb"]].median()
    seconds, memory = (describe_families(costs[c], 0, families) for c in costs)
    return f"Median per pair, processor seconds: {seconds}. Memory, MB: {memory}."


def _list_limits(run: Run, table: pd.DataFrame) -> list[str]:
    start = run.tasks[0].preprocessing.alignment
    lines = [] if start == "affine" else [
        f"The methods start from the alignment `{start}` alone, and the row that is otherwise the "
        "affine shows that start."
    ]  # fmt: skip
    timed = table.dropna(subset=["threads", "hardware"])
    times = [] if timed.empty else [
        f"Times are of {count(int(timed['threads'].max()), 'thread')} a registration on "
        f"{stats.join(timed['hardware'].unique())}, no GPU where none is named.",
    ]  # fmt: skip
    return [
        *lines,
        "Published networks see the images once; the iterative methods run with the settings of their "
        "authors, not tuned on these pairs. Chapter 06 shows other strengths of smoothing of some of them.",
        *times,
    ]
