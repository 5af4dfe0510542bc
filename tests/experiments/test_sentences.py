"""Words that every chapter shares."""

import pandas as pd

from lumirage_lib.experiments.families import CORE
from lumirage_lib.experiments.sentences import describe_families


def test_who_is_in_no_declared_family_is_told_apart():
    values = pd.Series(
        {"affine": 0.4, "greedy": 0.6, "lapirn-disp": 0.7, "clapirn": 0.8, "vfa": 0.1}
    )
    said = describe_families(values, 1, CORE)
    assert said == (
        "iterative methods 0.6, networks 0.7 to 0.8, beside them VFA (ours, 2 mm) 0.1, affine only 0.4"
    )
    assert "networks 0.1 to 0.8" in describe_families(values, 1)
    assert describe_families(values[["vfa"]], 1, CORE) == "VFA (ours, 2 mm) 0.1"


def test_a_method_with_several_numbers_has_a_range():
    values = pd.Series([0.6, 0.8, 0.1, 0.3], ["greedy", "greedy", "vfa", "vfa"])
    said = describe_families(values, 1, CORE)
    assert said == "iterative methods 0.6 to 0.8, beside them VFA (ours, 2 mm) 0.1 to 0.3"
