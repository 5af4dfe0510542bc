"""The first sentence of a page follows the verdict, and stays short."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lumirage_lib import stats
from lumirage_lib.cohorts import get_cohort
from lumirage_lib.experiments.comparison import judge
from lumirage_lib.experiments.families import ARMS, Families, name_claim, name_plainly
from lumirage_lib.experiments.opening import (
    MOST_WORDS,
    find_kind,
    say_certainty,
    say_together,
    show_range,
    write_chips,
)
from lumirage_lib.experiments.sentences import list_limits, say_exposure
from lumirage_lib.stats import Claim, Interval, Verdict, find_word

WORDS = {
    "loses": (-0.03, -0.02),
    "gains": (0.02, 0.03),
    "equal": (-0.004, 0.003),
    "no loss": (-0.005, 0.02),
    "undecided": (-0.03, 0.02),
}


def make_verdict(low: float, high: float, *, verdict: str = "", **claim) -> Verdict:
    made = Claim("synthesised: T2w", "text", "loses", "deep", condition="T2w",
                 **{"second": "iterative", "reference": "T1w again", **claim})  # fmt: skip
    interval = Interval((low + high) / 2, low, high, 0.95, 0.002, 9.0, 12, 10, 0)
    word = find_word(low, high, made.margin)
    return Verdict(made, verdict or word, word, interval, detectable=0.011)


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("claim", [{}, {"reference": None}, {"second": None}])
def test_every_word_has_a_short_sentence(kind, claim):
    verdict = make_verdict(*WORDS[kind], **claim)
    assert find_kind(verdict) == kind
    said = say_together({"T2w": verdict}, "on")
    assert "T2w" in said
    assert said[0].isupper()
    assert len(said.split()) <= 25
    assert ("0.025 Dice" in said) == (kind in ("loses", "gains"))


def test_verdicts_of_one_kind_are_said_together():
    lost, more = (make_verdict(*ends) for ends in ((-0.03, -0.02), (-0.05, -0.04)))
    waiting = make_verdict(np.nan, np.nan, verdict=stats.INCOMPLETE)
    said = say_together({"T2w": lost, "T2*w": more, "FLAIR": waiting})
    assert "on T2w and T2*w (0.025 to 0.045 Dice)" in said
    assert said.endswith("registrations on FLAIR are unfinished.")
    assert len(said.split()) <= 30


def test_certainty_counts_pairs_and_says_when_there_is_none():
    assert "12 pairs of 10 subjects" in say_certainty([make_verdict(-0.03, -0.02)])
    waiting = make_verdict(np.nan, np.nan, verdict=stats.INCOMPLETE)
    assert "without all registrations" in say_certainty([waiting])


def test_a_run_without_one_of_the_sides_is_compared_with_nothing_and_waits_for_nothing():
    """A method of one's own beside the alignment alone: all was registered, no network was asked for."""
    rows = pd.DataFrame(
        {"method": ["mine"], "condition": "standard", "status": "ok", "dice": 0.6}
        | {"fixed": ["1"], "moving": ["2"], "fixed_subject": ["1"], "moving_subject": ["2"]}
    )
    alone = Families((), ("mine",))
    verdict = judge("own", rows, alone, "standard", says="equal", text="", where="", margin=0.01)
    said = say_together({"T1w brains": verdict})
    assert said == "Networks and iterative methods were not compared on T1w brains."
    assert say_certainty([verdict]).endswith("a side of the comparison has no method here.")
    assert "not tested" in write_chips([verdict])


def test_chips_say_one_word_or_one_for_each_place():
    yes, no = (make_verdict(-0.03, -0.02, verdict=v) for v in ("supported", "not supported"))
    assert write_chips([yes, yes]).count("<span") == 1
    assert write_chips([yes, no]).count("synthesised T2w") == 2
    assert "lm-no" in write_chips([no])
    assert "no claim" in write_chips([])


def test_three_contrasts_of_three_kinds_are_said_in_one_headline():
    found = {
        "synthesised T2w": make_verdict(-0.03, 0.02),
        "synthesised T2*w": make_verdict(-0.025, -0.001),
        "real FLAIR": make_verdict(-0.005, 0.02),
    }
    said = say_together(found)
    assert said == (
        "No clear answer on synthesised T2w; networks lose more accuracy than iterative methods on "
        "synthesised T2*w (0.013 Dice, size open), not more on real FLAIR."
    )
    assert len(said.split()) <= MOST_WORDS
    found["real FLAIR"] = make_verdict(-0.004, 0.003)
    assert say_together(found).endswith(", both alike on real FLAIR.")


def test_a_direction_is_said_of_somebody():
    assert "<b>networks lose, size open</b>" in write_chips([make_verdict(-0.02, -0.001)])
    one_side = make_verdict(0.001, 0.02, second=None)
    assert "<b>iterative methods gain, size open</b>" in write_chips([one_side])


def test_no_arm_shows_its_internal_name():
    for arm in ARMS.values():
        for condition in (*arm.references, *arm.primary):
            said = name_plainly(name_claim(arm.name, condition))
            assert said
            assert not {"nichart", "openms", "real5", "oasis"} & set(said.split())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.017, 0.009], "0.009 to 0.017"),
        ([-0.019, -0.010, 0.028], "−0.019 to 0.028"),
        ([-0.010, -0.019], "−0.019 to −0.010"),
        ([-0.0001, 0.0004, np.nan], "0.000"),
        ([np.nan], "by an unknown amount of"),
    ],
)
def test_a_range_goes_from_the_least_to_the_greatest(values, said):
    assert show_range(values) == said


def test_limits_are_of_what_is_shown_by_name_and_said_once():
    def task(key, name, *limits):
        cohort = SimpleNamespace(limits=limits)
        return SimpleNamespace(key=key, cohort=name, method="greedy", get_cohort=lambda: cohort)

    tasks = [task("1", "oasis", "A."), task("2", "synthetic", "A.", "B."), task("3", "real5", "C.")]
    shown = SimpleNamespace(tasks=tasks, registrations=pd.DataFrame({"key": ["1", "2"]}))
    assert sorted(list_limits(shown)) == ["*oasis*: A.", "*synthetic*: B."]
    one = SimpleNamespace(tasks=tasks[:1], registrations=pd.DataFrame({"key": []}))
    assert list_limits(one) == ["A."]


def test_who_has_seen_the_images_is_said_of_the_networks_that_are_shown():
    def task(method, cohort):
        return SimpleNamespace(method=method, cohort=cohort, get_cohort=lambda: get_cohort(cohort))

    shown = [task("greedy", "oasis"), task("lkunet", "oasis"), task("clapirn", "oasis")]
    assert say_exposure(shown)[0].startswith("1 of 2 networks on this page has very probably been")
    assert say_exposure([*shown, task("symnet", "oasis")])[0].startswith("2 of 3 networks on this")
    assert not say_exposure(shown[:2])  # trained on another data set
    assert not say_exposure([task("clapirn", "macaque")])
