"""How many subjects a study of registration methods needs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from ..errors import InputError
from ._mixed import VarianceComponents

EFFECTS = (0.005, 0.01, 0.02)


def compute_standard_error(
    components: VarianceComponents, n_subjects: int, pairs_per_subject: int
) -> float:
    """Standard error of a mean difference in a balanced design.

    Each of n subjects is fixed in p pairs and moving in p, N = n p pairs in all:

        V = (v_fixed + v_moving + 2 cov) / n + v_residual / (n p)

    More pairs of the same subjects only shrink the second term. NaN components count as 0: they are
    in the residual.
    """
    between = np.nan_to_num(components.fixed) + np.nan_to_num(components.moving)
    between = max(between + 2 * components.covariance, 0.0)
    pairs = n_subjects * pairs_per_subject
    return float(np.sqrt(between / n_subjects + components.residual / pairs))


def compute_power(
    components: VarianceComponents,
    effect: float,
    n_subjects: int,
    pairs_per_subject: int = 1,
    *,
    alpha: float = 0.05,
) -> float:
    """Probability that a two-sided test at alpha sees a true mean difference.

    Noncentral t with n_subjects - 1 degrees of freedom; Cohen (1988), Statistical Power Analysis,
    ch. 2.

    Raises
    ------
    InputError
        With fewer than two subjects, or more pairs per subject than there are other subjects.
    """
    if n_subjects < 2 or not 1 <= pairs_per_subject <= n_subjects - 1:
        raise InputError(
            f"{n_subjects} subjects have 1 to {n_subjects - 1} partners each, not "
            f"{pairs_per_subject}; a design needs at least two subjects"
        )
    error = compute_standard_error(components, n_subjects, pairs_per_subject)
    if error == 0:
        return 1.0 if effect else alpha
    shift, degrees = abs(effect) / error, n_subjects - 1
    critical = scipy.stats.t.ppf(1 - alpha / 2, degrees)
    power = scipy.stats.nct.sf(critical, degrees, shift) + scipy.stats.nct.cdf(
        -critical, degrees, shift
    )
    # scipy's noncentral t underflows to NaN for shifts at which power is 1 to machine precision.
    return 1.0 if np.isnan(power) else float(power)


def plan_subjects(
    components: VarianceComponents,
    *,
    effects: Sequence[float] = EFFECTS,
    pairs_per_subject: Sequence[int] = (1, 3, 10),
    power: float = 0.8,
    alpha: float = 0.05,
    most: int = 5000,
) -> pd.DataFrame:
    """Smallest number of subjects that sees each effect, for several designs.

    Parameters
    ----------
    effects : sequence of float
        True mean differences, in units of the measure.
    pairs_per_subject : sequence of int
        Pairs in which each subject is fixed (and as many in which it is moving).
    most : int
        Where the search ends.

    Returns
    -------
    DataFrame
        effect, pairs_per_subject, n_subjects, n_pairs (registrations per method), power; the
        counts are NA where `most` subjects are not enough.
    """
    rows = []
    for effect in effects:
        for pairs in pairs_per_subject:

            def reached(n: int, effect: float = effect, pairs: int = pairs) -> bool:
                return compute_power(components, effect, n, pairs, alpha=alpha) >= power

            low, high = max(3, pairs + 1), most
            row = {"effect": effect, "pairs_per_subject": pairs}
            if high < low or not reached(high):
                rows.append(row | {"n_subjects": pd.NA, "n_pairs": pd.NA, "power": np.nan})
                continue
            while low < high:  # power grows with the number of subjects
                middle = (low + high) // 2
                low, high = (low, middle) if reached(middle) else (middle + 1, high)
            got = compute_power(components, effect, low, pairs, alpha=alpha)
            rows.append(row | {"n_subjects": low, "n_pairs": low * pairs, "power": got})
    return pd.DataFrame(rows).astype({"n_subjects": "Int64", "n_pairs": "Int64"})


def compute_detectable_effect(
    components: VarianceComponents,
    n_subjects: int,
    pairs_per_subject: int = 1,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
) -> float:
    """Smallest true mean difference that a study of given size sees with the given power.

    Returns
    -------
    float
        In units of the measure; what a finished run could not have seen lies below it.
    """
    error = compute_standard_error(components, n_subjects, pairs_per_subject)
    if error == 0:
        return 0.0

    def missing(effect: float) -> float:
        return compute_power(components, effect, n_subjects, pairs_per_subject, alpha=alpha) - power

    top = error
    while missing(top) < 0:
        top *= 2
    return float(scipy.optimize.brentq(missing, 0.0, top, xtol=1e-6 * error))
