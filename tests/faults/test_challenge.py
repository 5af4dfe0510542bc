"""Folders, displacements, ground truths and earlier tables that `lumirage score` must not trust."""

from __future__ import annotations

import io
import json
import zipfile

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from faulty import AFFINE, SHAPE, make_image, make_labels, make_task, score, write
from test_images import DAMAGE

from lumirage_lib.images.reading import read_arrays
from lumirage_lib.images.volumes import Volume, load_volume, reorient, translation
from lumirage_lib.images.warp import save_displacement


def rows_of(task) -> pd.DataFrame:
    return pd.read_csv(task.folder / "score" / "cases.csv")


def assert_isolated(task, told, sentence: str) -> None:
    """The first case is refused with that sentence, the second is scored all the same."""
    assert told.code == 1
    first, second = rows_of(task).itertuples()
    assert first.status == "malformed"
    assert sentence in first.reason
    assert task.fields[0].name in first.reason or task.fields[0].stem in first.reason
    assert second.status == "scored"
    assert 0 < second.dice < 1


# ---- displacements -------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [d for d in DAMAGE if d != "far too much"])
@pytest.mark.fault(1)
def test_a_damaged_displacement_costs_its_own_case_alone(tmp_path, damage):
    task = make_task(tmp_path)
    task.fields[0].write_bytes(DAMAGE[damage](task.fields[0].read_bytes()))
    assert_isolated(task, score(task), "download it again")


def to_npz(task, field: np.ndarray, **others):
    """The first displacement as .npz instead."""
    path = task.fields[0].with_name("disp_0001_0002.npz")
    task.fields[0].unlink()
    task.fields[0] = path
    np.savez_compressed(path, arr_0=field, **others)
    return path


@pytest.mark.parametrize("damage", [*[f"bit {i}" for i in range(8)], "half", "empty", "a page"])
@pytest.mark.fault(1)
def test_a_damaged_npz_costs_its_own_case_alone(tmp_path, damage):
    task = make_task(tmp_path)
    noise = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float16)
    path = to_npz(task, noise)
    content = path.read_bytes()
    if damage.startswith("bit"):  # in the packed data, not in the names of the archive
        seed = int(damage.split()[1])
        with zipfile.ZipFile(path) as archive:
            size = archive.infolist()[0].compress_size
        changed = bytearray(content)
        changed[100 + int(np.random.default_rng(seed).integers(0, size - 50))] ^= 1 << seed
        path.write_bytes(bytes(changed))
    else:
        path.write_bytes(DAMAGE[damage](content))
    assert_isolated(task, score(task), "not a readable .npz file of arrays")


FIELDS = {
    "NaN": (lambda: np.full((*SHAPE, 3), np.nan, np.float32), "NaN or infinite"),
    "infinite": (lambda: np.full((*SHAPE, 3), np.inf, np.float32), "NaN or infinite"),
    "another grid": (lambda: np.zeros((9, 9, 9, 3), np.float32), "the field has grid (9, 9, 9)"),
    "an image": (lambda: make_image(), "expected shape (3, X, Y, Z)"),
    "two components": (lambda: np.zeros((*SHAPE, 2), np.float32), "expected shape (3, X, Y, Z)"),
    "a series": (lambda: np.zeros((*SHAPE, 3, 2), np.float32), "expected shape (3, X, Y, Z)"),
    "of ITK": (lambda: np.zeros((*SHAPE, 1, 3), np.float32), "expected shape (3, X, Y, Z)"),
    "complex": (lambda: np.zeros((*SHAPE, 3), np.complex64), "expected real components"),
    "one voxel": (lambda: np.zeros((1, 1, 1, 3), np.float32), "the field has grid (1, 1, 1)"),
    "turned shape": (
        lambda: np.zeros((*SHAPE[::-1], 3), np.float32),
        f"the field has grid {SHAPE[::-1]}",
    ),
}


@pytest.mark.parametrize("what", FIELDS)
@pytest.mark.fault(17)
def test_what_is_no_displacement_costs_its_own_case_alone(tmp_path, what):
    make, sentence = FIELDS[what]
    task = make_task(tmp_path)
    write(task.fields[0], make())
    assert_isolated(task, score(task), sentence)


class Opened:
    """Pickles as a call that would leave a file behind."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


NPZ = {
    "no arr_0": lambda p, t: np.savez(p, field=np.zeros((3, *SHAPE))),
    "objects": lambda p, t: np.savez(p, arr_0=np.array([{"a": 1}], object)),
    "code": lambda p, t: np.savez(p, arr_0=np.array([Opened(t / "executed")], object)),
    "text": lambda p, t: np.savez(p, arr_0=np.array("field")),
    "flags": lambda p, t: np.savez(p, arr_0=np.zeros((3, *SHAPE), bool)),
    "a line": lambda p, t: np.savez(p, arr_0=np.zeros(7)),
    "not finite": lambda p, t: np.savez(p, arr_0=np.full((3, *SHAPE), np.nan, np.float16)),
    "another grid": lambda p, t: np.savez(p, arr_0=np.zeros((3, 4, 5, 6), np.float16)),
    "no archive": lambda p, t: p.write_bytes(b"PK\3\4 and nothing"),
    "huge": lambda p, t: huge_npz(p),
    "not an array": lambda p, t: zip_of(p, b"\x93NUMPY\1\0 nonsense"),
    "empty member": lambda p, t: zip_of(p, b""),
}


def zip_of(path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", content)


def huge_npz(path) -> None:
    content = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (3, 10**4, 10**4, 10**4)}
    np.lib.format.write_array_header_1_0(content, header)
    zip_of(path, content.getvalue())


@pytest.mark.parametrize("what", NPZ)
@pytest.mark.fault(17)
def test_what_is_no_npz_costs_its_own_case_alone_and_executes_nothing(tmp_path, what):
    task = make_task(tmp_path)
    path = to_npz(task, np.zeros((3, *SHAPE), np.float16))
    NPZ[what](path, tmp_path)
    told = score(task)
    assert told.code == 1
    first, second = rows_of(task).itertuples()
    assert (first.status, second.status) == ("malformed", "scored")
    assert path.name in first.reason
    assert not (tmp_path / "executed").exists()


def test_an_npz_is_read_to_its_end(tmp_path):
    arrays = {"a": np.arange(24.0).reshape(2, 3, 4), "b": np.array("x")}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    found = read_arrays(tmp_path / "x.npz")
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in arrays.items()}


# ---- where the ground truth is -------------------------------------------------------------------


@pytest.mark.parametrize(
    "folder", ["scans", "img", "Image", "imgs", "T1w", "val", "data", "labelsVal2", "nii", "image"]
)
@pytest.mark.fault(6)
def test_images_are_never_scored_as_their_own_labels(tmp_path, folder):
    task = make_task(tmp_path, images=folder)
    told = score(task)
    assert told.code == 1
    rows = rows_of(task)
    assert list(rows["status"]) == ["no ground truth"] * 2
    assert rows["reason"].str.contains(f"its folder is called '{folder}'").all()
    assert rows["reason"].str.contains("rename the folder").all()
    assert "dice" not in rows


@pytest.mark.parametrize(
    "labels", ["labels", "labelsTs", "LabelsVal", "seg", "labelsval", "labelVal"]
)
@pytest.mark.fault(6)
def test_labels_in_another_folder_are_said_to_be_absent(tmp_path, labels):
    task = make_task(tmp_path, labels=labels)
    told = score(task)
    assert told.code == 1
    assert rows_of(task)["reason"].str.contains("neither labels nor landmarks").all()


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.fault(6)
def test_labels_of_one_image_alone_are_no_ground_truth(tmp_path, which):
    task = make_task(tmp_path)
    sorted((tmp_path / "labelsVal").iterdir())[which].unlink()
    assert score(task).code == 1
    assert list(rows_of(task)["status"]) == ["no ground truth"] * 2


@pytest.mark.parametrize("damage", ["bit 0", "bit 3", "no checksum", "half", "empty", "a page"])
@pytest.mark.fault(1)
def test_a_damaged_ground_truth_is_not_scored(tmp_path, damage):
    task = make_task(tmp_path)
    path = sorted((tmp_path / "labelsVal").iterdir())[0]
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert score(task).code == 1
    rows = rows_of(task)
    assert list(rows["status"]) == ["no ground truth"] * 2
    assert rows["reason"].str.contains(path.name).all()


@pytest.mark.parametrize("codes", ["LPS", "LIA", "PSR", "LAS", "ASL"])
@pytest.mark.fault(2, value=True)
def test_labels_stored_with_other_axes_than_their_image_give_the_same_score(tmp_path, codes):
    plain, turned = make_task(tmp_path / "a"), make_task(tmp_path / "b")
    for path in (turned.folder / "labelsVal").iterdir():
        labels = reorient(load_volume(path, labels=True), codes)
        write(path, labels.data.astype(np.int16), labels.affine)
    assert score(plain).code == score(turned).code == 0
    assert list(rows_of(plain)["dice"]) == list(rows_of(turned)["dice"])


@pytest.mark.parametrize("shift", [(50, 0, 0), (0, -40, 0), (0, 0, 100)])
@pytest.mark.fault(2)
def test_labels_outside_their_image_are_no_ground_truth(tmp_path, shift):
    task = make_task(tmp_path)
    path = sorted((tmp_path / "labelsVal").iterdir())[0]
    write(path, make_labels(0), translation(shift) @ AFFINE)
    assert score(task).code == 1
    assert rows_of(task)["reason"].str.contains("lie outside its image").all()


@pytest.mark.parametrize("codes", ["LPS", "LIA", "PSR", "LAS"])
@pytest.mark.fault(2, value=True)
def test_a_displacement_is_read_on_the_axes_its_header_says(tmp_path, codes):
    """Of one that only shifts, so that what it is on other axes can be written down."""
    plain, turned = make_task(tmp_path / "a"), make_task(tmp_path / "b")
    shift = np.zeros((3, *SHAPE), np.float32)
    shift[:] = np.reshape([2, -1, 1], (3, 1, 1, 1))
    fixed = reorient(Volume(make_image(), AFFINE), codes)
    step = np.linalg.inv(fixed.affine[:3, :3]) @ AFFINE[:3, :3] @ [2, -1, 1]
    other = np.zeros((3, *fixed.shape), np.float32) + step.reshape(3, 1, 1, 1).astype(np.float32)
    for task, field, affine in ((plain, shift, AFFINE), (turned, other, fixed.affine)):
        for path in task.fields:
            save_displacement(field, affine, path)
    assert score(plain).code == score(turned).code == 0
    np.testing.assert_allclose(rows_of(plain)["dice"], rows_of(turned)["dice"], rtol=1e-12)


# ---- the task, and what an earlier run left ------------------------------------------------------

PAIR = {"fixed": "./imagesVal/a.nii.gz", "moving": "./imagesVal/b.nii.gz"}
TASKS = {
    "empty": b"",
    "text": b"see attachment",
    "cut": b'{"validation": [{"fixed": "./im',
    "a list": b"[1, 2]",
    "a number": b"7",
    "nothing": b"null",
    "other keys": b'{"training": []}',
    "no pairs": b'{"validation": []}',
    "single images": b'{"validation": ["./imagesVal/a.nii.gz"]}',
    "numbers": b'{"validation": [{"fixed": 1, "moving": 2}]}',
    "half a pair": b'{"validation": [{"fixed": "a.nii.gz"}]}',
    "not UTF-8": '{"validation": "\xe4"}'.encode("latin-1"),
    "UTF-16": json.dumps({"validation": [PAIR]}).encode("utf-16"),
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "methods of text": json.dumps({"validation": [PAIR], "evaluation_methods": "dice"}).encode(),
    "labels of text": json.dumps(
        {
            "validation": [PAIR],
            "evaluation_methods": [{"metric": "dice", "labels": ["hippocampus"]}],
        }
    ).encode(),
}


@pytest.mark.parametrize("what", TASKS)
@pytest.mark.fault(19)
def test_a_task_that_is_none_gets_one_sentence(tmp_path, what):
    task = make_task(tmp_path)
    task.truth.write_bytes(TASKS[what])
    told = score(task)
    assert told.code == 1
    assert "dataset.json" in told.text
    assert "expected JSON with a list" in told.text or "list of pairs is empty" in told.text
    assert len(told.text) < 600
    assert not (tmp_path / "score").exists()


def spoil(path, change) -> None:
    path.write_bytes(change(path.read_bytes()))


EARLIER = {
    "semicolons": lambda p: pd.read_csv(p).to_csv(p, sep=";", decimal=",", index=False),
    "tabs": lambda p: pd.read_csv(p).to_csv(p, sep="\t", index=False),
    "latin-1": lambda p: spoil(p, lambda c: c.replace(b"scored", b"\xe4\xf6\xfc")),
    "binary": lambda p: p.write_bytes(bytes(range(256)) * 9),
    "of another program": lambda p: p.write_text("subject,age\n1,30\n"),
    "without headings": lambda p: spoil(p, lambda c: c.split(b"\n", 1)[1]),
    "columns left out": lambda p: pd.read_csv(p)[["case", "dice"]].to_csv(p, index=False),
    "open quote": lambda p: spoil(p, lambda c: c + b'"never closed\n'),
    "ragged": lambda p: spoil(
        p, lambda c: c + b"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z\n"
    ),
    "a picture": lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(900)),
}


@pytest.mark.parametrize("what", EARLIER)
@pytest.mark.fault(19)
def test_a_table_that_was_saved_otherwise_is_not_built_upon(tmp_path, what):
    task = make_task(tmp_path)
    assert score(task).code == 0
    path = tmp_path / "score" / "cases.csv"
    EARLIER[what](path)
    before = path.read_bytes()
    told = score(task)
    assert told.code == 1
    assert "cases.csv" in told.text
    assert "delete it, or choose another --out" in told.text
    assert path.read_bytes() == before


def test_the_same_bytes_are_scored_once_and_changed_ones_anew(tmp_path):
    task = make_task(tmp_path)
    assert score(task).code == 0
    first = rows_of(task)
    assert score(task).code == 0
    assert rows_of(task).equals(first)
    save_displacement(np.ones((3, *SHAPE), np.float32), AFFINE, task.fields[0])
    assert score(task).code == 0
    again = rows_of(task)
    assert again["fingerprint"][0] != first["fingerprint"][0]
    assert again["dice"][0] != first["dice"][0]
    assert again["dice"][1] == first["dice"][1]


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.fault(4, value=True)
def test_a_displacement_without_orientation_is_taken_by_its_indices(tmp_path, kind):
    task = make_task(tmp_path)
    for path in task.fields:
        write(path, np.zeros((*SHAPE, 3), np.float32), kind=kind, sform_code=0, qform_code=0)
    assert score(task).code == 0
