"""Balanced pairs of one cohort by every method: notebooks 01, 06 and 08, and the beginning of others."""

from collections.abc import Mapping
from typing import Any

from ..cohorts import Pair, balanced_pairs, get_cohort, get_options, rescan_pairs
from ..cohorts.local import LAYOUTS
from ..errors import InputError
from ..images.preprocess import STANDARD, Preprocessing, step
from ..runs.task import plan
from .entry import Entry, enter
from .paper import is_paper_data, paper_options, plan_paper, start_at


def cohort_options(parameters: Mapping) -> dict:
    """What the cohort of an experiment is made with: those of the parameters that it takes."""
    if is_paper_data(parameters):
        return paper_options(parameters)
    if stray := [name for name in ("root", "cohort_options") if parameters.get(name)]:
        raise InputError(
            f"{stray[0]}={parameters[stray[0]]!r}: the cohort {parameters['cohort']} is not read from a "
            f"folder of yours; leave it out, or choose one of {', '.join(LAYOUTS)}"
        )
    taken = get_options(parameters["cohort"])
    return {k: parameters[k] for k in ("spacing_mm", "n_subjects", "seed") if k in taken}


def find_test_scans(parameters: Mapping) -> list:
    """The scans that are judged on."""
    cohort = get_cohort(parameters["cohort"], **cohort_options(parameters))
    return [scan for scan in cohort.scans if scan.group == "test"]


def choose_pairs(parameters: Mapping) -> list[Pair]:
    """Balanced pairs of the test scans; of one seed, the first are the same in every notebook."""
    return balanced_pairs(find_test_scans(parameters), parameters["n_pairs"], parameters["seed"])


def working_at(spacing_mm: float, native_mm: float) -> Preprocessing:
    """The standard preprocessing, then both images resampled; at the native voxel size, not.

    Labels never are: the field goes back to the native grid.
    """
    if spacing_mm == native_mm:
        return STANDARD
    steps = (*STANDARD.pair_steps, step("set_spacing", spacing_mm=spacing_mm))
    return Preprocessing(f"{spacing_mm:g} mm", pair_steps=steps)


def plan_pairs(parameters: Mapping) -> list[Entry]:
    """Balanced pairs of a cohort's test scans by every method (notebooks 01, 06, 08).

    The paper's own data come with their own pairs.
    """
    if is_paper_data(parameters):
        return enter(plan_paper(parameters))
    common: dict[str, Any] = {
        "cohort_options": cohort_options(parameters),
        "preprocessing": [start_at(parameters.get("alignment", "affine"))],
    }
    cohort, methods, limits = (parameters[name] for name in ("cohort", "methods", "limits"))
    tasks = plan(cohort, choose_pairs(parameters), methods, limits=limits, **common)
    if parameters["rescan"]:
        quick = [m for m in methods if m not in limits]
        tasks += plan(cohort, rescan_pairs(find_test_scans(parameters)), quick, **common)
    return enter(tasks)
