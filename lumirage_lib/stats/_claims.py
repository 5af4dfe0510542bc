"""From a claim, fixed before the run, to a verdict with its numbers: decision rules, version 2.

One interval [low, high] of (first minus second) decides, and the first word of the list that fits:

    loses, and it matters     high < -margin
    gains, and it matters     low > margin
    equal within the margin   low >= -margin and high <= margin
    loses, size open          high < 0
    gains, size open          low > 0
    no loss that matters      low >= -margin
    undecided                 otherwise

(for a measure that is an error, signs turned, so that a loss is always what is worse). What the word
means for the claim stands in ``MEANING``. No verdict where a family is incomplete, where fewer than
five subjects took part, where nothing was run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from . import _sentences
from ._design import count_subjects
from ._intervals import Interval, compute_interval
from ._pairs import (
    Matched,
    PairTable,
    choose_methods,
    is_error,
    match_changes,
    match_conditions,
    match_pairs,
)
from ._tests import holm

LEAST_SUBJECTS = 5
LOSES, GAINS = "loses, and it matters", "gains, and it matters"
EQUAL = "equal within the margin"
LOSES_OPEN, GAINS_OPEN = "loses, size open", "gains, size open"
NO_LOSS = "no loss that matters"
UNDECIDED = "undecided"
SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
NOT_DECIDABLE, NOT_TESTED, INCOMPLETE = "not decidable here", "not tested", "incomplete"
NOT_JUDGED = "not judged"
LABELS_DECIDE = _sentences.LABELS_DECIDE
# What a claim says -> the words that support it, the words that contradict it.
MEANING = {
    "loses": ({LOSES}, {EQUAL, NO_LOSS, GAINS, GAINS_OPEN}),
    "gains": ({GAINS}, {EQUAL, LOSES, LOSES_OPEN}),
    "equal": ({EQUAL}, {LOSES, GAINS}),
}
Who = str | tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """One claim about one arm; frozen before the run.

    Attributes
    ----------
    id : str
    text : str
        The claim in the words of the book.
    says : str
        "equal", "loses" or "gains": `first`, against `second`.
    first, second : str or tuple of str
        A family, a method, or several, of which the mean counts. `second` None: `first` under
        `condition` against `first` under `reference`.
    condition : str or tuple of str, optional
        None: the only one of the table. Of several, the mean.
    reference : str, optional
        Given: what changes from `reference` to `condition` is compared (difference in differences).
    measure : str
    margin : float
        Smallest difference that matters, in units of the measure.
    alpha : float
        Of all claims that are adjusted together.
    n_pairs : int, optional
        Pairs the arm was declared with: no verdict before all were tried.
    where : str, optional
        How a sentence begins: "On T1w brains", "From T1w to FLAIR"; else made from the condition.
    """

    id: str
    text: str
    says: str
    first: Who
    second: Who | None = None
    condition: Who | None = None
    reference: str | None = None
    measure: str = "dice"
    margin: float = 0.01
    alpha: float = 0.05
    n_pairs: int | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        if self.says not in MEANING:
            raise InputError(f"claim {self.id!r} says {self.says!r}; known: {', '.join(MEANING)}")
        if self.second is None and self.reference is None:
            raise InputError(f"claim {self.id!r} compares nothing: give `second` or `reference`")
        if self.reference is not None and self.condition is None:
            raise InputError(f"claim {self.id!r} has a reference, so it needs a condition")
        if not self.margin > 0 or not 0 < self.alpha < 0.5:
            raise InputError(f"claim {self.id!r}: margin must be positive, alpha within (0, 0.5)")


@dataclass(frozen=True)
class Verdict:
    """What the rules say of a claim.

    Attributes
    ----------
    verdict : str
        "supported", "not supported", or the word itself where the claim is neither; "incomplete",
        "not decidable here", "not judged", "not tested", "undecided: labels decide".
    word : str
        Direction and size, see the list of the module; "" if there is no interval to read it from.
    interval : Interval
        Of first minus second, in units of the measure, unadjusted until :func:`adjust_verdicts`.
    detectable : float
        Smallest true difference that the arm shows four times in five at this level.
    changes : tuple of float
        Means of `first` and of `second` (with a reference: their changes).
    n_missing : int
        Pairs that some method of a family was never run on.
    p_value, p_adjusted : float
        Two-sided, of "no difference"; NaN without an interval.
    labels : tuple of str
        Whose labels give the same word; where they do not, whose the numbers are.
    reason : str
        Why there is no verdict.
    by_failures : bool
        Whether all was tried, and too little is left because registrations failed.
    """

    claim: Claim
    verdict: str
    word: str
    interval: Interval
    detectable: float = float("nan")
    changes: tuple[float, float] = (float("nan"), float("nan"))
    n_missing: int = 0
    p_value: float = float("nan")
    p_adjusted: float = float("nan")
    labels: tuple[str, ...] = ()
    reason: str = ""
    by_failures: bool = False

    @property
    def estimate(self) -> float:
        return self.interval.estimate

    @property
    def low(self) -> float:
        return self.interval.low

    @property
    def high(self) -> float:
        return self.interval.high

    @property
    def level(self) -> float:
        return self.interval.level

    @property
    def n_pairs(self) -> int:
        return self.interval.n_pairs

    @property
    def n_subjects(self) -> int:
        return self.interval.n_subjects

    @property
    def n_failed(self) -> int:
        return self.interval.n_failed

    @property
    def direction(self) -> str:
        """ "loses" or "gains" where the interval leaves out 0, else "open"."""
        if not (self.low > 0 or self.high < 0):
            return "open"
        return "gains" if (self.low > 0) != is_error(self.claim.measure) else "loses"

    @property
    def sentence(self) -> str:
        """The verdict in words, made of these numbers."""
        return _sentences.write_sentence(self)


def find_word(low: float, high: float, margin: float) -> str:
    """The first word that fits an interval of (first minus second), losses being negative.

    Examples
    --------
    >>> find_word(-0.03, -0.02, 0.01), find_word(-0.02, -0.001, 0.01), find_word(-0.004, -0.001, 0.01)
    ('loses, and it matters', 'loses, size open', 'equal within the margin')
    """
    if np.isnan(low):
        return UNDECIDED
    rules = (
        (LOSES, high < -margin),
        (GAINS, low > margin),
        (EQUAL, low >= -margin and high <= margin),
        (LOSES_OPEN, high < 0),
        (GAINS_OPEN, low > 0),
        (NO_LOSS, low >= -margin),
    )
    return next((word for word, fits in rules if fits), UNDECIDED)


def _read(claim: Claim, interval: Interval) -> tuple[str, str]:
    """The word of an interval, and what it means for the claim."""
    low, high = interval.low, interval.high
    if is_error(claim.measure):
        low, high = -high, -low
    word = find_word(low, high, claim.margin)
    support, against = MEANING[claim.says]
    return word, SUPPORTED if word in support else NOT_SUPPORTED if word in against else word


def match_claim(claim: Claim, table: pd.DataFrame, values: PairTable | None = None) -> Matched:
    """The pairs a claim is about: two sides, two sides' changes, or one side's change.

    `values` are those of the same table, where many claims are made of it.
    """
    condition, reference = claim.condition, claim.reference
    how: dict[str, Any] = {"measure": claim.measure, "condition": condition, "values": values}
    if condition is None or reference is None:
        return match_pairs(table, claim.first, claim.second or (), **how)
    if claim.second is None:
        return match_conditions(table, claim.first, reference=reference, **how)
    return match_changes(table, claim.first, claim.second, reference=reference, **how)


def decide(claim: Claim, table: pd.DataFrame) -> Verdict:
    """Apply the rules to a table of registrations.

    Parameters
    ----------
    claim : Claim
    table : DataFrame
        The pairs table, see :func:`check_pairs`; only rows of the claim's methods and conditions
        are read.

    Returns
    -------
    Verdict
        "incomplete" while a method of a family was not tried on a pair; "not decidable here" with
        fewer than five subjects, or where all was tried and no pair is left. Both show their estimate,
        if there is one, and, from three subjects on, an interval.

    Raises
    ------
    InputError
        If a method or condition of the claim does not occur in the table at all.
    """
    matched = match_claim(claim, table)
    level = 1 - claim.alpha
    tried = matched.n_pairs + matched.n_failed
    if not matched.n_pairs:
        nothing, all_failed = _nothing(level, matched.n_failed), not matched.n_missing
        if all_failed and tried >= max(claim.n_pairs or 0, 1):
            reason = _say_failed(claim, table, tried)
            return Verdict(claim, NOT_DECIDABLE, "", nothing, reason=reason, by_failures=True)
        reason = "no pair was completed by all that is compared"
        return Verdict(claim, INCOMPLETE, "", nothing, n_missing=matched.n_missing, reason=reason)
    interval = compute_interval(matched, level=level)
    word, verdict = _read(claim, interval)
    reason, by_failures = "", False
    if matched.n_missing or tried < (claim.n_pairs or 0):
        word, verdict, reason = "", INCOMPLETE, _lack(claim, table, tried + matched.n_missing)
    elif matched.n_subjects < LEAST_SUBJECTS:
        word, verdict = "", NOT_DECIDABLE
        reason = say_few(matched.n_subjects)
        rows = _rows_of(claim, table)
        n_asked = count_subjects(rows["fixed_subject"], rows["moving_subject"])
        if by_failures := n_asked >= LEAST_SUBJECTS:
            reason = f"{_say_failed(claim, table, tried)}, which leaves {reason}"
    elif np.isnan(interval.low):
        reason = "the pairs do not differ, so nothing tells the error"
    return Verdict(
        claim,
        verdict,
        word,
        interval,
        interval.compute_detectable(),
        (float(matched.first.mean()), float(matched.second.mean())),
        matched.n_missing,
        interval.compute_p() if word else np.nan,
        reason=reason,
        by_failures=by_failures,
    )


def say_few(n_subjects: int) -> str:
    """ "3 subjects of at least 5"."""
    return f"{_sentences.count(n_subjects, 'subject')} of at least {LEAST_SUBJECTS}"


def _nothing(level: float, n_failed: int = 0) -> Interval:
    nan = float("nan")
    return Interval(nan, nan, nan, level, nan, nan, 0, 0, n_failed)


def _methods_of(claim: Claim, table: pd.DataFrame) -> list[str]:
    methods = choose_methods(table, claim.first)
    return methods + (choose_methods(table, claim.second) if claim.second else [])


def _conditions_of(claim: Claim) -> list[str]:
    conditions = [c for c in (claim.condition, claim.reference) if c is not None]
    return [n for c in conditions for n in ([c] if isinstance(c, str) else c)]


def _rows_of(claim: Claim, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the methods and conditions that are compared."""
    names = _conditions_of(claim)
    rows = table[table["condition"].isin(names)] if names else table
    return rows[rows["method"].isin(_methods_of(claim, table))]


def _say_failed(claim: Claim, table: pd.DataFrame, n_pairs: int) -> str:
    """ "FireANTs greedy failed on 12 of 12 pairs"."""
    rows = _rows_of(claim, table)
    lost = rows[rows["status"] != "ok"].drop_duplicates(["method", "fixed", "moving"])
    parts = [
        f"{_sentences.name_group(method)} failed on {n} of {_sentences.count(n_pairs, 'pair')}"
        for method, n in lost["method"].value_counts(sort=False).items()
    ]
    return _sentences.join(parts) if parts else "no pair could be measured"


def _lack(claim: Claim, table: pd.DataFrame, n_pairs: int) -> str:
    """Who was not run on how many pairs."""
    methods, names = _methods_of(claim, table), _conditions_of(claim)
    wanted = max(n_pairs, claim.n_pairs or 0) * max(len(names), 1)
    have = _rows_of(claim, table).groupby("method").size()
    short = {m: wanted - int(have.get(m, 0)) for m in methods}
    parts = [f"{_sentences.name_group(m)} {n} of {wanted}" for m, n in short.items() if n > 0]
    if 0 < len(parts) <= 2:
        return "registrations still missing: " + ", ".join(parts)
    lacking = sum(n for n in short.values() if n > 0)
    return f"{lacking or 'some'} of {wanted * len(methods)} registrations are still missing"


def not_tested(claim: Claim, reason: str) -> Verdict:
    """The verdict on a claim whose data or method we do not have."""
    return Verdict(claim, NOT_TESTED, "", _nothing(1 - claim.alpha), reason=reason)


def set_aside(verdict: Verdict, reason: str) -> Verdict:
    """The numbers of a verdict without its word: more differs between the sides than the claim is about.

    One that has no word is returned as it is.
    """
    if not verdict.word:
        return verdict
    return replace(verdict, verdict=NOT_JUDGED, word="", p_value=float("nan"), reason=reason)


def adjust_verdicts(verdicts: Sequence[Verdict], *, n_arms: int | None = None) -> list[Verdict]:
    """Holm's step-down over the arms: every interval at the level of its step, every word anew.

    Arms are ordered by the p-value of "no difference". The first of m has the level 1 - alpha / m,
    the second 1 - alpha / (m - 1), and so on while intervals leave out 0; the first that does not
    and all that follow have the level of that step. So an interval leaves out 0 exactly if Holm
    rejects "no difference", and the chance of any wrong direction among all arms is at most alpha
    (Holm 1979); intervals that keep 0 hold together at 1 - alpha (Strassburger & Bretz 2008, Stat.
    Med. 27:4914). The size of an arm that was rejected at a late step is read at its own level.

    Parameters
    ----------
    n_arms : int, optional
        Arms declared, those without a result included (they count as the largest p-values, so that
        a word can only become firmer as arms arrive); by default those with an interval.

    Returns
    -------
    list of Verdict
        In the order given; those without a word are returned as they are.

    Raises
    ------
    InputError
        If fewer arms were declared than there are, or they do not share one alpha.
    """
    made = sorted((k for k, v in enumerate(verdicts) if v.word), key=lambda k: verdicts[k].p_value)
    m = len(made) if n_arms is None else n_arms
    if m < len(made) or len({verdicts[k].claim.alpha for k in made}) > 1:
        raise InputError(f"{len(made)} arms with one alpha were expected to be among {m} declared")
    out = list(verdicts)
    p_values = [verdicts[k].p_value for k in made] + [1.0] * (m - len(made))
    adjusted = holm(p_values)
    step = 0
    for k, p in zip(made, adjusted, strict=False):
        verdict, alpha = verdicts[k], verdicts[k].claim.alpha
        interval = verdict.interval.at(1 - alpha / (m - step))
        word, meaning = _read(verdict.claim, interval)
        out[k] = replace(
            verdict,
            interval=interval,
            word=word,
            verdict=meaning,
            detectable=interval.compute_detectable(),
            p_adjusted=float(p),
        )
        step += p <= alpha
    return out


def agree_on_labels(verdicts: Mapping[str, Verdict]) -> Verdict:
    """One verdict from several label sets: the first, if all have its word.

    Parameters
    ----------
    verdicts : mapping
        Whose labels ("greedy", "a segmenter on T1w") -> verdict of the same claim; the first is the one
        that is shown.
    """
    first = next(iter(verdicts.values()))
    words = {name: v.word or v.verdict for name, v in verdicts.items()}
    if len(set(words.values())) == 1:
        return replace(first, labels=tuple(verdicts))
    said = "; ".join(f"by {name}: {word}" for name, word in words.items())
    without = [v for v in verdicts.values() if not v.word]
    decide_it = replace(first, verdict=LABELS_DECIDE, labels=(next(iter(verdicts)),))
    return replace(without[0] if without else decide_it, reason=said)


def combine(verdicts: Sequence[Verdict]) -> str:
    """What becomes of a claim with several arms.

    "supported" or "not supported" if every arm is; else each arm is said.
    """
    words = [v.verdict for v in verdicts]
    if not words:
        return NOT_TESTED
    if len(set(words)) == 1:
        return words[0]
    return "; ".join(f"{v.claim.id}: {v.verdict}" for v in verdicts)
