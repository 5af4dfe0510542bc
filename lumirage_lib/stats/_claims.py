"""From a claim and its rule, fixed before the run, to a verdict with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import InputError
from . import _sentences
from ._bootstrap import MIN_SUBJECTS, N_RESAMPLES, Seed
from ._design import count_subjects
from ._pairs import (
    SUBJECTS,
    Matched,
    check_pairs,
    choose_methods,
    is_error,
    match_changes,
    match_pairs,
)
from ._summary import compute_drops, summarise_drops
from ._tests import compute_pivot, holm, make_interval, widen

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"
Who = str | tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """One claim and the rule that decides it; frozen before the run.

    Attributes
    ----------
    id : str
    text : str
        The claim in the words of the book.
    rule : str
        "equivalent": |first - second| < margin. Supported if the interval of level 1 - 2 alpha lies
        within the margin (TOST), not supported if it lies wholly outside.
        "loses_more": `first` loses more than `second` from `reference` to `condition` (mean over
        several). Supported if the 1 - alpha interval of the difference in differences lies wholly on
        the losing side of 0; not supported if it rules out a loss as large as the margin.
        "runs" / "fails": every / no registration by `first` under `condition` completes. Supported
        if so, not supported in the opposite case, undecided if only some complete.
        "sensitive": some condition costs `first` more than the margin against `reference`.
        Supported if the simultaneous 1 - alpha interval of some mean drop lies above the margin; not
        supported if all lie below.
    first, second : str or tuple of str
        A family, a method, or several; `second` only where two are compared.
    condition : str or tuple of str, optional
        None: the only one of the table; for "sensitive", all but the reference.
    reference : str, optional
    measure : str
    margin : float
        In units of the measure.
    alpha : float
    where : str, optional
        How a sentence says the condition: "at 0.6 mm", "under perturbed preprocessing"; by default
        "on CONDITION" or "from REFERENCE to CONDITION".
    """

    id: str
    text: str
    rule: str
    first: Who
    second: Who | None = None
    condition: Who | None = None
    reference: str | None = None
    measure: str = "dice"
    margin: float = 0.01
    alpha: float = 0.05
    where: str | None = None

    def __post_init__(self):
        needs = {
            "equivalent": ("second",),
            "loses_more": ("second", "condition", "reference"),
            "runs": (),
            "fails": (),
            "sensitive": ("reference",),
        }
        if self.rule not in needs:
            raise InputError(f"claim {self.id!r}: rule must be one of {', '.join(needs)}")
        absent = [name for name in needs[self.rule] if getattr(self, name) is None]
        if absent:
            raise InputError(f"claim {self.id!r}: rule {self.rule!r} needs {', '.join(absent)}")
        if not self.margin > 0 or not 0 < self.alpha < 0.5:
            raise InputError(f"claim {self.id!r}: margin must be positive, alpha within (0, 0.5)")


@dataclass(frozen=True)
class Verdict:
    """What the rule says of a claim.

    Attributes
    ----------
    verdict : str
        "supported", "not supported" or "undecided".
    estimate, low, high : float
        equivalent: mean of first - second, level 1 - 2 alpha. loses_more: difference in
        differences, level 1 - alpha, negative for a loss of overlap. runs, fails: share of
        registrations completed, Clopper-Pearson. sensitive: the worst mean drop, simultaneous.
    p_value, p_adjusted : float
        One-sided (TOST: the larger); NaN where the rule makes no test. Adjusted by
        :func:`adjust_verdicts`.
    n_pairs, n_subjects, n_failed, n_missing : int
        Of pairs; of registrations for "runs" and "fails", and n_failed over all conditions for
        "sensitive".
    sentence : str
        The verdict in words, made of these numbers.
    """

    claim: Claim
    verdict: str
    estimate: float
    low: float
    high: float
    level: float
    n_pairs: int
    n_subjects: int
    n_failed: int
    n_missing: int
    sentence: str
    p_value: float = float("nan")
    p_adjusted: float = float("nan")
    details: dict = field(default_factory=dict)


def _decide_equivalent(claim: Claim, table: pd.DataFrame, n_resamples: int, rng: Seed) -> Verdict:
    matched = match_pairs(
        table, claim.first, claim.second, measure=claim.measure, condition=claim.condition
    )
    level = 1 - 2 * claim.alpha
    if matched.n_subjects < MIN_SUBJECTS:
        return _too_few(claim, matched, level)
    pivot = compute_pivot(matched, n_resamples=n_resamples, rng=rng)
    careful = widen(pivot, matched.n_subjects)
    interval = make_interval(careful, matched, level)
    p = max(careful.compute_p_above(-claim.margin), careful.compute_p_below(claim.margin))
    if -claim.margin < interval.low and interval.high < claim.margin:
        verdict = SUPPORTED
    elif interval.low > claim.margin or interval.high < -claim.margin:
        verdict = NOT_SUPPORTED
    else:
        verdict = UNDECIDED
    return _from_interval(claim, verdict, interval, matched, p, p_zero=pivot.compute_p())


def _decide_loses_more(claim: Claim, table: pd.DataFrame, n_resamples: int, rng: Seed) -> Verdict:
    matched = match_changes(
        table,
        claim.first,
        claim.second,
        condition=claim.condition,
        reference=claim.reference,
        measure=claim.measure,
    )
    level = 1 - claim.alpha
    if matched.n_subjects < MIN_SUBJECTS:
        return _too_few(claim, matched, level)
    pivot = compute_pivot(matched, n_resamples=n_resamples, rng=rng)
    interval = make_interval(pivot, matched, level)
    # The loss is what makes the measure worse: a fall of an overlap, a rise of an error.
    if is_error(claim.measure):
        least, most, p = interval.low, interval.high, pivot.compute_p_above(0.0)
    else:
        least, most, p = -interval.high, -interval.low, pivot.compute_p_below(0.0)
    if least > 0:
        verdict = SUPPORTED
    elif most < claim.margin:
        verdict = NOT_SUPPORTED
    else:
        verdict = UNDECIDED
    changes = {"first": float(matched.first.mean()), "second": float(matched.second.mean())}
    return _from_interval(claim, verdict, interval, matched, p, **changes)


def _decide_completion(claim: Claim, table: pd.DataFrame, n_resamples: int, rng: Seed) -> Verdict:
    rows = check_pairs(table, claim.measure)
    rows = rows[rows["method"].isin(choose_methods(rows, claim.first))]
    if claim.condition is not None:
        names = [claim.condition] if isinstance(claim.condition, str) else list(claim.condition)
        rows = rows[rows["condition"].isin(names)]
    if rows.empty:
        raise InputError(f"no registration by {claim.first!r} under {claim.condition!r}")
    done, tried = int(rows["value"].notna().sum()), len(rows)
    wanted, opposite = (tried, 0) if claim.rule == "runs" else (0, tried)
    verdict = {wanted: SUPPORTED, opposite: NOT_SUPPORTED}.get(done, UNDECIDED)
    level = 1 - claim.alpha
    bounds = stats.binomtest(done, tried).proportion_ci(level, method="exact")
    words = rows.loc[rows["value"].isna(), "status"].replace("ok", f"no {claim.measure}")
    shares = rows["value"].notna().groupby(rows["method"]).agg(["sum", "size"])
    numbers = {
        "estimate": done / tried,
        "low": float(bounds.low),
        "high": float(bounds.high),
        "level": level,
        "n_pairs": tried,
        "n_subjects": count_subjects(*(rows[name].to_numpy() for name in SUBJECTS)),
        "n_failed": tried - done,
        "n_missing": 0,
    }
    details = {
        "failures": {str(k): int(v) for k, v in words.value_counts().items()},
        "methods": {str(m): (int(a), int(b)) for m, a, b in shares.itertuples()},
    }
    return _say(claim, verdict, numbers, details)


def _decide_sensitive(claim: Claim, table: pd.DataFrame, n_resamples: int, rng: Seed) -> Verdict:
    conditions = (claim.condition,) if isinstance(claim.condition, str) else claim.condition
    drops = compute_drops(
        table,
        [claim.first],
        reference=claim.reference,
        conditions=conditions,
        measure=claim.measure,
        level=1 - claim.alpha,
        n_resamples=n_resamples,
        rng=rng,
    )
    seen = drops.dropna(subset="low")
    worst = summarise_drops(drops.assign(method="")).iloc[0]
    if (seen["low"] > claim.margin).any():
        verdict = SUPPORTED  # by a condition whose interval is clear; the worst may be another
    elif len(seen) == len(drops) and (seen["high"] < claim.margin).all():
        verdict = NOT_SUPPORTED
    else:
        verdict = UNDECIDED
    numbers = {
        "estimate": float(worst["worst"]),
        "low": float(worst["low"]),
        "high": float(worst["high"]),
        "level": 1 - claim.alpha,
        **{k: int(worst[k]) for k in ("n_pairs", "n_subjects", "n_failed", "n_missing")},
    }
    details = {
        "worst_condition": worst["worst_condition"],
        "mean": float(worst["mean"]),
        "n_conditions": int(worst["n_conditions"]),
        "n_clear": int((seen["low"] > claim.margin).sum()),
    }
    return _say(claim, verdict, numbers, details)


def _from_interval(claim, verdict, interval, matched: Matched, p_value, **details) -> Verdict:
    numbers = {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
        "n_pairs": matched.n_pairs,
        "n_subjects": matched.n_subjects,
        "n_failed": matched.n_failed,
        "n_missing": matched.n_missing,
        "p_value": p_value,
    }
    return _say(claim, verdict, numbers, details)


def _too_few(claim: Claim, matched: Matched, level: float) -> Verdict:
    """No interval over subjects can be had: undecided, whatever the mean."""
    mean = float(matched.difference.mean()) if matched.n_pairs else float("nan")
    numbers = dict.fromkeys(("low", "high"), float("nan")) | {"estimate": mean, "level": level}
    counts = ("n_pairs", "n_subjects", "n_failed", "n_missing")
    numbers |= {name: getattr(matched, name) for name in counts}
    return _say(claim, UNDECIDED, numbers, {})


def _say(claim: Claim, verdict: str, numbers: dict, details: dict) -> Verdict:
    draft = Verdict(claim, verdict, sentence="", details=details, **numbers)
    return replace(draft, sentence=_sentences.write_sentence(draft))


RULES: dict[str, Callable[..., Verdict]] = {
    "equivalent": _decide_equivalent,
    "loses_more": _decide_loses_more,
    "runs": _decide_completion,
    "fails": _decide_completion,
    "sensitive": _decide_sensitive,
}


def decide(
    claim: Claim,
    table: pd.DataFrame,
    *,
    n_resamples: int = N_RESAMPLES,
    rng: Seed,
) -> Verdict:
    """Apply a claim's rule to a table of registrations.

    Parameters
    ----------
    claim : Claim
    table : DataFrame
        The pairs table, see :func:`check_pairs`; only rows of the claim's methods and conditions
        are read.

    Returns
    -------
    Verdict
        With fewer than three subjects, or no completed pair, always "undecided" for rules that need
        an interval.

    Raises
    ------
    InputError
        If a method or condition of the claim does not occur in the table at all.
    """
    return RULES[claim.rule](claim, table, n_resamples, rng)


def adjust_verdicts(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Holm's correction over a family of claims.

    A supported claim whose adjusted p-value exceeds its alpha becomes undecided, and its sentence
    says why. Claims without a p-value ("runs", "fails", "sensitive", too few subjects) are left as
    they are and not counted.
    """
    adjusted = holm([v.p_value for v in verdicts])
    n_tests = int(np.isfinite(adjusted).sum())
    out = []
    for verdict, p in zip(verdicts, adjusted, strict=True):
        verdict = replace(verdict, p_adjusted=float(p))
        if verdict.verdict == SUPPORTED and p > verdict.claim.alpha:
            details = verdict.details | {"n_tests": n_tests}
            verdict = replace(verdict, verdict=UNDECIDED, details=details)
            verdict = replace(verdict, sentence=_sentences.write_sentence(verdict))
        out.append(verdict)
    return out
