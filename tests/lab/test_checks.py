"""Every check knows a right answer and says of wrong ones what they mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from lab_folder import LAB  # isort: split

import checks
from labkit import check
from slices import SHAPE


def field(first=0.0, second=0.0):
    out = torch.zeros(1, 2, *SHAPE)
    out[:, 0], out[:, 1] = first, second
    return out


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def dice_without_lost(a, b):
    return dice(a, b) if b.any() else float("nan")


SHARES = pd.DataFrame(
    {"network": [1, 0.9, 0.2, 0.3, 0.7], "greedy": [1, 0.9, 1.0, 0.4, 0.1]},
    index=["T1w", "shifted", "dimmed", "folded", "odd"],
)
GAIN = {"start": 0.42, "network": 0.52, "training": 0.54}
COST = {"plain": 0.53, "repaired": 0.51}
PLAN = {
    "claim": "greedy exceeds affine by more than 0.05 in mean Dice",
    "rule": "lower end of the 95 % interval above 0.05",
    "n": "6 pairs of 3 subjects",
    "written_before": "2026-11-01",
}
REPAIRS = {
    "inverted": "remapped inputs",
    "folded": "remapped inputs",
    "header x 0.4": "scale augmentation",
}

RIGHT = [
    ("pull", field(-5), {}),
    ("start", "no displacement", {}),
    ("dice", dice, {}),
    ("nonsense", {"folding", "true error"}, {}),
    ("ruler", "before the run", {}),
    ("gain", 0.10, GAIN),
    ("split", "by subject", {}),
    (
        "culprits",
        {"shifted": "nobody", "dimmed": "network", "folded": "both", "odd": "greedy"},
        {"shares": SHARES},
    ),
    ("control", "blurred", {}),
    ("z-score", "preprocessing error", {}),
    ("repairs", REPAIRS, {}),
    ("cost", 0.02, COST),
    ("difference", -0.06, {}),
    ("n", 6, {}),
    ("effect size", "d_av", {}),
    ("equal", "undecided", {}),
    ("plan", PLAN, {}),
]

# name, answer, what is known, words that the explanation has
WRONG = [
    ("pull", field(5), {}, "push"),
    ("pull", field(0, -5), {}, "second axis"),
    ("pull", field(-10), {}, "not in mm"),
    ("pull", field(-500), {}, "much too long"),
    ("pull", field(-1), {}, "not by +5"),
    ("pull", np.zeros(SHAPE), {}, "two components"),
    ("start", "greedy", {}, "control"),
    ("dice", lambda a, b: (a & b).sum() / (a | b).sum(), {}, "union"),
    ("dice", lambda a, b: (a & b).sum() / a.sum(), {}, "sensitivity"),
    ("dice", lambda a, b: (a & b).sum() / b.sum(), {}, "precision"),
    ("dice", lambda a, b: (a & b).sum() / (a.sum() + b.sum()), {}, "half of Dice"),
    ("dice", lambda a, b: (a == b).mean(), {}, "background"),
    ("dice", lambda a, b: (a & b).sum(), {}, "not yet divided"),
    ("dice", dice_without_lost, {}, "lost structure"),
    ("dice", lambda a, b: 0.77, {}, "2*8/40"),
    ("dice", lambda a, b: None, {}, "expected one number"),
    ("dice", 0.4, {}, "function itself"),
    ("nonsense", {"Dice"}, {}, "made from the labels"),
    ("nonsense", {"folding"}, {}, "half of it"),
    ("nonsense", "true error", {}, "half of it"),
    ("nonsense", {"colour"}, {}, "is none"),
    ("ruler", "after the run", {}, "favourite"),
    ("gain", 0.52, GAIN, "subtract the start"),
    ("gain", -0.10, GAIN, "sign"),
    ("gain", 0.12, GAIN, "training subjects"),
    ("gain", 0.3, GAIN, "both on held_out"),
    ("gain", "much", GAIN, "no number"),
    ("split", "by pair", {}, "share a subject"),
    ("culprits", {"dimmed": "both"}, {"shares": SHARES}, "network keeps 20% and greedy keeps 100%"),
    ("culprits", {"nothing": "both"}, {"shares": SHARES}, "no row"),
    ("culprits", {"dimmed": "me"}, {"shares": SHARES}, "expected"),
    ("control", "T1w", {}, "two things changed"),
    ("z-score", "domain shift", {}, "one line mends"),
    ("repairs", REPAIRS | {"header x 0.4": "remapped inputs"}, {}, "No curve changes a size"),
    ("repairs", REPAIRS | {"folded": "instance optimisation"}, {}, "hides the break"),
    ("repairs", {"folded": "remapped inputs"}, {}, "Still open"),
    ("cost", -0.02, COST, "sign"),
    ("cost", 0.3, COST, "row T1w"),
    ("difference", 0.06, {}, "sign is turned"),
    ("difference", -0.08, {}, "Greedy lost"),
    ("difference", -0.12, {}, "differed on T1w already"),
    ("difference", -0.10, {}, "added"),
    ("difference", 1, {}, "with the sign kept"),
    ("n", 30, {}, "not thirty independent"),
    ("n", 7, {}, "none of the options"),
    ("effect size", "d_z", {}, "more alike"),
    ("equal", "not different, so equal", {}, "not evidence of none"),
    ("plan", PLAN | {"n": ""}, {}, "Still open: n"),
    ("plan", PLAN | {"rule": "as usual"}, {}, "no number"),
    ("plan", PLAN | {"claim": "greedy is better"}, {}, "which measure"),
]


@pytest.mark.parametrize(("name", "answer", "known"), RIGHT, ids=[r[0] for r in RIGHT])
def test_a_right_answer_is_right_and_says_why(name, answer, known):
    verdict = check(name, answer, **known)
    assert verdict.right is True, verdict
    assert len(verdict.why) > 40


@pytest.mark.parametrize(("name", "answer", "known", "words"), WRONG, ids=lambda v: str(v)[:20])
def test_a_wrong_answer_is_told_what_it_means(name, answer, known, words):
    verdict = check(name, answer, **known)
    assert verdict.right is False, verdict
    assert words in verdict.why


def test_every_check_is_tried_with_a_right_and_a_wrong_answer():
    assert {r[0] for r in RIGHT} == set(checks.CHECKS)
    assert {w[0] for w in WRONG} == set(checks.CHECKS)


def test_every_check_is_asked_in_a_lesson_and_no_other():
    text = "".join(p.read_text() for p in LAB.glob("[0-9]_*.py"))
    asked = {name for name in checks.CHECKS if f'labkit.check("{name}", my_' in text}
    assert asked == set(checks.CHECKS)


@pytest.mark.parametrize("answer", [None, {}])
def test_no_answer_is_no_wrong_answer(answer):
    verdict = check("repairs", answer)
    assert verdict.right is None
    assert "No answer yet" in verdict._repr_html_()


def test_an_explanation_is_shown_as_text():
    assert "<b>" not in check("start", "<b>")._repr_html_()


QUIZZES = yaml.safe_load((LAB / "quizzes.yml").read_text())


@pytest.mark.parametrize("lesson", QUIZZES)
def test_a_question_has_one_right_option_and_explains_all(lesson):
    assert len(QUIZZES[lesson]) >= 2
    for question in QUIZZES[lesson]:
        assert sum(bool(o.get("right")) for o in question["options"]) == 1
        assert all(len(o["why"]) > 20 for o in question["options"])


def test_every_lesson_has_its_quiz():
    text = "".join(p.read_text() for p in LAB.glob("[1-7]_*.py"))
    assert all(f'labkit.quiz("{lesson}")' in text for lesson in QUIZZES)
    assert len(QUIZZES) == 7  # the last goes over all of them
