"""Every experiment by the name of its notebook, and its run under a notebook's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..stats import Verdict
from .contrasts.analysis import analyse as analyse_contrasts
from .contrasts.plan import plan_contrasts
from .do_no_harm.analysis import analyse as analyse_do_no_harm
from .do_no_harm.plan import plan_harm
from .effect_sizes.analysis import analyse as analyse_effect_sizes
from .entry import Entry
from .in_distribution.analysis import analyse as analyse_in_distribution
from .label_protocol.analysis import analyse as analyse_label_protocol
from .macaque.analysis import analyse as analyse_macaque
from .macaque.plan import plan_macaque
from .pairs import plan_pairs
from .preprocessing.analysis import analyse as analyse_preprocessing
from .preprocessing.plan import plan_preprocessing
from .resolution.analysis import analyse as analyse_resolution
from .resolution.plan import plan_resolution
from .run import Run, compute_run, read_run
from .statistics.analysis import analyse as analyse_statistics

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


EXPERIMENTS: dict[str, Experiment] = {
    e.id: e
    for e in (
        Experiment(
            "01_in_distribution",
            "In distribution",
            plan_pairs,
            analyse_in_distribution,
            lambda result: [result.verdict],
        ),
        Experiment(
            "02_macaque",
            "Macaque",
            plan_macaque,
            analyse_macaque,
            lambda result: list(result.verdicts.values()),
        ),
        Experiment(
            "03_contrasts",
            "Contrasts",
            plan_contrasts,
            analyse_contrasts,
            lambda result: list(result.verdicts.values()),
        ),
        Experiment(
            "04_resolution",
            "Resolution",
            plan_resolution,
            analyse_resolution,
            lambda result: list(result.verdicts.values()),
        ),
        Experiment(
            "05_preprocessing",
            "Preprocessing",
            plan_preprocessing,
            analyse_preprocessing,
            lambda result: list(result.verdicts.values()),
        ),
        Experiment(
            "06_label_protocol",
            "Label protocol",
            plan_pairs,
            analyse_label_protocol,
        ),
        Experiment(
            "07_effect_sizes",
            "Effect sizes",
            lambda p: [],  # draws on published tables of others
            analyse_effect_sizes,
        ),
        Experiment(
            "08_statistics",
            "Statistics",
            plan_pairs,
            analyse_statistics,
        ),
        Experiment(
            "09_do_no_harm",
            "Do no harm",
            plan_harm,
            analyse_do_no_harm,
        ),
    )
}


def plan_notebook(notebook: str, parameters: Parameters) -> list[Entry]:
    """Every registration that a notebook needs, with its place."""
    return EXPERIMENTS[notebook].plan(parameters)


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
