"""Do the intervals cover? Simulated studies whose truth is known, all subjects in both roles.

    python benchmarks/coverage.py [--studies 2000] [--subjects 10] [--pairs 30]

Prints a table and writes it as coverage.csv and coverage.md beside this file. About six minutes on
one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from lumirage_lib.stats import VarianceComponents, draw_pairs, simulate_differences
from lumirage_lib.stats._bootstrap import _bca_levels, draw_weights, resample_pivot
from lumirage_lib.stats._design import make_design
from lumirage_lib.stats._statistics import mean_difference
from lumirage_lib.stats._tests import widen

UNIT = 1e-4  # variances in units of (0.01 Dice)^2
# name: fixed, moving, covariance of the two roles, residual, skewed
SCENARIOS = {
    "subjects and noise alike": (1, 1, 0, 1, False),
    "mostly subjects": (4, 4, 0, 0.25, False),
    "fixed subject only": (1, 0, 0, 1, False),
    "roles agree (r = 0.8)": (1, 1, 0.8, 1, False),
    "roles oppose (r = -0.6)": (1, 1, -0.6, 1, False),
    "weak subjects": (0.16, 0.16, 0, 1, False),
    "noise only": (0, 0, 0, 1, False),
    "skewed (exponential)": (1, 1, 0, 1, True),
}
# Subjects and pairs of smaller and larger studies; the last three have no more pairs than subjects.
FEW = ((3, 6), (5, 20), (18, 36), (10, 12), (3, 3), (5, 5), (10, 6))
PER_DESIGN = 100  # studies that share one set of pairs


def make_components(fixed, moving, covariance, residual) -> VarianceComponents:
    return VarianceComponents(*(UNIT * v for v in (fixed, moving, residual, covariance)))


def compute_bounds(differences, design, n_resamples, rng) -> dict[str, np.ndarray]:
    """Half-widths or bounds of every method for each study, 95 %, and 90 % for equivalence."""
    n_pairs, n_subjects = design.n_pairs, design.n_subjects
    mean = differences.mean(1)
    error = differences.std(1, ddof=1) / np.sqrt(n_pairs)
    weights = draw_weights(design, n_resamples, rng)
    replicates = (weights @ differences.T / weights.sum(1, keepdims=True)).T
    out: dict[str, list] = {name: [] for name in ("t", "ours", "ours90", "bca")}
    for study, values in enumerate(differences):
        pivot = resample_pivot(
            values - mean[study], design, mean[study], n_resamples=n_resamples, rng=rng
        )
        student = stats.t.ppf(0.975, n_subjects - 1) * pivot.error
        out["t"].append(mean[study] + np.array([-student, student]))
        half = pivot.compute_halfwidth(0.95)
        out["ours"].append(mean[study] + np.array([-half, half]))
        half = widen(pivot, n_subjects).compute_halfwidth(0.9)
        out["ours90"].append(mean[study] + np.array([-half, half]))
        both = np.column_stack([values, np.zeros(n_pairs)])
        levels = _bca_levels(mean_difference, both, design, replicates[study], 0.025)
        out["bca"].append(np.quantile(replicates[study], levels))
    found = {name: np.array(bounds) for name, bounds in out.items()}
    for name, level in (("naive", 0.975), ("naive90", 0.95)):
        half = stats.t.ppf(level, n_pairs - 1) * error
        found[name] = np.column_stack([mean - half, mean + half])
    found["percentile"] = np.quantile(replicates, [0.025, 0.975], axis=1).T
    return found


def run_scenario(
    scenario: str,
    *,
    balanced: bool,
    n_subjects: int,
    n_pairs: int,
    n_studies: int,
    n_resamples: int,
    rng: np.random.Generator,
) -> dict:
    """Share of studies whose interval holds the truth, and false positives of equivalence.

    Equivalence is tested where it just fails: the truth is the margin itself.
    """
    *components, skewed = SCENARIOS[scenario]
    variances = make_components(*components)
    margin = 4 * np.sqrt(np.sum(np.abs(components)) * UNIT)  # wide: the upper test alone decides
    collected: list[dict] = []
    for start in range(0, n_studies, PER_DESIGN):
        pairs = draw_pairs(n_subjects, n_pairs, balanced=balanced, rng=rng)
        design = make_design(pairs[:, 0].astype(str), pairs[:, 1].astype(str))
        differences = simulate_differences(
            pairs,
            variances,
            mean=margin,
            n_studies=min(PER_DESIGN, n_studies - start),
            skewed=skewed,
            rng=rng,
        )
        collected.append(compute_bounds(differences, design, n_resamples, rng))
    bounds = {name: np.concatenate([c[name] for c in collected]) for name in collected[0]}
    holds = {
        name: float(np.mean((b[:, 0] <= margin) & (margin <= b[:, 1])))
        for name, b in bounds.items()
    }
    inside = {
        name: float(np.mean((bounds[name][:, 0] > -margin) & (bounds[name][:, 1] < margin)))
        for name in ("ours90", "naive90")
    }
    widths = {name: float(np.median(b[:, 1] - b[:, 0])) for name, b in bounds.items()}
    return {
        "scenario": scenario,
        "pairs are": "balanced" if balanced else "random",
        "subjects": n_subjects,
        "pairs": n_pairs,
        "studies": n_studies,
        "naive t": holds["naive"],
        "percentile": holds["percentile"],
        "BCa": holds["bca"],
        "cluster-robust t": holds["t"],
        "studentised (default)": holds["ours"],
        "width against naive": widths["ours"] / widths["naive"],
        "TOST false positives": inside["ours90"],
        "naive TOST false positives": inside["naive90"],
    }


def run(n_studies=2000, n_subjects=10, n_pairs=30, n_resamples=999, seed=2026) -> pd.DataFrame:
    """One row per scenario and design, then the first scenario with other numbers of both."""
    first = next(iter(SCENARIOS))
    plan = [(name, b, n_subjects, n_pairs) for name in SCENARIOS for b in (True, False)]
    plan += [(first, True, *size) for size in FEW]
    rows = []
    for number, (scenario, balanced, subjects, pairs) in enumerate(plan):
        row = run_scenario(
            scenario,
            balanced=balanced,
            n_subjects=subjects,
            n_pairs=pairs,
            n_studies=n_studies,
            n_resamples=n_resamples,
            rng=np.random.default_rng([seed, number]),
        )
        print(format_row(row), flush=True)
        rows.append(row)
    return pd.DataFrame(rows)


def format_row(row: dict) -> str:
    """One line of the markdown table; shares in percent."""
    cells = []
    for name, value in row.items():
        if isinstance(value, float):
            cells.append(f"{value:.2f}" if name.startswith("width") else f"{100 * value:.1f}")
        else:
            cells.append(str(value))
    return "| " + " | ".join(cells) + " |"


def write_markdown(table: pd.DataFrame, path: Path) -> None:
    """The table with a sentence before it, made from its numbers."""
    size = table.loc[0, ["subjects", "pairs"]]
    usual = table[(table["subjects"] == size["subjects"]) & (table["pairs"] == size["pairs"])]
    normal = usual[~usual["scenario"].str.startswith("skewed")]
    default, naive = normal["studentised (default)"], normal["naive t"]
    false = normal["TOST false positives"]
    lines = [
        f"Coverage of 95 % intervals in %, {table['studies'].iloc[0]} simulated studies a row. With "
        f"{size['subjects']} subjects, {size['pairs']} ordered pairs and normal effects the default "
        f"interval covers {100 * default.min():.1f} to {100 * default.max():.1f} %, the naive t "
        f"interval {100 * naive.min():.1f} to {100 * naive.max():.1f} %; two one-sided tests at 5 % "
        f"falsely declare equivalence in {100 * false.min():.1f} to {100 * false.max():.1f} % of "
        "studies whose true difference is the margin.",
        "",
        "| " + " | ".join(table.columns) + " |",
        "|" + "---|" * len(table.columns),
        *(format_row(row) for row in table.to_dict("records")),
    ]
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--subjects", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--resamples", type=int, default=999)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    args = parser.parse_args()
    table = run(args.studies, args.subjects, args.pairs, args.resamples, args.seed)
    table.to_csv(args.out, index=False, float_format="%.4f")
    write_markdown(table, args.out.with_suffix(".md"))


if __name__ == "__main__":
    main()
