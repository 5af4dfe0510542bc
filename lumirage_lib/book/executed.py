"""The executed pages: which are out of date, and why."""

import ast
import contextlib
import functools
import inspect
import json
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .. import experiments
from ..errors import InputError, SourceError
from ..files import hash_of, replacing
from ..methods import get_method, missing
from ..runs import profiles
from ..runs.provenance import find_versions
from ..runs.store import read_answers, read_registrations
from . import notebooks
from .toc import PAGES


def page_path(notebook: str, profile: str) -> Path:
    """Where the executed page of a notebook under a profile lies."""
    return profiles.project_root() / PAGES / f"{notebook}_{profile}.ipynb"


def update_page(notebook: str, profile: str, *, recompute: bool, console, run: Callable) -> None:
    """Execute a notebook unless its page was made from what is there now.

    Raises
    ------
    InputError
        The profile is not computed live and its store has no row at all; a notebook whose own run has
        not begun has a page that says so.
    """
    parameters = notebooks.resolve_parameters(notebook, profile)
    rows = read_state(notebook, parameters)
    done = [state for state in rows.values() if state.startswith(("ok ", "failed "))]
    live = profile in profiles.LIVE or "cohort" not in parameters
    if not (done or live or read_answers(profiles.store_path(profile))):
        raise InputError(
            f"{notebook}: profile {profile} has no results to draw; compute them "
            f"(`lumirage run {notebook} -p {profile} --compute-only`, hours) or name the profiles "
            "the book is to have (`lumirage book --profiles demo`)"
        )
    path = page_path(notebook, profile)
    now, before = compute_digest(notebook, parameters, rows), read_digest(path)
    changed = [part for part in now if now[part] != before.get(part)]
    if not changed and not recompute:
        console.print(f"{notebook} {profile}: up to date")
        return
    why = (
        "first time" if not before else f"changed: {', '.join(changed)}" if changed else "as asked"
    )
    console.print(f"{notebook} {profile}: executing ({why})")
    import nbformat  # here, because a book that is up to date needs none of it

    start = time.perf_counter()
    run(notebook, profile=profile, parameter=None, output=None, compute_only=False)
    page = nbformat.read(path, as_version=4)
    made_from = compute_digest(notebook, parameters, read_state(notebook, parameters))
    page.metadata["lumirage"] = {**page.metadata.get("lumirage", {}), "made_from": made_from}
    with replacing(path) as part:
        nbformat.write(page, part)
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
    state = {
        row.key: f"{'ok' if row.status == 'ok' else 'failed'} {row.finished}"
        for row in table.itertuples()
    }
    lacking = [task for task in tasks or [] if task.key not in state]
    why = {m: missing(get_method(m)) or "not computed" for m in {t.method for t in lacking}}
    return state | {task.key: why[task.method] for task in lacking}


def compute_digest(notebook: str, parameters: Mapping, state: Mapping[str, str]) -> dict[str, str]:
    """Hash of everything a page is made from, part by part, so that a change can be named.

    Parameters
    ----------
    state : mapping
        Of the rows it draws on, see :func:`read_state`.
    """
    parts = {
        "notebook": notebooks.notebook_source(notebook).read_text(),
        "parameters": dict(parameters),
        "library": [path.read_text() for path in find_library(notebook)],
        "software": [platform.python_version(), find_versions()],
        "results": state,
    }
    return {name: hash_of(part) for name, part in parts.items()}


@functools.cache
def _find_imports(path: Path) -> frozenset[Path]:
    """Files of the library that one of them, or a notebook, imports, also within functions."""
    library, found = Path(__file__).parent.parent, set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        parts = (node.module or "").split(".") if node.module else []
        if node.level:
            base = path.parents[node.level - 1]
        elif parts[:1] == [library.name]:
            base, parts = library.parent, parts
        else:
            continue
        base = base.joinpath(*parts)
        for target in (base, *(base / alias.name for alias in node.names)):
            candidates = (target.with_suffix(".py"), target / "__init__.py")
            found |= {file for file in candidates if file.is_file()}
    return frozenset(found)


def find_library(notebook: str) -> list[Path]:
    """Files of the library that a page depends on: what it imports, and what that imports.

    Of the experiments it is that of the notebook alone; a page about all of them depends on all.
    """
    source = notebooks.notebook_source(notebook)
    its = experiments.EXPERIMENTS.get(notebook)
    declared = experiments.EXPERIMENTS.values() if its is None else [its]
    rooms = {Path(inspect.getfile(f)) for e in declared for f in (e.plan, e.analyse)}
    seen, todo = {source, *rooms}, [source, *rooms]
    while todo:
        new = _find_imports(todo.pop()) - seen
        seen |= new
        todo += new
    return sorted(seen - {source})


def read_digest(path: Path) -> Mapping[str, str]:
    """What a page was made from; empty if there is none, or it was not finished."""
    if not path.exists():
        return {}
    return json.loads(path.read_text())["metadata"].get("lumirage", {}).get("made_from", {})
