from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SHAPE, load_image
from numpy.testing import assert_allclose

from lumirage_lib.cohorts import Scan, get_cohort
from lumirage_lib.errors import InputError
from lumirage_lib.methods.training import data
from lumirage_lib.methods.training.data import (
    Brains,
    draw_affine,
    draw_pair,
    load_brains,
    sample_brain,
    training_scans,
)


def test_oasis_trains_on_its_fifteen_training_subjects():
    cohort = get_cohort("oasis")
    scans = training_scans(cohort)
    assert len(scans) == len({scan.subject for scan in scans}) == 15
    tested = {scan.subject for scan in cohort.scans} - {scan.subject for scan in scans}
    assert len(tested) == 10


def test_a_subject_in_both_groups_stops_training(cohort):
    second = Scan("8", "S1", "test")
    with pytest.raises(InputError, match="S1 are in both groups"):
        training_scans(replace(cohort, scans=(*cohort.scans, second)))
    with pytest.raises(InputError, match="found none"):
        training_scans(replace(cohort, scans=(second,)))


def test_a_test_scan_is_not_even_read(cohort):
    def load(scan):
        raise AssertionError("read")

    with pytest.raises(InputError, match="9: not in the training group"):
        load_brains(replace(cohort, load_image=load), cohort.scans, 4.0, 4)


def test_frame_holds_the_first_brain_as_it_is(cohort, tmp_path):
    brains = load_brains(cohort, training_scans(cohort), 4.0, 4, tmp_path / "frame.json")
    assert all(n % 4 == 0 for n in brains.shape)
    found = sample_brain(brains, 0)[0, 0].numpy()
    start = np.rint(brains.matrices[0][:3, 3]).astype(int)
    data = load_image(cohort.scans[0]).data
    expected = np.clip(data / np.percentile(data[data > 0], 99.9), 0, 1)
    box = np.stack(np.indices(brains.shape)) + start.reshape(3, 1, 1, 1)
    inside = ((box >= 0) & (box < np.reshape(SHAPE, (3, 1, 1, 1)))).all(axis=0)
    assert_allclose(found[inside], expected[tuple(box[:, inside])], atol=1e-5)
    assert found[inside].sum() == pytest.approx(expected.sum(), rel=1e-5)
    assert np.abs(found[~inside]).max(initial=0) < 1e-5
    assert len(json.loads((tmp_path / "frame.json").read_text())) == 5


def test_kept_affines_are_used_again(cohort, tmp_path, monkeypatch):
    cache = tmp_path / "frame.json"
    first = load_brains(cohort, training_scans(cohort), 4.0, 4, cache)
    shift = np.eye(4)
    shift[0, 3] = 8.0  # millimetres: two voxels
    known = json.loads(cache.read_text())
    known["1 in 0"] = shift.tolist()
    cache.write_text(json.dumps(known))
    monkeypatch.setattr("lumirage_lib.methods.training.data._align_world", None)
    second = load_brains(cohort, training_scans(cohort), 4.0, 4, cache)
    one, two = (sample_brain(b, 1)[0, 0] for b in (first, second))
    torch.testing.assert_close(two[:-2], one[2:], atol=1e-4, rtol=0)


def make_brains(**changes) -> Brains:
    generator = torch.Generator().manual_seed(0)
    images = tuple(torch.rand(9, 11, 7, generator=generator) for _ in range(3))
    values = {"images": images, "matrices": np.array([np.eye(4)] * 3), "shape": (9, 11, 7)}
    return Brains(**{**values, "spacing_mm": 2.0, **changes})


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_affine_about_the_centre_mirrors_and_shifts_the_right_axis(axis):
    brains = make_brains()
    image = brains.images[1]
    mirror = np.diag([-1.0 if i == axis else 1.0 for i in range(4)])
    torch.testing.assert_close(
        sample_brain(brains, 1, mirror)[0, 0], image.flip(axis), atol=1e-5, rtol=0
    )
    shift = np.eye(4)
    shift[axis, 3] = 1
    n = image.shape[axis]
    torch.testing.assert_close(
        sample_brain(brains, 1, shift)[0, 0].narrow(axis, 0, n - 1),
        image.narrow(axis, 1, n - 1),
        atol=1e-5,
        rtol=0,
    )


def test_random_affine_stays_within_what_is_asked(rng):
    matrices = [draw_affine(rng, (5.0, 0.1, 3.0), 2.0) for _ in range(200)]
    shifts = np.array([m[:3, 3] for m in matrices])
    assert 1.3 < np.abs(shifts).max() <= 1.5
    scales = np.array([np.linalg.norm(m[:3, :3], axis=0) for m in matrices])
    assert 1.08 < scales.max() <= 1.1 + 1e-12
    assert 1 / 1.1 - 1e-12 <= scales.min() < 0.93
    turns = [m[:3, :3] / s for m, s in zip(matrices, scales, strict=True)]
    assert all(np.allclose(t @ t.T, np.eye(3)) and np.linalg.det(t) > 0 for t in turns)
    angles = [np.degrees(np.arccos((np.trace(t) - 1) / 2)) for t in turns]
    assert 5 < max(angles) < 5 * np.sqrt(3) + 0.5
    assert_allclose(draw_affine(rng, (0, 0, 0), 2.0), np.eye(4))


def test_a_pair_is_two_brains_and_depends_on_the_generator_alone():
    brains = make_brains()
    still = (0, 0, 0)
    for seed in range(8):
        pair = draw_pair(brains, np.random.default_rng(seed), still, still)
        again = draw_pair(brains, np.random.default_rng(seed), still, still)
        assert torch.equal(pair, again)
        # Not moved, each is one of the three brains as it is or mirrored left to right.
        which = [
            {
                number
                for number, image in enumerate(brains.images)
                for candidate in (image, image.flip(0))
                if torch.allclose(one, candidate, atol=1e-5)
            }
            for one in pair[:, 0]
        ]
        assert len(which[0]) == len(which[1]) == 1
        assert which[0] != which[1]


def test_drawn_maps_keep_away_from_those_that_are_tested():
    rng = np.random.default_rng(0)
    drawn = np.array([data.draw_map(rng) for _ in range(400)])
    for tested in data.HELD_OUT_MAPS.values():
        assert (np.abs(drawn - tested).max(1) >= data.APART).all()
    rising = (np.diff(drawn) >= 0).all(1).mean()
    assert 0.4 < rising < 0.6


def test_a_map_is_followed_between_its_knots_and_air_stays():
    images = torch.tensor([0.0, 0.1, 0.3, 1.0, 1.7])
    values = np.array([0.2, 0.9, 0.4])
    expected = np.interp(images.numpy(), [0, 0.5, 1], values)
    expected[0] = 0
    np.testing.assert_allclose(data.remap(images, values), expected, atol=1e-6)
