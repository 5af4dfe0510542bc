"""What an experiment declares of itself, in the `__init__.py` of its folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ..stats import Verdict
from .entry import Entry
from .run import Run

Parameters = Mapping[str, Any]


class Result(SimpleNamespace):
    """What an analysis gives its page: sentences, tables and figure data; every number is computed.

    `specify`, where there is one, gives the specifications of its verdicts; it takes long, so the pages about
    all choices call it and no other.
    """


def _no_verdicts(result: Result) -> list[Verdict]:
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
        ``analyse(run, parameters) -> Result``: everything the page says. It never plans again.
    verdicts : callable
        ``verdicts(result) -> list of Verdict``: what the scoreboard reads.
    """

    id: str
    title: str
    plan: Callable[[Parameters], list[Entry]]
    analyse: Callable[[Run, Parameters], Result]
    verdicts: Callable[[Result], list[Verdict]] = _no_verdicts
