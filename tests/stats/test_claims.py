"""Verdicts: each rule's three outcomes, counts that hold, sentences that can be printed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.stats import (
    Claim,
    VarianceComponents,
    adjust_verdicts,
    bootstrap_subjects,
    compute_effect_sizes,
    decide,
    match_changes,
    simulate_pairs,
)

QUIET = VarianceComponents(1e-6, 1e-6, 1e-6)
LOUD = VarianceComponents(1e-2, 1e-2, 1e-2)
EQUAL = Claim("01", "equal on T1w", "equivalent", "deep", "iterative")
WORSE = Claim(
    "03", "worse on T2w", "loses_more", "deep", "iterative", condition="T2w", reference="T1w"
)


def equal(difference, components, rng):
    return simulate_pairs(10, 30, components, difference=difference, rng=rng)


@pytest.mark.parametrize(
    ("difference", "components", "verdict"),
    [
        (0.001, QUIET, "supported"),
        (0.05, QUIET, "not supported"),
        (-0.05, QUIET, "not supported"),
        (0.0, LOUD, "undecided"),
        (0.01, QUIET, "undecided"),
    ],
)
def test_equivalence(difference, components, verdict):
    table = equal(difference, components, np.random.default_rng(1))
    result = decide(EQUAL, table, rng=np.random.default_rng(0))
    assert result.verdict == verdict
    assert result.low < result.estimate < result.high
    assert result.level == pytest.approx(0.9)
    assert (result.n_pairs, result.n_subjects, result.n_failed) == (30, 10, 0)
    assert (result.p_value <= 0.05) == (verdict == "supported")


def test_equivalence_in_words(rng):
    table = equal(0.0, VarianceComponents(0, 0, 0), rng)
    table.loc[0, "status"] = "timeout"
    result = decide(EQUAL, table, rng=rng)
    assert result.sentence == (
        "Supported: mean Dice of the deep methods and of the iterative methods is equal within "
        "0.010; the difference is 0.000 (90 % interval 0.000 to 0.000; 29 pairs of 10 subjects, "
        "1 failed)."
    )


def test_difference_that_is_clear_but_small_is_said(rng):
    table = equal(0.0085, QUIET, rng)
    claim = replace(EQUAL, margin=0.0086, where="at 1 mm")
    result = decide(claim, table, rng=rng)
    assert result.verdict == "undecided"
    assert result.sentence.startswith("Undecided: whether mean Dice of the deep methods and of the")
    assert (
        "at 1 mm is equal within 0.0086 cannot be told; the difference is +0.0" in result.sentence
    )
    assert result.sentence.endswith("not zero, but perhaps smaller than 0.0086.")


@pytest.mark.parametrize(
    ("loss", "verdict"), [(0.05, "supported"), (0.0, "not supported"), (-0.05, "not supported")]
)
def test_difference_in_differences(loss, verdict):
    rng = np.random.default_rng(2)
    t1 = simulate_pairs(10, 30, QUIET, rng=rng)
    t2 = t1.assign(condition="T2w", dice=t1["dice"] - 0.1)
    t2["dice"] -= loss * (t2["family"] == "deep") + 1e-3 * rng.standard_normal(60)
    table = pd.concat([t1, t2])
    result = decide(WORSE, table, rng=rng)
    assert result.verdict == verdict
    assert result.estimate == pytest.approx(-loss, abs=0.002)
    # The same as an error metric, where a loss is a rise.
    mirrored = decide(
        replace(WORSE, measure="hd95_mm"), table.assign(hd95_mm=-table["dice"]), rng=rng
    )
    assert mirrored.verdict == verdict
    assert mirrored.estimate == pytest.approx(loss, abs=0.002)


def test_a_seed_gives_the_same_pairs_one_interval_wherever_they_are_compared(shift):
    verdict = decide(WORSE, shift, rng=7)
    matched = match_changes(shift, "deep", "iterative", condition="T2w", reference="T1w")
    found = bootstrap_subjects(matched, rng=7)
    sizes = compute_effect_sizes(matched, rng=7)
    assert (verdict.low, verdict.high) == pytest.approx((found.low, found.high), abs=1e-9)
    assert sizes.mean_difference == found


def test_difference_in_differences_with_too_much_noise_is_undecided(rng):
    t1, t2 = (simulate_pairs(10, 30, LOUD, rng=np.random.default_rng(s)) for s in (1, 1))
    t2["dice"] += 0.1 * rng.standard_normal(60)
    result = decide(WORSE, pd.concat([t1, t2.assign(condition="T2w")]), rng=rng)
    assert result.verdict == "undecided"
    assert "cannot be told; the deep methods changed by" in result.sentence


def test_difference_in_differences_in_words(shift, rng):
    result = decide(WORSE, shift, rng=rng)
    assert result.sentence.startswith(
        "Supported: from T1w to T2w, the deep methods lose 0.050 Dice more than the iterative "
        "methods; the deep methods changed by −0.070 and the iterative methods by −0.020, "
        "difference in differences −0.050 (95 % interval −0.05"
    )
    assert result.sentence.endswith("; 24 pairs of 8 subjects, none failed).")
    single = decide(replace(WORSE, first="network"), shift, rng=rng)
    assert "network loses 0.050 Dice more than" in single.sentence


def attempts(statuses, condition="0.6 mm") -> pd.DataFrame:
    n = len(statuses)
    return pd.DataFrame(
        {
            "method": ["vfa", "symnet"] * (n // 2) + ["vfa"] * (n % 2),
            "family": "deep",
            "fixed": [f"f{k // 2}" for k in range(n)],
            "moving": "m",
            "fixed_subject": [f"f{k // 2}" for k in range(n)],
            "moving_subject": "m",
            "condition": condition,
            "status": statuses,
            "dice": [0.7 if s == "ok" else np.nan for s in statuses],
        }
    )


@pytest.mark.parametrize(
    ("statuses", "runs", "fails"),
    [
        (["ok"] * 6, "supported", "not supported"),
        (["out_of_memory"] * 6, "not supported", "supported"),
        (["ok"] * 4 + ["out_of_memory", "timeout"], "undecided", "undecided"),
    ],
)
def test_runs_and_fails(statuses, runs, fails, rng):
    table = attempts(statuses)
    done = statuses.count("ok")
    for rule, verdict in (("runs", runs), ("fails", fails)):
        claim = Claim("04", "", rule, "deep", condition="0.6 mm", where="at 0.6 mm")
        result = decide(claim, table, rng=rng)
        assert result.verdict == verdict
        assert result.estimate == done / 6
        assert result.low <= result.estimate <= result.high
        assert (result.n_pairs, result.n_failed, result.n_subjects) == (6, 6 - done, 3)


def test_runs_and_fails_in_words(rng):
    claim = Claim("04", "", "fails", "deep", condition="0.6 mm", where="at 0.6 mm")
    say = lambda statuses: decide(claim, attempts(statuses), rng=rng).sentence  # noqa: E731
    assert say(["out_of_memory"] * 4) == (
        "Supported: none of the 4 registrations by the deep methods at 0.6 mm completed "
        "(2 subjects; failures: 4 out of memory)."
    )
    assert say(["ok", "out_of_memory", "ok", "timeout"]) == (
        "Undecided: 2 of the 4 registrations by the deep methods at 0.6 mm completed (2 subjects; "
        "failures: 1 out of memory and 1 timeout; completed: SYMNet 0 of 2 and VFA (ours, 2 mm) 2 of 2)."
    )
    assert say(["ok"]).startswith("Not supported: the one registration by the deep methods at")


@pytest.fixture
def perturbed(shift) -> pd.DataFrame:
    same = shift[shift["condition"] == "T1w"].assign(condition="flip")
    return pd.concat([shift, same], ignore_index=True)


@pytest.mark.parametrize(
    ("margin", "verdict"), [(0.01, "supported"), (0.0702, "undecided"), (0.2, "not supported")]
)
def test_sensitivity(perturbed, margin, verdict):
    rng = np.random.default_rng(0)
    claim = Claim("05", "", "sensitive", "network", reference="T1w", margin=margin)
    result = decide(claim, perturbed, rng=rng)
    assert result.verdict == verdict
    assert result.estimate == pytest.approx(0.07, abs=0.002)
    assert result.details["worst_condition"] == "T2w"
    assert result.details["mean"] == pytest.approx(0.035, abs=0.001)


def test_sensitivity_in_words(perturbed, rng):
    claim = Claim("05", "", "sensitive", "network", reference="T1w")
    assert decide(claim, perturbed, rng=rng).sentence.startswith(
        "Supported: 1 of 2 perturbations costs network more than 0.010 Dice; at worst, with T2w, "
        "network loses 0.070 (95 % simultaneous interval 0.0"
    )


def test_sensitivity_is_not_denied_while_a_perturbation_always_fails(perturbed, rng):
    perturbed.loc[perturbed["condition"] == "flip", "status"] = "failed"
    claim = Claim("05", "", "sensitive", "network", reference="T1w", margin=0.2)
    result = decide(claim, perturbed, rng=rng)
    assert result.verdict == "undecided"
    assert result.n_failed == 24


def test_too_few_subjects_and_no_pairs_are_undecided(rng):
    table = attempts(["ok"] * 4).replace({"symnet": "greedy"})
    table.loc[table["method"] == "greedy", "family"] = "iterative"
    result = decide(EQUAL, table, rng=rng)
    assert (result.verdict, result.n_subjects) == ("undecided", 2)
    assert np.isnan(result.low)
    assert result.sentence == (
        "Undecided: 2 subjects cannot give an interval; mean Dice of the deep methods minus the "
        "iterative methods 0.000 (2 pairs of 2 subjects, none failed)."
    )
    table.loc[table["method"] == "vfa", "status"] = "out_of_memory"
    result = decide(EQUAL, table, rng=rng)
    assert result.sentence == (
        "Undecided: no pair was completed by all that is compared (0 pairs of 0 subjects, 2 failed)."
    )


def test_holm_takes_back_what_is_clear_only_alone(rng):
    table = equal(0.0, QUIET, rng)
    base = decide(EQUAL, table, rng=rng)
    weak = replace(base, p_value=0.03)
    other = replace(base, p_value=0.6, verdict="undecided")
    completed = decide(replace(EQUAL, rule="runs"), table, rng=rng)
    adjusted = adjust_verdicts([weak, other, completed])
    assert [v.verdict for v in adjusted] == ["undecided", "undecided", "supported"]
    assert adjusted[0].p_adjusted == pytest.approx(0.06)
    assert adjusted[0].sentence.endswith("; clear alone, but not among 2 tests (Holm).")
    assert np.isnan(adjusted[2].p_adjusted)
    assert adjust_verdicts([base])[0].verdict == "supported"


def test_claims_that_cannot_be_decided_are_refused():
    for wrong in (
        {"rule": "better"},
        {"rule": "loses_more"},
        {"second": None},
        {"margin": 0},
        {"alpha": 0.7},
    ):
        with pytest.raises(InputError, match="claim '01'"):
            replace(EQUAL, **wrong)


def test_unknown_method_is_refused(table, rng):
    with pytest.raises(InputError, match="vfa"):
        decide(replace(EQUAL, first="vfa"), table, rng=rng)


def test_sentences_hold_no_nan_and_end_once(shift, perturbed, rng):
    claims = [
        replace(EQUAL, condition="T1w"),
        WORSE,
        Claim("05", "", "sensitive", ("network", "optimiser"), reference="T1w"),
        Claim("04", "", "runs", "deep", condition="T2w"),
    ]
    for claim in claims:
        sentence = decide(claim, perturbed, rng=rng).sentence
        assert "nan" not in sentence
        assert "None" not in sentence
        assert sentence.endswith(".")
        assert not sentence.endswith("..")
