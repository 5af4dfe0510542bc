"""A registration's place in an experiment: what a plan yields."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..runs.task import Task


@dataclass(frozen=True)
class Entry:
    """One registration's place in an experiment; a registration may have several.

    Attributes
    ----------
    arm : str
        Rows of one arm are compared with each other: a cohort, "synthesised", …
    condition : str
        What changes within the arm: a contrast, a perturbation, a size.
    dose : float or None
        How much of it, where there are several amounts.
    task : Task
    """

    arm: str
    condition: str
    dose: float | None
    task: Task


def enter(
    tasks: Iterable[Task], arm: str = "", condition: str = "", dose: float | None = None
) -> list[Entry]:
    """Tasks with their place: by default the cohort is the arm and the preprocessing the condition."""
    return [Entry(arm or t.cohort, condition or t.preprocessing.name, dose, t) for t in tasks]


def list_tasks(entries: Iterable[Entry]) -> list[Task]:
    """Every registration once, in the order of its first place."""
    return list({entry.task.key: entry.task for entry in entries}.values())
