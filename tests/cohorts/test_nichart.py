"""nichart: the slices of FLAIR read off its planes, and T1w seen through them."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import smooth_noise

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.errors import InputError

nichart = importlib.import_module("lumirage_lib.cohorts.nichart")


def stack(n_slices: int, axis: int, counts=(2, 3)) -> tuple[np.ndarray, np.ndarray]:
    """Noise whose planes repeat along an axis, and the number of the slice of every plane."""
    number = np.repeat(np.arange(n_slices), [counts[i % 2] for i in range(n_slices)])
    shape = [6, 7, 8]
    shape[axis] = n_slices
    return np.take(np.random.default_rng(3).random(shape), number, axis), number


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_found_along_any_axis(axis):
    image, number = stack(9, axis)
    found_axis, found = nichart.find_slices(image)
    assert found_axis == axis
    assert_array_equal(found, number)


@pytest.mark.parametrize("image", [np.random.default_rng(1).random((5, 6, 7)), np.zeros((4, 4, 4))])
def test_an_image_without_thick_slices_is_refused(image):
    with pytest.raises(InputError, match="expected one, as thick slices leave it"):
        nichart.find_slices(image)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thickening_keeps_a_ramp_at_the_middle_of_every_slice(axis):
    acquired, number = stack(8, axis)
    ramp = np.broadcast_to(
        np.arange(len(number), dtype=np.float32).reshape(
            [-1 if a == axis else 1 for a in range(3)]
        ),
        acquired.shape,
    )
    thick = nichart.thicken_like(ramp, acquired)
    middles = np.array([np.flatnonzero(number == k).mean() for k in range(8)])
    line = np.moveaxis(thick, axis, 0)[:, 2, 2]
    assert_allclose(line[2:-3], middles[number][2:-3], atol=1e-5)  # the edges have no beyond


def test_thickening_averages_over_the_distance_of_two_slices():
    acquired, number = stack(10, 2)
    image = smooth_noise(acquired.shape, 0.0, 4)
    impulse = np.zeros_like(image)
    impulse[:, :, 12] = 1.0
    slices = nichart.thicken_like(impulse, acquired)[0, 0][
        np.flatnonzero(np.diff(number, prepend=-1))
    ]
    assert_allclose(
        slices.sum(), 1 / 2.5, rtol=0.05
    )  # slices are 2.5 voxels apart and leave no gap
    thick = nichart.thicken_like(image, acquired)
    assert_array_equal(nichart.find_slices(thick)[1], number)
    assert thick.var() < 0.5 * image.var()


@pytest.mark.mirror
def test_flair_of_every_subject_has_35_slices_5_mm_apart_and_t1w_has_none():
    for scan in nichart.scans():
        flair = nichart.load_head(scan, "FLAIR")
        axis, number = nichart.find_slices(flair.data)
        assert (axis, number.max() + 1) == (2, 35)
        middles = np.bincount(number, np.arange(len(number))) / np.bincount(number)
        assert_allclose(np.diff(middles) * flair.spacing_mm[2], 5.0, atol=1e-4)
    with pytest.raises(InputError):
        nichart.find_slices(nichart.load_head(scan, "T1w").data)


@pytest.mark.mirror
def test_thick_t1w_goes_the_way_of_flair(tmp_path, monkeypatch):
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    scan = nichart.scans()[0]
    t1, flair = (nichart.load_head(scan, kind) for kind in ("T1w", "FLAIR"))
    header = np.linalg.inv(flair.affine) @ t1.affine
    monkeypatch.setattr(nichart, "align_flair", lambda scan: {"matrix": header})
    thin, thick = (get_cohort("nichart", contrast=c) for c in ("T1w", "T1w thick"))
    a, b = thin.load_image(scan), thick.load_image(scan)
    assert a.shape == b.shape
    assert_allclose(a.affine, b.affine)
    brain = a.data > 0
    assert_allclose(b.data[brain].mean(), a.data[brain].mean(), rtol=0.01)
    assert 0.85 < np.corrcoef(a.data[brain], b.data[brain])[0, 1] < 0.97
    assert thick.aligned_by.fingerprint(scan) == thin.fingerprint(scan)
    assert thick.fingerprint(scan) != thin.fingerprint(scan)
