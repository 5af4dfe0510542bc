"""Every check knows a right answer and says of wrong ones what they mean."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from lab_folder import LAB  # isort: split

import checks
from labkit import check
from slices import SHAPE

from lumirage_lib.runs.profiles import project_root
from lumirage_lib.stats import find_word


def field(first=0.0, second=0.0):
    out = torch.zeros(1, 2, *SHAPE)
    out[:, 0], out[:, 1] = first, second
    return out


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def dice_without_lost(a, b):
    return dice(a, b) if b.any() else float("nan")


def patch(rows, columns):
    """A field that pulls by five voxels in a part of the image only."""
    out = field()
    out[:, 0, rows, columns] = -5
    return out


def stray(columns):
    """A field that is right but for some columns."""
    out = field(-5)
    out[..., columns] = 40
    return out


SHARES = pd.DataFrame(
    {
        "network": [1, 0.9, 0.2, 0.3, 0.7, 0.3, 0.1],
        "greedy": [1, 0.9, 1.0, 0.4, 0.1, 0.9, 1.0],
    },
    index=["T1w", "shifted", "dimmed", "folded", "odd", "inverted", "header x 0.4"],
)
CULPRITS = {
    "inverted": "network",
    "dimmed": "network",
    "header x 0.4": "network",
    "shifted": "nobody",
}
GAIN = {"start": 0.42, "network": 0.52, "training": 0.54}
COST = {"plain": 0.53, "trained_on": 0.55, "repaired": 0.51}
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
    ("culprits", CULPRITS, {"shares": SHARES}),
    ("culprits", CULPRITS | {"folded": "both", "odd": "greedy"}, {"shares": SHARES}),
    ("control", "blurred", {}),
    ("z-score", "preprocessing error", {}),
    ("repairs", REPAIRS, {}),
    ("repairs", REPAIRS | {"inverted": "MIND"}, {}),
    ("cost", 0.04, COST),
    ("difference", -0.06, {}),
    ("n", 6, {}),
    ("effect size", "the difference in Dice", {}),
    ("equal", "undecided", {}),
    ("plan", PLAN, {}),
    ("plan", PLAN | {"claim": "With a tight crop, VFA loses more mean Dice than greedy does."}, {}),
    ("plan", PLAN | {"n": "30 pairs (6 subjects)", "written_before": "2026-11-01 10:00"}, {}),
]

# name, answer, what is known, words that the explanation has
WRONG = [
    ("pull", field(5), {}, "push"),
    ("pull", field(0, -5), {}, "second axis"),
    ("pull", field(-10), {}, "not in mm"),
    ("pull", field(-500), {}, "much too long"),
    ("pull", field(-1), {}, "not by +5"),
    ("pull", np.zeros(SHAPE), {}, "two components"),
    (
        "pull",
        patch(slice(30, 62), slice(38, 62)),
        {},
        f"wrong at {96 * 112 - 32 * 24} of {96 * 112}",
    ),
    ("pull", stray(slice(60, None)), {}, "not the same everywhere"),
    ("pull", stray(slice(60, None)) * float("nan"), {}, "not the same everywhere"),
    ("start", "greedy", {}, "control"),
    ("dice", lambda a, b: (a & b).sum() / (a | b).sum(), {}, "union"),
    ("dice", lambda a, b: (a & b).sum() / a.sum(), {}, "sensitivity"),
    ("dice", lambda a, b: (a & b).sum() / b.sum(), {}, "precision"),
    ("dice", lambda a, b: (a & b).sum() / (a.sum() + b.sum()), {}, "half of Dice"),
    ("dice", lambda a, b: (a == b).mean(), {}, "background"),
    ("dice", lambda a, b: (a & b).sum(), {}, "not yet divided"),
    ("dice", dice_without_lost, {}, "lost structure"),
    ("dice", lambda a, b: 0.77, {}, "2*8/40"),
    ("dice", lambda a, b: (a & b).sum() / 20, {}, "45 and 56 voxels with 35 in common"),
    ("dice", lambda a, b: 0.4 if b.any() else 0, {}, "45 and 56 voxels"),
    ("dice", lambda a, b: max(dice(a, b), 0.1) if b.any() else 0, {}, "0 in common"),
    ("dice", lambda a, b: float("nan") if b.any() else 0, {}, "2*8/40"),
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
    (
        "culprits",
        {"shifted": "nobody"},
        {"shares": SHARES},
        "open: inverted, dimmed, header x 0.4.",
    ),
    ("control", "T1w", {}, "two things changed"),
    ("z-score", "domain shift", {}, "one line mends"),
    ("repairs", REPAIRS | {"header x 0.4": "remapped inputs"}, {}, "No curve changes a size"),
    ("repairs", REPAIRS | {"folded": "instance optimisation"}, {}, "hides the break"),
    ("repairs", REPAIRS | {"folded": "MIND"}, {}, "differences to neighbours change"),
    ("repairs", {"folded": "remapped inputs"}, {}, "Still open"),
    ("cost", -0.04, COST, "sign"),
    ("cost", 0.02, COST, "half of the steps"),
    ("cost", 0.3, COST, "trained on minus remapped inputs"),
    ("difference", 0.06, {}, "sign is turned"),
    ("difference", -0.08, {}, "Greedy lost"),
    ("difference", -0.12, {}, "differed on T1w already"),
    ("difference", -0.10, {}, "added"),
    ("difference", 1, {}, "with the sign kept"),
    ("n", 30, {}, "not thirty independent"),
    ("n", 7, {}, "none of the options"),
    ("effect size", "d_z", {}, "more alike"),
    ("effect size", "d_av", {}, "subjects of that study"),
    ("effect size", ["d_av"], {}, "none of the options"),
    ("equal", "not different, so equal", {}, "not evidence of none"),
    ("plan", PLAN | {"n": ""}, {}, "Still open: n"),
    ("plan", PLAN | {"rule": "as usual"}, {}, "a margin, which has a number"),
    ("plan", PLAN | {"rule": "see slide 3"}, {}, "a margin"),
    ("plan", PLAN | {"rule": "I decide at 5"}, {}, "a margin"),
    ("plan", PLAN | {"claim": "greedy is better"}, {}, "which measure"),
    ("plan", PLAN | {"claim": "VFA is better."}, {}, "which measure"),
    ("plan", PLAN | {"claim": "VFA wins."}, {}, "compared with"),
    ("plan", PLAN | {"claim": "VFA wins in overlap"}, {}, "compared with"),
    ("plan", PLAN | {"n": "many"}, {}, "two numbers"),
    ("plan", PLAN | {"n": "x"}, {}, "two numbers"),
    ("plan", PLAN | {"n": 6}, {}, "two numbers"),
    ("plan", PLAN | {"n": "0 pairs of 0 subjects"}, {}, "two numbers"),
    ("plan", PLAN | {"written_before": "tomorrow"}, {}, "2026-11-01 10:00"),
    ("plan", PLAN | {"written_before": "after the run"}, {}, "before the run"),
    ("plan", PLAN | {"written_before": "2999-01-01"}, {}, "not in the future"),
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


KNOWN = {
    "torch": torch,
    "SHAPE": SHAPE,
    "means": {"network": {"dice": 0.52}, "nothing moved": {"dice": 0.42}},
    "dice": pd.DataFrame({"plain": 0.53, "trained on": 0.55, "remapped inputs": 0.51}, ["T1w"]),
}


def test_every_answer_of_the_key_is_right():
    key = (project_root() / "book" / "lab" / "answers.md").read_text()
    known = {"gain": GAIN, "cost": COST}
    tried = set()
    for name, code in re.findall(r"^- `([^`]+)`: `([^`]+)`", key, re.M):
        *before, last = code.split("; ")
        names = dict(KNOWN)
        exec("\n".join([*before, last if before else f"field = {last}"]), names)
        assert check(name, names["field"], **known.get(name, {})).right is True, name
        tried.add(name)
    assert tried == set(checks.CHECKS) - {"culprits", "repairs", "plan"}  # told in words


def test_no_options_are_named_that_a_check_does_not_explain():
    judge = (LAB / "6_judge.py").read_text()
    for name in ("the difference in Dice", "d_av", "d_z", "p"):
        assert f'`"{name}"`' in judge
        assert "none of the options" not in check("effect size", name).why


def test_undoing_one_half_of_a_z_score_is_not_said_to_mend_it():
    for answer in ("preprocessing error", "domain shift"):
        assert "z * spread + mean" in check("z-score", answer).why
    assert "z * spread + mean" in (project_root() / "book" / "lab" / "index.md").read_text()


def test_too_few_subjects_are_no_exercise_in_words():
    judge = (LAB / "6_judge.py").read_text()
    assert "# Eight subjects, network minus greedy" in judge  # the rules give under five no word
    low, high, margin = -0.018, 0.006, 0.01
    assert f"[{low}, {high}], margin {margin}" in judge
    assert find_word(low, high, margin) == "undecided"


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
