"""Notebook 08: how differences are tested here, on the registrations of notebook 01."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from ... import stats
from ...methods import name_of, order_of
from ...runs.profiles import project_root
from ..run import Run

COVERAGE = "benchmarks/coverage.csv"  # written by benchmarks/coverage.py


@dataclass(frozen=True)
class Result:
    """Tables and sentences of the page."""

    answer: str
    design: str
    comparisons: pd.DataFrame
    comparison_table: str
    components: pd.DataFrame
    model_text: str
    power: pd.DataFrame
    power_table: str
    summary_table: str
    coverage: pd.DataFrame | None


def analyse(run: Run, parameters: Mapping) -> Result:
    """Every pair of methods that were run on all pairs, as one family of tests."""
    alpha, seed = parameters["alpha"], parameters["seed"]
    table = run.registrations
    table = table[table["kind"] == "between"]
    counts = table["method"].value_counts()
    methods = [m for m in order_of(counts.index[counts == counts.max()]) if m != "affine"]
    table = table[table["method"].isin(methods)]
    comparisons = _compare(table, methods, alpha, seed)
    components = _components(table, methods)
    typical = components.median(numeric_only=True)
    parts = stats.VarianceComponents(
        typical["fixed"], typical["moving"], typical["residual"], typical["covariance"]
    )
    power = stats.plan_subjects(parts, alpha=alpha)
    pairs = len(table[["fixed", "moving"]].drop_duplicates())
    subjects = len({*table["fixed_subject"], *table["moving_subject"]})
    seen = stats.compute_detectable_effect(parts, subjects, max(1, round(pairs / subjects)))
    path = project_root() / COVERAGE
    return Result(
        answer=_answer(comparisons, pairs, subjects, seen),
        design=f"{pairs} ordered pairs of {subjects} subjects, {len(methods)} methods.",
        comparisons=comparisons,
        comparison_table=_comparison_table(comparisons),
        components=components,
        model_text=_model_text(components),
        power=power,
        power_table=_power_table(power),
        summary_table=_summary_table(stats.summarise(table)),
        coverage=_coverage(pd.read_csv(path)) if Path(path).exists() else None,
    )


def _coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Least and greatest coverage of every design, over role correlations and spreads."""
    keys = ["arm", "pairs", "subjects", "residuals"]
    out = table.groupby(keys, sort=False).agg(
        least=("least coverage", "min"),
        greatest=("greatest coverage", "max"),
        least_over_pairs=("naive, least", "min"),
    )
    return out.round(3).reset_index()


def _compare(table, methods: list[str], alpha: float, seed) -> pd.DataFrame:
    rows = []
    for first, second in combinations(methods, 2):
        matched = stats.match_pairs(table, first, second)
        interval = stats.compute_interval(matched, level=1 - alpha)
        rows.append(
            {
                "first": first,
                "second": second,
                "difference": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "p": stats.sign_flip_subjects(matched, rng=seed),
                "n_pairs": matched.n_pairs,
                "n_subjects": matched.n_subjects,
            }
        )
    out = pd.DataFrame(rows)
    return out.assign(p_holm=stats.holm(out["p"]), alpha=alpha)


def _components(table, methods: list[str]) -> pd.DataFrame:
    """Variance components of every difference, and what the mixed model made of the same data."""
    rows = []
    for first, second in combinations(methods, 2):
        matched = stats.match_pairs(table, first, second)
        found = stats.estimate_components(matched)
        model = stats.fit_crossed_model(matched)
        rows.append(
            {
                "first": first,
                "second": second,
                "fixed": found.fixed,
                "moving": found.moving,
                "covariance": found.covariance,
                "residual": found.residual,
                "model_estimate": model.estimate,
                "model_low": model.low,
                "model_high": model.high,
                "converged": model.converged,
                "messages": "; ".join(model.messages),
            }
        )
    return pd.DataFrame(rows)


def _answer(comparisons: pd.DataFrame, pairs: int, subjects: int, seen: float) -> str:
    clear = int((comparisons["p_holm"] < comparisons["alpha"]).sum())
    return (
        f"**Answer.** With {pairs} pairs of {subjects} subjects, {clear} of {len(comparisons)} "
        "differences between methods stand after Holm's correction; a true difference in Dice of "
        f"{seen:.4f} would be seen four times in five."
    )


def _comparison_table(comparisons: pd.DataFrame) -> str:
    lines = [
        "| first | second | difference in Dice | interval | p | p (Holm) |",
        "|---|---|---|---|---|---|",
    ]
    for row in comparisons.itertuples():
        lines.append(
            f"| {name_of(row.first)} | {name_of(row.second)} | {row.difference:+.4f} "
            f"| {row.low:+.4f} to {row.high:+.4f} | {row.p:.4f} | {row.p_holm:.4f} |"
        )
    return "\n".join(lines)


def _model_text(components: pd.DataFrame) -> str:
    lines = [
        "| first | second | SD fixed | SD moving | SD residual | mixed model: difference | converged |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in components.itertuples():
        fit = "no estimate"
        if np.isfinite(row.model_estimate):
            fit = f"{row.model_estimate:+.4f} ({row.model_low:+.4f} to {row.model_high:+.4f})"
        lines.append(
            f"| {name_of(row.first)} | {name_of(row.second)} | {np.sqrt(row.fixed):.4f} "
            f"| {np.sqrt(row.moving):.4f} | {np.sqrt(row.residual):.4f} | {fit} "
            f"| {'yes' if row.converged else 'no: ' + row.messages[:80]} |"
        )
    failed = int((~components["converged"]).sum())
    lines.append(
        f"\nThe mixed model converged in {len(components) - failed} of {len(components)} cases; "
        "where it did not, its message stands in the table and the closed form above is what counts."
    )
    return "\n".join(lines)


def _power_table(power: pd.DataFrame) -> str:
    lines = [
        "| true difference in Dice | pairs per subject | subjects | registrations per method |",
        "|---|---|---|---|",
    ]
    for row in power.itertuples():
        lines.append(
            f"| {row.effect:g} | {row.pairs_per_subject} | {row.n_subjects} | {row.n_pairs} |"
        )
    return "\n".join(lines)


def _summary_table(summary: pd.DataFrame) -> str:
    lines = [
        "| method | completed | failed | median | quartiles | worst 30 % |",
        "|---|---|---|---|---|---|",
    ]
    for row in summary.itertuples():
        lines.append(
            f"| {name_of(row.method)} | {row.n_pairs} | {row.n_failed} | {row.median:.4f} "
            f"| {row.q1:.4f} to {row.q3:.4f} | {row.worst30:.4f} |"
        )
    return "\n".join(lines)
