"""Every experiment by the name of its notebook, and its run under a notebook's parameters."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from .entry import Entry
from .experiment import Experiment, Parameters
from .run import Run, compute_run, read_run


def _collect() -> Iterator[Experiment]:
    """What the folders beside this file declare as `EXPERIMENT`."""
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if found.ispkg:
            module = importlib.import_module(f".{found.name}", __package__)
            if hasattr(module, "EXPERIMENT"):
                yield module.EXPERIMENT


EXPERIMENTS: dict[str, Experiment] = {e.id: e for e in sorted(_collect(), key=lambda e: e.id)}


def get_experiment(notebook: str) -> Experiment:
    """The experiment of that name.

    Raises
    ------
    InputError
        No folder declares it; the message lists those there are.
    """
    if notebook not in EXPERIMENTS:
        raise InputError(
            f"no experiment {notebook!r}; there are {', '.join(EXPERIMENTS)}; its folder in "
            "lumirage_lib/experiments declares it: EXPERIMENT = Experiment(id, title, plan, analyse)"
        )
    return EXPERIMENTS[notebook]


def plan_notebook(notebook: str, parameters: Parameters) -> list[Entry]:
    """Every registration that a notebook needs, with its place."""
    return get_experiment(notebook).plan(parameters)


def compute_notebook(
    notebook: str,
    parameters: Parameters,
    on_row: Callable[[dict], None] = lambda row: None,
    **how,
) -> dict[str, int]:
    """Compute what a notebook's run still lacks; returns the counts, see `compute_run`."""
    return compute_run(plan_notebook(notebook, parameters), parameters, on_row, **how)


def load(notebook: str, parameters: Parameters) -> Run:
    """The tables of a notebook as the store has them; nothing is computed."""
    return read_run(plan_notebook(notebook, parameters), parameters)


def load_or_compute(notebook: str, parameters: Parameters) -> Run:
    """The tables of a notebook: from the store where they are there, computed where they are not.

    A registration that cannot be computed here, because its images or weights are absent, is left
    out and counted as skipped.
    """
    entries = plan_notebook(notebook, parameters)
    counts = compute_run(entries, parameters)
    return replace(read_run(entries, parameters), counts=counts)
