"""Notebook 11: what every other choice of methods, labels, rulers and references would have said."""

from collections.abc import Mapping

import pandas as pd

from ... import stats
from ...stats import count
from ..experiment import Result
from ..families import ARMS, name_claim, name_plainly
from ..opening import Opening
from ..sentences import list_points, make_table, show
from ..specifications import measure_factors, say_specifications, take_dice
from .analysis import Judged, keep_finished

PRIMARY = tuple(name_claim(arm.name, c) for arm in ARMS.values() for c in arm.primary)


def analyse(judged: Judged) -> Result:
    """Everything the page says."""
    finished = keep_finished(judged)
    verdicts = {v.claim.id: v for found in judged.verdicts.values() for v in found}
    claims = list(dict.fromkeys([*PRIMARY, *finished["claim"]]))
    curves = {claim: finished[finished["claim"] == claim] for claim in claims}
    dice = {claim: take_dice(mine) for claim, mine in curves.items() if len(take_dice(mine))}
    overview = pd.concat(dice.values()) if dice else pd.DataFrame(columns=["claim"])
    return Result(
        opening=_open(dice),
        curves={claim: dice.get(claim, take_dice(mine)) for claim, mine in curves.items()},
        texts={
            claim: _say_claim(claim, mine, verdicts.get(claim)) for claim, mine in curves.items()
        },
        overview=overview,
        design=_design(overview) if dice else "",
        table=tabulate_choices(finished),
        beside=[claim for claim in dice if claim not in PRIMARY],
        designs={claim: _design(mine) for claim, mine in dice.items()},
        choices=finished,
        limits=list_points(_LIMITS),
    )


def tabulate_choices(choices: pd.DataFrame) -> str:
    """What every defensible choice says of each claim: how many, which words, the range."""
    rows = []
    for claim, mine in take_dice(choices).groupby("claim", sort=False):
        found = stats.summarise_specifications(mine)
        shares = [f"{word} {100 * share:.0f} %" for word, share in found["shares"].items()]
        rows.append(
            {
                "claim": name_plainly(str(claim)),
                "what the choices say": "; ".join(shares),
                "from": show(found["least"], sign=True),
                "to": show(found["greatest"], sign=True),
                "choices": found["n"],
            }
        )
    return make_table(rows, "No claim is complete yet, so there is no choice to compare.")


def _has_one_side(choices: pd.DataFrame) -> bool:
    """Whether all estimates lie on one side of zero."""
    return bool((choices["estimate"] < 0).all() or (choices["estimate"] > 0).all())


def _open(dice: Mapping[str, pd.DataFrame]) -> Opening:
    primary = [claim for claim in dice if claim in PRIMARY]
    waiting = len(PRIMARY) - len(primary)
    if not primary:
        said = f"Not known yet: none of the {waiting} primary comparisons is finished."
    else:
        same = [name_plainly(claim) for claim in primary if _has_one_side(dice[claim])]
        said = (
            f"In {len(same)} of {count(len(primary), 'primary comparison')}"
            f"{f' ({stats.join(same)})' if same else ''}, every choice points the same way"
            f"{f'; {waiting} more not finished' if waiting else ''}."
        )
    widest = {c: float(mine["estimate"].max() - mine["estimate"].min()) for c, mine in dice.items()}
    points = []
    if widest:
        claim = max(widest, key=lambda c: widest[c])
        mine = dice[claim]
        points.append(
            f"**What.** The choices disagree most about {name_plainly(claim)}: from "
            f"{show(mine['estimate'].min(), sign=True)} to {show(mine['estimate'].max(), sign=True)} Dice, "
            f"over {count(len(mine), 'choice')}."
        )
        points.append(
            "**How sure.** Each interval holds alone, at 95 %. A share counts choices; it is no probability."
        )
        moved = measure_factors(mine)
        if len(moved):
            points.append(
                f"**What it depends on.** There, {moved.index[0]} moves the answer most: its extremes are "
                f"{show(moved.iloc[0])} Dice apart, in or outside the declared families."
            )
    return Opening(said, tuple(points))


def _say_claim(claim: str, choices: pd.DataFrame, verdict: stats.Verdict | None) -> str:
    """What the choices say, what moves the answer, and what borders say; or why there is nothing."""
    dice = take_dice(choices)
    if dice.empty:
        if verdict is None:
            return "This run has no such comparison."
        if verdict.by_failures:
            return f"No verdict: {verdict.reason}."
        reason = f" ({verdict.reason})" if verdict.reason else ""
        return f"Not finished{reason}. A part of the pairs could mislead, so nothing is drawn."
    said = [say_specifications(dice)]
    moved = measure_factors(dice)
    if len(moved):
        each = ", ".join(f"{name} {show(span)}" for name, span in moved.items())
        said.append(f"Changing one choice alone moves the answer, in Dice on average, by: {each}.")
    borders = choices[choices["measure"] != "dice"]
    if len(borders):
        worse, better = int((borders["high"] < 0).sum()), int((borders["low"] > 0).sum())
        said.append(
            f"By the distance of borders (HD95), for which no margin was declared, {worse} of "
            f"{count(len(borders), 'choice')} are clearly worse and {better} clearly better."
        )
    return "\n\n".join(said)


def _design(choices: pd.DataFrame) -> str:
    return f"{int(choices['n_pairs'].max())} pairs of {int(choices['n_subjects'].max())} subjects at most."


_LIMITS = (
    "Choices share their images and most of their methods: they are no independent studies.",
    "Only what was run can be chosen. A method, a label set or a reference that is absent moves nothing.",
    "Methods outside the declared families are chosen too, by the usual labels and ruler.",
)
