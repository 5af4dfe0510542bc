"""Images too small for a method are refused in one sentence, before the method sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import brain, smooth_field

from lumirage_lib.errors import InputError
from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.images.warp import warp_image
from lumirage_lib.methods import METHODS, get_method, run_method

ITERATIVE = [m for m, spec in METHODS.items() if spec.family == "iterative"]
QUICK = {  # little work, at as many levels as the defaults have
    "syn": {"iterations": [2, 2, 0]},
    "syn-full": {"iterations": [2, 2, 2, 1]},
    "greedy": {"iterations": "2x2x1"},
    "fireants-greedy": {"iterations": [2, 2, 1, 1]},
    "fireants-syn": {"iterations": [2, 2, 1, 1]},
    "fireants-greedy-mind": {"iterations": [2, 2, 1, 1]},
    "convexadam": {"iterations": 2},
}


def make_slab(n: int) -> PairImages:
    shape = (36, 40, n)
    moving = brain((36, 40, 40), 1)
    fixed = warp_image(moving, smooth_field(moving.shape, 1.0, 2))
    start = 20 - n // 2
    images = [np.ascontiguousarray(image[..., start : start + n]) for image in (fixed, moving)]
    assert images[0].shape == shape
    return PairImages(*images, np.eye(4), np.eye(4), np.eye(4))


@pytest.mark.parametrize("method", ITERATIVE)
def test_one_slice_and_a_slab_too_thin_are_refused_with_both_numbers(method):
    spec = get_method(method)
    called = []
    watched = replace(
        spec, run=lambda *a, **k: called.append(1), input=replace(spec.input, multiple_of=1)
    )
    for n in {1, spec.smallest_grid - 1}:
        with pytest.raises(
            InputError, match=f"{method}: .* 36x40x{n} voxels .* {spec.smallest_grid} along"
        ):
            run_method(watched, make_slab(n), {})
    assert not called


@pytest.mark.parametrize("method", ITERATIVE)
def test_smallest_grid_that_is_declared_is_one_that_runs(method):
    spec = get_method(method)
    parameters = spec.with_parameters(QUICK[method])
    found = run_method(spec, make_slab(spec.smallest_grid), parameters)
    assert np.abs(found).max() > 0
