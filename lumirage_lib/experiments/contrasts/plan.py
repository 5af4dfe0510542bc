"""Notebook 03: the same pairs in T1w and in other contrasts, and a dose-response."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...cohorts import balanced_pairs, get_cohort, get_options
from ...errors import InputError
from ...images.contrast import INVERTED
from ...images.preprocess import SCALINGS, STANDARD, Preprocessing
from ...runs.task import plan
from ..choice import split_methods
from ..entry import Entry, enter
from ..pairs import choose_pairs, cohort_options, working_at
from ..paper import CENTRE, is_paper_data, plan_paper

CONTROL = "T1w again"  # T1w through the same synthesis: what it changes besides the contrast
DOSED = "T2w"
SYNTHESISED, DOSES, SCALED = "synthesised", "dose", "scaled"  # arms
BIDS_SUFFIX = {"T2*w": "T2starw"}  # where it is not the name used here


@dataclass(frozen=True)
class Real:
    """An arm of real images: its cohort, contrasts in the order they are run, and working grid.

    `segmented` says by which images the segmenter's labels are made, see
    :func:`lumirage_lib.cohorts.segmented.add_segmented`.
    """

    cohort: str
    contrasts: tuple[str, ...]
    preprocessing: Preprocessing = STANDARD
    segmented: str = "T1w"


REAL = {
    # "T1w thick" has the slices of FLAIR: what is lost from it to FLAIR is not resolution.
    "nichart at 1 mm": Real(
        "nichart", ("T1w thick", "FLAIR", "T1w"), working_at(1.0, 2.0), "contrast"
    ),
    "nichart": Real("nichart", ("T1w", "FLAIR")),
    "openms": Real("openms", ("T1w", "T2w", "FLAIR")),
    # Grids of their own: of about 1 mm, with slices of 3 mm, of 2 mm; both sides work at 1 mm.
    "real5": Real("real5", ("T1w", "T2w", "FLAIR"), working_at(1.0, 1.2), "contrast"),
    "openms-clinical": Real("openms-clinical", ("T1w", "FLAIR"), working_at(1.0, 3.0), "contrast"),
    "ls": Real("ls", ("T1w", "T2*w"), working_at(1.0, 2.0)),
}


def name_scaled(contrast: str, scaling: str) -> str:
    """Condition of a contrast whose intensities were scaled otherwise."""
    return f"{contrast}, {scaling}"


def _plan_paper_arm(parameters: Mapping, methods: Sequence[str]) -> list[Entry]:
    """The real contrasts of one of the paper's own data sets, in its authors' way: the only arm."""
    entries = []
    for contrast in ("T1w", *parameters["contrasts"]):
        options = {"contrast": BIDS_SUFFIX.get(contrast, contrast)}
        mine = {**parameters, "methods": methods, "cohort_options": options, "alignment": CENTRE}
        entries += enter(plan_paper(mine), parameters["cohort"], contrast)
    return entries


def plan_real(arm: str, n_pairs: int, methods: Sequence[str], parameters: Mapping) -> list[Entry]:
    """The pairs of an arm of `REAL` in each of its contrasts; `parameters`: n_atlases and seed."""
    real, entries = REAL[arm], list[Entry]()
    known = get_options(real.cohort)
    options = {k: parameters[k] for k in ("n_atlases",) if k in known}
    scans = get_cohort(real.cohort, **options).scans
    pairs = balanced_pairs(scans, n_pairs, parameters["seed"])
    for contrast in real.contrasts:
        # Of T1w in thick slices the segmenter sees what they are made of.
        segmented = "T1w" if contrast.startswith("T1w") else real.segmented
        seen = {**options, "contrast": contrast}
        seen |= {"segmented": segmented} if "segmented" in known else {}
        tasks = plan(
            real.cohort, pairs, methods, cohort_options=seen, preprocessing=[real.preprocessing]
        )
        entries += enter(tasks, arm, contrast)
    return entries


def plan_contrasts(parameters: Mapping) -> list[Entry]:
    """Every registration with the arm, contrast and dose it stands for.

    The T1w pairs of the synthesised arm are the first of notebook 01. `arm_methods` names the
    methods of the arms that do not have all.
    """
    methods, _ = split_methods(parameters["methods"])
    if is_paper_data(parameters):
        return _plan_paper_arm(parameters, methods)
    entries: list[Entry] = []

    def add(arm, condition, cohort, pairs, options, dose=None, names=None, how=STANDARD):
        names = names or parameters["arm_methods"].get(arm, methods)
        tasks = plan(cohort, pairs, names, cohort_options=options, preprocessing=[how])
        entries.extend(enter(tasks, arm, condition, dose))

    pairs, anatomy = choose_pairs(parameters), cohort_options(parameters)
    made = {"anatomy": parameters["cohort"], **anatomy}
    add(SYNTHESISED, "T1w", parameters["cohort"], pairs, anatomy)
    for contrast in parameters["contrasts"]:
        real = "T1w" if contrast == CONTROL else contrast
        add(SYNTHESISED, contrast, "synthetic", pairs, {**made, "contrast": real})
        for scaling, names in parameters["scalings"].items() if contrast != CONTROL else ():
            if scaling not in SCALINGS:
                raise InputError(f"scalings: {scaling!r}; there are {', '.join(SCALINGS)}")
            seen, how = {**made, "contrast": real}, SCALINGS[scaling]
            add(SCALED, name_scaled(contrast, scaling), "synthetic", pairs, seen, None, names, how)
    for arm, n_pairs in parameters["real"].items():
        names = parameters["arm_methods"].get(arm, methods)
        entries += plan_real(arm, n_pairs, names, parameters)
    dosed, _ = split_methods(parameters["dose_methods"])
    few = pairs[: parameters["n_dose_pairs"]]
    for dose in parameters["doses"]:
        options = {**made, "contrast": DOSED, "dose": float(dose)}
        add(DOSES, DOSED, "synthetic", few, options, float(dose), dosed)
    if parameters["doses"]:
        add(DOSES, INVERTED, "synthetic", few, {**made, "contrast": INVERTED}, None, dosed)
    return entries
