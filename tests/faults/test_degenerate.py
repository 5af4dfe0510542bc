"""Samples that a formula was not made for: no p-value of zero, no certainty from nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.stats import (
    Claim,
    Matched,
    compute_effect_sizes,
    compute_interval,
    decide,
    holm,
    sign_flip_subjects,
    tost,
)

RING = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f"), ("f", "a")]
ATLAS = [(s, "atlas") for s in "abcdefgh"]
SAMPLES = {
    "one pair": ([0.02], RING[:1]),
    "two pairs": ([0.02, 0.03], ATLAS[:2]),
    "two people, both ways": ([0.02, 0.03], [("a", "b"), ("b", "a")]),
    "three equal": ([0.02] * 3, ATLAS[:3]),
    "three equal in a circle": ([0.02] * 3, [("a", "b"), ("b", "c"), ("c", "a")]),
    "three that are nothing": ([0.0] * 3, ATLAS[:3]),
    "four equal, crossed": ([-0.02] * 4, [("a", "b"), ("b", "a"), ("a", "c"), ("c", "b")]),
    "eight equal": ([0.02] * 8, ATLAS),
    "equal to rounding": ([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3, 0.3], RING),
    "one is not": ([0.0] * 7 + [0.5], ATLAS),
    "everyone with everyone, three": (
        [0.01, 0.02, 0.03, 0.01, 0.02, 0.03],
        [(a, b) for a in "abc" for b in "abc" if a != b],
    ),
    "all pairs twice the same couple": ([0.01, 0.02, 0.01], [("a", "b"), ("b", "a"), ("a", "b")]),
    "people with themselves": ([0.01, 0.02, 0.04, 0.03], [(s, s) for s in "abcd"]),
    "a star": ([0.01, 0.02, 0.04, 0.03, 0.02], [("a", s) for s in "bcdef"]),
    "astronomic": ([1e60, 2e60, -1e60, 3e60, 1e60, 0.0], RING),
    "subatomic": ([1e-60, 2e-60, -1e-60, 3e-60, 1e-60, 0.0], RING),
    "far from zero": ([1e9 + k for k in range(6)], RING),
}


def make(name: str) -> Matched:
    values, pairs = SAMPLES[name]
    fixed, moving = np.array(pairs).T
    return Matched(np.array(values), np.zeros(len(values)), fixed, moving)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.fault(7, value=True, by="name")
def test_no_p_value_is_zero_and_none_is_smaller_than_the_signs_allow(name):
    matched = make(name)
    p = sign_flip_subjects(matched)
    assert np.isnan(p) or 2 / 2**matched.n_subjects <= p <= 1
    for margin in (0.01, 1e6):
        equal = tost(matched, margin)
        assert np.isnan(equal) or 0 < equal <= 1
    two_sided = compute_interval(matched).compute_p()
    assert np.isnan(two_sided) or 0 < two_sided <= 1


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.fault(7, value=True, by="name")
def test_interval_holds_its_estimate_or_there_is_none(name):
    matched = make(name)
    found = compute_interval(matched)
    assert found.estimate == pytest.approx(matched.difference.mean())
    assert np.isnan(found.low) == np.isnan(found.high)
    assert np.isnan(found.low) or found.low <= found.estimate <= found.high
    if matched.n_subjects < 3 or (np.ptp(matched.difference) == 0 and matched.difference.any()):
        assert np.isnan(found.low)
    if found.low == found.high:
        assert not matched.difference.any()
    compute_effect_sizes(matched)  # whatever it finds, without a warning


@pytest.mark.parametrize("says", ["loses", "gains", "equal"])
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.fault(7, value=True, by="name")
def test_nothing_is_supported_by_few_or_by_pairs_that_do_not_differ(name, says):
    values, pairs = SAMPLES[name]
    if name == "all pairs twice the same couple":
        pairs = pairs[:2]
    rows = [
        {"method": m, "family": f, "fixed": f"{k}{a}", "moving": b, "fixed_subject": a}
        | {"moving_subject": b, "condition": "x", "status": "ok", "dice": v * (m == "net")}
        for k, (v, (a, b)) in enumerate(zip(values, pairs, strict=False))
        for m, f in (("net", "deep"), ("greedy", "iterative"))
    ]
    result = decide(Claim("c", "", says, "deep", "iterative"), pd.DataFrame(rows))
    if result.n_subjects < 5:
        assert result.verdict == "not decidable here"
    elif np.ptp(values) < 1e-12 and any(values):
        assert result.verdict == "undecided"
    assert "nan" not in result.sentence


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: holm([0.1, -0.1]),
        lambda: holm([2.0]),
        lambda: tost(make("a star"), 0.0),
        lambda: tost(make("a star"), float("nan")),
        lambda: compute_interval(make("a star"), level=1.0),
        lambda: compute_interval(make("a star"), level=95),
        lambda: compute_interval(make("a star"), "median"),
        lambda: Matched(np.array([np.nan]), np.zeros(1), np.array(["a"]), np.array(["b"])),
        lambda: Matched(np.zeros(2), np.zeros(1), np.array(["a"]), np.array(["b"])),
        lambda: compute_interval(Matched(*[np.zeros(0)] * 2, *[np.array([], str)] * 2)),
        lambda: compute_interval(
            Matched(np.ones(3), np.zeros(3), np.array(["a", None, "c"]), np.array(["t"] * 3))
        ),
    ],
)
@pytest.mark.fault(7)
def test_what_cannot_be_computed_is_one_sentence(wrong):
    with pytest.raises(InputError) as refusal:
        wrong()
    assert "\n" not in str(refusal.value)
