"""Intervals over subjects, against scipy where pairs are independent and by hand where not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some
from simulated import draw_pairs, simulate_differences

from lumirage_lib.errors import InputError
from lumirage_lib.stats import Matched, VarianceComponents, compute_interval
from lumirage_lib.stats._crossed import make_estimator
from lumirage_lib.stats._design import decompose, make_design


def atlas(first, second) -> Matched:
    """One atlas moved to every subject: independent pairs."""
    subjects = np.array([f"s{k}" for k in range(len(first))])
    return Matched(np.array(first), np.array(second), subjects, np.full(len(first), "atlas"))


def crossed(values, pairs) -> Matched:
    return Matched(values, np.zeros(len(values)), pairs[:, 0].astype(str), pairs[:, 1].astype(str))


@pytest.fixture
def independent(rng) -> Matched:
    second = rng.normal(0.7, 0.03, 24)
    return atlas(second + rng.normal(0.01, 0.02, 24), second)


def test_interval_of_independent_pairs_is_students(independent):
    ours = compute_interval(independent)
    theirs = scipy.stats.ttest_rel(independent.first, independent.second)
    bounds = theirs.confidence_interval(0.95)
    np.testing.assert_allclose([ours.low, ours.high], [bounds.low, bounds.high], rtol=1e-7)
    assert ours.compute_p() == pytest.approx(theirs.pvalue)
    assert (ours.n_pairs, ours.n_subjects, ours.freedom) == (24, 24, pytest.approx(23))


def test_disjoint_pairs_give_students_interval():
    values, disjoint = np.array([0.01, 0.03, 0.02]), np.array([[0, 1], [2, 3], [4, 5]])
    found = compute_interval(crossed(values, disjoint))
    bounds = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], [bounds.low, bounds.high], rtol=1e-5)
    two = compute_interval(crossed(values[:2], disjoint[:2]))
    assert np.isnan([two.low, two.high]).all()  # t with one degree of freedom: -4.6 to 5.5 Dice


def test_components_and_variance_are_unbiased(rng):
    """Means over many studies of one unbalanced design: what was put in."""
    pairs = draw_pairs(8, 20, balanced=False, rng=rng)
    truth = VarianceComponents(fixed=2.0, moving=2.0, residual=1.0, covariance=1.5)
    values = simulate_differences(pairs, truth, n_studies=40_000, rng=rng)
    estimator = make_estimator(make_design(*pairs.T.astype(str)))
    residuals = values - values.mean(1, keepdims=True)
    raw = np.einsum("sp,kpq,sq->sk", residuals, estimator.quadratics, residuals, optimize=True)
    np.testing.assert_allclose(raw.mean(0), [1.0, 2.0, 1.5], rtol=0.05)
    assert (raw @ estimator.weights).mean() == pytest.approx(values.mean(1).var(), rel=0.05)
    assert estimator.predict_error(np.array([1.0, 2.0, 1.5])) == pytest.approx(
        values.mean(1).std(), rel=0.03
    )


def test_degrees_of_freedom_stay_between_half_and_all(rng):
    pairs = draw_pairs(10, 20, rng=rng)
    estimator = make_estimator(make_design(*pairs.T.astype(str)))
    for truth in (VarianceComponents(1, 1, 0.01, 0.9), VarianceComponents(0, 0, 1)):
        values = simulate_differences(pairs, truth, n_studies=200, rng=rng)
        error, freedom = estimator.compute_error(values)
        assert ((freedom >= 4.5) & (freedom <= 9)).all()
        alone = values.std(1, ddof=1) / np.sqrt(20)
        assert (error >= alone * (1 - 1e-9)).all()


def test_interval_is_wider_where_pairs_share_subjects(rng):
    pairs = draw_pairs(10, 90, rng=rng)
    values = simulate_differences(pairs, VarianceComponents(1, 1, 0.1), rng=rng)[0]
    ours = compute_interval(crossed(values, pairs))
    naive = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert ours.high - ours.low > 2 * (naive.high - naive.low)


def test_components_are_found_again(rng):
    pairs = draw_pairs(60, 1200, rng=rng)
    truth = VarianceComponents(4.0, 1.0, 2.0, covariance=1.0)
    design = make_design(*pairs.T.astype(str))
    found = [
        decompose(v, design) for v in simulate_differences(pairs, truth, n_studies=30, rng=rng)
    ]
    mean = np.mean([[*p.variances, p.residual_variance, p.covariance] for p in found], axis=0)
    np.testing.assert_allclose(mean, [4, 1, 2, 1], rtol=0.15)


def test_two_subjects_give_no_interval_and_three_do(rng):
    two = crossed(np.array([0.1, 0.2]), np.array([[0, 1], [1, 0]]))
    interval = compute_interval(two)
    assert interval.estimate == pytest.approx(0.15)
    assert np.isnan([interval.low, interval.high]).all()
    pairs = draw_pairs(3, 6, rng=rng)
    interval = compute_interval(crossed(rng.normal(size=6), pairs))
    assert interval.low < interval.estimate < interval.high


def test_pairs_that_do_not_differ_tell_nothing_of_the_error(rng):
    pairs = draw_pairs(5, 15, rng=rng)
    same = compute_interval(crossed(np.full(15, 0.25), pairs))
    assert np.isnan([same.low, same.high, same.compute_p(), same.compute_p_above(0.1)]).all()
    zero = compute_interval(crossed(np.zeros(15), pairs))
    assert (zero.low, zero.high, zero.compute_p()) == (0, 0, 1)


def test_p_values_and_intervals_do_not_contradict_each_other(rng):
    pairs = draw_pairs(8, 24, rng=rng)
    values = simulate_differences(pairs, VarianceComponents(1, 1, 1), mean=1, rng=rng)[0]
    found = compute_interval(crossed(values, pairs))
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        low = found.at(level).low
        assert found.compute_p(low + 1e-6) > 1 - level
        assert found.compute_p(low - 1e-6) < 1 - level
    assert found.compute_p_above(0.3) + found.compute_p_below(0.3) == pytest.approx(1)
    assert found.compute_p_above(-1e12) > 0


def test_detectable_difference_is_detected_four_times_in_five(rng):
    pairs = draw_pairs(10, 20, rng=rng)
    truth = VarianceComponents(1, 1, 1, 0.5)
    estimator = make_estimator(make_design(*pairs.T.astype(str)))
    error = estimator.predict_error(np.array([1, 1, 0.5]))
    found = replace(compute_interval(crossed(np.arange(20.0), pairs)), error=error, freedom=7)
    studies = simulate_differences(
        pairs, truth, mean=found.compute_detectable(), n_studies=4000, rng=rng
    )
    errors, freedom = estimator.compute_error(studies)
    seen = np.abs(studies.mean(1) / errors) > scipy.stats.t.ppf(0.975, freedom)
    assert 0.72 < seen.mean() < 0.88


@settings(max_examples=25, deadline=None)
@given(
    seed=some.integers(0, 2**32 - 1),
    shift=some.floats(-5, 5),
    scale=some.floats(0.01, 100),
)
def test_intervals_move_and_scale_with_the_values(seed, shift, scale):
    rng = np.random.default_rng(seed)
    pairs = draw_pairs(6, 15, rng=rng)
    values = rng.normal(size=15)
    one = compute_interval(crossed(values, pairs))
    other = compute_interval(crossed(scale * values + shift, pairs))
    np.testing.assert_allclose(
        [other.low, other.high],
        [scale * one.low + shift, scale * one.high + shift],
        rtol=1e-6,
        atol=1e-6 * (scale + abs(shift)),
    )


def test_names_of_subjects_do_not_matter(rng):
    pairs = draw_pairs(6, 18, rng=rng)
    values = rng.normal(size=18)
    renamed = np.array([f"z{9 - k}" for k in range(6)])[pairs]
    a = compute_interval(crossed(values, pairs))
    b = compute_interval(Matched(values, np.zeros(18), renamed[:, 0], renamed[:, 1]))
    assert (a.low, a.high) == pytest.approx((b.low, b.high))


def test_wrong_arguments_are_refused(independent, rng):
    for kwargs in ({"statistic": "median"}, {"level": 95}):
        with pytest.raises(InputError):
            compute_interval(independent, **kwargs)
    with pytest.raises(InputError, match="no pair"):
        compute_interval(atlas([], []))
