"""How far a registration done again is from the published one, by method.

    python benchmarks/tolerance.py [METHOD ...]

Each method registers one pair three times from the stored alignment: as it was published; with two
threads, which compares orders of summation; and on one thread as an older processor would (no
instructions beyond AVX2, other kernels of the linear algebra, another hash seed), which stands in for
another machine. A method that is not published yet is compared with its own first run here. The
tolerance of a method and measure is three times the largest difference seen, and at least what another
processor can do (`lumirage_lib.runs.verify.LEAST`): 28 of the registrations of experiment 10 that were
published from one with other kernels, done again here, differ by up to 2.7e-6 of Dice, 0 mm and 1.2e-7 %
(`lumirage verify -m lumirage_lib.experiments.cause.networks:t1_3 --all --report FILE.csv`, and its kin).
Writes benchmarks/tolerance.csv, method by method, and keeps the rest.

By hand there: fireants-greedy. Its 28 registrations of the older adults' T1w at 1 mm were published from a
machine with another processor and torch 2.11; one of them done again on the machine of the others differs by
more than the stand-in does (`lumirage verify -m fireants-greedy --pair Subj4:Subj12 --all`), which stands
under `older_processor`. Of LKU-Net all three of that pair, from the same machine, are the same to the
last digit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.cohorts.sources import fetch_all, is_local
from lumirage_lib.experiments import EXPERIMENTS, list_tasks, plan_notebook
from lumirage_lib.runs.compute import compute, needs
from lumirage_lib.runs.profiles import notebooks_of, project_root
from lumirage_lib.runs.store import export_store, write_alignment
from lumirage_lib.runs.task import Task
from lumirage_lib.runs.verify import LEAST, register_again

TABLE = Path(__file__).with_suffix(".csv")
PUBLISHED = project_root() / "results" / "open"
PAIR = ("1004", "1003")  # fixed, moving
OLDER = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    "PYTHONHASHSEED": "1",
}
RUNS: dict[str, tuple[int, dict[str, str]]] = {
    "again": (1, {}),
    "two_threads": (2, {}),
    "older_processor": (1, OLDER),
}


def list_all() -> list[Task]:
    """What the published run plans, the pair of all methods first."""
    names = [name for name in notebooks_of("open") if name in EXPERIMENTS]
    plans = [plan_notebook(name, resolve_parameters(name, "open")) for name in names]
    tasks = list_tasks([entry for plan in plans for entry in plan])
    plain = [t for t in tasks if t.preprocessing.name == "standard" and t.cohort == "oasis"]
    first = [t for t in plain if (t.pair.fixed.id, t.pair.moving.id) == PAIR]
    return first + tasks


def choose_task(method: str) -> Task:
    """Its first registration that is published; of a method that is not, its first of the plan."""
    tasks, published = [t for t in list_all() if t.method == method], read_published()
    return next((task for task in tasks if task.key in published), tasks[0])


def read_published() -> set[str]:
    return set(pd.read_parquet(PUBLISHED / "registrations.parquet")["key"])


def find_reference(task: Task, folder: Path) -> Path:
    """The published run where it has the task; else one computed here."""
    if task.key in read_published():
        return PUBLISHED
    alignments = pd.read_parquet(PUBLISHED / "alignments.parquet").set_index("key", drop=False)
    fetch_all([source for source in needs([task]) if not is_local(source)])
    write_alignment(folder / "store.sqlite", alignments.loc[task.alignment_key].to_dict())
    compute([task], folder / "store.sqlite", keep_fields=False)
    export_store(folder / "store.sqlite", folder / "first", {})
    return folder / "first"


def run_once(method: str, reference: str, threads: str, out: str) -> None:
    task = choose_task(method)
    none = pd.DataFrame(columns=["method", "measure", "tolerance"])
    register_again(Path(reference), [task], none, threads=int(threads)).to_csv(out, index=False)


def measure(method: str) -> pd.DataFrame:
    """The largest difference of each run from the reference, and what is tolerated."""
    task = choose_task(method)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = find_reference(task, folder)
        wide = pd.DataFrame({"method": method, "measure": list(LEAST)})
        for run, (threads, variables) in RUNS.items():
            # A process of its own: libraries read these variables when they are loaded.
            command = [sys.executable, __file__, "--once", method, str(reference), str(threads)]
            out = folder / f"{run}.csv"
            subprocess.run([*command, str(out)], env={**os.environ, **variables}, check=True)
            found = pd.read_csv(out).set_index("measure")["difference"].abs()
            wide[run] = wide["measure"].map(found)
    largest = wide[list(RUNS)].max(axis=1)
    return wide.assign(
        tolerance=(3 * largest).clip(lower=wide["measure"].map(LEAST)),
        reference="published" if reference == PUBLISHED else "first run here",
        pair=f"{task.cohort} {task.pair.fixed.id}:{task.pair.moving.id}",
    )


def main(methods: list[str]) -> None:
    for method in methods or dict.fromkeys(t.method for t in list_all()):
        wide = measure(method)
        print(wide.to_string(), flush=True)
        kept = pd.read_csv(TABLE) if TABLE.exists() else wide.head(0)
        kept = pd.concat([kept[kept["method"] != method], wide])
        kept.to_csv(TABLE, index=False, float_format="%.3g")


if __name__ == "__main__":
    run_once(*sys.argv[2:]) if sys.argv[1:2] == ["--once"] else main(sys.argv[1:])
