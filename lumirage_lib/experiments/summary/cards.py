"""Cards of the scoreboard, as HTML that needs nothing else: words, a chip, intervals on one axis."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from ...stats import INCOMPLETE, NOT_DECIDABLE, NOT_TESTED, Verdict
from ..sentences import show_interval

WIDTH, HEIGHT = 240, 30  # of an interval, in pixels of its own


def write_card(
    claim: str, chip: str, quote: str, intervals: Sequence[str], notes: Sequence[str],
    links: Mapping[str, str],
) -> str:  # fmt: skip
    """One claim; links are words and where they lead, left out where that is nowhere."""
    more = " · ".join(
        f'<a class="lm-card-link" href="{link}">{escape(words)}</a>'
        for words, link in links.items()
        if link
    )
    small = "".join(f"<p>{escape(note, quote=False)}</p>" for note in notes)
    return (
        f'<section class="lm-card"><p class="lm-card-claim">{escape(claim)}</p><p>{chip}</p>'
        f'<p class="lm-quote">{escape(quote, quote=False)}</p>{"".join(intervals)}'
        f"<details><summary>More</summary>{small}</details>{more}</section>"
    )


def write_line(text: str) -> str:
    """A line of what came out."""
    return f'<p class="lm-interval">{escape(text, quote=False)}</p>'


def draw_interval(verdict: Verdict, name: str, reach: float) -> str:
    """Name, numbers and a line from low to high on an axis from -reach to reach, in Dice.

    The first pairs of a run are no result: no number stands beside "incomplete".
    """
    if verdict.verdict == INCOMPLETE or not np.isfinite(verdict.estimate):
        known = {NOT_DECIDABLE: "too few individuals", NOT_TESTED: "not compared"}
        why = known.get(verdict.verdict, "registrations not finished")
        why = "too many registrations failed" if verdict.by_failures else why
        return write_line(f"{name}: {why}")

    def at(value: float) -> float:
        return WIDTH * (0.5 + 0.48 * float(np.clip(value / reach, -1, 1)))

    low, high = (v if np.isfinite(v) else verdict.estimate for v in (verdict.low, verdict.high))
    numbers = show_interval(verdict.estimate, verdict.low, verdict.high)
    margin = at(verdict.claim.margin) - at(-verdict.claim.margin)
    who = "networks" if verdict.claim.second else f"at {verdict.claim.condition}"
    said = f"{name}: {numbers} Dice, {verdict.n_pairs} pairs of {verdict.n_subjects} subjects"
    return (
        write_line(said)
        + f'<svg class="lm-axis" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}: '
        f'{numbers}, on an axis from −{reach:.2f} to +{reach:.2f} Dice">'
        f'<rect x="{at(-verdict.claim.margin):.1f}" y="2" width="{margin:.1f}" height="14" class="lm-band"/>'
        f'<line x1="{at(0):.1f}" x2="{at(0):.1f}" y1="0" y2="18" class="lm-zero"/>'
        f'<line x1="{at(low):.1f}" x2="{at(high):.1f}" y1="9" y2="9" class="lm-line"/>'
        f'<circle cx="{at(verdict.estimate):.1f}" cy="9" r="4" class="lm-dot"/>'
        f'<text x="0" y="28">← {who} worse</text>'
        f'<text x="{WIDTH}" y="28" text-anchor="end">better →</text></svg>'
    )
