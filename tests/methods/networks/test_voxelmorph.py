from __future__ import annotations

import os
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import as_batch, build_published, find_checkpoint, warp

from lumirage_lib.errors import WeightsError
from lumirage_lib.methods.networks import VoxelMorph, build, load_weights


def compute_local_ncc(a, b, window=9) -> float:
    """Mean squared local correlation where `a` is not air."""

    def local(image):
        for axis in range(3):
            size = [window if i == axis else 1 for i in range(3)]
            image = F.avg_pool3d(image, size, 1, [n // 2 for n in size])
        return image

    mean_a, mean_b = local(a), local(b)
    covariance = local(a * b) - mean_a * mean_b
    variances = (local(a * a) - mean_a**2) * (local(b * b) - mean_b**2)
    return float((covariance**2 / (variances + 1e-5))[a > 0].mean())


@pytest.mark.mirror
def test_real_pair_is_brought_closer():
    """Two neurite-OASIS brains, affinely aligned, LIA, the middle of the training grid."""
    folder = Path(os.environ["LUMIRAGE_MIRROR"]) / "cwmok" / "Conditional_LapIRN"
    fixed, moving = (
        as_batch(nib.load(next(folder.glob(f"*/Data/image_{name}_fullsize.nii.gz"))).dataobj)[
            ..., 40:120, 48:128, 64:144
        ]
        for name in "AB"
    )
    with torch.inference_mode():
        displacement = build_published("voxelmorph")(fixed, moving)
    before = compute_local_ncc(fixed, moving)
    assert compute_local_ncc(fixed, warp(moving, displacement)) > before + 0.2
    assert compute_local_ncc(fixed, warp(moving, -displacement)) < before


def test_strided_convolution_pads_as_tensorflow_does():
    """TensorFlow pads an even side behind only: output 0 sees voxels 0 to 2, tap by tap."""
    network = VoxelMorph()
    with torch.no_grad():
        network.convs[0].weight.copy_(torch.arange(27.0).view(3, 3, 3).expand(16, 2, 3, 3, 3))
        network.convs[0].bias.zero_()
    seen = []
    network.convs[0].register_forward_hook(lambda *call: seen.append(call[2][0, 0].clone()))
    air = torch.zeros(1, 1, 16, 16, 16)
    for voxel in ((0, 0, 0), (2, 2, 2), (15, 15, 15)):
        image = air.clone()
        image[(0, 0, *voxel)] = 1
        with torch.inference_mode():
            network(image, air)
    assert [float(s[0, 0, 0]) for s in seen] == [0, 26, 0]
    assert [float(s[7, 7, 7]) for s in seen] == [0, 0, 13]
    assert seen[0].shape == (8, 8, 8)


@pytest.mark.mirror
def test_every_kernel_is_where_the_file_has_it():
    network = build_published("voxelmorph")
    with h5py.File(find_checkpoint("voxelmorph")) as file:
        kernel = file["model_weights/conv3d_254/conv3d_254/kernel:0"][()]
    assert np.array_equal(network.convs[9].weight[5, 33, 0, 1, 2].item(), kernel[0, 1, 2, 33, 5])


@pytest.mark.mirror
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_truncated_keras_file_is_refused(tmp_path, kept):
    content = find_checkpoint("voxelmorph").read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(WeightsError, match="truncated or of another format"):
        load_weights(build("voxelmorph"), path)


def test_keras_file_of_another_network_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        layers = file.create_group("model_weights")
        layers.attrs["layer_names"] = [b"flow"]
        layers.create_group("flow").attrs["weight_names"] = [b"bias"]
        layers["flow"]["bias"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match=r"lacks convs\.0\.weight and 22 more"):
        load_weights(build("voxelmorph"), tmp_path / "a.h5")
