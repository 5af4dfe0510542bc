"""Experiments: parameters of experiments.yml -> the registrations a notebook needs -> its tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ..methods import ADDABLE, get_method, missing
from ..runs.compute import compute, pending
from ..runs.profiles import DRAW_ONLY, LIVE, store_path
from ..runs.store import read_registrations, read_structures
from ..runs.task import Task
from .plans import PLANS


@dataclass(frozen=True)
class Run:
    """What a notebook works with.

    Attributes
    ----------
    registrations : DataFrame
        One row per registration that was done or failed.
    structures : DataFrame
        One row per registration, label set, rule and label, with method, pair and subjects.
    counts : dict
        reused, new, failed, skipped.
    absent : dict
        Method -> why it could not run here.
    tasks : list of Task
    store : Path
    """

    registrations: pd.DataFrame
    structures: pd.DataFrame
    counts: dict
    absent: dict
    tasks: list[Task]
    store: Path


def panel_tasks(tasks: list[Task], n_panels: int) -> set[str]:
    """Keys of the first pairs, whose display slices are kept."""
    pairs = list(dict.fromkeys(t.pair for t in tasks))[:n_panels]
    return {t.key for t in tasks if t.pair in pairs}


def plan_notebook(notebook: str, parameters: Mapping) -> list[Task]:
    """Every registration a notebook needs under these parameters."""
    return PLANS[notebook](parameters)


def compute_notebook(notebook: str, parameters: Mapping, on_row=lambda row: None) -> dict:
    """Compute what a notebook's run still lacks; returns the counts of `compute`.

    Where the book is built, published runs are drawn as they are and what they lack is skipped.
    """
    tasks = plan_notebook(notebook, parameters)
    if os.environ.get(DRAW_ONLY) and parameters["profile"] not in LIVE:
        lacking = len(pending(tasks, store_path(parameters["profile"])))
        return {"reused": len(tasks) - lacking, "new": 0, "failed": 0, "skipped": lacking}
    keep = panel_tasks(tasks, parameters["n_panels"])
    return compute(
        tasks,
        store_path(parameters["profile"]),
        jobs=parameters["jobs"] or os.cpu_count(),
        slices_of=lambda task: task.key in keep,
        on_row=on_row,
    )


def load_or_compute(notebook: str, parameters: Mapping) -> Run:
    """The tables of a notebook: from the store where they are there, computed where they are not.

    A registration that cannot be computed here, because its images or weights are absent, is left
    out and counted as skipped.
    """
    counts = compute_notebook(notebook, parameters)
    return replace(load(notebook, parameters), counts=counts)


def load(notebook: str, parameters: Mapping) -> Run:
    """The tables of a notebook as the store has them; nothing is computed."""
    tasks = plan_notebook(notebook, parameters)
    store = store_path(parameters["profile"])
    keys = [t.key for t in tasks]
    registrations = read_registrations(store, keys)
    order = {key: number for number, key in enumerate(keys)}
    registrations = registrations.sort_values("key", key=lambda k: k.map(order), ignore_index=True)
    # A row may have been computed for another notebook, whose name for the same condition it bears.
    conditions = {task.key: task.preprocessing.name for task in tasks}
    registrations["preprocessing"] = registrations["key"].map(conditions)
    names = ["key", "method", "family", "kind", "fixed", "moving", "fixed_subject"]
    structures = read_structures(store, keys).merge(
        registrations[[*names, "moving_subject"]], on="key"
    )
    absent = {m: missing(get_method(m)) for m in dict.fromkeys(t.method for t in tasks)}
    done = set(registrations["method"])
    absent = {m: why for m, why in absent.items() if why and m not in done}
    asked = set(parameters.get("methods", [])) - {t.method for t in tasks}
    absent |= {m: ADDABLE[m] for m in sorted(asked & set(ADDABLE))}
    lacking = len(tasks) - len(registrations)
    counts = {"reused": len(registrations), "new": 0, "failed": 0, "skipped": lacking}
    return Run(registrations, structures, counts, absent, tasks, store)
