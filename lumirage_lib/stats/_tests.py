"""Tests of a difference between two methods: sign flips, equivalence, several at once."""

from itertools import product

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ._crossed import make_estimator
from ._design import decompose, make_design
from ._intervals import MIN_SUBJECTS, compute_interval
from ._pairs import Matched

MOST_SIGNS = 13  # up to 2^13 sets of signs are all tried; of more, a sample


def tost(matched: Matched, margin: float) -> float:
    """p-value of the equivalence of two methods: is ``|mean difference| < margin``?

    Two one-sided tests, of "mean <= -margin" and "mean >= margin": it is at most alpha exactly if the
    interval of level 1 - 2 alpha lies within the margin. Schuirmann (1987), J. Pharmacokinet. Biopharm.
    15:657.

    Parameters
    ----------
    margin : float
        In units of the measure, positive, fixed before looking at the data.

    Returns
    -------
    float
        The larger of the two one-sided p-values; NaN where there is no interval.

    Raises
    ------
    InputError
        If the margin is not positive, or no pair is left.
    """
    if not margin > 0:
        raise InputError(f"the margin must be positive, in units of the measure, not {margin}")
    found = compute_interval(matched)
    return float(np.maximum(found.compute_p_above(-margin), found.compute_p_below(margin)))


def sign_flip_subjects(
    matched: Matched, *, n_resamples: int = 9999, rng: int | np.random.Generator = 0
) -> float:
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
        Share of all sets of signs that are at least as extreme, if there are at most 2^13; else
        (1 + replicates at least as extreme) / (1 + n_resamples). Never less than 2 / 2^n, which is
        what the signs of n subjects allow. NaN with fewer than three subjects.

    Examples
    --------
    Three subjects can never be clearer than one in four.

    >>> import numpy as np
    >>> same = Matched(np.full(3, 0.02), np.zeros(3), np.array(list("abc")), np.array(["atlas"] * 3))
    >>> sign_flip_subjects(same)
    0.25
    """
    design = make_design(matched.fixed_subject, matched.moving_subject)
    if min(design.n_subjects, design.n_pairs) < MIN_SUBJECTS:
        return float("nan")
    estimator = make_estimator(design)
    difference = matched.difference
    tiny = 1e-9 * float(np.abs(difference).max())
    parts = decompose(difference, design, centred=False)
    # One column per sign: what it turns in every pair.
    columns = np.zeros((design.n_pairs, design.n_subjects))
    for role, effect, scale in zip(design.roles, parts.effects, parts.scales, strict=True):
        columns[np.arange(design.n_pairs), role] += (scale * effect)[role]
    noise = np.eye(design.dyad.max() + 1)[design.dyad] * parts.residuals[:, None]
    columns = np.hstack([columns, noise[:, np.abs(noise).max(0) > tiny]])

    def studentise(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        mean, error = np.abs(values.mean(-1)), estimator.compute_error(values)[0]
        out = np.where(mean > tiny, np.inf, 0.0)  # values that do not vary
        np.divide(mean, error, out=out, where=error > tiny)
        return out

    observed = studentise(difference[None])[0] * (1 - 1e-9)
    n = columns.shape[1]
    if n <= MOST_SIGNS:
        signs = np.array(list(product((-1.0, 1.0), repeat=n)))
        extreme = studentise(signs @ columns.T) >= observed
        extreme[[0, -1]] = True  # the data themselves, and turned round
        p = np.mean(extreme)
    else:
        signs = np.random.default_rng(rng).choice([-1.0, 1.0], (n_resamples, n))
        p = (1 + (studentise(signs @ columns.T) >= observed).sum()) / (1 + n_resamples)
    return float(max(p, 2 / 2**design.n_subjects))


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
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
    return _adjust(p_values, "holm")


def control_false_discoveries(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Benjamini & Hochberg's adjustment, for explorations.

    Of all findings up to q, a share of at most q is expected to be false. Arguments, result and
    errors as of :func:`holm`. Benjamini & Hochberg (1995), J. R. Statist. Soc. B 57:289.
    """
    return _adjust(p_values, "fdr_bh")


def _adjust(p_values: npt.ArrayLike, method: str) -> npt.NDArray[np.float64]:
    # Here, because it takes longer to import than most commands take.
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(p_values, float)
    made = np.isfinite(p)
    if ((p[made] < 0) | (p[made] > 1)).any():
        raise InputError("p-values must lie in [0, 1]")
    adjusted = p.copy()
    if made.any():
        adjusted[made] = multipletests(p[made], method=method)[1]
    return adjusted
