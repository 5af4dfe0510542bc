"""Registers the couples of chapter 09 again, there and back, and measures how far a point comes to lie.

    python benchmarks/inverse_consistency.py [--jobs 2]

From the stored alignments, on one thread; nothing is written where a published measure does not come out
again. Fields are too large to publish, so the distances are: results/open/inverse_consistency.csv, one row
a method and couple, the affine alignment alone beside them. Fields that this machine has kept are not
registered again; kept, they are within 1/512 voxel. About 25 minutes of one processor.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import pandas as pd

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import plan_notebook
from lumirage_lib.experiments.do_no_harm.measures import COUPLES_TABLE, compare_fields, find_couples
from lumirage_lib.runs.fields import has_field
from lumirage_lib.runs.profiles import project_root
from lumirage_lib.runs.verify import register_again

PUBLISHED = project_root() / "results" / "open"
TOLERANCES = project_root() / "benchmarks" / "tolerance.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    jobs = parser.parse_args().jobs
    entries = plan_notebook("09_do_no_harm", resolve_parameters("09_do_no_harm", "open"))
    planned = find_couples(entries)
    # Two affines, there and back, are no inverse of each other either: what every method starts from.
    start = [(replace(a, method="affine"), replace(b, method="affine")) for a, b in planned]
    couples = list(dict.fromkeys([*start, *planned]))
    tasks = [task for couple in couples for task in couple if not has_field(task.key)]
    if tasks:
        found = register_again(
            PUBLISHED, tasks, pd.read_csv(TOLERANCES), print_row, jobs=jobs, keep_fields=True
        )
        other = found[found["published"].notna() & ~found["within"]]
        if len(other):
            raise SystemExit(f"published measures do not come out again:\n{other.to_string()}")
    table = compare_fields(couples).sort_values(["method", "fixed", "moving"])
    table.to_csv(PUBLISHED / COUPLES_TABLE, index=False, float_format="%.4f")
    print(table.to_string(index=False))


def print_row(row: dict) -> None:
    print(row["method"], row["fixed"], row["moving"], row["status"], flush=True)


if __name__ == "__main__":
    main()
