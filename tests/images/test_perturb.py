from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import brain, grid_affine, indices, smooth_field, to_points

from lumirage_lib.errors import InputError
from lumirage_lib.images.preprocess import (
    PAIR_STEPS,
    PERTURBATIONS,
    STANDARD,
    PairImages,
    Preprocessing,
    perturbations,
    prepare_pair,
    step,
    steps,
)
from lumirage_lib.images.volumes import Volume
from lumirage_lib.images.warp import sample, to_native
from lumirage_lib.methods import InputSpec, MethodSpec, run_method

SHAPE = (26, 31, 23)
MOVING = (27, 29, 25)


@pytest.fixture(scope="module")
def volumes() -> tuple[Volume, Volume]:
    """Two brains on grids of their own, 1.5 mm."""
    affine = grid_affine("RAS", (1.5, 1.5, 1.5))
    return Volume(brain(SHAPE, 1), affine, "fixed"), Volume(brain(MOVING, 2), affine, "moving")


def prepare(volumes, preprocessing) -> PairImages:
    shift = np.eye(4)
    shift[:3, 3] = (1, -1, 2)  # whole voxels, so that nothing is interpolated
    return prepare_pair(*volumes, preprocessing, shift)


def perturb(volumes, name: str, **arguments) -> PairImages:
    return prepare(volumes, Preprocessing("x", (), "centre", (step(name, **arguments),)))


# ---- the way back

GEOMETRIC = [n for n, p in PERTURBATIONS.items() if p.kind in ("orientation", "grid", "alignment")]


@pytest.mark.parametrize("name", GEOMETRIC)
def test_every_working_voxel_shows_the_native_voxel_that_its_matrices_name(volumes, name):
    condition = replace(PERTURBATIONS[name].preprocessing, image_steps=())
    pair = prepare(volumes, condition)
    voxels = indices(pair.fixed.shape)
    for volume, image, matrix in zip(
        volumes, (pair.fixed, pair.moving), (pair.to_fixed, pair.to_moving), strict=True
    ):
        native = sample(volume.data, to_points(matrix, voxels).astype(np.float32))
        same = np.isclose(image.ravel(), native, atol=1e-5)
        # What was cut away, or lies outside the other grid, is air: nothing else may differ.
        assert (same | (image.ravel() == 0)).all()
        assert (same & (native > 0.3)).sum() > 0.8 * (volume.data > 0.3).sum()


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_field_of_the_perturbed_pair_is_undone_on_the_native_grid(volumes, name):
    """A method that returns no displacement must give the alignment, whatever was done."""
    pair = prepare(volumes, PERTURBATIONS[name].preprocessing)
    zero = np.zeros((3, *pair.fixed.shape), np.float32)
    field = to_native(zero, pair.to_fixed, pair.to_moving, SHAPE)
    expected = np.array([1, -1, 2], np.float32)
    if name == "moving shifted by 20 mm":
        expected[1] -= round(20 / 1.5)
    assert_allclose(field, np.broadcast_to(expected.reshape(3, 1, 1, 1), field.shape), atol=1e-4)


@pytest.mark.parametrize("codes", ["LPS", "LIA", "ASR", "LAS", "RAI"])
def test_equivariant_method_loses_nothing_by_a_turn_it_is_not_told(volumes, codes):
    """Its field is a gradient, which turns with the image; natively it must be the same one."""

    def run(fixed, moving, affine):
        return np.stack(np.gradient(fixed)).astype(np.float32)

    spec = MethodSpec("gradient", "iterative", run, "1", "x")
    fields = []
    for turned in ((), (step("turn", codes=codes),)):
        pair = prepare(volumes, Preprocessing("x", (), "centre", turned))
        found = run_method(spec, pair, {})
        fields.append(to_native(found, pair.to_fixed, pair.to_moving, SHAPE))
    assert_allclose(fields[1], fields[0], atol=1e-5)


def test_turned_arrays_are_told_to_be_ras_with_the_spacing_of_their_axes():
    affine = grid_affine("oblique RAS", (1.0, 2.0, 3.0))
    pair = PairImages(brain(SHAPE), brain(SHAPE, 1), affine, np.eye(4), np.eye(4))
    turned = PAIR_STEPS["turn"](pair, codes="ASR")
    assert turned.fixed.shape == (31, 23, 26)
    assert_allclose(turned.spacing_mm, (2.0, 3.0, 1.0))
    directions = affine[:3, :3] / pair.spacing_mm
    assert_allclose(turned.affine[:3, :3] / turned.spacing_mm, directions)


def test_wrong_header_changes_what_the_method_is_told_and_nothing_else(volumes):
    plain = prepare(volumes, Preprocessing("x", (), "centre", ()))
    told = perturb(volumes, "mis_space", factor=1.2)
    assert_allclose(told.spacing_mm, plain.spacing_mm * [1, 1, 1.2])
    for name in ("fixed", "moving", "to_fixed", "to_moving"):
        assert_array_equal(getattr(told, name), getattr(plain, name))


def test_off_centre_puts_both_brains_that_far_from_the_middle(volumes):
    plain = prepare(volumes, STANDARD)
    pair = prepare(volumes, PERTURBATIONS["off centre by 20 mm"].preprocessing)
    voxels = round(20 / 1.5)
    assert_array_equal(np.subtract(pair.fixed.shape, plain.fixed.shape), [2 * voxels] * 3)
    assert pair.fixed.sum(dtype=float) == pytest.approx(plain.fixed.sum(dtype=float))
    centre = [
        np.mean(np.nonzero(p.fixed), axis=1) - np.array(p.fixed.shape) / 2 for p in (plain, pair)
    ]
    assert_allclose(centre[1] - centre[0], voxels)


def test_a_shifted_brain_is_whole(volumes):
    pair = prepare(volumes, PERTURBATIONS["moving shifted by 20 mm"].preprocessing)
    plain = prepare(volumes, STANDARD)
    assert pair.moving.sum(dtype=float) == pytest.approx(plain.moving.sum(dtype=float), rel=1e-6)


# ---- intensities


def test_final_intensities_are_not_rescaled_for_the_method(volumes):
    got = []

    def run(fixed, moving, affine):
        got.append((fixed, moving))
        return np.zeros((3, *fixed.shape), np.float32)

    spec = MethodSpec("x", "deep", run, "1", "x", input=InputSpec("LIA", (40, 40, 40), 8, 0.425))
    for name in ("z-score", "min-max", "percentiles 1-99"):
        pair = prepare(volumes, PERTURBATIONS[name].preprocessing)
        run_method(spec, pair, {})
        for seen, given in zip(got[-1], (pair.fixed, pair.moving), strict=True):
            assert_array_equal(np.unique(seen[seen != 0]), np.unique(given[given != 0]))
    run_method(spec, prepare(volumes, STANDARD), {})
    assert got[-1][0].max() != pytest.approx(prepare(volumes, STANDARD).fixed.max(), rel=1e-3)


def test_zscore_has_mean_0_and_deviation_1_in_the_brain_and_air_at_0(volumes):
    plain, pair = prepare(volumes, STANDARD), perturb(volumes, "zscore")
    assert pair.fixed[pair.fixed != 0].mean() == pytest.approx(0, abs=1e-5)
    assert pair.fixed[pair.fixed != 0].std() == pytest.approx(1, abs=1e-5)
    assert (plain.fixed == 0).any()


def test_matched_histogram_is_the_fixed_one(volumes):
    pair = perturb(volumes, "match_histogram")
    q = np.linspace(0.05, 0.95, 19)
    have, want = (np.quantile(i[i > 0], q) for i in (pair.moving, pair.fixed))
    assert_allclose(have, want, atol=0.01)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("shade", {"strength": 0.3}),
        ("add_noise", {"sigma": 0.1}),
        ("leave_rim", {"gap_mm": 2.0, "rim_mm": 4.0}),
    ],
)
def test_draws_come_from_the_arguments_alone_and_differ_between_the_images(
    volumes, name, arguments
):
    twins = (volumes[0], volumes[0])
    first, again, other = (perturb(twins, name, seed=s, **arguments) for s in (1, 1, 2))
    assert_array_equal(first.fixed, again.fixed)
    assert_array_equal(first.moving, again.moving)
    assert np.abs(first.fixed - other.fixed).max() > 0.01
    box = tuple(slice(4, -4) for _ in range(3))
    plain = prepare(twins, Preprocessing("x", (), "centre", ()))
    change = [(getattr(first, n) - getattr(plain, n))[box] for n in ("fixed", "moving")]
    assert np.abs(np.roll(change[1], (1, -1, 2), (0, 1, 2)) - change[0]).max() > 0.01


def test_strength_of_shading_and_noise_is_the_one_asked_for(volumes):
    plain = prepare(volumes, Preprocessing("x", (), "centre", ()))
    shaded = perturb(volumes, "shade", strength=0.3, seed=1)
    inside = plain.fixed > 0.3
    ratio = np.log(shaded.fixed[inside] / plain.fixed[inside])
    assert 0.1 < ratio.std() < 0.5
    noisy = perturb(volumes, "add_noise", sigma=0.1, seed=1)
    sd = (noisy.fixed - plain.fixed)[inside].std()
    assert sd == pytest.approx(0.1 * np.percentile(plain.fixed[plain.fixed > 0], 99), rel=0.1)
    assert (noisy.fixed[plain.fixed == 0] == 0).all()


def test_moving_alone_means_moving_alone(volumes):
    plain = prepare(volumes, Preprocessing("x", (), "centre", ()))
    pair = perturb(volumes, "gamma", exponent=0.5, image="moving")
    assert_array_equal(pair.fixed, plain.fixed)
    top = plain.moving.max()
    assert_allclose(pair.moving, np.sqrt(plain.moving * top), atol=1e-6)
    with pytest.raises(InputError, match="expected one of both, fixed, moving"):
        perturb(volumes, "gamma", exponent=0.5, image="moved")


def test_levels_are_counted(volumes):
    pair = perturb(volumes, "quantise", levels=8)
    assert len(np.unique(pair.fixed)) == 8


# ---- quality and mask


def test_thick_slices_keep_the_mean_and_lose_what_changes_within_them():
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32), (5, 6, 12))
    checks = np.broadcast_to(np.tile([0.0, 1.0], 6), (5, 6, 12)).astype(np.float32)
    pair = PairImages(ramp, checks, np.diag([1, 1, 1.5, 1]), np.eye(4), np.eye(4))
    thick = PAIR_STEPS["thicken"](pair, slice_mm=3.0)
    assert_allclose(thick.fixed[..., 1:-1], ramp[..., 1:-1], atol=1e-6)
    assert_allclose(thick.moving, 0.5, atol=1e-6)


def test_erosion_and_rim_are_as_deep_as_asked_for():
    ball = (np.square(np.indices((31, 31, 31)) - 15).sum(axis=0) <= 10**2).astype(np.float32)
    ball[15, 15, 15] = 0  # dark voxels inside, such as ventricles, are no border
    pair = PairImages(ball, ball, np.eye(4), np.eye(4), np.eye(4))
    radius = np.sqrt(np.square(np.indices(ball.shape) - 15).sum(axis=0))
    eroded = PAIR_STEPS["erode"](pair, depth_mm=3.0)
    assert 6.5 < radius[eroded.fixed > 0].max() < 8
    assert eroded.fixed[15, 15, 17] == 1
    rimmed = PAIR_STEPS["leave_rim"](pair, gap_mm=2.0, rim_mm=3.0)
    added = (rimmed.fixed > 0) & (ball == 0)
    assert radius[added].min() > 11.5
    assert radius[added].max() < 15.5
    assert rimmed.fixed[15, 15, 15] == 0


# ---- the list


def test_every_condition_is_another_and_none_is_the_standard():
    content = [str(p.preprocessing.content) for p in PERTURBATIONS.values()]
    assert len({*content, str(STANDARD.content)}) == len(PERTURBATIONS) + 1
    assert all(name == p.name == p.preprocessing.name for name, p in PERTURBATIONS.items())


def test_steps_of_both_modules_have_names_of_their_own():
    assert not set(steps.PAIR_STEPS) & set(perturbations.PAIR_STEPS)


def test_way_back_of_a_field_that_is_not_zero(volumes):
    """A turned, off-centre pair: the same native field as without."""
    true = smooth_field(SHAPE, 1.0, 5)
    turned = (step("turn", codes="LIA"), step("off_centre", shift_mm=6.0))
    plain = prepare(volumes, Preprocessing("x", (), "centre", ()))
    pair = prepare(volumes, Preprocessing("x", (), "centre", turned))
    to_old = np.linalg.inv(plain.to_fixed) @ pair.to_fixed
    there = to_points(to_old, indices(pair.fixed.shape)).astype(np.float32)
    seen = np.stack([sample(c, there, mode="nearest") for c in true])
    turned = (np.linalg.inv(to_old[:3, :3]) @ seen).reshape(3, *pair.fixed.shape)
    fields = [
        to_native(f.astype(np.float32), p.to_fixed, p.to_moving, SHAPE)
        for f, p in ((true, plain), (turned, pair))
    ]
    assert_allclose(fields[1], fields[0], atol=1e-4)
