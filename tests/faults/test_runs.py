"""Faults while a command runs: what passes is tried again, what is interrupted leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import fakes
import pytest
from faulty import lumirage, make_pair
from faulty_runs import PASSING, STUCK

from lumirage_lib.runs.profiles import store_path
from lumirage_lib.runs.store import read_owners, read_registrations

TESTS = Path(__file__).parents[1]
COMMAND = (
    *("run", "01_in_distribution", "-p", "smoke", "--compute-only", "-P", "n_panels=0"),
    *("-P", "cohort=faulty_runs:tiny", "-P", "n_pairs=1", "-P", "alignment=centre", "-P", "jobs=1"),
)
FAULTY = (*COMMAND, "-P", "methods=[faulty_runs:METHOD]")


@pytest.fixture
def mended(monkeypatch, tmp_path) -> Path:
    """Once this file is there, the fault is mended."""
    monkeypatch.chdir(TESTS.parent)
    monkeypatch.setenv("LUMIRAGE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LUMIRAGE_MENDED", str(tmp_path / "mended"))
    return tmp_path / "mended"


def last_line(told) -> str:
    return told.text.strip().splitlines()[-1]


# ---- 12 what passes ------------------------------------------------------------------------------


@pytest.mark.fault(12, value=True)
@pytest.mark.parametrize("fault", PASSING)
def test_the_same_command_succeeds_when_the_cause_is_mended(mended, monkeypatch, fault):
    monkeypatch.setenv("LUMIRAGE_FAULT", fault)
    told = lumirage(*FAULTY)
    assert last_line(told) == "0 reused, 0 new, 1 failed, 0 skipped"
    (row,) = read_registrations(store_path("smoke")).to_dict("records")
    assert row["status"] in ("killed", "unavailable")
    assert row["reason"]
    mended.touch()
    assert last_line(lumirage(*FAULTY)) == "0 reused, 1 new, 0 failed, 0 skipped"
    (row,) = read_registrations(store_path("smoke")).to_dict("records")
    assert (row["status"], row["reason"]) == ("ok", "")
    assert 0 < row["dice"] <= 1


@pytest.mark.fault(12, value=True)
def test_more_memory_is_another_try(mended):
    command = (*COMMAND, "-P", "methods=[faulty_runs:GREEDY]", "--memory")
    assert last_line(lumirage(*command, 400)).startswith("0 reused, 0 new, 1 failed")
    assert last_line(lumirage(*command, 400)).startswith("0 reused, 0 new, 1 failed")
    assert last_line(lumirage(*command, 4000)).startswith("0 reused, 1 new, 0 failed")


@pytest.mark.fault(12, value=True, process=True)
@pytest.mark.parametrize("fault", ["killed", "disk full"])
def test_the_same_command_of_a_shell_succeeds_when_the_cause_is_mended(mended, fault):
    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lumirage_lib.cli", *FAULTY],
            env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "LUMIRAGE_FAULT": fault},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        return done.stdout.strip()

    assert run() == "0 reused, 0 new, 1 failed, 0 skipped"
    mended.touch()
    assert run() == "0 reused, 1 new, 0 failed, 0 skipped"


# ---- 18 interrupts -------------------------------------------------------------------------------


@pytest.fixture
def pid_file(monkeypatch, tmp_path) -> Path:
    """Where a stuck method leaves the name of its process; Ctrl-C is pressed once it has."""
    path = tmp_path / "pid"
    monkeypatch.setenv("LUMIRAGE_PID", str(path))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press():
        fakes.wait_until(lambda: path.exists() and path.read_text())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    yield path
    signal.signal(signal.SIGINT, before)


STORED = "; what was finished is stored, the same command goes on from there"


def assert_interrupted(told, pid_file: Path, kept: str = STORED) -> None:
    assert told.code == 130
    assert last_line(told) == f"interrupted{kept}"
    pid = int(re.findall(r"\d+", pid_file.read_text())[0])
    fakes.wait_until(lambda: fakes.has_ended(pid), seconds=20)


@pytest.mark.fault(18)
@pytest.mark.parametrize("how", STUCK)
def test_ctrl_c_ends_a_run_and_what_its_method_does(mended, monkeypatch, pid_file, how):
    monkeypatch.setenv("LUMIRAGE_FAULT", how)
    assert_interrupted(lumirage(*FAULTY), pid_file)
    assert read_registrations(store_path("smoke")).empty
    assert read_owners(store_path("smoke")) == []


@pytest.mark.fault(18)
@pytest.mark.parametrize("how", ["deaf to every signal", "having left a daemon"])
def test_ctrl_c_ends_register_and_leaves_no_output(mended, monkeypatch, pid_file, how, tmp_path):
    monkeypatch.setenv("LUMIRAGE_FAULT", how)
    pair, out = make_pair(tmp_path), tmp_path / "out"
    identity = tmp_path / "alignment.txt"
    identity.write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    told = lumirage(
        *("register", pair.fixed, pair.moving, "-m", "faulty_runs:METHOD"),
        *("-o", out, "--alignment", identity),
    )
    assert_interrupted(told, pid_file, kept="")
    assert not list(out.glob("*"))
