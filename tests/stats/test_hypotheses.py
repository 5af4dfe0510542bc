"""Equivalence, sign flips and Holm, against statsmodels, scipy and each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats
from simulated import draw_pairs, simulate_differences
from statsmodels.stats.weightstats import ttost_paired

from lumirage_lib.errors import InputError
from lumirage_lib.stats import (
    Matched,
    VarianceComponents,
    compute_interval,
    control_false_discoveries,
    holm,
    sign_flip_subjects,
    tost,
)


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
    ours = tost(atlas(d), 0.01)
    theirs, *_ = ttost_paired(d, np.zeros(120), -0.01, 0.01)
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("seed", range(30))
def test_tost_rejects_exactly_when_its_interval_is_inside(seed):
    rng = np.random.default_rng(seed)
    pairs = draw_pairs(8, 24, rng=rng)
    values = simulate_differences(pairs, VarianceComponents(1e-4, 1e-4, 1e-4), rng=rng)[0]
    matched = crossed(values, pairs)
    margin = float(rng.uniform(0.002, 0.02))
    interval = compute_interval(matched, level=0.9)
    inside = -margin < interval.low and interval.high < margin
    assert inside == (tost(matched, margin) <= 0.05)


def test_equivalence_needs_subjects_and_a_margin():
    two = crossed(np.array([0.0, 0.001]), np.array([[0, 1], [1, 0]]))
    assert np.isnan(tost(two, 0.01))
    for margin in (0, -0.01):
        with pytest.raises(InputError):
            tost(atlas(np.arange(5.0)), margin)


def test_no_p_value_is_zero_where_three_pairs_agree():
    """A shortcut once gave 0.0001 and 0.0; three signs have eight settings, two of them as clear."""
    same = atlas(np.full(3, 0.02))
    assert sign_flip_subjects(same) == 0.25
    circle = crossed(np.full(3, 0.02), np.array([[0, 1], [1, 2], [2, 0]]))
    assert sign_flip_subjects(circle) == 0.25
    assert np.isnan(tost(same, 0.05))
    assert 0 < tost(atlas(0.02 + 1e-9 * np.arange(200)), 0.05) < 1e-100


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_few_subjects_are_never_clearer_than_their_signs_allow(n, rng):
    assert sign_flip_subjects(atlas(rng.normal(5, 0.1, n))) == 2 / 2**n


def test_sign_flip_of_an_atlas_is_the_exact_test():
    d = np.array([0.4, 0.9, -0.2, 1.1, 0.3, 0.8, -0.1, 0.6])
    means = [np.mean(d * s) for s in itertools.product([-1, 1], repeat=len(d))]
    exact = np.mean(np.abs(means) >= abs(d.mean()) - 1e-12)
    ours = sign_flip_subjects(atlas(d))
    assert ours == exact
    theirs = scipy_stats.permutation_test(
        (d, np.zeros(8)), lambda x, y: np.mean(x - y), permutation_type="samples"
    ).pvalue
    assert ours == pytest.approx(theirs)


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


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert np.isnan(holm([np.nan])).all()
    assert holm([0.9, 0.8])[0] == 1
    with pytest.raises(InputError):
        holm([1.2])


def test_false_discoveries_by_hand():
    np.testing.assert_allclose(
        control_false_discoveries([0.01, 0.04, 0.03, np.nan]), [0.03, 0.04, 0.04, np.nan]
    )
