"""Decision rules: every word, what it means for a claim, and when there is no verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from simulated import simulate_pairs

from lumirage_lib.errors import InputError
from lumirage_lib.stats import (
    INCOMPLETE,
    LABELS_DECIDE,
    NOT_DECIDABLE,
    NOT_JUDGED,
    NOT_TESTED,
    Claim,
    Interval,
    VarianceComponents,
    Verdict,
    adjust_verdicts,
    agree_on_labels,
    combine,
    compute_interval,
    decide,
    find_word,
    match_changes,
    not_tested,
    set_aside,
)

QUIET = VarianceComponents(1e-6, 1e-6, 1e-6)
LOUD = VarianceComponents(1e-2, 1e-2, 1e-2)
SAME = Claim("t1w", "equal on T1w", "equal", "deep", "iterative", where="on T1w brains")
WORSE = Claim("t2w", "worse on T2w", "loses", "deep", "iterative", condition="T2w", reference="T1w")


def pairs_of(difference, components=QUIET, seed=1, n=(10, 30)) -> pd.DataFrame:
    return simulate_pairs(*n, components, difference=difference, rng=np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.03, -0.011, "loses, and it matters"),
        (-0.03, -0.01, "loses, size open"),
        (-0.01, 0.01, "equal within the margin"),
        (-0.01, -0.002, "equal within the margin"),
        (-0.02, -0.001, "loses, size open"),
        (0.011, 0.02, "gains, and it matters"),
        (0.001, 0.02, "gains, size open"),
        (0.001, 0.01, "equal within the margin"),
        (-0.01, 0.02, "no loss that matters"),
        (-0.011, 0.011, "undecided"),
        (-0.011, 0.0, "undecided"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_first_word_that_fits(low, high, word):
    assert find_word(low, high, 0.01) == word


@pytest.mark.parametrize(
    ("says", "difference", "verdict"),
    [
        ("loses", -0.05, "supported"),
        ("loses", 0.0, "not supported"),
        ("loses", 0.05, "not supported"),
        ("loses", -0.01, "loses, size open"),
        ("gains", 0.05, "supported"),
        ("gains", -0.05, "not supported"),
        ("gains", 0.01, "gains, size open"),
        ("equal", 0.0, "supported"),
        ("equal", -0.05, "not supported"),
        ("equal", 0.05, "not supported"),
        ("equal", -0.01, "loses, size open"),
    ],
)
def test_what_a_word_means_for_a_claim(says, difference, verdict):
    table = pairs_of(difference)
    result = decide(replace(SAME, says=says), table)
    assert result.verdict == verdict
    assert result.low < result.estimate < result.high
    assert (result.n_pairs, result.n_subjects, result.n_failed) == (30, 10, 0)
    # The same as an error, where a loss is a rise.
    mirrored = decide(
        replace(SAME, says=says, measure="hd95_mm"), table.assign(hd95_mm=-table["dice"])
    )
    assert (mirrored.verdict, mirrored.word) == (result.verdict, result.word)
    assert mirrored.direction == result.direction
    assert mirrored.estimate == pytest.approx(-result.estimate)


def test_noise_is_undecided_in_every_claim():
    for says in ("equal", "loses", "gains"):
        assert decide(replace(SAME, says=says), pairs_of(0.0, LOUD)).verdict == "undecided"


def test_changes_and_one_sides_change(shift):
    result = decide(WORSE, shift)
    assert result.verdict == "supported"
    assert result.changes == pytest.approx((-0.07, -0.02), abs=1e-3)
    matched = match_changes(shift, "deep", "iterative", condition="T2w", reference="T1w")
    assert result.interval == compute_interval(matched)
    alone = decide(replace(WORSE, second=None), shift)
    assert alone.estimate == pytest.approx(-0.07, abs=1e-3)
    assert alone.verdict == "supported"


def test_only_voxel_size_differs_and_the_claim_is_not_supported():
    """Both sides lose alike from 1 to 2 mm. Against a reference at 1 mm for one side only, it seems
    that networks lose; with one working grid for both sides of an arm, they do not.
    """
    rng = np.random.default_rng(3)
    base = simulate_pairs(10, 30, QUIET, rng=rng)
    coarse = 0.02

    def condition(name, cost_deep, cost_iterative):
        cost = base["family"].map({"deep": cost_deep, "iterative": cost_iterative})
        noise = 1e-3 * rng.standard_normal(len(base))
        return base.assign(condition=name, dice=base["dice"] - cost + noise)

    claim = replace(WORSE, condition="FLAIR", reference="T1w")
    mixed = pd.concat([condition("T1w", 0, coarse), condition("FLAIR", coarse, coarse)])
    assert decide(claim, mixed).verdict == "supported"
    same = pd.concat([condition("T1w", coarse, coarse), condition("FLAIR", coarse, coarse)])
    assert decide(claim, same).verdict == "not supported"


def test_incomplete_family_has_no_verdict():
    table = pairs_of(-0.05)
    other = table[table["method"] == "network"].assign(method="second")
    table = pd.concat([table, other.iloc[:20]])
    result = decide(replace(SAME, says="loses"), table)
    assert (result.verdict, result.word, result.n_missing) == (INCOMPLETE, "", 10)
    assert "second 10 of 30" in result.sentence
    assert np.isnan(result.p_value)
    few = decide(replace(SAME, n_pairs=40), pairs_of(0.0))
    assert few.verdict == INCOMPLETE
    assert "network 10 of 40" in few.sentence


def test_failed_registration_is_counted_and_does_not_make_a_family_incomplete():
    table = pairs_of(-0.05)
    table.loc[0, "status"] = "out_of_memory"
    result = decide(replace(SAME, says="loses", n_pairs=30), table)
    assert (result.verdict, result.n_pairs, result.n_failed) == ("supported", 29, 1)
    table["status"] = "timeout"
    nothing = decide(SAME, table)
    # All was tried: nothing will come any more.
    assert (nothing.verdict, nothing.n_pairs, nothing.n_failed) == (NOT_DECIDABLE, 0, 30)
    assert nothing.by_failures
    assert "failed on 30 of 30 pairs" in nothing.reason
    waiting = decide(replace(SAME, n_pairs=40), table)
    assert (waiting.verdict, waiting.by_failures) == (INCOMPLETE, False)
    assert waiting.sentence == (
        "Incomplete: On T1w brains, no pair was completed by all that is compared."
    )


@pytest.mark.parametrize(("n_subjects", "decidable"), [(3, False), (4, False), (5, True)])
def test_fewer_than_five_subjects_decide_nothing(n_subjects, decidable):
    table = pairs_of(-0.05, n=(n_subjects, n_subjects * (n_subjects - 1)))
    result = decide(replace(SAME, says="loses"), table)
    assert (result.verdict == "supported") == decidable
    assert (result.verdict == NOT_DECIDABLE) != decidable
    assert np.isfinite([result.low, result.high]).all()  # shown, never judged


def test_pairs_without_any_difference():
    table = pairs_of(0.0, VarianceComponents(0, 0, 0))
    assert decide(SAME, table).verdict == "supported"  # identical on every pair
    table.loc[table["method"] == "network", "dice"] += 0.5
    result = decide(replace(SAME, says="gains"), table)
    assert result.verdict == "undecided"
    assert "do not differ" in result.sentence


def test_holm_gives_each_step_its_level_and_reads_the_words_again():
    claims = [replace(SAME, id=f"arm {k}", says="loses") for k in range(4)]
    gaps = (-0.05, -0.02, 0.0, 0.0)
    found = [
        decide(c, pairs_of(g, seed=k)) for k, (c, g) in enumerate(zip(claims, gaps, strict=True))
    ]
    found.append(not_tested(claims[0], "no data"))
    adjusted = adjust_verdicts(found)
    levels = [1 - v.level for v in adjusted[:4]]
    assert levels == pytest.approx([0.05 / 4, 0.05 / 3, 0.05 / 2, 0.05 / 2])
    assert adjusted[4].verdict == NOT_TESTED
    for v in adjusted[:4]:
        assert (v.low > 0 or v.high < 0) == (v.p_adjusted <= 0.05)
    declared = adjust_verdicts(found, n_arms=7)
    assert 1 - declared[0].level == pytest.approx(0.05 / 7)
    assert declared[0].high > adjusted[0].high
    for v, alone in zip(adjust_verdicts(found[:4], n_arms=7), found[:4], strict=True):
        chapter = adjust_verdicts([alone], n_arms=7)[0]  # knows no arm but its own
        assert chapter.low <= v.low, "chapters say that the scoreboard's are not wider"
        assert v.high <= chapter.high
    with pytest.raises(InputError, match="declared"):
        adjust_verdicts(found, n_arms=2)


def test_holm_takes_back_what_is_clear_only_alone():
    one = decide(replace(SAME, says="loses"), pairs_of(-0.05))
    edge = replace(one.interval, estimate=-0.0102 - 2.1 * one.interval.error)
    weak = replace(one, interval=edge.at(0.9), word="loses, and it matters", p_value=1e-9)
    assert adjust_verdicts([weak], n_arms=50)[0].verdict == "loses, size open"


def test_labels_must_agree():
    claim = replace(SAME, says="loses")
    a, b, c = (decide(claim, pairs_of(d)) for d in (-0.05, -0.04, 0.0))
    both = agree_on_labels({"greedy": a, "LapIRN": b})
    assert (both.verdict, both.labels) == ("supported", ("greedy", "LapIRN"))
    split = agree_on_labels({"greedy": a, "LapIRN": b, "segmenter": c})
    assert split.verdict == LABELS_DECIDE
    assert "segmenter: equal within the margin" in split.sentence
    waiting = agree_on_labels({"greedy": a, "LapIRN": not_tested(claim, "not fused")})
    assert waiting.verdict == NOT_TESTED


def test_several_arms_are_one_word_only_if_they_agree():
    claims = [replace(SAME, id=name, says="loses") for name in ("T2w", "FLAIR")]
    a, b = (decide(c, pairs_of(d)) for c, d in zip(claims, (-0.05, 0.0), strict=True))
    assert combine([a, a]) == "supported"
    assert combine([a, b]) == "T2w: supported; FLAIR: not supported"
    assert combine([]) == NOT_TESTED


def test_sentences(shift):
    table = pairs_of(-0.004, VarianceComponents(0, 0, 1e-8))
    said = decide(replace(SAME, says="loses"), table).sentence
    assert said.startswith(
        "Not supported: On T1w brains, the deep methods and the iterative methods are equal within "
        "0.010 Dice, the deep methods a little worse (difference −0.0040, 95 % interval −0.00"
    )
    assert said.endswith("; 30 pairs of 10 subjects, none failed; 0.0001 would have been seen four "
                         "times in five).")  # fmt: skip
    said = decide(WORSE, shift).sentence
    assert said.startswith(
        "Supported: From T1w to T2w, the deep methods lose 0.050 Dice more than the iterative "
        "methods, and it matters (difference in differences −0.0"
    )
    assert ", from changes of −0.07" in said
    assert "; 24 pairs of 8 subjects, none failed; 0.00" in said
    assert (
        "network loses 0.050 Dice more than"
        in decide(replace(WORSE, first="network"), shift).sentence
    )
    said = decide(replace(WORSE, second=None, where="in T2w"), shift).sentence
    assert said.startswith(
        "Supported: In T2w, the deep methods lose 0.070 Dice, and it matters (ch"
    )
    three = ("symnet", "clapirn", "voxelmorph")
    wide = pd.concat([pairs_of(-0.05).replace({"network": m}) for m in three])
    wide = wide.drop_duplicates(["method", "fixed", "moving"])
    assert "the 3 deep methods lose" in decide(replace(SAME, first=three), wide).sentence


@pytest.mark.parametrize(
    ("claim", "estimate", "said"),
    [
        (WORSE, 0.005, "0.005 Dice less than the iterative methods; a loss larger by 0.010 is ruled out"),
        (WORSE, -0.001, "0.001 Dice more than the iterative methods; a loss larger by 0.010 is ruled out"),
        (SAME, 0.005, "gain 0.005 Dice against the iterative methods; a loss of 0.010 is ruled out"),
        (replace(WORSE, second=None), 0.005, "methods gain 0.005 Dice; a loss of 0.010 is ruled out"),
        (replace(WORSE, measure="hd95_mm"), 0.005, "lose 0.005 HD95 in mm more than the iterative methods"),
    ],
)  # fmt: skip
def test_where_a_loss_is_ruled_out_the_estimate_is_said_as_it_points(claim, estimate, said):
    interval = Interval(estimate, -0.0014, 0.0106, 0.95, 0.003, 20.0, 30, 18, 0)
    sentence = Verdict(claim, "not supported", "no loss that matters", interval).sentence
    assert said in sentence
    assert "if anything" not in sentence


def test_what_is_set_aside_keeps_its_numbers_and_has_no_word(shift):
    judged = decide(WORSE, shift)
    aside = set_aside(judged, "the voxels were not the same")
    assert (aside.verdict, aside.word, aside.interval) == (NOT_JUDGED, "", judged.interval)
    assert np.isnan(aside.p_value)
    assert aside.sentence.startswith(
        "Not judged: From T1w to T2w, the voxels were not the same (difference in differences −0.0"
    )
    few = decide(SAME, pairs_of(-0.05, n=(4, 12)))
    assert set_aside(few, "the voxels were not the same") is few


@pytest.mark.parametrize("difference", [-0.05, -0.01, -0.004, 0.0, 0.01, 0.05])
@pytest.mark.parametrize("components", [QUIET, LOUD])
def test_sentences_hold_no_nan_and_end_once(difference, components):
    for says in ("equal", "loses", "gains"):
        sentence = decide(replace(SAME, says=says), pairs_of(difference, components)).sentence
        assert "nan" not in sentence
        assert sentence.endswith(".")
        assert not sentence.endswith("..")


def test_claims_that_cannot_be_decided_are_refused(table):
    for wrong in (
        {"says": "better"},
        {"second": None},
        {"reference": "T1w"},
        {"margin": 0},
        {"alpha": 0.7},
    ):
        with pytest.raises(InputError, match="claim 't1w'"):
            replace(SAME, **wrong)
    with pytest.raises(InputError, match="vfa"):
        decide(replace(SAME, first="vfa"), table)
