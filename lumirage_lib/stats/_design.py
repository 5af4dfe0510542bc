"""Who was registered to whom, and what that means for the error of a mean.

Two pairs that share a subject, in whatever role, are not independent. Everything here follows from
the additive model of a crossed (dyadic) design,

    u_p = mu + a_fixed(p) + b_moving(p) + e_p,

in which (a, b) of a subject may be correlated and pairs of the same two subjects may be alike.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import InputError


@dataclass(frozen=True)
class Design:
    """Subjects of every pair, as numbers; made by :func:`make_design`.

    Attributes
    ----------
    fixed, moving : int array, shape (n_pairs,)
        Number of the subject in that role, or -1 throughout if the role has a single subject (an
        atlas): a role that never varies is a condition of the study, not a sample.
    n_subjects : int
        Subjects that were sampled.
    """

    fixed: np.ndarray
    moving: np.ndarray
    n_subjects: int

    @property
    def n_pairs(self) -> int:
        return len(self.fixed)

    @property
    def roles(self) -> list[np.ndarray]:
        """The roles that vary."""
        return [role for role in (self.fixed, self.moving) if (role >= 0).any()]

    @cached_property
    def dyad(self) -> np.ndarray:
        """Number of the unordered couple of subjects of each pair; unique where one is constant."""
        if len(self.roles) < 2:
            return np.arange(self.n_pairs)
        low, high = np.minimum(self.fixed, self.moving), np.maximum(self.fixed, self.moving)
        return np.unique(low * self.n_subjects + high, return_inverse=True)[1]

    @cached_property
    def least_squares(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Indicator matrix of subjects in their roles, its pseudo-inverse and its rank."""
        x = np.hstack([np.eye(self.n_subjects)[role] for role in self.roles])
        u, d, v = np.linalg.svd(x, full_matrices=False)
        rank = int((d > d[0] * max(x.shape) * np.finfo(float).eps).sum())
        return x, (v[:rank].T / d[:rank]) @ u[:, :rank].T, rank


def make_design(fixed_subject: npt.ArrayLike, moving_subject: npt.ArrayLike) -> Design:
    """Number the subjects of a set of pairs.

    Parameters
    ----------
    fixed_subject, moving_subject : sequence of str, length n_pairs

    Raises
    ------
    InputError
        If there is no pair, or a subject is not named.
    """
    fixed, moving = np.asarray(fixed_subject, object), np.asarray(moving_subject, object)
    if not len(fixed):
        raise InputError("no pair was completed by both sides, so there is nothing to compare")
    if any(s is None or s != s for s in (*fixed, *moving)):
        raise InputError("every pair needs the names of its fixed and its moving subject")
    varies = [len(set(role)) > 1 for role in (fixed, moving)]
    if not any(varies):
        varies = [True, True]
    used = [role for role, v in zip((fixed, moving), varies, strict=True) if v]
    names = sorted({str(s) for role in used for s in role})
    number = {name: k for k, name in enumerate(names)}
    first, second = (
        np.array([number[str(s)] if v else -1 for s in role])
        for role, v in zip((fixed, moving), varies, strict=True)
    )
    return Design(first, second, len(names))


def count_subjects(fixed_subject: npt.ArrayLike, moving_subject: npt.ArrayLike) -> int:
    """Distinct subjects sampled; an atlas common to all pairs does not count; 0 without pairs."""
    some = len(np.asarray(fixed_subject, object)) > 0
    return make_design(fixed_subject, moving_subject).n_subjects if some else 0


@dataclass(frozen=True)
class Components:
    """Additive decomposition of values over pairs.

    Attributes
    ----------
    effects : list of float arrays, shape (n_subjects,)
        Per role, the least-squares effect of every subject; 0 for one that never takes the role.
    scales : list of float
        Per role, the factor that gives the effects the variance estimated for the population.
    residuals : float array, shape (n_pairs,)
        What subjects do not explain, scaled to its estimated variance.
    variances : list of float
        Per role, the variance of subjects, noise removed; 0 if noise explains all of it.
    residual_variance : float
    covariance : float
        Of the two effects of a subject, noise removed; 0 if only one role varies.
    """

    effects: list[np.ndarray]
    scales: list[float]
    residuals: np.ndarray
    variances: list[float]
    residual_variance: float
    covariance: float


def decompose(values: np.ndarray, design: Design, *, centred: bool = True) -> Components:
    """Split values into subject effects and a residual, by least squares and moments.

    The variance of the effects of one role is that of the least-squares effects minus the noise in
    them (fitting constants; Searle, Casella & McCulloch, Variance Components, 1992, ch. 5).

    Parameters
    ----------
    values : float array, shape (n_pairs,)
    centred : bool
        Take the mean out of the values and of each role first. False keeps it in the effects, which
        is right under the hypothesis that the mean is zero.
    """
    n, pairs = design.n_subjects, design.n_pairs
    values = values - values.mean() if centred else values
    x, inverse, rank = design.least_squares
    fit = inverse @ values
    free = pairs - rank
    residuals = values - x @ fit
    noise = float(residuals @ residuals / free) if free else 0.0
    effects, scales, variances, maps = [], [], [], []
    for k, role in enumerate(design.roles):
        present = np.isin(np.arange(n), role)
        here = inverse[k * n : (k + 1) * n][present]
        effect = fit[k * n : (k + 1) * n][present]
        if centred:
            effect, here = effect - effect.mean(), here - here.mean(0)
        freedom = max(present.sum() - centred, 1)
        variance = max(effect @ effect - noise * (here**2).sum(), 0.0) / freedom
        power = effect @ effect / n
        full, linear = np.zeros(n), np.zeros((n, pairs))
        full[present], linear[present] = effect, here
        effects.append(full)
        maps.append(linear)
        scales.append(float(np.sqrt(variance / power)) if power > 0 else 0.0)
        variances.append(float(variance))
    spread = np.sqrt(pairs / free) if free else 0.0
    covariance = 0.0
    if len(effects) == 2:
        shared = effects[0] @ effects[1] - noise * (maps[0] * maps[1]).sum()
        limit = np.sqrt(variances[0] * variances[1])
        covariance = float(np.clip(shared / max(n - centred, 1), -limit, limit))
    return Components(effects, scales, spread * residuals, variances, noise, covariance)
