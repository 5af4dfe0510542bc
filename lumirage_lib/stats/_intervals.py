"""An estimate with its interval over subjects, at any level, and its p-values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from ..errors import InputError
from ._crossed import make_estimator
from ._design import make_design
from ._pairs import Matched
from ._statistics import STATISTICS, Statistic, compute_influence

MIN_SUBJECTS = 3  # and pairs, for an interval; a verdict needs more
SMALLEST = float(np.finfo(float).tiny)  # no test of finitely many values has a p-value of zero


@dataclass(frozen=True)
class Interval:
    """An estimate, its interval, and what it rests on.

    Attributes
    ----------
    estimate, low, high : float
        Bounds are NaN with fewer than three subjects or pairs, if the statistic has no value, and
        if all pairs have the same value, which tells nothing of its error; but differences that are
        all exactly zero have the interval 0 to 0.
    level : float
    error, freedom : float
        Standard error, and the degrees of freedom of Student's t.
    n_pairs, n_subjects, n_failed : int
    """

    estimate: float
    low: float
    high: float
    level: float
    error: float
    freedom: float
    n_pairs: int
    n_subjects: int
    n_failed: int

    def at(self, level: float) -> Interval:
        """The same estimate with an interval of another level.

        Raises
        ------
        InputError
            If the level does not lie between 0 and 1.
        """
        if not 0 < level < 1:
            raise InputError(f"level must lie between 0 and 1, not {level}")
        half = float(scipy.stats.t.ppf((1 + level) / 2, self.freedom) * self.error)
        return replace(self, low=self.estimate - half, high=self.estimate + half, level=level)

    def compute_p_above(self, bound: float) -> float:
        """One-sided p-value of "the truth is at most `bound`"; small if it is clearly above.

        NaN without an error to measure by; never zero.
        """
        if not self.error > 0:
            return 0.5 if self.estimate == bound and self.error == 0 else float("nan")
        p = scipy.stats.t.sf((self.estimate - bound) / self.error, self.freedom)
        return float(np.maximum(p, SMALLEST))

    def compute_p_below(self, bound: float) -> float:
        """One-sided p-value of "the truth is at least `bound`"."""
        return replace(self, estimate=-self.estimate).compute_p_above(-bound)

    def compute_p(self, value: float = 0.0) -> float:
        """Two-sided p-value of "the truth is `value`"; below 1 - level exactly if it is outside."""
        return float(2 * np.minimum(self.compute_p_above(value), self.compute_p_below(value)))

    def compute_detectable(self, power: float = 0.8) -> float:
        """Smallest true difference from zero that a study like this shows with that power.

        (t of the level + t of the power) standard errors; Cohen (1988), Statistical Power Analysis,
        ch. 2, with quantiles of t for the noncentral t.
        """
        reach = scipy.stats.t.ppf((1 + self.level) / 2, self.freedom) + scipy.stats.t.ppf(
            power, self.freedom
        )
        return float(reach * self.error)


def as_row(found: Any, name: str = "estimate") -> dict[str, Any]:
    """An interval or a verdict as part of a table's row, its estimate under that name."""
    columns = ("low", "high", "n_pairs", "n_subjects", "n_failed")
    return {name: found.estimate, **{column: getattr(found, column) for column in columns}}


def compute_interval(
    matched: Matched, statistic: str | Statistic = "mean_difference", *, level: float = 0.95
) -> Interval:
    """A statistic of two methods on the same pairs, with its interval over subjects.

    The mean has the error of crossed subjects (``stats._crossed``); another statistic is linearised
    by its influence values, and must be smooth in the weights of the pairs.

    Parameters
    ----------
    matched : Matched
    statistic : str or callable
        A name in ``STATISTICS`` or a function (values (n_pairs, 2), weights (R, n_pairs)) -> (R,).
    level : float

    Raises
    ------
    InputError
        If no pair is left, the level is no share, or the statistic is not known.
    """
    if isinstance(statistic, str):
        if statistic not in STATISTICS:
            raise InputError(f"statistic must be one of {', '.join(STATISTICS)}, not {statistic!r}")
        statistic = STATISTICS[statistic]
    design = make_design(matched.fixed_subject, matched.moving_subject)
    values = np.column_stack([matched.first, matched.second])
    estimate = float(statistic(values, np.ones((1, len(values))))[0])
    error = freedom = np.nan
    if min(design.n_subjects, design.n_pairs) >= MIN_SUBJECTS and np.isfinite(estimate):
        mean = statistic is STATISTICS["mean_difference"]
        influence = matched.difference - estimate if mean else compute_influence(statistic, values)
        if not matched.difference.any():
            error, freedom = 0.0, float(MIN_SUBJECTS)
        # Values that agree to rounding do not differ.
        elif np.abs(influence).max() > 1e-12 * max(1.0, abs(estimate)):
            error, freedom = map(float, make_estimator(design).compute_error(influence))
    found = Interval(
        estimate,
        np.nan,
        np.nan,
        level,
        error,
        freedom,
        matched.n_pairs,
        design.n_subjects,
        matched.n_failed,
    )
    return found.at(level)
