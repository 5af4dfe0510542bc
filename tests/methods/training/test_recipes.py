from __future__ import annotations

import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.methods.networks import VFA
from lumirage_lib.methods.training import RECIPES, get_recipe
from lumirage_lib.methods.training.recipes import value_at


def test_every_recipe_builds_its_network_and_is_plain_data():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        VFA(**recipe.options)
        assert all(side % 2 for _, side in recipe.windows)
        for schedule in (recipe.windows, recipe.smoothness, recipe.finest):
            starts = [start for start, _ in schedule]
            assert starts == sorted({0, *starts})
        assert recipe.as_dict()["options"] == recipe.options


def test_value_changes_at_its_iteration():
    schedule = ((0, 9), (10, 7), (20, 5))
    assert [value_at(schedule, i) for i in (0, 9, 10, 19, 20, 10**6)] == [9, 9, 7, 7, 5, 5]


def test_unknown_recipe_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="no recipe 'cpu'; there are cpu-2mm, "):
        get_recipe("cpu")


def test_interventions_differ_from_the_first_in_what_they_intervene_in_alone():
    base = get_recipe("cause-t1").as_dict()
    changed = {
        name: {k for k, v in get_recipe(f"cause-{name}").as_dict().items() if v != base[k]}
        for name in ("remap", "scale", "both", "few")
    }
    assert changed == {
        "remap": {"name", "remapped"},
        "scale": {"name", "scales"},
        "both": {"name", "remapped", "scales"},
        "few": {"name", "n_fitted"},
    }
