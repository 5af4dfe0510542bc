"""Every test has a cache of its own, and no folder set from outside."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    for variable in [v for v in os.environ if v.startswith("LUMIRAGE_DATA_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
