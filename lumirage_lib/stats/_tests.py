"""Tests of a difference between two methods: sign flips, equivalence, several at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from ..errors import InputError
from ._bootstrap import (
    MIN_SUBJECTS,
    N_RESAMPLES,
    Interval,
    Pivot,
    Seed,
    _studentise,
    bootstrap_subjects,
    resample_pivot,
)
from ._design import compute_variance, decompose, make_design
from ._pairs import Matched, match_changes


@dataclass(frozen=True)
class Equivalence:
    """Outcome of two one-sided tests.

    Attributes
    ----------
    interval : Interval
        Of level 1 - 2 alpha; equivalent exactly if it lies within the margin.
    p_value : float
        The larger of the two one-sided p-values; NaN with fewer than three subjects.
    """

    interval: Interval
    margin: float
    alpha: float
    p_value: float
    equivalent: bool


def compute_pivot(matched: Matched, *, n_resamples: int = N_RESAMPLES, rng: Seed) -> Pivot:
    """Mean difference with the resampled distribution of its studentised error.

    Raises
    ------
    InputError
        If no pair is left.
    """
    design = make_design(matched.fixed_subject, matched.moving_subject)
    mean = float(matched.difference.mean())
    influence = matched.difference - mean
    # Differences that agree to rounding have no error to resample.
    if np.abs(influence).max() <= 1e-12 * max(1.0, abs(mean)):
        influence = np.zeros_like(influence)
    return resample_pivot(influence, design, mean, n_resamples=n_resamples, rng=rng)


def make_interval(pivot: Pivot, matched: Matched, level: float) -> Interval:
    """The symmetric studentised interval of a pivot."""
    half = pivot.compute_halfwidth(level)
    return Interval(
        pivot.estimate,
        pivot.estimate - half,
        pivot.estimate + half,
        level,
        "studentised",
        matched.n_pairs,
        matched.n_subjects,
        matched.n_failed,
    )


def widen(pivot: Pivot, n_subjects: int) -> Pivot:
    """The pivot with its standard error times n / (n - 1), for claims of equivalence.

    Without it two one-sided tests at 5 % call 3.5 to 6 % of studies with ten subjects equivalent
    whose true difference is the margin, and equality wrongly claimed is what nobody checks again;
    with it at most 5 % where effects are normal (``benchmarks/coverage.py``, which also has skewed
    ones). It vanishes as subjects grow in number.
    """
    return replace(pivot, error=pivot.error * n_subjects / max(n_subjects - 1, 1))


def tost(
    matched: Matched,
    margin: float,
    *,
    alpha: float = 0.05,
    n_resamples: int = N_RESAMPLES,
    rng: Seed,
) -> Equivalence:
    """Equivalence of two methods: is |mean difference| < margin?

    Two one-sided tests at alpha each, of "mean <= -margin" and "mean >= margin", by the studentised
    bootstrap over subjects, its error widened (:func:`widen`). Both reject exactly if the interval of
    level 1 - 2 alpha lies within the margin. Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657.

    Parameters
    ----------
    margin : float
        In units of the measure, positive, fixed before looking at the data.

    Raises
    ------
    InputError
        If the margin is not positive, alpha not in (0, 0.5), or no pair is left.
    """
    if not margin > 0:
        raise InputError(f"the margin must be positive, in units of the measure, not {margin}")
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha must lie between 0 and 0.5, not {alpha}")
    pivot = widen(compute_pivot(matched, n_resamples=n_resamples, rng=rng), matched.n_subjects)
    interval = make_interval(pivot, matched, 1 - 2 * alpha)
    p_value = max(pivot.compute_p_above(-margin), pivot.compute_p_below(margin))
    equivalent = bool(-margin < interval.low and interval.high < margin)
    return Equivalence(interval, margin, alpha, p_value, equivalent)


def sign_flip_subjects(matched: Matched, *, n_resamples: int = 9999, rng: Seed) -> float:
    """Two-sided p-value of "the mean difference is zero" by flipping the signs of subjects.

    Under the hypothesis, a subject's effect on the difference is as likely positive as negative. The
    differences are split into subject effects and a residual with nothing subtracted; a replicate
    gives each subject one sign, for both roles together, and each couple of subjects one for its
    residual, and is studentised like the data. With one pair per subject and one atlas this is the
    classical sign-flip test, which is exact; with crossed subjects it is approximate.
    Fisher (1935), The Design of Experiments, sec. 21; for random effects Winkler et al. (2014),
    NeuroImage 92:381.

    Returns
    -------
    float
        (1 + replicates at least as extreme) / (1 + n_resamples); NaN with fewer than three subjects.
    """
    design = make_design(matched.fixed_subject, matched.moving_subject)
    if design.n_subjects < MIN_SUBJECTS:
        return float("nan")
    difference = matched.difference
    error = float(np.sqrt(compute_variance(difference - difference.mean(), design)))
    if error <= 1e-12 * np.abs(difference).max():
        return 1.0 if not difference.any() else 1 / (1 + n_resamples)
    parts = decompose(difference, design, centred=False)
    rng = np.random.default_rng(rng)
    flips = rng.choice([-1.0, 1.0], (n_resamples, design.n_subjects))
    signs = rng.choice([-1.0, 1.0], (n_resamples, design.dyad.max() + 1))
    values = parts.residuals * signs[:, design.dyad]
    for role, effect, scale in zip(design.roles, parts.effects, parts.scales, strict=True):
        values += flips[:, role] * (scale * effect)[role]
    extreme = np.abs(_studentise(values, design)) >= abs(difference.mean()) / error * (1 - 1e-9)
    return float((1 + extreme.sum()) / (1 + n_resamples))


def compare_changes(
    table: pd.DataFrame,
    first: str,
    second: str,
    *,
    condition: str,
    reference: str,
    measure: str = "dice",
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: Seed,
) -> Interval:
    """Difference in differences: does a change of condition hurt `first` more than `second`?

    (first - second under `condition`) - (first - second under `reference`), on the same pairs, with
    its interval over subjects. What makes a pair hard for both methods, or a condition hard for
    both, cancels. Negative for Dice: `first` lost more. Angrist & Pischke (2009), Mostly Harmless
    Econometrics, ch. 5.2.

    Raises
    ------
    InputError
        If no pair was completed by both methods under both conditions.
    """
    matched = match_changes(
        table, first, second, condition=condition, reference=reference, measure=measure
    )
    return bootstrap_subjects(matched, level=level, n_resamples=n_resamples, rng=rng)


def holm(p_values) -> np.ndarray:
    """Holm's step-down adjustment for several tests.

    Parameters
    ----------
    p_values : array-like of float
        NaN marks a test that could not be made; it stays NaN and is not counted in the family.

    Returns
    -------
    float array
        Adjusted p-values; reject those up to alpha. Holm (1979), Scand. J. Statist. 6:65.

    Raises
    ------
    InputError
        If a p-value lies outside [0, 1].
    """
    p = np.asarray(p_values, float)
    made = np.isfinite(p)
    if ((p[made] < 0) | (p[made] > 1)).any():
        raise InputError("p-values must lie in [0, 1]")
    adjusted = p.copy()
    if made.any():
        adjusted[made] = multipletests(p[made], method="holm")[1]
    return adjusted
