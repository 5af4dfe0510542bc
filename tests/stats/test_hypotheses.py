"""Equivalence, sign flips and Holm, against statsmodels, scipy and each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.weightstats import ttost_paired

from lumirage_lib.errors import InputError
from lumirage_lib.stats import (
    Matched,
    VarianceComponents,
    bootstrap_subjects,
    compare_changes,
    draw_pairs,
    holm,
    match_changes,
    sign_flip_subjects,
    simulate_differences,
    tost,
)
from lumirage_lib.stats._tests import compute_pivot


def atlas(difference) -> Matched:
    n = len(difference)
    subjects = np.array([f"s{k}" for k in range(n)])
    return Matched(np.asarray(difference), np.zeros(n), subjects, np.full(n, "atlas"))


def crossed(values, pairs) -> Matched:
    return Matched(values, np.zeros(len(values)), pairs[:, 0].astype(str), pairs[:, 1].astype(str))


@pytest.mark.parametrize("mean", [0.0, 0.004, 0.008, 0.012])
def test_tost_agrees_with_statsmodels_on_independent_pairs(mean):
    rng = np.random.default_rng(4)
    d = rng.normal(mean, 0.02, 120)
    ours = tost(atlas(d), 0.01, n_resamples=9999, rng=rng)
    theirs, *_ = ttost_paired(d, np.zeros(120), -0.01, 0.01)
    assert ours.p_value == pytest.approx(theirs, abs=0.01)
    assert ours.equivalent == (theirs < 0.05)


@pytest.mark.parametrize("seed", range(30))
def test_tost_rejects_exactly_when_its_interval_is_inside(seed):
    rng = np.random.default_rng(seed)
    pairs = draw_pairs(8, 24, rng=rng)
    values = simulate_differences(pairs, VarianceComponents(1e-4, 1e-4, 1e-4), rng=rng)[0]
    matched = crossed(values, pairs)
    margin = float(rng.uniform(0.002, 0.02))
    result = tost(matched, margin, n_resamples=999, rng=np.random.default_rng(seed))
    interval = bootstrap_subjects(
        matched, level=0.9, n_resamples=999, rng=np.random.default_rng(seed)
    )
    half = (result.interval.high - result.interval.low) / 2
    assert result.interval.estimate == pytest.approx(interval.estimate)
    assert half == pytest.approx((interval.high - interval.low) / 2 * 8 / 7)
    low, high = result.interval.low, result.interval.high
    assert result.equivalent == (-margin < low and high < margin)
    assert result.equivalent == (result.p_value <= 0.05)


def test_p_values_and_intervals_do_not_contradict_each_other(rng):
    pairs = draw_pairs(8, 24, rng=rng)
    values = simulate_differences(pairs, VarianceComponents(1, 1, 1), mean=1, rng=rng)[0]
    pivot = compute_pivot(crossed(values, pairs), n_resamples=999, rng=rng)
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        half = pivot.compute_halfwidth(level)
        inside, outside = pivot.estimate - 0.999 * half, pivot.estimate - 1.001 * half
        assert pivot.compute_p(inside) > 1 - level
        assert pivot.compute_p(outside) <= 1 - level + 1e-9
    assert pivot.compute_p_above(0.3) + pivot.compute_p_below(0.3) == pytest.approx(1)


def test_equivalence_needs_subjects_and_a_margin(rng):
    two = crossed(np.array([0.0, 0.001]), np.array([[0, 1], [1, 0]]))
    result = tost(two, 0.01, rng=rng)
    assert not result.equivalent
    assert np.isnan(result.p_value)
    for margin, alpha in ((0, 0.05), (-0.01, 0.05), (0.01, 0.5)):
        with pytest.raises(InputError):
            tost(atlas(np.arange(5.0)), margin, alpha=alpha, rng=rng)


def test_identical_methods_are_equivalent(rng):
    pairs = draw_pairs(5, 10, rng=rng)
    result = tost(crossed(np.zeros(10), pairs), 0.01, rng=rng)
    assert result.equivalent
    assert result.p_value == 0


def test_sign_flip_of_an_atlas_is_the_exact_test():
    d = np.array([0.4, 0.9, -0.2, 1.1, 0.3, 0.8, -0.1, 0.6])
    means = [np.mean(d * s) for s in itertools.product([-1, 1], repeat=len(d))]
    exact = np.mean(np.abs(means) >= abs(d.mean()) - 1e-12)
    ours = sign_flip_subjects(atlas(d), n_resamples=50_000, rng=np.random.default_rng(0))
    assert ours == pytest.approx(exact, abs=0.004)
    theirs = scipy_stats.permutation_test(
        (d, np.zeros(8)), lambda x, y: np.mean(x - y), permutation_type="samples"
    ).pvalue
    assert ours == pytest.approx(theirs, abs=0.004)


def test_sign_flip_holds_its_level_where_pairs_share_subjects(rng):
    """The naive test rejects far too often on the same data."""
    pairs = draw_pairs(10, 30, rng=rng)
    values = simulate_differences(pairs, VarianceComponents(1, 1, 1), n_studies=200, rng=rng)
    ours = [sign_flip_subjects(crossed(v, pairs), n_resamples=199, rng=rng) for v in values]
    naive = scipy_stats.ttest_1samp(values, 0, axis=1).pvalue
    assert np.mean(np.array(ours) <= 0.05) < 0.1
    assert np.mean(naive <= 0.05) > 0.13


def test_sign_flip_sees_a_clear_difference_and_none_where_there_is_none(rng):
    pairs = draw_pairs(10, 30, rng=rng)
    values = simulate_differences(pairs, VarianceComponents(1, 1, 1), mean=5, rng=rng)[0]
    assert sign_flip_subjects(crossed(values, pairs), rng=rng) < 0.01
    assert sign_flip_subjects(crossed(np.zeros(30), pairs), rng=rng) == 1
    assert np.isnan(sign_flip_subjects(crossed(np.ones(2), np.array([[0, 1], [1, 0]])), rng=rng))


def test_difference_in_differences_finds_the_loss(shift, rng):
    kwargs = {"condition": "T2w", "reference": "T1w"}
    interval = compare_changes(shift, "network", "optimiser", rng=rng, **kwargs)
    assert interval.low < -0.05 < interval.high < -0.045
    matched = match_changes(shift, "network", "optimiser", **kwargs)
    assert interval.estimate == pytest.approx(matched.difference.mean())


def test_difference_in_differences_ignores_what_hurts_both(shift, rng):
    harder = shift.copy()
    harder.loc[harder["condition"] == "T2w", "dice"] -= 0.2
    kwargs = {"condition": "T2w", "reference": "T1w"}
    a, b = (
        compare_changes(t, "network", "optimiser", rng=np.random.default_rng(0), **kwargs)
        for t in (shift, harder)
    )
    assert (a.low, a.high) == pytest.approx((b.low, b.high))


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert np.isnan(holm([np.nan])).all()
    assert holm([0.9, 0.8])[0] == 1
    with pytest.raises(InputError):
        holm([1.2])
