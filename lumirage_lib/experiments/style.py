"""One place for how figures look; how a method does is declared by the method."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt

STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.facecolor": "white",
}


def subplots(*shape: int, **how: Any) -> tuple[Any, Any]:
    """Figure and axes of :func:`matplotlib.pyplot.subplots`, in the style of every figure of the book."""
    plt.rcParams.update(STYLE)
    return plt.subplots(*shape, **how)
