"""benchmarks/coverage.py in small, and what its committed table promises for every design."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.stats._crossed import make_estimator
from lumirage_lib.stats._design import make_design

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def coverage():
    sys.path.insert(0, str(SCRIPT.parent))  # for what the benchmarks share
    spec = importlib.util.spec_from_file_location("coverage_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(SCRIPT.parent))
    return module


def test_intervals_cover_and_those_over_pairs_do_not(coverage):
    """Every design that is judged, at the middle and the greatest role correlation."""
    for arm, pairs in coverage.find_designs(coverage.read_run()).items():
        design = make_design(*pairs.T)
        if design.n_subjects < 5:
            continue
        found = coverage.measure(
            design, make_estimator(design), None, 1000, np.random.default_rng(0)
        )
        hard = found[found["role"].isin([0.5, 0.95])]
        # 1000 studies leave a standard error of 0.7 % on a coverage of 95 %.
        assert hard["covers"].min() > 0.92, arm
        assert hard["naive"].min() < hard["covers"].min(), arm


def test_published_table_keeps_rule_6(coverage):
    table = pd.read_csv(SCRIPT.with_suffix(".csv"))
    assert (table["studies"] >= 4000).all()
    assert set(table["residuals"]) == {"Gaussian", "resampled"}
    assert {0, 0.95} <= set(table["role correlation"])
    judged = table[table["subjects"] >= 5]
    assert judged["least coverage"].min() >= 0.93
    assert not coverage.summarise(table)["remark"].eq("TOO LITTLE").any()
    designs = coverage.find_designs(coverage.read_run())
    simulated = table.groupby("arm")[["design", "pairs", "subjects"]].first()
    assert set(simulated.index) == set(designs)
    for arm, pairs in designs.items():  # the very pairs: as many others may cover otherwise
        size = (len(pairs), len(np.unique(pairs)))
        assert tuple(simulated.loc[arm]) == (coverage.name_design(pairs), *size)


def test_a_design_in_parts_has_no_more_degrees_of_freedom_at_least_than_parts():
    circles = [(a + k, b + k) for k in range(0, 12, 3) for a, b in ((0, 1), (1, 2), (2, 0))]
    ring = [(k, (k + 1) % 12) for k in range(12)]
    assert make_estimator(make_design(*np.array(circles).astype(str).T)).fewest == 4
    assert make_estimator(make_design(*np.array(ring).astype(str).T)).fewest == 5.5
    assert make_estimator(make_design(["a", "b", "c"], ["atlas"] * 3)).fewest == 1


def test_what_rules_say_of_designs_in_parts_is_repeated_by_a_command(coverage):
    former = coverage.run_former(1, 500)
    assert set(former["arm"]) == {"0.6 mm"}  # the only design of a verdict that the floor concerns
    assert former["least"].max() < 0.95


def test_markdown_quotes_the_table(coverage, tmp_path):
    table = pd.read_csv(SCRIPT.with_suffix(".csv"))
    coverage.write_markdown(table, tmp_path / "coverage.md")
    assert (tmp_path / "coverage.md").read_text() == SCRIPT.with_suffix(".md").read_text()
