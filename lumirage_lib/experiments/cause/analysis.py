"""Notebook 10: what each way of training buys on each domain, and what it costs on T1w."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy

from ... import stats
from ...methods.training import HELD_OUT_MAPS, get_recipe
from ...stats import count, join
from ..experiment import Result
from ..opening import Opening
from ..run import Run
from ..sentences import list_limits, list_points, make_table, show, show_interval, write_state
from .networks import INTERVENTIONS, identify_network, read_training
from .plan import DOMAINS, T1W, list_networks

GREEDY, BASE = "greedy", "t1"
HALF = 0.5  # of a loss; less is no repair


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


def _seeds_of(table: pd.DataFrame, networks: Iterable[tuple[str, int]]) -> dict[str, list[str]]:
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


def _find_losses(table: pd.DataFrame, sides: Mapping[str, list[str]]) -> pd.DataFrame:
    """Change from the reference of every domain and side; of networks also what is beyond greedy's."""
    rows = []
    for domain in DOMAINS:
        if domain.reference is None:
            continue
        how: dict[str, Any] = {"condition": domain.name, "reference": domain.reference}
        beside = _have(table, [GREEDY], domain.name, domain.reference)
        for who, all_methods in sides.items():
            methods = _have(table, all_methods, domain.name, domain.reference)
            if not methods:
                continue
            seeds = np.array(
                [stats.match_conditions(table, m, **how).difference.mean() for m in methods]
            )
            found = stats.compute_interval(stats.match_conditions(table, methods, **how))
            estimate, low, high = widen(found, [seeds])
            row: dict[str, Any] = {"who": who, "domain": domain.name, "kind": domain.kind}
            row |= {"reference": domain.reference, "estimate": estimate, "low": low, "high": high}
            row |= {
                "n_pairs": found.n_pairs,
                "n_subjects": found.n_subjects,
                "n_seeds": len(methods),
            }
            if beside and who != GREEDY:
                change = stats.compute_interval(stats.match_changes(table, methods, GREEDY, **how))
                names = ("excess", "excess_low", "excess_high")
                row |= dict(zip(names, widen(change, [seeds]), strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def _find_gains(table: pd.DataFrame, sides: Mapping[str, list[str]]) -> pd.DataFrame:
    rows = []
    for domain in DOMAINS:
        base = _have(table, sides.get(BASE, []), domain.name)
        for who in INTERVENTIONS:
            mine = _have(table, sides.get(who, []), domain.name)
            if who == BASE or not mine or not base:
                continue
            found = stats.compute_interval(
                stats.match_pairs(table, mine, base, condition=domain.name)
            )
            here = table[(table["condition"] == domain.name) & (table["status"] == "ok")]
            means = here.groupby("method")["dice"].mean()
            estimate, low, high = widen(found, [means[mine].to_numpy(), means[base].to_numpy()])
            rows.append(
                {"intervention": who, "domain": domain.name, "kind": domain.kind}
                | {"estimate": estimate, "low": low, "high": high}
                | {"n_pairs": found.n_pairs, "n_subjects": found.n_subjects, "n_seeds": len(mine)}
            )
    return pd.DataFrame(rows)


def find_repairs(losses: pd.DataFrame) -> pd.DataFrame:
    """Where the network trained on T1w alone loses more than greedy, and what training gives back.

    Returns
    -------
    DataFrame
        domain, excess (its loss beyond greedy's), and for each other intervention the share of it
        that is gone. Only where the interval of the excess lies below zero.
    """
    if losses.empty or "excess" not in losses:
        return pd.DataFrame()
    base = losses[losses["who"] == BASE].set_index("domain")
    out = base.loc[base["excess_high"] < 0, ["excess"]].copy()
    wide = losses.pivot(index="domain", columns="who", values="excess").reindex(out.index)
    for who in INTERVENTIONS:
        if who != BASE and who in wide:
            out[who] = 1 - wide[who] / out["excess"]
    return out.reset_index()


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


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says."""
    table = keep_whole(run)
    if "dice" not in table:  # nothing was run
        table = table.assign(dice=np.nan)
    networks = list_networks(parameters)
    sides = {GREEDY: [GREEDY], **_seeds_of(table, networks)}
    losses, gains = _find_losses(table, sides), _find_gains(table, sides)
    repairs = find_repairs(losses)
    training = _list_training(networks)
    return Result(
        opening=_open(repairs, gains, losses, training, _count_unfinished(run, losses)),
        state=write_state(run),
        design=_write_design(table),
        dice=_mean_dice(table, sides),
        dice_table=_tabulate_dice(_mean_dice(table, sides)),
        losses=losses,
        losses_table=_tabulate(losses, "who", "change of Dice (95 %)"),
        gains=gains,
        gains_table=_tabulate(gains, "intervention", "Dice more than T1w only (95 %)"),
        repairs_text=_say_repairs(repairs, losses),
        rule=_say_rule(),
        training=training,
        training_table=make_table(training.to_dict("records"), "No network has been trained yet."),
        limits=list_points(_list_limits(run, training)),
    )


def name_side(who: str) -> str:
    """In figures and tables: the intervention in words; another method by its id."""
    return INTERVENTIONS[who].name if who in INTERVENTIONS else who


def _mean_dice(table: pd.DataFrame, sides: Mapping[str, list[str]]) -> pd.DataFrame:
    """Mean Dice over pairs and seeds: domains down, sides across."""
    ok = table[table["status"] == "ok"]
    who = {method: side for side, methods in sides.items() for method in methods}
    who["affine"] = "affine"
    named = ok.assign(side=ok["method"].map(who)).dropna(subset="side")
    wide = named.pivot_table("dice", "condition", "side")
    order = [s for s in ("affine", GREEDY, *INTERVENTIONS) if s in wide]
    return wide.reindex([d.name for d in DOMAINS if d.name in wide.index])[order]


def _tabulate_dice(dice: pd.DataFrame) -> str:
    return make_table(
        {"domain": domain, **{name_side(who): show(value) for who, value in row.items()}}
        for domain, row in dice.iterrows()
    )


def _tabulate(rows: pd.DataFrame, who: str, title: str) -> str:
    return make_table(
        {
            "domain": row["domain"],
            title: show_interval(row["estimate"], row["low"], row["high"]),
            "method" if who == "who" else "training": name_side(row[who]),
            **({"against": row["reference"]} if "reference" in row else {}),
            "pairs": row["n_pairs"],
            "subjects": row["n_subjects"],
            "seeds": row["n_seeds"] if row[who] in INTERVENTIONS else "–",
        }
        for row in rows.to_dict("records")
    )


def _write_design(table: pd.DataFrame) -> str:
    pairs = table.groupby("condition")[["fixed", "moving"]].apply(
        lambda r: len(r.drop_duplicates())
    )
    if pairs.empty:
        return "Nothing has been run yet."
    low, high = pairs.min(), pairs.max()
    each = f"{low}" if low == high else f"{low} to {high}"
    return (
        f"{count(len(pairs), 'domain')}, {each} ordered pairs each, every method at the same grid."
    )


def _count_unfinished(run: Run, losses: pd.DataFrame) -> int:
    """Planned changes of domain that no network was run on whole, with greedy beside it."""
    planned = {e.condition for e in run.entries} & {d.name for d in DOMAINS if d.reference}
    done = set(losses.loc[losses["excess"].notna(), "domain"]) if "excess" in losses else set()
    return len(planned - done)


def _open(
    repairs: pd.DataFrame,
    gains: pd.DataFrame,
    losses: pd.DataFrame,
    training: pd.DataFrame,
    unfinished: int = 0,
) -> Opening:
    seeds = (
        f"{count(len(training), 'training run')}; bars are over subjects and seeds."
        if len(training)
        else "No network has been trained yet."
    )
    depends = "**What it depends on.** One small architecture at 4 mm; a large network at 1 mm may differ."
    if repairs.empty:
        headline = (
            "Trained on T1w alone, the network loses no more than an iterative method on any domain here."
            if "excess" in losses
            else "Not tested yet: no change of domain has been run whole."
        )
        return Opening(headline, (f"**How sure.** {seeds}", depends))
    ways = [c for c in repairs if c in INTERVENTIONS]
    best = repairs[ways].max(axis=1) if ways else pd.Series(np.nan, index=repairs.index)
    mended, n = int((best >= HALF).sum()), len(repairs)
    if unfinished:
        headline = (
            f"So far, with {count(unfinished, 'change')} of domain still to be run, other training gives "
            f"back half or more of the loss on {mended} of {n}."
        )
    elif mended > n / 2:
        headline = (
            f"A choice of training, mostly: other training gives back half or more of the loss on {mended} "
            f"of {count(n, 'domain')}."
        )
    else:
        headline = (
            f"These choices of training do not mend it: half of the loss comes back on {mended} of "
            f"{count(n, 'domain')}."
        )
    cost = gains[(gains["domain"] == T1W) & gains["intervention"].isin(ways)]
    price = (
        f" On T1w other training changes Dice by {show(cost['estimate'].min(), sign=True)} at worst."
        if len(cost)
        else ""
    )
    return Opening(
        headline,
        (
            f"**What.** On {count(n, 'domain')} the network trained on T1w alone loses more than greedy, "
            f"by up to {show(-repairs['excess'].min())} Dice.{price}",
            f"**What brings it back.** {_say_best_shares(repairs, ways)}",
            f"**How sure.** {seeds}{_say_best_gain(repairs, gains)}",
            depends,
        ),
    )


def _say_best_shares(repairs: pd.DataFrame, ways: list[str]) -> str:
    """The training that gives most back, and how much, domain by domain."""
    shares = repairs.set_index("domain")[ways].astype(float).dropna(how="all")
    told = [
        f"{domain}: {name_side(way)}, {_show_share(shares.loc[domain, way])}"
        for domain, way in (shares.idxmax(axis=1) if len(shares) else pd.Series()).items()
    ]
    return "; ".join(told) + "." if told else "No other training was run there."


def _say_best_gain(repairs: pd.DataFrame, gains: pd.DataFrame) -> str:
    """What other training gains most on the domain that costs most, with its interval."""
    worst = repairs.loc[repairs["excess"].idxmin(), "domain"]
    there = gains[gains["domain"] == worst]
    if there.empty:
        return ""
    best = there.loc[there["estimate"].idxmax()]
    found = show_interval(best["estimate"], best["low"], best["high"])
    return f" Most is gained on {worst} by {name_side(best['intervention'])}: {found} Dice."


def _say_repairs(repairs: pd.DataFrame, losses: pd.DataFrame) -> str:
    if "excess" not in losses:
        return "Nothing can be said before the networks have been run."
    if repairs.empty:
        return "There is no loss beyond greedy's to repair."
    return make_table(
        {
            "domain": row["domain"],
            "lost beyond greedy": show(row["excess"], sign=True),
            **{
                f"given back by: {name_side(who)}": _show_share(row[who])
                for who in INTERVENTIONS
                if who in repairs
            },
        }
        for row in repairs.to_dict("records")
    )


def _show_share(share: float) -> str:
    return f"{show(100 * share, 0)} %" if pd.notna(share) else "–"


def _say_rule() -> str:
    gain, over = get_recipe("cause-t1").plateau or (np.nan, 0)
    return (
        f"A run ends when the local correlation of held-out scans has gained less than {gain:g} in "
        f"{over} iterations. The maps tested here, {join(list(HELD_OUT_MAPS))}, lie outside those "
        "trained on: a random map close to one of them was drawn again."
    )


def _list_training(networks: Iterable[tuple[str, int]]) -> pd.DataFrame:
    rows = []
    for name, seed in networks:
        about = read_training(name, seed)
        if about:
            rows.append(
                {
                    "training": name_side(name),
                    "seed": seed,
                    "iterations": int(about["iterations"]),
                    "ended by": "the plateau"
                    if about.get("settled") == "True"
                    else "its length: still learning",
                }
            )
    return pd.DataFrame(rows)


def _list_limits(run: Run, training: pd.DataFrame) -> list[str]:
    asked = len({t.method for t in run.tasks if t.method.startswith("lumirage_lib.")})
    lines = []
    if len(training) < asked:
        lines.append(
            f"{len(training)} of {count(asked, 'network')} are trained; the others are not shown."
        )
    if len(training) and (open_ := training[training["ended by"] != "the plateau"]).shape[0]:
        names = join([f"{r.training}, seed {r.seed}" for r in open_.itertuples()])
        lines.append(f"Still learning when their time was over: {names}.")
    return [
        *lines,
        "One small architecture at 4 mm voxels. What training buys it need not be what it buys a large "
        "network at 1 mm.",
        "An interval is over subjects and seeds; with a single seed it is over subjects alone.",
        *list_limits(run),
    ]
