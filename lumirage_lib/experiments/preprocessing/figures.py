"""Figures of sensitivity: what every perturbation costs every method."""

import textwrap
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import scipy

from ...cohorts import get_cohort
from ...images.preprocess import PERTURBATIONS, STANDARD, prepare_pair
from ...methods import colour_of, marker_of, name_of, order_of
from ...stats import INCOMPLETE, Verdict
from ..sentences import show
from ..style import WIDTH, subplots
from .plan import choose_conditions


def plot_drops(drops: pd.DataFrame, cap: float = 0.15):
    """Heat map, perturbation by method: mean drop in Dice, the number in each cell.

    Parameters
    ----------
    drops : DataFrame
        method, condition, kind, drop (NaN where every pair failed), n_failed, in the order of rows.
    cap : float
        Drop at which the colour is full; numbers go on.
    """
    methods = order_of(drops["method"])
    kinds = drops.drop_duplicates("condition").set_index("condition")["kind"]
    values = drops.pivot_table("drop", "condition", "method", sort=False, dropna=False)
    values = values.reindex(index=kinds.index, columns=methods)
    failed = drops.pivot_table("n_failed", "condition", "method", sort=False)
    failed = failed.reindex(index=kinds.index, columns=methods).fillna(0)
    figure, axes = subplots(figsize=(WIDTH, 1.6 + 0.29 * len(kinds)))
    image = axes.imshow(values, cmap="PuOr_r", vmin=-cap, vmax=cap, aspect="auto")
    for y, x in np.ndindex(values.shape):
        value, lost = values.iat[y, x], int(failed.iat[y, x])
        text = ("" if np.isnan(value) else show(value, sign=True)) + (f" ×{lost}" if lost else "")
        colour = "white" if abs(value) > 0.7 * cap else "black"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour)
    for y in np.flatnonzero(kinds.to_numpy()[1:] != kinds.to_numpy()[:-1]):
        axes.axhline(y + 0.5, color="black", lw=0.8)
    axes.set_yticks(range(len(kinds)), kinds.index)
    axes.set_xticks(range(len(methods)), [name_of(m) for m in methods], rotation=30, ha="right")
    axes.grid(False)
    figure.colorbar(image, ax=axes, label="drop in mean Dice", extend="both", shrink=0.6)
    return figure


def plot_worst(summary: pd.DataFrame):
    """Mean and worst drop of every method; the worst with its simultaneous interval.

    Parameters
    ----------
    summary : DataFrame
        method, mean, worst, low, high, worst_condition.
    """
    table = summary.set_index("method").loc[order_of(summary["method"])[::-1]]
    figure, axes = subplots(figsize=(WIDTH, 0.6 * len(table) + 1.3))
    for y, (method, row) in enumerate(table.iterrows()):
        colour, marker = colour_of(method), marker_of(method)
        if np.isfinite([row["low"], row["high"]]).all():
            axes.plot([row["low"], row["high"]], [y, y], color=colour, lw=2)
        axes.scatter(row["mean"], y, marker=marker, s=50, facecolors="white", edgecolors=colour)
        axes.scatter(row["worst"], y, marker=marker, s=50, color=colour, zorder=3)
        axes.annotate(
            row["worst_condition"] or "",
            (row["worst"], y),
            textcoords="offset points",
            xytext=(0, 8),
            fontsize=8,
            ha="center",
        )
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(table)), [name_of(m) for m in table.index])
    axes.set_ylim(-0.6, len(table) - 0.3)
    axes.set_xlabel("drop in mean Dice against the standard preprocessing")
    return figure


def plot_differences(verdicts: Iterable[Verdict], explored: pd.DataFrame, false_share: float):
    """By how much networks lose more than iterative methods, under every condition.

    Parameters
    ----------
    verdicts : iterable of Verdict
        Of the conditions that are decided, drawn on top as diamonds.
    explored : DataFrame
        condition, change (networks minus iterative methods), low, high, q; filled where q is at most
        `false_share`.
    """
    rows = [
        (str(v.claim.condition), -v.estimate, -v.high, -v.low, True, "D")
        for v in verdicts
        if np.isfinite(v.estimate) and v.verdict != INCOMPLETE
    ]
    rows += [
        (r.condition, -r.change, -r.high, -r.low, r.q <= false_share, "o")
        for r in (explored.sort_values("change").itertuples() if len(explored) else ())
    ]
    figure, axes = subplots(figsize=(WIDTH, 0.27 * len(rows) + 1.1))
    for y, (_, estimate, low, high, filled, marker) in enumerate(reversed(rows)):
        if np.isfinite([low, high]).all():
            axes.plot([low, high], [y, y], color="0.4", lw=1.5)
        face = "#0072B2" if filled else "white"
        axes.scatter(
            estimate, y, marker=marker, s=36, facecolors=face, edgecolors="#0072B2", zorder=3
        )
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(rows)), [str(row[0]) for row in reversed(rows)])
    axes.set_xlabel("Dice that networks lose more than iterative methods")
    return figure


def show_examples(parameters: Mapping) -> dict[str, np.ndarray]:
    """Middle slice of a generated brain as moving image of each condition, standard first.

    The array's third axis is cut in the middle, as the method gets it: what is turned looks turned.
    """
    cohort = get_cohort("template", spacing_mm=parameters["spacing_mm"], n_subjects=1, seed=0)
    image = cohort.load_image(cohort.scans[0])
    names = [n for n in choose_conditions(parameters["conditions"]) if n != "no affine"]
    conditions = {STANDARD.name: STANDARD} | {n: PERTURBATIONS[n].preprocessing for n in names}
    slices = {}
    for name, condition in conditions.items():
        pair = prepare_pair(image, image, condition, np.eye(4))
        cut = pair.moving[:, :, pair.moving.shape[2] // 2]
        stretch = pair.spacing_mm[:2] / pair.spacing_mm.min()
        slices[name] = scipy.ndimage.zoom(cut, stretch, order=1) if (stretch > 1).any() else cut
    return slices


def plot_examples(slices: Mapping[str, np.ndarray], columns: int = 5):
    """One slice per condition, each in its own grey scale from its least to its largest value."""
    columns = min(columns, len(slices))
    rows = -(-len(slices) // columns)
    figure, axes = subplots(
        rows, columns, figsize=(WIDTH, 1.2 * WIDTH / columns * rows), squeeze=False
    )
    for axis in axes.ravel():
        axis.axis("off")
    for axis, (name, cut) in zip(axes.ravel(), slices.items(), strict=False):
        axis.imshow(cut.T, cmap="gray", origin="lower")
        axis.set_title(textwrap.fill(name, 16), fontsize=8)
    return figure
