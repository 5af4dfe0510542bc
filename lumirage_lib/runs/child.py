"""Run a function in a process of its own: what it takes, and what becomes of it when it fails.

One registration's crash, memory or endless loop must not reach another, so each runs in a child that
can be killed; its wall time, processor time and memory are read from the operating system there. A
child ends with the process that asked for it, however that one ends.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import LumirageError, RegistrationError

# Imported once by the server that children are forked from, so that a child starts in milliseconds.
PRELOAD = ["numpy", "scipy.ndimage", "pandas", "nibabel", "torch"]

LOOK_SECONDS = 0.5  # how often a parent that waits looks whether it is to stop

# What libraries say when an allocation fails; the last is oneDNN's, of the workspace of a convolution.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "could not create a primitive")


@dataclass
class Usage:
    """What a block of code took; filled in by :func:`measure`."""

    seconds: float = float("nan")
    cpu_seconds: float = float("nan")
    peak_mb: float = float("nan")
    method_mb: float = float("nan")


@dataclass(frozen=True)
class Outcome:
    """How a child ended: `status` "ok" with its `value`, or a failure word with the `reason`."""

    status: str
    value: Any = None
    reason: str = ""
    extra: dict = field(default_factory=dict)


def _status_mb(name: str) -> float:
    """A memory figure of this process, MB, from /proc (Linux), else from getrusage."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def measure():
    """Measure wall and processor seconds and peak resident memory of the block.

    `peak_mb` is the process's high-water mark within the block, `method_mb` the part above what was
    resident when it began.
    """
    usage = Usage()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark (Linux)
    before, wall, cpu = _status_mb("VmRSS"), time.perf_counter(), time.process_time()
    try:
        yield usage
    finally:
        usage.seconds = time.perf_counter() - wall
        usage.cpu_seconds = time.process_time() - cpu
        usage.peak_mb = _status_mb("VmHWM")
        usage.method_mb = max(0.0, usage.peak_mb - before)


@contextmanager
def _ending_with_parent(connection):
    """Within the block this process ends as soon as its parent has ended, were that killed.

    The parent alone holds the reading end of the connection, and reads nothing before the block is
    over; an error on the pipe means that it is gone. A thread waits for that; and on Linux the kernel
    says so by SIGIO, whose default is to end the process, because a thread does not run while a
    compiled method holds the interpreter's lock. To the kernel the parent is the forking server,
    so the death signal of prctl would come too late.
    """

    def watch():
        pipe = select.poll()
        pipe.register(connection, 0)
        pipe.poll()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if sys.platform != "linux":
        yield
        return
    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(connection, fcntl.F_SETFL, flags)


def _child(connection, function: Callable, arguments: tuple, threads: int) -> None:
    # Ctrl-C reaches every process of a terminal; it is for the parent, which stops its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _ending_with_parent(connection):
        outcome = _call(function, arguments, threads)
    connection.send(outcome)
    connection.close()


def _call(function: Callable, arguments: tuple, threads: int) -> Outcome:
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    ):
        os.environ[name] = str(threads)
    # Compiled libraries print to the terminal; whoever watches has a progress bar there.
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        import torch

        torch.set_num_threads(threads)
        outcome = Outcome("ok", function(*arguments))
    except RegistrationError as error:
        outcome = Outcome(error.status, reason=str(error))
    except LumirageError as error:
        outcome = Outcome("refused", reason=str(error))
    except MemoryError as error:
        outcome = Outcome("out-of-memory", reason=str(error) or "the allocation failed")
    except BaseException as error:
        text = str(error)
        memory = any(words in text.lower() for words in OUT_OF_MEMORY)
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        outcome = Outcome(
            "out-of-memory" if memory else "failed",
            reason=f"{type(error).__name__}: {text.splitlines()[0] if text else ''} ({where})",
        )
    return outcome


def run_child(
    function: Callable,
    *arguments,
    timeout_seconds: float = 3600.0,
    threads: int = 1,
    stop: threading.Event | None = None,
) -> Outcome:
    """Call ``function(*arguments)`` in a child process.

    Parameters
    ----------
    function, arguments
        Anything that can be pickled; the function must live in an importable module.
    timeout_seconds : float
        The child is killed after this.
    threads : int
        How many threads the numerical libraries may use.
    stop : threading.Event, optional
        Once it is set, the child is killed, whatever it was doing.

    Returns
    -------
    Outcome
        `status` is "ok", "refused" (this library would not take the input), "failed",
        "non-finite", "out-of-memory", "timeout", "killed" or, on `stop`, "interrupted".
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(send, function, arguments, threads), daemon=True)
    process.start()
    send.close()
    try:
        deadline = time.monotonic() + timeout_seconds
        while not receive.poll(max(0.0, min(LOOK_SECONDS, deadline - time.monotonic()))):
            if stop is not None and stop.is_set():
                return Outcome("interrupted", reason="the run was stopped")
            if time.monotonic() >= deadline:
                return Outcome("timeout", reason=f"stopped after {timeout_seconds:g} s")
        return receive.recv()
    except (EOFError, OSError):  # it ended before, or in the middle of, its message
        process.join(10)
        code = process.exitcode
        killed = code in (-9, 137)
        return Outcome(
            "killed" if killed else "failed",
            reason=f"the process ended with code {code}"
            + (": killed by the system, as it does when memory runs out" if killed else ""),
        )
    finally:
        process.kill()
        process.join()
        receive.close()
