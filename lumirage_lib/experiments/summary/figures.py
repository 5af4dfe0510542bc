"""All verdicts on one page."""

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from ...methods import name_of, order_of
from ...stats import INCOMPLETE
from ..families import ARMS, name_claim, name_plainly
from ..sentences import show
from ..style import WIDTH, put_legend, subplots

DIFFERENCE = "deep − iterative (0.6 mm: finer − coarser), Dice"
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
        arm, verdict, primary, estimate, low, high, margin; one row per arm, top to bottom. Of
        arms that are incomplete, as of those without an estimate, nothing is drawn.
    """
    known = arms[(arms["verdict"] != INCOMPLETE) & np.isfinite(arms["estimate"].astype(float))]
    table = (known if len(known) else arms)[::-1].reset_index(drop=True)
    figure, axes = subplots(figsize=(WIDTH, 0.36 * len(table) + 1.4))
    margin = table["margin"].iloc[0]
    axes.axvspan(-margin, margin, color="0.92", zorder=0)
    axes.axvline(0, color="black", lw=0.8)
    said = set()
    for row in table.itertuples():
        word = row.verdict if row.verdict in VERDICTS else ""
        colour, marker = VERDICTS[word]
        label = word or "another word"
        axes.hlines(row.Index, row.low, row.high, color=colour, lw=2)
        face = colour if row.primary else "white"
        axes.scatter(row.estimate, row.Index, marker=marker, facecolors=face, edgecolors=colour,
                     zorder=3, label=None if label in said else label)  # fmt: skip
        said.add(label)
    names = [f"{name_plainly(row.arm)}\n{row.verdict}" for row in table.itertuples()]
    axes.set_yticks(np.arange(len(table)), names, fontsize=8)
    axes.set_xlabel(DIFFERENCE)
    put_legend(figure)
    return figure


def plot_choices(choices: pd.DataFrame, margin: float = 0.01):
    """Specification curves, one panel a claim: every choice's estimate and interval, by size.

    Parameters
    ----------
    choices : DataFrame
        claim, estimate, low, high.
    margin : float
        Half width of the grey band.
    """
    claims = list(dict.fromkeys(choices["claim"]))
    figure, panels = subplots(
        len(claims), 1, figsize=(WIDTH, 1.5 * len(claims) + 0.5), squeeze=False
    )
    for axes, claim in zip(panels.flat, claims, strict=True):
        mine = choices[choices["claim"] == claim].sort_values("estimate", ignore_index=True)
        axes.axhspan(-margin, margin, color="0.92", zorder=0)
        axes.axhline(0, color="black", lw=0.8)
        axes.vlines(mine.index, mine["low"], mine["high"], color="#0072B2", lw=0.8, alpha=0.5)
        axes.scatter(mine.index, mine["estimate"], s=8, color="#0072B2", zorder=3)
        axes.set_title(name_plainly(claim), fontsize=9)
        axes.set_xticks([])
    figure.supylabel(DIFFERENCE, fontsize=9)
    figure.supxlabel("choices of methods, labels and rules, in order", fontsize=9)
    return figure


def plot_domains(domains: pd.DataFrame):
    """Every method in every domain: Dice beyond the affine alignment alone, in cells that say it.

    Parameters
    ----------
    domains : DataFrame
        arm, condition, method, gain (mean Dice minus that of the affine alignment on the same pairs),
        n_pairs; hatched where a method drew the labels that it is scored on.
    """
    where = [name_plainly(name_claim(r.arm, r.condition)) for r in domains.itertuples()]
    table = domains.assign(where=where, drew=[
        r.method in ARMS[r.arm].drew_labels if r.arm in ARMS else False for r in domains.itertuples()
    ])  # fmt: skip
    methods = order_of(table["method"])
    places = list(dict.fromkeys(where))
    values = table.pivot_table("gain", "where", "method", sort=False).reindex(
        places, columns=methods
    )
    figure, axes = subplots(figsize=(WIDTH, 0.36 * len(places) + 1.9))
    axes.grid(False)
    values = values.astype(float)
    reach = (
        0.25  # beyond it, what a size that nobody was told does to a network, the colour is full
    )
    axes.imshow(values, cmap="PuOr", vmin=-reach, vmax=reach, aspect="auto")
    for (i, j), value in np.ndenumerate(values.to_numpy()):
        if np.isfinite(value):
            shade = "white" if abs(value) > 0.55 * reach else "black"
            axes.text(
                j, i, show(value, 2, sign=True), ha="center", va="center", fontsize=8, color=shade
            )
    for row in table[table["drew"]].itertuples():
        at = (methods.index(row.method) - 0.5, places.index(row.where) - 0.5)
        axes.add_patch(Rectangle(at, 1, 1, fill=False, hatch="////", lw=0, alpha=0.5))
    axes.set_yticks(range(len(places)), places)
    axes.set_xticks(range(len(methods)), [name_of(m) for m in methods], rotation=40, ha="right")
    return figure
