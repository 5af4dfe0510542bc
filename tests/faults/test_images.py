"""Images, label maps and their headers that must not be taken for what they are not."""

from __future__ import annotations

import gzip
import re

import nibabel as nib
import numpy as np
import pytest
from faulty import AFFINE, SHAPE, lumirage, make_image, make_labels, make_pair, register, write
from numpy.testing import assert_allclose, assert_array_equal

from lumirage_lib.errors import InputError
from lumirage_lib.images.brain import find_brain
from lumirage_lib.images.linear import centre_alignment
from lumirage_lib.images.preprocess import STANDARD, prepare_pair
from lumirage_lib.images.volumes import (
    Volume,
    load_volume,
    reorient,
    resample,
    rescale_grid,
    save_volume,
    take_to_grid,
    translation,
    window,
)

WHICH = ("fixed", "moving", "fixed_labels", "moving_labels")

# ---- integrity -----------------------------------------------------------------------------------


def flip(content: bytes, seed: int) -> bytes:
    """One bit of the packed data, never of the ten bytes of the gzip header."""
    changed = bytearray(content)
    place = int(np.random.default_rng(seed).integers(10, len(content)))
    changed[place] ^= 1 << (seed % 8)
    return bytes(changed)


def repack(content: bytes, change) -> bytes:
    return gzip.compress(change(gzip.decompress(content)), mtime=0)


DAMAGE = {
    **{f"bit {seed}": lambda c, seed=seed: flip(c, seed) for seed in range(8)},
    "no checksum": lambda c: c[:-8],
    "no length": lambda c: c[:-4],
    "half": lambda c: c[: len(c) // 2],
    "wrong checksum": lambda c: c[:-8] + b"\0\0\0\1" + c[-4:],
    "wrong length": lambda c: c[:-4] + b"\0\0\0\1",
    "something behind": lambda c: c + b"what else is there",
    "a broken member behind": lambda c: c + c[:40],
    "voxels missing": lambda c: repack(c, lambda raw: raw[:-100]),
    "far too much": lambda c: repack(c, lambda raw: raw + bytes(1 << 21)),
    "empty": lambda c: b"",
    "a page": lambda c: b"<html>404: Not Found</html>",
    "packed twice": gzip.compress,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("which", WHICH)
@pytest.mark.fault(1)
def test_a_damaged_file_is_refused_by_register(tmp_path, which, damage):
    pair = make_pair(tmp_path)
    path = getattr(pair, which)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    told = register(pair, tmp_path / "out")
    assert told.code == 1
    assert path.name in told.text
    assert "download it again" in told.text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", [d for d in DAMAGE if d != "far too much"])
@pytest.mark.fault(1)
def test_a_damaged_mgz_is_refused(tmp_path, damage):
    path = write(tmp_path / "brain.mgz", make_image(), kind=nib.MGHImage)
    assert load_volume(path).shape == SHAPE
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(InputError, match=r"brain\.mgz.*download it again"):
        load_volume(path)


@pytest.mark.parametrize("ending", [".nii", ".mgh"])
@pytest.mark.fault(1)
def test_an_uncompressed_file_that_was_cut_is_refused(tmp_path, ending):
    kind = nib.MGHImage if ending == ".mgh" else nib.Nifti1Image
    path = write(tmp_path / f"image{ending}", make_image(), kind=kind)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InputError, match=rf"image\{ending}.*download it again"):
        load_volume(path)


@pytest.mark.fault(1, value=True)
def test_members_in_a_row_and_zeros_behind_are_read(tmp_path):
    """As bgzip and tape leave files that are whole."""
    path = write(tmp_path / "image.nii.gz", make_image())
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:5000]) + gzip.compress(raw[5000:]) + bytes(512))
    assert_array_equal(load_volume(path).data, make_image())


# ---- world position ------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", ["LPS", "RAS", "LIA", "PSR", "ASL"])
@pytest.mark.parametrize("zoom", [(1, 1, 1), (2, 1, 1), (1, 1.5, 0.75)])
@pytest.mark.fault(2, value=True)
def test_labels_of_another_grid_keep_their_place_in_the_world(codes, zoom):
    image = Volume(make_image(), AFFINE, "image")
    labels = Volume(make_labels().astype(np.int32), AFFINE, "labels")
    other = resample(labels, *rescale_grid(AFFINE, SHAPE, np.array((1, 1, 1.2)) * zoom), order=0)
    found = take_to_grid(reorient(other, codes), image.shape, image.affine, image.name)
    assert found.shape == image.shape
    if zoom == (1, 1, 1):
        assert_array_equal(found.data, labels.data)
    else:
        agree = (found.data == labels.data)[labels.data > 0].mean()
        assert agree > 0.6
    assert found.affine is not None
    assert any("nearest voxel in the world" in note for note in found.notes) == (
        codes != "RAS" or zoom != (1, 1, 1)
    )


@pytest.mark.parametrize(
    "shift", [(6, 0, 0), (-6, 0, 0), (0, 6, 0), (0, 0, 6), (0, 0, -6), (3, 3, 3), (2, 0, -2)]
)
@pytest.mark.fault(2, value=True)
def test_labels_of_the_same_shape_elsewhere_are_not_taken_voxel_for_voxel(shift):
    inner = np.zeros(SHAPE, np.int32)
    inner[8:14, 9:17, 7:13] = make_labels()[8:14, 9:17, 7:13]
    labels = Volume(inner, translation(shift) @ AFFINE, "labels")
    found = take_to_grid(labels, SHAPE, AFFINE, "image")
    place, expected = (np.argwhere(v).mean(axis=0) for v in (found.data, inner))
    assert_allclose(place - expected, np.array(shift) / (1, 1, 1.2), atol=0.5)


@pytest.mark.parametrize("shift", [(40, 0, 0), (0, -60, 0), (0, 0, 500), (15, 15, 15)])
@pytest.mark.parametrize("which", ["fixed_labels", "moving_labels"])
@pytest.mark.fault(2)
def test_labels_outside_their_image_are_refused(tmp_path, which, shift):
    pair = make_pair(tmp_path)
    write(getattr(pair, which), make_labels(), translation(shift) @ AFFINE)
    told = register(pair, tmp_path / "out")
    assert told.code == 1
    assert f"{which}.nii.gz: by their headers" in told.text
    assert "correct the header" in told.text


@pytest.mark.fault(2, value=True)
def test_register_says_that_it_resampled_labels_and_writes_on_the_fixed_grid(tmp_path):
    pair = make_pair(tmp_path)
    # The whole of the moving side is stored turned and its labels on another grid.
    turned = nib.Nifti1Image(make_labels(1)[:, :, ::-1], AFFINE @ flip_axis(2))
    nib.save(turned, pair.moving_labels)
    told = register(pair, tmp_path / "out")
    assert told.code == 0, told.text
    assert "moving_labels.nii.gz: another grid than moving.nii.gz" not in told.text  # only turned
    moved = load_volume(tmp_path / "out" / "moved_labels.nii.gz", labels=True)
    assert_allclose(moved.affine, AFFINE, atol=1e-5)


def flip_axis(axis: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[axis, axis], matrix[axis, 3] = -1, SHAPE[axis] - 1
    return matrix


# ---- units ---------------------------------------------------------------------------------------

UNITS = {0: ("unknown", 1.0), 1: ("meter", 1e-3), 2: ("mm", 1.0), 3: ("micron", 1e3)}


@pytest.mark.parametrize("time", [0, 8, 16])
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("code", UNITS)
@pytest.mark.fault(3, value=True)
def test_the_unit_of_a_header_is_obeyed(tmp_path, code, labels, time):
    name, per_mm = UNITS[code]
    affine = np.diag([per_mm] * 3 + [1.0]) @ AFFINE
    data = make_labels() if labels else make_image()
    path = write(tmp_path / "scan.nii.gz", data, affine, xyzt_units=code + time)
    found = load_volume(path, labels=labels)
    assert_allclose(found.spacing_mm, (1, 1, 1.2), rtol=1e-4)
    assert_allclose(found.affine, AFFINE, rtol=1e-4, atol=1e-4)
    if name == "unknown":
        assert found.notes == ("scan.nii.gz: its header gives no unit of length; taken as mm",)
    elif name != "mm":
        assert found.notes == (f"scan.nii.gz: its header counts in {name}s; converted to mm",)
    else:
        assert not found.notes


def test_what_we_write_says_mm_and_where_it_is(tmp_path):
    path = save_volume(Volume(make_image(), AFFINE), tmp_path / "ours.nii.gz")
    header = nib.load(path).header
    assert header.get_xyzt_units()[0] == "mm"
    assert header["sform_code"] > 0
    assert not load_volume(path).notes


@pytest.mark.fault(3, value=True)
def test_register_says_which_unit_it_took(tmp_path):
    pair = make_pair(tmp_path)
    write(pair.moving, make_image(1), xyzt_units=0)
    told = register(pair, tmp_path / "out")
    assert told.code == 0, told.text
    assert "note: moving.nii.gz: its header gives no unit of length; taken as mm" in told.text


# ---- orientation ---------------------------------------------------------------------------------

NOWHERE = {"sform_code": 0, "qform_code": 0}


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.fault(4)
def test_a_file_that_does_not_say_how_its_axes_lie_is_refused(tmp_path, kind, ending, labels):
    data = make_labels() if labels else make_image()
    path = write(tmp_path / f"scan{ending}", data, kind=kind, **NOWHERE)
    with pytest.raises(InputError, match=r"scan\.nii.*left and right cannot be told.*--assume RAS"):
        load_volume(path, labels=labels)


@pytest.mark.fault(4)
def test_an_mgz_that_does_not_say_is_refused_too(tmp_path):
    path = write(tmp_path / "scan.mgz", make_image(), kind=nib.MGHImage, goodRASFlag=0)
    with pytest.raises(InputError, match=r"scan\.mgz.*--assume RAS"):
        load_volume(path)
    assert load_volume(path, assume="LIA").orientation == "LIA"


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.fault(4)
def test_register_refuses_it_and_takes_what_is_assumed(tmp_path, which):
    pair = make_pair(tmp_path)
    data = load_volume(getattr(pair, which)).data
    write(getattr(pair, which), data, **NOWHERE, pixdim=[1, 1, 1, 1.2, 0, 0, 0, 0])
    told = register(pair, tmp_path / "out")
    assert told.code == 1
    assert f"{which}.nii.gz" in told.text
    assert "--assume" in told.text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LIA", "LAS", "PIR", "ASR"])
@pytest.mark.fault(4, value=True)
def test_what_is_assumed_is_where_the_brain_lies(tmp_path, codes):
    path = write(
        tmp_path / "scan.nii.gz", make_image(), **NOWHERE, pixdim=[1, 1, 1, 1.2, 0, 0, 0, 0]
    )
    found = load_volume(path, assume=codes)
    assert found.orientation == codes
    assert_allclose(found.spacing_mm, (1, 1, 1.2), rtol=1e-5)
    assert_allclose(found.affine @ [*((np.array(SHAPE) - 1) / 2), 1], [0, 0, 0, 1], atol=1e-5)
    assert found.notes[-1].endswith(f"does not say how its axes lie; taken as {codes}")


@pytest.mark.parametrize("codes", ["RRS", "RA", "XYZ", "ras", "RASR", "R A", "1", "LPS+"])
@pytest.mark.fault(4)
def test_an_assumption_that_is_none_is_refused(tmp_path, codes):
    path = write(tmp_path / "scan.nii.gz", make_image(), **NOWHERE)
    with pytest.raises(InputError, match="expected three letters, one of each of L/R, A/P, I/S"):
        load_volume(path, assume=codes)


@pytest.mark.fault(4, value=True)
def test_an_assumption_does_not_overrule_a_header(tmp_path):
    path = write(tmp_path / "scan.nii.gz", make_image())
    assert load_volume(path, assume="LPS").orientation == "RAS"


@pytest.mark.parametrize("shift_mm", [0.001, 0.5, 7.0])
@pytest.mark.fault(4, value=True)
def test_forms_that_disagree_are_said(tmp_path, shift_mm):
    image = nib.Nifti1Image(make_image(), AFFINE)
    image.set_sform(AFFINE, 1)
    image.set_qform(translation((shift_mm, 0, 0)) @ AFFINE, 1)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "scan.nii.gz")
    found = load_volume(tmp_path / "scan.nii.gz")
    assert_allclose(found.affine, AFFINE, atol=1e-5)
    said = any("sform and qform differ" in n and "sform is used" in n for n in found.notes)
    assert said == (shift_mm > 0.01)


# ---- background ----------------------------------------------------------------------------------


def standard(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return (image - image[inside].mean()) / image[inside].std()


def noise(seed: int, sigma: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, SHAPE)


BACKGROUNDS = {
    "z-scored, 0 outside": lambda i, b: np.where(b, standard(i, b), 0),
    "z-scored as a whole": lambda i, b: standard(i, np.ones_like(b)),
    "Hounsfield, -1000 outside": lambda i, b: np.where(b, i - 200, -1000),
    "bright outside": lambda i, b: np.where(b, i, 900),
    "inverted": lambda i, b: i.max() - i,
    "grey outside": lambda i, b: np.where(b, i, 150),
    "all shifted up": lambda i, b: i + 77,
    "all shifted down": lambda i, b: i - 500,
    "negative": lambda i, b: -i - 1,
    "noise about 0": lambda i, b: i + noise(1),
    "noise about -300": lambda i, b: i - 300 + noise(2),
    "from -1 to 1": lambda i, b: 2 * i / i.max() - 1,
    "background NaN made -1": lambda i, b: np.where(b, i / i.max(), -1),
    "negative inside alone": lambda i, b: np.where(b, i - 390, 0),
}


@pytest.mark.parametrize("how", BACKGROUNDS)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.fault(5, value=True)
def test_the_brain_is_found_whatever_the_background(how, seed):
    plain = make_image(seed)
    inside = plain > 0
    given = Volume(BACKGROUNDS[how](plain, inside).astype(np.float32), AFFINE, how)
    found = find_brain(given)
    overlap = 2 * ((found.data > 0) & inside).sum() / ((found.data > 0).sum() + inside.sum())
    assert overlap > 0.88
    assert (found.data >= 0).all()
    assert f"{how}: background" in found.notes[-1]
    # Its centre is that of the brain, not of what is bright.
    mask = Volume(inside.astype(np.float32), AFFINE)
    binary = Volume((found.data > 0).astype(np.float32), AFFINE)
    assert np.abs(centre_alignment(mask, binary)[:3, 3]).max() < 0.5


@pytest.mark.parametrize(
    "how", ["z-scored, 0 outside", "Hounsfield, -1000 outside", "bright outside"]
)
@pytest.mark.fault(5, value=True)
def test_a_pair_is_prepared_from_the_brain(how):
    plain = make_image()
    given = Volume(BACKGROUNDS[how](plain, plain > 0).astype(np.float32), AFFINE)
    pair = prepare_pair(given, given, STANDARD, np.eye(4))
    assert pair.fixed.min() == 0
    assert pair.fixed.max() <= 1
    assert 0.1 < (pair.fixed > 0).mean() < 0.9


@pytest.mark.parametrize("seed", range(5))
def test_an_image_that_is_as_it_should_be_stays_the_same_object(seed):
    volume = Volume(make_image(seed), AFFINE)
    assert find_brain(volume) is volume


def spot(shape=SHAPE, n: int = 1) -> np.ndarray:
    image = np.zeros(shape, np.float32)
    image.flat[1000 : 1000 + n] = 1
    return image


NOTHING = {
    "all zero": (lambda: np.zeros(SHAPE, np.float32), "every voxel is 0"),
    "all one": (lambda: np.ones(SHAPE, np.float32), "every voxel is 1"),
    "all -3": (lambda: np.full(SHAPE, -3, np.float32), "every voxel is -3"),
    "one voxel bright": (spot, "1 voxels differ from the background"),
    "few voxels bright": (lambda: spot(n=9), "9 voxels differ from the background"),
    "few voxels dark": (lambda: -spot(n=9), "9 voxels differ from the background"),
    "one voxel in all": (lambda: np.ones((1, 1, 1), np.float32), "1 x 1 x 1 voxels"),
    "one slice": (lambda: make_image()[:, :, :1], "22 x 26 x 1 voxels"),
    "one slice across": (lambda: make_image()[:1], "1 x 26 x 20 voxels"),
    "thin slab": (lambda: make_image()[:, 10:14], "22 x 4 x 20 voxels"),
    "a negative mask": (lambda: np.where(make_image() > 0, -1, 0), "a mask is no image"),
    "all NaN": (lambda: np.full(SHAPE, np.nan, np.float32), "voxels are NaN or infinite"),
    "one infinite": (lambda: np.where(spot() > 0, np.inf, make_image()), "1 voxels are NaN"),
}


@pytest.mark.parametrize("which", ["fixed", "moving"])
@pytest.mark.parametrize("what", NOTHING)
@pytest.mark.fault(5)
def test_an_image_of_nothing_gets_its_sentence_before_the_alignment(tmp_path, what, which):
    make, sentence = NOTHING[what]
    pair = make_pair(tmp_path)
    write(getattr(pair, which), make().astype(np.float32))
    told = lumirage("register", pair.fixed, pair.moving, "-m", "affine", "-o", tmp_path / "out")
    assert told.code == 1
    assert sentence in told.text
    assert f"{which}.nii.gz" in told.text
    assert not (tmp_path / "out").exists()


# ---- memory --------------------------------------------------------------------------------------


def huge(path, shape, dtype=np.uint8, payload: bytes = b"") -> None:
    """A small file whose header asks for a huge grid."""
    header = nib.Nifti2Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_sform(np.eye(4), 1)
    header["vox_offset"] = 544
    content = header.binaryblock + bytes(4) + payload
    path.write_bytes(gzip.compress(content) if path.name.endswith("gz") else content)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "shape",
    [(10**4,) * 3, (10**6, 10**6, 1), (2**20, 2**10, 2**10), (10**12, 1, 1), (900, 900, 900)],
)
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.fault(16)
def test_a_grid_that_no_memory_holds_is_refused_by_its_header(tmp_path, ending, shape, labels):
    path = tmp_path / f"scan{ending}"
    huge(path, shape)
    with pytest.raises(InputError, match=r"scan\.nii.*would take .* GB.*larger voxels"):
        load_volume(path, labels=labels)


@pytest.mark.fault(16)
def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.nii.gz"
    huge(path, (10, 10, 10), payload=bytes(400 << 20))
    with pytest.raises(InputError, match=r"bomb\.nii\.gz: it holds more than its header says"):
        load_volume(path)


@pytest.mark.parametrize("spacing_mm", [0.005, 0.004, 0.003, 0.0015])
@pytest.mark.fault(16)
def test_tiny_voxels_are_refused_where_the_margin_would_fill_the_memory(spacing_mm):
    affine = np.diag([spacing_mm] * 3 + [1.0])
    volume = Volume(make_image(), affine, "scan")
    with pytest.raises(InputError, match=r"would take .* GB.*correct their size in the header"):
        prepare_pair(volume, volume, STANDARD, np.eye(4))


@pytest.mark.parametrize("spacing_mm", [1e-3, 1e-5, (1e-3, 1e-3, 1e-3)])
@pytest.mark.fault(16)
def test_no_grid_is_made_that_no_memory_holds(spacing_mm):
    with pytest.raises(InputError, match=r"a grid of .* mm: .* voxels would take"):
        rescale_grid(AFFINE, SHAPE, spacing_mm)


@pytest.mark.fault(16)
def test_no_window_is_cut_that_no_memory_holds():
    with pytest.raises(InputError, match=r"scan: 10000 x 10000 x 10000 voxels would take 4000 GB"):
        window(Volume(make_image(), AFFINE, "scan"), (0, 0, 0), (10**4,) * 3)


# ---- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [1.0, 1 / 3, 0.1, 7e-5, 1e-3, 3.3])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32])
@pytest.mark.fault(20, value=True)
def test_scaled_integers_are_the_labels_they_stand_for(tmp_path, slope, dtype):
    labels = make_labels()
    stored = np.rint(labels / slope)
    if np.abs(stored).max() > np.iinfo(dtype).max:
        pytest.skip("these numbers do not fit that type")
    path = write(tmp_path / "l.nii.gz", stored.astype(dtype), scl_slope=slope, scl_inter=0)
    if np.abs(stored * np.float32(slope) - labels).max() > 1e-3:
        with pytest.raises(InputError, match="this looks like an image"):
            load_volume(path, labels=True)
    else:
        assert_array_equal(load_volume(path, labels=True).data, labels)


def colours(n: int) -> np.ndarray:
    names = ("R", "G", "B", "A")[:n]
    return np.zeros(SHAPE, np.dtype([(c, "u1") for c in names]))


WRONG = {
    "rgb": (lambda p: write(p, colours(3)), "a colour image (RGB)"),
    "rgba": (lambda p: write(p, colours(4)), "a colour image (RGB)"),
    "complex64": (lambda p: write(p, make_image().astype(np.complex64)), "complex values"),
    "complex128": (lambda p: write(p, make_image().astype(np.complex128)), "complex values"),
    "series": (lambda p: write(p, np.stack([make_image()] * 3, -1)), "expected a 3-D array"),
    "a picture": (lambda p: write(p, make_image()[:, :, 0]), "expected a 3-D array"),
    "a line": (lambda p: write(p, make_image()[:, 0, 0]), "expected a 3-D array"),
    "a field": (lambda p: write(p, np.zeros((*SHAPE, 1, 3), "f4")), "expected a 3-D array"),
    "flat": (lambda p: write(p, make_image(), srow_y=0), "the affine is singular"),
    "not finite": (lambda p: write(p, make_image(), srow_x=np.nan), "finite 4x4 matrix"),
    "absent": (lambda p: p, "no such file"),
    "a folder": (lambda p: p.mkdir(), "not a readable NIfTI"),
    "text": (lambda p: p.write_text("see attachment"), "not a readable NIfTI"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("which", WHICH)
@pytest.mark.fault(20)
def test_what_is_no_volume_gets_one_sentence(tmp_path, which, what):
    make, sentence = WRONG[what]
    pair = make_pair(tmp_path)
    path = getattr(pair, which)
    path.unlink()
    make(path)
    told = register(pair, tmp_path / "out")
    assert told.code == 1
    assert sentence in told.text
    assert path.name in told.text
    assert "\n" not in told.text.strip()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", ["a.png", "a.img", "a.dcm", "a.nrrd", "a.nii.bz2", "a", "a.gz", "a.txt"]
)
@pytest.mark.fault(20)
def test_a_file_of_another_kind_is_refused_by_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"\0" * 400)
    with pytest.raises(InputError, match=r"ends in \.nii, \.nii\.gz, \.mgh or \.mgz; convert it"):
        load_volume(tmp_path / name)


@pytest.mark.parametrize("value", [0.5, 2.7, 1e10, -3e9, 1.01, 123.456, 2.2e9, 0.002, -0.5, 99.9])
@pytest.mark.fault(20)
def test_an_image_given_for_labels_is_refused_with_the_value(tmp_path, value):
    data = make_labels().astype(np.float64)
    data[5, 6, 7] = value
    path = write(tmp_path / "l.nii.gz", data)
    with pytest.raises(
        InputError, match=rf"l\.nii\.gz.*found {re.escape(f'{value:g}')}; this looks like an image"
    ):
        load_volume(path, labels=True)
