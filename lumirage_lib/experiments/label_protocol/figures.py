"""Ranks of methods under many rulers."""

import numpy as np
import pandas as pd

from ...methods import name_of
from ..style import WIDTH, subplots


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
