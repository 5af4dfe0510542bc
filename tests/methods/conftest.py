"""What the tests of methods share."""

from __future__ import annotations

import pytest

from lumirage_lib import methods
from lumirage_lib.methods import get_method


@pytest.fixture
def own_folder(monkeypatch, tmp_path):
    """A cache of its own and no method of a user, so that this test alone sees what it adds."""
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(methods, "OWN", {})
    get_method.cache_clear()
    yield
    get_method.cache_clear()
