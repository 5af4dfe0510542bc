"""A cache that was changed between two calls of one script."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import hashlib
from lumirage_lib.cohorts import get_cohort

cohort = get_cohort("template", spacing_mm=8.0, n_subjects=2)
scan = cohort.scans[0]
for volume in (cohort.load_image(scan), cohort.load_labels(scan, next(iter(cohort.label_sets)))):
    print(hashlib.sha256(volume.data.tobytes()).hexdigest())
"""


def run(cache) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "LUMIRAGE_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def mirror(path) -> None:
    """Every volume in it left for right, the digest as it was."""
    with np.load(path) as arrays:
        changed = {k: v[::-1] if v.ndim >= 3 else v for k, v in arrays.items()}
    np.savez_compressed(path, **changed)


DAMAGE = {"mirrored": mirror, "half": lambda p: os.truncate(p, p.stat().st_size // 2)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A cache that was filled, and what was read of it."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, run(cache)


@pytest.mark.fault(10, process=True, value=True)
@pytest.mark.parametrize("how", DAMAGE)
def test_a_script_reads_what_was_made_and_not_what_the_cache_was_changed_to(whole, how):
    cache, before = whole
    files = sorted(cache.rglob("*.npz"))
    assert files
    for path in files:
        DAMAGE[how](path)
    assert run(cache) == before
