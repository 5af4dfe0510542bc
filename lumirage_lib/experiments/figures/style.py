"""One place for how figures look: colours of methods, their order, sizes."""

from __future__ import annotations

import matplotlib as mpl

# Okabe & Ito (2008), distinguishable with every common form of colour blindness. Iterative methods
# are warm, deep ones cold, the baseline grey; markers repeat the family for print in grey.
METHOD_COLOURS = {
    "affine": "#7f7f7f",
    "syn": "#E69F00",
    "greedy": "#D55E00",
    "fireants-greedy": "#CC79A7",
    "fireants-syn": "#882255",
    "fireants-greedy-mind": "#AA4499",
    "vfa": "#000000",
    "lapirn-disp": "#0072B2",
    "lapirn-diff": "#332288",
    "clapirn": "#56B4E9",
    "symnet": "#009E73",
    "voxelmorph": "#44AA99",
}
FAMILY_MARKERS = {"baseline": "s", "iterative": "o", "deep": "^"}
OTHER_COLOUR = "#999933"


def colour_of(method: str) -> str:
    """Colour of a method; an instance-optimised network has the colour of the network."""
    return METHOD_COLOURS.get(method.removesuffix("+io"), OTHER_COLOUR)


def order_of(methods) -> list[str]:
    """Methods in the fixed order of the colours, unknown ones last."""
    known = list(METHOD_COLOURS)
    return sorted(
        dict.fromkeys(methods),
        key=lambda m: (
            known.index(m.removesuffix("+io")) if m.removesuffix("+io") in known else 99,
            m,
        ),
    )


def use_style() -> None:
    """Set matplotlib's defaults for every figure of the book."""
    mpl.rcParams.update(
        {
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "savefig.facecolor": "white",
        }
    )
