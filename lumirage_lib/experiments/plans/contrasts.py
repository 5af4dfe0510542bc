"""Notebook 03: the same pairs in T1w and in other contrasts, three arms and a dose-response."""

from __future__ import annotations

from collections.abc import Mapping

from ...cohorts import Pair, balanced_pairs, get_cohort
from ...errors import InputError
from ...images.contrast import INVERTED
from ...methods import get_method
from ...runs.task import plan
from ..entry import Entry
from .pairs import cohort_options
from .paper import CENTRE, is_paper_data, plan_paper

CONTROL = "T1w again"  # T1w through the same synthesis: what it changes besides the contrast
DOSED = "T2w"
SYNTHESISED, DOSES = "synthesised", "dose"
BIDS_SUFFIX = {"T2*w": "T2starw"}  # where it is not the name used here


def known_methods(names) -> tuple[list[str], list[str]]:
    """Those in the registry, and those that are not."""
    known, unknown = [], []
    for name in names:
        try:
            get_method(name)
        except InputError:
            unknown.append(name)
        else:
            known.append(name)
    return known, unknown


def choose_pairs(parameters: Mapping) -> list[Pair]:
    """Balanced pairs of the anatomy's test scans: the first of those of notebook 01."""
    anatomy = get_cohort(parameters["cohort"], **cohort_options(parameters))
    scans = [s for s in anatomy.scans if s.group == "test"]
    return balanced_pairs(scans, parameters["n_pairs"], parameters["seed"])


def describe_paper_arm(parameters: Mapping) -> list[Entry]:
    """The real contrasts of one of the paper's own data sets, in its authors' way: the only arm."""
    methods, _ = known_methods(parameters["methods"])
    entries = []
    for contrast in ("T1w", *parameters["contrasts"]):
        options = {"contrast": BIDS_SUFFIX.get(contrast, contrast)}
        mine = {**parameters, "methods": methods, "cohort_options": options, "alignment": CENTRE}
        tasks = plan_paper(mine)
        entries += [Entry(parameters["cohort"], contrast, None, task) for task in tasks]
    return entries


def describe_arms(parameters: Mapping) -> list[Entry]:
    """Every registration with the arm, contrast and dose it stands for, the synthesised arm first."""
    if is_paper_data(parameters):
        return describe_paper_arm(parameters)
    methods, _ = known_methods(parameters["methods"])
    entries: list[Entry] = []

    def add(arm, condition, cohort, pairs, options, dose=None, names=methods):
        tasks = plan(cohort, pairs, names, cohort_options=options)
        entries.extend(Entry(arm, condition, dose, task) for task in tasks)

    pairs, anatomy = choose_pairs(parameters), cohort_options(parameters)
    made = {"anatomy": parameters["cohort"], **anatomy}
    add(SYNTHESISED, "T1w", parameters["cohort"], pairs, anatomy)
    for contrast in parameters["contrasts"]:
        real = "T1w" if contrast == CONTROL else contrast
        add(SYNTHESISED, contrast, "synthetic", pairs, {**made, "contrast": real})
    for cohort, n_pairs in parameters["real"].items():
        options = {"n_atlases": parameters["n_atlases"]} if cohort == "openms" else {}
        chosen = balanced_pairs(get_cohort(cohort, **options).scans, n_pairs, parameters["seed"])
        seen = ("T1w", "T2w", "FLAIR") if cohort == "openms" else ("T1w", "FLAIR")
        for contrast in seen:
            add(cohort, contrast, cohort, chosen, {**options, "contrast": contrast})
    dosed, _ = known_methods(parameters["dose_methods"])
    few = pairs[: parameters["n_dose_pairs"]]
    for dose in parameters["doses"]:
        options = {**made, "contrast": DOSED, "dose": float(dose)}
        add(DOSES, DOSED, "synthetic", few, options, float(dose), dosed)
    if parameters["doses"]:
        add(DOSES, INVERTED, "synthetic", few, {**made, "contrast": INVERTED}, None, dosed)
    return entries
