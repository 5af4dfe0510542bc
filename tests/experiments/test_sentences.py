"""Words that every chapter shares."""

import pandas as pd

from lumirage_lib.experiments.families import ALL, CORE, Families
from lumirage_lib.experiments.sentences import describe_families, say_sides


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


def test_sides_that_are_not_the_declared_families_are_named():
    live = Families(("vfa", "clapirn"), ("syn", "greedy", "fireants-greedy"))
    said = [
        [c.strip() for c in line.split("|")] for line in say_sides({"template": live}).splitlines()
    ]
    cells = {row[1]: (row[2], row[3]) for row in said if len(row) == 5}
    assert cells["VFA (ours, 2 mm)"] == ("networks", "no")
    assert cells["SyN (ANTs)"] == ("iterative methods", "no")
    assert cells["greedy"] == ("iterative methods", "yes")
    assert len(cells) == 2 + len(live.methods)


def test_declared_families_need_no_table_and_one_side_alone_none():
    assert say_sides({"oasis": ALL, "synthesised": CORE, "somewhere": CORE}) == ""
    assert say_sides({"synthesised": Families((), ("greedy",))}) == ""
    assert "VFA" in say_sides({"oasis": ALL, "synthesised": Families(("vfa",), ("greedy",))})
