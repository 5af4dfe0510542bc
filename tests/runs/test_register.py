from __future__ import annotations

import ants
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import brain, smooth_field

from lumirage_lib.errors import InputError, RegistrationError
from lumirage_lib.images.volumes import Volume, load_volume, save_volume
from lumirage_lib.images.warp import warp_image
from lumirage_lib.runs.register import register_files

SHAPE = (40, 44, 38)
AFFINE = np.diag([2.0, 2.0, 2.5, 1.0])
AFFINE[:3, 3] = [-40, 12, 5]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    fixed = brain(SHAPE).astype(np.float32)
    moving = warp_image(fixed, smooth_field(SHAPE, 1.0, 3) + np.float32(1.5))
    paths = []
    for name, data in (("fixed", fixed), ("moving", moving)):
        paths.append(save_volume(Volume(data, AFFINE), folder / f"{name}.nii.gz"))
    return paths


def register(files, out, **how):
    done = register_files(*files, "affine", out, **how)
    return done, np.asarray(load_volume(done.moved).data)


@pytest.fixture(scope="module")
def first(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("first")
    return out / "alignment.txt", register(files, out)[1]


def test_alignment_that_was_written_can_be_given_again(files, first, tmp_path):
    path, moved = first
    assert_allclose(register(files, tmp_path, alignment=path)[1], moved, atol=1e-5)
    assert_allclose(np.loadtxt(tmp_path / "alignment.txt"), np.loadtxt(path), atol=1e-9)


def test_alignment_is_the_same_bits_each_time_whatever_the_threads(files, first, tmp_path):
    path, moved = first
    assert_array_equal(register(files, tmp_path, threads=2)[1], moved)
    assert (tmp_path / "alignment.txt").read_bytes() == path.read_bytes()


def test_affine_of_itk_is_the_same_alignment(files, first, tmp_path):
    """LPS there, RAS here."""
    flip = np.diag([-1.0, -1, 1, 1])
    world = flip @ np.loadtxt(first[0]) @ flip
    transform = ants.create_ants_transform(
        "AffineTransform", matrix=world[:3, :3], translation=world[:3, 3]
    )
    ants.write_transform(transform, str(tmp_path / "affine.mat"))
    moved = register(files, tmp_path / "out", alignment=tmp_path / "affine.mat")[1]
    assert_allclose(moved, first[1], atol=1e-3)


def test_labels_of_an_earlier_registration_do_not_stay_beside_the_image(files, first, tmp_path):
    data = load_volume(files[1]).data > 0
    labels = save_volume(Volume(data.astype(np.int16), AFFINE), tmp_path / "labels.nii.gz")
    done, _ = register(files, tmp_path / "out", alignment=first[0], moving_labels=labels)
    assert done.moved_labels.is_file()
    register(files, tmp_path / "out", alignment=first[0])
    assert not done.moved_labels.exists()


def test_fixed_labels_alone_are_refused(files, tmp_path):
    with pytest.raises(InputError, match="--moving-labels"):
        register(files, tmp_path, fixed_labels=files[0])


def test_array_is_between_voxels(files, tmp_path):
    moving = load_volume(files[1]).data
    assert_allclose(register(files, tmp_path, alignment=np.eye(4))[1], moving, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["1 2 3", "", "one two", "1 0 0 0\n" * 4, "nan " * 4 + "\n0 1 0 0\n0 0 1 0\n0 0 0 1"]
)
def test_file_that_is_no_alignment_is_refused_before_anything_runs(files, tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    for path in (tmp_path / "a.txt", tmp_path / "none.txt", tmp_path / "a.mat"):
        with pytest.raises(InputError, match=r"expected 4 x 4 (finite )?numbers"):
            register_files(*files, "affine", tmp_path / "out", alignment=path)
    assert not (tmp_path / "out").exists()


def test_memory_limit_is_a_failure_and_nothing_is_written(files, tmp_path):
    with pytest.raises(RegistrationError, match=r"over the limit of 50 MB") as caught:
        register_files(
            *files, "fakes:HURRIED", tmp_path, parameters={"how": "sleep"}, memory_mb=50,
            alignment=np.eye(4),
        )  # fmt: skip
    assert caught.value.status == "out-of-memory"
    assert list(tmp_path.iterdir()) == []
