"""Enough bad inputs of every kind are tried: ten in process, one as a process, sixty of these in all."""

from __future__ import annotations

from pathlib import Path

import pytest
from kinds import NAMES, count, find_fault

HERE = Path(__file__).parent


def test_every_kind_has_its_inputs(request):
    items = [item for item in request.session.items if item.path.parent == HERE]
    there = {item.path.name for item in items}
    files = {path.name for path in HERE.glob("test_*.py") if not path.stem.endswith("_slow")}
    if not files <= there:
        pytest.skip("a part of tests/faults alone")
    counts = count([fault for item in items if (fault := find_fault(item))])
    assert {kind: row["here"] for kind, row in counts.items() if row["here"] < 10} == {}
    assert {kind for kind in NAMES if not counts[kind]["process"]} == set()
    assert sum(row["process"] for row in counts.values()) >= 60
