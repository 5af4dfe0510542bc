"""What was computed stays found: the keys of the published rows."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.cohorts import Pair, get_cohort
from lumirage_lib.experiments import EXPERIMENTS, list_tasks, plan_notebook
from lumirage_lib.images.preprocess import Preprocessing, Step
from lumirage_lib.methods import get_method
from lumirage_lib.runs.task import Task

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results" / "open"
# Fifty rows of the run published first: cohort, options, pair, method and condition in full.
FROZEN = [
    json.loads(line)
    for line in Path(__file__).with_name("published_tasks.jsonl").read_text().splitlines()
]


def make_steps(rows) -> tuple[Step, ...]:
    return tuple(Step(row["name"], tuple(map(tuple, row["arguments"]))) for row in rows)


def make_task(row: dict) -> Task:
    cohort = get_cohort(row["cohort"], **row["options"])
    scans = {scan.id: scan for scan in cohort.scans}
    how = row["preprocessing"]
    preprocessing = Preprocessing(
        row["condition"],
        make_steps(how["image_steps"]),
        how["alignment"],
        make_steps(how["pair_steps"]),
    )
    pair = Pair(scans[row["fixed"]], scans[row["moving"]])
    options = tuple(sorted(row["options"].items()))
    return Task(row["cohort"], options, pair, row["method"], (), preprocessing)


@pytest.mark.parametrize(
    "row", FROZEN, ids=[f"{r['cohort']}-{r['method']}-{i}" for i, r in enumerate(FROZEN)]
)
def test_key_of_a_published_row_is_what_it_was(row):
    assert make_task(row).key == row["key"]


def test_frozen_rows_are_published_and_spread():
    published = pd.read_parquet(PUBLISHED / "registrations.parquet").set_index("key")
    rows = published.loc[[row["key"] for row in FROZEN]]
    assert len(FROZEN) == 50
    assert rows["cohort"].nunique() == 6
    assert rows["method"].nunique() == 14
    assert rows["preprocessing"].nunique() > 10
    assert list(rows["method"]) == [row["method"] for row in FROZEN]
    assert list(rows["fixed"]) == [row["fixed"] for row in FROZEN]


def test_plans_find_every_published_row():
    """By the parameters that the published run was made with."""
    published = pd.read_parquet(PUBLISHED / "registrations.parquet")
    parameters = json.loads((PUBLISHED / "run.json").read_text())["parameters"]
    planned = {
        task.key
        for notebook, given in parameters.items()
        if notebook in EXPERIMENTS
        for task in list_tasks(plan_notebook(notebook, resolve_parameters(notebook, "open", given)))
    }
    assert len(published) >= 1496
    assert set(published["key"]) <= planned


def test_versions_that_enter_keys_are_what_they_were_on_every_python():
    """A package whose version is in a key has one pin, without a marker."""
    text = "".join(path.read_text() for path in ROOT.glob("requirements*.txt"))
    lines = text.replace("_", "-").splitlines()
    pinned = [line.strip().replace("==", " ") for line in lines]
    published = pd.read_parquet(PUBLISHED / "registrations.parquet")
    for method, version in set(zip(published["method"], published["version"], strict=True)):
        assert get_method(method).version == version
        software = version.split(",")[0]
        assert software == "lumirage 1" or software in pinned
