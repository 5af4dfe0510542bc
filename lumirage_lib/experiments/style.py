"""One place for how figures look; how a method does is declared by the method."""

from __future__ import annotations

import matplotlib as mpl


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
