"""The steps of a run in the process that carries them out, each of them in a child of its own.

Scans are prepared when the first registration that reads them is due, not before; the children of a
pair share what they read in a scratch folder.
"""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ..files import hash_of
from ..methods import get_method
from .child import Outcome, default_memory_mb, run_child
from .machine import hardware
from .task import Task
from .work import align_pair, measure_kept, prepare_scan, register_pair

PAIRS_AT_HAND = 6  # whose volumes lie in the scratch folder, some 300 MB each at 1 mm


@dataclass(frozen=True)
class Settings:
    """What all steps of one run share, wherever they are carried out.

    `memory_mb` is what a child may hold; None: 90 % of the memory of the machine that it is on.
    """

    owner: str
    threads: int = 1
    memory_mb: float | None = None
    keep_fields: bool = True


@dataclass(frozen=True)
class Done:
    """A step that was carried out, and where."""

    outcome: Outcome
    hardware: str = ""
    memory_mb: float = float("nan")


@dataclass(frozen=True)
class Workplace:
    """One process's part in a run."""

    settings: Settings
    scratch: Path
    memory_mb: float
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    recent: list[Path] = field(default_factory=list)
    prepared: dict[str, Outcome] = field(default_factory=dict)
    at_it: dict[str, threading.Lock] = field(default_factory=dict)

    def run(
        self, function: Callable[..., Any], *arguments: Any, seconds: float = 7200, threads: int = 1
    ) -> Outcome:
        return run_child(
            function,
            *arguments,
            timeout_seconds=seconds,
            threads=threads,
            memory_mb=self.memory_mb,
            stop=self.stop,
        )

    def folder_of(self, task: Task) -> Path:
        """Where the children of a pair share what they read; those of pairs before are removed."""
        folder = self.scratch / hash_of(task.images)
        with self.lock:
            self.recent[:] = [f for f in self.recent if f != folder] + [folder]
            while len(self.recent) > PAIRS_AT_HAND:
                shutil.rmtree(self.recent.pop(0), ignore_errors=True)
        return folder

    def prepare(self, task: Task) -> Outcome:
        """Make what reading the pair needs, each scan once; the first failure, which is remembered."""
        cohort, scans = task.get_cohort(), {}
        if cohort.prepare is not None:
            scans = {cohort.fingerprint(scan): scan for scan in (task.pair.fixed, task.pair.moving)}
        locks = {name: self.at_it.setdefault(name, threading.Lock()) for name in scans}
        # First the one that no other step of this process is at.
        for name in sorted(scans, key=lambda name: locks[name].locked()):
            with locks[name]:
                if name not in self.prepared:
                    self.prepared[name] = self.run(prepare_scan, task, scans[name])
            if self.prepared[name].status != "ok":
                return self.prepared[name]
        return Outcome("ok")

    def end(self, outcome: Outcome) -> Done:
        return Done(outcome, hardware(), self.memory_mb)


@contextlib.contextmanager
def open_workplace(settings: Settings) -> Iterator[Workplace]:
    """A workplace with a scratch folder of its own, removed in the end."""
    memory_mb = settings.memory_mb or default_memory_mb()
    with _scratch() as folder:
        yield Workplace(settings, folder, memory_mb)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder of this run alone; what killed runs have left is removed first."""
    for folder in Path(tempfile.gettempdir()).glob("lumirage-run-*"):
        pid = folder.name.split("-")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    prefix = f"lumirage-run-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        yield Path(name)


# ---- the steps -----------------------------------------------------------------------------------


def align(place: Workplace, task: Task) -> Done:
    """The shared alignment of a pair; one thread, so that it is the same everywhere."""
    ready = place.prepare(task)
    if ready.status != "ok":
        return place.end(ready)
    return place.end(place.run(align_pair, task, seconds=1800))


def register(place: Workplace, task: Task, alignment: list[list[float]], with_slices: bool) -> Done:
    """One registration, measured; see :func:`lumirage_lib.runs.work.register_pair`."""
    ready = place.prepare(task)
    if ready.status != "ok":
        return place.end(ready)
    settings = place.settings
    folder = place.folder_of(task)
    outcome = place.run(
        *(register_pair, task, alignment, folder, settings.keep_fields, with_slices),
        seconds=get_method(task.method).timeout_seconds,
        threads=settings.threads,
    )
    return place.end(outcome)


def measure_again(place: Workplace, task: Task) -> Outcome:
    """`Measured` by a newer ruler of a kept displacement, or None where that is there no more."""
    ready = place.prepare(task)
    if ready.status != "ok":
        return ready
    return place.run(measure_kept, task, place.folder_of(task))
