"""Notebook 02: are networks as accurate as iterative methods on macaque brains?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ... import stats
from ...cohorts.macaque import HUMAN_SCALE
from ...cohorts.macaque_like import INIA19, VARIABLE
from ...methods import name_of, order_of
from ..comparison import (
    adjust,
    compare_networks,
    judge,
    list_verdicts,
    split_arms,
    tabulate_networks,
)
from ..experiment import Result
from ..families import LEAK_FREE
from ..run import Run
from ..sentences import (
    list_limits,
    list_points,
    show,
    show_interval,
    write_design,
    write_state,
)
from .plan import SPECIES


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    table = run.registrations
    rows, families = split_arms(run)[SPECIES]
    sizes = [s for s in parameters["sizes"] if s in set(rows["condition"])]
    found = [
        judge(
            SPECIES, rows, families, size, says="equal", where=f"on macaque brains at {size}",
            text="on macaque brains deep and iterative methods are equally accurate",
            margin=parameters["margin"],
        )
        for size in sizes
    ]  # fmt: skip
    verdicts = {v.claim.id: v for v in adjust(found)}
    changes = [compare_networks(rows, families, size, beside=LEAK_FREE) for size in sizes]
    differences = pd.concat(changes, ignore_index=True) if changes else pd.DataFrame()
    return Result(
        answer=_answer(verdicts),
        state=write_state(run),
        design=f"{write_design(rows)}.",
        verdicts=verdicts,
        verdict_text=list_verdicts(verdicts),
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        differences=differences,
        differences_table=tabulate_networks(differences),
        size_text=_say_sizes(rows, sizes),
        related_text=_say_related(table),
        images=_say_images(run, parameters),
        limits=list_points([*list_limits(run), _LIMIT]),
    )


_LIMIT = (
    "Networks that declare the voxel size they were trained at see the images resampled to it: at true "
    f"size a macaque brain is then about {HUMAN_SCALE:g} times smaller in every direction than anything "
    "they were trained on; at human size, which is also how the paper presents its macaques, it has "
    "human extent. Iterative methods work on the published voxels at either size."
)


def _answer(verdicts: Mapping[str, stats.Verdict]) -> str:
    said = "; ".join(f"at {name.split(': ')[1]}, {v.verdict}" for name, v in verdicts.items())
    numbers = " ".join(v.sentence for v in list(verdicts.values())[-1:])
    return (
        f"**Answer.** That networks and iterative methods are equally accurate: {said}. {numbers}"
        if said
        else "**Answer.** Nothing was registered yet, so the question stays open."
    )


def _say_sizes(rows: pd.DataFrame, sizes: list[str]) -> str:
    """What the header's size does to each method, and who falls below the affine alignment."""
    deep = order_of(rows.loc[rows["family"] == "deep", "method"])
    if len(sizes) < 2 or not deep:
        return ""
    drops = stats.compute_drops(rows, deep, reference=sizes[-1], conditions=[sizes[0]])
    items = [
        f"{name_of(r.method)} {show_interval(r.drop, r.low, r.high)}"
        for r in drops.dropna(subset="drop").itertuples()
    ]
    means = rows[rows["condition"] == sizes[0]].groupby("method")["dice"].mean()
    below = [
        f"{name_of(m)} {show(means[m])}"
        for m in deep
        if "affine" in means and m in means and means[m] < means["affine"]
    ]
    fallen = (
        f" At {sizes[0]}, below the {show(means['affine'])} of the affine alignment that they start "
        f"from: {', '.join(below)}. A network is not told the size of a brain."
        if below
        else ""
    )
    return (
        f"Loss of Dice at {sizes[0]} against {sizes[-1]} (positive: worse at {sizes[0]}): "
        f"{'; '.join(items)}.{fallen}"
    )


def _say_related(table: pd.DataFrame) -> str:
    related = table[(table["kind"] == "related") & (table["status"] == "ok")]
    if related.empty:
        return "No two images of this run share their animals."
    sizes = []
    for size, rows in related.groupby("condition", sort=False):
        means = rows.groupby("method")["dice"].mean()
        items = ", ".join(f"{name_of(m)} {means[m]:.3f}" for m in order_of(means.index))
        sizes.append(f"at {size} {items}")
    return (
        f"The symmetric and the asymmetric NMT, the same animals, in "
        f"{len(related[['fixed', 'moving']].drop_duplicates())} pairs that no test above counts: "
        f"mean Dice {'; '.join(sizes)}."
    )


def _say_images(run: Run, parameters: Mapping) -> str:
    """What the images of this run are, where the page does not say it of all runs."""
    if parameters["cohort"] != "macaque_like":
        return ""
    cohort = run.tasks[0].get_cohort()
    if cohort.reference == INIA19:
        return (
            f"The brains of this run are {cohort.title} {{cite}}`{INIA19}`, the mean of rhesus macaques, "
            f"with {len(next(iter(cohort.label_sets.values())))} structures of its labels."
        )
    return (
        f"The brains of this run are {cohort.title}, because the macaque template INIA19 "
        f"{{cite}}`{INIA19}` is not on this machine. Debian's package mricron-data installs it; the "
        f"variable `{VARIABLE}` names another folder with its files."
    )
