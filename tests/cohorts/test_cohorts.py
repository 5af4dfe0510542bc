from __future__ import annotations

import importlib
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from synthetic import indices, to_points

from lumirage_lib.cohorts import (
    COHORTS,
    Pair,
    Scan,
    balanced_pairs,
    get_cohort,
    get_options,
    rescan_pairs,
)
from lumirage_lib.cohorts.base import structure_group
from lumirage_lib.cohorts.local import LAYOUTS
from lumirage_lib.cohorts.sources import find_sources
from lumirage_lib.errors import InputError
from lumirage_lib.images.warp import sample, warp_image, warp_labels
from lumirage_lib.metrics import compute_overlap

# The package exports a function under the module's own name.
template_module = importlib.import_module("lumirage_lib.cohorts.template")
population = importlib.import_module("lumirage_lib.cohorts.population")


# ---- pairs


def make_scans(n_subjects: int, n_rescanned: int = 0) -> list[Scan]:
    first = [Scan(f"{i}a", f"S{i}") for i in range(n_subjects)]
    return first + [Scan(f"{i}b", f"S{i}") for i in range(n_rescanned)]


designs = st.integers(2, 14).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(1, n * (n - 1)), st.integers(0, 2**31))
)


@settings(deadline=None)
@given(designs)
def test_design_is_balanced(design):
    n, n_pairs, seed = design
    pairs = balanced_pairs(make_scans(n), n_pairs, seed)
    assert len(pairs) == len(set(pairs)) == n_pairs
    assert all(p.fixed.subject != p.moving.subject and p.kind == "between" for p in pairs)
    for side in ("fixed", "moving"):
        counts = Counter(getattr(p, side).subject for p in pairs)
        times = [counts[f"S{i}"] for i in range(n)]
        # Equal where the number of pairs allows it, else as equal as can be.
        assert max(times) - min(times) == (0 if n_pairs % n == 0 else 1)


@settings(deadline=None)
@given(designs, st.data())
def test_smaller_design_is_the_beginning_of_a_larger_one(design, data):
    n, n_pairs, seed = design
    fewer = data.draw(st.integers(1, n_pairs))
    scans = make_scans(n)
    assert balanced_pairs(scans, fewer, seed) == balanced_pairs(scans, n_pairs, seed)[:fewer]


@settings(deadline=None)
@given(st.integers(1, 7).map(lambda k: 2 * k + 1), st.integers(0, 100))
def test_no_two_brains_meet_twice_before_all_have_met(n, seed):
    pairs = balanced_pairs(make_scans(n), n * (n - 1) // 2, seed)
    assert len({frozenset((p.fixed, p.moving)) for p in pairs}) == len(pairs)


def test_seed_decides_and_the_first_scan_of_a_subject_is_used():
    scans = make_scans(8)
    assert balanced_pairs(scans, 16, seed=1) == balanced_pairs(scans, 16, seed=1)
    assert balanced_pairs(scans, 16, seed=1) != balanced_pairs(scans, 16, seed=2)
    used = {s for p in balanced_pairs(make_scans(8, 5), 16) for s in (p.fixed, p.moving)}
    assert used == set(scans)


@pytest.mark.parametrize(("n", "n_pairs"), [(0, 1), (1, 1), (5, 0), (5, -3), (5, 21)])
def test_impossible_design_is_refused(n, n_pairs):
    with pytest.raises(InputError, match=rf"{n_pairs} pairs asked of {n} subjects; expected"):
        balanced_pairs(make_scans(n), n_pairs)


def test_rescans_are_the_second_scan_onto_the_first():
    pairs = rescan_pairs(make_scans(4, 2))
    assert pairs == [
        Pair(Scan("0a", "S0"), Scan("0b", "S0"), "rescan"),
        Pair(Scan("1a", "S1"), Scan("1b", "S1"), "rescan"),
    ]
    assert pairs[0].id == "0b->0a"


# ---- by name


def test_cohorts_are_found_by_name():
    for call, complaint in (
        (lambda: get_cohort("oases"), r"no cohort 'oases'; there are .*oasis.*template"),
        (lambda: get_cohort("template", spacing=2), "cannot be made with .*spacing"),
        (lambda: get_cohort("template", spacing_mm=0.1), "spacing_mm=0.1: expected 0.5 to 8 mm"),
        (lambda: get_cohort("template", spacing_mm=4.0).scan("99"), "no scan '99'; there are 01"),
    ):
        with pytest.raises(InputError, match=complaint):
            call()
    assert {"oasis", "template"} <= set(COHORTS)
    options = {"spacing_mm": 4.0, "seed": 1}
    assert get_cohort("template", **options) is get_cohort("template", **options)


PUBLIC = sorted(set(COHORTS) - set(LAYOUTS) - {"tiny"})


@pytest.mark.parametrize("name", PUBLIC)
def test_a_cohort_says_what_it_is_and_how_it_may_be_made(name):
    cohort = get_cohort(name)
    assert cohort.title
    assert all(limit.endswith(".") for limit in cohort.limits)
    options = get_options(name)
    for option, value in options.items():
        assert cohort.options[option] == value
    if "contrast" in options:
        for contrast in cohort.contrasts:
            assert get_cohort(name, contrast=contrast).options["contrast"] == contrast
        assert cohort.contrasts[0] == "T1w"
    else:
        assert cohort.contrasts == ("T1w",)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_cohort_of_a_folder_has_the_options_of_its_layout(name):
    options = get_options(name)
    assert list(options)[:2] == ["root", "pairs"]
    with pytest.raises(
        InputError, match=r"cannot be made with colour=red.*its options are root, pairs"
    ):
        get_cohort(name, colour="red")


def test_a_cohort_of_ones_own_goes_by_the_name_it_was_asked_for():
    made = get_cohort("fakes:tiny", n_subjects=4)
    assert (made.name, len(made.scans)) == ("fakes:tiny", 4)
    assert get_cohort(made.name, n_subjects=4) is made
    assert {"n_subjects": 3, "release": "1"}.items() <= get_options("fakes:tiny").items()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no_such_module:cohort", "ModuleNotFoundError: .*is the module on PYTHONPATH"),
        ("fakes:missing", "AttributeError"),
        ("fakes:SHAPE", "is a tuple, expected a Cohort or a function that makes one"),
        ("synthetic:smooth_field", "cannot be made with no options"),
    ],
)
def test_what_is_no_cohort_is_refused(name, complaint):
    with pytest.raises(InputError, match=complaint):
        get_cohort(name)


@pytest.mark.parametrize(
    ("number", "name", "group"),
    [
        (100, "Right ACgG anterior cingulate gyrus", "cortical"),
        (48, "Left Hippocampus", "subcortical"),
        (62, "Left Ventral DC", "subcortical"),
        (4, "3rd Ventricle", "CSF"),
        (50, "Left Inf Lat Vent", "CSF"),
        (45, "Left Cerebral White Matter", "white matter"),
        (35, "Brain Stem", "other"),
    ],
)
def test_structures_are_grouped(number, name, group):
    assert structure_group(number, name) == group


# ---- oasis


@pytest.fixture(scope="module")
def oasis():
    return get_cohort("oasis")


@pytest.mark.mirror
def test_oasis_is_split_by_subject(oasis):
    groups = {g: [s for s in oasis.scans if s.group == g] for g in ("train", "test")}
    subjects = {g: {s.subject for s in scans} for g, scans in groups.items()}
    assert {g: len(scans) for g, scans in groups.items()} == {"train": 15, "test": 15}
    assert {g: len(names) for g, names in subjects.items()} == {"train": 15, "test": 10}
    assert not subjects["train"] & subjects["test"]
    assert len({s.id for s in oasis.scans}) == len(oasis.scans) == 30
    rescans = rescan_pairs(oasis.scans)
    assert len(rescans) == 5
    assert all(p.fixed.group == p.moving.group == "test" for p in rescans)
    assert all(p.fixed.subject == p.moving.subject and p.fixed != p.moving for p in rescans)
    fingerprints = {oasis.fingerprint(s) for s in oasis.scans}
    assert len(fingerprints) == 30


@pytest.mark.mirror
def test_oasis_pairs_of_the_published_design_are_balanced(oasis):
    test = [s for s in oasis.scans if s.group == "test"]
    pairs = balanced_pairs(test, 20, seed=2026)
    assert set(Counter(p.fixed.subject for p in pairs).values()) == {2}
    assert set(Counter(p.moving.subject for p in pairs).values()) == {2}


@pytest.mark.mirror
def test_oasis_images_and_labels_share_a_grid_and_a_table(oasis):
    scan = oasis.scans[0]
    image = oasis.load_image(scan)
    assert image.orientation == "RAS"
    assert image.data.dtype == np.float32
    assert_allclose(image.spacing_mm, 1, atol=1e-5)
    own = {n: t for n, t in oasis.label_sets.items() if not n.startswith("seg-")}  # made in minutes
    assert len(own) == len(oasis.label_sets) - 1
    for name, table in own.items():
        labels = oasis.load_labels(scan, name)
        assert labels.shape == image.shape
        assert_allclose(labels.affine, image.affine)
        assert labels.data.dtype == np.int32
        found = set(np.unique(labels.data)) - {0}
        assert found <= set(table.index)
        assert list(table.columns[:2]) == ["name", "group"]
        assert table["group"].notna().all()
        # Labelled is brain: image and map were turned alike.
        assert (image.data[labels.data > 0] > 0).mean() > 0.98
    assert len(set(np.unique(oasis.load_labels(scan, "manual").data))) > 100


@pytest.mark.mirror
def test_oasis_fingerprint_is_of_the_pinned_bytes(oasis):
    digests = {s.sha256[:16] for s in find_sources("muschellij2/malf.templates", "inst/extdata")}
    for scan in oasis.scans:
        parts = oasis.fingerprint(scan).split(".")
        assert len(parts) == 3
        assert set(parts) <= digests


# ---- template


SPACING_MM = 5.0


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A small population, generated anew in a folder of its own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("LUMIRAGE_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield get_cohort("template", spacing_mm=SPACING_MM, n_subjects=3, seed=4)
    patch.undo()


@pytest.fixture(scope="module")
def pair(generated) -> Pair:
    return Pair(generated.scan("01"), generated.scan("02"))


def test_template_has_the_same_grid_for_all_and_labels_of_its_table(generated):
    first = generated.load_image(generated.scans[0])
    assert first.orientation == "RAS"
    assert_allclose(first.spacing_mm, SPACING_MM)
    for scan in generated.scans[:2]:
        image, labels = generated.load_image(scan), generated.load_labels(scan, "manual")
        tissues = generated.load_labels(scan, "tissues")
        assert_array_equal(image.affine, first.affine)
        assert image.shape == labels.shape == tissues.shape == first.shape
        assert image.data.dtype == np.float32
        found = set(np.unique(labels.data)) - {0}
        assert 80 < len(found) <= len(generated.label_sets["manual"])
        assert found <= set(generated.label_sets["manual"].index)
        assert set(np.unique(tissues.data)) == {0, 1, 2, 3}
        assert_array_equal(tissues.data > 0, labels.data > 0)
        means = [image.data[tissues.data == t].mean() for t in (1, 2, 3)]
        assert means[0] < means[1] < means[2]  # T1w: CSF dark, white matter bright


def test_true_displacement_brings_moving_onto_fixed(generated, pair):
    truth = generated.true_displacement(pair)
    fixed, moving = (generated.load_image(s).data for s in (pair.fixed, pair.moving))
    labels = [generated.load_labels(s, "manual").data for s in (pair.fixed, pair.moving)]
    inside = labels[0] > 0
    assert truth.shape == (3, *fixed.shape)

    def likeness(moved) -> float:
        return np.corrcoef(moved[inside], fixed[inside])[0, 1]

    assert likeness(warp_image(moving, truth)) > 0.95
    assert likeness(moving) < 0.9
    # The wrong sign, and the wrong direction, are worse than nothing.
    assert likeness(warp_image(moving, -truth)) < likeness(moving)
    # Labels that can be located at this resolution come to within a fraction of a voxel.
    moved = warp_labels(labels[1], truth, "linear")
    sizes = np.bincount(labels[0].ravel())
    large = [v for v in np.flatnonzero(sizes > 60) if v]
    assert len(large) > 10
    centres = [np.array(ndimage.center_of_mass(m > 0, m, large)) for m in (labels[0], moved)]
    before = np.array(ndimage.center_of_mass(labels[1] > 0, labels[1], large))
    error = np.linalg.norm(centres[1] - centres[0], axis=1)
    assert error.mean() < 0.3
    assert error.mean() < 0.5 * np.linalg.norm(before - centres[0], axis=1).mean()
    dice = [compute_overlap(labels[0], m, large)["dice"].mean() for m in (labels[1], moved)]
    assert dice[1] > dice[0] + 0.1


def test_true_displacements_there_and_back_are_the_identity(generated, pair):
    there = generated.true_displacement(pair)
    back = generated.true_displacement(Pair(pair.moving, pair.fixed))
    x = np.indices(there.shape[1:])
    y = x + there
    again = there + np.stack([sample(c, y, order=3, mode="nearest") for c in back])
    inside = generated.load_labels(pair.fixed, "manual").data > 0
    assert np.abs(there[:, inside]).max() > 0.5
    assert np.abs(again[:, inside]).max() < 0.1
    same = generated.true_displacement(Pair(pair.fixed, pair.fixed))
    assert np.abs(same[:, inside]).max() < 0.05


def test_template_anatomy_depends_on_seed_and_subject_but_not_on_spacing(generated, pair):
    coarse = generated.true_displacement(pair)
    fine = get_cohort("template", spacing_mm=4.0, n_subjects=5, seed=4)
    other = get_cohort("template", spacing_mm=SPACING_MM, n_subjects=3, seed=5)
    assert np.abs(coarse - other.true_displacement(pair)).mean() > 0.1
    grids = [population._grid(template_module.human(), spacing)[0] for spacing in (SPACING_MM, 4.0)]
    there = to_points(np.linalg.inv(grids[1]) @ grids[0], indices(coarse.shape[1:]))
    field = fine.true_displacement(pair) * 4.0
    at = np.stack([sample(c, there, order=3, mode="nearest") for c in field])
    inside = generated.load_labels(pair.fixed, "manual").data.ravel() > 0
    assert_allclose(at[:, inside], coarse.reshape(3, -1)[:, inside] * SPACING_MM, atol=0.1)


def test_template_is_generated_once_and_the_same_again(generated, monkeypatch, tmp_path):
    scan = generated.scans[0]
    once = generated.load_image(scan).data
    monkeypatch.setattr(population, "_generate", None)  # what is cached needs it no more
    assert_array_equal(generated.load_image(scan).data, once)
    monkeypatch.undo()
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    assert_array_equal(generated.load_image(scan).data, once)


def test_template_fingerprints_tell_populations_apart():
    prints = set()
    for options in ({}, {"seed": 1}, {"spacing_mm": 2.5}):
        cohort = get_cohort("template", n_subjects=3, **options)
        prints |= {cohort.fingerprint(s) for s in cohort.scans}
    assert len(prints) == 9
    more = get_cohort("template", n_subjects=7)
    assert more.fingerprint(more.scans[0]) in prints  # a population can grow


def test_fine_scale_is_an_option_that_leaves_the_published_population_as_it_was(generated, pair):
    plain = get_cohort("template", spacing_mm=SPACING_MM, n_subjects=3, seed=4, fine_mm=0.0)
    assert [plain.fingerprint(s) for s in plain.scans] == [
        f"template-1-{template_module.human().version}-4-0{i}-5mm" for i in (1, 2, 3)
    ]
    fine = get_cohort("template", spacing_mm=SPACING_MM, n_subjects=3, seed=4, fine_mm=6.0)
    noisy = get_cohort("template", spacing_mm=SPACING_MM, n_subjects=3, seed=4, noise=0.03)
    assert fine.fingerprint(fine.scans[0]).endswith("-4-01-5mm-fine6mm")
    assert noisy.fingerprint(noisy.scans[0]).endswith("-4-01-5mm-noise0.03")
    # The fine field is that of the declared scale and comes on top of the coarse one.
    there, back = (
        fine.true_displacement(pair),
        fine.true_displacement(Pair(pair.moving, pair.fixed)),
    )
    inside = fine.load_labels(pair.fixed, "manual").data > 0
    added = (there - generated.true_displacement(pair))[:, inside] * SPACING_MM
    # Two subjects' fields of rms strain x sqrt(2) x sigma each.
    assert_allclose(added.std(), population.FINE_STRAIN * np.sqrt(2) * 6.0 * np.sqrt(2), rtol=0.2)
    x = np.indices(there.shape[1:])
    again = there + np.stack([sample(c, x + there, order=3, mode="nearest") for c in back])
    assert np.abs(again[:, inside]).mean() < 0.05
    assert not np.array_equal(
        fine.load_image(pair.fixed).data, generated.load_image(pair.fixed).data
    )


@pytest.mark.parametrize("wrong", [{"fine_mm": 0.5}, {"fine_mm": 9.0}, {"noise": -0.1}])
def test_fine_scale_and_noise_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="expected 0"):
        get_cohort("template", spacing_mm=SPACING_MM, **wrong)


def test_without_its_package_the_template_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepmriprep", None)
    with pytest.raises(InputError, match="needs the package deepmriprep"):
        template_module.template(spacing_mm=3.25)


@settings(deadline=None, max_examples=20)
@given(st.floats(-10, 0.49) | st.floats(8.01, 100))
def test_spacing_the_template_cannot_give_is_refused(spacing_mm):
    with pytest.raises(InputError, match=r"expected 0\.5 to 8 mm"):
        template_module.template(spacing_mm=spacing_mm)
