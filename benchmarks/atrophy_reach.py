"""Which structures the imposed atrophy of chapter 09 moves beside its own: their true change of volume.

    python benchmarks/atrophy_reach.py

The true displacement of every follow-up at the largest dose of the published plan, and of the generated
brains of the live page, is measured by the scorer as if a method had found it. Writes
lumirage_lib/data/atrophy_reach.csv: anatomy, structure, label, change: the true change of volume, largest
over subjects.
"""

from __future__ import annotations

import pandas as pd

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.cohorts.atrophy import REACH, STRUCTURES
from lumirage_lib.cohorts.sources import fetch_all
from lumirage_lib.experiments import plan_notebook
from lumirage_lib.experiments.do_no_harm.plan import ATROPHY
from lumirage_lib.runs.scoring import score

NOTEBOOK = "09_do_no_harm"


def measure(profile: str) -> pd.DataFrame:
    parameters = resolve_parameters(NOTEBOOK, profile, {"structures": list(STRUCTURES)})
    entries = [e for e in plan_notebook(NOTEBOOK, parameters) if e.arm == ATROPHY]
    most = max(e.dose or 0 for e in entries)
    once = {(e.condition, e.task.pair): e for e in entries if e.dose == most}
    rows = []
    for (structure, pair), entry in once.items():
        cohort = entry.task.get_cohort()
        fetch_all(cohort.sources(pair.fixed), quiet=True)
        assert cohort.true_displacement is not None
        _, found = score(cohort, pair, cohort.true_displacement(pair))
        found = found[(found["rule"] == "nearest") & (found["label"] > 0)]
        found = found[found["label_set"] == next(iter(cohort.label_sets))]
        about = {"anatomy": dict(entry.task.cohort_options)["anatomy"], "structure": structure}
        rows.append(found[["label"]].assign(**about, change=found["j_mean"] - 1))
        print(pair.id, structure, found["j_mean"].sub(1).abs().nlargest(4).to_list(), flush=True)
    return pd.concat(rows)


def main() -> None:
    table = pd.concat([measure("open"), measure("demo")])
    keys = ["anatomy", "structure", "label"]
    table = table.sort_values("change", key=abs).drop_duplicates(keys, keep="last")
    table[[*keys, "change"]].sort_values(keys).to_csv(REACH, index=False, float_format="%.5f")


if __name__ == "__main__":
    main()
