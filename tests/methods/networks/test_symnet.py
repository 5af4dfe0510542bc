from __future__ import annotations

import torch
from helpers import as_batch, make_blobs, warp

from lumirage_lib.methods.networks import SYMNet
from lumirage_lib.methods.networks.sampling import convert_unit_to_voxels, integrate_unit_velocity

INNER = (..., slice(6, -6), slice(6, -6), slice(6, -6))


def compute_inconsistency(forward, backward) -> float:
    """Mean of what going there and back leaves, relative to the mean displacement."""
    there_and_back = forward + warp(backward, forward)
    return float(there_and_back[INNER].abs().mean() / forward[INNER].abs().mean())


def test_swapping_the_images_inverts_the_displacement(rng, monkeypatch):
    """Whatever the two velocities are: here smooth ones of up to two voxels."""
    shape = (32, 32, 32)
    component = [as_batch(make_blobs(rng, shape) - 0.5) for _ in range(6)]
    velocities = torch.cat(component[:3], 1) / 8, torch.cat(component[3:], 1) / 8
    network, image = SYMNet(), torch.zeros(1, 1, *shape)
    both = []
    for ordered in (velocities, velocities[::-1]):
        monkeypatch.setattr(network, "compute_velocities", lambda *_, ordered=ordered: ordered)
        both.append(network(image, image))
    sum_of_halves = convert_unit_to_voxels(
        integrate_unit_velocity(-velocities[0]) + integrate_unit_velocity(velocities[1])
    )
    assert compute_inconsistency(*both) < 0.1
    assert compute_inconsistency(*both) < compute_inconsistency(sum_of_halves, -sum_of_halves) / 2
