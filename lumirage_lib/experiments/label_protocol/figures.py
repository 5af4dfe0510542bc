"""Ranks of methods under many rulers; accuracy against the roughness of the field."""

import numpy as np
import pandas as pd

from ...methods import name_of, order_of
from ...methods.display import colour_of, marker_of
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
    folded.set_xlabel("folded voxels, %")
    folded.set_xscale("symlog", linthresh=0.001)
    put_legend(figure)
    return figure
