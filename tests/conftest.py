"""Fixtures shared by all tests, and the one place that decides what is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from kinds import BEFORE, NAMES, count, find_fault, judge

# Where the marker's data is; CI sets LUMIRAGE_REQUIRE_DATA so that a missing folder is a failure.
NEEDS = {"mirror": "LUMIRAGE_MIRROR", "golden": "LUMIRAGE_GOLDEN"}


def pytest_runtest_setup(item):
    for marker, variable in NEEDS.items():
        if item.get_closest_marker(marker) and not os.environ.get(variable):
            message = f"needs {variable} (see README, Testing)"
            if os.environ.get("LUMIRAGE_REQUIRE_DATA"):
                pytest.fail(message)
            pytest.skip(message)


def pytest_collection_modifyitems(items):
    for item in items:
        if fault := find_fault(item):
            item.user_properties.append(("fault", fault))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    if call.excinfo is not None and (fault := find_fault(item)):
        item.user_properties.append(("fault", (*fault[:3], judge(call.excinfo.value))))
    yield


def pytest_terminal_summary(terminalreporter):
    """How many bad inputs of each kind were tried, where, and how they were answered."""
    reports = [r for s in ("passed", "failed") for r in terminalreporter.stats.get(s, [])]
    given = [tuple(v) for r in reports for name, v in r.user_properties if name == "fault"]
    counts = count(given)
    if not all(row["here"] for row in counts.values()):
        return  # a part of the tests alone
    columns = {"here": "in process", "process": "as processes", "error": "one clear error"}
    columns |= {"value": "right value", "traceback": "traceback", "silent": "silent or unclear"}
    terminalreporter.section("bad inputs of each kind, and how they were answered")
    terminalreporter.line(f"{'':30}" + "".join(f"{text:>18}" for text in columns.values()))
    rows = {f"{kind:2} {NAMES[kind]}": row for kind, row in counts.items()}
    rows["all"] = {c: sum(row[c] for row in counts.values()) for c in columns}
    for name, row in rows.items():
        terminalreporter.line(f"{name:30}" + "".join(f"{row[c]:18}" for c in columns))
    terminalreporter.line(BEFORE)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261122)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder with outputs of the official implementations (only in tests marked `golden`)."""
    return Path(os.environ["LUMIRAGE_GOLDEN"])
