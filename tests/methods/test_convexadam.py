from __future__ import annotations

import numpy as np
import pytest
from synthetic import brain, smooth_field

from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.images.warp import warp_image
from lumirage_lib.methods import get_method, run_method

SHAPE = (48, 42, 36)


def run(pair: PairImages) -> np.ndarray:
    spec = get_method("convexadam")
    return run_method(spec, pair, spec.with_parameters({}))


@pytest.mark.parametrize(("axis", "shift"), [(0, 3), (1, -3), (2, 2)])
def test_shift_is_found_along_its_axis_with_its_sign(axis, shift):
    """fixed(x) = moving(x + shift): an asymmetric grid, so no two axes can be mistaken."""
    moving = brain(SHAPE, 1)
    fixed = np.roll(moving, -shift, axis)
    found = run(PairImages(fixed, moving, np.eye(4), np.eye(4), np.eye(4)))
    mean = found[:, fixed > 0.2].mean(axis=1)
    assert mean[axis] == pytest.approx(shift, abs=0.8)
    assert np.abs(np.delete(mean, axis)).max() < 0.4


def test_result_is_the_same_each_time_and_brings_the_images_together():
    moving = brain(SHAPE, 2)
    fixed = warp_image(moving, smooth_field(SHAPE, 2.0, 3))
    pair = PairImages(fixed, moving, np.eye(4), np.eye(4), np.eye(4))
    found = run(pair)
    np.testing.assert_array_equal(found, run(pair))
    moved = warp_image(moving, found)
    assert np.square(moved - fixed).mean() < 0.6 * np.square(moving - fixed).mean()
