from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from synthetic import brain, known_pair, smooth_field

from lumirage_lib.cohorts import balanced_pairs, get_cohort
from lumirage_lib.errors import InputError
from lumirage_lib.images.warp import warp_image, warp_labels
from lumirage_lib.methods import get_method
from lumirage_lib.methods.instance import refine_method, run_instance
from lumirage_lib.metrics import compute_field_measures, compute_overlap
from lumirage_lib.runs.task import Task, plan

QUICK = {
    "steps": [40], "spacings_mm": [2.0], "learning_rate": 0.1, "similarity": "ncc", "window": 5,
    "smoothness": 1.0,
}  # fmt: skip


def from_nothing(fixed, moving, affine):
    return np.zeros((3, *fixed.shape), np.float32)


def error_of(found, true, fixed) -> float:
    return float(np.linalg.norm((found - true)[:, fixed > 0.3], axis=0).mean())


@pytest.mark.parametrize("similarity", ["ncc", "mind"])
def test_known_deformation_is_approached(similarity):
    fixed, moving, true = known_pair()
    if similarity == "mind":
        moving = (1 - moving) ** 2 * (moving > 0)  # another contrast
    given = {**QUICK, "similarity": similarity}
    found = run_instance(fixed, moving, np.eye(4), start=from_nothing, **given)
    assert found.dtype == np.float32
    assert error_of(found, true, fixed) < 0.7 * error_of(0 * true, true, fixed)


def test_a_good_start_is_kept_and_improved():
    fixed, moving, true = known_pair()
    start = true + smooth_field(fixed.shape, 0.7, 9, sigma=4.0)
    found = run_instance(fixed, moving, np.eye(4), start=lambda *a: start, **QUICK)
    assert error_of(found, true, fixed) < 0.7 * error_of(start, true, fixed)


def test_levels_follow_one_another_from_coarse_to_fine():
    fixed, moving, true = known_pair()
    levels = {"steps": [30, 5], "spacings_mm": [2.0, 1.0]}
    once, twice = (
        run_instance(fixed, moving, np.eye(4), start=from_nothing, **{**QUICK, **given})
        for given in ({"steps": [30]}, levels)
    )
    assert error_of(twice, true, fixed) < error_of(once, true, fixed)


def test_no_step_returns_the_networks_field_and_its_options_reach_it():
    fixed, moving, _ = known_pair()
    start = smooth_field(fixed.shape, 1.0, 3)
    got = {}

    def network(*images, **options):
        got.update(options)
        return start

    found = run_instance(
        fixed, moving, np.eye(4), start=network, weights="w.pth", regularity=0.3,
        **{**QUICK, "steps": [0]},
    )  # fmt: skip
    np.testing.assert_array_equal(found, start)
    assert got == {"weights": "w.pth", "regularity": 0.3}


def test_same_input_same_field():
    fixed, moving, _ = known_pair()
    few = {**QUICK, "steps": [5]}
    runs = [run_instance(fixed, moving, np.eye(4), start=from_nothing, **few) for _ in range(2)]
    np.testing.assert_array_equal(*runs)


def test_smoothness_keeps_from_folding():
    """Two brains of unrelated texture: nothing to find, everything to overfit."""
    fixed, moving = brain((32, 40, 36), 1), brain((32, 40, 36), 2)
    folds = [
        compute_field_measures(
            run_instance(
                fixed, moving, np.eye(4), start=from_nothing, **{**QUICK, "smoothness": weight}
            ),
            fixed > 0.3,
        )["ndv_percent"]
        for weight in (0.0, 3.0)
    ]
    assert folds[1] < 0.5 * folds[0]


def test_odd_shapes_and_brains_at_the_border_are_no_exception():
    fixed, moving, _ = known_pair()
    fixed, moving = fixed[9:32, 11:, :35], moving[9:32, 11:, :35]
    given = {**QUICK, "steps": [3]}
    found = run_instance(fixed, moving, np.diag([0.7, 0.7, 0.7, 1]), start=from_nothing, **given)
    assert found.shape == (3, *fixed.shape)
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"similarity": "mi"}, r"similarity='mi': .* of the form ncc\|mind"),
        (
            {"steps": [1, 2]},
            r"steps=\[1, 2\] and spacings_mm=\[2.0\]: expected lists of one length",
        ),
    ],
)
def test_what_cannot_be_run_is_refused(given, complaint):
    with pytest.raises(InputError, match=complaint):
        get_method("vfa+io").with_parameters(given)


def test_weak_start_gains_overlap_on_brains_of_the_template():
    cohort = get_cohort("template", spacing_mm=5.0, n_subjects=3)
    fixed, moving = cohort.scans[:2]
    images = [cohort.load_image(s) for s in (fixed, moving)]
    labels = [cohort.load_labels(s, "tissues").data for s in (fixed, moving)]
    found = run_instance(*(i.data for i in images), images[0].affine, start=from_nothing, **QUICK)
    before, after = (
        compute_overlap(labels[0], warp_labels(labels[1], field), [1, 2, 3])["dice"].mean()
        for field in (0 * found, found)
    )
    assert after > before + 0.05
    assert compute_field_measures(found, labels[0] > 0)["ndv_percent"] < 1.0
    unlike = [
        np.square(warp_image(images[1].data, field) - images[0].data).mean()
        for field in (0 * found, found)
    ]
    assert unlike[1] < 0.8 * unlike[0]


# ---- in the registry


@pytest.mark.parametrize("name", ["lapirn-disp", "clapirn", "voxelmorph"])
def test_any_network_can_be_refined(name):
    base, spec = get_method(name), get_method(f"{name}+io")
    assert spec.id == f"{name}+io"
    assert (spec.family, spec.input, spec.weights) == ("deep", base.input, base.weights)
    assert spec.version.startswith(f"{base.version}, ")
    assert spec.citation.startswith(f"{base.citation},")
    assert set(spec.parameters) == {*base.parameters, *QUICK}
    assert json.dumps(dict(spec.parameters))
    assert spec.with_parameters({"steps": [10]})["steps"] == [10]


def test_what_is_no_network_is_not_refined():
    with pytest.raises(InputError, match=r"greedy\+io: only a network can be refined"):
        get_method("greedy+io")
    with pytest.raises(InputError, match="no method 'gredy'"):
        get_method("gredy+io")
    with pytest.raises(InputError):
        refine_method(get_method("syn"))


def test_refined_and_plain_network_have_keys_of_their_own():
    cohort = get_cohort("template", spacing_mm=5.0, n_subjects=3)
    pairs = balanced_pairs(cohort.scans, 1)
    options = {"spacing_mm": 5.0, "n_subjects": 3}
    tasks = plan("template", pairs, ["clapirn", "clapirn+io"], cohort_options=options)
    tasks += plan("template", pairs, {"clapirn+io": {"steps": [9]}}, cohort_options=options)
    assert len({t.key for t in tasks}) == 3
    assert all(isinstance(t, Task) for t in tasks)


def test_random_numbers_of_others_are_left_alone():
    fixed, moving, _ = known_pair()
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    run_instance(fixed, moving, np.eye(4), start=from_nothing, **{**QUICK, "steps": [2]})
    assert torch.equal(state, torch.random.get_rng_state())
