from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fakes
import numpy as np
import psutil
import pytest

from lumirage_lib.errors import RegistrationError, SourceError
from lumirage_lib.runs.child import default_memory_mb, run_child


def test_value_comes_back_from_another_process():
    assert run_child(fakes.add, 2, 3).value == 5
    outcome = run_child(fakes.get_pid)
    assert outcome.status == "ok"
    assert outcome.value != os.getpid()
    large = np.arange(3_000_000, dtype=np.float32)  # more than a pipe holds
    assert np.array_equal(run_child(fakes.add, large, 1).value, large + 1)


@pytest.mark.parametrize(
    ("function", "arguments", "status", "reason"),
    [
        (fakes.refuse, (), "refused", r"^expected a brain, got a banana$"),
        (fakes.raise_, (RegistrationError("diverged", "non-finite"),), "non-finite", "^diverged$"),
        (fakes.raise_, (RegistrationError("no warp"),), "failed", "^no warp$"),
        (fakes.raise_, (ValueError("bad\nlong"),), "failed", r"^ValueError: bad \(fakes\.py:\d+\)"),
        (fakes.raise_, (ValueError(),), "failed", r"^ValueError:  \(fakes\.py:\d+\)$"),
        (fakes.raise_, (SystemExit(3),), "failed", r"^SystemExit: 3 \(fakes\.py:\d+\)$"),
        (fakes.raise_, (MemoryError(),), "out-of-memory", "allocation failed"),
        (fakes.exhaust_memory, ("numpy",), "out-of-memory", r"8\.00 GiB"),
        (fakes.exhaust_memory, ("torch",), "out-of-memory", r"(?i)allocate memory"),
        (fakes.exit_, (3,), "failed", "ended with code 3$"),
        (fakes.kill_self, (signal.SIGSEGV,), "failed", "ended with code -11$"),
        (fakes.kill_self, (signal.SIGKILL,), "killed", "code -9: killed by the system"),
        (fakes.break_off, (), "killed", "code -9: killed by the system"),
        (fakes.kill_self, (signal.SIGTERM,), "killed", "code -15: killed by the system"),
        (fakes.return_what_cannot_be_pickled, (), "failed", "returned cannot be handed over: "),
        (fakes.raise_, (OSError(28, "No space left on device"),), "unavailable", "No space left"),
        (fakes.raise_, (FileNotFoundError("gone.nii"),), "unavailable", r"gone\.nii \(fakes"),
        (fakes.raise_, (ImportError("no module ants"),), "unavailable", "no module ants"),
        (fakes.raise_, (SourceError("no mirror"),), "unavailable", "^no mirror$"),
        (fakes.raise_, (ValueError("x" * 10**7),), "failed", r"^ValueError: x{500} \(fakes"),
    ],
)
def test_every_end_has_its_status_and_reason(function, arguments, status, reason):
    outcome = run_child(function, *arguments, timeout_seconds=120)
    assert outcome.status == status
    assert outcome.value is None
    assert re.search(reason, outcome.reason), outcome.reason


def test_server_of_children_is_not_told_of_ctrl_c():
    """While it imports, it else prints a traceback of its own beside our sentence."""
    code = r"""
import os, re
from pathlib import Path
from lumirage_lib.runs.child import run_child

status = Path(f"/proc/{run_child(os.getppid).value}/status").read_text()
print(int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16) >> 1 & 1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "1\n", done.stderr


def test_child_that_hangs_is_stopped_and_gone(tmp_path):
    pid_file = tmp_path / "pid"
    run_child(fakes.add, 1, 1)  # so that the server of children is up
    start = time.monotonic()
    run_child(fakes.add, 1, 1)
    seconds = 1 + round(5 * (time.monotonic() - start))  # time enough to begin
    outcome = run_child(fakes.hang, str(pid_file), timeout_seconds=seconds)
    assert time.monotonic() - start < 300
    assert outcome.status == "timeout"
    assert outcome.reason == f"stopped after {seconds} s"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


CODE = """
import sys, threading, fakes
from lumirage_lib.runs.child import run_child

for name, pid_file in zip(("hang", "hang_locked", "hang_deaf", "fork_and_hang"), sys.argv[1:]):
    threading.Thread(target=run_child, args=(getattr(fakes, name), pid_file)).start()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_a_parent_that_is_killed(tmp_path, number):
    """Asleep, in compiled code that holds the lock, also deaf to every signal, or having forked."""
    files = [tmp_path / name for name in ("asleep", "locked", "deaf", "forked")]
    here = Path(__file__).parents[1]
    parent = subprocess.Popen(
        [sys.executable, "-c", CODE, *map(str, files)],
        env={**os.environ, "PYTHONPATH": f"{here}:{here.parent}"},
    )
    fakes.wait_until(lambda: all(f.exists() and f.read_text() for f in files))
    pids = [int(f.read_text()) for f in files]
    assert not any(map(fakes.has_ended, pids))
    parent.send_signal(number)
    assert parent.wait(10) == -number
    fakes.wait_until(lambda: all(map(fakes.has_ended, pids)), seconds=10)


def test_child_that_is_not_wanted_any_more_is_stopped(tmp_path):
    pid_file, stop = tmp_path / "pid", threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_child, fakes.hang, str(pid_file), stop=stop)
        fakes.wait_until(lambda: pid_file.exists() and pid_file.read_text())
        stop.set()
        assert future.result(10).status == "interrupted"
    assert fakes.has_ended(int(pid_file.read_text()))


@pytest.mark.parametrize("how", ["child", "daemon"])
def test_what_a_method_starts_ends_with_it(tmp_path, how):
    pid_file = tmp_path / "pid"
    assert run_child(fakes.start_and_leave, str(pid_file), how).status == "ok"
    fakes.wait_until(lambda: fakes.has_ended(int(pid_file.read_text())), seconds=10)


def test_child_over_its_memory_limit_is_stopped():
    outcome = run_child(fakes.hold, 600, memory_mb=500)
    assert outcome.status == "out-of-memory"
    assert re.search(r"^stopped at \d+ MB of memory, over the limit of 500 MB$", outcome.reason)
    assert 0 < default_memory_mb() <= psutil.virtual_memory().total / 2**20


PLAIN = """
import os, fakes
from lumirage_lib.runs.child import run_child
print("main")
print(run_child(fakes.add, 2, 3).value)
"""


def test_works_from_a_script_without_a_guard(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text(PLAIN)
    here = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["main", "5"], done.stderr


def test_child_that_prints_a_flood_neither_blocks_nor_is_heard(capfd):
    assert run_child(fakes.shout, 8, timeout_seconds=120).value == "done"
    assert capfd.readouterr() == ("", "")


def test_failure_of_one_child_does_not_reach_its_neighbours():
    with ThreadPoolExecutor(3) as pool:
        bad = [pool.submit(run_child, fakes.kill_self, signal.SIGKILL) for _ in range(2)]
        good = [pool.submit(run_child, fakes.add, i, i) for i in range(4)]
    assert [f.result().value for f in good] == [0, 2, 4, 6]
    assert {f.result().status for f in bad} == {"killed"}


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_those_allowed(threads):
    assert run_child(fakes.get_threads, threads=threads).value == (threads, str(threads))


# ---- what a block took


def test_memory_is_that_of_the_block():
    """Compared with a block that allocates nothing; what was held before does not count."""
    none, some, much = (run_child(fakes.allocate, mb, 400).value for mb in (1, 150, 300))
    assert some.method_mb - none.method_mb == pytest.approx(150, abs=15)
    assert much.method_mb - none.method_mb == pytest.approx(300, abs=15)
    assert none.method_mb < 15
    assert much.peak_mb - some.peak_mb == pytest.approx(150, abs=25)
    assert some.peak_mb > some.method_mb + 20  # the interpreter and its libraries


def test_time_is_told_apart_from_processor_time():
    usage = run_child(fakes.work, 0.3, 0.4).value
    assert usage.cpu_seconds == pytest.approx(0.3, abs=0.1)
    assert usage.seconds >= 0.7


def test_block_that_fails_is_measured_too():
    usage = run_child(fakes.raise_inside_measure).value
    assert usage.seconds >= 0.1
    assert usage.peak_mb > 0
