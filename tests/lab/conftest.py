"""Pairs of slices that the tests of the lab share."""

from __future__ import annotations

import lab_folder
import pytest


@pytest.fixture(scope="session")
def held_out():
    assert lab_folder.LAB.is_dir()
    from slices import make_held_out

    return make_held_out(2)
