"""Figures of memory and of accuracy against voxel size."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator

from ...methods import AS_GIVEN, colour_of, marker_of, name_of, order_of
from ..style import use_style

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
    use_style()
    figure, panels = plt.subplots(1, 2, figsize=(9.2, 4.2), sharey=True)
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
                label=name_of(network),
            )
            panel.plot(rows["spacing_mm"], rows["measured_mb"] / 1024, "^", color=colour, ms=5)
        for budget in budgets_gb:
            panel.axhline(budget, color="0.6", lw=0.8)
        panel.set_yscale("log")
        _spacing_axis(panel, wall["spacing_mm"])
        panel.set_xlabel("voxel size, mm")
        panel.set_title(form)
    panels[0].yaxis.set_major_locator(FixedLocator([0.5, 1, 2, 4, *budgets_gb]))
    panels[0].yaxis.set_minor_locator(NullLocator())
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].set_ylabel("peak memory, GB")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def plot_gain(gain: pd.DataFrame):
    """Accuracy against working voxel size: one panel per cohort and measure it has.

    Parameters
    ----------
    gain : DataFrame
        Of :func:`lumirage_lib.experiments.resolution.analysis.summarise_gain`.
    """
    use_style()
    shown = list(gain[["cohort", "measure"]].drop_duplicates().itertuples(index=False)) or [None]
    figure, panels = plt.subplots(
        1, len(shown), figsize=(1.5 + 3.9 * len(shown), 3.8), squeeze=False
    )
    seen = {}
    for panel, which in zip(panels.flat, shown, strict=True):
        if which is None:
            panel.set_axis_off()
            continue
        mine = gain[(gain["cohort"] == which.cohort) & (gain["measure"] == which.measure)]
        for method in order_of(mine["method"]):
            seen.setdefault(name_of(method), _draw_method(panel, mine, method))
        _spacing_axis(panel, mine["working_mm"])
        panel.set_xlabel("working voxel size, mm")
        panel.set_ylabel(MEASURES[which.measure])
        panel.set_title(which.cohort)
    figure.legend(seen.values(), seen.keys(), loc="outside right center")
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


def _spacing_axis(panel, spacings: pd.Series) -> None:
    """Logarithmic, a tick at every voxel size there is."""
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(sorted(spacings.unique())))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:g}")
