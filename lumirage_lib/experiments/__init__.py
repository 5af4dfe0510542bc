"""One experiment, one room: plan, analysis and figures side by side, collected in the registry."""

from .entry import Entry, enter, list_tasks
from .registry import (
    EXPERIMENTS,
    Experiment,
    compute_notebook,
    load,
    load_or_compute,
    plan_notebook,
)
from .run import Run

__all__ = [
    "EXPERIMENTS",
    "Entry",
    "Experiment",
    "Run",
    "compute_notebook",
    "enter",
    "list_tasks",
    "load",
    "load_or_compute",
    "plan_notebook",
]
