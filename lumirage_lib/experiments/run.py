"""What a run gives an analysis: the planned registrations as tables, with their places."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from ..cohorts import SHOWN
from ..methods import ADDABLE, get_method, missing
from ..runs.compute import compute, count_answers
from ..runs.profiles import DRAW_ONLY, LIVE, store_path
from ..runs.store import read_registrations, read_structures
from ..runs.task import Task
from .entry import Entry, list_tasks
from .families import find_turn

NAMES = ["key", "method", "family", "kind", "fixed", "moving", "fixed_subject", "moving_subject"]


@dataclass(frozen=True)
class Run:
    """What a notebook works with.

    Attributes
    ----------
    registrations : DataFrame
        One row per entry whose registration was done or failed, in the order of the plan, with its
        arm, condition and dose (NaN: none). A registration with several places has several rows.
    structures : DataFrame
        One row per registration, label set, rule and label, with method, pair and subjects.
    counts : dict
        reused, new, failed, skipped; of registrations, each counted once.
    absent : dict
        Method -> why it could not run here.
    entries : list of Entry
        The plan, whether done or not.
    store : Path
    """

    registrations: pd.DataFrame
    structures: pd.DataFrame
    counts: dict
    absent: dict
    entries: list[Entry]
    store: Path

    @cached_property
    def tasks(self) -> list[Task]:
        """Every planned registration once."""
        return list_tasks(self.entries)


def read_run(entries: Sequence[Entry], parameters: Mapping) -> Run:
    """The tables of a plan as the store of its profile has them; nothing is computed.

    Parameters
    ----------
    parameters : mapping
        Of the notebook: profile and, where it has them, methods.
    """
    store, entries = store_path(parameters["profile"]), list(entries)
    tasks = list_tasks(entries)
    keys = [task.key for task in tasks]
    rows = read_registrations(store, keys)
    places = pd.DataFrame(
        [(e.task.key, e.arm, e.condition, e.dose, e.task.preprocessing.name) for e in entries],
        columns=["key", "arm", "condition", "dose", "preprocessing"],
    ).astype({"dose": float})
    # A row may have been computed for another notebook, whose name for the same condition it bears.
    table = places.merge(rows.drop(columns="preprocessing"), on="key")
    structures = read_structures(store, keys).merge(rows[NAMES], on="key")
    done = set(rows["method"])
    absent = {m: missing(get_method(m)) for m in dict.fromkeys(t.method for t in tasks)}
    absent = {m: why for m, why in absent.items() if why and m not in done}
    asked = set(parameters.get("methods", [])) - {t.method for t in tasks}
    absent |= {m: ADDABLE[m] for m in sorted(asked & set(ADDABLE))}
    return Run(table, structures, count_answers(tasks, store), absent, entries, store)


def compute_run(
    entries: Sequence[Entry],
    parameters: Mapping,
    on_row: Callable[[dict], None] = lambda row: None,
    **how,
) -> dict[str, int]:
    """Compute what a plan still lacks; returns the counts of :func:`lumirage_lib.runs.compute.compute`.

    `how` is handed on to it: memory_mb, keep_fields, retry_failed. Where the book is built, published
    runs are drawn as they are and what they lack is skipped.
    """
    tasks, store = list_tasks(entries), store_path(parameters["profile"])
    if os.environ.get(DRAW_ONLY) and parameters["profile"] not in LIVE:
        return count_answers(tasks, store)
    n_panels = parameters.get("n_panels", 0) if parameters.get("cohort") in SHOWN else 0
    shown = list(dict.fromkeys(t.pair for t in tasks))[:n_panels]
    turns: dict[str, int] = {}
    for entry in entries:
        key = entry.task.key
        turns[key] = min(find_turn(entry), turns.get(key, find_turn(entry)))
    return compute(
        sorted(tasks, key=lambda task: turns[task.key]),
        store,
        jobs=parameters.get("jobs") or os.cpu_count() or 1,
        slices_of=lambda task: task.pair in shown,
        on_row=on_row,
        **how,
    )
