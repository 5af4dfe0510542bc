"""The lab's images, ruler, network, changes and repairs, each against its definition."""

from __future__ import annotations

import breaks
import lab_folder  # noqa: F401  # isort: split
import numpy as np
import pandas as pd
import pytest
import repairs
import torch
from labkit import compute_regained, compute_shares, describe_folds
from measures import find_folds, measure_dice, measure_hd95, register, register_greedy, score
from network import Network, similarity, train
from slices import HELD_OUT, SHAPE, TRAINING, draw_velocity, exponentiate, warp
from torch.nn.functional import interpolate


def square(x, y, size=10):
    image = torch.zeros(1, 1, *SHAPE)
    image[..., x : x + size, y : y + size] = 1
    return image


def test_the_truth_moves_one_image_onto_the_other(held_out):
    moved = warp(held_out.moving, held_out.truth)
    assert similarity(held_out.fixed, moved) > 1.5 * similarity(held_out.fixed, held_out.moving)
    measured = score(held_out, held_out.truth)
    assert (measured["error_mm"] < 1e-4).all()
    assert (measured["dice"] > score(held_out, 0 * held_out.truth)["dice"] + 0.2).all()


def test_no_subject_is_trained_and_tested_on():
    assert not set(TRAINING) & set(HELD_OUT)


def test_rulers_on_squares():
    a, b = square(20, 20)[0], square(23, 20)[0]
    assert measure_dice(a, b, b) == pytest.approx(2 * 70 / 200)
    assert measure_hd95(a, a) == 0
    assert measure_hd95(a, b) == pytest.approx(2 * 3, abs=0.1)
    assert measure_dice(a, 0 * b, b) == 0


def test_folds_are_where_neighbours_change_places():
    field = torch.zeros(2, *SHAPE)
    assert not find_folds(field).any()
    field[0, 40] = 3  # row 40 lands beyond row 41
    assert find_folds(field)[40].all()
    assert not find_folds(field)[:38].any()


def test_greedy_finds_a_shift_with_its_sign():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 1, *SHAPE, generator=generator)
    image = torch.nn.functional.avg_pool2d(image, 9, 1, 4)
    found = register_greedy(image, image.roll((3, -2), dims=(2, 3)))[0, :, 20:-20, 20:-20]
    assert found.mean(dim=(1, 2)).tolist() == pytest.approx([3, -2], abs=0.3)


def test_a_new_network_moves_nothing_and_a_trained_one_something(held_out):
    network = Network()
    assert network(held_out.fixed, held_out.moving).abs().max() < 0.01
    again = [train(held_out, 2, seed=3)[1] for _ in range(2)]
    assert again[0] == again[1]  # the same seed, the same losses


def test_a_shrunk_field_is_grown_back():
    field = torch.full((1, 2, *SHAPE), 2.0)
    grown = breaks.grow(field, 0.4)
    assert grown[..., 48, 56].tolist() == [[pytest.approx(5), pytest.approx(5)]]


@pytest.mark.parametrize("name", breaks.CHANGES)
def test_a_change_keeps_the_grid_and_an_exact_method_exact(held_out, name):
    change = breaks.CHANGES[name]
    images = change.before(held_out.fixed)
    assert images.shape == held_out.fixed.shape
    assert torch.isfinite(images).all()
    if name not in ("z-scored", "blurred", "header x 0.4"):
        still = torch.zeros_like(held_out.truth)
        assert (register(lambda a, b: still, held_out, change) == 0).all()


def test_inverted_and_folded_order_tissues_as_they_say():
    tissues = torch.tensor([0.0, 0.2, 0.6, 1.0]).reshape(1, 1, 2, 2)  # outside, CSF, grey, white
    inverted, folded, t2w = (
        f(tissues).ravel().tolist() for f in (breaks.invert, breaks.fold, breaks.make_t2w)
    )
    assert inverted[0] == folded[0] == t2w[0] == 0
    assert inverted[1] > inverted[2] > inverted[3]
    assert folded[2] < folded[1]
    assert folded[2] < folded[3]
    assert t2w[1] > t2w[2] > t2w[3]


def test_mind_feels_neither_dimming_nor_the_inversion_of_all_of_an_image(held_out):
    seen = repairs.describe_mind(held_out.fixed)
    for changed in (1.1 - held_out.fixed, breaks.dim(held_out.fixed)):
        assert torch.allclose(repairs.describe_mind(changed), seen, atol=1e-4)


def test_mind_feels_the_edge_of_an_inverted_brain(held_out):
    image = held_out.fixed
    brain = (image > breaks.BRAIN).float()
    deep = -torch.nn.functional.max_pool2d(-brain, 7, 1, 3)  # three voxels and more from the edge
    felt = repairs.describe_mind(breaks.invert(image)) - repairs.describe_mind(image)
    felt = (felt.abs() > 0.05).float().mean(dim=1, keepdim=True)
    edge, inside = (float(felt[where > 0].mean()) for where in (brain - deep, deep))
    assert edge > 0.4
    assert 0.02 < inside < edge / 2  # not nothing: the edge raises the floor


def test_no_random_curve_dims_so_that_remapping_cannot_teach_it():
    generator = torch.Generator().manual_seed(0)
    values = torch.linspace(0.03, 1.6, 500).reshape(1, 1, 1, -1)
    brightest = [breaks.draw_curve(generator)(values).max() for _ in range(100)]
    assert np.mean([b > 0.95 for b in brightest]) > 0.8
    assert breaks.dim(values).max() < 0.5


def test_dividing_by_the_spread_is_a_change_of_its_own(held_out):
    spread = held_out.fixed.std(dim=(2, 3), keepdim=True)
    raised = breaks.z_score(held_out.fixed) + held_out.fixed.mean(dim=(2, 3), keepdim=True) / spread
    assert torch.allclose(raised * spread, held_out.fixed, atol=1e-5)
    assert (raised.amax(dim=(2, 3)) > 2 * held_out.fixed.amax(dim=(2, 3))).all()


def test_the_truth_folds_where_its_voxels_are_too_large_for_it(held_out):
    generator = torch.Generator().manual_seed(999)  # that of the held-out pairs
    velocities = [draw_velocity(2, generator) for _ in range(2)]

    def fold(finer):
        """Folded area in voxels, of the truth computed on a grid so many times finer."""
        size = [(n - 1) * finer + 1 for n in SHAPE]
        a, b = (
            exponentiate(
                sign * finer * interpolate(v, size=size, mode="bicubic", align_corners=True)
            )
            for sign, v in zip((1, -1), velocities, strict=True)
        )
        both = a + warp(b, a, padding="border")
        return sum(find_folds(u).sum() for u in both) / finer**2, both

    coarse, same = fold(1)
    assert torch.allclose(same, held_out.truth, atol=1e-4)
    assert coarse > 40
    assert fold(4)[0] < coarse / 4
    assert not find_folds(register_greedy(held_out.fixed, held_out.moving)[0]).any()
    said = describe_folds({"the truth": held_out.truth, "nothing": 0 * held_out.truth})
    few, many = sorted(int(find_folds(u).sum()) for u in held_out.truth)
    assert said.startswith(f"The truth folds in 2 of 2 pairs ({few} to {many} voxels each)")
    assert said.endswith("; nothing folds in 0 of 2 pairs.")


def test_repairs_of_the_training_change_both_images_alike(held_out):
    generator = torch.Generator().manual_seed(1)
    for change in (repairs.remap_inputs, repairs.shrink_inputs):
        new = change(held_out, generator)
        assert new.fixed.shape == held_out.fixed.shape
        assert (new.truth == held_out.truth).all()
    same = type(held_out)(held_out.fixed, held_out.fixed, *[held_out.fixed] * 3)
    new = repairs.remap_inputs(same, generator)
    assert torch.equal(new.fixed, new.moving)


def test_instance_optimisation_makes_images_more_alike(held_out):
    network = Network()
    with torch.no_grad():
        before = similarity(
            held_out.fixed, warp(held_out.moving, network(held_out.fixed, held_out.moving))
        )
    field = repairs.optimise(network, held_out.fixed, held_out.moving, steps=10)
    assert similarity(held_out.fixed, warp(held_out.moving, field)) > before


def test_shares_and_what_is_regained():
    dice = pd.DataFrame(
        {"plain": [0.5, 0.4, 0.499], "repaired": [0.49, 0.45, 0.5]}, index=["T1w", "a", "b"]
    )
    assert compute_shares(dice[["plain"]], 0.3).loc["a", "plain"] == pytest.approx(0.5)
    assert compute_regained(dice).to_dict() == {"repaired": {"a": pytest.approx(0.5)}}


def test_remap_goes_through_its_knots():
    knots = ((0.1, 0.9), (0.5, 0.2), (1.0, 0.6))
    x = torch.tensor([0.1, 0.3, 0.5, 0.75, 0.99999]).reshape(1, 1, 1, 5)
    expected = np.interp(x.numpy(), *map(list, zip(*knots, strict=True)))
    assert breaks.remap(x, knots).numpy() == pytest.approx(expected, abs=1e-3)
