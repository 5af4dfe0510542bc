"""What each network loses on a domain, and what other training gains there: tables in, tables out."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy

from ... import stats
from ..run import Run
from .networks import INTERVENTIONS, identify_network
from .plan import DOMAINS

GREEDY, BASE = "greedy", "t1"
REMAP = "remap"
REMEDIES = (REMAP, "scale", "both")  # fewer scans are a control
HALF = 0.5  # of a loss; less does not mend it


def widen(found: stats.Interval, seeds: Iterable[np.ndarray]) -> tuple[float, float, float]:
    """Estimate and 95 % interval over subjects and seeds.

    Parameters
    ----------
    found : Interval
        Over subjects, of the mean over seeds.
    seeds : iterable of arrays
        For each side that was trained, the estimate by each of its seeds. A side with one seed adds
        nothing, and the page says so.

    Notes
    -----
    Variances of independent sources add; Welch-Satterthwaite degrees of freedom.
    """
    parts = [(found.error**2, found.freedom)]
    parts += [(np.var(s, ddof=1) / len(s), len(s) - 1) for s in seeds if len(s) > 1]
    variance = sum(v for v, _ in parts)
    below = sum(v**2 / f for v, f in parts if v > 0)
    if not np.isfinite(variance) or below == 0:
        return found.estimate, found.low, found.high
    half = float(scipy.stats.t.ppf(0.975, variance**2 / below) * np.sqrt(variance))
    return found.estimate, found.estimate - half, found.estimate + half


def find_seeds(table: pd.DataFrame, networks: Iterable[tuple[str, int]]) -> dict[str, list[str]]:
    """Intervention -> the ids of its networks that have rows."""
    there = set(table["method"])
    found: dict[str, list[str]] = {}
    for name, seed in networks:
        if (id := identify_network(name, seed)) in there:
            found.setdefault(name, []).append(id)
    return found


def _have(table: pd.DataFrame, methods: Iterable[str], *conditions: str) -> list[str]:
    """The methods with a row under every condition."""
    seen = table.groupby("method")["condition"].agg(set)
    return [m for m in methods if m in seen and set(conditions) <= seen[m]]


def find_losses(table: pd.DataFrame, sides: Mapping[str, list[str]]) -> pd.DataFrame:
    """Change from the reference of every domain and side; of networks also what is beyond greedy's."""
    rows = []
    for domain in DOMAINS:
        if domain.reference is None:
            continue
        how: dict[str, Any] = {"condition": domain.name, "reference": domain.reference}
        beside = _have(table, [GREEDY], domain.name, domain.reference)
        for who, all_methods in sides.items():
            methods = _have(table, all_methods, domain.name, domain.reference)
            if not methods or not (change := stats.match_conditions(table, methods, **how)).n_pairs:
                continue
            seeds = np.array(
                [stats.match_conditions(table, m, **how).difference.mean() for m in methods]
            )
            found = stats.compute_interval(change)
            estimate, low, high = widen(found, [seeds])
            row: dict[str, Any] = {"who": who, "domain": domain.name, "kind": domain.kind}
            row |= {"reference": domain.reference, "estimate": estimate, "low": low, "high": high}
            row |= _count(found) | {"n_seeds": len(methods)}
            if beside and who != GREEDY:
                more = stats.match_changes(table, methods, GREEDY, **how)
                if more.n_pairs:
                    names = ("excess", "excess_low", "excess_high")
                    values = widen(stats.compute_interval(more), [seeds])
                    row |= dict(zip(names, values, strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def find_gains(table: pd.DataFrame, sides: Mapping[str, list[str]]) -> pd.DataFrame:
    rows = []
    for domain in DOMAINS:
        base = _have(table, sides.get(BASE, []), domain.name)
        for who in INTERVENTIONS:
            mine = _have(table, sides.get(who, []), domain.name)
            if who == BASE or not mine or not base:
                continue
            matched = stats.match_pairs(table, mine, base, condition=domain.name)
            if not matched.n_pairs:
                continue
            found = stats.compute_interval(matched)
            here = table[(table["condition"] == domain.name) & (table["status"] == "ok")]
            means = here.groupby("method")["dice"].mean()
            estimate, low, high = widen(found, [means[mine].to_numpy(), means[base].to_numpy()])
            rows.append(
                {"intervention": who, "domain": domain.name, "kind": domain.kind}
                | {"estimate": estimate, "low": low, "high": high}
                | _count(found)
                | {"n_seeds": len(mine), "n_seeds_base": len(base)}
            )
    return pd.DataFrame(rows)


def _count(found: stats.Interval) -> dict[str, int]:
    return {"n_pairs": found.n_pairs, "n_subjects": found.n_subjects}


def find_repairs(losses: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """Where the network trained on T1w alone loses more than greedy, and what other training gains there.

    Returns
    -------
    DataFrame
        domain, excess (its loss beyond greedy's) with excess_low and excess_high, training, estimate
        with low and high (Dice that it gains on the domain), and share, that gain by the excess. The
        share counts what is gained, so a network that is worse everywhere has none. Only where the
        interval of the excess lies below zero.
    """
    if losses.empty or "excess" not in losses or gains.empty:
        return pd.DataFrame()
    base = losses[(losses["who"] == BASE) & (losses["excess_high"] < 0)]
    rows = base[["domain", "excess", "excess_low", "excess_high"]].merge(
        gains[gains["intervention"].isin(REMEDIES)].rename(columns={"intervention": "training"})[
            ["domain", "training", "estimate", "low", "high"]
        ]
    )
    return rows.assign(share=-rows["estimate"] / rows["excess"])


def find_mended(repairs: pd.DataFrame) -> list[str]:
    """Domains where some training gains half of the loss or more, by an interval above zero."""
    enough = repairs[(repairs["share"] >= HALF) & (repairs["low"] > 0)]
    return list(dict.fromkeys(enough["domain"]))


def keep_common(table: pd.DataFrame, sides: Mapping[str, list[str]]) -> pd.DataFrame:
    """Without the pairs on which a seed of a side failed: what is averaged is over the same pairs."""
    who = {method: side for side, methods in sides.items() for method in methods}
    side = table["method"].map(who).fillna(table["method"])
    failed = table["status"] != "ok"
    place = [side, table["condition"], table["fixed"], table["moving"]]
    return table[~failed.groupby(place).transform("any")]


def keep_whole(run: Run) -> pd.DataFrame:
    """Registrations of the methods that were tried on every planned pair of a domain.

    Half of its pairs would say something else of a domain than all of them.
    """
    table = run.registrations
    planned: dict[str, set[str]] = {}
    for entry in run.entries:
        planned.setdefault(entry.condition, set()).add(entry.task.pair.id)
    pairs = (table["fixed"] + " " + table["moving"]).groupby([table["condition"], table["method"]])
    tried = pairs.transform("nunique")
    return table[tried == table["condition"].map({c: len(ids) for c, ids in planned.items()})]
