"""All verdicts on one page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..style import subplots

# Okabe & Ito: distinguishable without colour vision; markers say the same.
VERDICTS = {
    "supported": ("#0072B2", "o"),
    "not supported": ("#D55E00", "s"),
    "": ("#7f7f7f", "D"),  # every other word
}


def plot_verdicts(arms: pd.DataFrame):
    """Estimate and interval of every arm on one axis, filled where it counts for a claim.

    Parameters
    ----------
    arms : DataFrame
        arm, verdict, primary, estimate, low, high, margin; one row per arm, top to bottom. Arms
        without an estimate are named and empty.
    """
    table = arms[::-1].reset_index(drop=True)
    figure, axes = subplots(figsize=(7.6, 0.36 * len(table) + 1.4))
    margin = table["margin"].iloc[0]
    axes.axvspan(-margin, margin, color="0.92", zorder=0)
    axes.axvline(0, color="black", lw=0.8)
    said = set()
    for row in table.itertuples():
        word = row.verdict if row.verdict in VERDICTS else ""
        colour, marker = VERDICTS[word]
        label = word or "no such verdict"
        axes.hlines(row.Index, row.low, row.high, color=colour, lw=2)
        face = colour if row.primary else "white"
        axes.scatter(row.estimate, row.Index, marker=marker, facecolors=face, edgecolors=colour,
                     zorder=3, label=None if label in said else label)  # fmt: skip
        said.add(label)
    names = [f"{row.arm}\n{row.verdict}" for row in table.itertuples()]
    axes.set_yticks(np.arange(len(table)), names, fontsize=8)
    axes.set_xlabel("deep − iterative, Dice; grey: within the margin")
    axes.legend(loc="best", fontsize=8)
    return figure
