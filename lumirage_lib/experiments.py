"""Experiments: parameters of experiments.yml -> the registrations a notebook needs -> its tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import yaml

from . import evaluate, results
from .errors import InputError
from .evaluate import Task
from .methods import ADDABLE, get_method, missing
from .plans import PLANS

PROFILES = ("smoke", "demo", "open", "paper")
LIVE = ("smoke", "demo")  # small enough to be computed whenever a page is drawn
DRAW_ONLY = "LUMIRAGE_DRAW_ONLY"  # set while the book is built: pages show what is there


def project_root() -> Path:
    """Folder with experiments.yml: ``LUMIRAGE_ROOT``, or found upward from the working folder."""
    if os.environ.get("LUMIRAGE_ROOT"):
        return Path(os.environ["LUMIRAGE_ROOT"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "experiments.yml").exists():
            return folder
    raise InputError(
        f"no experiments.yml in {here} or above it; run from the repository or set LUMIRAGE_ROOT"
    )


def load_profile(notebook: str, profile: str) -> dict:
    """Parameters of a notebook under a profile, as experiments.yml has them.

    Raises
    ------
    InputError
        Unknown notebook or profile, or the notebook has no such profile.
    """
    table = yaml.safe_load((project_root() / "experiments.yml").read_text())
    if notebook not in table:
        raise InputError(
            f"no notebook {notebook!r} in experiments.yml; there are {', '.join(table)}"
        )
    if profile not in table[notebook]:
        raise InputError(
            f"notebook {notebook} has no profile {profile!r}; it has {', '.join(table[notebook])}"
        )
    return {"profile": profile, **(table[notebook][profile] or {})}


def notebooks_of(profile: str) -> list[str]:
    """Notebooks that have a profile, in order."""
    table = yaml.safe_load((project_root() / "experiments.yml").read_text())
    return [name for name, profiles in table.items() if profile in profiles]


def store_path(profile: str) -> Path:
    """The store of a profile; committed tables newer than it are merged in first."""
    path = project_root() / "store" / f"{profile}.sqlite"
    published = project_root() / "results" / profile / "registrations.parquet"
    if published.exists() and (
        not path.exists() or published.stat().st_mtime > path.stat().st_mtime
    ):
        results.import_store(published.parent, path)
        path.touch()
    return path


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
    """Compute what a notebook's run still lacks; returns the counts of :func:`evaluate.compute`.

    Where the book is built, published runs are drawn as they are and what they lack is skipped.
    """
    tasks = plan_notebook(notebook, parameters)
    if os.environ.get(DRAW_ONLY) and parameters["profile"] not in LIVE:
        lacking = len(evaluate.pending(tasks, store_path(parameters["profile"])))
        return {"reused": len(tasks) - lacking, "new": 0, "failed": 0, "skipped": lacking}
    keep = panel_tasks(tasks, parameters["n_panels"])
    return evaluate.compute(
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
    registrations = results.read_registrations(store, keys)
    order = {key: number for number, key in enumerate(keys)}
    registrations = registrations.sort_values("key", key=lambda k: k.map(order), ignore_index=True)
    # A row may have been computed for another notebook, whose name for the same condition it bears.
    conditions = {task.key: task.preprocessing.name for task in tasks}
    registrations["preprocessing"] = registrations["key"].map(conditions)
    names = ["key", "method", "family", "kind", "fixed", "moving", "fixed_subject"]
    structures = results.read_structures(store, keys).merge(
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
