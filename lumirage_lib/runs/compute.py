"""The one loop: what a list of tasks still lacks is computed and stored, row by row."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from ..cohorts import Scan
from ..cohorts.sources import Source, is_local
from ..methods import get_method, missing
from .child import Outcome, Usage, run_child
from .machine import hardware
from .scoring import RULER
from .store import read_alignment, read_keys, write_alignment, write_registration
from .task import Task
from .work import align_pair, prepare_scan, register_pair


@dataclass(frozen=True)
class _Session:
    """What all registrations of one call share."""

    store: Path
    threads: int
    keep: bool
    slices_of: Callable[[Task], bool]
    locks: Mapping[str, threading.Lock]
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, function: Callable[..., Any], *arguments: Any, seconds: float = 3600) -> Outcome:
        return run_child(
            function, *arguments, timeout_seconds=seconds, threads=self.threads, stop=self.stop
        )


def pending(tasks: Sequence[Task], store: str | Path, *, retry_failed: bool = False) -> list[Task]:
    """The tasks the store does not answer yet, in order."""
    have = read_keys(store, RULER)
    return [t for t in tasks if t.key not in have or (retry_failed and have[t.key] != "ok")]


def needs(tasks: Iterable[Task], *, weights: bool = True) -> list[Source]:
    """Public files the tasks read, each once: images, label maps and, if asked, weights."""
    found: dict[str, Source] = {}
    for task in tasks:
        cohort, spec = task.get_cohort(), get_method(task.method)
        files = [*cohort.sources(task.pair.fixed), *cohort.sources(task.pair.moving)]
        files += [spec.weights] if weights and spec.weights is not None else []
        found |= {source.name: source for source in files}
    return list(found.values())


def compute(
    tasks: Sequence[Task],
    store: str | Path,
    *,
    jobs: int = 1,
    threads: int = 1,
    keep_displacements: bool = False,
    retry_failed: bool = False,
    slices_of: Callable[[Task], bool] = lambda task: False,
    on_row: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, int]:
    """Compute what is missing, `jobs` registrations at a time, and store each as it ends.

    Parameters
    ----------
    tasks : sequence of Task
    store : path
        The results store; may be used by several processes at once.
    jobs, threads : int
        Registrations at a time, and threads each may use.
    keep_displacements : bool
        Also write every native displacement as ``displacements/KEY.npy`` beside the store.
    slices_of : callable
        Which tasks keep display slices for the panels.
    on_row : callable
        Called with every finished row, in the calling thread.

    Returns
    -------
    dict
        How many were reused, new and failed, and skipped for want of a package, weights or images;
        nothing is downloaded here (see :func:`needs`).
    """
    todo = pending(tasks, store, retry_failed=retry_failed)
    runnable = _runnable(todo)
    counts = {
        "reused": len(tasks) - len(todo),
        "new": 0,
        "failed": 0,
        "skipped": len(todo) - len(runnable),
    }
    locks = {t.alignment_key: threading.Lock() for t in runnable}
    session = _Session(Path(store), threads, keep_displacements, slices_of, locks)
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        try:
            # One that fails fails again, with its reason, in each registration of the scan.
            scans = _to_prepare(runnable)
            list(pool.map(lambda item: session.run(prepare_scan, *item), scans))
            futures = [pool.submit(_one, session, task) for task in runnable]
            for future in as_completed(futures):
                row = future.result()
                counts["new" if row["status"] == "ok" else "failed"] += 1
                on_row(row)
        except BaseException:
            session.stop.set()  # what is stored stays; what was in flight is computed another time
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return counts


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


def _one(session: _Session, task: Task) -> dict[str, Any]:
    """Register one pair in a child and store the row, also of a failure."""
    alignment = _alignment_of(session, task)
    if isinstance(alignment, Outcome):
        outcome = alignment  # the shared alignment failed, and with it every method of the pair
    else:
        keep = session.store.parent / "displacements" / f"{task.key}.npy"
        outcome = session.run(
            register_pair,
            task,
            alignment,
            str(keep) if session.keep else None,
            session.slices_of(task),
            seconds=get_method(task.method).timeout_seconds,
        )
    if outcome.status == "interrupted":
        raise KeyboardInterrupt  # nothing is known of it, so there is no row
    row = _row(task, outcome, session.threads)
    done = outcome.value
    structures, slices = (done.structures, done.slices) if done else (pd.DataFrame(), None)
    write_registration(session.store, row, structures, slices)
    return row


def _alignment_of(session: _Session, task: Task) -> list[list[float]] | Outcome:
    """The stored alignment of the pair; the first method that asks estimates it for all."""
    with session.locks[task.alignment_key]:
        found = read_alignment(session.store, task.alignment_key)
        if found is None:
            outcome = session.run(align_pair, task, seconds=1800)
            if outcome.status != "ok":
                return outcome
            matrix, usage = outcome.value
            row = {
                "key": task.alignment_key,
                "kind": task.preprocessing.alignment,
                "fixed": task.pair.fixed.id,
                "moving": task.pair.moving.id,
                "matrix": json.dumps(matrix.tolist()),
                "seconds": usage.seconds,
                "cpu_seconds": usage.cpu_seconds,
            }
            write_alignment(session.store, row)
            # Another process may have been first; then all use its estimate.
            found = read_alignment(session.store, task.alignment_key)
        return found["matrix"]


def _row(task: Task, outcome: Outcome, threads: int) -> dict[str, Any]:
    """The row of one registration, whether it went well or not."""
    spec, pair, done = get_method(task.method), task.pair, outcome.value
    usage = done.usage if done else Usage(None, None, None, None)
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
        **asdict(usage),
        "threads": threads,
        "working_shape": done.working_shape if done else None,
        "spacing_mm": done.spacing_mm if done else None,
        "measures": done.measures if done else None,
        "ruler": RULER,
        "hardware": hardware(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
