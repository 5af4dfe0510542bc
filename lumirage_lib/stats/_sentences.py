"""Verdicts in words: every number in a sentence comes from the verdict."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..methods import name_of
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


def name_group(who) -> str:
    """ "the deep methods", "greedy", "greedy, SyN (ANTs) and VFA"."""
    if isinstance(who, str):
        return FAMILIES.get(who) or name_of(who)
    return join([name_group(w) for w in who])


def is_plural(who) -> bool:
    """Whether the verb after this name is a plural one."""
    if isinstance(who, str):
        return who in FAMILIES and who not in SINGULAR
    return len(who) > 1 or is_plural(who[0])


def join(words) -> str:
    """Words in a row: "a, b and c"."""
    words = list(map(str, words))
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


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
        return " " + claim.where
    if claim.condition is None:
        return ""
    return " on " + (claim.condition if isinstance(claim.condition, str) else join(claim.condition))


def _measure(claim: Claim) -> str:
    return MEASURES.get(claim.measure, claim.measure.replace("_", " "))


def _basis(v: Verdict, noun: str = "pair") -> str:
    """ "30 pairs of 10 subjects, none failed"."""
    parts = [f"{count(v.n_pairs, noun)} of {count(v.n_subjects, 'subject')}"]
    parts.append(f"{v.n_failed} failed" if v.n_failed else "none failed")
    if v.n_missing:
        parts.append(f"{v.n_missing} not run")
    return ", ".join(parts)


def _interval(v: Verdict, kind: str = "interval") -> str:
    m = v.claim.margin
    return f"{100 * v.level:g} % {kind} {format_number(v.low, m)} to {format_number(v.high, m)}"


def _equivalent(v: Verdict) -> str:
    c = v.claim
    margin, a, b = format_number(c.margin, c.margin), name_group(c.first), name_group(c.second)
    both = f"mean {_measure(c)} of {a} and of {b}{_where(c)}"
    head = {
        "supported": f"{both} is equal within {margin}",
        "not supported": f"{both} differs by more than {margin}",
        "undecided": f"whether {both} is equal within {margin} cannot be told",
    }[v.verdict]
    number = format_number(v.estimate, c.margin, sign=True)
    text = f"{head}; the difference is {number} ({_interval(v)}; {_basis(v)})"
    if v.verdict == "undecided" and v.details["p_zero"] < c.alpha:
        text += f", not zero, but perhaps smaller than {margin}"
    return text


def _loses_more(v: Verdict) -> str:
    c = v.claim
    a, b = name_group(c.first), name_group(c.second)
    worse = v.estimate if is_error(c.measure) else -v.estimate
    lose = "lose" if is_plural(c.first) else "loses"
    size = format_number(abs(worse), c.margin)
    margin = format_number(c.margin, c.margin)
    names = [c.condition] if isinstance(c.condition, str) else c.condition
    change = c.where or f"from {c.reference} to {join(names)}"
    if v.verdict == "supported":
        head = f"{change}, {a} {lose} {size} {_measure(c)} more than {b}"
    elif v.verdict == "not supported":
        head = f"{change}, {a} {lose} less than {margin} {_measure(c)} more than {b}, if anything"
    else:
        head = f"whether {a} {lose} more {_measure(c)} than {b} {change} cannot be told"
    numbers = [format_number(v.details[k], c.margin, sign=True) for k in ("first", "second")]
    return (
        f"{head}; {a} changed by {numbers[0]} and {b} by {numbers[1]}, difference in differences "
        f"{format_number(v.estimate, c.margin, sign=True)} ({_interval(v)}; {_basis(v)})"
    )


def _completion(v: Verdict) -> str:
    c = v.claim
    done, who = v.n_pairs - v.n_failed, f"by {name_group(c.first)}{_where(c)}"
    if v.n_pairs == 1:
        head = f"the one registration {who} {'completed' if done else 'failed'}"
    else:
        share = {v.n_pairs: "all", 0: "none of the"}.get(done, f"{done} of the")
        head = f"{share} {v.n_pairs} registrations {who} completed"
    notes = [count(v.n_subjects, "subject")]
    if v.details["failures"]:
        words = v.details["failures"].items()
        notes.append("failures: " + join(f"{n} {word.replace('_', ' ')}" for word, n in words))
    methods = v.details["methods"]
    if 0 < done < v.n_pairs and len(methods) > 1:
        notes.append(
            "completed: " + join(f"{name_of(m)} {a} of {b}" for m, (a, b) in methods.items())
        )
    return f"{head} ({'; '.join(notes)})"


def _sensitive(v: Verdict) -> str:
    c = v.claim
    who, margin = name_group(c.first), format_number(c.margin, c.margin)
    lose = "lose" if is_plural(c.first) else "loses"
    n = count(v.details["n_conditions"], "perturbation")
    cost = "costs" if v.details["n_clear"] == 1 else "cost"
    head = {
        "supported": f"{v.details['n_clear']} of {n} {cost} {who} more than {margin} {_measure(c)}",
        "not supported": f"no perturbation costs {who} as much as {margin} {_measure(c)}",
        "undecided": f"whether a perturbation costs {who} more than {margin} {_measure(c)} "
        "cannot be told",
    }[v.verdict]
    return (
        f"{head}; at worst, with {v.details['worst_condition']}, {who} {lose} "
        f"{format_number(v.estimate, c.margin)} ({_interval(v, 'simultaneous interval')}), over all "
        f"{n} {format_number(v.details['mean'], c.margin)} on average ({_basis(v)})"
    )


def _estimand(c: Claim) -> str:
    if c.rule == "sensitive":
        return f"largest mean drop of {name_group(c.first)}"
    pair = f"{name_group(c.first)} minus {name_group(c.second)}"
    what = "difference in differences" if c.rule == "loses_more" else f"mean {_measure(c)}"
    return f"{what} of {pair}{_where(c)}"


WRITERS = {
    "equivalent": _equivalent,
    "loses_more": _loses_more,
    "runs": _completion,
    "fails": _completion,
    "sensitive": _sensitive,
}


def write_sentence(v: Verdict) -> str:
    """The verdict as one sentence, ready for a page."""
    if math.isnan(v.estimate):
        text = f"no pair was completed by all that is compared ({_basis(v)})"
    elif math.isnan(v.low):
        few = count(v.n_subjects, "subject") if v.n_subjects < 3 else count(v.n_pairs, "pair")
        number = format_number(v.estimate, v.claim.margin, sign=True)
        text = f"{few} cannot give an interval; {_estimand(v.claim)} {number} ({_basis(v)})"
    else:
        text = WRITERS[v.claim.rule](v)
    if "n_tests" in v.details:
        text += f"; clear alone, but not among {v.details['n_tests']} tests (Holm)"
    return f"{v.verdict.capitalize()}: {text}."
