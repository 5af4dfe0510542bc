"""The one loop: cohort x pairs x preprocessing x methods -> rows in the store."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ..cohorts import Cohort, Pair, Scan, get_cohort
from ..cohorts.sources import Source, fetch, is_local
from ..errors import InputError
from ..images.linear import align
from ..images.preprocess import STANDARD, Preprocessing, prepare_image, prepare_pair
from ..images.warp import to_native
from ..methods import get_method, missing, run_method
from . import store as results
from .child import measure, run_child
from .scoring import display_slices, score

# Raised when what is measured of a displacement changes; rows of an older ruler are measured again.
RULER = 1
ALIGNMENT = 1  # raised when the shared linear alignment changes


def hash_of(content) -> str:
    """Short stable hash of anything JSON can hold."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Task:
    """One registration to do: everything that determines its result, by name.

    `cohort_options` and `parameters` are sorted tuples of items so that a task can be hashed;
    `parameters` holds only what differs from the method's defaults.
    """

    cohort: str
    cohort_options: tuple
    pair: Pair
    method: str
    parameters: tuple = ()
    preprocessing: Preprocessing = STANDARD

    def get_cohort(self):
        return get_cohort(self.cohort, **dict(self.cohort_options))

    def full_parameters(self) -> dict:
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in self.parameters}
        return get_method(self.method).with_parameters(given)

    @property
    def images(self) -> list[str]:
        cohort = self.get_cohort()
        return [cohort.fingerprint(self.pair.fixed), cohort.fingerprint(self.pair.moving)]

    @property
    def alignment_key(self) -> str:
        # The affine of a pair is one for all its contrasts: that of the images it was estimated on.
        cohort = _aligning(self.get_cohort())
        images = [cohort.fingerprint(self.pair.fixed), cohort.fingerprint(self.pair.moving)]
        return hash_of(["alignment", ALIGNMENT, images, self.preprocessing.alignment])

    @property
    def key(self) -> str:
        """Hash of pair, preprocessing, method, parameters, version and weights."""
        spec = get_method(self.method)
        return hash_of(
            {
                "images": self.images,
                "preprocessing": self.preprocessing.as_dict(),
                "alignment": ALIGNMENT,
                "method": spec.id,
                # What is None is not said, so that a new field leaves old results valid.
                "input": {k: v for k, v in asdict(spec.input).items() if v is not None},
                "parameters": self.full_parameters(),
                "version": spec.version,
                "weights": spec.weights.sha256 if spec.weights else None,
            }
        )


def _aligning(cohort: Cohort) -> Cohort:
    return cohort.aligned_by or cohort


def plan(
    cohort: str,
    pairs: Iterable[Pair],
    methods: Sequence[str] | Mapping[str, Mapping],
    *,
    cohort_options: Mapping | None = None,
    preprocessing: Sequence[Preprocessing] = (STANDARD,),
    limits: Mapping[str, int] | None = None,
) -> list[Task]:
    """Every registration of an experiment, pair by pair.

    Parameters
    ----------
    methods : names, or mapping of name to parameters that differ from the defaults
    limits : mapping, optional
        Method -> number of pairs (the first ones), for methods too slow for all.
    """
    methods = methods if isinstance(methods, Mapping) else {m: {} for m in methods}
    options = tuple(sorted((cohort_options or {}).items()))
    limits = limits or {}
    for name in limits:
        if name not in methods:
            raise InputError(f"limit for {name!r}, which is not among the methods {list(methods)}")
    tasks = []
    for number, pair in enumerate(pairs):
        for name, given in methods.items():
            get_method(name).with_parameters(given)  # refuses an unknown name before anything runs
            frozen = tuple(
                sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in given.items())
            )
            if number < limits.get(name, number + 1):
                tasks += [Task(cohort, options, pair, name, frozen, p) for p in preprocessing]
    return tasks


# ---- what happens in the child -------------------------------------------------------------------


def _prepare(task: Task, scan: Scan):
    task.get_cohort().prepare(scan)


def _align(task: Task):
    cohort = _aligning(task.get_cohort())
    fixed, moving = cohort.load_image(task.pair.fixed), cohort.load_image(task.pair.moving)
    with measure() as usage:
        matrix = align(fixed, moving, task.preprocessing.alignment)
    return matrix, usage


def compute_displacement(task: Task, alignment: np.ndarray):
    """Register one pair: native displacement, what it took, and the working grid's shape."""
    cohort, spec = task.get_cohort(), get_method(task.method)
    fixed, moving = cohort.load_image(task.pair.fixed), cohort.load_image(task.pair.moving)
    parameters = task.full_parameters()
    if spec.weights is not None:
        parameters["weights"] = str(fetch(spec.weights, quiet=True))
    images = prepare_pair(fixed, moving, task.preprocessing, alignment)
    with measure() as usage:
        field = run_method(spec, images, parameters)
    native = to_native(field, images.to_fixed, images.to_moving, fixed.shape)
    return native, usage, images


def _register(task: Task, alignment: list, keep: str | None, with_slices: bool):
    native, usage, images = compute_displacement(task, np.array(alignment))
    if keep:
        Path(keep).parent.mkdir(parents=True, exist_ok=True)
        np.save(keep, native)
    cohort = task.get_cohort()
    measures, structures = score(cohort, task.pair, native)
    slices = display_slices(cohort, task.pair, native) if with_slices else None
    working = {"working_shape": "x".join(map(str, images.fixed.shape))}
    working["spacing_mm"] = float(np.prod(images.spacing_mm) ** (1 / 3))
    return usage, working, measures, structures, slices


# ---- what happens in the parent ------------------------------------------------------------------


def hardware() -> str:
    """Processor and device in one line, for the provenance of a timing."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return name


def _row(task: Task, status: str, reason: str, usage, threads: int, working=None, measures=None):
    spec, pair = get_method(task.method), task.pair
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
        "status": status,
        "reason": reason,
        **(
            asdict(usage)
            if usage
            else dict.fromkeys(("seconds", "cpu_seconds", "peak_mb", "method_mb"))
        ),
        "threads": threads,
        **(working or {"working_shape": None, "spacing_mm": None}),
        "measures": measures,
        "ruler": RULER,
        "hardware": hardware(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def pending(tasks: Sequence[Task], store: str | Path, *, retry_failed: bool = False) -> list[Task]:
    """The tasks the store does not answer yet, in order."""
    have = results.read_keys(store, RULER)
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


def _to_prepare(tasks: Iterable[Task]) -> list[tuple[Task, Scan]]:
    """Every scan whose cohort prepares it, once, with a task that names the cohort."""
    found = {}
    for task in tasks:
        cohort = task.get_cohort()
        if cohort.prepare is not None:
            for scan in (task.pair.fixed, task.pair.moving):
                found.setdefault(_aligning(cohort).fingerprint(scan), (task, scan))
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
    on_row: Callable[[dict], None] = lambda row: None,
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
    absent = {t.method: missing(get_method(t.method)) for t in todo}
    remote = {s.name for s in needs(todo, weights=False) if not is_local(s)}
    runnable = [
        t
        for t in todo
        if absent[t.method] is None
        and not remote.intersection(s.name for s in needs([t], weights=False))
    ]
    counts = {
        "reused": len(tasks) - len(todo),
        "new": 0,
        "failed": 0,
        "skipped": len(todo) - len(runnable),
    }
    locks = {t.alignment_key: threading.Lock() for t in runnable}
    stop = threading.Event()
    run = functools.partial(run_child, threads=threads, stop=stop)
    folder = Path(store).parent / "displacements"

    def alignment_of(task: Task):
        with locks[task.alignment_key]:  # the first method of a pair estimates it for all
            found = results.read_alignment(store, task.alignment_key)
            if found is None:
                outcome = run(_align, task, timeout_seconds=1800)
                if outcome.status != "ok":
                    return outcome
                matrix, usage = outcome.value
                found = {
                    "key": task.alignment_key,
                    "kind": task.preprocessing.alignment,
                    "fixed": task.pair.fixed.id,
                    "moving": task.pair.moving.id,
                    "matrix": json.dumps(matrix.tolist()),
                    "seconds": usage.seconds,
                    "cpu_seconds": usage.cpu_seconds,
                }
                results.write_alignment(store, found)
                # Another process may have been first; then all use its estimate.
                found = results.read_alignment(store, task.alignment_key)
            return found["matrix"]

    def one(task: Task) -> dict:
        alignment = alignment_of(task)
        keep = str(folder / f"{task.key}.npy") if keep_displacements else None
        if isinstance(alignment, list):
            outcome = run(
                _register,
                task,
                alignment,
                keep,
                slices_of(task),
                timeout_seconds=get_method(task.method).timeout_seconds,
            )
        else:
            outcome = alignment  # the shared alignment failed, and with it every method of the pair
        if outcome.status == "interrupted":
            raise KeyboardInterrupt  # nothing is known of it, so there is no row
        if outcome.status != "ok":
            row = _row(task, outcome.status, outcome.reason, None, threads)
            results.write_registration(store, row, pd.DataFrame())
            return row
        usage, working, measures, structures, slices = outcome.value
        row = _row(task, "ok", "", usage, threads, working, measures)
        results.write_registration(store, row, structures, slices)
        return row

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        try:
            # One that fails fails again, with its reason, in each registration of the scan.
            list(pool.map(lambda item: run(_prepare, *item), _to_prepare(runnable)))
            futures = [pool.submit(one, task) for task in runnable]
            for future in as_completed(futures):
                row = future.result()
                counts["new" if row["status"] == "ok" else "failed"] += 1
                on_row(row)
        except BaseException:
            stop.set()  # what is stored stays; what was in flight is computed another time
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return counts


def prepared_image(task: Task, which: str = "fixed"):
    """One image as the preprocessing leaves it, for figures."""
    cohort = task.get_cohort()
    scan = task.pair.fixed if which == "fixed" else task.pair.moving
    return prepare_image(cohort.load_image(scan), task.preprocessing)
