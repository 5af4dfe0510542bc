from __future__ import annotations

from dataclasses import replace

import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.networks import VFA
from lumirage_lib.training import RECIPES, get_recipe


def test_every_recipe_builds_its_network_and_is_plain_data():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        VFA(**recipe.options)
        assert all(side % 2 for _, side in recipe.windows)
        assert recipe.windows[0][0] == 0
        assert recipe.as_dict()["options"] == recipe.options


def test_window_changes_at_its_iteration():
    recipe = replace(get_recipe("cpu-2mm"), windows=((0, 9), (10, 7), (20, 5)))
    sides = [recipe.window_at(i) for i in (0, 9, 10, 19, 20, 10**6)]
    assert sides == [9, 9, 7, 7, 5, 5]


def test_unknown_recipe_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="no recipe 'cpu'; there are cpu-2mm, gpu-1mm"):
        get_recipe("cpu")
