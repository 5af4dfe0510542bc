from __future__ import annotations

from dataclasses import replace

import ants
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from synthetic import (
    GRIDS,
    assert_recovered,
    brain,
    grid_affine,
    indices,
    interior,
    known_pair,
    rotation,
    smooth_field,
    smooth_noise,
    to_points,
)

from lumirage_lib.errors import InputError
from lumirage_lib.images.linear import align, centre_alignment, from_ants, matrix_of_ants, to_ants
from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.images.volumes import Volume
from lumirage_lib.images.warp import to_itk, warp_image
from lumirage_lib.methods import InputSpec, get_method, run_method
from lumirage_lib.runs.child import run_child

SHAPE = (13, 16, 11)


# ---- conversions, against antspyx itself


@pytest.mark.parametrize("name", GRIDS)
def test_ants_image_has_every_voxel_where_it_was(name):
    affine = grid_affine(name)
    data = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    image = to_ants(data, affine)
    assert_array_equal(from_ants(image), data)
    world = to_points(affine, indices(SHAPE)) * [[-1], [-1], [1]]  # LPS
    steps = image.direction @ np.diag(image.spacing)
    assert_allclose(steps @ indices(SHAPE) + np.reshape(image.origin, (3, 1)), world, atol=1e-4)
    assert_allclose(image.direction @ image.direction.T, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("name", GRIDS)
def test_ants_warps_by_our_field_as_we_do(name, tmp_path):
    affine = grid_affine(name)
    moving = smooth_noise(SHAPE, 1.5, 6)
    field = smooth_field(SHAPE, 0.5, 2) + np.float32([[[[1.7]]], [[[-1.2]]], [[[0.6]]]])
    like = to_ants(np.zeros(SHAPE), affine)
    vectors = ants.from_numpy(
        to_itk(field, affine), like.origin, like.spacing, like.direction, has_components=True
    )
    ants.image_write(vectors, str(tmp_path / "warp.nii.gz"))
    theirs = ants.apply_transforms(like, to_ants(moving, affine), [str(tmp_path / "warp.nii.gz")])
    there = np.indices(SHAPE) + field
    last = np.reshape(SHAPE, (3, 1, 1, 1)) - 1
    inside = ((there > 0.01) & (there < last - 0.01)).all(axis=0)
    assert inside.mean() > 0.3
    assert_allclose(warp_image(moving, field)[inside], theirs.numpy()[inside], atol=2e-3)


@pytest.mark.parametrize("centre", [(0, 0, 0), (11.0, -23.0, 5.5)])
def test_matrix_is_the_map_that_ants_applies_to_points(centre, tmp_path):
    linear = rotation(8, -13, 21) @ np.diag([1.1, 0.9, 1.05])
    transform = ants.create_ants_transform(
        "AffineTransform", matrix=linear, translation=(3.5, -7.0, 2.25), center=centre
    )
    path = str(tmp_path / "affine.mat")
    ants.write_transform(transform, path)
    lps = np.random.default_rng(1).normal(0, 40, (20, 3))
    points = pd.DataFrame(lps, columns=["x", "y", "z"])
    theirs = ants.apply_transforms_to_points(3, points, [path]).to_numpy()
    flip = np.array([-1, -1, 1.0])
    ours = to_points(matrix_of_ants(ants.read_transform(path)), (lps * flip).T).T * flip
    assert_allclose(ours, theirs, atol=1e-3)


# ---- the shared alignment


def affine_pair(kind: str):
    """Two volumes on grids of their own and the true map from fixed to moving voxels."""
    shape, moving_shape = (40, 48, 44), (44, 46, 48)
    fixed_affine = grid_affine("RAS", (1.6, 1.4, 1.5), (-30, -35, -33))
    moving_affine = grid_affine("oblique RAS", (1.5, 1.6, 1.4), (-20, -30, -44))
    world = np.eye(4)
    world[:3, :3] = rotation(5, -4, 6)
    if kind == "affine":
        world[:3, :3] = world[:3, :3] @ np.diag([1.06, 0.94, 1.03])
    true = np.linalg.inv(moving_affine) @ world @ fixed_affine
    middle = [np.reshape(s, (3, 1)) / 2.0 for s in (shape, moving_shape)]
    true[:3, 3:] += middle[1] - to_points(true, middle[0]) + [[1.5], [-2.0], [1.0]]
    moving = brain(moving_shape, 4)
    fixed = ndimage.affine_transform(moving, true[:3, :3], true[:3, 3], shape, order=1)
    return Volume(fixed, fixed_affine, "fixed"), Volume(moving, moving_affine, "moving"), true


@pytest.mark.parametrize("kind", ["affine", "rigid"])
def test_known_alignment_is_recovered(kind):
    fixed, moving, true = affine_pair(kind)
    found = align(fixed, moving, kind)
    points = indices(fixed.shape)[:, (fixed.data > 0.2).ravel()]
    error = np.linalg.norm(to_points(found, points) - to_points(true, points), axis=0)
    start = to_points(centre_alignment(fixed, moving), points)
    assert error.mean() < 0.35
    assert error.mean() < 0.3 * np.linalg.norm(start - to_points(true, points), axis=0).mean()
    if kind == "rigid":
        world = moving.affine @ found @ np.linalg.inv(fixed.affine)
        assert_allclose(world[:3, :3] @ world[:3, :3].T, np.eye(3), atol=1e-4)


def test_alignment_is_the_same_in_every_process_of_one_thread():
    fixed, moving, _ = affine_pair("rigid")
    once, again = (run_child(align, fixed, moving, "rigid", threads=1) for _ in range(2))
    assert once.status == "ok"
    assert_array_equal(once.value, again.value)


@pytest.mark.parametrize("name", ["RAS", "oblique LPS"])
def test_centres_of_mass_are_put_together_in_millimetres(name):
    fixed, moving = np.zeros((13, 16, 11)), np.zeros((12, 20, 14))
    fixed[2:7, 5:10, 1:6] = moving[4:9, 2:7, 8:13] = 1
    volumes = Volume(fixed, grid_affine("RAS")), Volume(moving, grid_affine(name, (1, 1.1, 0.9)))
    matrix = align(*volumes, "centre")
    assert_allclose(matrix @ [4, 7, 3, 1], [6, 4, 10, 1], atol=1e-9)
    # Directions stay those of the world: one step in the fixed image is as long in the moving one.
    world = volumes[1].affine @ matrix @ np.linalg.inv(volumes[0].affine)
    assert_allclose(world[:3, :3], np.eye(3), atol=1e-9)


def test_alignment_that_cannot_be_is_refused():
    volume = Volume(brain(SHAPE), np.eye(4), "scan 7")
    with pytest.raises(
        InputError, match=r"alignment 'bspline': expected one of affine, rigid, centre"
    ):
        align(volume, volume, "bspline")
    empty = Volume(np.zeros(SHAPE), np.eye(4), "scan 8")
    with pytest.raises(InputError, match="scan 8: every voxel is 0"):
        align(volume, empty, "centre")


# ---- SyN


def test_syn_recovers_a_known_deformation():
    fixed, moving, true = known_pair()
    affine = grid_affine("oblique RAS", (1.0, 1.2, 0.9))
    spec = replace(get_method("syn"), input=InputSpec("LIA"))
    pair = PairImages(fixed, moving, affine, np.eye(4), np.eye(4))
    found = run_method(spec, pair, spec.with_parameters({"iterations": [40, 30, 10]}))
    assert_recovered(found, true, fixed, least=0.7)
    inside = interior(fixed.shape, 3)
    before = np.abs(moving - fixed)[inside].mean()
    assert np.abs(warp_image(moving, found) - fixed)[inside].mean() < 0.6 * before
