"""What the folders declare, and what a cohort is made with."""

from __future__ import annotations

import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.experiments import EXPERIMENTS, plan_notebook
from lumirage_lib.experiments.pairs import cohort_options
from lumirage_lib.runs.profiles import project_root


def test_every_notebook_that_registers_is_declared_in_a_folder():
    notebooks = {p.stem for p in (project_root() / "notebooks").glob("[0-9]*.py")}
    assert notebooks - {"00_summary", "11_specifications"} == set(EXPERIMENTS)
    assert list(EXPERIMENTS) == sorted(EXPERIMENTS)


def test_notebook_that_no_folder_declares_is_refused():
    with pytest.raises(InputError, match=r"no experiment '10_x'; there are 01_in_.*EXPERIMENT ="):
        plan_notebook("10_x", {})


@pytest.mark.parametrize(
    ("cohort", "expected"),
    [
        ("template", {"spacing_mm": 5.0, "n_subjects": 3, "seed": 7}),
        ("fakes:tiny", {"n_subjects": 3}),
        ("oasis", {}),
    ],
)
def test_cohort_is_made_with_what_it_takes(cohort, expected):
    given = {"cohort": cohort, "spacing_mm": 5.0, "n_subjects": 3, "seed": 7, "methods": []}
    assert cohort_options(given) == expected
