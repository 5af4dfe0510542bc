"""The same pairs under one perturbation of the preprocessing after another: notebook 05."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...cohorts import balanced_pairs, get_cohort
from ...errors import InputError
from ...images.preprocess import PERTURBATIONS, STANDARD
from ...runs.task import Task, plan
from ..choice import split_methods
from ..pairs import cohort_options
from ..paper import CENTRE, is_paper_data, plan_paper


def choose_conditions(names: Iterable[str]) -> list[str]:
    """The perturbations of these names, in the order of the list; of no name, all.

    Raises
    ------
    InputError
        A name that is no perturbation.
    """
    names = list(names)
    unknown = [name for name in names if name not in PERTURBATIONS]
    if unknown:
        raise InputError(
            f"no perturbation {', '.join(unknown)}; there are {', '.join(PERTURBATIONS)}"
        )
    return [name for name in PERTURBATIONS if not names or name in names]


def plan_preprocessing(parameters: Mapping) -> list[Task]:
    """Pair by pair, the standard preprocessing first, then every perturbation, by all methods.

    The order is that of the use: after the first pair every condition has been seen once. Of a
    method with a limit, the first pairs alone.

    The paper's own data start under every condition as its authors' registrations do.
    """
    names = choose_conditions(parameters["conditions"])
    conditions = [STANDARD, *(PERTURBATIONS[name].preprocessing for name in names)]
    if is_paper_data(parameters):
        same = [c for c in conditions if c.alignment == STANDARD.alignment]
        return plan_paper(parameters, [replace(c, alignment=CENTRE) for c in same])
    options = cohort_options(parameters)
    cohort = get_cohort(parameters["cohort"], **options)
    scans = [s for s in cohort.scans if s.group == "test"]
    methods, _ = split_methods(parameters["methods"])
    tasks = []
    for number, pair in enumerate(balanced_pairs(scans, parameters["n_pairs"], parameters["seed"])):
        now = [m for m in methods if number < parameters["limits"].get(m, number + 1)]
        for condition in conditions:
            tasks += plan(
                cohort.name, [pair], now, cohort_options=options, preprocessing=[condition]
            )
    return tasks
