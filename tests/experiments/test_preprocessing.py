"""Notebook 05: from a table of registrations to drops, verdicts and sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from lumirage_lib.errors import InputError
from lumirage_lib.experiments import Run, list_tasks
from lumirage_lib.experiments.choice import split_methods
from lumirage_lib.experiments.comparison import ALL
from lumirage_lib.experiments.families import CORE
from lumirage_lib.experiments.preprocessing.analysis import _explored_text, _gain_text, analyse
from lumirage_lib.experiments.preprocessing.figures import plot_differences, plot_drops, plot_worst
from lumirage_lib.experiments.preprocessing.plan import (
    EXPLORED,
    PRIMARY,
    choose_conditions,
    plan_preprocessing,
)
from lumirage_lib.experiments.sentences import show
from lumirage_lib.images.preprocess import PERTURBATIONS
from lumirage_lib.methods import family_of
from lumirage_lib.runs.profiles import project_root

METHODS = ["greedy", "clapirn", "clapirn+io"]
LOSSES = {  # what a perturbation takes off the Dice of the method
    "LPS not told": {"greedy": 0.0, "clapirn": 0.06, "clapirn+io": 0.03},
    "tight crop": {"greedy": 0.02, "clapirn": 0.02, "clapirn+io": 0.01},
    "noise": {"greedy": 0.02, "clapirn": 0.03, "clapirn+io": 0.01},
    "gamma": {"greedy": 0.03, "clapirn": 0.0, "clapirn+io": 0.0},
    "8 bit": {"greedy": 0.0, "clapirn": 0.0, "clapirn+io": 0.0},
    "smoothed": {"greedy": 0.0, "clapirn": 0.2, "clapirn+io": 0.0},
}
PARAMETERS = {
    "profile": "smoke", "cohort": "template", "spacing_mm": 5.0, "n_subjects": 6, "n_pairs": 6,
    "seed": 3, "methods": [*METHODS, "vfa-lumir"], "limits": {"clapirn+io": 4},
    "conditions": list(LOSSES), "primary": ["tight crop", "LPS not told"],
    "explored_pairs": 5, "explored_methods": [], "margin": 0.01,
}  # fmt: skip


def make_run(leave_out=lambda row: False, parameters=PARAMETERS) -> Run:
    """What the plan asks for, each Dice the level of its pair less the loss, and a little noise."""
    entries = plan_preprocessing(parameters)
    rng = np.random.default_rng(1)
    levels, rows = {}, {}
    for task in list_tasks(entries):
        level = levels.setdefault(task.pair, 0.6 + rng.normal(0, 0.02))
        loss = LOSSES.get(task.preprocessing.name, {}).get(task.method, 0.0)
        rows[task.key] = {
            "key": task.key,
            "kind": "between",
            "cohort": task.cohort,
            "preprocessing": task.preprocessing.name,
            "method": task.method,
            "family": family_of(task.method),
            "fixed": task.pair.fixed.id,
            "moving": task.pair.moving.id,
            "fixed_subject": task.pair.fixed.subject,
            "moving_subject": task.pair.moving.subject,
            "status": "ok",
            "dice": level - loss + rng.normal(0, 0.0005),
        }
    table = pd.DataFrame(
        [
            {**rows[e.task.key], "arm": e.arm, "condition": e.condition, "dose": None}
            for e in entries
        ]
    )
    table = table[~table.apply(leave_out, axis=1)].reset_index(drop=True)
    return Run(table, pd.DataFrame(), {}, {}, entries, Path("none"))


@pytest.fixture(scope="module")
def run():
    return make_run()


@pytest.fixture(scope="module")
def result(run):
    return analyse(run, PARAMETERS)


def test_drops_are_those_put_in(result):
    for row in result.drops.itertuples():
        assert row.drop == pytest.approx(LOSSES[row.condition][row.method], abs=0.002)
        assert row.low < LOSSES[row.condition][row.method] < row.high
    worst = result.summary.set_index("method")
    assert worst.loc["clapirn", "worst_condition"] == "smoothed"
    assert worst.loc["greedy", "worst_condition"] == "gamma"
    assert worst.loc["clapirn", "mean"] == pytest.approx(0.31 / 6, abs=0.002)
    assert worst.loc["clapirn+io", "n_pairs"] == 4


def test_each_primary_condition_has_a_verdict_of_networks_as_trained(run, result):
    assert set(result.verdicts) == {"preprocessing: tight crop", "preprocessing: LPS not told"}
    lps = result.verdicts["preprocessing: LPS not told"]
    crop = result.verdicts["preprocessing: tight crop"]
    assert (lps.verdict, lps.word) == ("supported", "loses, and it matters")
    assert (crop.verdict, crop.word) == ("not supported", "equal within the margin")
    assert (lps.claim.first, lps.claim.second) == (("clapirn",), ("greedy",))
    # The estimate, from the table by hand.
    wide = run.registrations.query("arm == @PRIMARY").pivot_table(
        "dice", ["fixed", "moving"], ["condition", "method"]
    )
    change = lambda m: wide["LPS not told"][m] - wide["standard"][m]  # noqa: E731
    by_hand = (change("clapirn") - change("greedy")).mean()
    assert lps.estimate == pytest.approx(by_hand, abs=1e-12)
    assert lps.n_pairs == 6
    assert lps.sentence in result.verdict_text
    assert "turned images" in result.opening.headline


def test_others_are_explored_with_their_false_discovery_rate(run, result):
    explored = result.explored.set_index("condition")
    assert set(explored.index) == {"noise", "gamma", "8 bit", "smoothed"}
    assert set(explored["n_pairs"]) == {5}
    for condition, row in explored.iterrows():
        loss = LOSSES[condition]
        assert row["change"] == pytest.approx(loss["greedy"] - loss["clapirn"], abs=0.002)
    np.testing.assert_allclose(
        explored["q"], scipy_stats.false_discovery_control(explored["p"]), rtol=1e-9
    )
    assert (
        "networks lose more under 2 (smoothed and noise), less under 1 (gamma)"
        in result.opening.text
    )
    assert "| smoothed" in result.explored_table


def test_mean_over_all_conditions_is_told_without_the_extremes_at_either_end():
    changes = {"a": -0.3, "b": -0.1, "c": 0.04, "d": 0.02, "e": 0.05, "f": 0.17}
    explored = pd.DataFrame({"condition": list(changes), "change": changes.values(), "q": 1.0})
    said = _explored_text(explored, CORE)
    assert "Over all of them networks lose 0.020 more on average" in said
    assert "without a, b, e and f, where they lose most and least, −0.030." in said


@pytest.fixture(scope="module")
def wide():
    """The declared families and VFA on the decided conditions, few methods on the others."""
    parameters = PARAMETERS | {
        "methods": [*CORE.methods, "vfa"], "n_pairs": 12,
        "explored_methods": ["greedy", "clapirn", "vfa", "clapirn+io"], "limits": {"clapirn+io": 2},
    }  # fmt: skip
    return analyse(make_run(parameters=parameters), parameters)


def test_networks_of_a_decided_condition_are_the_declared_family(wide):
    rows = [[c.strip() for c in line.split("|")] for line in wide.networks_table.splitlines()]
    whole = [r for r in rows if ALL in r]
    assert len(whole) == 2
    # The conditions of the table and of the verdicts come in one order.
    for row, verdict in zip(whole, wide.verdicts.values(), strict=True):
        assert row[2].startswith(show(verdict.estimate, sign=True))
    assert any("VFA (ours, 2 mm)" in r for r in rows)


def test_whom_the_explored_conditions_compare_is_said(result, wide):
    said = wide.explorers_text
    for name, words in (
        ("greedy", "iter"),
        ("VFA (ours, 2 mm)", "net"),
        ("conditional LapIRN", "net"),
    ):
        assert any(line.split("|")[1:3][0].strip() == name and words in line.split("|")[2]
                   for line in said.splitlines() if line.startswith("|"))  # fmt: skip
    assert said.endswith("Beside them: conditional LapIRN + IO, 2 ordered pairs of 4 subjects.")
    # Here both arms have the same sides, which are said above.
    assert "conditional LapIRN" in result.sides_text
    assert result.explorers_text.startswith("Beside them")
    assert "Explored with 2 networks and 1 iterative method, of 4 conditions" in wide.opening.text
    assert "Explored with 1 network and 1 iterative method" in result.explored_text


def test_ranges_are_of_methods_that_have_every_condition_and_say_so(wide):
    """FireANTs and LapIRN (disp.) have two conditions, under which they lose nothing here."""
    whole = wide.summary.set_index("method")
    assert whole.loc["lapirn-disp", "n_conditions"] == 2
    for said in (wide.heat_text, wide.worst_text, wide.opening.text):
        assert "of 4 methods run under all 6 conditions" in said
    drops = wide.drops.set_index(["method", "condition"])["drop"]
    grid = f"grid: iterative methods {show(drops['greedy', 'tight crop'])}, networks "
    assert grid in wide.heat_text
    beside = f"beside them conditional LapIRN + IO {show(whole.loc['clapirn+io', 'worst'])}"
    assert beside in wide.opening.text


def test_captions_count_a_condition_once_and_say_who_has_fewer_pairs(wide):
    few = "by conditional LapIRN + IO 2 ordered pairs of 4 subjects"
    assert "for the 2 conditions of the paper; 5 ordered pairs" in wide.design
    assert wide.design.endswith("for the 4 explored conditions.")
    assert wide.design_of_methods == f"{wide.design[:-1]}; {few}."


def test_a_live_page_with_one_of_the_two_conditions_says_so_and_who_stands_for_whom(wide):
    """None of its families is declared, and nothing on it is decided."""
    parameters = PARAMETERS | {"methods": ["greedy", "vfa"], "conditions": ["tight crop", "noise"]}
    result = analyse(make_run(parameters=parameters), parameters)
    assert "for the 1 condition of the paper; 5 ordered pairs" in result.design
    assert result.design.endswith("for the 1 explored condition.")
    assert "VFA (ours, 2 mm)" in result.sides_text
    assert wide.sides_text == ""
    page = (project_root() / "notebooks" / "05_preprocessing.py").read_text()
    assert "decided\n" not in page.split("# %% [markdown]", 2)[2]  # in no heading


def test_what_suits_a_method_better_than_the_standard_is_said(result):
    assert result.gain_text.startswith("No perturbation clearly helps")
    better = result.drops.assign(high=-result.drops["low"], low=-result.drops["high"])
    better["drop"] = -better["drop"]
    said = _gain_text(better)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines()]
    assert any(c[0] == "conditional LapIRN" and c[1].startswith("+0.060 (") for c in lines if c)
    assert any(c[0] == "greedy" and c[2] == "noise" for c in lines if c)


def test_method_that_is_not_there_is_said(result):
    assert "vfa-lumir is left out: if you have the checkpoint" in result.state
    assert "not complete" not in result.state


def test_partial_run_has_no_verdict_and_says_what_it_lacks(run):
    first = run.registrations.iloc[0]
    gone = lambda row: (  # noqa: E731
        row["method"] == "clapirn"
        and row["condition"] == "LPS not told"
        and row["fixed"] == first["fixed"]
    )
    result = analyse(make_run(gone), PARAMETERS)
    assert "not complete" in result.state
    assert result.verdicts["preprocessing: LPS not told"].verdict == "incomplete"
    assert result.verdicts["preprocessing: tight crop"].verdict == "not supported"


def test_empty_run_leaves_the_question_open():
    run = make_run(lambda row: True)
    result = analyse(run, PARAMETERS)
    assert "not finished" in result.opening.text or "stays open" in result.opening.text
    assert result.drops.empty
    assert result.explored.empty
    assert "not complete" in result.state


def test_figures_are_drawn(result):
    plot_drops(result.drops)
    plot_worst(result.summary)
    figure = plot_differences(result.verdicts.values(), result.explored, 0.05)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels[-2:] == ["LPS not told", "tight crop"] or labels[-2:] == [
        "tight crop",
        "LPS not told",
    ]


# ---- the plan


def test_primary_arm_comes_first_and_every_condition_is_seen_on_one_pair_before_the_next():
    entries = plan_preprocessing(PARAMETERS)
    arms = [e.arm for e in entries]
    assert list(dict.fromkeys(arms)) == [PRIMARY, EXPLORED]
    assert arms == sorted(arms, key=[PRIMARY, EXPLORED].index)
    for arm, n_pairs, names in (
        (PRIMARY, 6, ["standard", "LPS not told", "tight crop"]),
        (EXPLORED, 5, ["standard", *choose_conditions(LOSSES)]),
    ):
        mine = [e for e in entries if e.arm == arm]
        assert len({e.task.pair for e in mine}) == n_pairs
        first = [e for e in mine if e.task.pair == mine[0].task.pair]
        assert mine[: len(first)] == first
        assert list(dict.fromkeys(e.condition for e in first)) == names
        assert [e.task.method for e in first[:3]] == METHODS
    # What both arms need is registered once.
    assert len(list_tasks(entries)) < len(entries)


def test_names_are_checked_and_none_means_all():
    assert len(choose_conditions([])) > 20
    with pytest.raises(InputError, match="no perturbation upside-down; there are LPS not told"):
        choose_conditions(["upside-down"])
    known, absent = split_methods(["greedy", "vfa-lumir"])
    assert known == ["greedy"]
    assert list(absent) == ["vfa-lumir"]


def test_means_under_the_standard_are_of_pairs_that_every_method_has(run, result):
    rows = run.registrations.drop_duplicates("key")
    standard = rows[rows["condition"] == "standard"]
    refined = standard[standard["method"] == "clapirn+io"]
    shared = set(zip(refined["fixed"], refined["moving"], strict=True))
    assert 0 < len(shared) < PARAMETERS["n_pairs"]
    mine = standard[standard["method"] == "greedy"].set_index(["fixed", "moving"])["dice"]
    lines = [line for line in result.summary_table.splitlines() if "greedy" in line]
    assert f"({len(shared)} pairs that all have)" in result.summary_table
    assert f"{mine.loc[list(shared)].mean():.3f}".lstrip("0") in lines[0]


def test_every_condition_is_told_in_words(result):
    for name in LOSSES:
        assert f"| {name} " in result.conditions_table
    assert all(p.about for p in PERTURBATIONS.values())
