"""Notebook 10: one architecture trained in five ways, on every domain at one grid."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...cohorts import Pair, balanced_pairs, get_cohort, get_options
from ...cohorts.macaque import related_pairs
from ...images.preprocess import STANDARD, Preprocessing, step
from ...methods.training import HELD_OUT_MAPS
from ...runs.task import plan
from ..entry import Entry, enter
from ..macaque.plan import SIZES
from ..pairs import choose_pairs, cohort_options
from .networks import GRID_MM, name_network

ARM = "cause"
SMALLER = 0.75  # 43 voxels of a brain's length at 4 mm become 32, and no fewer are tried
T1W, AGAIN = "T1w", "T1w again"


@dataclass(frozen=True)
class Domain:
    """What the images are, and what a change is measured against.

    `reference` passed through everything but the change in question, on the same pairs; None for images
    as trained on, and for other brains, whose labels are others too: nothing to compare them with.
    """

    name: str
    kind: str
    reference: str | None


def _at_grid(name: str, *steps, how: Preprocessing = STANDARD) -> Preprocessing:
    """The steps, then both images at the grid that every method of this experiment sees."""
    last = step("set_spacing", spacing_mm=GRID_MM)
    return replace(how, name=name, pair_steps=(*how.pair_steps, *steps, last))


PLAIN = _at_grid(f"{GRID_MM:g} mm")
# Of T1w: the same images, changed after the shared alignment.
CHANGED: Mapping[str, Preprocessing] = {
    **{
        name: _at_grid(name, step("remap", values=values)) for name, values in HELD_OUT_MAPS.items()
    },
    **{
        f"{name}, moving image alone": _at_grid(
            f"{name}, moving image alone", step("remap", values=values, image="moving")
        )
        for name, values in HELD_OUT_MAPS.items()
    },
    "smaller": _at_grid(
        "smaller", *(step("mis_space", factor=SMALLER, axis=axis) for axis in range(3))
    ),
    "blurred as smaller": _at_grid(
        "blurred as smaller", step("set_spacing", spacing_mm=GRID_MM / SMALLER)
    ),
}
DOMAINS = tuple(
    Domain(*d)
    for d in (
        (T1W, "as trained", None),
        (AGAIN, "contrast", T1W),
        ("T2w", "contrast", AGAIN),
        ("T2*w", "contrast", AGAIN),
        ("FLAIR", "contrast", AGAIN),
        *((name, "intensity map", T1W) for name in CHANGED if name.split(",")[0] in HELD_OUT_MAPS),
        ("blurred as smaller", "size", T1W),
        ("smaller", "size", "blurred as smaller"),
        ("macaque at human size", "species", None),
        ("real T1w", "as trained", None),
        ("real T2w", "real contrast", "real T1w"),
        ("real FLAIR", "real contrast", "real T1w"),
        ("older adults, T1w in thick slices", "as trained", None),
        ("older adults, FLAIR", "real contrast", "older adults, T1w in thick slices"),
    )
)
REAL = {  # cohort -> contrast -> domain
    "real5": {"T1w": "real T1w", "T2w": "real T2w", "FLAIR": "real FLAIR"},
    "nichart": {
        "T1w thick": "older adults, T1w in thick slices",
        "FLAIR": "older adults, FLAIR",
    },
}


def list_networks(parameters: Mapping) -> list[tuple[str, int]]:
    """Intervention and seed of every network that the parameters ask for."""
    return [(name, seed) for name, n in parameters["networks"].items() for seed in range(n)]


def plan_cause(parameters: Mapping) -> list[Entry]:
    """The same few pairs of every domain by every network and by the baselines, domain by domain."""
    methods = [
        *parameters["baselines"],
        *(name_network(*network) for network in list_networks(parameters)),
    ]
    entries: list[Entry] = []

    def add(domain: str, cohort: str, pairs: list[Pair], options: Mapping, how: Preprocessing):
        tasks = plan(cohort, pairs, methods, cohort_options=options, preprocessing=[how])
        entries.extend(enter(tasks, ARM, domain))

    pairs, options, cohort = (
        choose_pairs(parameters),
        cohort_options(parameters),
        parameters["cohort"],
    )
    # One label rule: what the segmenter draws is not asked for.
    options |= {"segmented": ""} if "segmented" in get_options(cohort) else {}
    add(T1W, cohort, pairs, options, PLAIN)
    for contrast in parameters["contrasts"]:
        shown = "T1w" if contrast == AGAIN else contrast
        made = {"anatomy": cohort, **options, "contrast": shown}
        add(contrast, "synthetic", pairs, made, PLAIN)
    for name in parameters["changes"]:
        add(name, cohort, pairs, options, CHANGED[name])
    if parameters["n_macaque"]:
        apes = related_pairs(get_cohort("macaque").scans)[: parameters["n_macaque"]]
        human = _at_grid("macaque at human size", how=SIZES["human size"])
        add("macaque at human size", "macaque", apes, {}, human)
    for name, n_pairs in parameters["real"].items():
        chosen = balanced_pairs(get_cohort(name).scans, n_pairs, parameters["seed"])
        for contrast, domain in REAL[name].items():
            add(domain, name, chosen, {"contrast": contrast, "segmented": ""}, PLAIN)
    return entries
