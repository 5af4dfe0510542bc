"""Notebook 10: what each way of training buys on each domain, and what it costs on T1w."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ...methods.training import HELD_OUT_MAPS, get_recipe
from ...stats import count, join
from ..experiment import Result
from ..opening import Opening
from ..run import Run
from ..sentences import list_limits, list_points, make_table, show, show_interval, write_state
from .effects import (
    BASE,
    GREEDY,
    REMAP,
    REMEDIES,
    find_gains,
    find_losses,
    find_mended,
    find_repairs,
    find_seeds,
    keep_common,
    keep_whole,
)
from .networks import INTERVENTIONS, read_training
from .plan import DOMAINS, REAL_CONTRAST, SMALLER, T1W, list_networks

AFFINE = "affine"


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says."""
    table = keep_whole(run)
    if "dice" not in table:  # nothing was run
        table = table.assign(dice=np.nan, status="")
    networks = list_networks(parameters)
    sides = {GREEDY: [GREEDY], **find_seeds(table, networks)}
    n_failed = int((table["status"] != "ok").sum())
    table = keep_common(table, sides)
    losses, gains = find_losses(table, sides), find_gains(table, sides)
    repairs, dice = find_repairs(losses, gains), _mean_dice(table, sides)
    training, planned = _list_training(networks), {e.condition for e in run.entries}
    return Result(
        opening=_open(repairs, gains, losses, training, planned),
        state=write_state(run),
        design=_write_design(table),
        domains_table=_tabulate_domains(planned),
        dice=dice,
        dice_table=_tabulate_dice(dice),
        below=_say_below(dice),
        losses=losses,
        losses_table=_tabulate(losses, "who", "change of Dice (95 %)"),
        gains=gains,
        gains_table=_tabulate(gains, "intervention", "Dice more than T1w only (95 %)"),
        repairs=repairs,
        repairs_text=_say_repairs(repairs, losses),
        rule=_say_rule(),
        training=training,
        training_table=make_table(training.to_dict("records"), "No network has been trained yet."),
        limits=list_points(_list_limits(run, training, n_failed)),
    )


def name_side(who: str) -> str:
    """In figures and tables: the intervention in words; another method by its id."""
    return INTERVENTIONS[who].name if who in INTERVENTIONS else who


def _mean_dice(table: pd.DataFrame, sides: Mapping[str, list[str]]) -> pd.DataFrame:
    """Mean Dice over pairs and seeds: domains down, sides across."""
    ok = table[table["status"] == "ok"]
    who = {method: side for side, methods in sides.items() for method in methods}
    who[AFFINE] = AFFINE
    named = ok.assign(side=ok["method"].map(who)).dropna(subset="side")
    wide = named.pivot_table("dice", "condition", "side")
    order = [s for s in (AFFINE, GREEDY, *INTERVENTIONS) if s in wide]
    return wide.reindex([d.name for d in DOMAINS if d.name in wide.index])[order]


def _tabulate_dice(dice: pd.DataFrame) -> str:
    return make_table(
        {"domain": domain, **{name_side(who): show(value) for who, value in row.items()}}
        for domain, row in dice.iterrows()
    )


def _say_below(dice: pd.DataFrame) -> str:
    """Where a method is worse than the alignment that all of them start from."""
    if AFFINE not in dice:
        return ""
    told = []
    for domain, row in dice.drop(columns=AFFINE).lt(dice[AFFINE], axis=0).iterrows():
        networks = row[[who for who in row.index if who in INTERVENTIONS]]
        names = [GREEDY] if row.get(GREEDY, False) else []
        if len(networks) > 1 and networks.all():
            names.append("every network")
        else:
            names += [f"*{name_side(str(who))}*" for who in networks.index[networks]]
        if names:
            told.append(f"{domain}: {join(names)}")
    return (
        "Below the affine alignment, where what training gains is less harm: "
        + "; ".join(told)
        + "."
        if told
        else ""
    )


def _tabulate_domains(planned: set[str]) -> str:
    return make_table(
        {"domain": d.name, "images": d.about, "compared with": d.reference or "–"}
        for d in DOMAINS
        if d.name in planned
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
            "seeds": _show_seeds(row) if row[who] in INTERVENTIONS else "–",
        }
        for row in rows.to_dict("records")
    )


def _show_seeds(row: Mapping) -> str:
    against = f" against {row['n_seeds_base']}" if "n_seeds_base" in row else ""
    return f"{row['n_seeds']}{against}"


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


def _open(
    repairs: pd.DataFrame,
    gains: pd.DataFrame,
    losses: pd.DataFrame,
    training: pd.DataFrame,
    planned: Iterable[str],
) -> Opening:
    """The first lines, of all `planned` domains; one counts once it has the loss beyond greedy's."""
    runs = (
        f"{count(len(training), 'training run')}; intervals (95 %, unadjusted) over subjects and seeds."
        if len(training)
        else "No network has been trained yet."
    )
    depends = "**What it depends on.** One small architecture at 4 mm; a large network at 1 mm may differ."
    changes = set(planned) & {d.name for d in DOMAINS if d.reference}
    base = losses[losses["who"] == BASE] if "excess" in losses else pd.DataFrame()
    run_ = set(base["domain"][base["excess"].notna()]) if len(base) else set()
    known = set(base["domain"][base["excess_high"].notna()]) if len(base) else set()
    unfinished = len(changes - run_)
    lost = set(base["domain"][base["excess_high"] < 0]) if len(base) else set()
    if repairs.empty:
        if not run_:
            headline = "Not tested yet: no change of domain has been run whole."
        elif lost:
            headline = (
                f"Trained on T1w alone, the network loses more than greedy on {len(lost)} of "
                f"{count(len(known), 'change')} of domain; no other training was run there."
            )
        elif not known:
            headline = (
                "Too few pairs to tell whether a network loses more than an iterative method."
            )
        else:
            headline = (
                f"{'So far trained' if unfinished else 'Trained'} on T1w alone, the network shows no loss "
                f"beyond greedy's on {count(len(known), 'change')} of domain."
            )
        return Opening(headline, (f"**How sure.** {runs}", depends))
    n, mended = len(lost), len(find_mended(repairs))
    best = f"the best of {count(repairs['training'].nunique(), 'other training')}"
    if unfinished:
        headline = (
            f"So far ({count(unfinished, 'domain')} to come) {best}, by domain, regains half the loss beyond "
            f"greedy's on {mended} of {count(n, 'domain')}."
        )
    elif mended > n / 2:
        headline = (
            f"{best.capitalize()}, by domain, regains half the loss beyond greedy's on {mended} of "
            f"{count(n, 'domain')}."
        )
    else:
        headline = (
            f"These choices of training do not mend it: {best}, by domain, regains half the loss on "
            f"{mended} of {count(n, 'domain')}."
        )
    less = int((base["excess_low"] > 0).sum())
    fewer = f"; on {less} it loses less" if less else ""
    cost = gains[(gains["domain"] == T1W) & gains["intervention"].isin(REMEDIES)]
    price = (
        f" On T1w the other trainings change Dice by {show(cost['estimate'].min(), sign=True)} to "
        f"{show(cost['estimate'].max(), sign=True)}."
        if len(cost)
        else ""
    )
    return Opening(
        headline,
        (
            f"**What.** On {n} of {count(len(known), 'change')} of domain the network trained on T1w alone "
            f"loses more than greedy, by up to {show(-repairs['excess'].min())} Dice{fewer}.{price}",
            f"**What brings it back.** {_say_best(repairs)}",
            *_say_real(gains),
            f"**How sure.** {runs}",
            depends,
        ),
    )


def _say_best(repairs: pd.DataFrame) -> str:
    """The training that gains most on every domain, with its interval and its share of the loss."""
    best = repairs.loc[repairs.groupby("domain", sort=False)["estimate"].idxmax()]
    return (
        "; ".join(
            f"{row['domain']}: {name_side(row['training'])}, "
            f"{show_interval(row['estimate'], row['low'], row['high'])} of {show(-row['excess'])} lost"
            for row in best.to_dict("records")
        )
        + "."
    )


def _say_real(gains: pd.DataFrame) -> list[str]:
    """What remapped intensities add on real contrasts, whether or not a loss was clear there."""
    real = [d.name for d in DOMAINS if d.kind == REAL_CONTRAST]
    mine = gains[gains["domain"].isin(real) & (gains["intervention"] == REMAP)]
    said = [
        f"{row['domain']} {show_interval(row['estimate'], row['low'], row['high'])}"
        for row in mine.to_dict("records")
    ]
    return [f"**On real contrasts.** Remapped intensities add: {'; '.join(said)}."] if said else []


def _say_repairs(repairs: pd.DataFrame, losses: pd.DataFrame) -> str:
    if "excess" not in losses:
        return "Nothing can be said before the networks have been run."
    if repairs.empty:
        return "There is no loss beyond greedy's, or no other training was run where there is one."
    return make_table(
        {
            "domain": domain,
            "lost beyond greedy (95 %)": show_interval(
                *rows[["excess", "excess_low", "excess_high"]].iloc[0]
            ),
            **{
                f"gained by: {name_side(row['training'])}": f"{show(row['estimate'], sign=True)} "
                f"({show(100 * row['share'], 0)} %)"
                for row in rows.to_dict("records")
            },
        }
        for domain, rows in repairs.groupby("domain", sort=False)
    )


def _say_rule() -> str:
    gain, over = get_recipe("cause-t1").plateau or (np.nan, 0)
    least, most = get_recipe("cause-scale").scales or (np.nan, np.nan)
    return (
        f"A run ends when the local correlation of held-out scans has gained less than {gain:g} in "
        f"{over} iterations. The maps tested here, {join(list(HELD_OUT_MAPS))}, lie outside those "
        "trained on: a random map close to one of them was drawn again. The size tested here, "
        f"{SMALLER:g}, lies inside those that *random size* was trained on, {least:g} to {most:g}."
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


def _list_limits(run: Run, training: pd.DataFrame, n_failed: int) -> list[str]:
    asked = len({t.method for t in run.tasks if t.method.startswith("lumirage_lib.")})
    lines = []
    if len(training) < asked:
        lines.append(
            f"{len(training)} of {count(asked, 'network')} are trained; the others are not shown."
        )
    if len(training) and (open_ := training[training["ended by"] != "the plateau"]).shape[0]:
        names = join([f"{r.training}, seed {r.seed}" for r in open_.itertuples()])
        lines.append(f"Still learning when their time was over: {names}.")
    if n_failed:
        lines.append(
            f"{count(n_failed, 'registration')} failed; a pair on which a seed failed is left out of all "
            "seeds of that training."
        )
    return [
        *lines,
        "The share of a loss that is regained has no interval of its own, and the training that gains most "
        "was picked after looking.",
        "Only the maps *inverted* and *folded* were kept out of training. Maps like those of T2w and T2\\*w, "
        "and sizes like the smaller one here, may have been seen by what was trained on maps or sizes.",
        "*T1w only, 4 scans* has the same four scans in every seed.",
        "One small architecture at 4 mm voxels. What training buys it need not be what it buys a large "
        "network at 1 mm.",
        "An interval is over subjects and seeds; with a single seed it is over subjects alone.",
        *list_limits(run),
    ]
