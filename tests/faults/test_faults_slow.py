"""What takes minutes: fifty kills of a run, and four writers of one store. `make faults` runs these."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import fakes
import numpy as np
import pytest

from lumirage_lib.runs.store import read_registrations, read_structures

pytestmark = pytest.mark.faults_slow
TESTS = Path(__file__).parents[1]
RUN = """
import sys
import fakes
from lumirage_lib.cohorts import balanced_pairs, get_cohort
from lumirage_lib.runs.compute import compute
from lumirage_lib.runs.task import plan

seconds, store = float(sys.argv[1]), sys.argv[2]
pairs = balanced_pairs(get_cohort("tiny").scans, 6)
tasks = [
    task
    for k in range(40)
    for task in plan("tiny", pairs, {"fakes:SHIFT": {"shift": [0.1 * k, 0.0, 0.0], "seconds": seconds}},
                     preprocessing=[fakes.QUICK])
]
counts = compute(tasks, store, jobs=2, keep_fields=False)
print(len(tasks), counts["reused"] + counts["new"])
"""


def start(store: Path, seconds: float, cache: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(seconds), str(store)],
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "LUMIRAGE_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def assert_whole(store: Path) -> int:
    """Every row has all its structures, the file is sound; how many rows there are."""
    if not store.exists():
        return 0
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    rows, structures = read_registrations(store), read_structures(store)
    assert set(rows["status"]) <= {"ok"}
    assert structures.groupby("key").size().nunique() <= 1
    assert set(structures["key"]) == set(rows["key"])
    return len(rows)


@pytest.mark.timeout(3600)
def test_fifty_kills_lose_nothing_that_was_stored(tmp_path):
    store, rng, before = tmp_path / "s.sqlite", np.random.default_rng(0), 0
    for _ in range(50):
        process = start(store, 0.2, tmp_path)
        time.sleep(rng.uniform(0.5, 6.0))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        now = assert_whole(store)
        assert now >= before
        before = now
    process = start(store, 0.2, tmp_path)
    said, complaint = process.communicate(timeout=900)
    planned, done = map(int, said.split())
    assert planned == done, complaint
    assert assert_whole(store) == planned >= before


@pytest.mark.timeout(1800)
def test_four_writers_share_one_store(tmp_path):
    store = tmp_path / "s.sqlite"
    writers = [start(store, 0.05, tmp_path / str(k)) for k in range(4)]
    said = [writer.communicate(timeout=1700) for writer in writers]
    assert [w.returncode for w in writers] == [0] * 4, said
    planned = {int(out.split()[0]) for out, _ in said}
    assert {assert_whole(store)} == planned
    assert fakes.SHIFT.id in set(read_registrations(store)["method"])
