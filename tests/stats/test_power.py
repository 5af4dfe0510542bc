"""Power: against statsmodels where pairs are independent, against simulation where not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from simulated import draw_pairs, simulate_differences
from statsmodels.stats.power import TTestPower

from lumirage_lib.errors import InputError
from lumirage_lib.stats import (
    VarianceComponents,
    compute_detectable_effect,
    compute_power,
    plan_subjects,
)

COMPONENTS = VarianceComponents(fixed=1e-4, moving=1e-4, residual=3e-4)


def test_power_of_independent_differences_is_statsmodels():
    variance = 4e-4
    ours = compute_power(VarianceComponents(0, 0, variance), 0.01, 25)
    assert ours == pytest.approx(TTestPower().power(0.01 / 0.02, 25, 0.05), abs=1e-6)


def test_power_is_what_simulation_finds(rng):
    n, p, effect = 15, 4, 0.01
    pairs = draw_pairs(n, n * p, rng=rng)
    studies = simulate_differences(pairs, COMPONENTS, mean=effect, n_studies=4000, rng=rng)
    error = np.sqrt((2e-4) / n + 3e-4 / (n * p))
    t = (
        studies.mean(1) / error * np.sqrt((n - 1) / rng.chisquare(n - 1, 4000))
    )  # what an ideal variance estimate with n - 1 degrees of freedom would give
    seen = np.mean(np.abs(t) > scipy.stats.t.ppf(0.975, n - 1))
    assert compute_power(COMPONENTS, effect, n, p) == pytest.approx(seen, abs=0.025)


def test_smallest_number_reaches_the_power_and_one_less_does_not():
    plan = plan_subjects(COMPONENTS)
    assert len(plan) == 9
    for row in plan.itertuples():
        assert row.power >= 0.8
        assert row.n_pairs == row.n_subjects * row.pairs_per_subject
        if row.n_subjects > max(3, row.pairs_per_subject + 1):
            less = compute_power(COMPONENTS, row.effect, row.n_subjects - 1, row.pairs_per_subject)
            assert less < 0.8


def test_more_pairs_cannot_replace_subjects():
    needed = plan_subjects(COMPONENTS, effects=[0.005], pairs_per_subject=[1, 10])["n_subjects"]
    between = plan_subjects(VarianceComponents(1e-4, 1e-4, 0.0), effects=[0.005])["n_subjects"]
    assert needed[1] < needed[0]
    assert needed[1] >= between[0]
    assert between.nunique() == 1


def test_roles_that_agree_cost_subjects():
    alike = VarianceComponents(1e-4, 1e-4, 3e-4, covariance=1e-4)
    assert compute_power(alike, 0.01, 10, 3) < compute_power(COMPONENTS, 0.01, 10, 3)


def test_detectable_effect_has_the_power():
    effect = compute_detectable_effect(COMPONENTS, 10, 3)
    assert compute_power(COMPONENTS, effect, 10, 3) == pytest.approx(0.8, abs=1e-4)
    assert compute_detectable_effect(COMPONENTS, 40, 3) < effect


def test_out_of_reach_is_said():
    plan = plan_subjects(
        VarianceComponents(1, 1, 1), effects=[0.001], pairs_per_subject=[1], most=50
    )
    assert plan[["n_subjects", "n_pairs", "power"]].isna().all(axis=None)


def test_impossible_designs_are_refused():
    for n, p in ((1, 1), (5, 5), (5, 0)):
        with pytest.raises(InputError):
            compute_power(COMPONENTS, 0.01, n, p)


def test_no_variance_is_certainty():
    assert compute_power(VarianceComponents(0, 0, 0), 0.01, 5) == 1
    assert compute_detectable_effect(VarianceComponents(0, 0, 0), 5) == 0
