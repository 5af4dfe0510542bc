"""Families and arms as declared, and the order in which their registrations are computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import plan_notebook
from lumirage_lib.experiments.families import (
    ALL,
    ARMS,
    CORE,
    N_PRIMARY,
    choose_families,
    find_turn,
    is_primary,
    name_claim,
    name_plainly,
)
from lumirage_lib.methods import get_method

RULES = Path(__file__).parents[2] / "book" / "rules.md"


@pytest.mark.parametrize("method", [*ALL.methods, *CORE.methods])
def test_member_of_a_family_works_at_the_voxels_of_the_arm(method):
    assert get_method(method).find_finest_mm(1.0) == 1.0


def test_rules_in_the_book_name_the_declared_families_and_arms():
    text = RULES.read_text()
    rows = [row for row in text.splitlines() if row.startswith("| ")]
    lines = {row.split("|")[1].strip(): row for row in reversed(rows)}  # the first of a name
    for side in ("deep", "iterative"):
        every, rest = lines[side].split("|")[2:4]
        assert [m.strip(" `") for m in every.split(",")] == list(getattr(ALL, side))
        assert [m.strip(" `") for m in rest.split(",")] == list(getattr(CORE, side))
    assert f"1 − 0.05/{N_PRIMARY}" in text
    for condition, pairs in (("T2w", 12), ("FLAIR", 30), ("tight crop", 12), ("LPS not told", 12)):
        (arm,) = [a for a in ARMS.values() if condition in a.primary]
        assert arm.n_pairs == pairs
        assert int(lines[condition].split("|")[5]) == pairs


def test_declared_families_count_where_a_run_asks_for_them_and_those_asked_for_elsewhere():
    assert choose_families("synthesised", ["affine", "vfa", "vfa+io", *CORE.methods]) == CORE
    live = choose_families("synthesised", ["affine", "greedy", "vfa", "vfa+io"])
    assert (live.deep, live.iterative) == (("vfa",), ("greedy",))


def test_published_run_computes_first_what_its_verdicts_wait_for():
    entries = plan_notebook("03_contrasts", resolve_parameters("03_contrasts", "open"))
    first = [e for e in entries if find_turn(e) == 0]
    assert {e.arm for e in first} == {"nichart at 1 mm"}
    assert {e.condition for e in first} == {"T1w thick", "FLAIR"}
    assert {e.task.method for e in first} == set(CORE.methods)
    assert len(first) == 30 * 2 * 4
    mine = [e for e in entries if (e.condition, e.task.method) == ("T2w", "greedy")]
    turns = {e.arm: find_turn(e) for e in mine}
    assert turns["real5"] < turns["synthesised"] < turns["openms"]


def test_claims_are_named_by_arm_and_condition():
    assert name_claim("oasis", "standard") == "oasis"
    assert is_primary("oasis")
    assert is_primary("synthesised: T2*w")
    assert not is_primary("synthesised: FLAIR")
    assert not is_primary("nichart: FLAIR")


def test_only_synthesised_images_are_called_synthesised():
    """The T1w scans that contrasts are made from are as their cohort has them."""
    assert name_plainly("synthesised: T1w") == "T1w as scanned"
    assert name_plainly("synthesised: T1w again") == "synthesised T1w again"
    assert name_plainly("nichart at 1 mm: T1w") == "real T1w"


def test_an_arm_in_which_more_than_the_contrast_differs_says_so_and_judges_nothing():
    assert "conditional LapIRN worked at 1 mm" in ARMS["nichart"].beside
    assert [arm.name for arm in ARMS.values() if arm.beside] == ["nichart"]
    assert not ARMS["nichart"].primary
