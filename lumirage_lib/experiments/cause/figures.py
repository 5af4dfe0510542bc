"""What each way of training buys and costs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...methods import colour_of
from ..style import subplots
from .analysis import name_side
from .effects import GREEDY
from .networks import INTERVENTIONS

MARKERS = dict(zip((GREEDY, *INTERVENTIONS), "DosP^v", strict=True))


def _colour(who: str) -> str:
    return INTERVENTIONS[who].colour if who in INTERVENTIONS else colour_of(who)


def plot_effects(
    rows: pd.DataFrame, who: str, xlabel: str, targets: Mapping[str, float] | None = None
):
    """Estimates with intervals, a row per domain, a symbol per side.

    Parameters
    ----------
    rows : DataFrame
        domain, `who`, estimate, low, high; in the order of the domains.
    who : str
        Column that names the side.
    targets : mapping, optional
        Domain -> what would be all of it, a black mark in its row.
    """
    domains = list(dict.fromkeys(rows["domain"]))
    sides = [s for s in MARKERS if s in set(rows[who])]
    figure, axes = subplots(figsize=(7.0, 0.52 * len(domains) + 1.4))
    axes.axvline(0, color="0.3", lw=0.8)
    offsets = np.linspace(-0.3, 0.3, len(sides)) if len(sides) > 1 else [0.0]
    for side, offset in zip(sides, offsets, strict=True):
        mine = rows[rows[who] == side]
        y = [domains.index(d) + offset for d in mine["domain"]]
        bars = np.abs(mine[["low", "high"]].to_numpy().T - mine["estimate"].to_numpy())
        axes.errorbar(
            mine["estimate"],
            y,
            xerr=np.nan_to_num(bars),
            fmt=MARKERS[side],
            ms=5,
            lw=1.2,
            color=_colour(side),
            label=name_side(side),
        )
    if targets := {d: x for d, x in (targets or {}).items() if d in domains}:
        rows_of = [domains.index(d) for d in targets]
        label = "lost beyond greedy"
        axes.scatter(list(targets.values()), rows_of, 260, "k", "|", linewidths=2, label=label)
    axes.set_yticks(range(len(domains)), domains)
    axes.set_ylim(len(domains) - 0.5, -0.5)
    axes.set_xlabel(xlabel)
    figure.legend(loc="outside upper left", ncols=3, fontsize=9)
    return figure
