"""Figures of notebook 03: what a change of contrast does to whom."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...methods import colour_of, marker_of, name_of, order_of
from ..families import name_claim, name_plainly
from ..sentences import show
from ..style import WIDTH, put_legend, subplots


def plot_group_changes(groups: pd.DataFrame):
    """Heat map of the difference in differences: images down, groups of structures across."""
    where = [name_plainly(name_claim(r.arm, r.condition)) for r in groups.itertuples()]
    wide = groups.assign(where=where).pivot_table("change", "where", "group", sort=False)
    figure, axes = subplots(figsize=(WIDTH, 0.4 * wide.shape[0] + 1.3))
    axes.grid(False)
    limit = max(float(np.nanmax(np.abs(wide.to_numpy()))), 1e-3)
    picture = axes.imshow(wide, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(wide.to_numpy()):
        if np.isfinite(value):
            shade = "white" if abs(value) > 0.6 * limit else "black"
            axes.text(
                j, i, show(value, sign=True), ha="center", va="center", fontsize=8, color=shade
            )
    axes.set_xticks(range(wide.shape[1]), wide.columns)
    axes.set_yticks(range(wide.shape[0]), wide.index)
    figure.colorbar(picture, label="change of (deep − iterative)")
    return figure


def plot_doses(doses: pd.DataFrame):
    """Mean Dice against the share of T2w in the image; at the right the inverted T1w image.

    Parameters
    ----------
    doses : DataFrame
        method, family, condition, dose (NaN for the inverted image), dice.
    """
    figure, axes = subplots(figsize=(WIDTH, 4.0))
    for method in order_of(doses["method"]):
        rows = doses[doses["method"] == method]
        family = rows["family"].iloc[0]
        look: dict[str, Any] = {"color": colour_of(method), "marker": marker_of(method), "ms": 6}
        mixed = rows.dropna(subset="dose").sort_values("dose")
        axes.plot(
            mixed["dose"],
            mixed["dice"],
            ls="--" if family == "deep" else "-",
            label=name_of(method),
            **look,
        )
        inverted = rows[rows["dose"].isna()]
        axes.plot([1.2] * len(inverted), inverted["dice"], ls="none", **look)
    ticks = [0, 0.25, 0.5, 0.75, 1.0, 1.2]
    axes.set_xticks(ticks, ["T1w", "0.25", "0.5", "0.75", "T2w", "T1w\ninverted"])
    axes.set_ylabel("mean Dice")
    put_legend(figure)
    return figure


def plot_levels(levels: pd.DataFrame):
    """Tissue intensities of real and synthesised contrasts side by side.

    Parameters
    ----------
    levels : DataFrame
        source ("real" or "synthesised"), condition, scan, tissue, median (brightest 1), sd.
    """
    conditions = list(levels["condition"].unique())
    figure, panels = subplots(1, len(conditions), figsize=(WIDTH, 3.0), squeeze=False, sharey=True)
    tissues = list(levels["tissue"].unique())
    looks = {"real": ("#D55E00", "o", -0.12), "synthesised": ("#0072B2", "^", 0.12)}
    for axes, condition in zip(panels[0], conditions, strict=True):
        for source, (colour, marker, offset) in looks.items():
            rows = levels[(levels["condition"] == condition) & (levels["source"] == source)]
            x = [tissues.index(tissue) + offset for tissue in rows["tissue"]]
            axes.errorbar(
                x, rows["median"], rows["sd"], fmt=marker, color=colour, ms=5, lw=1, label=source
            )
        axes.set_xticks(range(len(tissues)), [t.replace(" matter", "") for t in tissues])
        axes.set_xlim(-0.5, len(tissues) - 0.5)
        axes.set_title(condition, fontsize=9)
    panels[0][0].set_ylabel("intensity, brightest tissue 1")
    put_legend(figure)
    return figure


def plot_parts(parts: pd.DataFrame):
    """What each part of a change costs either family, losses stacked to the left and gains to the right.

    A thick line is the sum.

    Parameters
    ----------
    parts : DataFrame
        arm, condition, part, deep, iterative.
    """
    colours = {
        "contrast": "#0072B2",
        "contrast proper": "#56B4E9",
        "scaling of intensities": "#CC79A7",
        "all of it, not divided": "#999999",
    }
    where = [name_plainly(name_claim(r.arm, r.condition)) for r in parts.itertuples()]
    parts = parts.assign(where=where)
    labels = list(dict.fromkeys(where))
    figure, axes = subplots(figsize=(WIDTH, 0.62 * len(labels) + 1.6))
    said = set()
    for y, name in enumerate(labels):
        for side, shift in (("deep", -0.2), ("iterative", 0.2)):
            ends = {True: 0.0, False: 0.0}  # gains to the right, losses to the left
            for row in parts[parts["where"] == name].to_dict("records"):
                value = row[side]
                axes.barh(
                    y + shift, value, left=ends[value > 0], height=0.34,
                    color=colours.get(row["part"], "#E69F00"), edgecolor="black", lw=0.5,
                    label=None if row["part"] in said else row["part"],
                )  # fmt: skip
                said.add(row["part"])
                ends[value > 0] += value
            total = sum(ends.values())
            axes.plot([total] * 2, [y + shift - 0.19, y + shift + 0.19], color="black", lw=2.5)
            who = "networks" if side == "deep" else "iterative"
            axes.text(ends[True] + 0.001, y + shift, who, va="center", fontsize=8)
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    left, right = axes.get_xlim()
    axes.set_xlim(right=right + 0.16 * (right - left))  # for the words
    axes.set_xlabel("change of mean Dice")
    put_legend(figure)
    return figure


def plot_pictures(slices: Mapping[str, np.ndarray], rows: Sequence[Mapping[str, str]]):
    """Slices in rows, each row a mapping of title to the name of its slice.

    Parameters
    ----------
    slices : mapping
        Name -> 8 bit slice; what is not there leaves its place empty.
    """
    columns = max(len(row) for row in rows)
    figure, axes = subplots(
        len(rows), columns, figsize=(WIDTH, 1.5 * WIDTH / columns * len(rows)), squeeze=False
    )
    for line, row in zip(axes, rows, strict=True):
        for axis in line:
            axis.axis("off")
        for axis, (title, name) in zip(line, row.items(), strict=False):
            empty = np.full_like(next(iter(slices.values())), 255)
            cut = slices.get(name, empty)
            axis.imshow(cut.T, origin="lower", cmap="gray", vmin=0, vmax=255)
            axis.set_title(title if name in slices else f"{title}:\nnot there", fontsize=9)
    return figure
