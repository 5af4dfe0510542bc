"""Every effect size of a comparison, always together, each with its interval."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from ._intervals import Interval, as_row, compute_interval
from ._pairs import Matched


@dataclass(frozen=True)
class EffectSizes:
    """The same difference by every formula; which one is quoted changes the story.

    Attributes
    ----------
    mean_difference : Interval
        Mean of first - second, in units of the measure.
    d_z, g_z : Interval
        Over the spread of the differences; g is Hedges-corrected.
    d_av, g_av : Interval
        Over the pooled spread of the two methods.
    cliffs_delta : Interval
        P(first > second) - P(first < second), pairing ignored.
    correlation : float
        Between the two methods over pairs. With equal spreads d_z = d_av / sqrt(2 (1 - r)).
    """

    mean_difference: Interval
    d_z: Interval
    g_z: Interval
    d_av: Interval
    g_av: Interval
    cliffs_delta: Interval
    correlation: float

    def as_table(self) -> pd.DataFrame:
        """One row per effect size: effect, estimate, low, high, n_pairs, n_subjects, n_failed."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return pd.DataFrame(
            {"effect": name, **as_row(value)}
            for name, value in found.items()
            if isinstance(value, Interval)
        )

    def as_row(self, *names: str) -> dict[str, float]:
        """These, each with its bounds: NAME, NAME_low, NAME_high."""
        ends = (("", "estimate"), ("_low", "low"), ("_high", "high"))
        return {
            f"{name}{end}": getattr(getattr(self, name), bound)
            for name in names
            for end, bound in ends
        }


def _correlate(matched: Matched) -> float:
    a, b = matched.first - matched.first.mean(), matched.second - matched.second.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def compute_effect_sizes(matched: Matched, *, level: float = 0.95) -> EffectSizes:
    """All effect sizes of first - second, with intervals over subjects.

    Formulas and sources stand with the statistics: :func:`d_z`, :func:`d_av`,
    :func:`hedges_factor`, :func:`cliffs_delta`.

    Parameters
    ----------
    matched : Matched
    level : float
        Of each interval.

    Returns
    -------
    EffectSizes
        NaN where a statistic has no value (differences that do not vary), and where Hedges'
        correction does not exist (fewer than three pairs).

    Raises
    ------
    InputError
        If no pair is left.
    """
    names = ("mean_difference", "d_z", "g_z", "d_av", "g_av", "cliffs_delta")
    found = {name: compute_interval(matched, name, level=level) for name in names}
    delta = found["cliffs_delta"]
    low, high = np.clip([delta.low, delta.high], -1, 1)  # a symmetric interval can leave [-1, 1]
    found["cliffs_delta"] = replace(delta, low=float(low), high=float(high))
    return EffectSizes(**found, correlation=_correlate(matched))
