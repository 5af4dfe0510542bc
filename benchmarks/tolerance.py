"""How far a registration done again is from the published one: by method, with one thread and with two.

    python benchmarks/tolerance.py [METHOD ...]

The published rows were computed on another machine, so a first run here compares machines; two threads
where the run had one compares orders of summation. The tolerance of a method and measure is three times
the largest difference seen, and at least what a change in the last digit of single precision can do
(1e-6 of Dice, 1e-4 mm, 1e-6 %). Writes benchmarks/tolerance.csv, method by method, and keeps the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import list_tasks, plan_notebook
from lumirage_lib.runs.profiles import project_root
from lumirage_lib.runs.verify import draw_tasks, register_again

TABLE = Path(__file__).with_suffix(".csv")
LEAST = {"dice": 1e-6, "hd95_mm": 1e-4, "ndv_percent": 1e-6}
METHODS = ("affine", "vfa", "clapirn", "greedy", "lapirn-disp", "fireants-greedy", "syn")


def main(methods: list[str]) -> None:
    folder = project_root() / "results" / "open"
    plan = plan_notebook("01_in_distribution", resolve_parameters("01_in_distribution", "open"))
    tasks = list_tasks(plan)
    none = pd.DataFrame(columns=["method", "measure", "tolerance"])
    for method in methods or METHODS:
        chosen = draw_tasks(folder, tasks, n=1, method=method)
        found = [register_again(folder, chosen, none, threads=n) for n in (1, 2)]
        rows = pd.concat([t.assign(threads=n) for t, n in zip(found, (1, 2), strict=True)])
        print(
            rows[["method", "threads", "measure", "published", "again", "difference"]].to_string()
        )
        wide = rows.assign(difference=rows["difference"].abs()).pivot(
            index=["method", "measure"], columns="threads", values="difference"
        )
        wide.columns = ["one_thread", "two_threads"]
        wide = wide.reset_index()
        least = wide["measure"].map(LEAST)
        wide["tolerance"] = (3 * wide[["one_thread", "two_threads"]].max(axis=1)).clip(lower=least)
        wide["n_pairs"] = len(chosen)
        kept = pd.read_csv(TABLE) if TABLE.exists() else wide.head(0)
        kept = kept[kept["method"] != method]
        pd.concat([kept, wide]).to_csv(TABLE, index=False, float_format="%.3g")


if __name__ == "__main__":
    main(sys.argv[1:])
