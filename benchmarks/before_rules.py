"""How much of each primary arm had been registered when version 2 of the rules was committed.

    python benchmarks/before_rules.py

Counts, from the published run, the registrations that the families of an arm need, its reference
included, and those that had finished by then. Writes before_rules.csv and before_rules.md beside this
file; book/rules.md has the table. What was tried in the audit and not published is not in it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from designs import RUN

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import plan_notebook
from lumirage_lib.experiments.families import ARMS

COMMITTED = "2026-11-25T21:36:19"  # UTC, the commit that brought version 2 into the book
NAMES = {"standard": "T1w"}  # of a condition, where rules.md calls the arm otherwise
CHAPTERS = {
    "oasis": "01_in_distribution",
    "preprocessing": "05_preprocessing",
    "0.6 mm": "04_resolution",
}


def count_before(registrations: pd.DataFrame) -> pd.DataFrame:
    """Registrations that the verdict of each primary arm rests on, and those from before the rules.

    Parameters
    ----------
    registrations : DataFrame
        key, kind, finished (UTC, ISO); second scans of a subject do not count.

    Returns
    -------
    DataFrame
        arm, registrations (published), before.
    """
    between = registrations[registrations["kind"] == "between"]
    finished = between.set_index("key")["finished"].astype(str)
    rows = []
    for arm in ARMS.values():
        if not arm.primary:
            continue
        notebook = CHAPTERS.get(arm.name, "03_contrasts")
        entries = plan_notebook(notebook, resolve_parameters(notebook, "open"))
        methods = {*arm.families.deep, *arm.families.iterative}
        mine = [e for e in entries if e.arm == arm.name and e.task.method in methods]
        for condition in arm.primary:
            needed = {condition, arm.references.get(condition, condition)}
            keys = {e.task.key for e in mine if e.condition in needed}
            dates = finished.reindex([key for key in sorted(keys) if key in finished.index])
            rows.append(
                {
                    "arm": NAMES.get(condition, condition),
                    "registrations": len(dates),
                    "before": int((dates < COMMITTED).sum()),
                }
            )
    return pd.DataFrame(rows)


def write_markdown(table: pd.DataFrame) -> str:
    """The table of rules.md."""
    lines = [
        "| arm | registrations of both families | finished before the rules |",
        "|---|---:|---:|",
    ]
    lines += [f"| {r.arm} | {r.registrations} | {r.before} |" for r in table.itertuples()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    here = Path(__file__)
    table = count_before(pd.read_parquet(RUN))
    table.to_csv(here.with_suffix(".csv"), index=False)
    here.with_suffix(".md").write_text(write_markdown(table))
    print(write_markdown(table))
