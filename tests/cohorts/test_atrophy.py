"""Generated atrophy: the volume changes by the dose, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lumirage_lib.cohorts import Pair, get_cohort, rescan_pairs
from lumirage_lib.cohorts.atrophy import find_labels, solve_change
from lumirage_lib.errors import InputError
from lumirage_lib.images.warp import identity_grid, sample, warp_image

OPTIONS = {"anatomy": "template", "spacing_mm": 3.0, "n_subjects": 2, "seed": 4}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("LUMIRAGE_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


def make(dose: float, structure: str = "hippocampus"):
    cohort = get_cohort("atrophy", structure=structure, dose=dose, **OPTIONS)
    return cohort, rescan_pairs(cohort.scans)[0]


@pytest.mark.parametrize("change", [-0.08, -0.02, 0.0, 0.08])
def test_volume_changes_by_what_was_asked_for(change):
    """Counted by how much of the structure each grid point of either time point sees."""
    x, y, z = identity_grid((40, 48, 40))
    labels = np.zeros((40, 48, 40), int)
    labels[((x - 12) / 5) ** 2 + ((y - 24) / 9) ** 2 + ((z - 20) / 6) ** 2 < 1] = 1
    labels[((x - 28) / 5) ** 2 + ((y - 24) / 9) ** 2 + ((z - 20) / 6) ** 2 < 1] = 2
    flows = solve_change(labels, [1, 2], np.ones(3), change)
    structure = (labels > 0).astype(np.float32)
    volumes, far = [], []
    for which in ("first", "second"):
        field = np.zeros((3, *labels.shape), np.float32)
        box = tuple(
            slice(a, a + n) for a, n in zip(flows["start"], flows[which].shape[1:], strict=True)
        )
        field[(slice(None), *box)] = flows[which]
        volumes.append(warp_image(structure, field).sum())
        far.append(np.abs(field[:, :, :2]).max())
    assert volumes[1] / volumes[0] - 1 == pytest.approx(change, abs=0.004)
    # Half-way each: neither time point is the anatomy as it was.
    assert volumes[0] / structure.sum() == pytest.approx((1 + change) ** -0.5, abs=0.004)
    assert max(far) < 1e-3


def test_truth_brings_the_second_time_point_onto_the_first_and_back():
    cohort, pair = make(0.08)
    assert (pair.fixed.id, pair.moving.id) == ("01 before", "01 after")
    assert pair.fixed.subject == pair.moving.subject
    there, back = (
        cohort.true_displacement(pair),
        cohort.true_displacement(Pair(pair.moving, pair.fixed)),
    )
    grid = identity_grid(there.shape[1:])
    again = there + np.stack([sample(c, grid + there, mode="nearest") for c in back])
    inside = cohort.load_labels(pair.fixed).data > 0
    assert np.abs(there[:, inside]).max() > 0.3
    assert np.abs(again[:, inside]).max() < 0.05
    images = [cohort.load_image(scan).data for scan in (pair.fixed, pair.moving)]
    moved = warp_image(images[1], there, order=3)
    before, after = (np.corrcoef(i[inside], images[0][inside])[0, 1] for i in (images[1], moved))
    assert after > max(before, 0.9)


def test_jacobian_of_the_truth_is_the_dose_inside_and_one_elsewhere():
    for dose, structure, sign in ((0.0, "hippocampus", -1), (0.08, "ventricle", 1)):
        cohort, pair = make(dose, structure)
        truth = cohort.true_displacement(pair)
        rows = np.stack([np.stack(np.gradient(c)) for c in truth])
        jacobian = np.linalg.det(np.moveaxis(rows, (0, 1), (-2, -1)) + np.eye(3))
        labels = cohort.load_labels(pair.fixed).data
        inside = np.isin(labels, list(find_labels(cohort, structure)))
        # At 3 mm the finite differences reach beyond the structure.
        assert jacobian[inside].mean() - 1 == pytest.approx(sign * dose, abs=0.015)
        names = cohort.label_sets["manual"]["name"]
        far = np.isin(labels, names.index[names.str.contains("Cerebellum")])
        assert_allclose(jacobian[far], 1, atol=1e-3)


def test_time_points_differ_in_noise_and_are_equally_sharp():
    cohort, pair = make(0.0)
    images = [cohort.load_image(scan).data for scan in (pair.fixed, pair.moving)]
    sharp = [np.abs(np.gradient(i)[0])[i > 0].mean() for i in images]
    assert sharp[0] == pytest.approx(sharp[1], rel=0.01)
    other, _ = make(0.04)
    # Only the structure differs between doses: noise, bias and motion are the same.
    same = other.load_image(pair.fixed).data == images[0]
    assert same.mean() > 0.9
    assert not same.all()
    assert_array_equal(cohort.load_image(pair.fixed).data, images[0])
    prints = {c.fingerprint(s) for c in (cohort, other) for s in c.scans}
    assert len(prints) == 8


def test_what_there_is_not_is_refused():
    for options, complaint in (
        ({"structure": "cerebellum"}, "expected one of hippocampus, ventricle"),
        ({"dose": 0.3}, "expected 0 to 0.2"),
        ({"anatomy": "nichart"}, "expected one of oasis, template"),
    ):
        with pytest.raises(InputError, match=complaint):
            get_cohort("atrophy", **{**OPTIONS, **options})
    cohort, _ = make(0.0)
    with pytest.raises(InputError, match="time points of one scan"):
        cohort.true_displacement(Pair(cohort.scans[0], cohort.scans[2]))
    with pytest.raises(InputError, match="no voxel of"):
        solve_change(np.zeros((8, 8, 8), int), [1], np.ones(3), 0.02)
