"""Run a function in a process of its own: what it takes, and what becomes of it when it fails.

One registration's crash, memory or endless loop must not reach another, so each runs in a child that
can be killed with everything it started; its wall time, processor time and memory are read from the
operating system there. A child ends with the process that asked for it, however that one ends.
"""

import contextlib
import ctypes
import fcntl
import multiprocessing.resource_tracker
import os
import pickle
import resource
import select
import signal
import sys
import threading
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from ..errors import LumirageError, RegistrationError, SourceError

LINUX = sys.platform == "linux"
# Imported once by the server that children are forked from, so that a child starts in milliseconds.
PRELOAD = ["numpy", "scipy.ndimage", "pandas", "nibabel", "torch"]
QUIET = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
LOOK_SECONDS = 0.25  # how often a parent looks at its child's memory and whether it is to stop
REASON_LENGTH = 500  # characters of a message that are kept
PR_SET_CHILD_SUBREAPER = 36  # of prctl
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
# What libraries say when an allocation fails; the last is oneDNN's, of the workspace of a convolution.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "could not create a primitive")
# Of the machine, not of the registration: a full disk, a file that vanished or is cut, no package.
UNAVAILABLE = (OSError, ImportError, EOFError, zipfile.BadZipFile, zlib.error)
# How a registration may end for reasons that pass; all other ends are results.
PASSING = frozenset({"killed", "unavailable"})


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


# ---- what a block takes --------------------------------------------------------------------------


def _status_mb(name: str) -> float:
    """A memory figure of this process, MB: "VmRSS" or "VmHWM", of /proc where there is one."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    if name == "VmRSS":
        return float(psutil.Process().memory_info().rss / 2**20)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)  # bytes on macOS


@contextlib.contextmanager
def measure() -> Iterator[Usage]:
    """Measure wall and processor seconds and peak resident memory of the block.

    `peak_mb` is the process's high-water mark within the block, `method_mb` the part above what was
    resident when it began. Off Linux the mark cannot be reset and is that of the whole process.
    """
    usage = Usage()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark (Linux)
    before, wall, cpu = _status_mb("VmRSS"), time.perf_counter(), time.process_time()
    try:
        yield usage
    finally:
        usage.seconds = time.perf_counter() - wall
        usage.cpu_seconds = time.process_time() - cpu
        usage.peak_mb = _status_mb("VmHWM")
        usage.method_mb = max(0.0, usage.peak_mb - before)


# ---- in the child --------------------------------------------------------------------------------


@contextlib.contextmanager
def _ending_with_parent(connection: Connection) -> Iterator[None]:
    """Within the block this process and its group end as soon as its parent has, were that killed.

    The parent alone holds the reading end of the connection, and reads nothing before the block is
    over; an error on the pipe means that it is gone. A thread waits for that; and on Linux the kernel
    kills the group then, because a thread does not run while a compiled method holds the
    interpreter's lock. To the kernel the parent is the forking server, so the death signal of prctl
    would come too late.
    """

    def watch() -> None:
        pipe = select.poll()
        pipe.register(connection, 0)
        pipe.poll()
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    if not LINUX:
        yield
        return
    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    fcntl.fcntl(connection, fcntl.F_SETOWN, -os.getpgid(0))
    # Not SIGIO, which a method might ignore.
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(connection, fcntl.F_SETFL, flags)


def _child(connection: Connection, payload: bytes, environment: dict[str, str]) -> None:
    # The server that it was forked from has that of the time when the first child was asked for.
    os.environ.clear()
    os.environ.update(environment)
    # A group of its own can be killed whole, and Ctrl-C in the terminal is for the parent alone.
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # who means this one is heard
    if LINUX:  # what it starts stays its own, also if it turns into a daemon
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with _ending_with_parent(connection):
        outcome = _call(payload)
        try:
            answer = pickle.dumps(outcome)
        except Exception as error:
            reason = f"what it returned cannot be handed over: {_first_line(error)}"
            answer = pickle.dumps(Outcome("failed", reason=reason))
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the method may have used up all
        _kill(psutil.Process().children(recursive=True))
    connection.send_bytes(answer)
    connection.close()


def _call(payload: bytes) -> Outcome:
    # Compiled libraries print to the terminal; whoever watches has a progress bar there.
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        import torch

        torch.set_num_threads(int(os.environ[THREAD_VARIABLES[0]]))
        function, arguments = pickle.loads(payload)
        return Outcome("ok", function(*arguments))
    except BaseException as error:
        return _failure(error)


def _failure(error: BaseException) -> Outcome:
    """What is told of an exception: a sentence of ours as it is, any other with type and place."""
    text = str(error)
    if isinstance(error, RegistrationError):
        return Outcome(error.status, reason=text)
    if isinstance(error, LumirageError):
        status = "unavailable" if isinstance(error, SourceError) else "refused"
        return Outcome(status, reason=text)
    if isinstance(error, KeyboardInterrupt):
        return Outcome("killed", reason="interrupted from outside")
    if isinstance(error, MemoryError):
        return Outcome("out-of-memory", reason=text or "the allocation failed")
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    reason = f"{type(error).__name__}: {_first_line(error)} ({place})"
    if any(words in text.lower() for words in OUT_OF_MEMORY):
        return Outcome("out-of-memory", reason=reason)
    return Outcome("unavailable" if isinstance(error, UNAVAILABLE) else "failed", reason=reason)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error)[:REASON_LENGTH].splitlines()), "")


# ---- in the parent -------------------------------------------------------------------------------


def run_child(
    function: Callable[..., Any],
    *arguments: Any,
    timeout_seconds: float = 3600.0,
    threads: int = 1,
    memory_mb: float | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Call ``function(*arguments)`` in a child process.

    Parameters
    ----------
    function, arguments
        Anything that can be pickled. What is defined in the main script can be so only where that
        script keeps its work under ``if __name__ == "__main__"``; the script is else not run again.
    timeout_seconds : float
        The child is killed after this.
    threads : int
        How many threads the numerical libraries may use.
    memory_mb : float, optional
        The child is killed when it and what it started hold more resident memory than this.
    stop : threading.Event, optional
        Once it is set, the child is killed, whatever it was doing.

    Returns
    -------
    Outcome
        `status` is "ok"; "refused" (this library would not take the input), "failed", "non-finite",
        "out-of-memory" or "timeout", which are results; "killed" or "unavailable" (a file, a package
        or the disk), which pass; or, on `stop`, "interrupted".
    """
    payload = pickle.dumps((function, arguments))
    environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    receive, send = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(send, payload, {**os.environ, **environment}), daemon=True
    )
    with _main_hidden() if b"__main__" not in payload else contextlib.nullcontext():
        process.start()
    send.close()
    try:
        deadline = time.monotonic() + timeout_seconds
        while not receive.poll(max(0.0, min(LOOK_SECONDS, deadline - time.monotonic()))):
            if stop is not None and stop.is_set():
                return Outcome("interrupted", reason="the run was stopped")
            if time.monotonic() >= deadline:
                return Outcome("timeout", reason=f"stopped after {timeout_seconds:g} s")
            if memory_mb is not None and (held := _held_mb(process.pid)) > memory_mb:
                reason = f"stopped at {held:.0f} MB of memory, over the limit of {memory_mb:.0f} MB"
                return Outcome("out-of-memory", reason=reason)
        answer: Outcome = pickle.loads(receive.recv_bytes())
        return answer
    except (EOFError, OSError):  # it ended before, or in the middle of, its message
        process.join(10)
        return _end_of(process.exitcode)
    finally:
        if process.is_alive():
            _kill(_still(process.pid))
        process.join()
        receive.close()


def _end_of(code: int | None) -> Outcome:
    """What an exit code says: by these signals a process is ended from outside, not by a fault."""
    outside = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT, 137}
    reason = f"the process ended with code {code}"
    if code not in outside:
        return Outcome("failed", reason=reason)
    return Outcome("killed", reason=f"{reason}: killed by the system, as when memory runs out")


_hiding = threading.Lock()


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Within it a child started does not run the main script again, as multiprocessing would have it."""
    with _hiding:
        # The server it is forked from, which starts with the first, is not to be told of Ctrl-C either.
        multiprocessing.resource_tracker.ensure_running()  # it would lift the block
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        main = sys.modules["__main__"]
        kept: dict[str, Any] = {
            n: main.__dict__[n] for n in ("__file__", "__spec__") if n in main.__dict__
        }
        main.__dict__.pop("__file__", None)
        main.__spec__ = None
        try:
            yield
        finally:
            main.__dict__.update(kept)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _family(pid: int | None) -> list[psutil.Process]:
    """A process and all it started, itself last; none if it is gone."""
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []


def _still(pid: int | None) -> list[psutil.Process]:
    """A process and all it started, stopped, so that none of them starts another any more."""
    found: dict[psutil.Process, None] = {}
    while new := [process for process in _family(pid) if process not in found]:
        found |= dict.fromkeys(new)
        for process in reversed(new):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
                _wait_for_stop(process)
    return list(found)


def _wait_for_stop(process: psutil.Process, seconds: float = 1.0) -> None:
    """Until a signal to stop has its effect: a fork that is under way is finished before."""
    deadline = time.monotonic() + seconds
    while process.status() not in QUIET and time.monotonic() < deadline:
        time.sleep(0.002)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _held_mb(pid: int | None) -> float:
    held = 0
    for process in _family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            held += process.memory_info().rss
    return held / 2**20


def default_memory_mb() -> float:
    """90 % of the memory that this process may use: of the machine, its container or its own limit."""
    limits = [psutil.virtual_memory().total]
    with contextlib.suppress(OSError, ValueError):
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    own = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    limits += [limit for limit in own if limit != resource.RLIM_INFINITY]
    return float(0.9 * min(limits) / 2**20)
