"""Effect sizes against their formulas and other implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats
from simulated import draw_pairs

from lumirage_lib.stats import Matched, compute_effect_sizes, hedges_factor
from lumirage_lib.stats._statistics import STATISTICS, compute_influence


@pytest.fixture
def matched(rng) -> Matched:
    pairs = draw_pairs(8, 20, rng=rng)
    second = rng.normal(0.7, 0.05, 20)
    first = second + rng.normal(0.02, 0.01, 20)
    return Matched(first, second, pairs[:, 0].astype(str), pairs[:, 1].astype(str))


def test_formulas(matched, rng):
    a, b, d = matched.first, matched.second, matched.difference
    found = compute_effect_sizes(matched)
    d_z = d.mean() / d.std(ddof=1)
    d_av = d.mean() / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    delta = np.mean([np.sign(x - y) for x, y in itertools.product(a, b)])
    assert found.mean_difference.estimate == pytest.approx(d.mean())
    assert found.d_z.estimate == pytest.approx(d_z)
    assert found.d_av.estimate == pytest.approx(d_av)
    assert found.g_z.estimate == pytest.approx(d_z * hedges_factor(19))
    assert found.g_av.estimate == pytest.approx(d_av * hedges_factor(19))
    assert found.cliffs_delta.estimate == pytest.approx(delta)
    assert found.correlation == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_d_z_is_the_paired_t_and_delta_the_mann_whitney_statistic(matched, rng):
    found = compute_effect_sizes(matched)
    t = scipy_stats.ttest_rel(matched.first, matched.second).statistic
    assert found.d_z.estimate == pytest.approx(t / np.sqrt(20))
    u = scipy_stats.mannwhitneyu(matched.first, matched.second).statistic
    assert found.cliffs_delta.estimate == pytest.approx(2 * u / 400 - 1)


def test_hedges_factor_removes_the_bias():
    assert hedges_factor(10) == pytest.approx(1 - 3 / 39, abs=1e-3)
    assert np.isnan(hedges_factor(1))
    rng = np.random.default_rng(0)
    x = rng.normal(0.8, 1, (200_000, 8))
    d = x.mean(1) / x.std(1, ddof=1)
    assert d.mean() > 0.87  # biased away from 0.8
    assert hedges_factor(7) * d.mean() == pytest.approx(0.8, abs=0.01)


def test_spread_common_to_both_methods_shrinks_d_av_and_leaves_d_z(rng):
    pairs = draw_pairs(10, 30, rng=rng)
    difference, noise = rng.normal(0.01, 0.01, 30), rng.normal(size=30)
    sizes = []
    for spread in (0.01, 0.1):
        second = 0.7 + spread * noise
        m = Matched(second + difference, second, *pairs.T.astype(str))
        sizes.append(compute_effect_sizes(m))
    narrow, wide = sizes
    assert wide.d_z.estimate == pytest.approx(narrow.d_z.estimate)
    assert wide.d_av.estimate < 0.2 * narrow.d_av.estimate


def test_swapping_the_methods_changes_the_sign(matched, rng):
    swapped = Matched(matched.second, matched.first, matched.fixed_subject, matched.moving_subject)
    a = compute_effect_sizes(matched).as_table()
    b = compute_effect_sizes(swapped).as_table()
    np.testing.assert_allclose(a["estimate"], -b["estimate"])
    np.testing.assert_allclose(a["low"], -b["high"], atol=1e-9)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_weights_mean_repetition(matched, name, rng):
    """A pair of weight 2 counts as if it stood twice in the table (but for the ddof of n)."""
    if name.startswith("g_"):
        pytest.skip("Hedges' factor depends on the number of pairs")
    values = np.column_stack([matched.first, matched.second])
    weights = rng.integers(0, 4, 20)
    repeated = np.repeat(values, weights, axis=0)
    n, m = 20, weights.sum()
    ones = np.ones((1, m))
    expected = STATISTICS[name](repeated, ones)[0]
    if name.startswith("d_"):
        expected *= np.sqrt((m / (m - 1)) / (n / (n - 1)))
    assert STATISTICS[name](values, weights[None].astype(float))[0] == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_influence_predicts_the_jackknife(matched, name):
    values = np.column_stack([matched.first, matched.second])
    influence = compute_influence(STATISTICS[name], values)
    left_out = STATISTICS[name](values, 1.0 - np.eye(20))
    pseudo = left_out.mean() - left_out
    assert np.corrcoef(influence, pseudo)[0, 1] > 0.98
    if name == "mean_difference":
        d = matched.difference
        np.testing.assert_allclose(influence, d - d.mean(), atol=1e-9)


def test_cliffs_delta_stays_within_its_range(rng):
    pairs = draw_pairs(6, 12, rng=rng)
    second = rng.normal(0.5, 0.01, 12)
    first = second + rng.normal(0.02, 0.005, 12)
    delta = compute_effect_sizes(Matched(first, second, *pairs.T.astype(str))).cliffs_delta
    assert -1 <= delta.low <= delta.estimate <= delta.high <= 1


def test_constant_difference_has_no_standardised_size(matched, rng):
    same = Matched(
        matched.second + 0.1, matched.second, matched.fixed_subject, matched.moving_subject
    )
    found = compute_effect_sizes(same)
    assert found.mean_difference.estimate == pytest.approx(0.1)
    assert np.isnan([found.d_z.estimate, found.d_z.low, found.g_z.high]).all()
    assert np.isfinite(found.d_av.estimate)
