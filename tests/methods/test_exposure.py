from __future__ import annotations

from dataclasses import replace

import pytest

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.methods import judge_exposure
from lumirage_lib.methods.exposure import judge


@pytest.mark.parametrize(
    ("method", "cohort", "word"),
    [
        ("clapirn", "oasis", "very probably seen"),
        ("clapirn+io", "oasis", "very probably seen"),
        ("lapirn-disp@grid", "synthetic", "very probably seen"),
        ("lkunet", "oasis", "not seen"),
        ("lkunet", "ixi2", "very probably seen"),
        ("vfa", "oasis", "not seen"),  # others of the same data set
        ("vfa", "synthetic", "not seen"),
        ("clapirn", "openms", "not seen"),
        ("voxelmorph", "oasis", "very probably seen"),
        ("voxelmorph", "nichart", "unknown"),
        ("greedy", "oasis", "not seen"),
    ],
)
def test_what_a_network_has_seen_of_a_cohort(method, cohort, word):
    found = judge_exposure(method, get_cohort(cohort))
    assert found.word == word
    assert found.evidence


def test_vfa_has_seen_other_cohorts_of_its_data_set():
    """The same reference under a name that was not kept apart, as a user's own table of OASIS has."""
    other = replace(get_cohort("oasis"), name="mine")
    assert judge_exposure("vfa", other).word == "seen"


def test_worst_of_several_data_sets_counts():
    datasets = {"a": "seen", "b": "very probably seen", "c": "unknown"}
    assert judge(datasets, ["d", "b"], complete=True) == "very probably seen"
    assert judge(datasets, ["b", "a"], complete=True) == "seen"
    assert judge(datasets, ["d"], complete=True) == "not seen"
    assert judge(datasets, ["d"], complete=False) == "unknown"
    assert judge(datasets, [""], complete=True) == "unknown"
    assert judge(datasets, [], complete=True) == "unknown"
