"""Balanced pairs of one cohort by every method: notebooks 01, 06 and 08."""

from __future__ import annotations

from collections.abc import Mapping

from ...cohorts import balanced_pairs, get_cohort, rescan_pairs
from ...runs.task import Task, plan
from .paper import is_paper_data, paper_options, plan_paper, start_at


def cohort_options(parameters: Mapping) -> dict:
    """What the cohort of an experiment is made with."""
    if is_paper_data(parameters):
        return paper_options(parameters)
    if parameters["cohort"] != "template":
        return {}
    return {k: parameters[k] for k in ("spacing_mm", "n_subjects", "seed")}


def plan_pairs(parameters: Mapping) -> list[Task]:
    """Balanced pairs of a cohort's test scans by every method (notebooks 01, 06, 08).

    The paper's own data come with their own pairs.
    """
    if is_paper_data(parameters):
        return plan_paper(parameters)
    options = cohort_options(parameters)
    cohort = get_cohort(parameters["cohort"], **options)
    scans = [s for s in cohort.scans if s.group == "test"]
    start = start_at(parameters.get("alignment", "affine"))
    common = {"cohort_options": options, "preprocessing": [start]}
    tasks = plan(
        cohort.name,
        balanced_pairs(scans, parameters["n_pairs"], parameters["seed"]),
        parameters["methods"],
        limits=parameters["limits"],
        **common,
    )
    if parameters["rescan"]:
        quick = [m for m in parameters["methods"] if m not in parameters["limits"]]
        tasks += plan(cohort.name, rescan_pairs(scans), quick, **common)
    return tasks
