"""Every choice of methods, labels, rulers and references, against numbers computed here in another way."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from simulated import draw_pairs

from lumirage_lib import stats
from lumirage_lib.book.pages import LEAST_PX, find_least_text_px
from lumirage_lib.experiments.charts import plot_curve
from lumirage_lib.experiments.families import ARMS, name_claim
from lumirage_lib.experiments.specifications import (
    measure_factors,
    say_specifications,
    specify_arms,
    take_dice,
)
from lumirage_lib.experiments.summary import choices as page
from lumirage_lib.experiments.summary.analysis import Judged

ARM = ARMS["synthesised"]
CLAIM = name_claim(ARM.name, "T2w")
SHIFTS = {
    "lapirn-disp": -0.03,
    "clapirn": -0.05,
    "greedy": -0.01,
    "fireants-greedy": -0.01,
    "vfa": 0.0,
}


@pytest.fixture(scope="module")
def run():
    """Networks lose on T2w; by the labels called tissues they lose 0.02 less; hd95_mm says the opposite."""
    rng = np.random.default_rng(0)
    rows, structures = [], []
    for i, (fixed, moving) in enumerate(draw_pairs(8, 12, rng=rng)):
        for condition in ("T2w", "T1w again", "T1w"):
            for method, shift in SHIFTS.items():
                key = f"{i}{condition}{method}"
                loss = shift * (condition == "T2w") - 0.01 * (condition == "T1w")
                dice = 0.7 + loss + rng.normal(0, 1e-4)
                family = "deep" if method in (*ARM.families.deep, "vfa") else "iterative"
                rows.append(
                    {"key": key, "arm": ARM.name, "condition": condition, "method": method,
                     "family": family, "fixed": f"f{i}", "moving": f"m{i}", "status": "ok", "dice": dice,
                     "fixed_subject": f"s{fixed}", "moving_subject": f"s{moving}", "kind": "between"}
                )  # fmt: skip
                gain = 0.02 * (condition == "T2w" and family == "deep")
                for labels, add in (("manual", 0.0), ("tissues", gain)):
                    structures += [
                        {"key": key, "label_set": labels, "rule": rule, "label": label, "n_fixed": n,
                         "dice": dice + add + at, "hd95_mm": 2 + loss}
                        for rule in ("nearest", "soft") for label, n, at in ((1, 10.0, 0.1), (2, 30.0, -0.1))
                    ]  # fmt: skip
    cohort = SimpleNamespace(label_sets={"manual": None, "tissues": None})
    return SimpleNamespace(
        registrations=pd.DataFrame(rows), structures=pd.DataFrame(structures),
        tasks=[SimpleNamespace(get_cohort=lambda: cohort)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def verdict(run) -> stats.Verdict:
    claim = stats.Claim(
        CLAIM, "", "loses", ARM.families.deep, ARM.families.iterative,
        condition="T2w", reference="T1w again",
    )  # fmt: skip
    return stats.decide(claim, run.registrations)


@pytest.fixture(scope="module")
def choices(run, verdict) -> pd.DataFrame:
    return specify_arms(run, [verdict], {ARM.name: (run.registrations, ARM.families)})


def test_every_choice_stands_once(choices):
    dice = take_dice(choices)
    declared = 1 + 4 + 4  # families, without one, single against single
    beside = (1 + 5 + 6) - (1 + 4)  # with VFA, less what the declared ones have already
    keys = ["first", "second", "labels", "ruler", "reference"]
    assert not dice[keys].duplicated().any()
    assert len(dice) == declared * 2 * 3 * 2 + beside * 2
    assert set(dice["reference"]) == {"T1w again", "T1w"}
    assert set(choices["ruler"]) == {"nearest", "soft", "weighted by volume", "HD95"}
    assert (choices.loc[choices["measure"] != "dice", "word"] == "").all()


def test_numbers_of_a_choice(run, choices):
    one = choices.query(
        "labels == 'tissues' and ruler == 'weighted by volume' and reference == 'T1w'"
    )
    (row,) = one[one["choice"] == "clapirn against greedy"].to_dict("records")
    scored = run.structures.query("label_set == 'tissues' and rule == 'nearest'")
    mean = scored.groupby("key").apply(lambda r: np.average(r["dice"], weights=r["n_fixed"]))
    wide = run.registrations.assign(d=run.registrations["key"].map(mean)).pivot_table(
        "d", ["fixed", "moving"], ["method", "condition"]
    )
    change = wide["clapirn"]["T2w"] - wide["clapirn"]["T1w"]
    change -= wide["greedy"]["T2w"] - wide["greedy"]["T1w"]
    assert row["estimate"] == pytest.approx(change.mean())
    assert row["low"] < row["estimate"] < row["high"] < 0


def test_the_declared_families_are_whole_whatever_another_condition_still_lacks(
    run, verdict, choices
):
    usual = choices[choices["declared"] & choices["usual"] & (choices["choice"] == "families")]
    assert usual["estimate"].tolist() == [pytest.approx(verdict.estimate)]
    rows = run.registrations
    begun = rows[(rows["condition"] == "T2w") & (rows["method"] != "fireants-greedy")]
    begun = begun.assign(condition="FLAIR", key="F" + begun["key"])
    arms = {ARM.name: (pd.concat([rows, begun], ignore_index=True), ARM.families)}
    pd.testing.assert_frame_equal(specify_arms(run, [verdict], arms), choices)


def test_what_moves_the_answer_most(choices):
    moved = measure_factors(choices)
    assert moved["the network"] == pytest.approx(0.05, abs=0.001)  # VFA beside them
    assert moved["the iterative method"] < 0.001
    assert moved["the labels"] == pytest.approx(0.02, abs=0.001)
    assert abs(moved["the reference"]) < 0.001  # all methods lose alike from T1w to T1w again
    assert "Over" in say_specifications(choices)


def test_page_says_what_is_finished_and_what_is_not(run, choices):
    claim = stats.Claim(
        CLAIM, "", "loses", ("clapirn",), ("greedy",), condition="T2w", reference="T1w"
    )
    verdict = stats.decide(claim, run.registrations)
    declared = choices[choices["declared"] & (choices["labels"] == "manual")]
    result = page.analyse(Judged({"03_contrasts": [verdict]}, declared, pd.DataFrame()))
    assert result.opening.headline.startswith(
        "In 1 of 1 primary comparison (synthesised T2w), every choice points the same way"
    )
    assert list(result.designs) == [CLAIM]
    assert "HD95" in result.texts[CLAIM]
    assert result.texts["oasis"] == "This run has no such comparison."
    nothing = page.analyse(Judged({}, choices, pd.DataFrame()))
    assert "none of the 7 primary comparisons is finished" in nothing.opening.headline
    assert nothing.overview.empty


def test_curve_marks_every_choice(choices):
    dice = take_dice(choices)
    figure = plot_curve(dice)
    curve, *marks = figure.axes
    assert sum(len(c.get_offsets()) for c in curve.collections if hasattr(c, "get_offsets")) >= len(
        dice
    )
    assert [axes.get_title(loc="left") for axes in marks] == [
        "networks", "iterative", "labels", "rulers", "references",
    ]  # fmt: skip
    for axes in marks[2:]:  # of labels, rulers and references each choice has one
        assert sum(len(c.get_offsets()) for c in axes.collections) == len(dice)
    assert find_least_text_px(figure) >= LEAST_PX
