"""The one loop: what a list of tasks still lacks is computed and stored, row by row."""

import contextlib
import json
import os
import platform
import threading
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pandas as pd
import psutil

from ..cohorts.sources import Source, is_local
from ..errors import StoreError
from ..methods import get_method, missing
from ..metrics import RULER
from .child import PASSING, Outcome, Usage, default_memory_mb
from .executors import Executor, Submit
from .executors.local import Local
from .fields import has_field
from .store import (
    Answer,
    drop_leases,
    open_store,
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
from .workplace import Done, Settings, align, measure_again, register

LEASE_SECONDS = 60.0  # without a sign of life, then the work of a process is taken over
WAIT_SECONDS = 0.25


@dataclass(frozen=True)
class _Session:
    """What all registrations of one call share."""

    store: Path
    submit: Submit
    settings: Settings
    slices_of: Callable[[Task], bool]
    before: Mapping[str, Answer]
    alignments: dict[str, list[list[float]]] = field(default_factory=dict)
    finished: SimpleQueue[Future[Any]] = field(default_factory=SimpleQueue)

    def start(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future = self.submit(step, *arguments)
        future.add_done_callback(self.finished.put)
        return future


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


def count_answers(
    tasks: Sequence[Task], store: str | Path, memory_mb: float | None = None
) -> dict[str, int]:
    """How many tasks the store answers (reused), by a failure (failed), or not (skipped); new: 0."""
    have = read_answers(store)
    lacking = {task.key for task in pending(tasks, store, memory_mb=memory_mb)}
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


# ---- the loop ------------------------------------------------------------------------------------


def compute(
    tasks: Sequence[Task],
    store: str | Path,
    *,
    executor: Executor | None = None,
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
    executor : Executor, optional
        Where registrations are carried out; by default on this machine, `jobs` at a time.
    jobs, threads : int
        Registrations at a time, and threads each may use.
    memory_mb : float, optional
        Resident memory that one registration may take; by default 90 % of that of the machine it
        is on.
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
    executor = executor or Local(max(1, jobs))
    todo = pending(tasks, store, retry_failed=retry_failed, memory_mb=memory_mb)
    runnable, lacking = _runnable(todo), {t.key for t in todo}
    counts = count_answers([t for t in tasks if t.key not in lacking], store, memory_mb)
    counts["skipped"] = len(todo) - len(runnable)
    again = _runnable(_to_measure((t for t in tasks if t.key not in lacking), store))
    owner = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    settings = Settings(owner, threads, memory_mb, keep_fields)
    with _at_work(store, owner), executor.session(settings) as submit:
        session = _Session(store, submit, settings, slices_of, before)
        _measure_all_again(session, again)
        for how, row in _compute_all(session, runnable, executor):
            counts[how] += 1
            if row is not None:
                on_row(row)
    return counts


def _measure_all_again(session: _Session, tasks: Sequence[Task]) -> None:
    """Replace what an older ruler measured; what cannot be measured again is warned of and stays."""
    reasons = list[str]()
    for task, future in [(task, session.submit(measure_again, task)) for task in tasks]:
        outcome = future.result()
        if outcome.status != "ok":
            reasons.append(f"{task.method} on {task.pair.id}: {outcome.reason or outcome.status}")
        elif (found := outcome.value) is not None:
            write_measures(session.store, task.key, found.measures, found.structures, RULER)
    if reasons:
        warnings.warn(
            f"{len(reasons)} of {len(tasks)} registrations could not be measured again and have the "
            f"measures they had; the first, {reasons[0]}",
            stacklevel=3,
        )


def _compute_all(
    session: _Session, tasks: Sequence[Task], executor: Executor
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """ "new" or "failed" with its row, or "reused", for every task as it ends.

    This process alone writes. Of every pair the alignment is carried out first, unless it is
    stored, and then its methods; at most so many steps are under way that nobody waits for one.
    """
    store, owner = session.store, session.settings.owner
    waiting, leased = deque(tasks), list[Task]()
    registering: dict[Future[Any], Task] = {}
    aligning: dict[Future[Any], str] = {}
    parked: dict[str, list[Task]] = {}  # by the alignment that they wait for
    while waiting or leased or registering or aligning:
        while waiting and len(registering) + len(aligning) < executor.capacity:
            task = waiting.popleft()
            key = task.alignment_key
            if not take_lease(store, task.key, owner, LEASE_SECONDS):
                leased.append(task)  # another process is at it
            elif not _is_lacking(session, task):
                drop_leases(store, key=task.key)
                yield "reused", None
            elif key in parked:
                parked[key].append(task)
            elif _has_alignment(session, task):
                registering[_register(session, task)] = task
            elif take_lease(store, key, owner, LEASE_SECONDS):
                parked[key] = [task]
                aligning[session.start(align, task)] = key
            else:
                drop_leases(store, key=task.key)
                leased.append(task)
        try:
            future = session.finished.get(timeout=WAIT_SECONDS)
        except Empty:
            if leased and not waiting:
                _take_over(store)
                waiting, leased = deque(leased), []
            continue
        done = _result(future)
        if future in registering:
            yield _store(session, registering.pop(future), done)
            continue
        pair = parked.pop(aligning.pop(future))
        _store_alignment(session, pair[0], done.outcome)
        for task in pair:
            if done.outcome.status == "ok":
                registering[_register(session, task)] = task
            else:  # the shared alignment failed, and with it every method of the pair
                yield _store(session, task, done)


def _has_alignment(session: _Session, task: Task) -> bool:
    key = task.alignment_key
    if key not in session.alignments and (found := read_alignment(session.store, key)) is not None:
        session.alignments[key] = found["matrix"]
    return key in session.alignments


def _register(session: _Session, task: Task) -> Future[Any]:
    alignment = session.alignments[task.alignment_key]
    return session.start(register, task, alignment, session.slices_of(task))


def _result(future: Future[Any]) -> Done:
    done: Done = future.result()
    if done.outcome.status == "interrupted":
        raise KeyboardInterrupt  # nothing is known of it, so no row is made of it
    return done


def _store(session: _Session, task: Task, done: Done) -> tuple[str, dict[str, Any]]:
    """Store the row of one registration, also of a failure; this ends its lease."""
    row, value = _row(task, done, session.settings.threads), done.outcome.value
    structures, slices = (value.structures, value.slices) if value else (pd.DataFrame(), None)
    write_registration(session.store, row, structures, slices)
    return ("new" if done.outcome.status == "ok" else "failed"), row


def _store_alignment(session: _Session, task: Task, outcome: Outcome) -> None:
    """Store an alignment that went well; its lease ends in any case."""
    key = task.alignment_key
    if outcome.status == "ok":
        matrix, usage = outcome.value
        session.alignments[key] = matrix.tolist()
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
        write_alignment(session.store, row)
    drop_leases(session.store, key=key)


def _is_lacking(session: _Session, task: Task) -> bool:
    """Whether no other process has finished the task since this one made its list."""
    before, now = session.before.get(task.key), read_answers(session.store, [task.key])
    return now.get(task.key) == before


def _row(task: Task, ended: Done, threads: int) -> dict[str, Any]:
    """The row of one registration, whether it went well or not."""
    outcome = ended.outcome
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
        "threads": threads,
        "working_shape": done.working_shape if done else None,
        "spacing_mm": done.spacing_mm if done else None,
        "measures": done.measures if done else None,
        "ruler": RULER,
        "hardware": ended.hardware,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "internal_mm": spec.find_finest_mm(done.spacing_mm) if done else None,
        "memory_limit_mb": ended.memory_mb,
    }


# ---- beside other processes ----------------------------------------------------------------------


@contextlib.contextmanager
def _at_work(store: Path, owner: str) -> Iterator[None]:
    """Within the block the owner's leases are renewed; after it none is left."""
    _take_over(store)
    done = threading.Event()

    def renew() -> None:
        # Held open all the while: SQLite tidies up, 20 ms, when the last connection to a file closes.
        with contextlib.suppress(StoreError), open_store(store):
            while not done.wait(LEASE_SECONDS / 4):
                with contextlib.suppress(StoreError):
                    renew_leases(store, owner, LEASE_SECONDS)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        with contextlib.suppress(StoreError):
            drop_leases(store, owner=owner)


def _take_over(store: Path) -> None:
    """End the leases of processes of this machine that have died; others' expire."""
    for owner in read_owners(store):
        host, _, rest = owner.rpartition(":")[0].rpartition(":")
        dead = rest.isdecimal() and not psutil.pid_exists(int(rest))
        if host == platform.node() and dead:
            drop_leases(store, owner=owner)
