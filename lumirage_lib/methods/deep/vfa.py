"""Vector Field Attention: trained here, or with weights that whoever has them adds."""

import functools

from ..base import InputSpec, MethodSpec, Training
from ..local import Local, find_shipped
from .base import run_network

WRAPPER = 1  # raised when the network or its use changes what comes out, and with it every key
CITATION = "liu2024vfa"

# Weights that are not public.
ADDABLE = {
    "vfa-lumir": "if you have the checkpoint of VFA trained on LUMIR, "
    "`lumirage weights add vfa PATH` adds it",
}

OURS = Training(
    "13 T1w scans of OASIS-1, the training group of the cohort oasis; no label map",
    "the model card beside the weights lists every scan",
    {"marcus2007": "seen"},
    unseen=("oasis", "synthetic", "atrophy"),
)


def make_method(local: Local) -> MethodSpec:
    """Weights on this machine, as a method of their name."""
    trained_on = local.about.get("training_data")
    return MethodSpec(
        local.name,
        "deep",
        functools.partial(run_network, network="vfa"),
        f"lumirage {WRAPPER}",
        CITATION,
        {},
        InputSpec(grid=local.grid, multiple_of=local.multiple_of, spacing_mm=local.spacing_mm),
        local.source,
        training=Training(trained_on, "whoever added the weights", complete=False)
        if trained_on
        else None,
        internal_mm=local.spacing_mm,
    )


def _ship(
    name: str, title: str, colour: str, spacing_mm: float, grid: tuple[int, int, int]
) -> MethodSpec:
    """Weights that come with the library, declared here so that damaged ones still have a name."""
    return MethodSpec(
        name,
        "deep",
        functools.partial(run_network, network="vfa"),
        f"lumirage {WRAPPER}",
        CITATION,
        {},
        InputSpec(grid=grid, multiple_of=16, spacing_mm=spacing_mm),
        find_shipped(name),
        name=title,
        colour=colour,
        training=OURS,
        internal_mm=spacing_mm,
    )


# The first was stopped while it was learning; the second ended by its recipe's rule; the third had the
# minutes that a graphics card was lent for, and was learning still.
SPECS = (
    _ship("vfa", "VFA (ours, 2 mm)", "#00204D", 2.0, (80, 96, 80)),
    _ship("vfa-plateau", "VFA (ours, 2 mm, to its plateau)", "#3B528B", 2.0, (80, 96, 80)),
    _ship("vfa-1mm", "VFA (ours, 1 mm)", "#5DA5DA", 1.0, (160, 192, 160)),
)
