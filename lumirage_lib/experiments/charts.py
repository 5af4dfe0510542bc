"""Figures that several chapters draw: Dice by condition, networks against iterative methods."""

import numpy as np
import pandas as pd

from ..methods import colour_of, marker_of, name_of, order_of
from .comparison import ALL
from .families import ARMS, name_plainly
from .specifications import list_options
from .style import WIDTH, put_legend, subplots


def plot_contrast_dice(pairs: pd.DataFrame):
    """Mean Dice of every method under every contrast, one panel per arm.

    Parameters
    ----------
    pairs : DataFrame
        arm, condition, method, family, status, dice.
    """
    done = pairs[pairs["status"] == "ok"]
    arms = list(done["arm"].unique())
    columns = min(2, len(arms))
    n_rows = -(-len(arms) // columns)
    figure, panels = subplots(
        n_rows, columns, figsize=(WIDTH, 2.9 * n_rows + 0.9), squeeze=False, sharey=False
    )
    for axes in panels.flat[len(arms) :]:
        axes.set_axis_off()
    for axes, arm in zip(panels.flat, arms, strict=False):
        rows = done[done["arm"] == arm]
        conditions = list(rows["condition"].unique())
        means = rows.groupby(["method", "condition"])["dice"].mean()
        for method in order_of(rows["method"]):
            values = [means.get((method, c), np.nan) for c in conditions]
            family = rows.loc[rows["method"] == method, "family"].iloc[0]
            axes.plot(
                values,
                color=colour_of(method),
                marker=marker_of(method),
                ls="--" if family == "deep" else "-",
                ms=6,
                label=name_of(method),
            )
            own = method in ARMS[arm].drew_labels if arm in ARMS else False
            if own:  # a score on labels that the method drew itself
                axes.scatter(
                    range(len(values)), values, s=90, marker="s", facecolors="none",
                    edgecolors=colour_of(method), hatch="/////", zorder=1,
                )  # fmt: skip
        axes.set_xticks(range(len(conditions)), conditions, rotation=25)
        axes.set_title(name_plainly(arm), fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylabel("mean Dice")
    put_legend(figure)
    return figure


def plot_changes(
    changes: pd.DataFrame,
    label: str = "change of (deep − iterative) in Dice, from the reference on",
):
    """Difference in differences with its interval, by arm, contrast and network; 0 is no extra loss.

    Parameters
    ----------
    changes : DataFrame
        arm, condition, method (`comparison.ALL` is the family), change, low, high.
    label : str
        Of the axis.
    """
    labels, figure_rows = [], []
    for (arm, condition), rows in changes.groupby(["arm", "condition"], sort=False):
        source = rows["reference"].iloc[0] if "reference" in rows else None
        where = name_plainly(arm)
        labels.append(f"{where}\n{source} → {condition}" if source else f"{where}, {condition}")
        figure_rows.append(rows)
    figure, axes = subplots(figsize=(WIDTH, 0.6 * len(labels) + 1.6))
    names = [ALL, *order_of(m for m in changes["method"].unique() if m != ALL)]
    offsets = np.linspace(-0.28, 0.28, len(names))
    for number, name in enumerate(names):
        colour = "black" if name == ALL else colour_of(name)
        marker = "D" if name == ALL else marker_of(name)
        said: str | None = name if name == ALL else name_of(name)
        for y, rows in enumerate(figure_rows):
            row = rows[rows["method"] == name].dropna(subset="change")
            if row.empty:
                continue
            at = y + offsets[number]
            axes.hlines(at, row["low"], row["high"], color=colour, lw=1.5)
            axes.plot(row["change"], [at], marker, color=colour, ms=6, label=said)
            said = None
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    put_legend(figure)
    return figure


# Where a choice's interval lies: colour, marker, what the legend says.
DIRECTIONS = {
    "behind": ("#D55E00", "v", "interval below zero"),
    "unclear": ("#7f7f7f", "o", "interval contains zero"),
    "ahead": ("#0072B2", "^", "interval above zero"),
}


def plot_curve(choices: pd.DataFrame, margin: float = 0.01):
    """Specification curve of one claim; the marks below it say which choice is which.

    Parameters
    ----------
    choices : DataFrame
        Of :func:`lumirage_lib.experiments.specifications.specify`, in Dice.
    margin : float
        Half width of the grey band.
    """
    table = choices.sort_values("estimate", ignore_index=True)
    groups = list_options(table)
    sizes = [len(options) + 0.4 for options in groups.values()]
    figure, panels = subplots(
        1 + len(groups), 1, figsize=(WIDTH, 2.8 + 0.19 * sum(sizes)), sharex=True,
        height_ratios=[max(10.0, 0.6 * sum(sizes)), *sizes],
    )  # fmt: skip
    axes = panels[0]
    axes.axhspan(-margin, margin, color="0.92", zorder=0)
    axes.axhline(0, color="black", lw=0.8)
    side = np.select([table["high"] < 0, table["low"] > 0], ["behind", "ahead"], "unclear")
    for name, (colour, marker, label) in DIRECTIONS.items():
        rows = table[side == name]
        axes.vlines(rows.index, rows["low"], rows["high"], color=colour, lw=1, alpha=0.5)
        axes.scatter(rows.index, rows["estimate"], s=14, color=colour, marker=marker, zorder=3,
                     label=label if len(rows) else None)  # fmt: skip
    declared = (table["choice"] == "families") & table["declared"]
    axes.scatter(table.index[declared], table["estimate"][declared], s=70, facecolors="none",
                 edgecolors="black", zorder=4, label="the families compared")  # fmt: skip
    axes.set_ylabel("difference in Dice")
    for axes, (title, options) in zip(panels[1:], groups.items(), strict=True):
        for row, chosen in enumerate(options.values()):
            at = np.flatnonzero(chosen.to_numpy())
            axes.scatter(at, np.full(len(at), row), s=22, marker="|", color="black", lw=1)
        axes.set_yticks(range(len(options)), list(options), fontsize=7.5)
        axes.set_ylim(len(options) - 0.4, -0.6)
        axes.set_title(title, fontsize=8, loc="left", pad=1)
        axes.grid(False)
        axes.tick_params(length=0)
    panels[-1].set_xticks([])
    panels[-1].set_xlabel(f"{len(table)} choices, in order of the difference")
    put_legend(figure, ncols=4)
    return figure
