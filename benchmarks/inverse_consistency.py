"""Registers the couples of chapter 09 again, there and back, and measures how far a point comes to lie.

    python benchmarks/inverse_consistency.py [--jobs 2]

From the stored alignments, on one thread; a registration whose Dice is not the published one stops it. The
affine alignment alone stands beside.
Fields are too large to publish, so the distances are: results/open/inverse_consistency.csv, one row a
method and couple. What the table has is not done again. About 25 minutes of one processor.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.cohorts.sources import fetch_all
from lumirage_lib.experiments import plan_notebook
from lumirage_lib.experiments.do_no_harm.analysis import COUPLES_TABLE, find_couples, measure_couple
from lumirage_lib.metrics import score_case
from lumirage_lib.runs.compute import needs
from lumirage_lib.runs.profiles import project_root
from lumirage_lib.runs.scratch import recalling
from lumirage_lib.runs.task import Task
from lumirage_lib.runs.verify import LEAST
from lumirage_lib.runs.work import compute_displacement

PUBLISHED = project_root() / "results" / "open"
NAMES = ["method", "fixed", "moving"]


def register(task: Task, folder: Path) -> np.ndarray:
    """The native displacement of a published registration, done again."""
    alignments = pd.read_parquet(PUBLISHED / "alignments.parquet").set_index("key")
    matrix = np.array(json.loads(alignments.loc[task.alignment_key, "matrix"]))
    cohort = recalling(task.get_cohort(), folder)
    found, _, _ = compute_displacement(cohort, task, matrix, folder)
    name = next(iter(cohort.label_sets))
    fixed, moving = (cohort.load_labels(s, name) for s in (task.pair.fixed, task.pair.moving))
    maps = {name: (fixed.data, moving.data)}
    dice = score_case(found, maps, fixed.spacing_mm, rules=["nearest"])[0]["dice"]
    rows = pd.read_parquet(PUBLISHED / "registrations.parquet", filters=[("key", "==", task.key)])
    published = json.loads(rows["measures"].iloc[0])["dice"] if len(rows) else dice
    if abs(dice - published) > LEAST["dice"]:
        raise SystemExit(
            f"{task.method} on {task.pair.id}: Dice {dice:.6f}, published {published:.6f}"
        )
    return found


def measure(forward: Task, backward: Task) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        fields = [register(task, Path(name)) for task in (forward, backward)]
    return measure_couple(forward, *fields)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    jobs = parser.parse_args().jobs
    entries = plan_notebook("09_do_no_harm", resolve_parameters("09_do_no_harm", "open"))
    path = PUBLISHED / COUPLES_TABLE
    done = pd.read_csv(path, dtype=str)[NAMES] if path.exists() else pd.DataFrame(columns=NAMES)
    have = set(done.itertuples(index=False, name=None))
    planned = find_couples(entries)
    # Two affines, there and back, are no inverse of each other either: what every method starts from.
    start = [tuple(replace(task, method="affine") for task in couple) for couple in planned]
    couples = [
        (there, back)
        for there, back in dict.fromkeys([*planned, *start])
        if (there.method, there.pair.fixed.id, there.pair.moving.id) not in have
    ]
    fetch_all(needs([task for couple in couples for task in couple]))
    with ProcessPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(measure, *couple) for couple in couples]):
            row = pd.DataFrame([future.result()])
            row.to_csv(path, mode="a", header=not path.exists(), index=False, float_format="%.4f")
            print(row.to_string(index=False, header=False), flush=True)
    table = pd.read_csv(path, dtype={"fixed": str, "moving": str})
    table.sort_values(NAMES).to_csv(path, index=False)


if __name__ == "__main__":
    main()
