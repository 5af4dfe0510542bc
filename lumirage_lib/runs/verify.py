"""Published registrations done again on this machine, and the digests of what is published."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..cohorts.sources import fetch_all, is_local
from ..errors import InputError, StoreError
from ..methods import get_method, missing
from .compute import compute, needs
from .store import read_registrations, read_structures, write_alignment
from .task import Task

# What another processor may change at least: the last digit of single precision decides now and then to
# which of two voxels a label goes. `benchmarks/tolerance.py` measures what a method needs beyond it.
LEAST = {"dice": 1e-5, "hd95_mm": 1e-4, "ndv_percent": 1e-6}
MEASURES = tuple(LEAST)
DIGESTS = "digests"  # the entry of run.json
# Not digested: these two name the digests of the others.
APART = {"run.json", "ro-crate-metadata.json"}


# ---- registering again ---------------------------------------------------------------------------


def draw_tasks(
    folder: Path,
    tasks: Sequence[Task],
    *,
    n: int | None,
    seed: int = 0,
    method: str | None = None,
    pair: str | None = None,
) -> list[Task]:
    """Planned registrations that are published and can be done here, a seeded draw of them.

    Parameters
    ----------
    folder : path
        Of the export.
    tasks : sequence of Task
        The plan, whose keys the published rows bear.
    n : int, optional
        How many; None: all.
    method, pair : str, optional
        Only of this method; only of this pair, "FIXED:MOVING".

    Raises
    ------
    InputError
        None is left.
    """
    table = _read(folder, "registrations")
    published = set(table[table["status"] == "ok"]["key"])
    names = {
        "method": {task.method for task in tasks},
        "pair": {f"{task.pair.fixed.id}:{task.pair.moving.id}" for task in tasks},
    }
    for kind, asked in (("method", method), ("pair", pair)):
        if asked is not None and asked not in names[kind]:
            shown = ", ".join(sorted(names[kind])[:20])
            raise InputError(f"{folder}: no {kind} {asked!r} is of this run; there are {shown} …")
    found = {
        task.key: task
        for task in tasks
        if (method is None or task.method == method)
        and (pair is None or f"{task.pair.fixed.id}:{task.pair.moving.id}" == pair)
    }
    able = {m: missing(get_method(m)) for m in {task.method for task in found.values()}}
    left = [found[k] for k in sorted(found) if k in published and able[found[k].method] is None]
    if not left:
        unable = "; ".join(f"{name}: {why}" for name, why in sorted(able.items()) if why)
        raise InputError(
            f"{folder}: none of {len(published)} published registrations is asked for and can be "
            f"done here (method {method or 'any'}, pair {pair or 'any'}: first fixed, then moving); "
            f"{unable or 'there is none such, or the keys differ'}"
            "; look at `lumirage methods`, and whether the packages are those of requirements.txt"
        )
    if n is None or n >= len(left):
        return left
    chosen = np.random.default_rng(seed).choice(len(left), n, replace=False)
    return [left[i] for i in sorted(chosen)]


def register_again(
    folder: Path,
    tasks: Sequence[Task],
    tolerances: pd.DataFrame,
    on_row: Callable[[dict[str, Any]], None] = lambda row: None,
    *,
    threads: int = 1,
    jobs: int = 1,
    keep_fields: bool = False,
) -> pd.DataFrame:
    """Register again with the stored alignments, and compare.

    Parameters
    ----------
    folder : path
        Of the export.
    tasks : sequence of Task
        Whose rows are in it.
    tolerances : DataFrame
        Columns method, measure, tolerance. What it does not have must be the same to `LEAST`.
    keep_fields : bool
        Keep displacements, see :mod:`lumirage_lib.runs.fields`.

    Returns
    -------
    DataFrame
        A row for each task and measure: cohort, method, fixed, moving, preprocessing, measure,
        published, again, difference, tolerance, within. `again` is NaN where it failed.
    """
    fetch_all([source for source in needs(tasks) if not is_local(source)])
    alignments = _read(folder, "alignments").set_index("key", drop=False)
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "again.sqlite"
        for key in dict.fromkeys(task.alignment_key for task in tasks):
            if key in alignments.index:
                write_alignment(store, alignments.loc[key].to_dict())
        compute(
            tasks,
            store,
            jobs=jobs,
            threads=threads,
            keep_fields=keep_fields,
            on_row=on_row,
            memory_mb=None,
        )
        again = _measure(read_registrations(store), read_structures(store), tasks)
    keys = [task.key for task in tasks]
    table = _read(folder, "registrations")
    table = table[table["key"].isin(keys)].reset_index(drop=True)
    table = table.join(pd.DataFrame([json.loads(m) for m in table["measures"]]))
    published = _measure(table, _read(folder, "structures", keys), tasks)
    wanted = tolerances.set_index(["method", "measure"])["tolerance"]
    rows = []
    for task in tasks:
        for measure in MEASURES:
            values = [float(t.at[task.key, measure]) for t in (published, again)]
            allowed = float(wanted.get((task.method, measure), LEAST[measure]))
            rows.append(
                {
                    "cohort": task.cohort,
                    "method": task.method,
                    "fixed": task.pair.fixed.id,
                    "moving": task.pair.moving.id,
                    "preprocessing": task.preprocessing.name,
                    "measure": measure,
                    "published": values[0],
                    "again": values[1],
                    "difference": values[1] - values[0],
                    "tolerance": allowed,
                    "within": bool(abs(values[1] - values[0]) <= allowed)
                    or bool(np.isnan(values).all()),
                }
            )
    return pd.DataFrame(rows)


def _measure(table: pd.DataFrame, structures: pd.DataFrame, tasks: Sequence[Task]) -> pd.DataFrame:
    """Dice, mean HD95 over the structures of the cohort's first label set, folding; by key."""
    first = {task.key: next(iter(task.get_cohort().label_sets)) for task in tasks}
    mine = structures[
        (structures["rule"] == "nearest")
        & (structures["label"] > 0)
        & (structures["label_set"] == structures["key"].map(first))
    ]
    found = table.set_index("key").reindex(columns=["dice", "ndv_percent"])
    found["hd95_mm"] = mine.groupby("key")["hd95_mm"].mean()
    return found.reindex(list(first))


def _read(folder: Path, name: str, keys: Sequence[str] | None = None) -> pd.DataFrame:
    path = Path(folder) / f"{name}.parquet"
    if not path.is_file():
        raise StoreError(f"{path}: not there; expected a folder made by `lumirage results export`")
    return pd.read_parquet(path, filters=None if keys is None else [("key", "in", list(keys))])


# ---- digests -------------------------------------------------------------------------------------


def compute_digests(folder: Path) -> dict[str, str]:
    """sha256 of every file of an export, but of those that name the digests."""
    files = sorted(p for p in Path(folder).iterdir() if p.is_file() and p.name not in APART)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.startswith(".")
    }


def write_digests(folder: Path) -> None:
    """Say in run.json what lies beside it."""
    path = Path(folder) / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    run[DIGESTS] = compute_digests(folder)
    path.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


def check_digests(folder: Path) -> list[str]:
    """What does not lie there as run.json says: a sentence each."""
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise StoreError(f"{path}: not there; expected a folder made by `lumirage results export`")
    said = json.loads(path.read_text(encoding="utf-8")).get(DIGESTS)
    if not said:
        return [f"{path}: no digests; export again"]
    found = compute_digests(folder)
    return [
        f"{name}: "
        + (
            "is missing"
            if name not in found
            else "is not in run.json"
            if name not in said
            else "its bytes are not those of run.json"
        )
        for name in sorted(said.keys() | found.keys())
        if said.get(name) != found.get(name)
    ]
