"""All verdicts on one page."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..style import use_style

# Okabe & Ito: distinguishable without colour vision; markers say the same.
VERDICTS = {
    "supported": ("#0072B2", "o"),
    "not supported": ("#D55E00", "s"),
    "undecided": ("#7f7f7f", "D"),
}


def plot_verdicts(arms: pd.DataFrame):
    """Estimate and interval of every arm, each in units of its own margin.

    Parameters
    ----------
    arms : DataFrame
        arm, verdict, estimate, low, high, margin; one row per arm, top to bottom.
    """
    use_style()
    table = arms[::-1].reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(7.6, 0.36 * len(table) + 1.4))
    scale = table["margin"]
    y = np.arange(len(table))
    axes.axvspan(-1, 1, color="0.92", zorder=0)
    axes.axvline(0, color="black", lw=0.8)
    for word, (colour, marker) in VERDICTS.items():
        rows = (table["verdict"] == word).to_numpy()
        if rows.any():
            part, at = table[rows], y[rows]
            unit = scale[rows]
            axes.hlines(at, part["low"] / unit, part["high"] / unit, color=colour, lw=2)
            axes.scatter(part["estimate"] / unit, at, color=colour, marker=marker, label=word)
    axes.set_yticks(y, table["arm"], fontsize=8)
    axes.set_xlabel("estimate and interval, in units of the margin")
    axes.set_xscale("symlog", linthresh=1)
    axes.legend(loc="best", fontsize=8)
    return figure
