"""The same pairs at one working voxel size after another: notebook 04."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cohorts import balanced_pairs, get_cohort
from ...runs.task import plan
from ..choice import split_methods
from ..entry import Entry, enter
from ..pairs import working_at

TEMPLATE, OASIS, PRIMARY = "template", "oasis", "0.6 mm"  # arms
PRIMARY_MM = 1.5  # scale of the finest deformation in the primary arm


@dataclass(frozen=True)
class Study:
    """Balanced pairs of one cohort, registered at several voxel sizes.

    Attributes
    ----------
    arm : str
    cohort : str
    options : mapping
    native_mm : float
        Voxel size of its images and labels.
    working_mm : sequence of float
    methods : sequence of str
    n_pairs : int
    fine_mm : float or None
        Scale of the finest deformation where it is declared; 0: none below the coarse ones.
    """

    arm: str
    cohort: str
    options: Mapping[str, Any]
    native_mm: float
    working_mm: Sequence[float]
    methods: Sequence[str]
    n_pairs: int
    fine_mm: float | None = None


def name_fine(fine_mm: float) -> str:
    """Arm of generated brains that differ down to that scale; that of the rules has its name there."""
    return PRIMARY if fine_mm == PRIMARY_MM else f"fine {fine_mm:g} mm"


def list_studies(parameters: Mapping) -> list[Study]:
    """What the parameters ask for, generated brains of the finest scale first."""
    made = {"spacing_mm": parameters["template_mm"], "seed": parameters["seed"]}
    native_mm = parameters["template_mm"]
    fine = {"n_subjects": parameters["fine_subjects"], "noise": parameters["fine_noise"]}
    studies = [
        Study(
            name_fine(mm), TEMPLATE, {**made, **fine, "fine_mm": float(mm)}, native_mm,
            parameters["fine_working_mm"], parameters["fine_methods"], n, float(mm),
        )
        for mm, n in zip(parameters["fine_scales_mm"], parameters["fine_pairs"], strict=True)
    ]  # fmt: skip
    plain = {**made, "n_subjects": parameters["n_subjects"]}
    for arm, cohort, options, mm, scale in (
        (TEMPLATE, TEMPLATE, plain, native_mm, 0.0),
        (OASIS, OASIS, {}, 1.0, None),
    ):
        working, methods, n = (parameters[f"{arm}_{x}"] for x in ("working_mm", "methods", "pairs"))
        studies.append(Study(arm, cohort, options, mm, working, methods, n, scale))
    return [study for study in studies if study.n_pairs]


def plan_resolution(parameters: Mapping) -> list[Entry]:
    """Pair by pair, every working voxel size by all methods that are registered here.

    The condition is the working voxel size, "1 mm", also where it is that of the images; the dose is
    the scale of the finest deformation, where it is declared.
    """
    entries = []
    for study in list_studies(parameters):
        scans = [s for s in get_cohort(study.cohort, **study.options).scans if s.group == "test"]
        methods, _ = split_methods(study.methods)
        for pair in balanced_pairs(scans, study.n_pairs, parameters["seed"]):
            for mm in study.working_mm:
                tasks = plan(
                    study.cohort,
                    [pair],
                    methods,
                    cohort_options=study.options,
                    preprocessing=[working_at(mm, study.native_mm)],
                )
                entries += enter(tasks, study.arm, f"{mm:g} mm", study.fine_mm)
    return entries
