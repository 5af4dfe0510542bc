"""Fixtures shared by all tests, and the one place that decides what is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

# Where the marker's data is; CI sets LUMIRAGE_REQUIRE_DATA so that a missing folder is a failure.
NEEDS = {"mirror": "LUMIRAGE_MIRROR", "golden": "LUMIRAGE_GOLDEN"}


def pytest_runtest_setup(item):
    for marker, variable in NEEDS.items():
        if item.get_closest_marker(marker) and not os.environ.get(variable):
            message = f"needs {variable} (see README, Testing)"
            if os.environ.get("LUMIRAGE_REQUIRE_DATA"):
                pytest.fail(message)
            pytest.skip(message)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261122)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder with outputs of the official implementations (only in tests marked `golden`)."""
    return Path(os.environ["LUMIRAGE_GOLDEN"])
