"""Figures of volumes: what was found against what was there."""

import numpy as np
import pandas as pd

from ...methods import colour_of, marker_of, name_of, order_of
from ..style import WIDTH, put_legend, subplots


def plot_atrophy(changes: pd.DataFrame):
    """Measured against true change, in per cent: mean over subjects, bars from least to most.

    Parameters
    ----------
    changes : DataFrame
        structure, method, true, change (shares of the volume).
    """
    structures = list(dict.fromkeys(changes["structure"])) or [""]
    figure, panels = subplots(1, len(structures), figsize=(WIDTH, 4.0), squeeze=False)
    seen = {}
    for panel, structure in zip(panels.flat, structures, strict=True):
        mine = changes[changes["structure"] == structure].dropna(subset="change")
        ends = 100 * np.array([min(mine["true"].min(), 0), max(mine["true"].max(), 0)])
        panel.plot(ends, ends, color="black", lw=0.8)
        methods = order_of(mine["method"])
        for number, method in enumerate(methods):
            rows = mine[mine["method"] == method]
            values = 100 * rows.groupby("true")["change"].agg(["mean", "min", "max"])
            shift = 0.15 * (number - (len(methods) - 1) / 2)
            seen[name_of(method)] = panel.errorbar(
                values.index.to_numpy() * 100 + shift, values["mean"],
                yerr=[values["mean"] - values["min"], values["max"] - values["mean"]],
                fmt=marker_of(method), color=colour_of(method), lw=1, capsize=2,
            )  # fmt: skip
        panel.set_xlabel("true change, %")
        panel.set_ylabel("change found, %")
        panel.set_title(structure)
    put_legend(figure, **seen)
    return figure


def plot_invented(invented: pd.DataFrame):
    """SD of the log Jacobian where nothing changed: two scans of one brain, and a scan and itself.

    Parameters
    ----------
    invented : DataFrame
        condition, method, sd_log_j.
    """
    methods = order_of(invented["method"])[::-1]
    figure, axes = subplots(figsize=(WIDTH, 0.32 * len(methods) + 1.2))
    for condition, filled in (("rescan", True), ("itself", False)):
        rows = invented[invented["condition"] == condition].set_index("method")
        for y, method in enumerate(methods):
            if method in rows.index:
                colour = colour_of(method)
                axes.scatter(
                    rows.loc[method, "sd_log_j"], y, marker=marker_of(method), s=44,
                    facecolors=colour if filled else "white", edgecolors=colour, zorder=3,
                )  # fmt: skip
    axes.set_yticks(range(len(methods)), [name_of(m) for m in methods])
    axes.set_xlim(left=0)
    axes.set_xlabel("SD of log J (filled: two scans of one brain, open: a scan and itself)")
    return figure


def plot_volumes(volumes: pd.DataFrame):
    """Bias (symbol) and spread (bar: one standard deviation) of propagated volumes, in per cent.

    Parameters
    ----------
    volumes : DataFrame
        Of :func:`lumirage_lib.experiments.do_no_harm.volumes.summarise_volumes`.
    """
    structures = list(dict.fromkeys(volumes["structure"])) or [""]
    lines = [
        (condition, method)
        for condition in sorted(dict.fromkeys(volumes["condition"]), key=lambda c: c != "T1w")
        for method in order_of(volumes.loc[volumes["condition"] == condition, "method"])
    ][::-1]
    figure, panels = subplots(
        1, len(structures), sharey=True, squeeze=False,
        figsize=(WIDTH, 0.24 * len(lines) + 1.2),
    )  # fmt: skip
    for panel, structure in zip(panels.flat, structures, strict=True):
        mine = volumes[volumes["structure"] == structure].set_index(["condition", "method"])
        for y, line in enumerate(lines):
            if line in mine.index:
                row, colour = mine.loc[line], colour_of(line[1])
                ends = 100 * (row["bias"] + np.array([-1, 1]) * row["spread"])
                panel.plot(ends, [y, y], color=colour, lw=1.5)
                panel.plot(100 * row["bias"], y, marker_of(line[1]), color=colour, ms=5)
        panel.axvline(0, color="black", lw=0.8)
        panel.set(xlabel="error of volume, %", title=structure)
    panels[0, 0].set_yticks(range(len(lines)), [f"{name_of(m)}, {c}" for c, m in lines], fontsize=8)
    return figure
