"""What the published run has of each arm: methods whole on every pair, pairs, subjects, hours.

    python benchmarks/arms.py

Reads the plan of every notebook and the tables of results/open; registers nothing. A registration that
several arms share is counted in each of them, in the sum once. Writes arms.csv.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import EXPERIMENTS, plan_notebook
from lumirage_lib.runs.profiles import notebooks_of, project_root

PUBLISHED = project_root() / "results" / "open" / "registrations.parquet"


def list_entries() -> pd.DataFrame:
    """Every place of the plan: notebook, arm, condition, method, pair, key."""
    rows = []
    for name in (n for n in notebooks_of("open") if n in EXPERIMENTS):
        for entry in plan_notebook(name, resolve_parameters(name, "open")):
            fixed, moving = entry.task.pair.fixed, entry.task.pair.moving
            rows.append(
                {
                    "notebook": name,
                    "arm": entry.arm,
                    "condition": entry.condition,
                    "method": entry.task.method,
                    "fixed": fixed.id,
                    "moving": moving.id,
                    "fixed_subject": fixed.subject,
                    "moving_subject": moving.subject,
                    "key": entry.task.key,
                }
            )
    return pd.DataFrame(rows)


def describe_arm(rows: pd.DataFrame) -> pd.Series:
    """One row of the table: of the arm's places, those that are published."""
    there = rows["seconds"].notna()
    whole = there.groupby(rows["method"]).all()
    done = rows[there]
    return pd.Series(
        {
            "conditions": rows["condition"].nunique(),
            "pairs": len(rows[["fixed", "moving"]].drop_duplicates()),
            "subjects": len({*rows["fixed_subject"], *rows["moving_subject"]}),
            "planned": rows["key"].nunique(),
            "published": done["key"].nunique(),
            "methods_whole": ", ".join(whole.index[whole]),
            "methods_in_part": ", ".join(sorted(set(done["method"]) - set(whole.index[whole]))),
            "cpu_hours": done.drop_duplicates("key")["cpu_seconds"].sum() / 3600,
        }
    )


def main() -> None:
    published = pd.read_parquet(PUBLISHED, columns=["key", "status", "seconds", "cpu_seconds"])
    entries = list_entries()
    places = entries.merge(published, on="key", how="left")
    places["seconds"] = places["seconds"].where(
        places["status"].isna(), places["seconds"].fillna(0)
    )
    arms = places.groupby(["notebook", "arm"], sort=False, dropna=False)
    table = arms.apply(describe_arm, include_groups=False).reset_index()
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.2f")
    print(table.to_string(index=False, float_format="%.2f"))
    once = places.drop_duplicates("key")
    print(
        f"{len(published)} registrations published, {published['cpu_seconds'].sum() / 3600:.1f} processor "
        f"hours of methods; {once['seconds'].notna().sum()} of the {len(once)} planned now"
    )


if __name__ == "__main__":
    main()
