"""Ranks of methods under many rulers; accuracy against roughness; networks by who drew the labels."""

import numpy as np
import pandas as pd

from ...methods import name_of, order_of
from ...methods.display import colour_of, marker_of
from ..families import name_claim, name_plainly
from ..style import WIDTH, put_legend, subplots
from .regularity import ROUGHNESS


def plot_ranks(ranks: pd.DataFrame, values: pd.DataFrame):
    """Heat map of ranks, rulers down, methods across; dark is first, the value stands in the cell.

    Parameters
    ----------
    ranks, values : DataFrame
        Index: methods; columns: rulers.
    """
    ranks, values = ranks.T, values.T
    n, m = ranks.shape
    figure, axes = subplots(figsize=(WIDTH, 0.42 * n + 1.4))
    axes.grid(False)
    axes.imshow(ranks.to_numpy(), cmap="cividis", aspect="auto", vmin=1, vmax=m)
    for i in range(n):
        for j in range(m):
            rank, value = ranks.iat[i, j], values.iat[i, j]
            axes.text(
                j,
                i - 0.12,
                f"{rank:.0f}",
                ha="center",
                va="center",
                weight="bold" if rank == 1 else "normal",
                color="white" if rank < (m + 1) / 2 else "black",
            )
            axes.text(
                j,
                i + 0.25,
                f"{value:.3g}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if rank < (m + 1) / 2 else "black",
            )
    axes.set_yticks(range(n), ranks.index)
    names = [name_of(method) for method in ranks.columns]
    axes.set_xticks(np.arange(m), names, rotation=40, ha="right", fontsize=8)
    for edge in axes.spines.values():
        edge.set_visible(False)
    return figure


def plot_drawn(table: pd.DataFrame, margin: float):
    """Networks against iterative methods on every contrast, an interval for each label map.

    Parameters
    ----------
    table : DataFrame
        Rows of kind "ruler" of :func:`lumirage_lib.experiments.label_protocol.drawn.compare_rulers`.
    margin : float
        Half width of the grey band.
    """
    figure, axes = subplots(figsize=(WIDTH, 0.4 * len(table) + 1.2))
    axes.axvspan(-margin, margin, color="0.9", zorder=0)
    axes.axvline(0, color="black", lw=0.8)
    at = np.arange(len(table))
    axes.hlines(at, table["low"], table["high"], color="#0072B2", lw=1.8)
    axes.plot(table["change"], at, "D", color="#0072B2", ms=6)
    places = [
        name_plainly(name_claim(*names))
        for names in zip(table["arm"], table["condition"], strict=True)
    ]
    axes.set_yticks(at, [f"{p}:\n{n}" for p, n in zip(places, table["name"], strict=True)])
    axes.invert_yaxis()
    axes.set_xlabel("change of (deep − iterative), Dice")
    return figure


def plot_curves(curves: pd.DataFrame, level: float):
    """Mean Dice against SD log J and against folding, a line per method from rough to smooth.

    Parameters
    ----------
    curves : DataFrame
        As :func:`lumirage_lib.experiments.label_protocol.regularity.find_curves` gives it.
    level : float
        SD log J at which methods are compared; NaN draws none.
    """
    figure, (rough, folded) = subplots(1, 2, figsize=(WIDTH, 3.6), sharey=True)
    curves = curves.assign(folded=100 * curves["nonpositive_fraction"])
    for method in order_of(curves["method"]):
        means = (
            curves[curves["method"] == method]
            .groupby("place")[["dice", ROUGHNESS, "folded"]]
            .mean()
        )
        look = {"color": colour_of(method), "marker": marker_of(method), "lw": 1.2, "ms": 5}
        rough.plot(means[ROUGHNESS], means["dice"], label=name_of(method), **look)
        folded.plot(means["folded"], means["dice"], label=name_of(method), **look)
    if np.isfinite(level):
        rough.axvline(level, color="black", lw=0.8, ls=":", label="compared here")
    rough.set_xlabel("SD log J (rougher →)")
    rough.set_ylabel("mean Dice")
    folded.set_xscale("symlog", linthresh=0.001)
    folded.set(xlabel="folded voxels, %", xlim=(0, None))
    put_legend(figure)
    return figure
