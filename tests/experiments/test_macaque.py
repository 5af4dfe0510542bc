"""Macaque cohort, plan and numbers of notebook 02."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from lumirage_lib.cohorts import Pair, get_cohort
from lumirage_lib.cohorts.macaque import ATLASES, HUMAN_SCALE, arm_labels, related_pairs
from lumirage_lib.cohorts.macaque_like import (
    FULL_INTENSITY,
    IMAGE,
    LABELS,
    RIGHT,
    inia19_labels,
    macaque_like,
)
from lumirage_lib.cohorts.sources import fetch, get_source
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import Run, list_tasks
from lumirage_lib.experiments.comparison import ALL
from lumirage_lib.experiments.macaque import analysis
from lumirage_lib.experiments.macaque.plan import SIZES, plan_macaque
from lumirage_lib.images.preprocess import PAIR_STEPS, PairImages
from lumirage_lib.images.warp import warp_image, warp_labels
from lumirage_lib.methods import get_method
from lumirage_lib.metrics import compute_overlap
from lumirage_lib.runs.profiles import project_root

# The package exports functions under these modules' own names.
cohorts = importlib.import_module("lumirage_lib.cohorts")
macaque_like_module = importlib.import_module("lumirage_lib.cohorts.macaque_like")

PARAMETERS = {
    "cohort": "macaque",
    "sizes": ["true size", "human size"],
    "methods": ["affine", "greedy", "clapirn", "vfa-lumir"],
    "margin": 0.01,
    "seed": 1,
}


def make_inia19(folder: Path, seed: int = 0) -> Path:
    """Files by the names of INIA19: a smooth random brain of the size of a macaque's, stored as LAS.

    Four labels of the table, of which 82 and 1082 lie on the left and the right, and one it lacks.
    """
    rng = np.random.default_rng(seed)
    shape = (68, 84, 60)
    x, y, z = voxel = np.indices(shape)
    size = np.reshape(shape, (3, 1, 1, 1))
    centre = [(n - 1) / 2 for n in shape]
    radius = np.linalg.norm((voxel - (size - 1) / 2) / (0.36 * size), axis=0)
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 4)
    image = np.where(radius < 1, FULL_INTENSITY * (0.6 + 8 * texture), 0)
    labels = np.zeros(shape, np.int16)
    halves = {True: (82, 98), False: (82 + RIGHT, 98 + RIGHT)}
    for left, (front, back) in halves.items():
        side = (radius < 0.8) & ((x < centre[0]) == left)
        labels[side & (y > centre[1])] = front
        labels[side & (y <= centre[1])] = back
    labels[(radius < 0.8) & (z > 42)] = 16
    affine = np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = (33, -42, -30)
    folder.mkdir()
    for name, data in ((IMAGE, image.astype(np.float32)), (LABELS, labels)):
        nib.save(nib.Nifti1Image(data[::-1], affine), folder / name)
    return folder


@pytest.fixture(scope="module")
def fake_inia19(tmp_path_factory) -> Path:
    return make_inia19(tmp_path_factory.mktemp("mricron") / "templates")


@pytest.fixture(autouse=True)
def no_inia19(monkeypatch, tmp_path):
    """A machine without the files, whatever this one has."""
    monkeypatch.delenv("LUMIRAGE_MRICRON", raising=False)
    monkeypatch.setattr(macaque_like_module, "DEBIAN", tmp_path / "none")
    cohorts._cached.cache_clear()
    yield
    cohorts._cached.cache_clear()


GROUPS = {"cortex": "cortical", "subcortex": "subcortical", "WM": "white matter", "CSF": "CSF"}


def read_source_table() -> pd.DataFrame:
    """Labels of the ARM as the source's table has them, numbered from 1 in its order.

    Numbers of the atlas are negative for white matter and ventricles and reach beyond a thousand for
    the left hemisphere; here they are consecutive.

    Returns
    -------
    DataFrame
        label, arm (number in the atlas), name, group.
    """
    path = fetch(get_source(ATLASES, "template_zoo/atlas/ARM/atlas-ARM2.tsv"))
    table = pd.read_csv(path, sep="\t").query("ID != 0").reset_index(drop=True)
    side = table["hemi"].map({"rh": "Right", "lh": "Left"})
    name = side + " " + table["name_full"].str.replace("_", " ")
    return pd.DataFrame(
        {
            "label": np.arange(1, len(table) + 1),
            "arm": table["ID"],
            "name": name,
            "group": table["region"].map(GROUPS),
        }
    )


@pytest.mark.mirror
def test_packaged_labels_equal_the_source():
    mine = arm_labels().reset_index()
    pd.testing.assert_frame_equal(mine, read_source_table(), check_dtype=False)


def test_labels_are_consecutive_and_two_sided():
    table = arm_labels()
    assert_array_equal(table.index, np.arange(1, len(table) + 1))
    assert table["arm"].is_unique
    sides = table["name"].str.split().str[0].value_counts()
    assert sides["Left"] == sides["Right"] == len(table) / 2
    assert not table.isna().any().any()


def test_two_forms_of_one_template_are_related_and_all_else_between():
    cohort = get_cohort("macaque")
    pairs = related_pairs(cohort.scans)
    assert len(pairs) == len(set(pairs)) == 12
    related = {p.id for p in pairs if p.kind == "related"}
    assert related == {"NMT2Sym->NMT2Asym", "NMT2Asym->NMT2Sym"}
    with_animal = [p for p in pairs if "individual" in (p.fixed.id, p.moving.id)]
    assert len(with_animal) == 6
    assert not any(cohort.has_labels(p, "aseg") for p in with_animal)
    assert all(cohort.has_labels(p, "arm2") for p in pairs)


def test_human_size_multiplies_the_header_in_every_direction_and_moves_nothing():
    image = np.ones((4, 5, 6), np.float32)
    pair = PairImages(image, image, np.diag([0.5, 0.5, 0.4, 1.0]), np.eye(4), np.eye(4))
    grown = pair
    for step in SIZES["human size"].pair_steps[1:]:
        grown = PAIR_STEPS[step.name](grown, **dict(step.arguments))
    assert_allclose(grown.spacing_mm, HUMAN_SCALE * np.array([0.5, 0.5, 0.4]))
    assert_array_equal(grown.to_fixed, np.eye(4))
    assert_array_equal(grown.fixed, image)
    tasks = list_tasks(plan_macaque({**PARAMETERS, "methods": ["affine"]}))
    assert len({t.key for t in tasks}) == 2 * 12
    assert len({t.alignment_key for t in tasks}) == 12  # one affine, whatever the size


def test_generated_brains_have_the_lengths_of_a_macaque():
    options = {"spacing_mm": 6.0, "n_subjects": 2}
    base, small = get_cohort("template", **options), get_cohort("macaque_like", **options)
    scan = small.scans[0]
    image = small.load_image(scan)
    assert_array_equal(image.data, base.load_image(scan).data)
    lengths = [np.ptp(np.nonzero(image.data)[a]) * image.spacing_mm[a] for a in range(3)]
    assert all(abs(got - mm) < 10 for got, mm in zip(lengths, (60, 76, 52), strict=True))
    assert small.fingerprint(scan) != base.fingerprint(scan)
    assert_array_equal(small.load_labels(scan, "manual").affine, image.affine)


def test_files_of_inia19_decide_what_is_deformed(monkeypatch, tmp_path, fake_inia19):
    options = {"spacing_mm": 5.0, "n_subjects": 3, "seed": 0}
    shrunk = macaque_like(**options)
    human = get_cohort("template", **options)
    scan = shrunk.scans[0]
    assert shrunk.fingerprint(scan) == f"macaque-like-(0.41, 0.42, 0.37)-{human.fingerprint(scan)}"
    monkeypatch.setattr(macaque_like_module, "DEBIAN", fake_inia19)
    real = macaque_like(**options)
    assert real.reference == "rohlfing2012" != shrunk.reference
    assert real.scans == shrunk.scans
    assert options.items() <= real.options.items() == shrunk.options.items()
    # The variable goes before, and other bytes are another population.
    monkeypatch.setenv("LUMIRAGE_MRICRON", str(make_inia19(tmp_path / "other", seed=1)))
    other = macaque_like(**options)
    finer = macaque_like(**{**options, "spacing_mm": 4.0})
    populations = (shrunk, human, real, other, finer)
    assert len({c.fingerprint(s) for c in populations for s in c.scans}) == 5 * 3
    monkeypatch.setenv("LUMIRAGE_MRICRON", str(tmp_path))
    with pytest.raises(InputError, match=r"LUMIRAGE_MRICRON: expected a folder with inia19-t1"):
        macaque_like(**options)


def test_deformed_macaque_has_a_true_correspondence_and_its_sides(
    monkeypatch, tmp_path, fake_inia19
):
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    monkeypatch.setenv("LUMIRAGE_MRICRON", str(fake_inia19))
    cohort = macaque_like(spacing_mm=4.0, n_subjects=2, seed=3)
    pair = Pair(*cohort.scans)
    images = [cohort.load_image(s) for s in cohort.scans]
    labels = [cohort.load_labels(s) for s in cohort.scans]
    numbers = {82, 98, 82 + RIGHT, 98 + RIGHT}  # not 16, which the table lacks
    for image, map_ in zip(images, labels, strict=True):
        assert image.orientation == map_.orientation == "RAS"
        assert_allclose(image.spacing_mm, 4.0 / HUMAN_SCALE)
        assert_array_equal(map_.affine, image.affine)
        assert set(np.unique(map_.data)) == {0} | numbers
        assert 0.4 < image.data[map_.data > 0].mean() < 0.8
        x, y, _ = np.indices(map_.shape)
        left, front = map_.data % RIGHT == map_.data, map_.data % RIGHT == 82
        brain = map_.data > 0
        assert x[brain & left].mean() + 5 < x[brain & ~left].mean()
        assert y[brain & ~front].mean() + 5 < y[front].mean()
    truth = cohort.true_displacement(pair)
    inside = labels[0].data > 0

    def dice(displacement) -> float:
        moved = warp_labels(labels[1].data, displacement, "linear")
        return compute_overlap(labels[0].data, moved, sorted(numbers))["dice"].mean()

    def likeness(displacement) -> float:
        moved = warp_image(images[1].data, displacement)
        return np.corrcoef(moved[inside], images[0].data[inside])[0, 1]

    assert dice(truth) > 0.93
    assert dice(truth) - 0.1 > dice(0 * truth) > dice(-truth)
    # Each has a bias field and noise of its own.
    assert likeness(truth) > 0.85
    assert likeness(truth) - 0.2 > likeness(0 * truth) > likeness(-truth)
    # Displacements are those of a brain of this size: millimetres, not the centimetre of a human one.
    length_mm = np.linalg.norm(truth[:, inside], axis=0) * 4.0 / HUMAN_SCALE
    assert 0.5 < length_mm.mean() < 5


def test_structures_of_inia19_are_on_both_sides_under_one_name():
    table = inia19_labels()
    assert table.index.is_unique
    left, right = table[table.index < RIGHT], table[table.index >= RIGHT]
    assert_array_equal(left.index + RIGHT, right.index)
    strip = [t["name"].str.split(n=1, expand=True) for t in (left, right)]
    assert_array_equal(strip[0][1], strip[1][1])
    assert [set(s[0]) for s in strip] == [{"Left"}, {"Right"}]
    assert set(table["group"]) == {"cortical", "subcortical", "white matter", "CSF", "other"}
    assert table.loc[98 + RIGHT].tolist() == ["Right putamen", "subcortical"]


@pytest.mark.parametrize("installed", [True, False])
def test_page_says_what_its_brains_are(monkeypatch, fake_inia19, installed):
    if installed:
        monkeypatch.setenv("LUMIRAGE_MRICRON", str(fake_inia19))
    parameters = {**PARAMETERS, "cohort": "macaque_like", "methods": ["affine"]}
    parameters |= {"spacing_mm": 5.0, "n_subjects": 3, "n_pairs": 3}
    run = make_run(plan_macaque(parameters), dict.fromkeys(SIZES, 0))
    result = analysis.analyse(run, parameters)
    assert ("deformations of the macaque template INIA19" in result.images) == installed
    assert ("generated human brains, shrunk" in result.images) != installed
    assert ("These are no macaques" in result.limits) != installed
    assert ("the one macaque template" in result.limits) == installed


def make_run(entries, gap: dict) -> Run:
    rng, hard, rows = np.random.default_rng(0), {}, []
    for entry in entries:
        task, size = entry.task, entry.condition
        spec, pair = get_method(task.method), task.pair
        dice = hard.setdefault(pair.id, rng.normal(0.7, 0.02)) + 0.0005 * rng.normal()
        dice += gap[size] * (spec.family == "deep") - 0.2 * (spec.family == "baseline")
        rows.append(
            {
                "key": task.key, "kind": pair.kind, "method": spec.id, "family": spec.family,
                "fixed": pair.fixed.id, "moving": pair.moving.id, "status": "ok", "dice": dice,
                "fixed_subject": pair.fixed.subject, "moving_subject": pair.moving.subject,
                "arm": entry.arm, "condition": size,
            }
        )  # fmt: skip
    counts = {"reused": len(rows), "new": 0, "failed": 0, "skipped": 0}
    return Run(pd.DataFrame(rows), pd.DataFrame(), counts, {}, entries, Path("none"))


def test_difference_is_found_at_each_size_and_related_pairs_do_not_count():
    run = make_run(plan_macaque(PARAMETERS), {"true size": -0.1, "human size": 0.0})
    result = analysis.analyse(run, PARAMETERS)
    table = result.differences.set_index(["condition", "method"])
    assert table.loc[("true size", "clapirn"), "change"] == pytest.approx(-0.1, abs=0.002)
    assert table.loc[("human size", ALL), "change"] == pytest.approx(0, abs=0.002)
    assert table["n_pairs"].eq(10).all()
    assert table["n_subjects"].eq(3).all()
    verdict = result.verdicts["macaque: true size"]
    assert verdict.verdict == "not decidable here"  # three brains
    assert result.design == "10 ordered pairs of 3 subjects."
    assert "| conditional LapIRN | +0.1" in " ".join(result.size_text.split())
    assert "do worse than no deformation" in result.opening.points[2]
    assert "2 pairs that no test above counts" in result.related_text
    assert result.state == ""


def test_one_network_that_falls_does_worse_and_stands_for_a_family():
    parameters = {**PARAMETERS, "methods": ["affine", "greedy", "clapirn"]}
    run = make_run(plan_macaque(parameters), {"true size": -0.3, "human size": 0.0})
    result = analysis.analyse(run, parameters)
    said = "1 of 1 network does worse than no deformation"
    assert said in result.opening.points[2]
    assert said in result.size_text
    assert "| conditional LapIRN | networks" in result.sides_text


def test_exercise_is_of_the_pairs_that_count():
    run = make_run(plan_macaque(PARAMETERS), dict.fromkeys(SIZES, 0.0))
    related = run.registrations["kind"].eq("related")
    dice = run.registrations["dice"].mask(related, 9.0)
    run = dataclasses.replace(run, registrations=run.registrations.assign(dice=dice))
    names = {"result": analysis.analyse(run, PARAMETERS)}
    text = (project_root() / "notebooks" / "02_macaque.py").read_text()
    cell = text.split('tags=["hide-cell"]\n')[1].split("# %%")[0]
    exec(cell, names)
    assert names["counted"]["dice"].max() < 1
    assert related.sum() + len(names["counted"]) == len(run.registrations)


def test_three_brains_decide_nothing_also_while_a_method_is_missing():
    parameters = {**PARAMETERS, "methods": ["greedy", "fireants-greedy", "lapirn-disp", "clapirn"]}
    run = make_run(plan_macaque(parameters), {"true size": 0.0, "human size": 0.0})
    done = run.registrations[run.registrations["method"] != "fireants-greedy"]
    result = analysis.analyse(dataclasses.replace(run, registrations=done), parameters)
    verdict = result.verdicts["macaque: human size"]
    assert (verdict.verdict, verdict.n_subjects) == ("not decidable here", 3)
    assert verdict.reason.endswith("not run yet: FireANTs greedy")
    said = result.opening.headline
    assert "3 independent brains" in said
    assert "unknown" not in said
    # Of three pairs of ten, nobody knows who would take part in the others.
    some = run.registrations["fixed"].eq(run.registrations["fixed"].iloc[0])
    some &= run.registrations["method"].ne("fireants-greedy")
    part = dataclasses.replace(run, registrations=run.registrations[some])
    verdicts = analysis.analyse(part, parameters).verdicts
    assert verdicts["macaque: human size"].verdict == "incomplete"


@pytest.mark.mirror
def test_four_brains_have_their_labels_inside_and_the_volume_of_a_macaque():
    cohort = get_cohort("macaque")
    for scan in cohort.scans:
        image, labels = cohort.load_image(scan), cohort.load_labels(scan, "arm2")
        assert image.orientation == "RAS"
        assert_allclose(labels.affine, image.affine)
        assert labels.data.min() == 0
        assert labels.data.max() <= len(arm_labels())
        brain = image.data > 0
        assert 85 < brain.sum() * np.prod(image.spacing_mm) / 1000 < 110
        assert (labels.data > 0)[brain].sum() > 0.998 * (labels.data > 0).sum()
        # Right lies on the right, which a flipped atlas would not.
        x = np.indices(labels.shape)[0]
        right = arm_labels().index[arm_labels()["name"].str.startswith("Right")]
        side = np.isin(labels.data, right)
        assert x[side].mean() > x[(labels.data > 0) & ~side].mean() + 20
    pair = Pair(cohort.scan("MEBRAINS"), cohort.scan("NMT2Sym"))
    found = [set(np.unique(cohort.load_labels(s, "aseg").data)) for s in (pair.fixed, pair.moving)]
    assert len(found[0] & found[1] - {0}) > 14
    assert found[0] - {0} <= set(cohort.label_sets["aseg"].index)
