"""What the tests of methods share."""

from __future__ import annotations

import pytest

from lumirage_lib.methods import get_method


@pytest.fixture
def own_folder(monkeypatch, tmp_path):
    """A cache of its own, so that weights that are added are seen by this test alone."""
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    get_method.cache_clear()
    yield
    get_method.cache_clear()
