"""The same pairs at one working voxel size after another: notebook 04."""

from __future__ import annotations

from collections.abc import Mapping

from ...cohorts import Cohort, balanced_pairs, get_cohort
from ...images.preprocess import STANDARD, Preprocessing, step
from ...runs.task import Task, plan
from ..choice import split_methods

TEMPLATE = "template"


def working_at(spacing_mm: float, native_mm: float) -> Preprocessing:
    """The standard preprocessing, then both images resampled; at the native voxel size, not.

    Labels never are: the field goes back to the native grid.
    """
    if spacing_mm == native_mm:
        return STANDARD
    steps = (*STANDARD.pair_steps, step("set_spacing", spacing_mm=spacing_mm))
    return Preprocessing(f"{spacing_mm:g} mm", pair_steps=steps)


def studies(parameters: Mapping) -> list[tuple[Cohort, Mapping, str, float]]:
    """Cohort, its options, the prefix of its parameters and its native voxel size, of each study."""
    found = []
    if parameters["template_pairs"]:
        options = {
            "spacing_mm": parameters["template_mm"],
            "n_subjects": parameters["n_subjects"],
            "seed": parameters["seed"],
        }
        native_mm = parameters["template_mm"]
        found.append((get_cohort(TEMPLATE, **options), options, "template", native_mm))
    if parameters["oasis_pairs"]:
        found.append((get_cohort("oasis"), {}, "oasis", 1.0))
    return found


def plan_resolution(parameters: Mapping) -> list[Task]:
    """Pair by pair, every working voxel size by all methods that are registered here."""
    tasks = []
    for cohort, options, prefix, native_mm in studies(parameters):
        scans = [s for s in cohort.scans if s.group == "test"]
        methods, _ = split_methods(parameters[f"{prefix}_methods"])
        conditions = [working_at(mm, native_mm) for mm in parameters[f"{prefix}_working_mm"]]
        for pair in balanced_pairs(scans, parameters[f"{prefix}_pairs"], parameters["seed"]):
            tasks += plan(
                cohort.name, [pair], methods, cohort_options=options, preprocessing=conditions
            )
    return tasks
