from __future__ import annotations

import gzip
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import GRIDS, SHAPE, SPACING_MM, grid_affine, indices, smooth_noise, to_points

from lumirage_lib.errors import InputError
from lumirage_lib.images.volumes import (
    Volume,
    bounding_box,
    load_volume,
    reorient,
    reorient_array,
    reorientation,
    resample,
    rescale_grid,
    round_up,
    save_nifti,
    save_volume,
    window,
)

ALL_CODES = ["".join(c) for axes in permutations(("LR", "AP", "IS")) for c in product(*axes)]


def numbered(name: str = "RAS", shape=SHAPE, dtype=np.int32) -> Volume:
    """Every voxel has a value of its own."""
    return Volume(np.arange(np.prod(shape), dtype=dtype).reshape(shape), grid_affine(name), name)


# ---- the volume itself


@pytest.mark.parametrize("name", GRIDS)
def test_spacing_and_orientation_are_read_from_the_affine(name):
    volume = numbered(name)
    assert_allclose(volume.spacing_mm, SPACING_MM)
    assert volume.orientation == name.split()[-1]
    assert all(type(s) is float for s in volume.spacing_mm)


@pytest.mark.parametrize(
    ("affine", "complaint"),
    [
        (np.eye(3), "finite 4x4"),
        (np.diag([1, np.nan, 1, 1]), "finite 4x4"),
        (np.diag([1.0, 0, 1, 1]), "singular"),
    ],
)
def test_affine_that_is_none_is_refused(affine, complaint):
    with pytest.raises(InputError, match=rf"^scan 7: .*{complaint}"):
        Volume(np.zeros(SHAPE), affine, "scan 7")


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 2)])
def test_array_that_is_not_3d_is_refused(shape):
    with pytest.raises(InputError, match=r"^scan 7: expected a 3-D array, got shape"):
        Volume(np.zeros(shape), np.eye(4), "scan 7")


# ---- files


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", GRIDS)
def test_image_survives_saving_and_loading(tmp_path, name, suffix):
    volume = Volume(smooth_noise(SHAPE, 1, 5), grid_affine(name))
    path = save_volume(volume, tmp_path / "new folder" / f"image{suffix}")
    loaded = load_volume(path)
    assert loaded.data.dtype == np.float32
    assert loaded.name == path.name
    assert_array_equal(loaded.data, volume.data)
    assert_allclose(loaded.affine, volume.affine, atol=1e-5)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint16", "int32", "int64", "uint64", "float16", "float64"]
)
def test_labels_of_any_type_survive_saving_and_loading(tmp_path, dtype):
    data = (np.arange(60).reshape(3, 4, 5) % (2 if dtype == "bool" else 207)).astype(dtype)
    loaded = load_volume(save_volume(Volume(data, np.eye(4)), tmp_path / "l.nii.gz"), labels=True)
    assert loaded.data.dtype == np.int32
    assert_array_equal(loaded.data, data)


def test_scaled_integers_are_read_as_the_values_they_stand_for(tmp_path):
    image = nib.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii")
    assert_array_equal(load_volume(tmp_path / "scaled.nii").data, np.full(SHAPE, 10, np.float32))


def test_mgh_and_trailing_axes_of_one_are_read(tmp_path):
    volume = numbered("LIA", dtype=np.float32)
    nib.save(nib.MGHImage(volume.data, volume.affine), tmp_path / "brain.mgz")
    nib.save(nib.Nifti1Image(volume.data[..., None, None], volume.affine), tmp_path / "b.nii")
    for name in ("brain.mgz", "b.nii"):
        loaded = load_volume(tmp_path / name)
        assert_array_equal(loaded.data, volume.data)
        assert_allclose(loaded.affine, volume.affine, atol=1e-5)


def write_broken(kind: str, folder):
    """A file that must be refused, of each kind that people have."""
    path = folder / f"{kind}.nii.gz"
    data = smooth_noise(SHAPE, 1, 5)
    if kind == "missing":
        return path
    if kind == "nan":
        data[3, 4, 5], data[1, 1, 1] = np.nan, np.inf
    if kind == "time series":
        data = np.stack([data] * 2, axis=-1)
    image = nib.Nifti1Image(data, np.eye(4))
    if kind == "singular":
        image.header["srow_y"] = 0
        image = nib.Nifti1Image(data, None, image.header)
        path.write_bytes(gzip.compress(image.to_bytes()))
    else:
        nib.save(image, path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-4000])
    if kind == "text":
        path.write_text("404: Not Found")
    if kind == "empty":
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("kind", "complaint", "fix"),
    [
        ("missing", "no such file", "check the path"),
        ("truncated", "not a readable NIfTI", "copy or download it again"),
        ("text", "not a readable NIfTI", "copy or download it again"),
        ("empty", "not a readable NIfTI", "copy or download it again"),
        ("nan", "2 voxels are NaN or infinite", "nan_to_num"),
        ("time series", "expected a 3-D array, got shape (13, 16, 11, 2)", "pass one volume"),
        ("singular", "the affine is singular", "repair the header"),
    ],
)
def test_broken_file_is_refused_with_its_name_and_the_fix(tmp_path, kind, complaint, fix):
    path = write_broken(kind, tmp_path)
    with pytest.raises(InputError) as refusal:
        load_volume(path)
    message = str(refusal.value)
    assert path.name in message
    assert complaint in message
    assert fix in message
    with pytest.raises(InputError, match=path.name):
        load_volume(path, labels=True)


@pytest.mark.parametrize("value", [2.5, 3e9, -5e12])
def test_what_is_no_label_is_refused(tmp_path, value):
    data = np.zeros(SHAPE)
    data[2, 3, 4] = value
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "labels.nii")
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(InputError, match=r"labels\.nii: .*whole numbers"),
    ):
        load_volume(tmp_path / "labels.nii", labels=True)


@pytest.mark.parametrize("name", ["image.mgz", "image", "image.gz"])
def test_name_that_says_no_nifti_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"expected a name that ends in \.nii or \.nii\.gz"):
        save_volume(numbered(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("before", [None, b"what was there"])
def test_writing_that_breaks_off_leaves_the_path_as_it_was(tmp_path, monkeypatch, before):
    path = tmp_path / "image.nii.gz"
    if before:
        path.write_bytes(before)

    def half(image, name):
        with open(name, "wb") as file:
            file.write(b"half a fi")
        raise OSError("No space left on device")

    monkeypatch.setattr(nib, "save", half)
    with pytest.raises(OSError, match="No space left"):
        save_nifti(nib.Nifti1Image(np.zeros(SHAPE, np.float32), np.eye(4)), path)
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if before else [])
    assert not before or path.read_bytes() == before


# ---- orientation


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("codes", ["RAS", "LPS", "LIA", "ASR", "SPL"])
def test_every_voxel_keeps_its_place_in_the_world(name, codes):
    volume = numbered(name)
    turned = reorient(volume, codes)
    assert turned.orientation == codes
    world = to_points(turned.affine, indices(turned.shape))
    there = to_points(np.linalg.inv(volume.affine), world)
    assert_allclose(there, np.rint(there), atol=1e-9)
    assert_array_equal(volume.data[tuple(np.rint(there).astype(int))], turned.data.ravel())


@pytest.mark.parametrize("codes", ALL_CODES)
@pytest.mark.parametrize("name", ["RAS", "oblique LPS"])
def test_reorienting_there_and_back_loses_nothing(name, codes):
    volume = numbered(name)
    back = reorient(reorient(volume, codes), volume.orientation)
    assert_array_equal(back.data, volume.data)
    assert_allclose(back.affine, volume.affine, atol=1e-12)


@pytest.mark.parametrize("codes", ALL_CODES)
def test_matrix_and_array_agree(codes):
    volume = numbered()
    turned = reorient_array(volume.data, "RAS", codes)
    there = to_points(reorientation(volume.shape, "RAS", codes), indices(turned.shape))
    assert_array_equal(volume.data[tuple(there.astype(int))], turned.ravel())


def test_right_hand_side_is_on_the_right():
    """Not a property but a fact: in LAS storage index 0 is the rightmost voxel."""
    data = np.zeros((4, 3, 2))
    data[0] = 1
    las = Volume(data, np.diag([-1.0, 1, 1, 1]))
    assert_array_equal(reorient(las).data[-1], np.ones((3, 2)))
    assert reorient(las).affine[0, 3] == -3


@pytest.mark.parametrize("codes", ["", "RA", "RRS", "RLS", "ras", "RASI", "XYZ"])
def test_impossible_orientation_is_refused(codes):
    with pytest.raises(InputError, match=r"expected three letters"):
        reorient(numbered(), codes)


# ---- windows, boxes


@settings(deadline=None, max_examples=60)
@given(
    start=st.tuples(*[st.integers(-20, 20)] * 3),
    shape=st.tuples(*[st.integers(1, 25)] * 3),
    name=st.sampled_from(GRIDS),
)
def test_window_moves_no_voxel_in_the_world(start, shape, name):
    volume = numbered(name)
    cut = window(volume, start, shape, fill=-1)
    assert cut.shape == shape
    assert cut.data.dtype == volume.data.dtype
    there = indices(shape) + np.array(start)[:, None]
    inside = ((there >= 0) & (there < np.array(SHAPE)[:, None])).all(axis=0)
    assert (cut.data.ravel()[~inside] == -1).all()
    assert_array_equal(cut.data.ravel()[inside], volume.data[tuple(there[:, inside])])
    assert_allclose(
        to_points(cut.affine, indices(shape)), to_points(volume.affine, there), atol=1e-9
    )


def test_bounding_box_is_tight_and_widened_by_the_margin():
    mask = np.zeros(SHAPE, bool)
    mask[3, 7, 2] = mask[5, 4, 9] = True
    start, shape = bounding_box(mask)
    assert (start.tolist(), shape.tolist()) == ([3, 4, 2], [3, 4, 8])
    start, shape = bounding_box(mask, margin=4)
    assert (start.tolist(), shape.tolist()) == ([-1, 0, -2], [11, 12, 16])
    with pytest.raises(InputError, match="the mask is empty"):
        bounding_box(np.zeros(SHAPE, bool))


@settings(deadline=None)
@given(st.tuples(*[st.integers(1, 400)] * 3), st.integers(1, 64))
def test_round_up_is_the_next_multiple(shape, multiple):
    rounded = round_up(shape, multiple)
    assert (rounded % multiple == 0).all()
    assert ((rounded >= shape) & (rounded - multiple < shape)).all()


# ---- resampling


@pytest.mark.parametrize("source", GRIDS)
@pytest.mark.parametrize("target", ["RAS", "oblique LPS"])
def test_resampling_keeps_a_linear_ramp_of_the_world(source, target):
    """Linear interpolation is exact on it, so every grid must show the same values."""
    slope = np.array([0.7, -1.3, 0.4])
    volume = numbered(source)
    ramp = (slope @ to_points(volume.affine, indices(SHAPE))).reshape(SHAPE)
    volume = Volume(ramp.astype(np.float32), volume.affine)
    centre = volume.affine @ [6, 8, 5, 1]
    affine = grid_affine(target, (0.5, 0.6, 0.7), origin=(0, 0, 0))
    affine[:3, 3] = centre[:3] - affine[:3, :3] @ [2, 3, 2]
    new = resample(volume, affine, (5, 6, 4))
    expected = slope @ to_points(affine, indices((5, 6, 4)))
    assert new.shape == (5, 6, 4)
    assert_array_equal(new.affine, affine)
    assert_allclose(new.data.ravel(), expected, atol=1e-3)


def test_resampling_onto_the_same_grid_changes_nothing_and_labels_keep_their_type():
    labels = numbered("oblique LPS")
    same = resample(labels, labels.affine, SHAPE, order=0)
    assert same.data.dtype == labels.data.dtype
    assert_array_equal(same.data, labels.data)
    away = labels.affine.copy()
    away[:3, 3] += 1000
    assert (resample(labels, away, SHAPE, order=0, fill=-7).data == -7).all()


@settings(deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 150)] * 3),  # at 0.3 mm still below MAX_VOXELS
    spacing_mm=st.tuples(*[st.floats(0.3, 8)] * 3),
    name=st.sampled_from(GRIDS),
)
def test_rescaled_grid_covers_the_same_box(shape, spacing_mm, name):
    old = grid_affine(name)
    new, new_shape = rescale_grid(old, shape, spacing_mm)
    assert_allclose(np.linalg.norm(new[:3, :3], axis=0), spacing_mm)
    # The box reaches from the outer face of the first voxel to that of the last.
    assert_allclose(new @ [-0.5, -0.5, -0.5, 1], old @ [-0.5, -0.5, -0.5, 1], atol=1e-6)
    end = np.linalg.inv(new) @ old @ [*(np.array(shape) - 0.5), 1]
    beyond = np.array(new_shape) - 0.5 - end[:3]
    assert (beyond > -1e-5).all()
    assert (beyond < 1).all()


def test_rescaling_to_the_same_spacing_is_the_identity():
    affine, shape = rescale_grid(grid_affine("oblique LPS"), SHAPE, SPACING_MM)
    assert shape == SHAPE
    assert_allclose(affine, grid_affine("oblique LPS"), atol=1e-12)
