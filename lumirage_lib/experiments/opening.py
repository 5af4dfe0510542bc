"""How a chapter begins: one sentence that a clinician understands, the rules' word, three points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .. import stats
from ..stats import count, join
from .families import FAMILY_WORDS, name_plainly
from .sentences import show

NO_CLAIM = "a description: no claim is judged here"
FAILED = "failed"  # the kind of a verdict that failures leave nothing for
# What a kind of verdict is said to be, of a level, of a change against a reference, of one side alone.
_CLAUSES = {
    "loses": (
        "networks match brain structures less well than iterative methods {where} ({size} Dice{open})",
        "networks lose more accuracy than iterative methods {where} ({size} Dice{open})",
        "iterative methods lose accuracy {where} ({size} Dice{open})",
    ),
    "gains": (
        "networks match brain structures better than iterative methods {where} ({size} Dice{open})",
        "networks lose less accuracy than iterative methods {where} ({size} Dice{open})",
        "iterative methods gain accuracy {where} ({size} Dice{open})",
    ),
    "equal": (
        "networks and iterative methods are equally accurate {where}, within {margin} Dice",
        "networks and iterative methods change alike {where}, within {margin} Dice",
        "iterative methods gain or lose less than {margin} Dice {where}",
    ),
    "no loss": (
        "networks are at least as accurate as iterative methods {where}, within {margin} Dice",
        "networks lose no more than iterative methods {where}, within {margin} Dice",
        "iterative methods lose nothing {where}, within {margin} Dice",
    ),
    stats.UNDECIDED: ("no clear answer {where}",) * 3,
    stats.INCOMPLETE: ("registrations {where} are unfinished",) * 3,
    stats.NOT_DECIDABLE: (
        "{n} independent brains {where} are too few for a verdict; networks were {side} by {size} Dice",
        "{n} independent brains {where} are too few for a verdict",
        "{n} independent brains {where} are too few for a verdict",
    ),
    FAILED: ("too many registrations failed {where} for a verdict",) * 3,
    stats.NOT_TESTED: (
        "networks and iterative methods were not compared {where}",
        "networks and iterative methods were not compared {where}",
        "nothing was tested {where}",
    ),
    stats.NOT_JUDGED: ("nothing is judged {where}",) * 3,
    stats.LABELS_DECIDE: ("the answer {where} depends on who drew the labels",) * 3,
}
# What a clause about changes comes down to after another, where the sentence would be too long.
_SHORT = {
    "loses": "networks more {where}",
    "gains": "networks less {where}",
    "equal": "both alike {where}",
    "no loss": "not more {where}",
}
MOST_WORDS = 25
SIZE_OPEN = (stats.LOSES_OPEN, stats.GAINS_OPEN)  # words that say a direction, and no size


@dataclass(frozen=True)
class Opening:
    """The first lines of a page.

    Attributes
    ----------
    headline : str
        At most `MOST_WORDS` words, families for methods.
    points : tuple of str
        What was found, how sure that is, what it depends on.
    verdicts : tuple of Verdict
        Whose words the chip has; none where no claim is judged.
    of : str
        What is in the images, where the title of a live page has to say it.
    """

    headline: str
    points: tuple[str, ...]
    verdicts: tuple[stats.Verdict, ...] = ()
    of: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join([self.headline, *self.points])


def find_kind(verdict: stats.Verdict) -> str:
    """Which of the sentences fits a verdict."""
    if verdict.by_failures:
        return FAILED
    if verdict.verdict in _CLAUSES:
        return verdict.verdict
    return next(k for k in _CLAUSES if verdict.word.startswith(k))


def say_together(verdicts: Mapping[str, stats.Verdict], preposition: str = "on") -> str:
    """One plain sentence about several verdicts, those of one kind together.

    Parameters
    ----------
    verdicts : mapping
        Place ("T2w") -> verdict.
    preposition : str
        Before the places.
    """
    groups: dict[str, list[str]] = {}
    for place, verdict in verdicts.items():
        groups.setdefault(find_kind(verdict), []).append(place)
    clauses, shorter = list[str](), list[str]()
    for kind, places in groups.items():
        found = [verdicts[p] for p in places]
        claim = found[0].claim
        level = not claim.reference and np.isfinite(found[0].estimate)
        form = 2 if claim.second is None else 0 if level else 1
        clause = _CLAUSES[kind][form].format(
            where=f"{preposition} {join(places)}",
            size=show_range([abs(v.estimate) for v in found]),
            open=", size open" if all(v.word in SIZE_OPEN for v in found) else "",
            margin=f"{claim.margin:g}",
            n=max(v.n_subjects for v in found),
            side="behind" if found[0].estimate < 0 else "ahead",
        )
        clauses.append(clause)
        compared = shorter and "than iterative" in shorter[-1] and form == 1 and kind in _SHORT
        if compared:
            shorter[-1] += ", " + _SHORT[kind].format(where=f"{preposition} {join(places)}")
        else:
            shorter.append(clause)
    said = "; ".join(clauses)
    said = said if len(said.split()) <= MOST_WORDS else "; ".join(shorter)
    return said[:1].upper() + said[1:] + "." if said else ""


def show_range(values: Sequence[float]) -> str:
    """ "0.009 to 0.017", or one number where they are the same to the third digit."""
    known = [float(v) for v in values if np.isfinite(v)]
    if not known:
        return "by an unknown amount of"
    low, high = show(min(known)), show(max(known))
    return low if low == high else f"{low} to {high}"


def say_certainty(verdicts: Sequence[stats.Verdict]) -> str:
    """How sure the answers are: pairs, people, interval, what would have been seen."""
    decided = [v for v in verdicts if np.isfinite(v.low) and v.word]
    if not decided:
        if verdicts and all(v.verdict == stats.NOT_TESTED for v in verdicts):
            return f"**How sure.** Nothing was compared: {verdicts[0].reason}."
        lacking = sum(v.verdict == stats.INCOMPLETE for v in verdicts)
        failed = [v.reason for v in verdicts if v.by_failures]
        if failed and not lacking:
            return f"**How sure.** Not judged: {'; '.join(failed)}."
        return (
            f"**How sure.** No interval yet: {count(lacking, 'comparison')} without all registrations, and a "
            "part of them could mislead."
            if lacking
            else f"**How sure.** Too few individuals, at most "
            f"{max((v.n_subjects for v in verdicts), default=0)}: described, not judged."
        )
    widths = show_range([(v.high - v.low) / 2 for v in decided])
    seen = [v.detectable for v in decided if np.isfinite(v.detectable)]
    text = (
        f"**How sure.** {show_counts(decided)}; the answer is known to ± {widths} Dice "
        f"({100 * min(v.level for v in decided):.3g} % interval or wider)"
    )
    could = f"; a difference of {show_range(seen)} would have been seen four times in five"
    return text + (could if seen else "") + "."


def show_counts(verdicts: Sequence[stats.Verdict]) -> str:
    """ "12 to 30 pairs of 10 to 18 people"."""
    pairs, people = (sorted({getattr(v, n) for v in verdicts}) for n in ("n_pairs", "n_subjects"))
    said = [f"{v[0]}" if len(v) == 1 else f"{v[0]} to {v[-1]}" for v in (pairs, people)]
    return f"{said[0]} pairs of {said[1]} subjects"


def write_chips(verdicts: Sequence[stats.Verdict]) -> str:
    """HTML of what the rules say of the paper's claim: one chip, or one for each place."""
    words = {v.verdict for v in verdicts}
    if not words:
        return f'<span class="lm-chip">◇ {NO_CLAIM}</span>'
    if len(words) == 1:  # a direction is what was found; the paper claimed something else
        points = verdicts[0].verdict.startswith(("loses", "gains"))
        return _write_chip(verdicts[0], "found here" if points else "the paper's claim")
    return " ".join(_write_chip(v, name_plainly(v.claim.id)) for v in verdicts)


def _write_chip(verdict: stats.Verdict, of: str) -> str:
    look = {stats.SUPPORTED: ("lm-yes", "●"), stats.NOT_SUPPORTED: ("lm-no", "■")}
    style, symbol = look.get(verdict.verdict, ("lm-open", "◆"))
    word = "not finished" if verdict.verdict == stats.INCOMPLETE else verdict.verdict
    if word.startswith(("loses", "gains")):  # a direction is somebody's
        who = FAMILY_WORDS["iterative" if verdict.claim.second is None else "deep"]
        word = f"{who} {word.replace('loses', 'lose').replace('gains', 'gain')}"
    return f'<span class="lm-chip {style}">{symbol} {of}: <b>{word}</b></span>'
