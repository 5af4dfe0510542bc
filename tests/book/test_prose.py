"""Numbers that the prose fixes in advance are those the code decides by."""

from __future__ import annotations

import re

import pytest
import yaml

from lumirage_lib.book.notebooks import read_parameters
from lumirage_lib.runs.profiles import project_root

RULES = (project_root() / "book" / "rules.md").read_text()
EXPERIMENTS = yaml.safe_load((project_root() / "experiments.yml").read_text())


@pytest.mark.parametrize("notebook", EXPERIMENTS)
def test_the_margin_of_equivalence_is_the_one_fixed_in_the_rules(notebook):
    fixed = float(re.search(r"equal within ([\d.]+) ", RULES).group(1))
    parameters = read_parameters(notebook)
    if "margin" not in parameters:
        pytest.skip("decides nothing by equivalence")
    given = {p: v.get("margin", parameters["margin"][1]) for p, v in EXPERIMENTS[notebook].items()}
    assert given == dict.fromkeys(given, fixed)
