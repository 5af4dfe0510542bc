"""Figures of notebook 03: what a change of contrast does to whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...methods import colour_of, marker_of, name_of, order_of
from ..style import subplots


def plot_group_changes(groups: pd.DataFrame):
    """Heat map of the difference in differences: groups of structures down, arms and contrasts across."""
    wide = groups.assign(where=groups["arm"] + "\n" + groups["condition"]).pivot_table(
        "change", "group", "where", sort=False
    )
    figure, axes = subplots(figsize=(1.05 * wide.shape[1] + 2.6, 0.5 * wide.shape[0] + 1.6))
    axes.grid(False)
    limit = max(float(np.nanmax(np.abs(wide.to_numpy()))), 1e-3)
    picture = axes.imshow(wide, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(wide.to_numpy()):
        if np.isfinite(value):
            shade = "white" if abs(value) > 0.6 * limit else "black"
            axes.text(j, i, f"{value:+.3f}", ha="center", va="center", fontsize=8, color=shade)
    axes.set_xticks(range(wide.shape[1]), wide.columns, fontsize=8)
    axes.set_yticks(range(wide.shape[0]), wide.index)
    figure.colorbar(picture, label="change of (deep − iterative)")
    return figure


def plot_doses(doses: pd.DataFrame):
    """Mean Dice against the share of T2w in the image; at the right the inverted T1w image.

    Parameters
    ----------
    doses : DataFrame
        method, family, condition, dose (NaN for the inverted image), dice.
    """
    figure, axes = subplots(figsize=(6.4, 3.8))
    for method in order_of(doses["method"]):
        rows = doses[doses["method"] == method]
        family = rows["family"].iloc[0]
        look: dict[str, Any] = {"color": colour_of(method), "marker": marker_of(method), "ms": 6}
        mixed = rows.dropna(subset="dose").sort_values("dose")
        axes.plot(
            mixed["dose"],
            mixed["dice"],
            ls="--" if family == "deep" else "-",
            label=name_of(method),
            **look,
        )
        inverted = rows[rows["dose"].isna()]
        axes.plot([1.2] * len(inverted), inverted["dice"], ls="none", **look)
    ticks = [0, 0.25, 0.5, 0.75, 1.0, 1.2]
    axes.set_xticks(ticks, ["T1w", "0.25", "0.5", "0.75", "T2w", "T1w\ninverted"])
    axes.set_ylabel("mean Dice")
    axes.legend(fontsize=8)
    return figure


def plot_levels(levels: pd.DataFrame):
    """Tissue intensities of real and synthesised contrasts side by side.

    Parameters
    ----------
    levels : DataFrame
        source ("real" or "synthesised"), condition, scan, tissue, median (brightest 1), sd.
    """
    conditions = list(levels["condition"].unique())
    figure, panels = subplots(
        1, len(conditions), figsize=(2.7 * len(conditions) + 0.8, 3.2), squeeze=False, sharey=True
    )
    tissues = list(levels["tissue"].unique())
    looks = {"real": ("#D55E00", "o", -0.12), "synthesised": ("#0072B2", "^", 0.12)}
    for axes, condition in zip(panels[0], conditions, strict=True):
        for source, (colour, marker, offset) in looks.items():
            rows = levels[(levels["condition"] == condition) & (levels["source"] == source)]
            x = [tissues.index(tissue) + offset for tissue in rows["tissue"]]
            axes.errorbar(
                x, rows["median"], rows["sd"], fmt=marker, color=colour, ms=5, lw=1, label=source
            )
        axes.set_xticks(range(len(tissues)), [t.replace(" matter", "") for t in tissues])
        axes.set_xlim(-0.5, len(tissues) - 0.5)
        axes.set_title(condition, fontsize=10)
    panels[0][0].set_ylabel("intensity, brightest tissue 1")
    panels[0][0].legend(fontsize=8)
    return figure
