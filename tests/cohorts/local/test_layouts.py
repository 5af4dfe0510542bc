"""Each layout on a miniature tree: what is found, what is read, what is refused."""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
from collections import Counter

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from trees import MAKERS, NIMH_LABELS, SHAPE, make_subject, save, write_pair_list

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.local import LAYOUTS, check_layout, find_layout
from lumirage_lib.cohorts.local.protocols import label_table
from lumirage_lib.errors import InputError
from lumirage_lib.images.volumes import bounding_box

FIRST = {
    "lumir": "synthseg",
    "nimh": "synthseg",
    "oasis-l2r": "seg35",
    "primede": "tissue",
    "ultracortex": "manual",
}
# Pairs of the miniature trees: consecutive where the publisher says so, else all ordered ones.
N_PAIRS = {"lumir": 2, "nimh": 6, "oasis-l2r": 3, "primede": 6, "ultracortex": 6}


@pytest.fixture(params=sorted(LAYOUTS))
def tree(request, tmp_path):
    return request.param, MAKERS[request.param](tmp_path / "data")


def test_what_is_there_is_found_read_and_in_order(tree):
    name, root = tree
    layout = find_layout(name, root=str(root))
    cohort = get_cohort(name, root=str(root))
    assert cohort.name == name
    assert next(iter(cohort.label_sets)) == FIRST[name]
    assert len(layout.pairs) == N_PAIRS[name]
    scan = layout.pairs[0].fixed
    image = cohort.load_image(scan)
    assert image.orientation == "RAS"
    assert image.data.dtype == np.float32
    for label_set, table in cohort.label_sets.items():
        labels = cohort.load_labels(scan, label_set)
        assert labels.shape == image.shape
        assert_allclose(labels.affine, image.affine, atol=1e-5)
        found = set(np.unique(labels.data)) - {0}
        assert len(found) > 1
        assert found <= set(table.index)
        assert table[["name", "group"]].notna().all(axis=None)
        # Turned, cut and padded alike: labelled is brain.
        assert (image.data[labels.data > 0] > 0).mean() > 0.95
        assert all(cohort.has_labels(pair, label_set) for pair in layout.pairs)
    report = check_layout(layout)
    assert report.pairs == layout.pairs
    # UltraCortex has twelve subjects; the miniature says that nine are not there.
    assert len(report.problems) == (9 if name == "ultracortex" else 0)


def test_a_result_does_not_depend_on_where_the_data_lie(tree, tmp_path, monkeypatch):
    name, root = tree
    here = get_cohort(name, root=str(root))
    shutil.copytree(root, tmp_path / "elsewhere")
    monkeypatch.setenv(
        f"LUMIRAGE_DATA_{name.upper().replace('-', '_')}", str(tmp_path / "elsewhere")
    )
    there = LAYOUTS[name]()
    assert there.root == tmp_path / "elsewhere"
    prints = [here.fingerprint(scan) for scan in here.scans]
    moved = get_cohort(name, root=str(tmp_path / "elsewhere"))
    assert [moved.fingerprint(scan) for scan in moved.scans] == prints
    assert len(set(prints)) == len(prints)
    # Other bytes under the same name are another result.
    labels = there.entries[0].labels[FIRST[name]]
    image = nib.load(labels)
    data = np.asanyarray(image.dataobj).copy()
    data[tuple(np.argwhere(data > 0)[0])] = 0
    nib.save(nib.Nifti1Image(data, image.affine), labels)
    assert moved.fingerprint(moved.scans[0]) != prints[0]
    assert moved.fingerprint(moved.scans[1]) == prints[1]


def test_an_image_without_labels_is_left_out_and_named(tree):
    name, root = tree
    entry = find_layout(name, root=str(root)).entries[1]
    entry.labels[FIRST[name]].unlink()
    layout = find_layout(name, root=str(root))
    assert any(str(entry.image) in line and "no " in line for line in layout.problems)
    assert not [p for p in layout.pairs if entry.scan in (p.fixed, p.moving)]
    assert len(layout.pairs) < N_PAIRS[name]


@pytest.mark.parametrize("harm", ["truncated", "other grid", "other affine", "other protocol"])
def test_what_cannot_be_used_is_named_with_path_and_remedy(tmp_path, harm):
    root = MAKERS["nimh"](tmp_path / "data")
    entry = find_layout("nimh", root=str(root)).entries[0]
    labels = make_subject(0, NIMH_LABELS["synthseg"])[1]
    path, message = entry.labels["synthseg"], "resample the map"
    if harm == "truncated":
        path, message = entry.image, "truncated"
        path.write_bytes(path.read_bytes()[:-400])
    elif harm == "other grid":
        save(path, labels[:-1])
    elif harm == "other affine":
        save(path, labels, spacing_mm=(2.0, 2.0, 2.1))
        message = "affine is not that of its image"
    else:
        save(path, np.where(labels > 0, 200, 0).astype(np.int16))
        message = "none of the labels"
    layout = find_layout("nimh", root=str(root))
    report = check_layout(layout)
    (problem,) = report.problems
    assert problem.startswith(str(path))
    assert message in problem
    assert len(report.pairs) == 2
    if harm != "other protocol":  # the run refuses the same file
        cohort = get_cohort("nimh", root=str(root))
        with pytest.raises(InputError, match=path.name):
            [cohort.load_image(entry.scan), cohort.load_labels(entry.scan, "synthseg")]
    if harm == "truncated":
        assert not check_layout(layout, quick=True).problems


def test_labels_of_no_protocol_are_background_and_said(tmp_path):
    root = MAKERS["lumir"](tmp_path)
    layout = find_layout("lumir", root=str(root))
    entry = layout.entries[0]
    image = nib.load(entry.labels["synthseg"])
    data = np.asanyarray(image.dataobj).copy()
    data[data == 17] = 77
    nib.save(nib.Nifti1Image(data, image.affine), entry.labels["synthseg"])
    labels = get_cohort("lumir", root=str(root)).load_labels(entry.scan, "synthseg").data
    assert not set(np.unique(labels)) & {17, 77}
    report = check_layout(layout)
    assert any("labels 77 are not of synthseg" in line for line in report.problems)
    assert len(report.pairs) == 2


# ---- one by one


def test_lumir_takes_the_pairs_of_its_json_and_names_missing_images(tmp_path):
    root = MAKERS["lumir"](tmp_path)
    assert [p.id for p in find_layout("lumir", root=str(root)).pairs] == [
        "LUMIRMRI_3454_0000->LUMIRMRI_3455_0000",
        "LUMIRMRI_3455_0000->LUMIRMRI_3456_0000",
    ]
    (root / "imagesVal/LUMIRMRI_3456_0000.nii.gz").unlink()
    layout = find_layout("lumir", root=str(root))
    assert len(layout.pairs) == 1
    assert any("LUMIRMRI_3456_0000.nii.gz" in line for line in layout.problems)
    (root / "LUMIR_dataset.json").unlink()
    with pytest.raises(InputError, match=r"no LUMIR_dataset\.json"):
        find_layout("lumir", root=str(root))


def test_oasis_takes_the_last_subjects_each_with_the_next(tmp_path):
    root = MAKERS["oasis-l2r"](tmp_path, 5)
    names = [f"OASIS_OAS1_{i:04d}_MR1" for i in (1, 2, 3, 4, 5)]
    layout = find_layout("oasis-l2r", root=str(root), n_subjects=3)
    expected = list(itertools.pairwise(names[2:]))
    assert [(p.fixed.id, p.moving.id) for p in layout.pairs] == expected
    assert layout.pairs[0].fixed.subject == "OAS1_0003"
    # Of a partial download the last of the whole study are meant, and named where they are not there.
    (root / "subjects.txt").write_text("\n".join([*names, "OASIS_OAS1_0457_MR1"]))
    (root / "seg35_labels.txt").write_text("0 Unknown 0 0 0 0\n1 Left-Thing 1 2 3 0\n")
    layout = find_layout("oasis-l2r", root=str(root), n_subjects=3, aligned=False)
    assert [p.fixed.id for p in layout.pairs] == names[3:4]
    assert any("OASIS_OAS1_0457_MR1" in line for line in layout.problems)
    assert layout.entries[0].image.name == "norm.nii.gz"
    assert layout.label_sets["seg35"]["name"].loc[[1, 2]].tolist() == [
        "Left Thing",
        "Left Cerebral Cortex",
    ]


def test_nimh_has_the_same_pairs_in_every_contrast_and_the_labels_of_each(tmp_path):
    root = str(MAKERS["nimh"](tmp_path))
    layouts = {c: find_layout("nimh", root=root, contrast=c) for c in ("T1w", "T2w", "FLAIR")}
    layouts["T2starw"] = find_layout("nimh", root=root, contrast="T2starw")
    assert len({layout.pairs for layout in layouts.values()}) == 1
    assert list(layouts["T1w"].label_sets) == ["synthseg", "slant", "atropos"]
    assert all(list(layouts[c].label_sets) == ["synthseg"] for c in ("T2w", "T2starw", "FLAIR"))
    scan = layouts["T1w"].pairs[0].fixed
    assert scan.id == f"{scan.subject}_ses-01"
    prints = {get_cohort("nimh", root=root, contrast=c).fingerprint(scan) for c in layouts}
    assert len(prints) == 4
    only = find_layout("nimh", root=root, labels="slant")
    assert list(only.label_sets) == ["slant"]
    assert len(only.pairs) == 6
    with pytest.raises(InputError, match="expected one of synthseg"):
        find_layout("nimh", root=root, contrast="T2w", labels="slant")
    with pytest.raises(InputError, match="contrast 'T3w'"):
        find_layout("nimh", root=root, contrast="T3w")


def test_nimh_chooses_the_acquisition_that_has_labels_or_is_asked_for(tmp_path):
    root = MAKERS["nimh"](tmp_path)
    folder = root / "sub-ON00001/ses-01/anat"
    image, _ = make_subject(0, [1])
    save(folder / "sub-ON00001_ses-01_acq-FSPGR_T1w.nii.gz", image)
    entry = find_layout("nimh", root=str(root)).entries[0]
    assert "acq-MPRAGE" in entry.image.name
    (entry,) = find_layout("nimh", root=str(root), acq="FSPGR").entries
    assert "acq-FSPGR" in entry.image.name


def test_nimh_is_masked_by_its_labels_where_asked(tmp_path):
    root = str(MAKERS["nimh"](tmp_path))
    whole, masked = (get_cohort("nimh", root=root, mask=m) for m in ("", "synthseg"))
    scan = whole.scans[0]
    inside = whole.load_labels(scan, "synthseg").data > 0
    image = masked.load_image(scan).data
    assert not image[~inside].any()
    assert_allclose(image[inside], whole.load_image(scan).data[inside])
    assert whole.load_image(scan).data[~inside].any()
    assert whole.fingerprint(scan) != masked.fingerprint(scan)


def test_primede_is_cut_to_its_mask_padded_to_one_size_and_aligned_on_masks(tmp_path):
    cohort = get_cohort("primede", root=str(MAKERS["primede"](tmp_path)))
    for scan in cohort.scans:
        image, mask = cohort.load_image(scan), cohort.aligned_by.load_image(scan)
        assert image.shape == mask.shape == (32, 32, 32)
        assert set(np.unique(mask.data)) == {0, 1}
        start, shape = bounding_box(mask.data > 0)
        room = np.array([start, np.array(mask.shape) - start - shape])
        assert (np.abs(room[0] - room[1]) <= 1).all()  # in the middle
        assert_allclose(image.spacing_mm, 0.5, atol=1e-5)
    assert cohort.scans[0].subject == "site-a_sub-032125"


def test_ultracortex_is_winsorised_and_knows_its_modalities(tmp_path):
    root = str(MAKERS["ultracortex"](tmp_path))
    layout, cohort = find_layout("ultracortex", root=root), get_cohort("ultracortex", root=root)
    image = cohort.load_image(cohort.scan("sub-20"))
    assert image.data.min() == 0
    assert image.data.max() == 1
    assert (image.data == 1).sum() > 1  # the one bright voxel does not set the scale
    counts = Counter(layout.modalities(pair) for pair in layout.pairs)
    assert counts == {("2", "2"): 2, ("1", "2"): 2, ("2", "1"): 2}
    coarse = get_cohort("ultracortex", root=root, spacing_mm=1.0)
    labels = coarse.load_labels(cohort.scan("sub-20"), "manual")
    assert coarse.load_image(cohort.scan("sub-20")).shape == labels.shape
    assert_allclose(labels.spacing_mm, 1.0, atol=1e-5)
    assert np.array(labels.shape).tolist() == [int(np.ceil(n * 0.6 - 1e-6)) for n in SHAPE]
    assert coarse.fingerprint(cohort.scans[0]) != cohort.fingerprint(cohort.scans[0])


# ---- the authors' lists


def test_pair_list_of_the_authors_finds_its_files_under_another_folder(tmp_path):
    root = MAKERS["ultracortex"](tmp_path / "data")
    for old, new in (("skullstrips", ""), ("manual_segmentation", "processed_segmentations")):
        folder = root / "derivatives" / old
        folder.rename(root / "derivatives" / (new or f"processed_{old}"))
    names = ["sub-20_ses-1", "sub-37_ses-1", "sub-73_ses-1"]
    pairs = [(names[0], names[1]), (names[1], names[0]), (names[0], names[2])]
    path = write_pair_list(tmp_path / "list.json", pairs, [1, 3], "/mnt/of_others/uc/derivatives")
    layout = find_layout("ultracortex", root=str(root), pairs=str(path))
    assert [(p.fixed.id, p.moving.id) for p in layout.pairs] == [
        ("sub-20", "sub-37"),
        ("sub-37", "sub-20"),
    ]
    assert layout.modalities(layout.pairs[0]) == ("2", "1")
    assert layout.label_sets["manual"].index.tolist() == [1, 3]
    missing = [line for line in layout.problems if "not found under" in line]
    assert len(missing) == 2
    assert all("sub-73" in line for line in missing)
    options = {"root": str(root), "pairs": str(path)}
    cohort = get_cohort("ultracortex", **options)
    found = np.unique(cohort.load_labels(cohort.scans[0], "manual").data)
    assert found.tolist() == [0, 1, 3]
    # The same images measured on other labels are another result.
    other = write_pair_list(tmp_path / "b.json", pairs, [1, 2], "/mnt/of_others/uc/derivatives")
    another = get_cohort("ultracortex", root=str(root), pairs=str(other))
    assert another.fingerprint(cohort.scans[0]) != cohort.fingerprint(cohort.scans[0])


@pytest.mark.parametrize("text", ["not JSON", "{}", '{"pairs": []}', '{"pairs": [{"f_img": "a"}]}'])
def test_what_is_no_pair_list_is_refused(tmp_path, text):
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"list\.json"):
        find_layout("lumir", root=str(tmp_path), pairs=str(path))


# ---- what is said


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_without_a_folder_or_in_an_empty_one_it_is_said_what_is_expected(name, tmp_path):
    variable = f"LUMIRAGE_DATA_{name.upper().replace('-', '_')}"
    with pytest.raises(InputError, match=variable):
        find_layout(name)
    with pytest.raises(InputError, match="is no folder"):
        find_layout(name, root=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"expected .*\.nii"):
        find_layout(name, root=str(tmp_path))
    with pytest.raises(InputError, match="takes the options root"):
        find_layout(name, root=str(tmp_path), colour="red")


def test_names_of_labels_are_those_of_the_protocols():
    synthseg, seg35 = label_table("synthseg"), label_table("seg35")
    assert len(synthseg) == 32
    assert list(seg35.index) == list(range(1, 36))
    # One structure, one name in both, left and right in equal number.
    assert set(synthseg["name"]) - set(seg35["name"]) == {"CSF"}
    for table in (synthseg, seg35):
        left, right = (set(table.index[table["name"].str.startswith(s)]) for s in ("Left", "Right"))
        assert len(left) == len(right) > 10
    assert label_table("slant").loc[47, "name"] == "Right Hippocampus"


def test_files_are_hashed_once(tmp_path, monkeypatch):
    root = MAKERS["lumir"](tmp_path / "data")
    cohort = get_cohort("lumir", root=str(root))
    first = cohort.fingerprint(cohort.scans[0])
    monkeypatch.setattr("hashlib.file_digest", None)  # what is remembered needs it no more
    assert cohort.fingerprint(cohort.scans[0]) == first
    image = find_layout("lumir", root=str(root)).entries[0].image
    with gzip.open(image, "ab"):
        pass
    os.utime(image, (1, 1))
    with pytest.raises(TypeError):
        cohort.fingerprint(cohort.scans[0])
