"""One place for how figures look; how a method does is declared by the method."""

from typing import Any

WIDTH = 7.0  # inches: the width of a page's column, at which every figure is drawn
STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.facecolor": "white",
}


def subplots(*shape: int, **how: Any) -> tuple[Any, Any]:
    """Figure and axes of :func:`matplotlib.pyplot.subplots`, in the style of every figure of the book."""
    import matplotlib.pyplot as plt  # here, because what plans and lists draws nothing

    plt.rcParams.update(STYLE)
    return plt.subplots(*shape, **how)


def put_legend(figure: Any, ncols: int = 3, **more: Any) -> None:
    """One legend of all panels below them, where it covers nothing; each name once."""
    seen: dict[str, Any] = dict(more)
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    if seen:
        figure.legend(
            list(seen.values()), list(seen), loc="outside lower center", ncols=ncols, fontsize=8
        )
