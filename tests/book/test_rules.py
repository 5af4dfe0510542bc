"""book/rules.md says what the code decides by, and its numbers are computed."""

from __future__ import annotations

import importlib.util
import re
import sys

import numpy as np
import pandas as pd
import pytest

from lumirage_lib import stats
from lumirage_lib.experiments.families import ALL, ARMS, CORE
from lumirage_lib.runs.profiles import project_root

ROOT = project_root()
RULES = (ROOT / "book" / "rules.md").read_text()
COMMITTED_V1 = "2026-11-22T12:50:25"  # when the rules of version 1 entered the book


def load_benchmark(name):
    folder = ROOT / "benchmarks"
    sys.path.insert(0, str(folder))  # for what the benchmarks share
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    sys.path.remove(str(folder))
    return module


@pytest.fixture(scope="module")
def detectable():
    return load_benchmark("detectable")


def test_what_came_before_the_rules_is_counted_and_said():
    before = load_benchmark("before_rules")
    found = before.count_before(pd.read_parquet(before.RUN))
    assert block("before") == before.write_markdown(found)
    table = found.set_index("arm")
    assert set(table.index) == {row[0] for row in rows_of("## Primary arms")}
    late = set(table.index[table["before"] == 0])
    assert late == {"FLAIR", "0.6 mm"}, "book/index.md names them"
    statuses = {row[0]: row[5] for row in rows_of("## Primary arms")}
    assert all("re-analysis" in statuses[arm] for arm in table.index[table["before"] > 0])
    assert not any("confirmatory" in statuses[arm] for arm in statuses if arm != "0.6 mm")


def block(name: str) -> str:
    """What stands between a marker and <!-- end -->."""
    return re.search(rf"<!-- {name}: \S+ -->\n(.*?)<!-- end -->", RULES, re.S).group(1)


def rows_of(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading."""
    table = RULES.split(heading, 1)[1].split("\n\n|", 1)[1].split("\n\n", 1)[0]
    return [[c.strip() for c in line.strip("| ").split("|")] for line in table.splitlines()][2:]


def test_words_are_those_of_the_code():
    words = [row[0].replace("within 0.01", "within the margin") for row in rows_of("## The words")]
    found = {
        stats.find_word(low, high, 0.01)
        for low in np.linspace(-0.03, 0.03, 61)
        for high in np.linspace(low, 0.03, 30)
    }
    assert set(words) == found
    assert stats.Claim("a", "", "loses", "deep", "iterative").margin == 0.01


def test_families_are_those_of_the_code():
    for row, side in zip(rows_of("## Families"), ("deep", "iterative"), strict=True):
        assert row[0] == side
        for cell, families in zip(row[1:], (ALL, CORE), strict=True):
            assert set(re.findall(r"`([\w-]+)`", cell)) == set(getattr(families, side))


def test_primary_arms_are_those_of_the_code(detectable):
    said = {row[0]: int(row[4]) for row in rows_of("## Primary arms")}
    assert len(said) == detectable.N_PRIMARY
    names = {"standard": "T1w"}
    declared = {
        names.get(condition, condition): arm.n_pairs
        for arm in ARMS.values()
        for condition in arm.primary
        if arm.name not in ("macaque", "template")
    }
    assert declared.items() <= said.items()
    assert set(said) - set(declared) <= {"0.6 mm"}
    table = pd.read_csv(ROOT / "benchmarks" / "detectable.csv").set_index("arm")
    assert table["pairs"].loc[list(said)].to_dict() == said
    assert f"1 − 0.05/{detectable.N_PRIMARY}," in RULES


def test_detectable_differences_are_computed(detectable):
    table = pd.read_csv(ROOT / "benchmarks" / "detectable.csv")
    assert block("detectable") == detectable.write_markdown(table)
    designs = detectable.find_designs(detectable.read_run())
    where = {source.arm: source.design for source in detectable.SOURCES}
    for row in table.to_dict("records"):
        components = np.array([row["noise"], row["subject"], row["covariance"]])
        found = detectable.predict(designs[where[row["arm"]]], components)
        for name, value in found.items():
            assert row[name] == pytest.approx(value, rel=1e-3), (row["arm"], name)


def test_verdicts_of_version_1_are_those_that_were_kept():
    kept = pd.read_csv(ROOT / "results" / "open" / "verdicts_v1.csv")
    lines = ["| arm | verdict of version 1 | estimate | interval |", "|---|---|---:|---:|"]
    for row in kept.to_dict("records"):
        numbers = [f"{row[k]:.3f}" for k in ("estimate", "low", "high")]
        estimate, low, high = (("0.000" if float(x) == 0 else x).replace("-", "−") for x in numbers)
        lines.append(f"| {row['arm']} | {row['verdict']} | {estimate} | {low} to {high} |")
    assert block("version 1") == "\n".join(lines) + "\n"


def test_what_version_1_could_have_seen_is_said():
    finished = pd.read_parquet(ROOT / "results" / "open" / "registrations.parquet")
    before = finished[finished["finished"] < COMMITTED_V1]
    assert f"{len(before)} registrations" in RULES
    assert set(before["cohort"]) == {"oasis"}
    assert set(before["preprocessing"]) == {"standard"}
