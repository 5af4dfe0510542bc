"""--scheduler, --cluster and --workers, as the three commands take them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import distributed
import pandas as pd
import pytest
from faulty import lumirage, make_task, score

from lumirage_lib.book import notebooks
from lumirage_lib.runs import profiles
from lumirage_lib.runs.executors import cluster
from lumirage_lib.runs.store import read_registrations, read_structures

RUN = ("run", "01_in_distribution", "-p", "smoke", "--compute-only")
ONE = {"methods": '["fakes:SHIFT", affine]', "n_pairs": "1"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a scheduler with one worker, both in this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as running:
        yield running.scheduler_address


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("LUMIRAGE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))


def read_tables(folder: Path) -> list[pd.DataFrame]:
    timing = ["seconds", "cpu_seconds", "peak_mb", "method_mb", "hardware", "finished"]
    path = folder / "smoke.sqlite"
    return [read_registrations(path).drop(columns=timing), read_structures(path)]


def test_run_and_results_compute_store_what_the_local_runner_does(address, tmp_path, monkeypatch):
    given = [part for name, value in ONE.items() for part in ("-P", f"{name}={value}")]
    out = lumirage(*RUN, *given, "--scheduler", address)
    assert (out.code, "2 new, 0 failed" in out.text) == (0, True), out.text
    assert "dask dashboard" in out.text
    again = lumirage(*RUN, *given, "--scheduler", address)
    assert "2 reused, 0 new" in again.text, again.text
    there = read_tables(tmp_path / "store")
    # The same of a whole profile, which is made that small.
    parameters = notebooks.resolve_parameters("01_in_distribution", "smoke", ONE)
    monkeypatch.setattr(profiles, "notebooks_of", lambda profile: ["01_in_distribution"])
    monkeypatch.setattr(notebooks, "resolve_parameters", lambda *given: parameters)
    for where, options in (("compute", ("--scheduler", address)), ("local", ())):
        monkeypatch.setenv("LUMIRAGE_STORE", str(tmp_path / where))
        out = lumirage("results", "compute", "-p", "smoke", *options)
        assert (out.code, "2 new, 0 failed" in out.text) == (0, True), out.text
        for one, two in zip(there, read_tables(tmp_path / where), strict=True):
            pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_score_is_the_same_on_a_cluster(address, tmp_path):
    tables = []
    for name, options in (("here", ()), ("there", ("--scheduler", address))):
        task = make_task(tmp_path / name)
        out = score(task, *options)
        assert out.code == 0, out.text
        tables.append(sorted(p.read_bytes() for p in (task.folder / "score").rglob("*.csv")))
    assert tables[0] == tables[1] != []


@pytest.mark.parametrize("command", [RUN, ("results", "compute", "-p", "smoke"), None])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scheduler", "tcp://127.0.0.1:1"), "no dask scheduler answers"),
        (("--scheduler", "nonsense"), "no dask scheduler answers"),
        (("--workers", "1", "--scheduler", "tcp://127.0.0.1:1"), "give one of --scheduler"),
        (("--cluster", "nowhere.yml"), "nowhere.yml: not readable"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_what_is_no_cluster_is_one_sentence(command, options, message, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    out = lumirage(*command, *options) if command else score(make_task(tmp_path), *options)
    assert out.code != 0
    assert message in out.text
    assert not (tmp_path / "store" / "smoke.sqlite").exists()
