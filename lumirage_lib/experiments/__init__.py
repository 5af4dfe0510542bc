"""One experiment, one room: plan, analysis and figures side by side; its folder declares it,
the registry collects."""

from .entry import Entry, enter, list_tasks
from .experiment import Experiment
from .registry import (
    EXPERIMENTS,
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
