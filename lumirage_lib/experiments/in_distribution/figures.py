"""Figures of overlap: tidy tables in, matplotlib figures out."""

import re

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

from ...methods import colour_of, marker_of, name_of, order_of
from ..style import WIDTH, put_legend, subplots


def plot_dice_by_method(registrations: pd.DataFrame, measure: str = "dice"):
    """Mean Dice of every pair by method: raw points under the median and quartiles.

    Pairs of one subject scanned twice (`kind` "rescan") are open symbols; failed registrations are
    crosses on the axis, counted beside the name.
    """
    methods = order_of(registrations["method"])
    figure, axes = subplots(figsize=(WIDTH, 0.5 * len(methods) + 1.0))
    rng = np.random.default_rng(0)
    for y, method in enumerate(reversed(methods)):
        rows = registrations[registrations["method"] == method]
        done = rows[rows["status"] == "ok"]
        for kind, face in (("between", colour_of(method)), ("rescan", "none")):
            values = done.loc[done["kind"] == kind, measure].to_numpy()
            if values.size == 0:
                continue
            jitter = y - 0.22 + rng.uniform(-0.12, 0.12, values.size)
            axes.scatter(
                values,
                jitter,
                s=18,
                marker=marker_of(method),
                facecolors=face,
                edgecolors=colour_of(method),
                linewidths=0.9,
                alpha=0.75,
            )
            if kind == "between":
                low, middle, high = np.percentile(values, [25, 50, 75])
                axes.plot([low, high], [y + 0.14] * 2, color=colour_of(method), lw=3)
                axes.plot(middle, y + 0.14, "|", color="black", ms=11, mew=2)
        failed = len(rows) - len(done)
        if failed:
            axes.scatter([axes.get_xlim()[0]] * failed, [y] * failed, marker="x", color="black")
    labels = []
    for method in reversed(methods):
        rows = registrations[registrations["method"] == method]
        rows = rows[rows["kind"] == "between"]
        n, failed = len(rows), int((rows["status"] != "ok").sum())
        labels.append(f"{name_of(method)} (n={n}" + (f", {failed} failed)" if failed else ")"))
    axes.set_yticks(range(len(methods)), labels)
    axes.set_xlabel("mean Dice over structures, one point per pair")
    return figure


def name_fully(name: str) -> str:
    """A structure's name in words.

    >>> name_fully("Right AOrG  anterior orbital gyrus"), name_fully("inferior_temporal")
    ('Right anterior orbital gyrus', 'inferior temporal')
    """
    abbreviated = re.match(r"(Right|Left) \w*[A-Z]\w*[A-Z]\w*\s+([a-z].*)", name)
    return " ".join(abbreviated.groups()) if abbreviated else name.replace("_", " ").strip()


def plot_structure_differences(differences: pd.DataFrame, top: int = 12):
    """Mean Dice difference of the families, deep minus iterative, per structure.

    Parameters
    ----------
    differences : DataFrame
        One row per structure: `name`, `group`, `mean`, `low`, `high` (an interval of the mean).
    top : int
        How many of the largest differences in either direction are named; the rest is the curve.
    """
    table = differences.sort_values("mean", ignore_index=True)
    figure, (bars, curve) = subplots(2, 1, figsize=(WIDTH, 6.6), height_ratios=(1.15, 1))
    rank = np.arange(len(table))
    curve.fill_between(rank, table["low"], table["high"], color="0.8", lw=0)
    for group, marker in (
        ("cortical", "."),
        ("subcortical", "^"),
        ("white matter", "s"),
        ("CSF", "v"),
        ("other", "D"),
    ):
        mine = (table["group"] == group).to_numpy()
        colour = {"cortical": "#0072B2", "subcortical": "#D55E00", "white matter": "#000000",
                  "other": "#CC79A7"}  # fmt: skip
        curve.plot(
            rank[mine],
            table["mean"][mine],
            marker,
            ms=5,
            color=colour.get(group, "#009E73"),
            label=group,
        )
    curve.axhline(0, color="black", lw=0.8)
    curve.set_xlabel("structures, ordered")
    curve.set_ylabel("Dice, deep − iterative")
    curve.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    half = min(top // 2, len(table) // 2)
    ends = pd.concat([table.head(half), table.tail(half)])
    y = np.arange(len(ends))
    bars.barh(y, ends["mean"], color=np.where(ends["mean"] > 0, "#0072B2", "#D55E00"))
    bars.errorbar(
        ends["mean"],
        y,
        xerr=[ends["mean"] - ends["low"], ends["high"] - ends["mean"]],
        fmt="none",
        ecolor="black",
        lw=1,
    )
    bars.set_yticks(y, [name_fully(n) for n in ends["name"]], fontsize=8)
    bars.axvline(0, color="black", lw=0.8)
    bars.set_xlabel("largest: Dice, deep − iterative, 95 %")
    return figure


def plot_cost(registrations: pd.DataFrame):
    """Processor time and memory of a registration against its accuracy, one point per method."""
    done = registrations.query("status == 'ok' and kind == 'between' and method != 'affine'")
    figure, axes = subplots(1, 2, figsize=(WIDTH, 4.2), sharey=True)
    units = (
        ("cpu_seconds", "processor seconds per pair"),
        ("method_mb", "memory of the method, MB"),
    )
    for panel, (column, label) in zip(axes, units, strict=True):
        for method in order_of(done["method"]):
            rows = done[done["method"] == method]
            x, y = rows[column], rows["dice"]
            panel.errorbar(
                x.median(),
                y.mean(),
                xerr=[[x.median() - x.quantile(0.25)], [x.quantile(0.75) - x.median()]],
                yerr=y.std() if len(y) > 1 else None,
                fmt=marker_of(method),
                color=colour_of(method),
                ms=8,
                lw=1,
                label=name_of(method),
            )
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel(label)
    axes[0].set_ylabel("mean Dice")
    put_legend(figure)
    return figure
