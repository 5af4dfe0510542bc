"""Made-up registrations whose truth is known, to prove the intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lumirage_lib.errors import InputError
from lumirage_lib.stats import VarianceComponents


def draw_pairs(
    n_subjects: int, n_pairs: int, *, balanced: bool = True, rng: np.random.Generator
) -> np.ndarray:
    """Ordered pairs of different subjects, none twice.

    Parameters
    ----------
    balanced : bool
        Every subject equally often fixed and moving (to one pair); else any pairs.

    Returns
    -------
    int array, shape (n_pairs, 2)
        Numbers of the fixed and the moving subject.

    Raises
    ------
    InputError
        If there are not that many pairs.
    """
    most = n_subjects * (n_subjects - 1)
    if not 1 <= n_pairs <= most:
        raise InputError(f"{n_subjects} subjects make 1 to {most} ordered pairs, not {n_pairs}")
    if not balanced:
        chosen = rng.choice(most, n_pairs, replace=False)
        fixed, other = chosen // (n_subjects - 1), chosen % (n_subjects - 1)
        return np.column_stack([fixed, other + (other >= fixed)])
    order, steps = rng.permutation(n_subjects), 1 + rng.permutation(n_subjects - 1)
    k = np.arange(n_pairs)
    fixed, step = k % n_subjects, steps[k // n_subjects]
    return np.column_stack([order[fixed], order[(fixed + step) % n_subjects]])


def simulate_differences(
    pairs: np.ndarray,
    components: VarianceComponents,
    *,
    mean: float = 0.0,
    n_studies: int = 1,
    skewed: bool = False,
    rng: np.random.Generator,
) -> np.ndarray:
    """Differences between two methods in many studies of one design, from the additive model.

    Parameters
    ----------
    pairs : int array, shape (n_pairs, 2)
        As of :func:`draw_pairs`.
    components : VarianceComponents
    mean : float
        The truth that intervals should contain.
    skewed : bool
        Exponential instead of normal effects and residuals, of the same variances.

    Returns
    -------
    float array, shape (n_studies, n_pairs)
    """
    n = pairs.max() + 1

    def draw(size: int) -> np.ndarray:
        shape = (n_studies, size)
        return rng.exponential(size=shape) - 1 if skewed else rng.standard_normal(shape)

    a, other = draw(n), draw(n)
    scale = np.sqrt(components.fixed * components.moving)
    shared = components.covariance / scale if scale > 0 else 0.0
    b = shared * a + np.sqrt(1 - shared**2) * other
    return np.asarray(
        mean
        + np.sqrt(components.fixed) * a[:, pairs[:, 0]]
        + np.sqrt(components.moving) * b[:, pairs[:, 1]]
        + np.sqrt(components.residual) * draw(len(pairs))
    )


def simulate_pairs(
    n_subjects: int,
    n_pairs: int,
    components: VarianceComponents,
    *,
    difference: float = 0.0,
    mean: float = 0.7,
    spread: float = 0.03,
    condition: str = "T1w",
    rng: np.random.Generator,
) -> pd.DataFrame:
    """A pairs table of two methods, "network" (deep) and "optimiser" (iterative).

    Parameters
    ----------
    components : VarianceComponents
        Of the difference network - optimiser.
    difference : float
        Its true mean.
    mean, spread : float
        Dice of the optimiser, and the standard deviation between pairs that both methods share.

    Returns
    -------
    DataFrame
        2 x n_pairs rows, balanced; the values are not clipped to [0, 1].
    """
    pairs = draw_pairs(n_subjects, n_pairs, rng=rng)
    gain = simulate_differences(pairs, components, mean=difference, rng=rng)[0]
    second = mean + spread * rng.standard_normal(n_pairs)
    scans = np.array([f"s{k:03d}" for k in range(n_subjects)])
    base = pd.DataFrame({"fixed": scans[pairs[:, 0]], "moving": scans[pairs[:, 1]]})
    base = base.assign(
        fixed_subject=base["fixed"],
        moving_subject=base["moving"],
        condition=condition,
        status="ok",
    )
    sides = [("network", "deep", second + gain), ("optimiser", "iterative", second)]
    tables = [base.assign(method=m, family=f, dice=v) for m, f, v in sides]
    return pd.concat(tables, ignore_index=True)
