"""The executed pages: which are out of date, and why."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import nbformat

from .. import experiments
from ..errors import InputError, SourceError
from ..files import hash_of
from ..methods import get_method, missing
from ..runs import profiles
from ..runs.store import read_registrations
from . import notebooks
from .toc import PAGES

SOFTWARE = (
    "torch",
    "antspyx",
    "picsl-greedy",
    "fireants",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
)


def page_path(notebook: str, profile: str) -> Path:
    """Where the executed page of a notebook under a profile lies."""
    return profiles.project_root() / PAGES / f"{notebook}_{profile}.ipynb"


def update_page(notebook: str, profile: str, *, recompute: bool, console, run: Callable) -> None:
    """Execute a notebook unless its page was made from what is there now.

    Raises
    ------
    InputError
        The profile is not computed live and its store has no row for this notebook.
    """
    parameters = notebooks.resolve_parameters(notebook, profile)
    rows = read_state(notebook, parameters)
    done = [state for state in rows.values() if state.startswith(("ok ", "failed "))]
    if not done and profile not in profiles.LIVE and "cohort" in parameters:
        raise InputError(
            f"{notebook}: profile {profile} has no results to draw; compute them "
            f"(`lumirage run {notebook} -p {profile} --compute-only`, hours) or name the profiles "
            "the book is to have (`lumirage book --profiles demo`)"
        )
    path = page_path(notebook, profile)
    now, before = compute_digest(notebook, parameters), read_digest(path)
    changed = [part for part in now if now[part] != before.get(part)]
    if not changed and not recompute:
        console.print(f"{notebook} {profile}: up to date")
        return
    why = (
        "first time" if not before else f"changed: {', '.join(changed)}" if changed else "as asked"
    )
    console.print(f"{notebook} {profile}: executing ({why})")
    start = time.perf_counter()
    run(notebook, profile=profile, parameter=None, output=None, compute_only=False)
    page = nbformat.read(path, as_version=4)
    page.metadata["lumirage"] = {"made_from": compute_digest(notebook, parameters)}
    nbformat.write(page, path)
    console.print(f"{notebook} {profile}: done in {time.perf_counter() - start:.0f} s")


def read_state(notebook: str, parameters: Mapping) -> dict[str, str]:
    """Key -> status and time of every row a page draws on, or why there is none.

    A notebook without a plan of its own, or whose plan cannot be made for want of a source, draws on
    the whole store of its profile.
    """
    store = profiles.store_path(parameters["profile"])
    tasks = None
    if notebook in experiments.EXPERIMENTS:
        with contextlib.suppress(SourceError):
            tasks = experiments.list_tasks(experiments.plan_notebook(notebook, parameters))
    keys = None if tasks is None else [task.key for task in tasks]
    table = read_registrations(store, keys)
    names = {task.method for task in tasks or []}
    absent = {name: missing(get_method(name)) or "not computed" for name in names}
    state = {task.key: absent[task.method] for task in tasks or []}
    for row in table.itertuples():
        state[row.key] = f"{'ok' if row.status == 'ok' else 'failed'} {row.finished}"
    return state


def compute_digest(notebook: str, parameters: Mapping) -> dict[str, str]:
    """Hash of everything a page is made from, part by part, so that a change can be named."""
    library = Path(__file__).parent.parent
    parts = {
        "notebook": notebooks.notebook_source(notebook).read_text(),
        "parameters": dict(parameters),
        "library": [p.read_text() for p in sorted(library.rglob("*.py"))],
        "software": [platform.python_version(), *map(_version, SOFTWARE)],
        "results": read_state(notebook, parameters),
    }
    return {name: hash_of(part) for name, part in parts.items()}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def read_digest(path: Path) -> Mapping[str, str]:
    """What a page was made from; empty if there is none, or it was not finished."""
    if not path.exists():
        return {}
    page = nbformat.read(path, as_version=4)
    return page.metadata.get("lumirage", {}).get("made_from", {})
