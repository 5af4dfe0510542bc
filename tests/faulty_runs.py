"""A method and a cohort for whole commands: what goes wrong is said in the environment.

``LUMIRAGE_FAULT`` names the fault, ``LUMIRAGE_MENDED`` a file that ends it, once it is there.
"""

from __future__ import annotations

import gzip
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from pathlib import Path

import fakes
import numpy as np

from lumirage_lib.cohorts.sources import Source, fetch
from lumirage_lib.methods import MethodSpec

tiny = fakes.tiny


def _full_disk() -> None:
    with open("/dev/full", "w") as file:
        file.write("x" * 100_000)


def _small_disk() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with tempfile.TemporaryFile() as file:
        file.write(bytes(100_000))


def _no_files_left() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (10, most))
    for _ in range(20):
        os.open("/", os.O_RDONLY)


def _cut_npz() -> None:
    with tempfile.TemporaryFile() as file:
        np.savez(file, a=np.zeros(1000))
        file.truncate(4000)
        file.seek(0)
        np.load(file)


def _mirror_gone() -> None:
    os.environ["LUMIRAGE_MIRROR"] = "/nowhere"
    fetch(Source("owner/name", "c0" * 20, "x.nii.gz", "ab" * 32, 9, "CC0"))


def _hang_up() -> None:
    """As a closed terminal does; also where the tests themselves were told to outlive theirs."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGHUP)


def _interrupt() -> None:
    """As Ctrl-C does; also where the tests run in the background of a shell, which takes it away."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


# Faults of the machine, each of them real, and what its row then has.
PASSING = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminated": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "hung up": _hang_up,
    "interrupted from outside": _interrupt,
    "disk full": _full_disk,
    "file too large": _small_disk,
    "no files left": _no_files_left,
    "file gone": lambda: Path("/nowhere/brain.nii.gz").read_bytes(),
    "folder for a file": lambda: Path("/").read_bytes(),
    "package gone": lambda: __import__("a_package_that_is_not_there"),
    "npz cut": _cut_npz,
    "gzip cut": lambda: gzip.decompress(gzip.compress(os.urandom(9000))[:-99]),
    "packed wrongly": lambda: zlib.decompress(zlib.compress(os.urandom(999))[:-9] + bytes(9)),
    "mirror gone": _mirror_gone,
    "nobody answers": lambda: urllib.request.urlopen("http://127.0.0.1:1/"),
    "program gone": lambda: subprocess.run(["a-program-that-is-not-there"]),
}


def _write_pid(pid: int) -> None:
    fakes.write_pid(os.environ["LUMIRAGE_PID"], pid)


def _fork(*, daemon: bool) -> None:
    if os.fork() == 0:
        if daemon:
            os.setsid()
            if os.fork():
                os._exit(0)
        _write_pid(os.getpid())
        time.sleep(600)
    time.sleep(600)


def _busy() -> None:
    while True:
        pass


def _flood() -> None:
    while True:
        print("x" * 10_000, file=sys.stderr)


def _swallow() -> None:
    while True:
        try:
            time.sleep(600)
        except BaseException:
            continue


# How a method is stuck when somebody presses Ctrl-C.
STUCK = {
    "asleep": lambda: time.sleep(600),
    "busy": _busy,
    "printing": _flood,
    "deaf to polite requests": lambda: fakes.hang(os.environ["LUMIRAGE_PID"]),
    "in compiled code": lambda: fakes.hang_locked(os.environ["LUMIRAGE_PID"]),
    "deaf to every signal": lambda: fakes.hang_deaf(os.environ["LUMIRAGE_PID"]),
    "having forked": lambda: _fork(daemon=False),
    "having left a daemon": lambda: _fork(daemon=True),
    "waiting for a program": lambda: (
        _write_pid((program := subprocess.Popen(["sleep", "600"])).pid) or program.wait()
    ),
    "waiting for a thread": lambda: threading.Thread(target=time.sleep, args=(600,)).run(),
    "waiting for a process": lambda: (
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).run()
    ),
    "passing over every exception": _swallow,
}


def run(fixed, moving, affine, *, megabytes: int) -> np.ndarray:
    fault, mended = os.environ.get("LUMIRAGE_FAULT", ""), os.environ.get("LUMIRAGE_MENDED", "")
    if megabytes:
        held = np.ones(megabytes * 2**17)
        time.sleep(1)
        del held
    if fault in PASSING and not os.path.exists(mended):
        PASSING[fault]()
    if fault in STUCK:
        _write_pid(os.getpid())
        STUCK[fault]()
    return np.zeros((3, *fixed.shape), np.float32)


METHOD = MethodSpec("faulty", "iterative", run, "1", "nobody2026", {"megabytes": 0})
GREEDY = MethodSpec("greedy for memory", "iterative", run, "1", "nobody2026", {"megabytes": 400})
