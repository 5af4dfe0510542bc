"""What is estimated, as weighted statistics, so that one linearisation serves them all.

A statistic is a function of the values of both methods, shape (n_pairs, 2), and of weights, shape
(n_replicates, n_pairs); it returns one number per replicate. Weights of one give the usual formula.
"""

from collections.abc import Callable

import numpy as np
import scipy

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _moments(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation, (n_replicates, k); ddof = 1 at weights of one.

    Weights scale the deviations from the sample mean, then the sums of squares are corrected for
    the shift, which is exact and needs one matrix product.
    """
    pairs = len(values)
    total = weights.sum(1, keepdims=True)
    centre = values.mean(0)
    mean = weights @ (values - centre) / total
    square = weights @ (values - centre) ** 2 / total
    factor = pairs / (pairs - 1) if pairs > 1 else np.nan
    sd = np.sqrt(np.maximum(square - mean**2, 0.0) * factor)
    # A spread of rounding errors is no spread: constant differences have no standardised size.
    flat = sd <= 1e-12 * np.maximum(np.abs(centre), 1e-300)
    return centre + mean, np.where(flat, 0.0, sd)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """NaN where nothing varies."""
    out = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def mean_difference(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of first - second."""
    return _moments(values[:, :1] - values[:, 1:], weights)[0][:, 0]


def d_z(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Paired effect size: mean(D) / sd(D), with D = first - second of a pair.

    What varies between subjects alike for both methods cancels in D, so d_z grows as the methods
    agree; it says how reliably the difference is seen, not how large it is.
    NaN if D is constant. Cohen (1988), Statistical Power Analysis, p. 48; Lakens (2013), Front.
    Psychol. 4:863, eq. 6.
    """
    mean, sd = _moments(values[:, :1] - values[:, 1:], weights)
    return _ratio(mean[:, 0], sd[:, 0])


def d_av(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pooled effect size: mean(D) / sqrt((sd(first)^2 + sd(second)^2) / 2).

    The unit is the spread between pairs, the same for every comparison on one population.
    NaN if neither method varies. Cohen (1988), p. 44; Cumming (2012), Understanding the New
    Statistics, ch. 11.
    """
    mean, sd = _moments(values, weights)
    return _ratio(mean[:, 0] - mean[:, 1], np.sqrt((sd**2).mean(1)))


def cliffs_delta(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Cliff's delta: P(first > second) - P(first < second) over all couples of pairs.

    Ignores the pairing, as d_av does, and the unit; in [-1, 1]. Cliff (1993), Psychol. Bull.
    114:494.
    """
    order = np.sign(values[:, :1] - values[None, :, 1])
    return np.asarray(((weights @ order) * weights).sum(1) / weights.sum(1) ** 2)


def hedges_factor(degrees: int) -> float:
    """Hedges' exact correction of a standardised mean difference.

    J(m) = Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2)), about 1 - 3 / (4m - 1); for m < 2 it does not
    exist and NaN is returned. Hedges (1981), J. Educ. Stat. 6:107, eq. 6e.
    """
    if degrees < 2:
        return float("nan")
    half = degrees / 2
    return float(
        np.exp(scipy.special.gammaln(half) - scipy.special.gammaln(half - 0.5)) / np.sqrt(half)
    )


def hedged(statistic: Statistic) -> Statistic:
    """The statistic times J(n_pairs - 1)."""

    def corrected(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return hedges_factor(len(values) - 1) * statistic(values, weights)

    return corrected


STATISTICS: dict[str, Statistic] = {
    "mean_difference": mean_difference,
    "d_z": d_z,
    "g_z": hedged(d_z),
    "d_av": d_av,
    "g_av": hedged(d_av),
    "cliffs_delta": cliffs_delta,
}


def compute_influence(statistic: Statistic, values: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Influence of every pair on a statistic (infinitesimal jackknife).

    n d/dw_p statistic at weights of one, by central differences; for a mean exactly its residuals.
    Statistics must be smooth in the weights: a median is not. Efron (1982), The Jackknife, the
    Bootstrap and Other Resampling Plans, ch. 6.

    Returns
    -------
    float array, shape (n_pairs,)
        Sums to about zero. NaN where the statistic is NaN.
    """
    n = len(values)
    up, down = np.ones((n, n)), np.ones((n, n))
    np.fill_diagonal(up, 1 + step)
    np.fill_diagonal(down, 1 - step)
    influence = n * (statistic(values, up) - statistic(values, down)) / (2 * step)
    return np.asarray(influence - influence.mean())
