"""The pairs that every arm registers, read from the published run: shared by the benchmarks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import plan_notebook

RUN = Path(__file__).parents[1] / "results" / "open" / "registrations.parquet"
N_PRIMARY = 7  # primary arms of the decision rules: the first of Holm's steps is this strict


def read_run() -> pd.DataFrame:
    """The published registrations as a pairs table of Dice, between subjects."""
    table = pd.read_parquet(RUN)
    table = table[(table["kind"] == "between") & (table["status"] == "ok")]
    table = table.rename(columns={"preprocessing": "condition"})
    dice = [json.loads(m)["dice"] for m in table["measures"]]
    return table.assign(dice=dice)


def pairs_of(table: pd.DataFrame) -> np.ndarray:
    """Names of the subjects of every pair in the order of the run, shape (n_pairs, 2)."""
    rows = table[table["method"] == "greedy"].sort_values("finished")
    rows = rows.drop_duplicates(["fixed", "moving"])
    return rows[["fixed_subject", "moving_subject"]].to_numpy(str)


def planned_pairs(notebook: str, arm: str) -> np.ndarray:
    """Names of the subjects of every pair that an arm of the profile `open` plans."""
    entries = plan_notebook(notebook, resolve_parameters(notebook, "open"))
    pairs = dict.fromkeys(entry.task.pair for entry in entries if entry.arm == arm)
    return np.array([(pair.fixed.subject, pair.moving.subject) for pair in pairs])


def name_design(pairs: np.ndarray) -> str:
    """Eight characters that tell designs of other pairs apart, whatever their order."""
    held = sorted(" ".join(pair) for pair in pairs)
    return hashlib.sha256("\n".join(held).encode()).hexdigest()[:8]


def all_ordered(n: int) -> np.ndarray:
    names = [f"s{k}" for k in range(n)]
    return np.array([(a, b) for a in names for b in names if a != b])


def find_designs(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Every design in use: arm -> pairs."""
    oasis = table[(table["cohort"] == "oasis") & (table["condition"] == "standard")]
    few = table[(table["cohort"] == "oasis") & (table["condition"] == "z-score")]
    nichart = pairs_of(table[table["cohort"] == "nichart"])
    return {
        "T1w": pairs_of(oasis),
        "synthesised, tight crop, LPS": pairs_of(table[table["cohort"] == "synthetic"]),
        "FLAIR (nichart)": nichart,
        "FLAIR, last 16 pairs": nichart[14:],
        "real5": all_ordered(5),
        "perturbations, exploratory": pairs_of(few),
        "0.6 mm": planned_pairs("04_resolution", "0.6 mm"),
        "openms-clinical": all_ordered(4),
        "macaque": pairs_of(table[table["cohort"] == "macaque"]),
    }
