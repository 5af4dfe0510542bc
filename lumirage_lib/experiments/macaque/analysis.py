"""Notebook 02: are networks as accurate as iterative methods on macaque brains?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ... import stats
from ...cohorts.local import LAYOUTS
from ...cohorts.macaque import HUMAN_SCALE
from ...cohorts.macaque_like import INIA19, VARIABLE
from ...methods import name_of, order_of
from ..choice import split_methods
from ..completeness import find_methods
from ..run import Run
from .plan import SPECIES


@dataclass(frozen=True)
class Result:
    """Sentences, tables and figure data of the page; every number in them is computed."""

    answer: str
    state: str
    design: str
    verdicts: dict[str, stats.Verdict]
    verdict_text: str
    pairs: pd.DataFrame
    differences: pd.DataFrame
    differences_table: str
    size_text: str
    related_text: str
    images: str
    limits: str


def tabulate(run: Run) -> pd.DataFrame:
    """Registrations with the size as condition."""
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
    table = tabulate(run)
    between = table[table["kind"] == "between"]
    sizes = [s for s in parameters["sizes"] if s in set(between["condition"])]
    deep, iterative = (find_methods(between, family) for family in ("deep", "iterative"))
    differences, verdicts = pd.DataFrame(), {}
    if deep and iterative:
        differences = _compare(between, sizes, deep, iterative, seed)
        claims = [_claim(s, deep, iterative, parameters["margin"]) for s in sizes]
        found = [stats.decide(claim, between) for claim in claims]
        verdicts = {v.claim.id: v for v in stats.adjust_verdicts(found)}
    return Result(
        answer=_answer(verdicts),
        state=_state(run, parameters),
        design=_design(between),
        verdicts=verdicts,
        verdict_text="\n".join(f"- {v.sentence}" for v in verdicts.values())
        or "The rule needs a network and an iterative method; one of the two is missing.",
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        differences=differences,
        differences_table=_differences_table(differences),
        size_text=_size_text(between, sizes, deep, seed),
        related_text=_related_text(table),
        images=_images(run, parameters),
        limits=_limits(run, parameters),
    )


def _claim(size: str, deep, iterative, margin: float) -> stats.Claim:
    return stats.Claim(
        f"{SPECIES}: {size}",
        "on macaque brains deep and iterative methods are equally accurate",
        "equal",
        tuple(deep),
        tuple(iterative),
        condition=size,
        margin=margin,
        where=f"on macaque brains at {size}",
    )


def _compare(between, sizes, deep, iterative, seed) -> pd.DataFrame:
    """Deep minus the mean of the iterative methods, of every network and of all, at every size."""
    rows = []
    for size in sizes:
        for name, who in [("all networks", tuple(deep)), *((d, d) for d in deep)]:
            matched = stats.match_pairs(between, who, tuple(iterative), condition=size)
            row = {"arm": SPECIES, "condition": size, "method": name, "n_pairs": matched.n_pairs}
            row |= {"n_subjects": matched.n_subjects, "n_failed": matched.n_failed}
            row |= dict.fromkeys(("change", "low", "high", "g_z", "g_av"), np.nan)
            if matched.n_pairs > 1:
                found = stats.compute_effect_sizes(matched)
                mean = found.mean_difference
                row |= {"change": mean.estimate, "low": mean.low, "high": mean.high}
                row |= {"g_z": found.g_z.estimate, "g_av": found.g_av.estimate}
            rows.append(row)
    return pd.DataFrame(rows)


def _answer(verdicts: Mapping[str, stats.Verdict]) -> str:
    if not verdicts:
        return (
            "**Answer.** Not both a network and an iterative method are there, so the question stays "
            "open."
        )
    words = ", ".join(f"{name.split(': ')[1]}: {v.verdict}" for name, v in verdicts.items())
    return f"**Answer.** That networks and iterative methods are equally accurate is, by size: {words}."


def _state(run: Run, parameters: Mapping) -> str:
    _, unknown = split_methods(parameters["methods"])
    lines = []
    if run.counts["skipped"]:
        lines.append(
            f"The run is not complete: {run.counts['skipped']} of {len(run.tasks)} registrations "
            "are still to be computed; what follows is of those that are there."
        )
    if unknown:
        lines.append(f"Not in the registry here, and left out: {', '.join(unknown)}.")
    return " ".join(lines)


def _design(between: pd.DataFrame) -> str:
    pairs = len(between[["fixed", "moving"]].drop_duplicates())
    subjects = len({*between["fixed_subject"], *between["moving_subject"]})
    return f"{pairs} ordered pairs of {subjects} subjects."


def _differences_table(differences: pd.DataFrame) -> str:
    if differences.empty:
        return "There is no comparison to tabulate."
    lines = [
        "| size | networks | deep − iterative, Dice (95 %) | d_z | d_av | pairs | failed |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in differences.to_dict("records"):
        lines.append(
            f"| {row['condition']} | {name_of(row['method'])} | {row['change']:+.3f} "
            f"({row['low']:+.3f} to {row['high']:+.3f}) | {row['g_z']:+.2f} | {row['g_av']:+.2f} "
            f"| {row['n_pairs']} | {row['n_failed']} |"
        )
    return "\n".join(lines)


def _size_text(between, sizes, deep, seed) -> str:
    if len(sizes) < 2 or not deep:
        return "Only one size was run, or no network; what size does cannot be told."
    drops = stats.compute_drops(between, deep, reference=sizes[-1], conditions=[sizes[0]]).dropna(
        subset="drop"
    )
    items = [
        f"{name_of(r.method)} {r.drop:+.3f} ({r.low:+.3f} to {r.high:+.3f})"
        for r in drops.itertuples()
    ]
    return (
        f"Loss of Dice at {sizes[0]} against {sizes[-1]} (positive: worse at {sizes[0]}): "
        + "; ".join(items)
        + "."
    )


def _related_text(table: pd.DataFrame) -> str:
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


def _shows_inia19(run: Run) -> bool:
    """Whether the generated brains of this run are deformations of a macaque's."""
    return bool(run.tasks) and run.tasks[0].get_cohort().reference == INIA19


def _images(run: Run, parameters: Mapping) -> str:
    """What the images of this run are, where the page does not say it of all runs."""
    if parameters["cohort"] != "macaque_like":
        return ""
    if _shows_inia19(run):
        labels = run.tasks[0].get_cohort().label_sets
        return (
            f"The {parameters['n_subjects']} brains of this run are deformations of INIA19 "
            f"{{cite}}`{INIA19}`, the mean of rhesus macaques, with {len(next(iter(labels.values())))} "
            "structures of its labels."
        )
    return (
        f"The {parameters['n_subjects']} brains of this run are those of the generated human population, "
        "shrunk to the lengths of a macaque brain, because the macaque template INIA19 "
        f"{{cite}}`{INIA19}` is not on this machine. Debian's package mricron-data installs it; the "
        f"variable `{VARIABLE}` names another folder with its files."
    )


def _limits(run: Run, parameters: Mapping) -> str:
    lines = [
        "- Networks that declare the voxel size they were trained at see the images resampled to it: at "
        f"true size a macaque brain is then about {HUMAN_SCALE:g} times smaller in every direction than "
        "anything they were trained on; at human size it has human extent. Iterative methods work on "
        "the published voxels at either size."
    ]
    if parameters["cohort"] == "macaque":
        lines += [
            "- Three of the four images are templates, means of many animals: smoother than a brain, and "
            "kinder to every method. Three independent subjects say little about a species; the width of "
            "the intervals says how little.",
            "- The labels were carried onto each image by registration of the source, not drawn there.",
        ]
    elif parameters["cohort"] in LAYOUTS:
        lines.append(
            "- The labels were drawn by a program on these images: a method is rewarded for what that "
            "program would draw."
        )
    elif _shows_inia19(run):
        lines.append(
            "- Every brain here is the one macaque template, smoothly deformed: all have the same folds, "
            "which is easier than animals are. The published run has other templates and an animal."
        )
    else:
        lines.append(
            "- These are no macaques: the generated human population, shrunk to the lengths of a macaque "
            "brain. The page shows what size does to a method, not what another species does; the "
            "published run has the animals."
        )
    return "\n".join(lines)
