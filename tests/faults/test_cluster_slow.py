"""A worker, the scheduler and the process that asked, each killed twenty times: the table is the same."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest

from lumirage_lib.runs.store import read_answers, read_owners, read_registrations, read_structures

pytestmark = [pytest.mark.faults_slow, pytest.mark.timeout(7200)]
TESTS = Path(__file__).parents[1]
KILLS = 20
TIMING = ["seconds", "cpu_seconds", "peak_mb", "method_mb", "hardware", "finished"]
ASK = """
import sys
import fakes
from lumirage_lib.cohorts import balanced_pairs, get_cohort
from lumirage_lib.runs.compute import compute
from lumirage_lib.runs.executors.cluster import open_cluster
from lumirage_lib.runs.task import plan

if __name__ == "__main__":
    store, address = sys.argv[1:]
    pairs = balanced_pairs(get_cohort("tiny").scans, 6)
    tasks = [
        task
        for k in range(25)
        for task in plan("tiny", pairs, {"fakes:SHIFT": {"shift": [0.1 * k, 0.0, 0.0], "seconds": 0.2}},
                         preprocessing=[fakes.QUICK])
    ]
    if address == "here":
        counts = compute(tasks, store, jobs=4, keep_fields=False)
    else:
        with open_cluster(scheduler=address) as cluster:
            counts = compute(tasks, store, executor=cluster, keep_fields=False)
    assert counts["reused"] + counts["new"] == len(tasks), counts
"""


class Crew:
    """A scheduler, two workers and a process that asks, each of which can be killed and replaced."""

    def __init__(self, folder: Path):
        self.folder, self.store = folder, folder / "cluster.sqlite"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = self.start_scheduler()
        self.workers = [self.start_worker() for _ in range(2)]

    def start(self, *command: object) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *map(str, command)],
            env={
                **os.environ,
                "PYTHONPATH": f"{TESTS}:{TESTS.parent}",
                "LUMIRAGE_CACHE": str(self.folder),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start_scheduler(self) -> subprocess.Popen:
        where = ("--host", "127.0.0.1", "--port", self.port, "--no-dashboard")
        return self.start("-m", "distributed.cli.dask_scheduler", *where)

    def start_worker(self) -> subprocess.Popen:
        how = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--memory-limit", 0)
        place = ("--resources", "MB=4000", "--local-directory", self.folder)
        return self.start("-m", "distributed.cli.dask_worker", self.address, *how, *place)

    def ask(self, address: str | None = None, store: Path | None = None) -> subprocess.Popen:
        return self.start("-c", ASK, store or self.store, address or self.address)

    def count(self) -> int:
        return len(read_answers(self.store))

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            kill(process)


def kill(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait(60)


@pytest.fixture
def crew(tmp_path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    yield crew
    crew.end()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory) -> Path:
    """The store of the local runner, which nobody killed."""
    folder = tmp_path_factory.mktemp("quiet")
    crew = Crew.__new__(Crew)
    crew.folder, crew.store = folder, folder / "here.sqlite"
    assert crew.ask("here").wait(1800) == 0
    return crew.store


def kill_worker(crew: Crew, number: int, asking: subprocess.Popen) -> subprocess.Popen:
    kill(crew.workers[number % 2])
    crew.workers[number % 2] = crew.start_worker()
    return asking


def kill_scheduler(crew: Crew, number: int, asking: subprocess.Popen) -> subprocess.Popen:
    kill(crew.scheduler)
    assert asking.wait(120) != 0  # it says so and ends, by itself
    for worker in crew.workers:
        worker.wait(120)  # they too
    crew.scheduler = crew.start_scheduler()
    crew.workers = [crew.start_worker() for _ in range(2)]
    return crew.ask()


def kill_asking(crew: Crew, number: int, asking: subprocess.Popen) -> subprocess.Popen:
    kill(asking)
    return crew.ask()


def assert_same(crew: Crew, quiet: Path) -> None:
    assert crew.ask().wait(1800) == 0  # what was in flight too often is done by the same command
    for read in (read_registrations, read_structures):
        one, two = (
            read(path).drop(columns=TIMING, errors="ignore") for path in (crew.store, quiet)
        )
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert len(read_registrations(quiet)) == 150
    assert read_owners(crew.store) == []


@pytest.mark.parametrize("how", [kill_worker, kill_scheduler, kill_asking])
def test_twenty_kills_leave_the_table_of_a_quiet_run(crew, quiet, how):
    rng, asking, before, kills = np.random.default_rng(0), crew.ask(), 0, 0
    while kills < KILLS:
        wanted = before + int(rng.integers(1, 6))  # in the middle of a run: after so many more rows
        fakes.wait_until(
            lambda wanted=wanted, asking=asking: (
                crew.count() >= wanted or asking.poll() is not None
            ),
            seconds=600,
        )
        if (
            asking.poll() is not None
        ):  # it was quicker than the kills: they go on with another store
            assert_same(crew, quiet)
            crew.store, before = crew.folder / f"cluster{kills}.sqlite", 0
            asking = crew.ask()
            continue
        asking, kills = how(crew, kills, asking), kills + 1
        assert crew.count() >= wanted
        before = crew.count()
    asking.wait(1800)
    assert_same(crew, quiet)
