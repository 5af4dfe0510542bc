"""The same pairs under one perturbation of the preprocessing after another: notebook 05."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ...errors import InputError
from ...images.preprocess import PERTURBATIONS, STANDARD
from ...runs.task import plan
from ..choice import split_methods
from ..entry import Entry, enter
from ..pairs import choose_pairs, cohort_options
from ..paper import CENTRE, is_paper_data, plan_paper

PRIMARY, EXPLORED = "preprocessing", "preprocessing, explored"  # arms


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


def plan_preprocessing(parameters: Mapping) -> list[Entry]:
    """The arm that is decided, then the one that explores; either pair by pair.

    The former has the conditions named `primary` on all pairs by all methods; the latter all
    conditions on `explored_pairs` by `explored_methods`. Within a pair the standard comes first: after
    the first pair every condition has been seen once. Of a method with a limit, the first pairs alone.

    The paper's own data start under every condition as its authors' registrations do.

    Raises
    ------
    InputError
        A name that is no perturbation.
    """
    names = choose_conditions(parameters["conditions"])
    primary = [name for name in choose_conditions(parameters["primary"]) if name in names]
    if is_paper_data(parameters):
        return _plan_paper_arms(parameters, names, primary)
    n_explored = parameters["explored_pairs"] or parameters["n_pairs"]
    explorers = parameters["explored_methods"] or parameters["methods"]
    return [
        *_plan_arm(parameters, PRIMARY, primary, parameters["n_pairs"], parameters["methods"]),
        *_plan_arm(parameters, EXPLORED, names, n_explored, explorers),
    ]


def _list_conditions(names: Sequence[str]) -> list:
    return [STANDARD, *(PERTURBATIONS[name].preprocessing for name in names)] if names else []


def _plan_arm(parameters: Mapping, arm: str, names, n_pairs: int, methods) -> list[Entry]:
    known, _ = split_methods(methods)
    entries = []
    for number, pair in enumerate(choose_pairs({**parameters, "n_pairs": n_pairs})):
        now = [m for m in known if number < parameters["limits"].get(m, number + 1)]
        for condition in _list_conditions(names):
            tasks = plan(
                parameters["cohort"],
                [pair],
                now,
                cohort_options=cohort_options(parameters),
                preprocessing=[condition],
            )
            entries += enter(tasks, arm)
    return entries


def _plan_paper_arms(parameters: Mapping, names, primary) -> list[Entry]:
    entries = []
    for arm, chosen in ((PRIMARY, primary), (EXPLORED, names)):
        same = [c for c in _list_conditions(chosen) if c.alignment == STANDARD.alignment]
        if same:
            tasks = plan_paper(parameters, [replace(c, alignment=CENTRE) for c in same])
            entries += enter(tasks, arm)
    return entries
