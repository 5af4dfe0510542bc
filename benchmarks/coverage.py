"""Do the intervals cover, for every design in use? Simulated studies whose truth is known.

    python benchmarks/coverage.py [--studies 4000]
    python benchmarks/coverage.py --former 7      # what rules.md says of designs in parts, 7 times over

A design is the very set of pairs an arm registers. Subjects differ in either role (with a correlation
of the two roles from 0 to 0.95) and pairs differ besides; effects and noise are Gaussian, or drawn
from what the published run left over: the residuals of its differences, by subject and by pair.
Prints a table and writes it as coverage.csv and coverage.md beside this file. About a minute.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from designs import N_PRIMARY, find_designs, name_design, read_run
from scipy import stats

from lumirage_lib.stats import match_pairs
from lumirage_lib.stats._crossed import Estimator, make_estimator
from lumirage_lib.stats._design import decompose, make_design

ROLES = (0.0, 0.25, 0.5, 0.8, 0.9, 0.95)  # correlation of a subject's two effects
SPREADS = (0.0, 0.25, 1.0, 4.0, 25.0)  # variance of subjects in one role, noise of a pair being 1
ALPHA = 0.05
Draw = dict[str, np.ndarray]


def collect_residuals(table: pd.DataFrame) -> Draw:
    """Standardised effects of subjects and noise of pairs, of every two methods
    that share ten pairs."""
    usual = table.groupby("method")["parameters"].agg(lambda p: p.value_counts().index[0])
    table = table[table["parameters"] == table["method"].map(usual)]  # curves have others
    subjects, noise = [], []
    for (_, _), rows in table.groupby(["cohort", "condition"]):
        if rows.duplicated(["method", "fixed", "moving"]).any():
            continue  # several contrasts under one name
        for first, second in combinations(sorted(rows["method"].unique()), 2):
            matched = match_pairs(rows, first, second)
            if matched.n_pairs < 10 or matched.n_subjects < 10:
                continue
            design = make_design(matched.fixed_subject, matched.moving_subject)
            parts = decompose(matched.difference, design)
            for role, effect in zip(design.roles, parts.effects, strict=True):
                subjects.append(_standardise(effect[np.unique(role)]))
            noise.append(_standardise(parts.residuals))
    return {"subjects": np.concatenate(subjects), "noise": np.concatenate(noise)}


def _standardise(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-12 else values[:0]


def simulate(
    design, role: float, spread: float, real: Draw | None, n_studies: int, rng
) -> np.ndarray:
    """Values of true mean 0, shape (n_studies, n_pairs)."""

    def draw(kind: str, size: int) -> np.ndarray:
        if real is None:
            return rng.standard_normal((n_studies, size))
        return rng.choice(real[kind], (n_studies, size))

    first, other = (draw("subjects", design.n_subjects) for _ in range(2))
    second = role * first + np.sqrt(1 - role**2) * other
    effects = first[:, design.fixed] + second[:, design.moving]
    return np.sqrt(spread) * effects + draw("noise", design.n_pairs)


def measure(
    design, estimator: Estimator, real: Draw | None, n_studies: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Coverage and median width (in true standard errors) by role correlation and spread."""
    rows = []
    for role in ROLES:
        for spread in SPREADS:
            values = simulate(design, role, spread, real, n_studies, rng)
            mean = values.mean(1)
            error, freedom = estimator.compute_error(values)
            half = stats.t.ppf(1 - ALPHA / 2, freedom) * error
            strict = stats.t.ppf(1 - ALPHA / 2 / N_PRIMARY, freedom) * error
            naive = stats.t.ppf(1 - ALPHA / 2, design.n_pairs - 1) * values.std(1, ddof=1)
            truth = estimator.predict_error(np.array([1, spread, role * spread]))
            rows.append(
                {
                    "role": role,
                    "covers": np.mean(np.abs(mean) <= half),
                    "strict": np.mean(np.abs(mean) <= strict),
                    "naive": np.mean(np.abs(mean) <= naive / np.sqrt(design.n_pairs)),
                    "width": np.median(2 * half) / truth,
                }
            )
    return pd.DataFrame(rows)


def run(n_studies: int = 4000, seed: int = 2026) -> pd.DataFrame:
    """One row per design, kind of residuals and role correlation, extremes over the spreads."""
    table = read_run()
    residuals = collect_residuals(table)
    rows = []
    for number, (arm, pairs) in enumerate(find_designs(table).items()):
        design = make_design(*pairs.T)
        for kind, real in (("Gaussian", None), ("resampled", residuals)):
            rng = np.random.default_rng([seed, number, real is not None])
            found = measure(design, make_estimator(design), real, n_studies, rng)
            for role, group in found.groupby("role"):
                rows.append(
                    {
                        "arm": arm,
                        "design": name_design(pairs),
                        "pairs": design.n_pairs,
                        "subjects": design.n_subjects,
                        "residuals": kind,
                        "role correlation": role,
                        "studies": n_studies,
                        "least coverage": group["covers"].min(),
                        "greatest coverage": group["covers"].max(),
                        "strict, least": group["strict"].min(),
                        "naive, least": group["naive"].min(),
                        "median width": group["width"].median(),
                    }
                )
    return pd.DataFrame(rows)


def run_former(n_repeats: int, n_studies: int = 4000, seed: int = 2026) -> pd.DataFrame:
    """Least coverage of designs in parts as it was: degrees of freedom from half of n - 1 on.

    One row per design that today's floor concerns, kind of residuals and repeat.
    """
    table = read_run()
    residuals = collect_residuals(table)
    rows = []
    for arm, pairs in find_designs(table).items():
        design = make_design(*pairs.T)
        today = make_estimator(design)
        former = replace(today, fewest=max(today.most / 2, 1.0))
        if design.n_subjects < 5 or former.fewest == today.fewest:
            continue
        for kind, real in (("Gaussian", None), ("resampled", residuals)):
            for repeat in range(n_repeats):
                rng = np.random.default_rng([seed, repeat, real is not None])
                least = measure(design, former, real, n_studies, rng)["covers"].min()
                rows.append({"arm": arm, "residuals": kind, "repeat": repeat, "least": least})
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per design and kind of residuals, over all role correlations."""
    keys = ["arm", "pairs", "subjects", "residuals"]
    groups = table.groupby(keys, sort=False)
    out = groups.agg(
        least=("least coverage", "min"),
        greatest=("greatest coverage", "max"),
        strict=("strict, least", "min"),
        naive=("naive, least", "min"),
        width=("median width", "median"),
    ).reset_index()
    words = np.select(
        [out["subjects"] < 5, out["least"] < 0.93, out["greatest"] > 0.97],
        ["no verdict: under five subjects", "TOO LITTLE", "at times conservative"],
        "as it says",
    )
    return out.assign(remark=words)


def write_markdown(table: pd.DataFrame, path: Path) -> None:
    """The summary as a table, with a sentence made from its numbers."""
    short = summarise(table)
    judged = short[short["subjects"] >= 5]
    lines = [
        f"Coverage of 95 % intervals, {table['studies'].min()} simulated studies for each of "
        f"{len(ROLES)} role correlations (0 to {max(ROLES):g}) and {len(SPREADS)} ratios of subjects "
        f"to noise. In every design that is judged, at least {100 * judged['least'].min():.1f} %; "
        f"of t intervals over pairs, as little as {100 * judged['naive'].min():.1f} %. Width: "
        "median, in true standard errors (of a known error it would be 3.9).",
        "",
        f"| arm | pairs | subjects | residuals | least | greatest "
        f"| least at {100 * (1 - ALPHA / N_PRIMARY):.1f} % | over pairs, least | width | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in short.itertuples():
        shares = " | ".join(
            f"{100 * x:.1f}" for x in (row.least, row.greatest, row.strict, row.naive)
        )
        lines.append(
            f"| {row.arm} | {row.pairs} | {row.subjects} | {row.residuals} | {shares} "
            f"| {row.width:.1f} | {row.remark} |"
        )
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--former", type=int, metavar="REPEATS")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    args = parser.parse_args()
    if args.former:
        former = run_former(args.former, args.studies, args.seed)
        print(former.groupby(["arm", "residuals"])["least"].agg(["min", "max", "count"]).round(4))
        return
    table = run(args.studies, args.seed)
    table.to_csv(args.out, index=False, float_format="%.4f")
    write_markdown(pd.read_csv(args.out), args.out.with_suffix(".md"))
    print(args.out.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
