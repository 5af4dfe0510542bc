"""Notebook 05: from a table of registrations to drops, a verdict and sentences."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.experiments.choice import split_methods
from lumirage_lib.experiments.preprocessing.analysis import _gain_text, analyse
from lumirage_lib.experiments.preprocessing.plan import choose_conditions, plan_preprocessing

METHODS = {"greedy": "iterative", "clapirn": "deep", "clapirn+io": "deep"}
LOSSES = {  # what a perturbation takes off the Dice of the method
    "LIA not told": {"greedy": 0.0, "clapirn": 0.06, "clapirn+io": 0.03},
    "noise": {"greedy": 0.02, "clapirn": 0.03, "clapirn+io": 0.01},
}
PARAMETERS = {
    "cohort": "template", "spacing_mm": 5.0, "n_subjects": 6, "n_pairs": 6, "seed": 3,
    "methods": [*METHODS, "vfa-lumir"], "limits": {"clapirn+io": 4}, "conditions": list(LOSSES),
    "margin": 0.01,
}  # fmt: skip


def make_run(drop_rows=()) -> SimpleNamespace:
    rng = np.random.default_rng(1)
    rows = []
    for pair in range(6):
        level = 0.6 + rng.normal(0, 0.02)
        for condition in ("standard", *LOSSES):
            for method, family in METHODS.items():
                if method == "clapirn+io" and pair >= 4:
                    continue
                loss = LOSSES.get(condition, {}).get(method, 0.0)
                rows.append(
                    {
                        "condition": condition,
                        "method": method,
                        "family": family,
                        "fixed": f"{pair}",
                        "moving": f"{(pair + 1) % 6}",
                        "fixed_subject": f"S{pair}",
                        "moving_subject": f"S{(pair + 1) % 6}",
                        "status": "ok",
                        "dice": level - loss + rng.normal(0, 0.0005),
                    }
                )
    table = pd.DataFrame(rows).drop(index=list(drop_rows))
    tasks = plan_preprocessing(PARAMETERS)
    assert len(tasks) == len(rows)
    return SimpleNamespace(registrations=table, tasks=tasks)


@pytest.fixture(scope="module")
def result():
    return analyse(make_run(), PARAMETERS)


def test_drops_are_those_put_in(result):
    for row in result.drops.itertuples():
        assert row.drop == pytest.approx(LOSSES[row.condition][row.method], abs=0.002)
        assert row.low < LOSSES[row.condition][row.method] < row.high
    assert set(result.drops["kind"]) == {"orientation", "quality"}
    worst = result.summary.set_index("method")
    assert worst.loc["clapirn", "worst_condition"] == "LIA not told"
    assert worst.loc["greedy", "worst_condition"] == "noise"
    assert worst.loc["clapirn", "mean"] == pytest.approx(0.045, abs=0.002)
    assert worst.loc["clapirn+io", "n_pairs"] == 4


def test_verdict_is_of_the_networks_as_trained_and_stands_beside_the_others(result):
    verdicts = result.verdicts
    assert {k: v.verdict for k, v in verdicts.items()} == {
        "deep": "supported", "iterative": "loses, size open", "refined": "supported",
        "more": "supported",
    }  # fmt: skip
    assert verdicts["deep"].claim.first == ("clapirn",)
    assert verdicts["refined"].claim.first == ("clapirn+io",)
    # Difference in differences, mean over perturbations: (0.06 + 0.03) / 2 - (0 + 0.02) / 2.
    assert verdicts["more"].estimate == pytest.approx(-0.035, abs=0.002)
    assert verdicts["deep"].sentence in result.answer
    assert "LIA not told" in result.worst_text


def test_what_suits_a_method_better_than_the_standard_is_said(result):
    assert result.gain_text.startswith("No perturbation clearly helps")
    better = result.drops.assign(high=-result.drops["low"], low=-result.drops["high"])
    better["drop"] = -better["drop"]
    said = _gain_text(better)
    assert "conditional LapIRN with LIA not told by 0.060 (" in said
    assert "greedy with noise" in said


def test_what_the_difference_rests_on_is_said_with_what_is_left():
    assert (
        analyse(make_run(), PARAMETERS).carried_text == ""
    )  # two perturbations: nothing would be left
    run = make_run()
    table = run.registrations
    for name, loss in (("gamma", 0.2), ("8 bit", 0.0), ("smoothed", 0.001)):
        rows = table[table["condition"] == "standard"].assign(condition=name)
        rows["dice"] -= loss * (rows["family"] == "deep")
        table = pd.concat([table, rows], ignore_index=True)
    run.registrations = table
    said = analyse(run, PARAMETERS).carried_text
    assert "by 0.200 with gamma and 0.060 with LIA not told" in said
    # noise 0.01, 8 bit 0 and smoothed 0.001 are left
    assert "under the other 3" in said.lower()
    assert "difference in differences −0.0037" in said


def test_method_that_is_not_there_is_said(result):
    assert "vfa-lumir was asked for and left out: if you have the checkpoint" in result.state
    assert "not complete" not in result.state


def test_partial_run_says_so_and_uses_what_it_has():
    # The last pair has only its first condition; a method has nothing but the standard.
    table = make_run().registrations
    late = table[(table["fixed"] == "5") & (table["condition"] != "standard")].index
    only = table[(table["method"] == "clapirn+io") & (table["condition"] != "standard")].index
    result = analyse(make_run({*late, *only}), PARAMETERS)
    assert "not complete" in result.state
    assert "(greedy 16 of 18, conditional LapIRN 16 of 18 and" in result.state
    assert set(result.drops["method"]) == {"greedy", "clapirn"}
    assert set(result.drops["n_pairs"]) == {5}
    assert "refined" not in result.verdicts


def test_empty_run_leaves_the_question_open():
    run = make_run()
    run.registrations = run.registrations.iloc[:0].drop(columns="dice")
    result = analyse(run, PARAMETERS)
    assert "the question stays open" in result.answer
    assert result.drops.empty
    assert "0 of" in result.state


# ---- the plan


def test_every_condition_is_planned_on_one_pair_before_the_next():
    tasks = plan_preprocessing(PARAMETERS)
    first = [t for t in tasks if t.pair == tasks[0].pair]
    assert tasks[: len(first)] == first
    assert [t.method for t in first[:3]] == list(METHODS)
    names = list(dict.fromkeys(t.preprocessing.name for t in first))
    assert names == ["standard", *LOSSES]
    assert len({t.key for t in tasks}) == len(tasks)


def test_names_are_checked_and_none_means_all():
    assert len(choose_conditions([])) > 20
    with pytest.raises(InputError, match="no perturbation upside-down; there are LPS not told"):
        choose_conditions(["upside-down"])
    known, absent = split_methods(["greedy", "vfa-lumir"])
    assert known == ["greedy"]
    assert list(absent) == ["vfa-lumir"]
