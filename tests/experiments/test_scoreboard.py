"""The scoreboard: verdicts in, words out; nothing but what the verdicts say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from simulated import draw_pairs

from lumirage_lib import stats
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import EXPERIMENTS
from lumirage_lib.experiments.families import name_plainly
from lumirage_lib.experiments.summary import analysis as summary
from lumirage_lib.runs import profiles

NONE = pd.DataFrame(columns=["claim", "word", "measure"])


def analyse(verdicts, profile: str, choices=NONE) -> summary.Result:
    return summary.analyse(summary.Judged(verdicts, choices, pd.DataFrame()), profile)


@pytest.fixture(scope="module")
def decide():
    """A verdict on equal means of two methods over a few pairs."""

    def decide(shift: float, seed: int = 0) -> stats.Verdict:
        rng = np.random.default_rng(seed)
        pairs = draw_pairs(8, 24, rng=rng)
        rows = [
            {
                "method": method,
                "family": family,
                "condition": "standard",
                "fixed": f"f{i}",
                "moving": f"m{i}",
                "fixed_subject": f"s{fixed}",
                "moving_subject": f"s{moving}",
                "status": "ok",
                "dice": 0.6 + add + rng.normal(0, 0.001),
            }
            for i, (fixed, moving) in enumerate(pairs)
            for method, family, add in (("net", "deep", shift), ("syn", "iterative", 0.0))
        ]
        claim = stats.Claim("in-distribution", "equal", "equal", "deep", "iterative")
        return stats.decide(claim, pd.DataFrame(rows))

    return decide


def test_scoreboard_has_every_claim_and_only_computed_numbers(decide):
    verdict = decide(0.05)
    result = analyse({"01_in_distribution": [verdict]}, "open")
    first, *others = result.cards.split('class="lm-card"')[1:]
    assert 1 + len(others) == len(summary.STATEMENTS)
    assert "<b>not supported</b>" in first
    assert 'href="01_in_distribution_open.html"' in first
    assert "24 pairs of 8 subjects" in first
    assert first.count("<svg") == 1
    untested = [card for card in others if "<b>not tested</b>" not in card]
    assert ["gigabytes" in card for card in untested] == [True]
    assert verdict.sentence in result.arms_text
    assert "1 not supported" in result.opening.headline
    assert "better than iterative methods on T1w brains (0.05" in result.sentences[0]
    (row,) = result.arms.to_dict("records")
    assert (row["estimate"], row["low"], row["high"]) == (
        verdict.estimate,
        verdict.low,
        verdict.high,
    )


def test_claim_is_decided_by_its_primary_arms_alone(decide):
    primary, beside = (
        dataclasses.replace(v, claim=dataclasses.replace(v.claim, id=name))
        for v, name in ((decide(0.0), "synthesised: T2w"), (decide(0.05), "openms: T2w"))
    )
    assert summary.choose_judges([beside, primary]) == [primary]
    assert summary.choose_judges([beside]) == [beside]  # a live page has no primary arm
    result = analyse({"03_contrasts": [primary, beside]}, "demo")
    assert result.opening.headline.startswith("1 of the paper's 7 claims is supported: ")
    assert list(result.arms["primary"]) == [True, False]


def test_what_version_1_said_stands_beside_what_replaced_it(decide):
    text = analyse({"01_in_distribution": [decide(0.0)]}, "open").changes_text
    table = pd.read_csv(profiles.project_root() / "results" / "open" / summary.FIRST_VERDICTS)
    assert len(text.splitlines()) == 2 + table["statement"].nunique()
    for row in table.itertuples():
        assert f"{name_plainly(row.arm)} {row.verdict}" in text


def test_every_arm_belongs_to_a_claim():
    judged = {name for statement in summary.STATEMENTS for name in statement.notebooks}
    assert judged <= set(EXPERIMENTS)


def test_no_verdict_at_all_is_refused():
    with pytest.raises(InputError, match="no run has a verdict"):
        analyse({}, "smoke")


def test_what_is_not_finished_has_no_number_and_is_said_once(decide):
    verdict = dataclasses.replace(decide(0.05), verdict=stats.INCOMPLETE)
    claims = {"01_in_distribution": [verdict], "05_preprocessing": [verdict]}
    result = analyse(claims, "open")
    assert "registrations not finished" in result.cards
    assert "0.05" not in result.cards
    said = [sentence for sentence in result.sentences if "No answer yet" in sentence]
    assert said == ["No answer yet on T1w brains and preprocessing: these runs are not finished."]
    assert any("whose weights are not public" in sentence for sentence in result.sentences)


def test_share_of_specifications_leads_from_the_card_to_the_page_of_all_choices(decide):
    verdict = decide(0.05)
    words = ["gains, and it matters"] * 3 + ["undecided"]
    own = {"choice": "families", "declared": True, "usual": True, "labels": "manual"}
    others = pd.DataFrame(
        {"word": words, "choice": "a against b", "labels": ["manual", "tissues"] * 2}
    )
    choices = pd.concat([others, pd.DataFrame([{**own, "word": words[0]}])], ignore_index=True)
    choices = choices.assign(claim=verdict.claim.id, measure="dice")
    choices[["declared", "usual"]] = choices[["declared", "usual"]].fillna(False).astype(bool)
    result = analyse({"01_in_distribution": [verdict]}, "open", choices)
    link = '<a class="lm-card-link" href="11_specifications_open.html">'
    shares = "networks gain in 75 %, open in 25 %"
    assert f"{link}4 other choices of methods and rulers: {shares}</a>" in result.cards
    assert not any("opposite" in sentence for sentence in result.sentences)
    choices["word"] = ["loses, size open", *words[1:], words[0]]
    turned = analyse({"01_in_distribution": [verdict]}, "open", choices).sentences[-1]
    assert turned.startswith(
        "**What it depends on.** The opposite is said by 25 % of 4 other choices"
    )
    assert turned.endswith("on T1w brains (50 % by “manual” labels, 0 % by “tissues” labels).")
    before = analyse({"01_in_distribution": [verdict]}, "open")
    assert link not in before.cards  # the page of choices has nothing on it
