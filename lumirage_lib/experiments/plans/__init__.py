"""Which registrations each notebook needs: a function of its parameters, one module a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...runs.task import Task
from .contrasts import plan_contrasts
from .macaque import plan_macaque
from .pairs import cohort_options, plan_pairs
from .preprocessing import plan_preprocessing
from .resolution import plan_resolution

__all__ = ["PLANS", "cohort_options"]

PLANS: dict[str, Callable[[Mapping], list[Task]]] = {
    "01_in_distribution": plan_pairs,
    "02_macaque": plan_macaque,
    "03_contrasts": plan_contrasts,
    "04_resolution": plan_resolution,
    "05_preprocessing": plan_preprocessing,
    "06_label_protocol": plan_pairs,
    "07_effect_sizes": lambda parameters: [],  # draws on published tables of others
    "08_statistics": plan_pairs,
}
