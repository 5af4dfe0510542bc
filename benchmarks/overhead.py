"""What a registration costs beside the registration: plan, queue, child process, row.

    python benchmarks/overhead.py [--tasks 10000] [--workers 2]

Tasks that do nothing go the whole way through the dask executor (leases, placement, transport, result,
row), but for the child process; its start is measured alone, and in a shorter run with it. Rows are
written as those of the tasks, and as the published ones with all their structures. From
these follow the size of a store and what a million registrations would take. Writes overhead.csv, and
overhead.md, which the book includes.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

# Before the libraries: workers import this module by name.
os.environ["PYTHONPATH"] = f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"

import numpy as np
import pandas as pd

from lumirage_lib.cohorts import Cohort, Pair, Scan
from lumirage_lib.files import hash_of
from lumirage_lib.images.preprocess import Preprocessing
from lumirage_lib.images.volumes import Volume
from lumirage_lib.methods import MethodSpec
from lumirage_lib.runs import store as stored
from lumirage_lib.runs.child import Outcome, Usage, run_child
from lumirage_lib.runs.compute import compute
from lumirage_lib.runs.executors import cluster
from lumirage_lib.runs.profiles import project_root
from lumirage_lib.runs.task import Task
from lumirage_lib.runs.work import Registered
from lumirage_lib.runs.workplace import Done, align

HERE = Path(__file__)
PUBLISHED = project_root() / "results" / "open"
MILLION = 1_000_000
CORES = 64  # of a node, in what a million registrations would take
NODES = (1, 10, 100)
SHAPE = (16, 18, 20)
LABELS = pd.DataFrame(
    {"name": list("abcd"), "group": "none"}, index=pd.Index([1, 2, 3, 4], name="label")
)
SCANS = (Scan("1", "A"), Scan("2", "B"))


def load_image(scan: Scan) -> Volume:
    data = np.zeros(SHAPE, np.float32)
    data[4:12, 4:14, 4:16] = int(scan.id)
    return Volume(data, np.eye(4), scan.id)


def load_labels(scan: Scan, label_set: str) -> Volume:
    data = np.zeros(SHAPE, np.int16)
    data[4:12, 4:14, 4:16] = np.arange(4, 16) // 3
    return Volume(data, np.eye(4), scan.id)


COHORT = Cohort(
    "nothing", SCANS, load_image, load_labels, {"manual": LABELS}, lambda scan: f"nothing-{scan.id}"
)


def leave(fixed, moving, affine, *, number: int) -> np.ndarray:
    return np.zeros((3, *fixed.shape), np.float32)


NOTHING = MethodSpec("nothing", "baseline", leave, "1", "nobody", {"number": 0})


def plan(n: int) -> list[Task]:
    how = Preprocessing("none", (), "centre", ())
    pair = Pair(*SCANS)
    return [
        Task("overhead:COHORT", (), pair, "overhead:NOTHING", (("number", i),), how)
        for i in range(n)
    ]


def carry_nothing(settings, step, task, *rest) -> Done:
    """What a worker is told to do instead of the step: a row of four structures, from nowhere."""
    if step is align:
        return Done(Outcome("ok", (np.eye(4), Usage(0.0, 0.0))))
    table = pd.DataFrame(
        {"label_set": "manual", "rule": "nearest", "label": LABELS.index, "dice": 1.0}
    )
    return Done(Outcome("ok", Registered({"dice": 1.0}, table, Usage(), "1x1x1", 1.0, None)))


# ---- measured ------------------------------------------------------------------------------------


def time_tasks(n: int, workers: int, folder: Path, *, children: bool) -> tuple[float, float]:
    """Milliseconds a task, from the plan to the last row, by the clock and of this process's processor.

    Workers are there before; this process is also the scheduler.
    """
    name = "whole" if children else "nothing"
    with cluster.open_cluster(workers=workers) as executor:
        executor.client.wait_for_workers(workers)
        how = cluster._carry_out if children else carry_nothing
        # Each worker is warm, as after the first of many: its libraries and its server of children.
        list(executor.map(warm_up, range(4 * workers)))
        with mock.patch.object(cluster, "_carry_out", how):
            start = read_clocks()
            counts = compute(
                plan(n), folder / f"{name}.sqlite", executor=executor, keep_fields=False
            )
            seconds, cpu_seconds = read_clocks() - start
    assert counts["new"] == n, counts
    return 1000 * seconds / n, 1000 * cpu_seconds / n


def read_clocks() -> np.ndarray:
    """Seconds by the clock, and of the processor in this process."""
    return np.array([time.perf_counter(), time.process_time()])


def warm_up(number: int) -> str:
    import multiprocessing

    multiprocessing.current_process()._config["daemon"] = False
    return run_child(abs, number).status


def time_child(n: int) -> float:
    """Milliseconds from asking for a child process to its answer, the first left out."""
    run_child(abs, 1)
    start = time.perf_counter()
    for number in range(n):
        assert run_child(abs, number).status == "ok"
    return 1000 * (time.perf_counter() - start) / n


def time_keys(n: int) -> float:
    """Milliseconds to name a task and to see that the store lacks it."""
    tasks, start = plan(n), time.perf_counter()
    for task in tasks:
        assert task.key
    return 1000 * (time.perf_counter() - start) / n


def time_rows(folder: Path, n: int) -> dict[str, float]:
    """Rows written a second: of nothing, of published registrations; bytes of a published one."""
    path = folder / "rows.sqlite"
    rows = pd.read_parquet(PUBLISHED / "registrations.parquet").head(200)
    structures = pd.read_parquet(
        PUBLISHED / "structures.parquet", filters=[("key", "in", rows["key"].tolist())]
    )
    by_key = {key: mine.drop(columns="key") for key, mine in structures.groupby("key")}
    given = rows.to_dict("records")
    for row in given:
        row["measures"] = {"dice": 1.0, **{f"measure {i}": 0.123456789 for i in range(12)}}
    none = by_key[given[0]["key"]].head(4)
    with stored.open_store(path):  # as a run does
        start = read_clocks()
        for number in range(n):
            stored.write_registration(path, {**given[0], "key": hash_of(number)}, none)
        nothing = n / (read_clocks() - start)
    path = folder / "published.sqlite"
    with stored.open_store(path):
        start = read_clocks()
        for row in given:
            stored.write_registration(path, row, by_key[row["key"]])
        published = len(given) / (read_clocks() - start)
    return {
        "rows_per_second": nothing[0],
        "rows_per_cpu_second": nothing[1],
        "published_rows_per_second": published[0],
        "published_rows_per_cpu_second": published[1],
        "store_bytes_a_row": path.stat().st_size / len(given),
    }


def measure(n: int, workers: int) -> dict[str, float]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        task = time_tasks(n, workers, folder, children=False)
        whole = time_tasks(n // 500, workers, folder, children=True)
        found = {
            "tasks": n,
            "workers": workers,
            "cores": os.cpu_count(),
            "load": os.getloadavg()[1],
            "task_ms": task[0],
            "task_cpu_ms": task[1],
            "key_ms": time_keys(n // 10),
            "task_with_child_ms": whole[0],
            "child_ms": time_child(20),
            **time_rows(folder, n // 4),
        }
    exported = sum((PUBLISHED / f"{t}.parquet").stat().st_size for t in stored.TABLES)
    structures = pd.read_parquet(PUBLISHED / "structures.parquet")
    read = ["method", "spacing_mm", "cpu_seconds"]
    rows = pd.read_parquet(PUBLISHED / "registrations.parquet", columns=read)
    found["export_bytes_a_row"] = exported / len(rows)
    found["structures_a_row"] = len(structures) / len(rows)
    found["export_memory_bytes_a_row"] = structures.memory_usage(deep=True).sum() / len(rows)
    at_1_mm = rows.query("method == 'greedy' and abs(spacing_mm - 1) < 0.01")
    found["greedy_cpu_seconds"] = at_1_mm["cpu_seconds"].median()
    return found


# ---- said ----------------------------------------------------------------------------------------


def write_markdown(found: pd.Series) -> str:
    """The section of the page: what was measured, and what a million registrations would take."""
    giga = MILLION / 1e9  # kB and GB of 1000
    lines = [
        "| measured | by the clock | of the processor |",
        "|---|---:|---:|",
        f"| overhead of a task that does nothing, from the plan to its row | {found['task_ms']:.1f} ms "
        f"| {found['task_cpu_ms']:.1f} ms |",
        f"| start and end of the child process, beside it | {found['child_ms']:.0f} ms | |",
        f"| rows of such tasks, written | {found['rows_per_second']:.0f} a second "
        f"| {found['rows_per_cpu_second']:.0f} a second |",
        f"| published rows, of {found['structures_a_row']:.0f} structures in the mean, written "
        f"| {found['published_rows_per_second']:.0f} a second "
        f"| {found['published_rows_per_cpu_second']:.0f} a second |",
        "",
        f"{found['tasks']:,.0f} tasks on {found['workers']:.0f} workers of a machine of "
        f"{found['cores']:.0f} cores, which other work shared (load {found['load']:.0f}); the processor "
        "time is that of the process that asks, which is the scheduler too.",
        "",
        "A published row, without display slices, has "
        f"{found['store_bytes_a_row'] / 1000:.0f} kB in the store, "
        f"{found['export_bytes_a_row'] / 1000:.0f} kB in the export, and "
        f"{found['export_memory_bytes_a_row'] / 1000:.0f} kB in memory while it is exported.",
        "",
        f"A million registrations by greedy at 1 mm, {found['greedy_cpu_seconds']:.0f} CPU seconds "
        f"each (the published median), on nodes of {CORES} cores, one registration a core:",
        "",
        "| nodes | computing | one writer and queue | whichever is longer |",
        "|---:|---:|---:|---|",
    ]
    serial = MILLION * (
        (found["task_cpu_ms"] / 1000 + 1 / found["published_rows_per_cpu_second"]) / 3600
    )
    for nodes in NODES:
        hours = MILLION * found["greedy_cpu_seconds"] / (nodes * CORES) / 3600
        longer = "computing" if hours > serial else "the writer and queue"
        lines.append(f"| {nodes} | {_say(hours)} | {_say(serial)} | {longer} |")
    lines += [
        "",
        f"The store would have {giga * found['store_bytes_a_row']:,.0f} GB, its export "
        f"{giga * found['export_bytes_a_row']:,.1f} GB, and the process that exports it would hold "
        f"{giga * found['export_memory_bytes_a_row']:,.0f} GB of structures at once.",
    ]
    return "\n".join(lines) + "\n"


def _say(hours: float) -> str:
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    found = pd.Series(measure(given.tasks, given.workers))
    found.rename_axis("quantity").rename("value").to_csv(
        HERE.with_suffix(".csv"), float_format="%.6g"
    )
    text = write_markdown(found)
    HERE.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    import overhead  # by the name that workers know it by

    overhead.main()
