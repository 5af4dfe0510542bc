from __future__ import annotations

import pytest
import torch
from synthetic import brain

from lumirage_lib.errors import InputError
from lumirage_lib.methods.networks.mind import compute_local_mean, compute_mind_ssc

SHAPE = (20, 24, 18)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.from_numpy(brain(SHAPE)).double()[None, None]


def compute_by_definition(image, x, y, z, radius, dilation):
    """The twelve channels of one voxel off the border, from the equations, loops over all."""
    edges = [
        (a, b)
        for a in range(6)
        for b in range(a)
        if a // 2 != b // 2  # neighbours 2k and 2k + 1 are opposite
    ]

    def patch(number):
        centre = [x, y, z]
        centre[number // 2] += dilation * (1 if number % 2 else -1)
        box = (slice(c - radius, c + radius + 1) for c in centre)
        return image[0, 0][tuple(box)]

    distances = torch.stack([(patch(a) - patch(b)).square().mean() for a, b in edges])
    distances = distances - distances.min()
    return torch.exp(-distances / distances.mean())


@pytest.mark.parametrize(("radius", "dilation"), [(1, 1), (2, 2), (1, 2)])
def test_channels_are_those_of_the_definition(image, radius, dilation):
    found = compute_mind_ssc(image, radius, dilation)
    assert found.shape == (1, 12, *SHAPE)
    for voxel in ((9, 11, 8), (7, 13, 9)):
        expected = compute_by_definition(image, *voxel, radius, dilation)
        torch.testing.assert_close(found[0, :, *voxel].sort()[0], expected.sort()[0])


def test_values_lie_between_0_and_1_and_the_largest_is_1(image):
    found = compute_mind_ssc(image)
    assert found.min() >= 0
    assert (found.amax(1) == 1).all()


@pytest.mark.parametrize(("scale", "offset"), [(3.0, 0.0), (0.01, 5.0), (-1.0, 1.0)])
def test_linear_change_of_intensity_changes_nothing(image, scale, offset):
    torch.testing.assert_close(compute_mind_ssc(scale * image + offset), compute_mind_ssc(image))


def test_contrast_inverted_in_one_half_only_changes_the_seam(image):
    mixed = image.clone()
    mixed[..., :10, :, :] = 0.7 - 2 * mixed[..., :10, :, :]
    a, b = compute_mind_ssc(image), compute_mind_ssc(mixed)
    reach = 4  # radius + dilation
    # Where there is texture: in air the bounds on the noise estimate, which are global, decide.
    inside = (image[0, 0] > 0.3).double()
    error = (a - b).abs().amax(1)[0] * inside
    assert error[10 + reach :].max() < 0.02
    assert error[: 10 - reach].max() < 0.02
    assert error[9:11].max() > 0.3


def test_another_structure_is_another_descriptor(image):
    """Two brains in one contrast are less alike than one brain in two."""
    other = torch.from_numpy(brain(SHAPE, seed=5)).double()[None, None]
    curved = (1 - image).square()
    mine, its, same = (compute_mind_ssc(i) for i in (image, other, curved))
    assert (mine - its).square().mean() > 3 * (mine - same).square().mean()


def test_constant_image_is_finite_and_gradients_are():
    flat = torch.full((1, 1, 8, 8, 8), 0.5, requires_grad=True)
    found = compute_mind_ssc(flat)
    assert (found == 1).all()
    found.sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match="expected shape"):
        compute_mind_ssc(torch.zeros(1, 2, 8, 8, 8))
    with pytest.raises(InputError, match="radius 0"):
        compute_mind_ssc(torch.zeros(1, 1, 8, 8, 8), radius=0)
    with pytest.raises(InputError, match="odd"):
        compute_local_mean(torch.zeros(1, 1, 8, 8, 8), 4)
