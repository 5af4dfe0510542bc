"""Notebook 08: how differences are tested here, on the registrations of notebook 01."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from ... import stats
from ...methods import name_of
from ...runs.profiles import project_root
from ...stats import count
from ..completeness import find_complete
from ..experiment import Result
from ..families import name_plainly
from ..opening import Opening
from ..run import Run
from ..sentences import make_table, show, show_interval, write_design

COVERAGE = "benchmarks/coverage.csv"  # written by benchmarks/coverage.py


def analyse(run: Run, parameters: Mapping) -> Result:
    """Every pair of methods that were run on all pairs, as one family of tests."""
    alpha, seed = parameters["alpha"], parameters["seed"]
    table = run.registrations[run.registrations["kind"] == "between"]
    methods = [m for m in find_complete(table) if m != "affine"]
    table = table[table["method"].isin(methods)]
    comparisons = _compare(table, methods, alpha, seed)
    components = _components(table, methods)
    typical = components.median(numeric_only=True)
    parts = stats.VarianceComponents(
        typical["fixed"], typical["moving"], typical["residual"], typical["covariance"]
    )
    strict = alpha / max(1, len(comparisons))  # Holm's first step
    power = stats.plan_subjects(parts, alpha=strict)
    pairs, subjects = (int(comparisons[n].max()) for n in ("n_pairs", "n_subjects"))
    each = max(1, round(pairs / subjects))
    seen = stats.compute_detectable_effect(parts, subjects, each, alpha=strict)
    path = project_root() / COVERAGE
    coverage = _coverage(pd.read_csv(path)) if Path(path).exists() else None
    return Result(
        opening=_open(comparisons, write_design(table), seen, power, coverage),
        design=f"{write_design(table)}, {len(methods)} methods.",
        comparisons=comparisons,
        comparison_table=f"{_say_signs(comparisons)}\n\n{_tabulate_comparisons(comparisons)}",
        components=components,
        model_text=_tabulate_models(components),
        power=power,
        power_table=_tabulate_power(power),
        summary_table=_tabulate_summary(stats.summarise(table)),
        coverage=coverage,
    )


def _coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Least and greatest coverage of every design, over role correlations and spreads."""
    keys = ["arm", "pairs", "subjects", "residuals"]
    out = table.groupby(keys, sort=False).agg(
        least=("least coverage", "min"),
        greatest=("greatest coverage", "max"),
        least_over_pairs=("naive, least", "min"),
    )
    out = out.round(3).reset_index()
    out["arm"] = out["arm"].map(name_plainly)
    return out[["arm", "least", "greatest", "least_over_pairs", "pairs", "subjects", "residuals"]]


def _compare(table, methods: list[str], alpha: float, seed) -> pd.DataFrame:
    rows = []
    for first, second in combinations(methods, 2):
        matched = stats.match_pairs(table, first, second)
        interval = stats.compute_interval(matched, level=1 - alpha)
        about = {"first": first, "second": second, **stats.as_row(interval, "difference")}
        signs = stats.sign_flip_subjects(matched, rng=seed)
        rows.append(about | {"p": interval.compute_p(), "p_signs": signs})
    out = pd.DataFrame(rows)
    return out.assign(p_holm=stats.holm(out["p"]), alpha=alpha)


def _say_signs(comparisons: pd.DataFrame) -> str:
    """What stands beside p, and why signs of few subjects cannot pass the correction of many comparisons."""
    said = "p is that of the interval. Beside it stands that of the test which flips the signs of subjects"
    n, alpha = int(comparisons["n_subjects"].max()), comparisons["alpha"].iloc[0]
    least = 2 / 2**n
    if least * len(comparisons) < alpha:
        return f"{said}."
    lowest = int(np.isclose(comparisons["p_signs"], least).sum())
    return (
        f"{said}: those of {n} cannot give less than {least:.4f}, which {lowest} of "
        f"{count(len(comparisons), 'difference')} have. Corrected for all of them that is "
        f"{min(1.0, least * len(comparisons)):.2f}, so this test alone could clear none."
    )


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


def _open(
    comparisons: pd.DataFrame, design: str, seen: float, power: pd.DataFrame, coverage
) -> Opening:
    clear = int((comparisons["p_holm"] < comparisons["alpha"]).sum())
    small = power.loc[power["effect"].idxmin()] if len(power) else None
    covered = (
        f"In simulated studies 95 % intervals hold the truth at least {100 * coverage['least'].min():.0f} % "
        f"of the time; usual ones as rarely as {100 * coverage['least_over_pairs'].min():.0f} %."
        if coverage is not None
        else "Coverage was not simulated here."
    )
    return Opening(
        f"{clear} of {len(comparisons)} differences between two methods are clear of 0 after correction; one "
        f"of {seen:.3f} Dice would be seen four times in five.",
        (
            f"**What.** {design}, every two methods compared, corrected for the number of comparisons.",
            f"**How sure.** {covered}",
            "**What it depends on.** How many brains: "
            + (
                f"a true difference of {small['effect']:g} takes {small['n_subjects']:.0f} subjects to be "
                f"seen among {len(comparisons)} comparisons, four times in five."
                if small is not None
                else "no plan could be made."
            ),
        ),
    )


def _tabulate_comparisons(comparisons: pd.DataFrame) -> str:
    return make_table(
        {
            "difference in Dice (interval)": show_interval(
                row.difference, row.low, row.high, digits=4
            ),
            "of": f"{name_of(row.first)} − {name_of(row.second)}",
            "p (Holm)": _show_p(row.p_holm),
            "p": _show_p(row.p),
            "p (signs)": _show_p(row.p_signs),
        }
        for row in comparisons.itertuples()
    )


def _show_p(p: float) -> str:
    return "< 0.0001" if p < 0.00005 else show(p, 4)


def _tabulate_models(components: pd.DataFrame) -> str:
    table = make_table(
        {
            "mixed model: difference": show_interval(
                row.model_estimate, row.model_low, row.model_high, digits=4
            ),
            "of": f"{name_of(row.first)} − {name_of(row.second)}",
            "SD fixed": show(np.sqrt(row.fixed), 4),
            "SD moving": show(np.sqrt(row.moving), 4),
            "SD residual": show(np.sqrt(row.residual), 4),
            "converged": "yes" if row.converged else f"no: {row.messages[:80]}",
        }
        for row in components.itertuples()
    )
    done = int(components["converged"].sum())
    return (
        f"{table}\n\nThe mixed model converged in {done} of {len(components)} cases; where it did not, "
        "its message stands in the table and the closed form above is what counts. Where it did, its "
        "intervals can be too short: a standard deviation is at 0, or roles vary together. Every verdict "
        "takes the closed form."
    )


def _tabulate_power(power: pd.DataFrame) -> str:
    return make_table(
        {
            "true difference in Dice": f"{row.effect:g}",
            "pairs per subject": row.pairs_per_subject,
            "subjects": row.n_subjects,
            "registrations per method": row.n_pairs,
        }
        for row in power.itertuples()
    )


def _tabulate_summary(summary: pd.DataFrame) -> str:
    return make_table(
        {
            "method": name_of(row.method),
            "median": show(row.median, 4),
            "quartiles": f"{show(row.q1, 4)} to {show(row.q3, 4)}",
            "worst 30 %": show(row.worst30, 4),
            "completed": row.n_pairs,
            "failed": row.n_failed,
        }
        for row in summary.itertuples()
    )
