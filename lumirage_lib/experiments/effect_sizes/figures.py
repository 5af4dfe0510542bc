"""Figures about effect sizes: what cancels in pairs, and what a formula makes of it."""

import numpy as np
import pandas as pd

from ...stats import EffectSizes, Matched
from ..style import WIDTH, put_legend, subplots

FIRST, SECOND = "#0072B2", "#D55E00"  # Okabe & Ito: blue and vermilion
PAIRED, POOLED = "#0072B2", "#E69F00"


def plot_agreement(matched: Matched, first: str, second: str):
    """Each subject by both methods, with the line of equality.

    Parameters
    ----------
    matched : Matched
    first, second : str
        Names for the axes.
    """
    figure, axes = subplots(figsize=(5, 4.6))
    both = np.concatenate([matched.first, matched.second])
    pad = 0.04 * np.ptp(both)
    ends = [both.min() - pad, both.max() + pad]
    axes.plot(ends, ends, color="black", lw=0.8, label="equal")
    above = matched.difference > 0
    for mask, colour, marker, name in (
        (above, FIRST, "o", first),
        (~above, SECOND, "^", second),
    ):
        axes.scatter(
            matched.second[mask],
            matched.first[mask],
            s=20,
            marker=marker,
            color=colour,
            alpha=0.7,
            edgecolors="none",
            label=f"{name} better ({int(mask.sum())})",
        )
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set_xlabel(f"mean Dice by {second}")
    axes.set_ylabel(f"mean Dice by {first}")
    put_legend(figure)
    return figure


def plot_spreads(matched: Matched, first: str, second: str, bins: int = 30):
    """Histograms of both methods and of their difference, on axes of the same scale.

    The unit of the pooled effect size is the width of the upper histograms, that of the paired one
    the width of the lower.
    """
    figure, (upper, lower) = subplots(2, 1, figsize=(WIDTH, 5.0))
    both = np.concatenate([matched.first, matched.second])
    span = 1.1 * np.ptp(both)
    middle = (both.min() + both.max()) / 2
    edges = np.linspace(middle - span / 2, middle + span / 2, bins + 1)
    for values, colour, name, style in (
        (matched.first, FIRST, first, "-"),
        (matched.second, SECOND, second, "--"),
    ):
        upper.hist(values, edges, color=colour, alpha=0.3)
        upper.hist(values, edges, color=colour, histtype="step", ls=style, lw=1.4, label=name)
        upper.axvline(values.mean(), color=colour, ls=style, lw=1.4)
    upper.set(xlim=(edges[0], edges[-1]), xlabel="mean Dice", ylabel="subjects")
    d = matched.difference
    width = edges[1] - edges[0]
    centred = edges - edges[0] - span / 2
    lower.hist(d, centred[0] + width / 4 * np.arange(4 * bins + 1), color="0.45")
    lower.axvline(0, color="black", lw=0.8)
    lower.axvline(d.mean(), color=FIRST, lw=1.4, label="mean difference")
    lower.set(xlim=(centred[0], centred[-1]), ylabel="subjects")
    lower.set_xlabel(f"{first} − {second}, mean Dice of the same subject (same scale as above)")
    put_legend(figure)
    return figure


def plot_correlation_effect(sizes: EffectSizes):
    """Paired effect size against the correlation of the methods, at the pooled one observed.

    d_z = d_av / sqrt(2 (1 - r)) for equal spreads; the point is what was measured.
    """
    figure, axes = subplots(figsize=(WIDTH, 4.0))
    pooled = abs(sizes.d_av.estimate)
    r = 1 - np.logspace(0, -3, 300)
    axes.plot(r, pooled / np.sqrt(2 * (1 - r)), color=PAIRED, label="paired, $d_z$")
    axes.axhline(pooled, color=POOLED, ls="--", label="pooled, $d_{av}$")
    axes.plot(sizes.correlation, abs(sizes.d_z.estimate), "o", color="black", ms=7)
    axes.annotate(
        "measured",
        (sizes.correlation, abs(sizes.d_z.estimate)),
        textcoords="offset points",
        xytext=(-12, 4),
        ha="right",
    )
    top = 1.3 * max(abs(sizes.d_z.estimate), pooled)
    axes.set(xlim=(0, 1), ylim=(0, top))
    axes.set_xlabel("correlation of the two methods over subjects")
    axes.set_ylabel("effect size of the same mean difference")
    put_legend(figure)
    return figure


def plot_both_formulas(comparisons: pd.DataFrame):
    """Every comparison of two methods by both formulas, ordered by the mean difference.

    Parameters
    ----------
    comparisons : DataFrame
        first, second, difference, d_av, d_av_low, d_av_high, d_z, d_z_low, d_z_high.
    """
    table = comparisons.sort_values("difference", ignore_index=True)
    figure, (left, right) = subplots(
        1, 2, figsize=(WIDTH, 0.3 * len(table) + 1.6), sharey=True, width_ratios=(1, 1.5)
    )
    y = np.arange(len(table))
    left.barh(y, table["difference"], color="0.6", height=0.6)
    left.axvline(0, color="black", lw=0.8)
    left.set_xlabel("mean difference in Dice")
    left.set_yticks(y, table["first"] + " − " + table["second"], fontsize=8)
    for name, colour, marker, offset, label in (
        ("d_av", POOLED, "s", 0.15, "pooled, $d_{av}$"),
        ("d_z", PAIRED, "o", -0.15, "paired, $d_z$"),
    ):
        right.hlines(y + offset, table[f"{name}_low"], table[f"{name}_high"], color=colour, lw=1.5)
        right.plot(table[name], y + offset, marker, color=colour, ms=5, label=label)
    right.axvline(0, color="black", lw=0.8)
    right.set_xlabel("effect size")
    put_legend(figure)
    return figure


def plot_all_methods(joint: pd.DataFrame):
    """Mean Dice of every method of both repositories, iterative ones orange and round, networks blue.

    Parameters
    ----------
    joint : DataFrame
        As of :func:`lumirage_lib.experiments.effect_sizes.tables.load_joint`, without the baseline.
    """
    rows = joint[joint["family"] != "baseline"].groupby(["method", "family"])["dice"]
    table = rows.agg(["mean", "std"]).reset_index().sort_values("mean", ignore_index=True)
    figure, axes = subplots(figsize=(WIDTH, 0.23 * len(table) + 1.1))
    y = np.arange(len(table))
    axes.hlines(y, table["mean"] - table["std"], table["mean"] + table["std"], color="0.7", lw=1.5)
    for family, colour, marker in (("iterative", SECOND, "o"), ("deep", FIRST, "^")):
        mask = table["family"] == family
        axes.plot(table["mean"][mask], y[mask], marker, color=colour, ms=6, label=family)
    axes.set_yticks(y, table["method"], fontsize=8)
    axes.set_xlabel("mean Dice over subjects (bar: one standard deviation)")
    put_legend(figure)
    return figure
