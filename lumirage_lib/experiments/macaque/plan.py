"""Notebook 02: macaque brains as they are, and declared as large as human ones."""

from collections.abc import Mapping

from ...cohorts import Pair, balanced_pairs, get_cohort
from ...cohorts.macaque import HUMAN_SCALE, related_pairs
from ...images.preprocess import STANDARD, Preprocessing, step
from ...runs.task import plan
from ..choice import split_methods
from ..entry import Entry
from ..pairs import cohort_options
from ..paper import is_paper_data, plan_paper

SPECIES = "macaque"
# The voxels stay; what the header says of their size is what a method with a trained spacing acts on.
SIZES: Mapping[str, Preprocessing] = {
    "true size": STANDARD,
    "human size": Preprocessing(
        "human size",
        pair_steps=(
            *STANDARD.pair_steps,
            *(step("mis_space", factor=HUMAN_SCALE, axis=axis) for axis in range(3)),
        ),
    ),
}


def choose_pairs(parameters: Mapping) -> tuple[dict, list[Pair]]:
    """Options of the cohort and its ordered pairs: all of the real one, balanced of the generated."""
    if parameters["cohort"] == "macaque":
        return {}, related_pairs(get_cohort("macaque").scans)
    options = cohort_options(parameters)
    scans = get_cohort(parameters["cohort"], **options).scans
    return options, balanced_pairs(scans, parameters["n_pairs"], parameters["seed"])


def plan_macaque(parameters: Mapping) -> list[Entry]:
    """Every pair by every method at every size; the paper's animals in its authors' way."""
    sizes = [SIZES[name] for name in parameters["sizes"]]
    if is_paper_data(parameters):
        tasks = plan_paper(parameters, sizes)
    else:
        options, pairs = choose_pairs(parameters)
        methods, _ = split_methods(parameters["methods"])
        tasks = plan(
            parameters["cohort"], pairs, methods, cohort_options=options, preprocessing=sizes
        )
    names = {how.name: size for size, how in SIZES.items()}
    return [Entry(SPECIES, names[t.preprocessing.name], None, t) for t in tasks]
