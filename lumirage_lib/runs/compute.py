"""The one loop: what a list of tasks still lacks is computed and stored, row by row."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from ..cohorts import Scan
from ..cohorts.sources import Source, is_local
from ..errors import StoreError
from ..files import hash_of
from ..methods import get_method, missing
from .child import PASSING, Outcome, Usage, default_memory_mb, run_child
from .fields import has_field
from .machine import hardware
from .scoring import RULER
from .store import (
    Answer,
    drop_leases,
    read_alignment,
    read_answers,
    read_owners,
    renew_leases,
    take_lease,
    write_alignment,
    write_measures,
    write_registration,
)
from .task import Task
from .work import align_pair, measure_kept, prepare_scan, register_pair

PAIRS_AT_HAND = 6  # whose volumes lie in the scratch folder, some 300 MB each at 1 mm
LEASE_SECONDS = 60.0  # without a sign of life, then the work of a process is taken over
WAIT_SECONDS = 0.25


@dataclass(frozen=True)
class _Session:
    """What all registrations of one call share."""

    store: Path
    scratch: Path
    threads: int
    memory_mb: float
    keep_fields: bool
    slices_of: Callable[[Task], bool]
    before: Mapping[str, Answer]
    owner: str = field(
        default_factory=lambda: f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    )
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    recent: list[Path] = field(default_factory=list)

    def run(
        self, function: Callable[..., Any], *arguments: Any, seconds: float = 7200, threads: int = 1
    ) -> Outcome:
        """The outcome of a child; where the run was stopped nothing is known, so there is none."""
        outcome = run_child(
            function,
            *arguments,
            timeout_seconds=seconds,
            threads=threads,
            memory_mb=self.memory_mb,
            stop=self.stop,
        )
        if outcome.status == "interrupted":
            raise KeyboardInterrupt
        return outcome

    def folder_of(self, task: Task) -> Path:
        """Where the children of a pair share what they read; those of pairs before are removed."""
        folder = self.scratch / hash_of(task.images)
        with self.lock:
            self.recent[:] = [f for f in self.recent if f != folder] + [folder]
            while len(self.recent) > PAIRS_AT_HAND:
                shutil.rmtree(self.recent.pop(0), ignore_errors=True)
        return folder


# ---- what there is and what is lacking -----------------------------------------------------------


def pending(
    tasks: Sequence[Task],
    store: str | Path,
    *,
    retry_failed: bool = False,
    memory_mb: float | None = None,
) -> list[Task]:
    """The tasks the store does not answer yet, in order.

    A failure is an answer, unless its cause passes: the process was killed from outside, a file or
    the disk was not there; or memory ran out at a smaller limit than `memory_mb` (by default, 90 %
    of the machine's). With `retry_failed` none is.
    """
    have, limit = read_answers(store), memory_mb or default_memory_mb()

    def is_answered(task: Task) -> bool:
        answer = have.get(task.key)
        if answer is None or answer.status in PASSING:
            return False
        if answer.status == "out-of-memory" and limit > 1.05 * (answer.memory_limit_mb or limit):
            return False
        return answer.status == "ok" or not retry_failed

    return [task for task in tasks if not is_answered(task)]


def count_answers(tasks: Sequence[Task], store: str | Path) -> dict[str, int]:
    """How many tasks the store answers (reused), by a failure (failed), or not (skipped); new: 0."""
    have = read_answers(store)
    lacking = {task.key for task in pending(tasks, store)}
    found = [have[task.key].status for task in tasks if task.key not in lacking]
    reused = found.count("ok")
    return {"reused": reused, "new": 0, "failed": len(found) - reused, "skipped": len(lacking)}


def needs(tasks: Iterable[Task], *, weights: bool = True) -> list[Source]:
    """Public files the tasks read, each once: images, label maps and, if asked, weights."""
    found: dict[str, Source] = {}
    for task in tasks:
        cohort, spec = task.get_cohort(), get_method(task.method)
        files = [*cohort.sources(task.pair.fixed), *cohort.sources(task.pair.moving)]
        files += [spec.weights] if weights and spec.weights is not None else []
        found |= {source.name: source for source in files}
    return list(found.values())


def _runnable(tasks: Sequence[Task]) -> list[Task]:
    """The tasks whose package, weights and images are here."""
    absent = {t.method for t in tasks if missing(get_method(t.method)) is not None}
    remote = {s.name for s in needs(tasks, weights=False) if not is_local(s)}
    return [
        t
        for t in tasks
        if t.method not in absent
        and not remote.intersection(s.name for s in needs([t], weights=False))
    ]


def _to_measure(tasks: Iterable[Task], store: Path) -> list[Task]:
    """Registrations that an older ruler measured and whose displacement is kept."""
    have = read_answers(store)
    old = [
        t
        for t in tasks
        if t.key in have and have[t.key].status == "ok" and have[t.key].ruler < RULER
    ]
    return [t for t in old if has_field(t.key)]


def _to_prepare(tasks: Iterable[Task]) -> list[tuple[Task, Scan]]:
    """Every scan whose cohort prepares it, once, with a task that names the cohort.

    Those of the contrast that others are aligned by come first: what they make, others find.
    """
    found: dict[str, tuple[Task, Scan]] = {}
    for task in tasks:
        cohort = task.get_cohort()
        if cohort.prepare is not None:
            for scan in (task.pair.fixed, task.pair.moving):
                found.setdefault(cohort.fingerprint(scan), (task, scan))
    return sorted(found.values(), key=lambda item: item[0].get_cohort().aligned_by is not None)


# ---- the loop ------------------------------------------------------------------------------------


def compute(
    tasks: Sequence[Task],
    store: str | Path,
    *,
    jobs: int = 1,
    threads: int = 1,
    memory_mb: float | None = None,
    keep_fields: bool = True,
    retry_failed: bool = False,
    slices_of: Callable[[Task], bool] = lambda task: False,
    on_row: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, int]:
    """Compute what is missing, `jobs` registrations at a time, and store each as it ends.

    What an older ruler measured is measured again where its displacement is kept in the cache of
    this machine; elsewhere it stays as it is, the newer measures NaN: *not measured*.

    Parameters
    ----------
    tasks : sequence of Task
    store : path
        The results store. Several processes may use it at once: they share the work.
    jobs, threads : int
        Registrations at a time, and threads each may use.
    memory_mb : float, optional
        Resident memory that one registration may take; by default 90 % of the machine's.
    keep_fields : bool
        Keep displacements for measures to come (see :mod:`lumirage_lib.runs.fields`).
    retry_failed : bool
        Also compute again what failed for a reason that lasts.
    slices_of : callable
        Which tasks keep display slices for the panels.
    on_row : callable
        Called with every finished row, in the calling thread.

    Returns
    -------
    dict
        How many were reused and new; how many failed, now or before; and how many were skipped for
        want of a package, weights or images: nothing is downloaded here (see :func:`needs`).
    """
    store = Path(store)
    before = read_answers(store)
    memory_mb = memory_mb or default_memory_mb()
    todo = pending(tasks, store, retry_failed=retry_failed, memory_mb=memory_mb)
    runnable, lacking = _runnable(todo), {t.key for t in todo}
    counts = count_answers([t for t in tasks if t.key not in lacking], store)
    counts["skipped"] = len(todo) - len(runnable)
    again = _runnable(_to_measure((t for t in tasks if t.key not in lacking), store))
    with (
        _scratch() as folder,
        _at_work(
            _Session(store, folder, threads, memory_mb, keep_fields, slices_of, before)
        ) as session,
        ThreadPoolExecutor(max_workers=max(1, jobs)) as pool,
    ):
        try:
            # One that fails fails again, with its reason, in each registration of the scan.
            list(pool.map(lambda item: session.run(prepare_scan, *item), _to_prepare(runnable)))
            list(pool.map(lambda task: _measure_again(session, task), again))
            for how, row in _compute_all(session, pool, runnable):
                counts[how] += 1
                if row is not None:
                    on_row(row)
        except BaseException:
            session.stop.set()  # what is stored stays; what was in flight is computed another time
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return counts


def _compute_all(
    session: _Session, pool: ThreadPoolExecutor, tasks: list[Task]
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """ "new" or "failed" with its row, or "reused", for every task as it ends."""
    while tasks:
        futures = {pool.submit(_one, session, task): task for task in tasks}
        tasks = []
        for future in as_completed(futures):
            how, row = future.result()
            if how == "leased":  # another process is at it
                tasks.append(futures[future])
                continue
            yield how, row
        if tasks:
            time.sleep(WAIT_SECONDS)
            _take_over(session.store)


def _one(session: _Session, task: Task) -> tuple[str, dict[str, Any] | None]:
    """Register one pair in a child and store the row, also of a failure, if nobody else does."""
    if not take_lease(session.store, task.key, session.owner, LEASE_SECONDS):
        return "leased", None
    if not _is_lacking(session, task):
        drop_leases(session.store, key=task.key)
        return "reused", None
    alignment = _alignment_of(session, task)
    if isinstance(alignment, Outcome):
        outcome = alignment  # the shared alignment failed, and with it every method of the pair
    else:
        outcome = session.run(
            register_pair,
            task,
            alignment,
            session.folder_of(task),
            session.keep_fields,
            session.slices_of(task),
            seconds=get_method(task.method).timeout_seconds,
            threads=session.threads,
        )
    row, done = _row(task, outcome, session), outcome.value
    structures, slices = (done.structures, done.slices) if done else (pd.DataFrame(), None)
    write_registration(session.store, row, structures, slices)  # which ends the lease
    return ("new" if outcome.status == "ok" else "failed"), row


def _is_lacking(session: _Session, task: Task) -> bool:
    """Whether no other process has finished the task since this one made its list."""
    before, now = session.before.get(task.key), read_answers(session.store, [task.key])
    return now.get(task.key) == before


def _alignment_of(session: _Session, task: Task) -> list[list[float]] | Outcome:
    """The stored alignment of the pair; the first method that asks estimates it for all."""
    key, store = task.alignment_key, session.store
    while (found := read_alignment(store, key)) is None:
        if session.stop.is_set():
            raise KeyboardInterrupt
        if not take_lease(store, key, session.owner, LEASE_SECONDS):
            time.sleep(WAIT_SECONDS)
            continue
        try:
            outcome = session.run(align_pair, task, seconds=1800)
            if outcome.status != "ok":
                return outcome
            matrix, usage = outcome.value
            row = {
                "key": key,
                "kind": task.preprocessing.alignment,
                "fixed": task.pair.fixed.id,
                "moving": task.pair.moving.id,
                "matrix": json.dumps(matrix.tolist()),
                "seconds": usage.seconds,
                "cpu_seconds": usage.cpu_seconds,
                "threads": 1,
            }
            write_alignment(store, row)
        finally:
            drop_leases(store, key=key)
    matrix_found: list[list[float]] = found["matrix"]
    return matrix_found


def _measure_again(session: _Session, task: Task) -> None:
    """Replace what an older ruler measured, if the kept displacement still can be read."""
    measured = session.run(measure_kept, task, session.folder_of(task)).value
    if measured is not None:
        write_measures(session.store, task.key, measured.measures, measured.structures, RULER)


def _row(task: Task, outcome: Outcome, session: _Session) -> dict[str, Any]:
    """The row of one registration, whether it went well or not."""
    spec, pair, done = get_method(task.method), task.pair, outcome.value
    return {
        "key": task.key,
        "cohort": task.cohort,
        "kind": pair.kind,
        "fixed": pair.fixed.id,
        "moving": pair.moving.id,
        "fixed_subject": pair.fixed.subject,
        "moving_subject": pair.moving.subject,
        "preprocessing": task.preprocessing.name,
        "method": spec.id,
        "family": spec.family,
        "parameters": json.dumps(task.full_parameters(), sort_keys=True),
        "version": spec.version,
        "weights": spec.weights.sha256 if spec.weights else None,
        "status": outcome.status,
        "reason": outcome.reason,
        **asdict(done.usage if done else Usage()),
        "threads": session.threads,
        "working_shape": done.working_shape if done else None,
        "spacing_mm": done.spacing_mm if done else None,
        "measures": done.measures if done else None,
        "ruler": RULER,
        "hardware": hardware(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "internal_mm": spec.find_finest_mm(done.spacing_mm) if done else None,
        "memory_limit_mb": session.memory_mb,
    }


# ---- beside other processes ----------------------------------------------------------------------


@contextlib.contextmanager
def _at_work(session: _Session) -> Iterator[_Session]:
    """Within the block the session's leases are renewed; after it none is left."""
    _take_over(session.store)
    done = threading.Event()

    def renew() -> None:
        while not done.wait(LEASE_SECONDS / 4):
            with contextlib.suppress(StoreError):
                renew_leases(session.store, session.owner, LEASE_SECONDS)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield session
    finally:
        done.set()
        thread.join()
        with contextlib.suppress(StoreError):
            drop_leases(session.store, owner=session.owner)


def _take_over(store: Path) -> None:
    """End the leases of processes of this machine that have died; others' expire."""
    for owner in read_owners(store):
        host, pid, _ = owner.rsplit(":", 2)
        if host == platform.node() and not psutil.pid_exists(int(pid)):
            drop_leases(store, owner=owner)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder of this run alone; what killed runs have left is removed first."""
    for folder in Path(tempfile.gettempdir()).glob("lumirage-run-*"):
        if not psutil.pid_exists(int(folder.name.split("-")[2])):
            shutil.rmtree(folder, ignore_errors=True)
    prefix = f"lumirage-run-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        yield Path(name)
