from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from synthetic import GRIDS, assert_recovered, grid_affine, indices, known_pair, to_points

from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.methods import InputSpec, get_method, run_method
from lumirage_lib.methods.greedy import to_sitk


@pytest.mark.parametrize("codes", ["RAS", "LIA"])
@pytest.mark.parametrize("grid", ["RAS", "oblique RAS"])
def test_greedy_recovers_a_known_deformation(grid, codes):
    fixed, moving, true = known_pair()
    affine = grid_affine(grid, (1.0, 1.2, 0.9))
    spec = replace(get_method("greedy"), input=InputSpec(codes))
    pair = PairImages(fixed, moving, affine, np.eye(4), np.eye(4))
    found = run_method(spec, pair, spec.with_parameters({"iterations": "60x40x10"}))
    assert_recovered(found, true, fixed, least=0.9)


@pytest.mark.parametrize("name", GRIDS)
def test_sitk_image_has_every_voxel_where_it_was(name):
    affine, shape = grid_affine(name), (5, 7, 4)
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    image = to_sitk(data, affine)
    assert image.GetSize() == shape
    world = to_points(affine, indices(shape)) * [[-1], [-1], [1]]  # LPS
    for index, point in zip(indices(shape).T[::7].tolist(), world.T[::7], strict=True):
        assert_allclose(image.TransformIndexToPhysicalPoint(index), point, atol=1e-5)
        assert image[index] == data[tuple(index)]
