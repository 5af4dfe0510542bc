"""Figures of memory and of accuracy against voxel size."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator

from ...methods import AS_GIVEN, colour_of, marker_of, name_of, order_of
from ..style import WIDTH, put_legend, subplots
from .analysis import NAMES
from .memory import label

LINES = {"whole": "--", "slabs": "-"}
MEASURES = {"dice": "mean Dice at native labels", "true_error_mm": "true error, mm"}


def plot_memory_wall(wall: pd.DataFrame, budgets_gb: Sequence[float]):
    """Peak memory against voxel size, whole on the left, in slabs on the right.

    Parameters
    ----------
    wall : DataFrame
        network, form ("whole", "slabs"), spacing_mm, predicted_mb, measured_mb (NaN: not run).
    budgets_gb : sequence of float
    """
    figure, panels = subplots(1, 2, figsize=(WIDTH, 4.4), sharey=True)
    for panel, form in zip(panels, LINES, strict=True):
        for network in order_of(wall["network"]):
            rows = wall[(wall["network"] == network) & (wall["form"] == form)]
            rows = rows.sort_values("spacing_mm")
            colour = colour_of(network)
            panel.plot(
                rows["spacing_mm"],
                rows["predicted_mb"] / 1024,
                LINES[form],
                color=colour,
                label=label(network),
            )
            panel.plot(rows["spacing_mm"], rows["measured_mb"] / 1024, "^", color=colour, ms=5)
        for budget in budgets_gb:
            panel.axhline(budget, color="0.6", lw=0.8)
        panel.set_yscale("log")
        _spacing_axis(panel, wall["spacing_mm"])
        panel.set(xlabel="voxel size, mm", title=form)
    panels[0].yaxis.set_major_locator(FixedLocator([0.5, 1, 2, 4, *budgets_gb]))
    panels[0].yaxis.set_minor_locator(NullLocator())
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].set_ylabel("peak memory, GB")
    put_legend(figure)
    return figure


def plot_levels(levels: pd.DataFrame):
    """Accuracy against working voxel size: one panel per arm and measure it has.

    Parameters
    ----------
    levels : DataFrame
        Of :func:`lumirage_lib.experiments.resolution.analysis.summarise_levels`.
    """
    shown = list(levels[["arm", "measure"]].drop_duplicates().itertuples(index=False)) or [None]
    n_columns = min(2, len(shown))
    n_rows = -(-len(shown) // n_columns)
    figure, panels = subplots(n_rows, n_columns, figsize=(WIDTH, 0.6 + 2.9 * n_rows), squeeze=False)
    seen: dict[str, Any] = {}
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, which in zip(panels.flat, shown, strict=False):
        if which is None:
            continue
        panel.set_axis_on()
        mine = levels[(levels["arm"] == which.arm) & (levels["measure"] == which.measure)]
        for method in order_of(mine["method"]):
            seen.setdefault(name_of(method), _draw_method(panel, mine, method))
        _spacing_axis(panel, mine["working_mm"])
        panel.set_xlabel("working voxel size, mm")
        panel.set_ylabel(MEASURES[which.measure])
        panel.set_title(NAMES.get(which.arm, which.arm), fontsize=9)
    put_legend(figure, **seen)
    return figure


def _draw_method(panel, mine: pd.DataFrame, method: str):
    rows = mine[mine["method"] == method].sort_values("working_mm")
    return panel.errorbar(
        rows["working_mm"],
        rows["mean"],
        yerr=[rows["mean"] - rows["low"], rows["high"] - rows["mean"]],
        fmt=marker_of(method),
        ls=":" if method.endswith(AS_GIVEN) else "-",
        color=colour_of(method),
        lw=1.3,
        capsize=2,
    )


def plot_gain_by_scale(gain: pd.DataFrame, from_mm: float, to_mm: float, coarsest_mm: float = 9.0):
    """What one step of resolution gains, against the scale of the finest deformation there is.

    Parameters
    ----------
    gain : DataFrame
        Of :func:`lumirage_lib.experiments.resolution.analysis.compute_gain`.
    from_mm, to_mm : float
        The step.
    coarsest_mm : float
        Scale of brains without a fine deformation.
    """
    rows = gain[(gain["from_mm"] == from_mm) & (gain["to_mm"] == to_mm) & gain["dose"].notna()]
    rows = rows.assign(scale=rows["dose"].where(rows["dose"] > 0, coarsest_mm))
    figure, axes = subplots(figsize=(WIDTH, 4.0))
    for method in order_of(rows["method"]):
        for known in (True, False):  # a mean without an interval stands alone, hollow
            mine = rows[(rows["method"] == method) & (rows["low"].notna() == known)]
            mine = mine.sort_values("scale")
            bars = [mine["gain"] - mine["low"], mine["high"] - mine["gain"]]
            axes.errorbar(
                mine["scale"], mine["gain"], yerr=[b.fillna(0) for b in bars], fmt=marker_of(method),
                ls=(":" if method.endswith(AS_GIVEN) else "-") if known else "",
                color=colour_of(method), mfc=colour_of(method) if known else "white", capsize=2,
                label=name_of(method) if len(mine) else "",
            )  # fmt: skip
    axes.axhline(0, color="black", lw=0.8)
    if len(rows):
        _spacing_axis(axes, rows["scale"])
        put_legend(figure)
    axes.set_xlabel("smoothing of the finest deformation, mm")
    axes.set_ylabel(f"gain in Dice from {from_mm:g} to {to_mm:g} mm")
    return figure


def _spacing_axis(panel, spacings: pd.Series) -> None:
    """Logarithmic, a tick at every voxel size there is."""
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(sorted(spacings.unique())))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:g}")
