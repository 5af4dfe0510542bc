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
T1W, AGAIN, THICK = "T1w", "T1w again", "older adults, T1w in thick slices"


REAL_CONTRAST = "real contrast"  # a kind of domain


@dataclass(frozen=True)
class Domain:
    """What the images are, and what a change is measured against.

    `reference` passed through everything but the change in question, on the same pairs; None for images
    as trained on, and for other brains, whose labels are others too: nothing to compare them with.
    """

    name: str
    kind: str
    reference: str | None
    about: str


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
_MADE = "synthesised from the tissue maps of the same T1w scans"
_MAPS = {
    "inverted": "T1w with its intensities turned round: bright is dark",
    "folded": "T1w with its intensities folded: the darkest and the brightest tissue look alike",
}


def _map_of(change: str) -> str | None:
    """The map of intensities that a change applies, if any."""
    name = change.split(",")[0]
    return name if name in HELD_OUT_MAPS else None


def _describe_map(change: str) -> str:
    alone = (
        "; the fixed image stays T1w, so the two images of a pair differ" if "," in change else ""
    )
    return _MAPS[_map_of(change) or ""] + alone


DOMAINS = tuple(
    Domain(*d)
    for d in (
        (T1W, "as trained", None, "T1w, as trained on"),
        (AGAIN, "contrast", T1W, f"T1w {_MADE}"),
        ("T2w", "contrast", AGAIN, f"T2w {_MADE}"),
        ("T2*w", "contrast", AGAIN, f"T2*w {_MADE}"),
        ("FLAIR", "contrast", AGAIN, f"FLAIR {_MADE}"),
        *((name, "intensity map", T1W, _describe_map(name)) for name in CHANGED if _map_of(name)),
        (
            "blurred as smaller",
            "size",
            T1W,
            "T1w blurred to the number of voxels that *smaller* has",
        ),
        (
            "smaller",
            "size",
            "blurred as smaller",
            f"T1w whose header says {SMALLER:g} of its length",
        ),
        ("macaque at human size", "species", None, "T1w of macaques, their header at human size"),
        ("real T1w", "as trained", None, "T1w of five people"),
        ("real T2w", REAL_CONTRAST, "real T1w", "T2w of the same five people"),
        ("real FLAIR", REAL_CONTRAST, "real T1w", "FLAIR of the same five people"),
        (THICK, "as trained", None, "T1w of older adults, seen through the slices of their FLAIR"),
        ("older adults, FLAIR", REAL_CONTRAST, THICK, "FLAIR of the same older adults"),
    )
)
REAL = {  # cohort -> contrast -> domain
    "real5": {"T1w": "real T1w", "T2w": "real T2w", "FLAIR": "real FLAIR"},
    "nichart": {
        "T1w thick": THICK,
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
