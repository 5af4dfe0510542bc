"""Verdicts in words: every number in a sentence comes from the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import InputError
from ..methods import family_of, name_of
from ._pairs import is_error

if TYPE_CHECKING:
    from ._claims import Claim, Verdict

FAMILIES = {
    "deep": "the deep methods",
    "iterative": "the iterative methods",
    "baseline": "the baseline",
}
MEASURES = {
    "dice": "Dice",
    "soft_dice": "soft Dice",
    "hd95_mm": "HD95 in mm",
    "tre_mm": "TRE in mm",
    "true_error_mm": "displacement error in mm",
}
SINGULAR = {"baseline"}
LABELS_DECIDE = "undecided: labels decide"


def name_group(who: str | Sequence[str]) -> str:
    """ "the deep methods", "greedy", "greedy and VFA" (two families), "the 3 deep methods"."""
    if isinstance(who, str):
        return str(FAMILIES.get(who) or name_of(who))
    if len(who) > 1:
        with suppress(InputError):  # others' methods have no family here
            families = {family_of(w) for w in who}
            if len(families) == 1:
                return f"the {len(who)} {families.pop()} methods"
    return join([name_group(w) for w in who])


def is_plural(who: str | Sequence[str]) -> bool:
    """Whether the verb after this name is a plural one."""
    if isinstance(who, str):
        return who in FAMILIES and who not in SINGULAR
    return len(who) > 1 or is_plural(who[0])


def join(words: Iterable[object]) -> str:
    """Words in a row: "a, b and c"."""
    said = [str(word) for word in words]
    return said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]


def count(n: int, noun: str) -> str:
    """ "1 pair", "30 pairs"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def format_number(value: float, margin: float, *, sign: bool = False) -> str:
    """A number with one digit more than the margin has, and a true minus sign."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    digits = max(0, 1 - math.floor(math.log10(margin) + 1e-9))
    text = f"{abs(value):.{digits}f}"
    zero = not float(text)
    if value < 0 and not zero:
        return "−" + text
    return "+" + text if sign and not zero else text


def _where(claim: Claim) -> str:
    if claim.where:
        return claim.where[0].upper() + claim.where[1:] + ", "
    if claim.condition is None:
        return ""
    names = claim.condition if isinstance(claim.condition, str) else join(claim.condition)
    return f"From {claim.reference} to {names}, " if claim.reference else f"On {names}, "


def _measure(claim: Claim) -> str:
    return MEASURES.get(claim.measure, claim.measure.replace("_", " "))


def _basis(v: Verdict) -> str:
    """ "30 pairs of 10 subjects, none failed"."""
    parts = [f"{count(v.n_pairs, 'pair')} of {count(v.n_subjects, 'subject')}"]
    parts.append(f"{v.n_failed} failed" if v.n_failed else "none failed")
    if v.n_missing:
        parts.append(f"{v.n_missing} not run")
    return ", ".join(parts)


def _verb(claim: Claim, verb: str) -> str:
    return verb if is_plural(claim.first) else verb + "s"


def _against(claim: Claim) -> str:
    """What `first` is compared with, after "lose 0.01 Dice"."""
    if claim.second is None:
        return ""
    return f" {'more than' if claim.reference else 'against'} {name_group(claim.second)}"


def _head(v: Verdict) -> str:
    """Direction and size; "the deep methods lose 0.014 Dice against …, and it matters"."""
    c = v.claim
    who, what, against = name_group(c.first), _measure(c), _against(c)
    size, margin = (format_number(abs(x), c.margin) for x in (v.estimate, c.margin))
    direction, _, rest = v.word.partition(", ")
    if direction in ("loses", "gains"):
        tail = "and it matters" if "matters" in rest else "by how much is open"
        return f"{who} {_verb(c, direction[:-1])} {size} {what}{against}, {tail}"
    if v.word.startswith("equal"):
        text = f"{what} of {who} changes by less than {margin}"
        if c.second:
            both = f"{who} and {name_group(c.second)}"
            text = f"{both} {'change alike' if c.reference else 'are equal'} within {margin} {what}"
        if v.direction != "open":
            clear = "worse" if v.direction == "loses" else "better"
            text += f", {who} a little {clear}"
        return text
    if v.word.startswith("no loss"):
        larger = "larger by" if c.reference and c.second else "of"
        return f"{_estimate(v)}; a loss {larger} {margin} is ruled out"
    minus = f" minus {name_group(c.second)}" if c.second else ""
    return f"{what} of {who}{minus} may be a loss, a gain or neither"


def _estimate(v: Verdict) -> str:
    """ "the deep methods lose 0.005 Dice less than the iterative methods", whichever way it points."""
    c = v.claim
    size = f"{format_number(abs(v.estimate), c.margin)} {_measure(c)}"
    worse = (v.estimate < 0) != is_error(c.measure)
    if c.reference and c.second:
        than = f"{'more' if worse else 'less'} than {name_group(c.second)}"
        return f"{name_group(c.first)} {_verb(c, 'lose')} {size} {than}"
    return f"{name_group(c.first)} {_verb(c, 'lose' if worse else 'gain')} {size}{_against(c)}"


def _numbers(v: Verdict) -> str:
    c = v.claim

    def show(value: float) -> str:
        # One digit more, so that a bound near 0 keeps its sign.
        return format_number(value, c.margin / 10, sign=True)

    kind = "difference"
    if c.reference:
        kind = "difference in differences" if c.second else "change"
    text = f"{kind} {show(v.estimate)}"
    if not math.isnan(v.low):
        text += f", {100 * v.level:.3g} % interval {show(v.low)} to {show(v.high)}"
    if c.reference and c.second:
        text += f", from changes of {show(v.changes[0])} and {show(v.changes[1])}"
    text += f"; {_basis(v)}"
    if not math.isnan(v.detectable):
        text += f"; {format_number(v.detectable, c.margin / 10)} would have been seen four times in five"
    return text


def write_sentence(v: Verdict) -> str:
    """The verdict as one sentence, ready for a page."""
    if v.verdict == LABELS_DECIDE:  # the direction is that of one who drew labels
        head = f"{_where(v.claim)}the word depends on who drew the labels ({v.reason})"
        return f"{LABELS_DECIDE.capitalize()}: {head}. By {v.labels[0]}: {_numbers(v)}."
    head = _where(v.claim) + (_head(v) if v.word and not math.isnan(v.low) else v.reason)
    if v.word and v.reason and not math.isnan(v.low):
        head += f" ({v.reason})"
    if len(v.labels) > 1:
        head += f" (the same word by the labels of {join(v.labels)})"
    numbers = "" if math.isnan(v.estimate) else f" ({_numbers(v)})"
    return f"{v.verdict.capitalize()}: {head}{numbers}."
