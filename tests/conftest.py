"""Fixtures shared by all tests, and the one place that decides what is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from kinds import NAMES, find_kind, is_process

# Where the marker's data is; CI sets LUMIRAGE_REQUIRE_DATA so that a missing folder is a failure.
NEEDS = {"mirror": "LUMIRAGE_MIRROR", "golden": "LUMIRAGE_GOLDEN"}


def pytest_runtest_setup(item):
    for marker, variable in NEEDS.items():
        if item.get_closest_marker(marker) and not os.environ.get(variable):
            message = f"needs {variable} (see README, Testing)"
            if os.environ.get("LUMIRAGE_REQUIRE_DATA"):
                pytest.fail(message)
            pytest.skip(message)


def pytest_terminal_summary(terminalreporter):
    """How many inputs of each kind of fault were tried, and how many were not answered as they should."""
    counts = {kind: [0, 0, 0] for kind in NAMES}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            kind = find_kind(report.nodeid)
            if kind is not None and report.when == "call":
                counts[kind][is_process(report.nodeid)] += 1
                counts[kind][2] += outcome == "failed"
    if not all(sum(row) for row in counts.values()):
        return  # a part of the tests alone
    terminalreporter.section("faults tried: in process, as processes, not answered")
    for kind, row in counts.items():
        terminalreporter.line(f"{kind:3} {NAMES[kind]:26} {row[0]:5} {row[1]:5} {row[2]:5}")
    total = [sum(column) for column in zip(*counts.values(), strict=True)]
    terminalreporter.line(f"{'':3} {'all':26} {total[0]:5} {total[1]:5} {total[2]:5}")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261122)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder with outputs of the official implementations (only in tests marked `golden`)."""
    return Path(os.environ["LUMIRAGE_GOLDEN"])
