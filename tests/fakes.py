"""What the tests run in child processes: a tiny cohort, methods that take no time or misbehave.

A child knows only what it can import. Methods are named "fakes:NAME"; the cohort is registered by
importing this module, which unpickling one of its scans does.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import struct
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import psutil
from synthetic import brain, smooth_field

from lumirage_lib.cohorts import COHORTS, Cohort, Scan
from lumirage_lib.errors import InputError, RegistrationError
from lumirage_lib.images.preprocess import Preprocessing
from lumirage_lib.images.volumes import Volume
from lumirage_lib.images.warp import warp_image, warp_labels
from lumirage_lib.methods import MethodSpec
from lumirage_lib.runs.child import measure

SHAPE = (22, 26, 20)
AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])
# No registration for the alignment: it would take longer than all the rest.
QUICK = Preprocessing("quick", (), "centre", ())


class TinyScan(Scan):
    """A scan of the tiny cohort."""


def load_image(scan: Scan) -> Volume:
    field = smooth_field(SHAPE, 0.6, int(scan.id))
    return Volume(warp_image(brain(SHAPE), field), AFFINE, scan.id)


def load_labels(scan: Scan, label_set: str) -> Volume:
    labels = np.digitize(brain(SHAPE), [0.3, 0.5, 0.6, 0.7]).astype(np.int32)
    field = smooth_field(SHAPE, 0.6, int(scan.id))
    return Volume(warp_labels(labels, field), AFFINE, f"{scan.id} {label_set}")


def tiny(
    n_subjects: int = 3, release: str = "1", log: str = "", costly: bool = False, lacking: str = ""
) -> Cohort:
    """Subjects that differ by a smooth deformation; four labels. Reading leaves a line in `log`.

    `costly` scans are prepared before they are read; that one of them fails.
    """

    def prepare(scan: Scan, tools: object) -> None:
        if log:
            with open(log, "a") as file:
                file.write(f"prepare {scan.id}\n")
        if scan.id == lacking:
            raise FileNotFoundError(f"the atlas of {scan.id} is not there")

    def logged(load):
        def wrapped(*about):
            if log:
                with open(log, "a") as file:
                    file.write(f"{about}\n")
            return load(*about)

        return wrapped

    table = pd.DataFrame({"name": list("abcd"), "group": "cortical"}, index=[1, 2, 3, 4])
    return Cohort(
        "tiny",
        tuple(TinyScan(str(i), f"S{i}") for i in range(1, n_subjects + 1)),
        logged(load_image) if log else load_image,
        logged(load_labels) if log else load_labels,
        {"manual": table.rename_axis("label")},
        lambda scan: f"tiny-{release}-{scan.id}",
        prepare=prepare if costly else None,
    )


COHORTS["tiny"] = f"{__name__}:tiny"


# ---- methods


def shift(fixed, moving, affine, *, shift, seconds, log, weights="") -> np.ndarray:
    """The same displacement everywhere; leaves a line in a file for every call."""
    if log:
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return np.full((3, *fixed.shape), np.reshape(shift, (3, 1, 1, 1)), np.float32)


FAULTS = {
    "vanished": FileNotFoundError(2, "No such file or directory", "brain.nii.gz"),
    "no package": ModuleNotFoundError("No module named 'ants'"),
    "full": OSError(28, "No space left on device"),
}


def misbehave(fixed, moving, affine, *, how: str) -> np.ndarray:
    field = np.zeros((3, *fixed.shape), np.float32)
    how, _, mended = how.partition(" until ")
    if mended and os.path.exists(mended):
        return field
    if how in FAULTS:
        raise FAULTS[how]
    if how == "killed":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    if how == "nan":
        field[1, 3, 4, 5] = np.nan
    if how == "shape":
        field = field[:, :-1]
    if how == "raise":
        raise ZeroDivisionError("the step size vanished")
    if how == "give up":
        raise RegistrationError("no overlap between the images", status="failed")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "sleep":
        time.sleep(600)
    if how == "memory":
        exhaust_memory()
    return field


def stick(fixed, moving, affine, *, pid_file: str) -> np.ndarray:
    hang_locked(pid_file)
    raise AssertionError("nobody stopped it")


STUCK = MethodSpec("stuck", "iterative", stick, "1", "nobody2026", {"pid_file": ""})
PARAMETERS = {"shift": [0.0, 0.0, 0.0], "seconds": 0.0, "log": ""}
SHIFT = MethodSpec("shift", "iterative", shift, "1", "nobody2026", PARAMETERS)
SHIFT_2 = MethodSpec("shift", "iterative", shift, "2", "nobody2026", PARAMETERS)
BAD = MethodSpec("bad", "deep", misbehave, "1", "nobody2026", {"how": ""})
HURRIED = replace(BAD, timeout_seconds=2.0)
NOT_A_METHOD = 7


# ---- functions for children


def add(a, b):
    return a + b


def get_pid() -> int:
    return os.getpid()


def get_threads() -> tuple[int, str]:
    import torch

    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def raise_(error: Exception):
    raise error


def refuse():
    raise InputError("expected a brain, got a banana")


def exit_(code: int):
    os._exit(code)


def kill_self(number: int):
    os.kill(os.getpid(), number)


def write_pid(path: str, pid: int) -> None:
    """The whole name of a process or, where this one is killed on the way, what was there before."""
    part = f"{path}.{os.getpid()}"
    with open(part, "w") as file:
        file.write(str(pid))
    os.replace(part, path)


def hang(pid_file: str):
    """Sleep for ever, deaf to polite requests."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    write_pid(pid_file, os.getpid())
    time.sleep(600)


def hang_locked(pid_file: str):
    """Sleep as a compiled method computes: no other thread of the interpreter runs meanwhile."""
    write_pid(pid_file, os.getpid())
    ctypes.PyDLL(None).sleep(600)


def hang_deaf(pid_file: str):
    """Compiled code that also ignores every signal that can be."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    hang_locked(pid_file)


def fork_and_hang(pid_file: str):
    """Leave the name of a process that was forked and hangs."""
    if pid := os.fork():
        write_pid(pid_file, pid)
    time.sleep(600)


def start_and_leave(pid_file: str, how: str):
    """Start something that goes on, in a session of its own and without a parent if "daemon"."""
    if os.fork() == 0:
        if how == "daemon":
            os.setsid()
            if os.fork():
                os._exit(0)
        with open(pid_file, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    wait_until(lambda: os.path.exists(pid_file) and os.path.getsize(pid_file))


def hold(megabytes: int):
    held = np.ones(megabytes * 2**17)
    time.sleep(60)
    return held.size


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to ask how it ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def break_off():
    """End in the middle of the message to the parent."""
    connection = sys._getframe(2).f_locals["connection"]
    # Messages are sent when the parent's end is not watched for any more; writing would be taken for it.
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) & ~os.O_ASYNC)
    os.write(connection.fileno(), struct.pack("!i", 1000) + b"the first part of the outcome")
    os.kill(os.getpid(), signal.SIGKILL)


def shout(megabytes: int) -> str:
    """Print more than any pipe holds, from Python and from below it."""
    line = "x" * (1 << 20)
    for _ in range(megabytes):
        print(line)
        print(line, file=sys.stderr)
        os.write(1, line.encode())
        os.write(2, line.encode())
    return "done"


def return_what_cannot_be_pickled():
    return lambda: None


def limit_memory(megabytes: int) -> None:
    """Let this process take that much more address space than it has."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20,) * 2)


def exhaust_memory(library: str = "numpy"):
    limit_memory(200)
    if library == "numpy":
        return np.ones(2**30)
    import torch

    return torch.ones(2**30)


def allocate(megabytes: int, before: int = 0):
    """Usage of a block that holds that much, after some more was held and let go."""
    np.ones(before * 2**17).sum()
    with measure() as usage:
        np.ones(megabytes * 2**17).sum()
    return usage


def work(seconds: float, sleep: float):
    """Usage of a block that computes, then waits."""
    with measure() as usage:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        time.sleep(sleep)
    return usage


def raise_inside_measure():
    """Usage of a block that failed: what it took until then is still known."""
    try:
        with measure() as usage:
            time.sleep(0.1)
            raise ValueError
    except ValueError:
        return usage
