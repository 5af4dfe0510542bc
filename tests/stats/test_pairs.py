"""Matching: the same pairs on both sides, failures and gaps counted, nothing dropped unseen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.stats import is_error, match_changes, match_conditions, match_pairs


def rows(**changes) -> dict:
    base = {
        "method": "vfa",
        "family": "deep",
        "fixed": "a",
        "moving": "b",
        "fixed_subject": "A",
        "moving_subject": "B",
        "condition": "T1w",
        "status": "ok",
        "dice": 0.7,
    }
    return base | changes


@pytest.fixture
def small() -> pd.DataFrame:
    """Three pairs by two networks and one optimiser; one failure, one value missing, one gap."""
    out = []
    for moving in "bcd":
        pair = {"moving": moving, "moving_subject": moving.upper()}
        out.append(rows(**pair, dice=0.70))
        out.append(rows(**pair, method="symnet", dice=0.60))
        out.append(rows(**pair, method="greedy", family="iterative", dice=0.62))
    table = pd.DataFrame(out)
    failed = (table["moving"] == "c") & (table["method"] == "symnet")
    table.loc[failed, "status"] = "timeout"  # its value is not to be trusted
    return table


def test_family_is_the_mean_of_its_methods_and_one_failure_fails_the_pair(small):
    matched = match_pairs(small, "deep", "greedy")
    np.testing.assert_allclose(matched.first, [0.65, 0.65])
    np.testing.assert_allclose(matched.difference, [0.03, 0.03])
    assert (matched.n_pairs, matched.n_failed, matched.n_missing) == (2, 1, 0)


def test_failure_of_another_method_does_not_matter(small):
    assert match_pairs(small, "vfa", "greedy").n_pairs == 3


def test_ok_without_a_finite_value_is_a_failure(small):
    for bad in (np.nan, np.inf):
        small.loc[small["method"] == "greedy", "dice"] = [0.6, bad, 0.6]
        matched = match_pairs(small, "vfa", "greedy")
        assert (matched.n_pairs, matched.n_failed) == (2, 1)


def test_absent_row_is_missing_not_failed(small):
    gap = small[~((small["method"] == "greedy") & (small["moving"] == "d"))]
    matched = match_pairs(gap, "vfa", "greedy")
    assert (matched.n_pairs, matched.n_failed, matched.n_missing) == (2, 0, 1)
    # A family of which one method was not run on a pair is incomplete there.
    gap = small[~((small["method"] == "symnet") & (small["moving"] == "d"))]
    matched = match_pairs(gap, "deep", "greedy")
    assert (matched.n_pairs, matched.n_failed, matched.n_missing) == (1, 1, 1)


def test_counts_add_up_to_all_pairs(shift):
    damaged = shift.copy()
    damaged.loc[[0, 30, 60], "status"] = "out_of_memory"
    damaged = damaged.drop(index=[5, 70])
    pairs = set(map(tuple, shift[["fixed", "moving"]].to_numpy()))
    for matched in (
        match_pairs(damaged, "deep", "iterative", condition="T2w"),
        match_conditions(damaged, "deep", condition="T2w", reference="T1w"),
        match_changes(damaged, "deep", "iterative", condition="T2w", reference="T1w"),
    ):
        assert matched.n_pairs + matched.n_failed + matched.n_missing == len(pairs)
    assert (matched.n_failed, matched.n_missing) == (3, 2)


def test_order_of_rows_does_not_matter(table, rng):
    shuffled = table.sample(frac=1, random_state=1)
    a, b = (match_pairs(t, "deep", "iterative") for t in (table, shuffled))
    np.testing.assert_array_equal(a.difference, b.difference)
    np.testing.assert_array_equal(a.fixed_subject, b.fixed_subject)


def test_directed_pairs_are_kept_apart():
    table = pd.DataFrame(
        [
            rows(dice=0.7),
            rows(dice=0.6, fixed="b", moving="a", fixed_subject="B", moving_subject="A"),
            rows(method="syn", family="iterative", dice=0.5),
            rows(
                method="syn",
                family="iterative",
                dice=0.55,
                fixed="b",
                moving="a",
                fixed_subject="B",
                moving_subject="A",
            ),
        ]
    )
    np.testing.assert_allclose(match_pairs(table, "vfa", "syn").difference, [0.2, 0.05])


def test_changes_are_the_difference_in_differences(shift):
    matched = match_changes(shift, "network", "optimiser", condition="T2w", reference="T1w")
    by = {c: match_pairs(shift, "network", "optimiser", condition=c) for c in ("T1w", "T2w")}
    np.testing.assert_allclose(
        matched.difference, by["T2w"].difference - by["T1w"].difference, atol=1e-12
    )


def test_several_conditions_are_averaged_pair_by_pair(shift):
    third = shift[shift["condition"] == "T2w"].assign(condition="FLAIR")
    third["dice"] -= 0.01
    table = pd.concat([shift, third])
    both = match_changes(table, "network", "optimiser", condition=("T2w", "FLAIR"), reference="T1w")
    one = match_changes(table, "network", "optimiser", condition="T2w", reference="T1w")
    np.testing.assert_allclose(both.first, one.first - 0.005)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="fixed_subject"), "fixed_subject"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "listed twice"),
        (lambda t: pd.concat([t, t.assign(condition="T2w")]), "name the condition"),
    ],
)
def test_tables_that_would_mislead_are_refused(small, change, message):
    with pytest.raises(InputError, match=message):
        match_pairs(change(small), "vfa", "greedy")


def test_unknown_names_are_refused(small):
    with pytest.raises(InputError, match="no method and no family"):
        match_pairs(small, "vfaa", "greedy")
    with pytest.raises(InputError, match="no registration"):
        match_pairs(small, "vfa", "greedy", condition="T2w")


def test_direction_of_a_measure_is_known_or_asked_for():
    assert not is_error("dice")
    assert is_error("hd95_mm")
    assert is_error("tre_mm")
    with pytest.raises(InputError, match="direction"):
        is_error("seconds")
