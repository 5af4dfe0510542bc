from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import assert_recovered, grid_affine, known_pair

from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.methods import InputSpec, get_method, run_method

QUICK = {"scales": [2, 1], "iterations": [40, 15]}


@pytest.mark.parametrize(
    ("name", "grid", "codes"),
    [
        ("fireants-greedy", "RAS", "RAS"),
        ("fireants-greedy", "oblique RAS", "LIA"),
        ("fireants-syn", "oblique RAS", "LIA"),
    ],
)
def test_fireants_recovers_a_known_deformation(name, grid, codes, capfd):
    fixed, moving, true = known_pair()
    affine = grid_affine(grid, (1.0, 1.2, 0.9))
    spec = replace(get_method(name), input=InputSpec(codes))
    pair = PairImages(fixed, moving, affine, np.eye(4), np.eye(4))
    found = run_method(spec, pair, spec.with_parameters(QUICK))
    assert_recovered(found, true, fixed, least=0.9)
    assert capfd.readouterr().out == ""  # the caller's progress bar is alone on the screen


def test_learning_rate_of_syn_is_half_that_of_greedy():
    """As in the scripts of the paper's authors: the symmetric warp moves both images."""
    greedy, syn = (get_method(f"fireants-{kind}").parameters for kind in ("greedy", "syn"))
    assert syn["learning_rate"] == greedy["learning_rate"] / 2
    assert {k: v for k, v in syn.items() if k != "learning_rate"} == {
        k: v for k, v in greedy.items() if k != "learning_rate"
    }
