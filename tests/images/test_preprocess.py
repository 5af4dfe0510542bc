from __future__ import annotations

import inspect
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import (
    GRIDS,
    SHAPE,
    SPACING_MM,
    brain,
    grid_affine,
    indices,
    rotation,
    smooth_field,
    to_points,
)

from lumirage_lib.errors import InputError
from lumirage_lib.images.preprocess import (
    IMAGE_STEPS,
    STANDARD,
    PairImages,
    Preprocessing,
    prepare_image,
    prepare_pair,
    step,
)
from lumirage_lib.images.preprocess.steps import (
    DATA,
    like_t1w,
    minmax,
    pad_to_multiple,
    percentile,
    robust,
)
from lumirage_lib.images.volumes import Volume
from lumirage_lib.images.warp import sample, to_native, warp_image

NOTHING = Preprocessing("nothing", (), "centre", ())


def make_volume(data: np.ndarray, name="scan 7", grid="RAS") -> Volume:
    return Volume(data.astype(np.float32), grid_affine(grid), name)


# ---- what is hashed


def test_name_is_a_label_and_the_rest_is_content():
    content = STANDARD.content
    assert content == Preprocessing("another name").content
    others = [
        Preprocessing(image_steps=(step("minmax"),)),
        Preprocessing(image_steps=(step("robust", high=99.0),)),
        Preprocessing(alignment="rigid"),
        Preprocessing(pair_steps=()),
        Preprocessing(pair_steps=(step("crop", margin_mm=5.0),)),
        Preprocessing(pair_steps=(*STANDARD.pair_steps, step("set_spacing", spacing_mm=2.0))),
    ]
    texts = {json.dumps(p.content, sort_keys=True) for p in [STANDARD, *others]}
    assert len(texts) == 1 + len(others)


def test_standard_is_what_the_published_rows_were_computed_with():
    """Their keys hold this; a change of the default makes a reader compute everything anew."""
    assert json.loads(json.dumps(STANDARD.content)) == {
        "image_steps": [{"name": "robust", "arguments": []}],
        "alignment": "affine",
        "pair_steps": [{"name": "crop", "arguments": [["margin_mm", 4.0]]}],
    }


def test_order_of_a_steps_arguments_does_not_matter():
    assert step("percentile", low=2.0, high=98.0) == step("percentile", high=98.0, low=2.0)
    assert hash(STANDARD) == hash(Preprocessing())


# ---- steps on one image


@settings(deadline=None)
@given(gain=st.floats(0.01, 1e4), seed=st.integers(0, 99))
def test_intensity_steps_do_not_depend_on_the_scanners_gain(gain, seed):
    data = brain(SHAPE, seed)
    for scale in (minmax, robust, percentile, like_t1w):
        once, twice = scale(make_volume(data)), scale(make_volume(data * np.float32(gain)))
        assert once.data.dtype == np.float32
        assert once.data.min() == 0
        assert once.data.max() == 1
        assert_allclose(twice.data, once.data, atol=2e-6)


def test_air_stays_zero_and_order_is_kept():
    data = brain(SHAPE)
    for scale in (robust, percentile, minmax, like_t1w):
        scaled = scale(make_volume(data)).data
        assert (scaled[data == 0] == 0).all()
        by_rank = scaled.ravel()[np.argsort(data, axis=None)]
        assert (np.diff(by_rank) >= 0).all()


def test_robust_is_not_moved_by_one_bright_voxel_but_minmax_is():
    data = brain((40, 48, 44))
    spoiled = data.copy()
    spoiled[20, 24, 22] = 50
    plain, bright = (robust(make_volume(d)).data for d in (data, spoiled))
    assert np.abs(plain - bright)[data != spoiled].max() < 1
    assert np.abs(plain - bright)[data == spoiled].max() < 1e-3
    assert minmax(make_volume(spoiled)).data[data == spoiled].max() < 0.03


def test_robust_and_percentile_put_the_percentile_where_they_say(rng):
    data = rng.gamma(3, 2, (30, 30, 30))
    data[:10] = 0
    top = np.percentile(data[data > 0], 90)
    scaled = robust(make_volume(data), high=90).data
    assert_allclose(scaled, np.clip(data / top, 0, 1), atol=1e-6)
    low, high = np.percentile(data[data > 0], [5, 95])
    scaled = percentile(make_volume(data), 5, 95).data
    expected = np.where(data > 0, np.clip((data - low) / (high - low), 0, 1), 0)
    assert_allclose(scaled, expected, atol=1e-6)


def test_any_brain_gets_the_distribution_of_t1w(rng):
    data = rng.gamma(3, 2, (30, 30, 30)).astype(np.float32)
    data[:10] = 0
    levels = pd.read_csv(DATA / "t1w_levels.csv")
    for image in (
        data,
        np.where(data > 0, 50 - data, 0),
    ):  # also one whose tissues are turned round
        scaled = like_t1w(make_volume(image)).data
        found = np.quantile(scaled[image > 0], levels["quantile"])
        assert_allclose(found, levels["intensity"], atol=2e-3)
    assert (levels["intensity"].diff().dropna() >= 0).all()
    with pytest.raises(InputError, match="7 levels asked for, the table has 101"):
        like_t1w(make_volume(data), n_levels=7)


@pytest.mark.parametrize("name", ["robust", "percentile", "minmax", "like_t1w"])
def test_empty_image_is_refused_by_name(name):
    with pytest.raises(InputError, match=r"^scan 7: "):
        IMAGE_STEPS[name](make_volume(np.zeros(SHAPE)))


def test_bias_field_is_taken_out(rng, monkeypatch):
    import ants

    shape = (40, 44, 36)
    inside = brain(shape) > 0.3
    true = np.where(inside, 0.6 + 0.02 * rng.standard_normal(shape), 0)
    ramp = np.exp(np.linspace(-0.5, 0.5, shape[1]))[None, :, None]
    biased = make_volume(true * ramp * 100)
    correct, asked = ants.n4_bias_field_correction, []

    def spy(*args, **kwargs):
        asked.append(inspect.signature(correct).bind(*args, **kwargs).arguments)
        return correct(*args, **kwargs)

    monkeypatch.setattr(ants, "n4_bias_field_correction", spy)
    corrected = IMAGE_STEPS["bias_field"](biased, shrink=3)
    assert asked[0]["shrink_factor"] == 3
    assert_array_equal(asked[0]["mask"].numpy(), inside)
    assert corrected.shape == shape
    assert_array_equal(corrected.affine, biased.affine)
    before, after = (np.log(v.data[inside] / true[inside]).std() for v in (biased, corrected))
    assert after < 0.4 * before
    assert (corrected.data[~inside] == 0).all()
    # Intensities keep their scale, as those of a scanner would.
    assert 0.7 < np.median(corrected.data[inside]) / np.median(biased.data[inside]) < 1.4


def test_unknown_step_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"step 'minimax' is unknown; there are .*minmax"):
        prepare_image(make_volume(brain(SHAPE)), Preprocessing(image_steps=(step("minimax"),)))
    volume = make_volume(brain(SHAPE))
    with pytest.raises(InputError, match=r"step 'robust' is unknown; there are .*crop"):
        prepare_pair(volume, volume, Preprocessing(pair_steps=(step("robust"),)), np.eye(4))


def test_steps_on_an_image_run_in_order_and_leave_it_where_it_is():
    volume = make_volume(brain(SHAPE), grid="oblique RAS")
    both = Preprocessing(image_steps=(step("percentile", low=10.0, high=60.0), step("minmax")))
    prepared = prepare_image(volume, both)
    assert_array_equal(prepared.data, minmax(percentile(volume, 10, 60)).data)
    assert_array_equal(prepared.affine, volume.affine)


# ---- steps on the pair


def alignment_matrix() -> np.ndarray:
    """Native fixed voxel -> native moving voxel: turned, scaled, shifted, all off the axes."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(4, -6, 5) @ np.diag([1.05, 0.93, 1.1])
    matrix[:3, 3] = (-1.2, 2.4, 0.7)
    return matrix


def ramp(shape, slope) -> np.ndarray:
    return (np.reshape(slope, 3) @ indices(shape) + 50).reshape(shape).astype(np.float32)


def within(points, shape, margin: float) -> np.ndarray:
    """Which points lie on a grid, that far from its border."""
    return ((points > margin) & (points < np.reshape(shape, (3, 1)) - 1 - margin)).all(axis=0)


SLOPES = ((0.3, -0.5, 0.9), (-0.7, 0.2, 0.4))
CHAINS = {
    "nothing": (),
    "crop": (step("crop", margin_mm=3.0),),
    "pad": (step("pad_to_multiple", multiple=16),),
    "coarser": (step("set_spacing", spacing_mm=2.5),),
    "finer": (step("set_spacing", spacing_mm=0.7),),
    "all": (
        step("crop", margin_mm=-3.0),
        step("set_spacing", spacing_mm=1.6),
        step("pad_to_multiple", multiple=8),
    ),
}


@pytest.mark.parametrize("grid", ["RAS", "oblique RAS"])
@pytest.mark.parametrize("chain", CHAINS)
def test_matrices_lead_from_every_working_voxel_to_the_native_ones(chain, grid):
    """Linear ramps survive interpolation and smoothing: what is seen at a working voxel is the
    native value at the place its matrices name."""
    shape = (26, 24, 28)
    fixed, moving = (make_volume(ramp(shape, s), grid=grid) for s in SLOPES)
    how = Preprocessing("test", (), "affine", CHAINS[chain])
    pair = prepare_pair(fixed, moving, how, alignment_matrix())
    assert pair.fixed.shape == pair.moving.shape
    assert pair.fixed.dtype == pair.moving.dtype == np.float32
    here = indices(pair.fixed.shape)
    # Voxels whose neighbourhood lies within both native arrays; beyond is padding.
    for image, to_array, slope in zip(
        (pair.fixed, pair.moving), (pair.to_fixed, pair.to_moving), SLOPES, strict=True
    ):
        there = to_points(to_array, here)
        inside = within(there, shape, 7) & within(to_points(pair.to_fixed, here), shape, 7)
        assert inside.sum() > 100
        expected = np.array(slope) @ there + 50
        assert_allclose(image.ravel()[inside], expected[inside], atol=2e-3)
    world = to_points(pair.affine, here)
    assert_allclose(world, to_points(fixed.affine @ pair.to_fixed, here), atol=1e-9)
    assert_allclose(pair.to_moving, alignment_matrix() @ pair.to_fixed, atol=1e-12)


def test_crop_keeps_both_brains_and_a_margin_in_millimetres():
    fixed, moving = np.zeros((30, 30, 30)), np.zeros((30, 30, 30))
    fixed[8:12, 10:20, 9:15] = moving[14:22, 12:16, 5:8] = 1
    how = Preprocessing("test", (), "centre", (step("crop", margin_mm=4.0),))
    pair = prepare_pair(make_volume(fixed), make_volume(moving), how, np.eye(4))
    margin = int(np.ceil(4.0 / min(SPACING_MM)))
    assert pair.fixed.shape == (14 + 2 * margin, 10 + 2 * margin, 10 + 2 * margin)
    assert pair.fixed.sum() == fixed.sum()
    assert pair.moving.sum() == moving.sum()
    assert_array_equal(pair.to_fixed[:3, 3], [8 - margin, 10 - margin, 5 - margin])


def test_crop_of_nothing_is_refused():
    empty = make_volume(np.zeros(SHAPE))
    with pytest.raises(InputError, match="every voxel is 0; expected an image of a brain"):
        prepare_pair(empty, empty, Preprocessing(image_steps=()), np.eye(4))


@given(multiple=st.integers(1, 40))
@settings(deadline=None)
def test_padding_is_even_and_adds_only_zeros(multiple):
    data = brain(SHAPE)
    pair = prepare_pair(make_volume(data), make_volume(data), NOTHING, np.eye(4))
    padded = pad_to_multiple(pair, multiple)
    before = -padded.to_fixed[:3, 3]
    after = np.array(padded.fixed.shape) - SHAPE - before
    sides = np.array(padded.fixed.shape)
    assert (sides % multiple == 0).all()
    assert (sides - SHAPE < multiple).all()
    assert (np.abs(before - after) <= 1).all()
    assert padded.fixed.sum(dtype=float) == pytest.approx(data.sum(dtype=float))


def test_coarser_spacing_smooths_before_it_samples(rng):
    """Without it noise would alias: its variance must fall about as an average over voxels does."""
    noise = 10 + rng.standard_normal((48, 48, 48))  # above 0: all brain
    volume = Volume(noise.astype(np.float32), np.eye(4))
    how = Preprocessing("test", (), "centre", (step("set_spacing", spacing_mm=3.0),))
    pair = prepare_pair(volume, volume, how, np.eye(4))
    assert pair.fixed.shape == (16, 16, 16)
    assert_allclose(pair.spacing_mm, 3)
    assert pair.fixed.std() < 0.2
    same = Preprocessing("test", (), "centre", (step("set_spacing", spacing_mm=1.0),))
    assert_allclose(prepare_pair(volume, volume, same, np.eye(4)).fixed, volume.data, atol=1e-5)


# ---- the whole: whatever was done before, one native displacement says what the method saw


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("chain", CHAINS)
def test_native_field_shows_natively_what_was_seen_on_the_working_grid(chain, slope):
    """On a linear ramp nothing is lost by interpolation, so the two must agree."""
    shape = (30, 34, 28)
    moving = make_volume(ramp(shape, slope))
    how = Preprocessing("test", (), "affine", CHAINS[chain])
    pair = prepare_pair(moving, moving, how, alignment_matrix())
    u = smooth_field(pair.fixed.shape, 0.8, 5) + np.float32([[[[1.1]]], [[[-0.8]]], [[[0.5]]]])
    native = to_native(u, pair.to_fixed, pair.to_moving, shape)
    moved = warp_image(moving.data, native).ravel()
    x = indices(shape)
    y = to_points(np.linalg.inv(pair.to_fixed), x)
    seen = sample(warp_image(pair.moving, u), y)
    # Away from every border that the chain has met.
    inside = within(x, shape, 5) & within(x + native.reshape(3, -1), shape, 8)
    inside &= within(y, pair.fixed.shape, 4)
    assert inside.sum() > 300
    assert_allclose(moved[inside], seen[inside], atol=5e-3)


@pytest.mark.parametrize("grid", GRIDS[:1] + GRIDS[-1:])
def test_pair_knows_its_spacing(grid):
    pair = PairImages(np.zeros(SHAPE), np.zeros(SHAPE), grid_affine(grid), np.eye(4), np.eye(4))
    assert_allclose(pair.spacing_mm, SPACING_MM)
