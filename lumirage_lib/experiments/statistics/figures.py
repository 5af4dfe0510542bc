"""Differences with their intervals."""

import numpy as np
import pandas as pd

from ...methods import name_of
from ..style import WIDTH, subplots


def plot_comparisons(comparisons: pd.DataFrame):
    """Difference of every two methods with its interval; filled where it stands after correction.

    Parameters
    ----------
    comparisons : DataFrame
        first, second, difference, low, high, p_holm, alpha.
    """
    table = comparisons.sort_values("difference", ignore_index=True)
    figure, axes = subplots(figsize=(WIDTH, 0.34 * len(table) + 1.2))
    y = np.arange(len(table))
    stands = (table["p_holm"] < table["alpha"]).to_numpy()
    axes.hlines(y, table["low"], table["high"], color="0.4", lw=1.5)
    for mask, face in ((stands, "#0072B2"), (~stands, "white")):
        axes.scatter(
            table["difference"][mask],
            y[mask],
            facecolors=face,
            edgecolors="#0072B2",
            s=36,
            zorder=3,
        )
    axes.axvline(0, color="black", lw=0.8)
    names = [
        f"{name_of(a)} − {name_of(b)}" for a, b in zip(table["first"], table["second"], strict=True)
    ]
    axes.set_yticks(y, names, fontsize=8)
    # A margin in proportion would be empty rows.
    axes.set(xlabel="difference in mean Dice", ylim=(-1, len(table)))
    axes.locator_params(axis="x", nbins=6)
    axes.tick_params(top=True, labeltop=True)  # the lower axis of a long table is off the screen
    return figure
