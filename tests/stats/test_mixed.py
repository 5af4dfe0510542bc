"""The mixed model: right where it can be checked, honest where it cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import draw_pairs, simulate_differences

from lumirage_lib.stats import (
    Matched,
    VarianceComponents,
    compute_interval,
    estimate_components,
    fit_crossed_model,
)


def crossed(values, pairs) -> Matched:
    return Matched(values, np.zeros(len(values)), pairs[:, 0].astype(str), pairs[:, 1].astype(str))


@pytest.fixture
def many(rng) -> Matched:
    pairs = draw_pairs(16, 240, rng=rng)
    truth = VarianceComponents(4e-4, 1e-4, 2e-4)
    return crossed(simulate_differences(pairs, truth, mean=0.01, rng=rng)[0], pairs)


def test_reml_and_moments_agree_on_a_complete_design(many):
    model, moments = fit_crossed_model(many), estimate_components(many)
    assert model.converged
    assert model.estimate == pytest.approx(many.difference.mean(), rel=0.02)
    for name in ("fixed", "moving", "residual"):
        assert getattr(model.components, name) == pytest.approx(getattr(moments, name), rel=0.1)


def test_interval_is_near_the_closed_form(many, rng):
    model, ours = fit_crossed_model(many), compute_interval(many)
    assert (model.high - model.low) / (ours.high - ours.low) == pytest.approx(1, abs=0.35)
    assert (model.n_pairs, model.n_subjects) == (240, 16)


def test_units_do_not_matter(many):
    """Dice differences are small numbers, on which an optimiser may stop too early."""
    percent = Matched(100 * many.first, 100 * many.second, many.fixed_subject, many.moving_subject)
    a, b = fit_crossed_model(many), fit_crossed_model(percent)
    assert b.estimate == pytest.approx(100 * a.estimate, rel=1e-4)
    assert b.components.fixed == pytest.approx(1e4 * a.components.fixed, rel=1e-3)


def test_variance_of_zero_is_said(rng):
    pairs = draw_pairs(6, 18, rng=rng)
    d = rng.normal(size=18)
    for role in (0, 1):  # nothing is left between subjects
        for k in range(6):
            d[pairs[:, role] == k] -= d[pairs[:, role] == k].mean()
    model = fit_crossed_model(crossed(d, pairs))
    assert model.messages or not model.converged


def test_one_pair_per_subject_is_a_plain_mean(rng):
    d = rng.normal(0.01, 0.02, 20)
    subjects = np.array([f"s{k}" for k in range(20)])
    model = fit_crossed_model(Matched(d, np.zeros(20), subjects, np.full(20, "atlas")))
    assert model.error == pytest.approx(d.std(ddof=1) / np.sqrt(20))
    assert np.isnan(model.components.fixed)
    assert "twice" in model.messages[0]


def test_failure_to_fit_is_reported_not_hidden():
    pairs = np.array([[0, 1], [1, 2], [2, 0], [0, 2]])
    model = fit_crossed_model(crossed(np.full(4, 0.1), pairs))
    assert not model.converged
    assert model.estimate == pytest.approx(0.1)
    assert np.isnan([model.low, model.high]).all()
    assert "do not vary" in model.messages[0]


def test_optimiser_that_gives_up_is_reported(many, monkeypatch):
    from statsmodels.regression.mixed_linear_model import MixedLM

    original = MixedLM.fit
    monkeypatch.setattr(
        MixedLM, "fit", lambda self, **kw: original(self, **(kw | {"maxiter": 1, "method": "bfgs"}))
    )
    model = fit_crossed_model(many)
    assert not model.converged
    assert model.messages
