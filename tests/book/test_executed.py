"""A page is executed when what it is made from has changed, and only then."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from lumirage_lib import experiments
from lumirage_lib.book.executed import find_library, page_path, read_digest, read_state, update_page
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import Experiment
from lumirage_lib.experiments.entry import Entry
from lumirage_lib.runs import profiles
from lumirage_lib.runs import store as results

NOTEBOOK = "00_small"
LIBRARY = Path(experiments.__file__).parents[1]


@pytest.fixture
def update(project, write_page):
    """Calls update_page with a `run` that writes the page; says what happened."""

    def call(profile="demo", recompute=False) -> tuple[bool, str]:
        calls = []

        def run(notebook, *, profile, parameter, output, compute_only):
            assert (parameter, output, compute_only) == (None, None, False)
            calls.append(notebook)
            write_page(page_path(notebook, profile))

        said = io.StringIO()
        console = Console(file=said, width=200)
        update_page(NOTEBOOK, profile, recompute=recompute, console=console, run=run)
        return bool(calls), said.getvalue()

    return call


def add_row(profile: str, key: str, status: str = "ok") -> None:
    row = {"key": key, "status": status, "finished": "2026-01-01T00:00:00", "ruler": 1}
    results.write_registration(profiles.store_path(profile), row, pd.DataFrame())


def test_a_second_time_nothing_is_executed(update):
    executed, said = update()
    assert executed
    assert "first time" in said
    executed, said = update()
    assert not executed
    assert "up to date" in said


def test_a_changed_notebook_is_executed_again_and_said_why(update, project):
    update()
    source = project / "notebooks" / f"{NOTEBOOK}.py"
    source.write_text(source.read_text() + "\n# %% [markdown]\n# more\n")
    executed, said = update()
    assert executed
    assert "changed: notebook" in said


def test_a_changed_parameter_is_executed_again(update, project):
    update()
    (project / "experiments.yml").write_text(f"{NOTEBOOK}:\n  demo: {{n_pairs: 4}}\n")
    executed, said = update()
    assert executed
    assert "changed: parameters" in said


@pytest.mark.parametrize("status", ["ok", "timeout"])
def test_a_new_row_is_executed_again(update, status):
    update()
    add_row("demo", "k1", status)
    executed, said = update()
    assert executed
    assert "changed: results" in said
    assert not update()[0]


def test_a_row_that_failed_and_then_succeeded_is_executed_again(update):
    add_row("demo", "k1", "timeout")
    update()
    add_row("demo", "k1", "ok")
    assert update()[0]


def test_recompute_executes_what_is_up_to_date(update):
    update()
    executed, said = update(recompute=True)
    assert executed
    assert "as asked" in said


def test_a_page_that_was_not_finished_is_executed_again(update, project, write_page):
    update()
    write_page(page_path(NOTEBOOK, "demo"))  # as if stopped before its digest was written
    assert read_digest(page_path(NOTEBOOK, "demo")) == {}
    assert update()[0]


def test_a_published_profile_without_results_is_refused_with_the_remedy(update):
    with pytest.raises(InputError, match=r"profile open has no results.*--profiles demo"):
        update("open")


def test_a_published_profile_with_results_is_drawn(update):
    add_row("open", "k1")
    assert update("open")[0]


def test_a_chapter_whose_run_has_not_begun_is_drawn_beside_the_others(update, monkeypatch):
    planned = Experiment(NOTEBOOK, "Small", lambda parameters: [], lambda run, p: None)
    monkeypatch.setitem(experiments.EXPERIMENTS, NOTEBOOK, planned)
    add_row("open", "of another chapter")
    assert update("open")[0]


def test_state_says_why_a_planned_row_is_not_there(project, monkeypatch):
    class Planned:
        key, method = "k1", "affine"

    planned = Experiment(
        NOTEBOOK, "Small", lambda parameters: [Entry("a", "c", None, Planned)], lambda run, p: None
    )
    monkeypatch.setitem(experiments.EXPERIMENTS, NOTEBOOK, planned)
    assert read_state(NOTEBOOK, {"profile": "demo"}) == {"k1": "not computed"}
    add_row("demo", "k1")
    add_row("demo", "of-another-notebook")
    assert read_state(NOTEBOOK, {"profile": "demo"}) == {"k1": "ok 2026-01-01T00:00:00"}


def test_a_page_depends_on_its_own_room_and_not_on_the_command():
    def find(notebook) -> set[str]:
        return {str(p.relative_to(LIBRARY)) for p in find_library(notebook)}

    first, summary = find("01_in_distribution"), find("00_summary")
    assert {"book/pages.py", "experiments/run.py", "metrics/case.py", "stats/_tests.py"} <= first
    assert {"experiments/in_distribution/analysis.py"} <= first & summary
    assert {"experiments/in_distribution/figures.py"} <= first
    assert not any(name.startswith(("cli/", "book/html", "book/build")) for name in first | summary)
    assert "experiments/resolution/analysis.py" in summary - first
