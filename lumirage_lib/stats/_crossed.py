"""The error of a mean over pairs that share subjects: closed form, no random number.

Model, of a value u of the pair in which m was moved to f:

    u = mu + a_f + b_m + e,  var a = var b = A,  cov(a, b) of one subject = C,  var e = R.

Two pairs with a subject in the same role share A, with a subject in opposite roles C. The variance of
the mean is linear in (R, A, C), and so is the expectation of a sum of squared residuals. So all three
are estimated without bias from three such sums, weighted for a middling case (A = R, C = A / 2), and
Satterthwaite's formula gives the degrees of freedom of the variance that follows.

Rao (1971), J. Multivar. Anal. 1:257 (quadratic estimation); Satterthwaite (1946), Biometrics Bull.
2:110; Fafchamps & Gubert (2007), J. Dev. Econ. 83:326 (errors of pairs that share members). What the
intervals cover is simulated for every design in use: ``benchmarks/coverage.md``.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from ._design import Design

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimator:
    """What a design says about the error of a mean, before any value is known.

    Attributes
    ----------
    structures : float array, shape (k, n_pairs, n_pairs)
        What R, A and C each contribute to the covariance of the pairs.
    quadratics : float array, shape (k, n_pairs, n_pairs)
        values' Q values is an unbiased estimate of the component.
    weights : float array, shape (k,)
        Of the components in the variance of the mean.
    fewest, most : float
        Limits of the degrees of freedom: half of, and all of, n - 1 for n subjects or pairs,
        whichever are fewer. The lower one keeps an estimate of a few noisy components from widening
        an interval without end. Where a design falls into parts that share no subject it is no more
        than the number of these: in circles of three, half of n - 1 covers too little.
    """

    structures: Floats
    quadratics: Floats
    weights: Floats
    fewest: float
    most: float

    def estimate_components(self, values: Floats) -> Floats:
        """R, A and C of values of shape (..., n_pairs), moved into their range; shape (..., k)."""
        raw = np.einsum("...p,kpq,...q->...k", values, self.quadratics, values, optimize=True)
        raw[..., :2] = np.maximum(raw[..., :2], 0)
        if raw.shape[-1] > 2:
            raw[..., 2] = np.clip(raw[..., 2], -raw[..., 1], raw[..., 1])
        return np.asarray(raw)

    def compute_error(self, values: Floats) -> tuple[Floats, Floats]:
        """Standard error of the mean and its degrees of freedom.

        The variance is never less than that of as many independent pairs.

        Parameters
        ----------
        values : float array, shape (..., n_pairs)
        """
        pairs = values.shape[-1]
        residuals = values - values.mean(-1, keepdims=True)
        unit = np.abs(residuals).max(-1, keepdims=True)  # fourth powers are taken below
        residuals = np.divide(residuals, unit, out=np.zeros_like(residuals), where=unit > 0)
        quadratic = np.tensordot(self.weights, self.quadratics, 1)
        variance = np.einsum("...p,pq,...q->...", residuals, quadratic, residuals, optimize=True)
        alone = (residuals**2).sum(-1) / (pairs * (pairs - 1))
        freedom = self.compute_freedom(self.estimate_components(residuals))
        return unit[..., 0] * np.sqrt(np.maximum(variance, alone)), freedom

    def compute_freedom(self, components: Floats) -> Floats:
        """Degrees of freedom of the variance if R, A and C are these; shapes (..., k) and (...)."""
        mapped = np.tensordot(self.weights, self.quadratics, 1) @ self.structures
        spread = np.einsum("kpq,lqp->kl", mapped, mapped, optimize=True)
        below = np.einsum("...k,kl,...l->...", components, spread, components)
        above = (components @ self.weights) ** 2
        freedom = np.divide(above, below, out=np.full(above.shape, self.most), where=below > 0)
        return np.asarray(np.clip(freedom, self.fewest, self.most))

    def predict_error(self, components: Floats) -> float:
        """Standard error of the mean of this design if R, A and C were these."""
        return float(np.sqrt(max(float(self.weights @ components), 0.0)))


def make_estimator(design: Design) -> Estimator:
    """The estimator of a design of at least two pairs.

    A component that the design cannot tell from another (one pair per subject) shares with it.

    Examples
    --------
    Independent pairs give the standard error and the degrees of freedom of the paired t test.

    >>> import numpy as np
    >>> from lumirage_lib.stats._design import make_design
    >>> design = make_design(["a", "b", "c", "d"], ["atlas"] * 4)
    >>> error, freedom = make_estimator(design).compute_error(np.array([1.0, 2.0, 3.0, 6.0]))
    >>> round(float(error), 4), round(float(freedom), 4)
    (1.0801, 3.0)
    """
    pairs = design.n_pairs
    roles = [np.eye(design.n_subjects)[role] for role in design.roles]
    structures = [np.eye(pairs), sum(r @ r.T for r in roles)]
    middling = structures[0] + structures[1]
    if len(roles) == 2:
        structures.append(roles[0] @ roles[1].T + roles[1] @ roles[0].T)
        middling = middling + structures[2] / 2
    inverse = np.linalg.inv(middling)
    column = inverse.sum(1)
    centred = inverse - np.outer(column, column) / column.sum()
    weighted = np.array([centred @ s @ centred for s in structures])
    expected = np.einsum("kpq,lqp->kl", weighted, structures, optimize=True)
    solution = np.linalg.pinv(expected, rcond=1e-8, hermitian=True)
    most = max(min(design.n_subjects, pairs) - 1.0, 1.0)
    parts, _ = connected_components(sum(structures) > 0, directed=False)
    fewest = min(most / 2, parts) if parts > 1 else most / 2
    return Estimator(
        np.array(structures),
        np.tensordot(solution, weighted, 1),
        np.array([s.sum() for s in structures]) / pairs**2,
        max(fewest, 1.0),
        most,
    )
