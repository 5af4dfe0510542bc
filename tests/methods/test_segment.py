"""An image goes to the segmenter's frame and its labels come back to the image's own voxels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from lumirage_lib.errors import InputError
from lumirage_lib.images.volumes import Volume, reorient, resample
from lumirage_lib.methods import networks, segment
from lumirage_lib.methods.networks import tissue

OCTANTS = np.arange(1, 9).reshape(2, 2, 2)


def make_image(spacing_mm: float = 2.0) -> Volume:
    """Eight blocks, each brighter than the one before, off the centre of their image."""
    blocks = np.kron(OCTANTS, np.ones((19, 19, 17))).astype(np.float32)
    data = np.pad(blocks, ((3, 9), (20, 2), (0, 5)))
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = (-40, 7, 25)
    return Volume(data, affine, "blocks")


class Levels(torch.nn.Module):
    """Stands for the network: the class of a voxel is its scaled intensity in eighths."""

    def forward(self, x):
        levels = torch.arange(18, device=x.device).reshape(1, 18, 1, 1, 1)
        return -(x * 8 - levels).abs()


@pytest.fixture(autouse=True)
def small_frame(monkeypatch):
    assert segment.SIDE == 256
    monkeypatch.setattr(segment, "SIDE", 128)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(tissue, "make_tissue_network", Levels)
    monkeypatch.setattr(networks, "load_weights", lambda network, path: None)
    monkeypatch.setattr(segment, "fetch", lambda source, quiet: None)


def test_frame_is_lia_at_1_mm_around_the_image_and_scaled_by_its_quantiles():
    image = make_image()
    framed = segment.conform(image)
    assert framed.shape == (128, 128, 128)
    assert framed.orientation == "LIA"
    assert_allclose(framed.spacing_mm, 1)
    middle = [v.affine @ [*((np.array(v.shape) - 1) / 2), 1] for v in (image, framed)]
    assert_allclose(*middle, atol=1e-9)
    assert framed.data.dtype == np.float32
    top = np.quantile(resample(image, framed.affine, framed.shape).data, 0.98)
    assert framed.data.max() == 1
    back = resample(framed, image.affine, image.shape, order=0).data
    assert_allclose(back[10, 30, 7], image.data[10, 30, 7] / top, rtol=1e-5)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "AIR"])
def test_labels_come_back_where_the_image_is(quick, codes):
    image = reorient(make_image(), codes)
    labels = segment.segment(image)
    assert labels.shape == image.shape
    assert labels.dtype == np.uint8
    expected = reorient(make_image(), codes).data
    # The quantile lies at 8, the brightest block, so that the classes are the blocks' numbers.
    # Between blocks, and at the image's border, the frame interpolates.
    around = {"size": 3, "mode": "constant"}
    inner = ndimage.maximum_filter(expected, **around) == ndimage.minimum_filter(expected, **around)
    assert inner.mean() > 0.7
    assert_array_equal(labels[inner], expected[inner])


def test_what_does_not_fit_or_is_empty_is_refused():
    image = make_image(3.0)
    with pytest.raises(InputError, match="expected it within 128 mm"):
        segment.conform(image)
    with pytest.raises(InputError, match="one value"):
        segment.conform(Volume(np.zeros_like(image.data), np.eye(4), "nothing"))
