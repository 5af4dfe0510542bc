"""What an experiment declares of itself, in the `__init__.py` of its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..stats import Verdict
from .entry import Entry
from .run import Run

Parameters = Mapping[str, Any]


def _no_verdicts(result: Any) -> list[Verdict]:
    return []


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes
    ----------
    id : str
        Name of its notebook.
    title : str
    plan : callable
        ``plan(parameters) -> list of Entry``: every registration it needs, with its place.
    analyse : callable
        ``analyse(run, parameters) -> result``: everything the page says. It never plans again.
    verdicts : callable
        ``verdicts(result) -> list of Verdict``: what the scoreboard reads.
    """

    id: str
    title: str
    plan: Callable[[Parameters], list[Entry]]
    analyse: Callable[[Run, Parameters], Any]
    verdicts: Callable[[Any], list[Verdict]] = _no_verdicts
