"""People whose labels are fused: by two registrars, without lesions, once; and the sources that need it."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import brain

from lumirage_lib.cohorts import Cohort, Scan, Tools, fused, get_cohort
from lumirage_lib.cohorts.fused import LABELS, People, make_cohort
from lumirage_lib.cohorts.real5 import join
from lumirage_lib.errors import InputError, SourceError
from lumirage_lib.images.volumes import Volume, save_volume

# The package exports functions under the modules' own names.
kirby113, stroke, openms_clinical, ls, openms = (
    importlib.import_module(f"lumirage_lib.cohorts.{name}")
    for name in ("kirby113", "stroke", "openms_clinical", "ls", "openms")
)

SHAPE = (22, 26, 20)
LESION = (slice(10, 13), slice(12, 15), slice(8, 11))


def load_image(scan: Scan, contrast: str) -> Volume:
    data = brain(SHAPE)
    return Volume(data if contrast == "T1w" else np.where(data > 0, 1 - data, 0), np.eye(4))


def load_lesions(scan: Scan) -> np.ndarray:
    lesions = np.zeros(SHAPE, bool)
    lesions[LESION] = True
    return lesions


def make_people(name: str = "miniature") -> People:
    return People(
        name,
        (Scan(name, name),),
        ("T1w", "T2w"),
        load_image,
        load_lesions,
        lambda scan, what: f"{name}-{what}".ljust(20, "-"),
        lambda scan: [],
        "nobody",
        "two blobs",
        (),
    )


LABELLED = np.digitize(brain(SHAPE), [0.3, 0.6]).astype(np.int32)


@pytest.fixture
def tools(monkeypatch, tmp_path) -> Tools:
    """Atlases that are the scan itself; the deep registrar shifts them by a voxel."""
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    maps = [Volume(LABELLED, np.eye(4)), Volume(np.minimum(LABELLED, 1), np.eye(4))]
    monkeypatch.setattr(fused, "load_atlas", lambda scan: (load_image(scan, "T1w"), maps))

    def register(target, atlas, method):
        displacement = np.zeros((3, *SHAPE), np.float32)
        displacement[0] = 0 if method == "greedy" else 1
        return displacement

    return Tools(register=register, segment=lambda volume: np.zeros(volume.shape, int))


def make(contrast: str = "T1w", name: str = "miniature") -> Cohort:
    return make_cohort(make_people(name), contrast, 3, ("fused", "fused-lapirn"))


def test_labels_are_fused_by_both_and_lesions_have_none(tools):
    cohort = make()
    scan = cohort.scans[0]
    with pytest.raises(SourceError, match="not made on this machine yet"):
        cohort.load_labels(scan, "fused")
    before = cohort.sources(scan)
    cohort.prepare(scan, tools)
    inside = (load_image(scan, "T1w").data > 0) & ~load_lesions(scan)
    assert_array_equal(cohort.load_labels(scan).data, np.where(inside, LABELLED, 0))
    tissues = cohort.load_labels(scan, "tissues").data
    assert_array_equal(tissues, np.where(inside, LABELLED > 0, 0))
    deep = cohort.load_labels(scan, "fused-lapirn").data
    shifted = np.roll(LABELLED, -1, axis=0)
    assert_array_equal(deep[1:-1], np.where(inside, shifted, 0)[1:-1])
    assert not deep[LESION].any()
    assert list(cohort.label_sets) == ["fused", "tissues", "fused-lapirn"]
    # Images, labels and tissues of three atlases, and the weights of the registrar.
    assert len(before) - len(cohort.sources(scan)) == 3 * 3 + 1


def test_contrasts_share_labels_and_alignment_but_not_the_fingerprint(tools):
    t1w, t2w = make(), make("T2w")
    scan = t1w.scans[0]
    t1w.prepare(scan, tools)
    assert_array_equal(t2w.load_labels(scan).data, t1w.load_labels(scan).data)
    assert t2w.aligned_by.fingerprint(scan) == t1w.fingerprint(scan) != t2w.fingerprint(scan)
    with pytest.raises(InputError, match="miniature: contrast 'PD', expected one of T1w, T2w"):
        make("PD")


def test_more_lesions_are_other_labels():
    one = make_people()
    other = dataclasses.replace(
        one, digest=lambda scan, what: one.digest(scan, what) + ("x" if what == LABELS else "")
    )
    prints = {make_cohort(p, "T1w").fingerprint(p.scans[0]) for p in (one, other)}
    assert len(prints) == 2


def test_joined_cohorts_read_each_scan_where_it_is(tools):
    parts = [make("T2w", name) for name in ("a", "b")]
    cohort = join("both", parts)
    assert [s.id for s in cohort.scans] == ["a", "b"]
    for part in parts:
        (scan,) = part.scans
        assert cohort.fingerprint(scan) == part.fingerprint(scan)
        assert cohort.aligned_by.fingerprint(scan) == part.aligned_by.fingerprint(scan)
        cohort.prepare(scan, tools)
        assert_array_equal(cohort.load_labels(scan).data, part.load_labels(scan).data)


def test_three_of_the_five_are_those_of_openms():
    five = get_cohort("real5", contrast="FLAIR", segmented="contrast")
    three = get_cohort("openms", contrast="FLAIR")
    assert len({s.subject for s in five.scans}) == 5
    assert five.scans[:3] == three.scans
    for scan in three.scans:
        assert five.fingerprint(scan) == three.fingerprint(scan)
        assert five.aligned_by.fingerprint(scan) == three.aligned_by.fingerprint(scan)
    assert list(five.label_sets) == [
        "fused",
        "tissues",
        "fused-lapirn",
        "fused-18",
        "seg-T1w",
        "seg-contrast",
    ]


def test_itk_transform_maps_ras_points_about_its_centre(tmp_path):
    path = tmp_path / "affine.txt"
    path.write_text(
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        "Parameters: 0 -1 0 1 0 0 0 0 1 10 20 30\nFixedParameters: 1 2 3\n"
    )
    matrix = openms_clinical.read_itk_affine(path)
    # LPS: a quarter turn about (1, 2, 3), then (10, 20, 30); the point (1, 2, 3) only moves.
    assert_allclose(matrix @ [-1, -2, 3, 1], [-11, -22, 33, 1])
    assert_allclose(matrix @ [-2, -2, 3, 1], [-11, -23, 33, 1])
    path.write_text("Parameters: 1 0 0\n")
    with pytest.raises(InputError, match="3 Parameters, expected 12"):
        openms_clinical.read_itk_affine(path)


def test_clinical_image_is_pulled_through_the_chain_of_transforms(monkeypatch, tmp_path):
    """T1w lies 4 mm from FLAIR, which lies 2 mm from the common space; all in scanner LPS."""
    scan = Scan("01", "x")
    common = Volume(np.ones((20, 20, 10), np.int32), np.diag([1.0, 1, 2, 1]), "mask")
    raw = np.zeros((20, 20, 10), np.float32)
    raw[12, 9, 4] = 5
    files = {"brainmask.nii.gz": common, "study1_T1W.nii.gz": Volume(raw, common.affine)}
    for name, volume in files.items():
        save_volume(volume, tmp_path / name)
    for name, shift in (("FLAIR_to_common_space", -2), ("T1W_intrastudy_to_FLAIR", -4)):
        text = f"Parameters: 1 0 0 0 1 0 0 0 1 {shift} 0 0\nFixedParameters: 0 0 0\n"
        (tmp_path / f"study1_{name}.txt").write_text(text)
    monkeypatch.setattr(openms_clinical, "fetch", lambda s: tmp_path / s.path.rsplit("/", 1)[1])
    image = openms_clinical.load_image(scan, "T1w")
    assert image.data[12 - 6, 9, 4] == 5
    assert np.count_nonzero(image.data) == 1


# ---- the files themselves


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("people", "spacing_mm"),
    [
        (kirby113.PEOPLE, (1.2, 1, 1)),
        (stroke.PEOPLE, (1, 1, 1)),
        (openms_clinical.PEOPLE, (0.719, 0.719, 3)),
        (ls.PEOPLE, (2, 2, 2)),
    ],
    ids=lambda value: value.name if isinstance(value, People) else "",
)
def test_contrasts_lie_on_one_brain_and_one_grid(people, spacing_mm):
    scan = people.scans[0]
    images = {contrast: people.load_image(scan, contrast) for contrast in people.contrasts}
    t1w = images["T1w"]
    assert_allclose(t1w.spacing_mm, spacing_mm, atol=1e-2)
    inside = t1w.data > 0
    litres = inside.sum() * np.prod(t1w.spacing_mm) / 1e6
    assert 0.9 < litres < 2.0
    for image in images.values():
        assert image.orientation == "RAS"
        assert image.data.dtype == np.float32
        assert image.data.min() >= 0
        assert_allclose(image.affine, t1w.affine, atol=1e-4)
        assert ((image.data > 0) != inside).mean() < 0.03
    assert len({people.digest(scan, what) for what in people.contrasts}) == len(people.contrasts)
    for what in (*people.contrasts, LABELS):
        assert people.digest(scan, what)
    assert {s.sha256 for s in people.sources(scan)}
    lesions = people.load_lesions(scan)
    assert lesions.shape == t1w.shape
    assert lesions.dtype == bool


@pytest.mark.mirror
def test_lesion_is_bright_in_flair_and_left():
    scan = stroke.PEOPLE.scans[0]
    flair, lesion = stroke.load_image(scan, "FLAIR"), stroke.load_lesions(scan)
    assert 15 < lesion.sum() / 1000 < 40  # ml
    healthy = (flair.data > 0) & ~lesion
    assert np.median(flair.data[lesion]) > 1.15 * np.median(flair.data[healthy])
    # Left of the brain's middle, by the world's first axis.
    middle = [(flair.affine @ [*np.argwhere(m).mean(axis=0), 1])[0] for m in (lesion, healthy)]
    assert middle[0] < middle[1] - 20


@pytest.mark.mirror
@pytest.mark.parametrize("scan", openms_clinical.PEOPLE.scans, ids=lambda scan: scan.id)
def test_changed_lesions_lie_in_the_brain(scan):
    mask, lesions = openms_clinical.load_mask(scan), openms_clinical.load_lesions(scan)
    assert (mask.data[lesions] > 0).mean() > 0.95
    assert 0.1 < lesions.sum() * np.prod(mask.spacing_mm) / 1000 < 30  # ml


@pytest.mark.mirror
def test_ixi_labels_are_freesurfers_and_lie_on_the_brain():
    cohort = get_cohort("ixi2")
    scan = cohort.scans[0]
    image, labels = cohort.load_image(scan), cohort.load_labels(scan, "aseg")
    assert image.shape == labels.shape == (256, 256, 256)
    assert image.orientation == "RAS"
    assert_allclose(image.affine, labels.affine)
    assert set(np.unique(labels.data)) - {0} <= set(cohort.label_sets["aseg"].index)
    assert (image.data[labels.data > 0] > 0).mean() > 0.98
    merged = cohort.load_labels(scan, "aseg-18").data
    assert set(np.unique(merged)) == set(range(18))
