"""Runs on dask: the same rows, whoever dies. The workers are processes of this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import distributed
import fakes
import pandas as pd
import pytest
from fakes import QUICK

from lumirage_lib.cohorts import balanced_pairs, get_cohort
from lumirage_lib.cohorts.sources import is_local
from lumirage_lib.errors import InputError
from lumirage_lib.runs import store as stored
from lumirage_lib.runs.compute import compute, needs
from lumirage_lib.runs.executors import cluster as cluster_module
from lumirage_lib.runs.executors.cluster import make_queue, open_cluster
from lumirage_lib.runs.executors.needs import predict_mb
from lumirage_lib.runs.task import Task, plan

ROOT = Path(__file__).parents[2]
TIMING = ["seconds", "cpu_seconds", "peak_mb", "method_mb", "hardware", "finished"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """What the workers start with: they import what the tests do, and keep fields apart."""
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'tests'}:{ROOT}")


def make_plan(methods, n_pairs: int = 3) -> list[Task]:
    pairs = balanced_pairs(get_cohort("tiny").scans, n_pairs)
    return plan("tiny", pairs, methods, preprocessing=[QUICK])


def read_tables(store: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = stored.read_registrations(store).drop(columns=TIMING)
    return table, stored.read_structures(store)


def assert_same(store: Path, other: Path) -> None:
    for one, two in zip(read_tables(store), read_tables(other), strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_rows_are_those_of_the_local_runner(tmp_path, workers):
    tasks = make_plan(
        {"affine": {}, "fakes:SHIFT": {"shift": [0.5, -1, 2]}, "fakes:BAD": {"how": "nan"}}
    )
    here, there = tmp_path / "here.sqlite", tmp_path / "there.sqlite"
    rows = []
    with open_cluster(workers=workers) as cluster:
        counts = compute(tasks, there, executor=cluster, on_row=rows.append)
    assert counts == {"reused": 0, "new": 6, "failed": 3, "skipped": 0}
    assert len(rows) == 9
    assert counts == compute(tasks, here, jobs=2)
    assert_same(here, there)


def test_worker_that_is_killed_costs_only_what_it_was_at(tmp_path):
    log, store, quiet = tmp_path / "log", tmp_path / "killed.sqlite", tmp_path / "quiet.sqlite"
    tasks = make_plan({"fakes:SHIFT": {"log": str(log), "seconds": 1.0}}, 6)
    with open_cluster(workers=2) as cluster:

        def kill() -> None:
            fakes.wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= 3)
            pids = cluster.client.run(os.getpid)
            os.kill(next(iter(pids.values())), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        counts = compute(tasks, store, executor=cluster)
        killer.join()
    assert counts == {"reused": 0, "new": 6, "failed": 0, "skipped": 0}
    assert 6 <= len(log.read_text().splitlines()) <= 7
    compute(tasks, quiet, jobs=2)
    assert_same(store, quiet)
    assert stored.read_owners(store) == []


CODE = """
import signal, sys, fakes
from lumirage_lib.cohorts import balanced_pairs, get_cohort
from lumirage_lib.runs.compute import compute
from lumirage_lib.runs.executors.cluster import open_cluster
from lumirage_lib.runs.task import plan

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pairs = balanced_pairs(get_cohort("tiny").scans, 6)
    given = {"fakes:SHIFT": {"log": sys.argv[2], "seconds": 600.0}}
    with open_cluster(workers=2) as cluster:
        compute(plan("tiny", pairs, given, preprocessing=[fakes.QUICK]), sys.argv[1], executor=cluster)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_process_that_asked_ends_and_nothing_lingers(tmp_path, number):
    log, store, script = tmp_path / "log", tmp_path / "test.sqlite", tmp_path / "ask.py"
    script.write_text(CODE)
    process = subprocess.Popen([sys.executable, script, store, log], start_new_session=True)
    fakes.wait_until(lambda: log.exists() and len(log.read_text().splitlines()) == 2)
    running = [int(pid) for pid in log.read_text().splitlines()]
    os.kill(process.pid, number)
    assert process.wait(60) != 0
    fakes.wait_until(lambda: all(map(fakes.has_ended, running)), seconds=30)
    assert stored.read_answers(store) == {}


@pytest.mark.mirror
def test_a_worker_fetches_what_it_lacks_by_its_digest(tmp_path, monkeypatch):
    """Its cache is empty, and it has its files from elsewhere than the process that asks."""
    mirror, served = os.environ["LUMIRAGE_MIRROR"], []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *about):
            served.append(self.path)

    def stand(address: str, cache: str) -> None:
        monkeypatch.setenv("LUMIRAGE_MIRROR", address)
        monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / cache))

    pairs = balanced_pairs(get_cohort("macaque").scans, 1)
    tasks = plan("macaque", pairs, {"fakes:SHIFT": {}}, preprocessing=[QUICK])
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=mirror)) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        elsewhere = f"http://127.0.0.1:{service.server_port}"
        stand(elsewhere, "worker")
        with open_cluster(workers=1) as cluster:
            stand(mirror, "cache")
            counts = compute(tasks, tmp_path / "there.sqlite", executor=cluster)
        service.shutdown()
    assert counts == {"reused": 0, "new": 1, "failed": 0, "skipped": 0}
    assert set(served) == {f"/{source.location}" for source in needs(tasks)}
    stand(elsewhere, "worker")
    assert all(is_local(source) for source in needs(tasks))  # the pinned bytes


def test_workers_that_come_later_are_used(monkeypatch):
    monkeypatch.setattr(cluster_module, "LOOK_SECONDS", 0.0)
    how = {"processes": False, "protocol": "tcp", "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=0, threads_per_worker=1, **how) as local,
        open_cluster(scheduler=local.scheduler_address) as cluster,
    ):
        assert cluster.capacity == 2
        local.scale(3)
        cluster.client.wait_for_workers(3)
        assert cluster.capacity == 6


def test_memory_is_predicted_for_networks_and_others():
    (affine,) = make_plan(["affine"], 1)
    (network,) = make_plan(["lapirn-disp"], 1)
    assert 1000 < predict_mb(affine) < 1100
    assert 3000 < predict_mb(network) < 9000  # on the grid it was trained on


def test_slurm_job_is_what_the_example_says():
    cluster, jobs = make_queue(ROOT / "cluster" / "slurm.yml")
    with cluster:
        script = cluster.job_script()
    assert jobs == 10
    script = re.sub(
        r"\S+ -m distributed.cli.dask_worker \S+",
        "PYTHON -m distributed.cli.dask_worker ADDRESS",
        script,
    )
    assert script == (ROOT / "tests" / "runs" / "slurm_job.txt").read_text()


@pytest.mark.parametrize("name", ["pbs", "sge", "lsf"])
def test_jobs_of_other_queues_ask_for_memory_and_declare_it(name):
    cluster, _ = make_queue(ROOT / "cluster" / f"{name}.yml")
    with cluster:
        script = cluster.job_script()
    assert "--resources MB=" in script
    assert "source .venv/bin/activate" in script


def test_what_is_no_cluster_is_refused(tmp_path):
    file = tmp_path / "x.yml"
    file.write_text("queue: cloud\n")
    with pytest.raises(InputError, match="expected queue: slurm, pbs"):
        make_queue(file)
    with pytest.raises(InputError, match="give one of --scheduler"), open_cluster():
        pass
