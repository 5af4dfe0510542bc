"""Intervals over subjects, against scipy where pairs are independent and by hand where not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from lumirage_lib.errors import InputError
from lumirage_lib.stats import (
    Matched,
    VarianceComponents,
    bootstrap_subjects,
    draw_pairs,
    simulate_differences,
)
from lumirage_lib.stats._bootstrap import draw_weights
from lumirage_lib.stats._design import compute_variance, decompose, make_design


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


def test_t_interval_of_independent_pairs_is_scipys(independent):
    ours = bootstrap_subjects(independent, method="t", rng=np.random.default_rng(0))
    theirs = scipy.stats.ttest_rel(independent.first, independent.second)
    bounds = theirs.confidence_interval(0.95)
    np.testing.assert_allclose([ours.low, ours.high], [bounds.low, bounds.high], rtol=1e-7)
    assert (ours.n_pairs, ours.n_subjects) == (24, 24)


def test_every_subject_once_in_either_role_gives_students_interval(rng):
    """No residual is left: 3 subjects in a circle once gave an interval of 10^13 Dice."""
    pairs = np.array([[0, 1], [1, 2], [2, 0]])
    matched = crossed(rng.normal(-0.1, 0.01, 3), pairs)
    a, b = (bootstrap_subjects(matched, method=m, rng=rng) for m in ("studentised", "t"))
    np.testing.assert_allclose([a.low, a.high], [b.low, b.high], rtol=0.02)
    values, disjoint = np.array([0.01, 0.03, 0.02]), np.array([[0, 1], [2, 3], [4, 5]])
    found = bootstrap_subjects(crossed(values, disjoint), method="t", rng=rng)
    bounds = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], [bounds.low, bounds.high], rtol=1e-5)
    two = bootstrap_subjects(crossed(values[:2], disjoint[:2]), rng=rng)
    assert np.isnan([two.low, two.high]).all()  # t with one degree of freedom: -4.6 to 5.5 Dice


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_product_weights_of_independent_pairs_agree_with_scipys_bootstrap(independent, method):
    ours = bootstrap_subjects(
        independent, method=method, n_resamples=20_000, rng=np.random.default_rng(0)
    )
    theirs = scipy.stats.bootstrap(
        (independent.difference,),
        np.mean,
        n_resamples=20_000,
        method={"percentile": "percentile", "bca": "BCa"}[method],
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    np.testing.assert_allclose([ours.low, ours.high], [*theirs], atol=0.03 * width)


def test_studentised_interval_of_many_independent_pairs_is_near_students(rng):
    matched = atlas(rng.normal(0.01, 0.02, 150), np.zeros(150))
    a, b = (bootstrap_subjects(matched, method=m, rng=rng) for m in ("studentised", "t"))
    np.testing.assert_allclose([a.low, a.high], [b.low, b.high], atol=0.05 * (b.high - b.low))


def test_bca_follows_a_skewed_sample(rng):
    matched = atlas(rng.exponential(1, 30), np.zeros(30))
    interval = bootstrap_subjects(matched, method="bca", rng=rng)
    assert interval.high - interval.estimate > 1.1 * (interval.estimate - interval.low)


def test_variance_counts_shared_subjects_as_the_formula_says(rng):
    pairs = np.array([[0, 1], [1, 0], [0, 2], [2, 3], [3, 1]])
    design = make_design(pairs[:, 0].astype(str), pairs[:, 1].astype(str))
    residuals = np.array([3.0, 1.0, 2.0, -1.0, -5.0])
    total = 0.0
    for p in range(5):
        for q in range(5):
            total += residuals[p] * residuals[q] * bool(set(pairs[p]) & set(pairs[q]))
    floor = 5 / 4 * (residuals**2).sum()
    expected = max(4 / 3 * total, floor) / 25
    assert compute_variance(residuals, design) == pytest.approx(expected)
    assert compute_variance(np.array([3.0, 3, 3, -4, 3]), design) != pytest.approx(expected)


def test_pair_of_one_subject_with_itself_is_counted_once():
    design = make_design(list("aab"), list("abb"))
    residuals = np.array([1.0, 2.0, 4.0])
    # Every couple of pairs here shares a subject, but the two scan-rescan pairs do not.
    shared = residuals.sum() ** 2 - 2 * 1.0 * 4.0
    assert compute_variance(residuals, design) == pytest.approx(
        max(2 * shared, 3 / 2 * (residuals**2).sum()) / 9
    )


def test_interval_is_wider_where_pairs_share_subjects(rng):
    pairs = draw_pairs(10, 90, rng=rng)
    values = simulate_differences(pairs, VarianceComponents(1, 1, 0.1), rng=rng)[0]
    ours = bootstrap_subjects(crossed(values, pairs), rng=rng)
    naive = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert ours.high - ours.low > 2 * (naive.high - naive.low)


def test_weights_multiply_both_roles_and_leave_an_atlas_alone(rng):
    design = make_design(list("aab"), list("bcc"))
    weights = draw_weights(design, 500, rng)
    assert weights.shape == (500, 3)
    assert weights.any(1).all()  # sets of subjects without a single pair are drawn again
    # Counts (a, b, c) sum to 3, so the three products are those of (2,1,0), (1,1,1), ... only.
    assert {tuple(sorted(w)) for w in weights} == {(0, 0, 2), (1, 1, 1)}
    alone = draw_weights(make_design(list("abc"), ["t"] * 3), 500, rng)
    assert (alone.sum(1) == 3).all()


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
    interval = bootstrap_subjects(two, rng=rng)
    assert interval.estimate == pytest.approx(0.15)
    assert np.isnan([interval.low, interval.high]).all()
    pairs = draw_pairs(3, 6, rng=rng)
    interval = bootstrap_subjects(crossed(rng.normal(size=6), pairs), rng=rng)
    assert interval.low < interval.estimate < interval.high


def test_constant_difference_has_no_width(rng):
    pairs = draw_pairs(5, 15, rng=rng)
    interval = bootstrap_subjects(crossed(np.full(15, 0.25), pairs), rng=rng)
    assert (interval.low, interval.high) == (0.25, 0.25)


def test_seed_decides(table, rng):
    pairs = draw_pairs(6, 18, rng=rng)
    matched = crossed(rng.normal(size=18), pairs)
    a, b, c = (bootstrap_subjects(matched, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert a == b
    assert a != c


@settings(max_examples=25, deadline=None)
@given(
    seed=some.integers(0, 2**32 - 1),
    shift=some.floats(-5, 5),
    scale=some.floats(0.01, 100),
    method=some.sampled_from(["studentised", "t", "percentile", "bca"]),
)
def test_intervals_move_and_scale_with_the_values(seed, shift, scale, method):
    rng = np.random.default_rng(seed)
    pairs = draw_pairs(6, 15, rng=rng)
    values = rng.normal(size=15)
    kwargs = {"method": method, "n_resamples": 199}
    one = bootstrap_subjects(crossed(values, pairs), rng=np.random.default_rng(0), **kwargs)
    other = bootstrap_subjects(
        crossed(scale * values + shift, pairs), rng=np.random.default_rng(0), **kwargs
    )
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
    a = bootstrap_subjects(crossed(values, pairs), method="t", rng=rng)
    b = bootstrap_subjects(
        Matched(values, np.zeros(18), renamed[:, 0], renamed[:, 1]), method="t", rng=rng
    )
    assert (a.low, a.high) == pytest.approx((b.low, b.high))


def test_wrong_arguments_are_refused(independent, rng):
    for kwargs in ({"method": "magic"}, {"statistic": "median"}, {"level": 95}):
        with pytest.raises(InputError):
            bootstrap_subjects(independent, rng=rng, **kwargs)
    with pytest.raises(InputError, match="no pair"):
        bootstrap_subjects(atlas([], []), rng=rng)
