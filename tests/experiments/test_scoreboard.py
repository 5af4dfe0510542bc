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
from lumirage_lib.experiments.summary import analysis as summary
from lumirage_lib.runs import profiles


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
    result = summary.analyse({"01_in_distribution": [verdict]}, "open")
    lines = result.scoreboard.splitlines()
    assert len(lines) == 2 + len(summary.STATEMENTS)
    assert "**not supported**" in lines[2]
    assert "01_in_distribution_open.ipynb" in lines[2]
    untested = [line for line in lines[3:] if "**not tested**" not in line]
    assert ["gigabytes" in line for line in untested] == [True]
    assert verdict.sentence in result.arms_text
    assert "1 not supported" in result.answer
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
    result = summary.analyse({"03_contrasts": [primary, beside]}, "demo")
    assert "1 supported" in result.answer
    assert list(result.arms["primary"]) == [True, False]


def test_what_version_1_said_stands_beside_what_replaced_it(decide):
    text = summary.analyse({"01_in_distribution": [decide(0.0)]}, "open").changes_text
    table = pd.read_csv(profiles.project_root() / "results" / "open" / summary.FIRST_VERDICTS)
    assert len(text.splitlines()) == 2 + table["statement"].nunique()
    for row in table.itertuples():
        assert f"{row.arm} {row.verdict}" in text


def test_every_arm_belongs_to_a_claim():
    judged = {name for statement in summary.STATEMENTS for name in statement.notebooks}
    assert judged <= set(EXPERIMENTS)


def test_no_verdict_at_all_is_refused():
    with pytest.raises(InputError, match="no run has a verdict"):
        summary.analyse({}, "smoke")
