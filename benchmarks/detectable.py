"""What could each primary arm see? The smallest detectable difference, before its run.

    python benchmarks/detectable.py

The variance components of a difference are estimated from what had been published when the rules were
written, by the methods nearest to the declared families, and put into the arm's own design. Needs the
mirror. Writes detectable.csv and detectable.md beside this file; book/rules.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from designs import N_PRIMARY, find_designs, read_run
from scipy import stats

from lumirage_lib.stats import Matched, match_changes, match_conditions, match_pairs
from lumirage_lib.stats._crossed import make_estimator
from lumirage_lib.stats._design import make_design

ALPHA, POWER = 0.05, 0.8
HERE = Path(__file__)


@dataclass(frozen=True)
class Source:
    """Published rows that stand for an arm."""

    arm: str
    notebook: str
    rows: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    condition: str
    reference: str
    design: str
    words: str


DEEP, ITERATIVE = ("lapirn-disp", "clapirn"), ("greedy", "fireants-greedy")
CHANGED = "synthesised, tight crop, LPS"
SOURCES = (
    Source("T1w", "01_in_distribution", "oasis", DEEP, ITERATIVE, "standard", "", "T1w",
           "LapIRN and conditional LapIRN against greedy and FireANTs greedy"),
    *(
        Source(name, "03_contrasts", "synthesised", DEEP, ("greedy",), name, "T1w again", CHANGED,
               "LapIRN and conditional LapIRN against greedy")
        for name in ("T2w", "T2*w")
    ),
    Source("FLAIR", "03_contrasts", "nichart", ("clapirn",), ("greedy",), "FLAIR", "T1w",
           "FLAIR (nichart)", "conditional LapIRN against greedy (at 2 mm) and real T1w"),
    *(
        Source(name, "05_preprocessing", "preprocessing, explored", ("clapirn",), ("greedy",), name,
               "standard", CHANGED, "conditional LapIRN against greedy, 6 of the 12 pairs")
        for name in ("tight crop", "LPS not told")
    ),
    Source("0.6 mm", "04_resolution", "oasis", ("greedy",), (), "1 mm", "1.5 mm", "0.6 mm",
           "greedy from 1.5 to 1 mm on OASIS: no generated brain had been run"),
    Source("real5", "03_contrasts", "nichart", ("clapirn",), ("greedy",), "FLAIR", "T1w", "real5",
           "conditional LapIRN against greedy on nichart"),
)  # fmt: skip


def load_rows() -> dict[str, pd.DataFrame]:
    from lumirage_lib.book.notebooks import resolve_parameters
    from lumirage_lib.experiments.registry import load

    names = dict.fromkeys(s.notebook for s in SOURCES)
    return {n: load(n, resolve_parameters(n, "open")).registrations for n in names}


def match(source: Source, rows: pd.DataFrame) -> Matched:
    rows = rows[(rows["arm"] == source.rows) & (rows["kind"] == "between")]
    if source.reference == "1.5 mm":  # 1 mm is the voxel size of OASIS itself
        rows = rows.assign(condition=rows["condition"].replace("standard", "1 mm"))
    if not source.reference:
        return match_pairs(rows, source.first, source.second, condition=source.condition)
    how = {"condition": source.condition, "reference": source.reference}
    if not source.second:
        return match_conditions(rows, source.first, **how)
    return match_changes(rows, source.first, source.second, **how)


def compute_detectable(error: float, freedom: float, alpha: float) -> float:
    """Smallest true difference seen with the power, two-sided at alpha."""
    return float((stats.t.ppf(1 - alpha / 2, freedom) + stats.t.ppf(POWER, freedom)) * error)


def run() -> pd.DataFrame:
    """One row per primary arm: components, and what its design makes of them."""
    tables, designs = load_rows(), find_designs(read_run())
    out = []
    for source in SOURCES:
        matched = match(source, tables[source.notebook])
        used = make_estimator(make_design(matched.fixed_subject, matched.moving_subject))
        residuals = matched.difference - matched.difference.mean()
        noise, subjects, roles = used.estimate_components(residuals)
        out.append(
            {
                "arm": source.arm,
                "from": source.words,
                "pairs used": matched.n_pairs,
                "subjects used": matched.n_subjects,
                "noise": noise,
                "subject": subjects,
                "covariance": roles,
                **predict(designs[source.design], np.array([noise, subjects, roles])),
            }
        )
    return pd.DataFrame(out)


def predict(pairs: np.ndarray, components: np.ndarray) -> dict:
    """Standard error, degrees of freedom and detectable differences of a design."""
    design = make_design(*pairs.T)
    estimator = make_estimator(design)
    error = estimator.predict_error(components)
    freedom = float(estimator.compute_freedom(components))
    return {
        "pairs": design.n_pairs,
        "subjects": design.n_subjects,
        "error": error,
        "freedom": freedom,
        "alone": compute_detectable(error, freedom, ALPHA),
        "first step": compute_detectable(error, freedom, ALPHA / N_PRIMARY),
    }


def write_markdown(table: pd.DataFrame) -> str:
    """The table of the page."""
    lines = [
        f"| arm | pairs | subjects | seen alone | seen at Holm's first step of {N_PRIMARY} "
        "| spread taken from |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in table.to_dict("records"):
        lines.append(
            f"| {row['arm']} | {row['pairs']} | {row['subjects']} | {row['alone']:.4f} "
            f"| {row['first step']:.4f} | {row['from']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    run().to_csv(HERE.with_suffix(".csv"), index=False, float_format="%.6g")
    text = write_markdown(pd.read_csv(HERE.with_suffix(".csv")))
    HERE.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
