"""The cohorts with real T2w and FLAIR: grids, masks, labels, alignment, what planning needs."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import brain, smooth_noise

from lumirage_lib.cohorts import Pair, cache, get_cohort
from lumirage_lib.cohorts.fused import get_atlases
from lumirage_lib.errors import InputError
from lumirage_lib.images import contrast
from lumirage_lib.images.volumes import Volume
from lumirage_lib.runs.task import Task

# The package exports functions under the modules' own names.
nichart, openms = (
    importlib.import_module(f"lumirage_lib.cohorts.{n}") for n in ("nichart", "openms")
)


@pytest.mark.parametrize(
    ("name", "contrasts"), [("openms", ("T2w", "FLAIR")), ("nichart", ("FLAIR",))]
)
def test_contrasts_share_scans_and_affine_but_no_key(monkeypatch, name, contrasts):
    monkeypatch.setenv("LUMIRAGE_MIRROR", "http://127.0.0.1:9")  # nobody listens there
    cohort = get_cohort(name)
    pair = Pair(cohort.scans[0], cohort.scans[1])
    tasks = [Task(name, (), pair, "affine")]
    tasks += [Task(name, (("contrast", c),), pair, "affine") for c in contrasts]
    assert len({t.alignment_key for t in tasks}) == 1
    assert len({t.key for t in tasks}) == len(tasks)
    for task in tasks[1:]:
        assert task.get_cohort().scans == cohort.scans
    with pytest.raises(InputError, match="contrast 'PD', expected"):
        get_cohort(name, contrast="PD")


def test_arrays_are_made_once_and_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    calls = []

    def make():
        calls.append(1)
        return {"a": np.arange(3)}

    for _ in range(2):
        assert_array_equal(cache.keep_arrays("kind", "name", make)["a"], [0, 1, 2])
    assert len(calls) == 1

    def fail():
        raise InputError("no atlas")

    with pytest.raises(InputError, match="no atlas"):
        cache.keep_arrays("kind", "other", fail)
    assert [p.name for p in tmp_path.rglob("*.npz")] == ["name.npz"]


# ---- openms


def make_head(shape=(24, 28, 20)) -> Volume:
    return Volume(brain(shape), np.eye(4))


def test_more_atlases_are_other_labels():
    scan = openms.openms().scans[0]
    prints = {openms.openms(n_atlases=n).fingerprint(scan) for n in (5, 15)}
    assert len(prints) == 2
    with pytest.raises(InputError, match="n_atlases=16: expected 2 to 15"):
        openms.openms(n_atlases=16)
    assert all(s.group == "train" for s in get_atlases(15))


@pytest.mark.mirror
def test_real_contrasts_have_one_grid_one_brain_and_the_order_of_the_equations():
    """White matter against cortex, told apart on T1w by intensity: no labels are needed."""
    scan = openms.openms().scans[0]
    images = {c: openms.load_contrast(scan, c) for c in openms.FILES}
    t1 = images["T1w"]
    assert t1.orientation == "RAS"
    for image in images.values():
        assert_array_equal(image.affine, t1.affine)
        assert ((image.data > 0) != (t1.data > 0)).mean() < 0.01
    lesions = openms.load_lesions(scan).data > 0
    healthy = t1.data[(t1.data > 0) & ~lesions]
    low, *_, high = np.percentile(healthy, [4, 30, 50, 75])
    grey = [np.percentile(healthy, q) for q in (22, 38)]
    regions = np.zeros(t1.shape, int)
    regions[(t1.data > 0) & (t1.data < low)] = 1
    regions[(t1.data > grey[0]) & (t1.data < grey[1])] = 2
    regions[t1.data > high] = 3
    regions[lesions] = 0
    for name, image in images.items():
        means = np.array([np.median(image.data[regions == t]) for t in (1, 2, 3)])
        expected = contrast.compute_signals(name, 3.0)
        assert_array_equal(np.argsort(means), np.argsort(expected), err_msg=name)


# ---- nichart


def test_mutual_information_of_a_function_of_itself_is_its_entropy():
    a = np.repeat(np.arange(4.0), 100)
    assert nichart.compute_mutual_information(a, -2 * a) == pytest.approx(np.log(4))
    noise = np.random.default_rng(0).normal(size=(2, 200_000))
    assert nichart.compute_mutual_information(*noise) < 0.01
    with pytest.raises(InputError, match="mutual information of 3 and 4 voxels"):
        nichart.compute_mutual_information(np.ones(3), np.ones(4))


def test_brain_mask_closes_sulci_and_ventricles_but_adds_no_skull():
    labels = np.zeros((30, 30, 30), int)
    labels[5:25, 5:25, 5:25] = 7
    labels[14:16, 14:16, 18:25] = 0  # a sulcus two voxels wide
    labels[10:13, 10:13, 10:13] = 0  # a hole
    mask = nichart.make_mask(labels)
    assert mask[14, 14, 20]
    assert mask[11, 11, 11]
    head = np.pad(np.ones((20, 20, 20), bool), 5)
    assert not (mask & ~head).any()
    assert (head & ~mask).sum() <= 4  # the rim of the sulcus stays open


def test_labels_of_the_table_are_those_of_the_protocol():
    table = nichart.label_table()
    assert len(table) == 148
    assert table.loc[47, "name"] == "Right Hippocampus"
    assert table.loc[95, "group"] == "white matter"
    assert set(table["group"]) == {"cortical", "subcortical", "white matter", "CSF", "other"}


def test_flair_is_brought_back_from_a_known_shift(monkeypatch, tmp_path):
    """Two contrasts of one head, the second on a grid of its own and off by some millimetres."""
    pytest.importorskip("ants")
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    shape = (40, 44, 36)
    head = brain(shape) + 0.3 * (brain(shape) > 0.2) * smooth_noise(shape, 2, 5)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    wrong = affine.copy()
    wrong[:3, 3] = [5.0, -4.0, 3.0]  # what the header of FLAIR claims
    files = {
        "T1w": Volume(head.astype(np.float32), affine),
        "FLAIR": Volume(np.where(head > 0.2, 1.5 - head, 0).astype(np.float32), wrong),
        "labels": Volume((brain(shape) > 0.2).astype(np.int32), affine),
    }
    monkeypatch.setattr(nichart, "load_head", lambda scan, kind: files[kind])
    scan = nichart.scans()[0]
    found = nichart.align_flair(scan)
    assert found["after"] > 2 * found["before"]
    assert found["shift_mm"] == pytest.approx(np.sqrt(50), abs=0.5)
    assert_allclose(found["matrix"], np.eye(4), atol=0.3)
    table = nichart.check_alignment([scan.id])
    assert table.loc[0, "after"] == found["after"]
    # Read again from the cache, masked by the labels
    monkeypatch.setattr("lumirage_lib.images.linear.align", None)
    cohort = nichart.nichart("FLAIR")
    image = cohort.load_image(scan).data
    assert_array_equal(image > 0, nichart.make_mask(files["labels"].data) & (found["flair"] > 0))


@pytest.mark.mirror
def test_t1w_of_the_older_subjects_is_masked_on_the_grid_of_its_labels():
    cohort = get_cohort("nichart")
    scan = cohort.scan("Subj10")
    image, labels = cohort.load_image(scan), cohort.load_labels(scan, "dlmuse")
    assert image.orientation == labels.orientation == "RAS"
    assert_array_equal(image.affine, labels.affine)
    assert set(np.unique(labels.data)) - {0} == set(cohort.label_sets["dlmuse"].index)
    assert ((image.data > 0) & (labels.data > 0)).sum() > 0.99 * (labels.data > 0).sum()
    assert 1 <= (image.data > 0).sum() / (labels.data > 0).sum() < 1.1
