"""Rulers on made-up structures, of which the answer is known."""

from __future__ import annotations

import pandas as pd
import pytest

from lumirage_lib.experiments.label_protocol.analysis import (
    POOLED,
    RULERS,
    Ruler,
    mean_of_worst,
    measure,
)

BY_NAME = {r.name: r for r in RULERS}


@pytest.fixture
def structures() -> pd.DataFrame:
    """Two pairs, two structures; the large one overlaps well, the small one is lost in pair 2."""
    rows = []
    for pair, small in (("1", 0.5), ("2", 0.0)):
        for label, size, dice in ((0, 1000, 0.99), (1, 90, 0.9), (2, 10, small)):
            group = {0: None, 1: "cortical", 2: "subcortical"}[label]
            hd95 = None if dice == 0 else 10 * (1 - dice)
            rows.append(("m", "a", pair, "manual", "nearest", label, group, size, dice, hd95))
    names = ["method", "fixed", "moving", "label_set", "rule", "label", "group", "n_fixed", "dice"]
    return pd.DataFrame(rows, columns=[*names, "hd95_mm"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("default", (0.7 + 0.45) / 2),
        ("cortical labels", 0.9),
        ("subcortical labels", 0.25),
        ("background averaged in", (2.39 / 3 + 1.89 / 3) / 2),
        ("weighted by volume", (0.86 + 0.81) / 2),
        ("worst 30 % of pairs", 0.45),
        ("HD95, mm", (3.0 + 1.0) / 2),  # the lost structure is left out, and counted elsewhere
        ("HD95 worst 30 %, mm", 3.0),
    ],
)
def test_value_of_each_ruler(structures, name, expected):
    assert measure(structures, BY_NAME[name])["m"] == pytest.approx(expected)


def test_pooled_weighs_structures_not_pairs(structures):
    one_less = structures.drop(index=structures.index[-1])
    assert measure(one_less, POOLED)["m"] == pytest.approx((0.9 + 0.5 + 0.9) / 3)
    assert measure(one_less, BY_NAME["default"])["m"] == pytest.approx((0.7 + 0.9) / 2)


def test_worst_has_the_right_direction():
    values = pd.Series([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert mean_of_worst(values, "high") == 2
    assert mean_of_worst(values, "low") == 9


def test_rulers_have_distinct_names_and_known_columns():
    assert len(BY_NAME) == len(RULERS)
    assert {r.column for r in RULERS} <= {"dice", "hd95_mm", "hd95_voxel"}
    assert all(r.better == ("high" if r.column == "dice" else "low") for r in RULERS)
    assert isinstance(POOLED, Ruler)
