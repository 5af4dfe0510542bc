"""Scoring a folder, on a miniature of the challenge's own tree."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lumirage_lib.challenge import score
from lumirage_lib.challenge.score import score_folder
from lumirage_lib.cohorts.learn2reg import load_cases
from lumirage_lib.errors import InputError
from lumirage_lib.images.volumes import Volume, reorient
from lumirage_lib.images.warp import save_displacement

SHAPE = (16, 20, 18)
SPACING_MM = (2.0, 2.0, 2.0)
IDS = (3454, 3455, 3456, 3484, 3485)  # the last two have landmarks for labels
PAIRS = [(3455, 3454), (3456, 3455), (3485, 3484)]  # fixed, moving


def save(array: np.ndarray, path) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    nib.save(nib.Nifti1Image(array, np.diag([*SPACING_MM, 1])), path)


def block(start: int, size: int = 6) -> np.ndarray:
    """Two touching boxes, labels 4 and 11, from voxel `start` of the first axis on."""
    labels = np.zeros(SHAPE, np.int16)
    labels[start : start + size, 5:9, 5:12] = 4
    labels[start : start + size, 9:14, 5:12] = 11
    return labels


def field(shift: float, dtype=np.float32) -> np.ndarray:
    displacement = np.zeros((3, *SHAPE), dtype)
    displacement[0] = shift
    return displacement


def pair(fixed: int, moving: int) -> dict[str, str]:
    names = (f"./imagesVal/LUMIRMRI_{i}_0000.nii.gz" for i in (fixed, moving))
    return dict(zip(("fixed", "moving"), names, strict=True))


@pytest.fixture
def truth(tmp_path):
    """Subject n is subject n - 1 shifted by one voxel, so shifting by -1 aligns every pair."""
    root = tmp_path / "LUMIR"
    for n, subject in enumerate(IDS):
        name = f"LUMIRMRI_{subject}_0000.nii.gz"
        save((block(3 + n) > 0).astype(np.float32), root / "imagesVal" / name)
        kind = "labelsVal" if subject < 3484 else "landmarksVal"
        save(block(3 + n), root / kind / name)
    content = {"name": "LUMIR", "training": [], "validation": [pair(*ids) for ids in PAIRS]}
    path = root / "LUMIR_dataset.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def displacements(tmp_path):
    """Perfect fields: short and long name, either axis order, either precision."""
    folder = tmp_path / "displacements"
    save(np.moveaxis(field(-1), 0, -1), folder / "disp_3455_3454.nii.gz")
    save(field(-1), folder / "disp_3456_0000_3455_0000.nii.gz")
    # NIfTI has no half precision; the challenge takes it as NumPy's npz.
    np.savez(folder / "disp_3485_3484.npz", np.moveaxis(field(-1, np.float16), 0, -1))
    return folder


def test_perfect_fields_score_perfectly(truth, displacements, tmp_path):
    scored = score_folder(displacements, truth, tmp_path / "out")
    assert list(scored["status"]) == ["scored"] * 3
    assert list(scored["file"])[:2] == ["disp_3455_3454.nii.gz", "disp_3456_0000_3455_0000.nii.gz"]
    np.testing.assert_allclose(scored["dice"], [1, 1, np.nan])
    np.testing.assert_allclose(scored["hd95_mm"], [0, 0, np.nan])
    np.testing.assert_allclose(scored["tre_mm"], [np.nan, np.nan, 0], atol=1e-6)
    np.testing.assert_allclose(scored["ndv_percent"], 0)


def test_outputs_hold_the_returned_rows(truth, displacements, tmp_path):
    out = tmp_path / "out"
    scored = score_folder(displacements, truth, out)
    cases = pd.read_csv(out / "cases.csv", float_precision="round_trip")
    pd.testing.assert_series_equal(cases["dice"], scored["dice"])
    labels = pd.read_csv(out / "labels.csv")
    assert set(labels["label"]) == {4, 11}
    assert len(labels) == 4
    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == {"scored": 3}
    assert summary["aggregates"]["dice"]["n"] == 2
    assert summary["aggregates"]["dice"]["mean"] == pytest.approx(scored["dice"].mean())
    assert (out / "summary.csv").read_text().startswith("measure,n,mean,sd,median")


def test_distances_are_in_mm_by_default_and_in_voxels_in_lumir24(truth, displacements, tmp_path):
    # Two voxels off, on a grid of 2 mm.
    save(field(1), displacements / "disp_3455_3454.nii.gz")
    np.savez(displacements / "disp_3485_3484.npz", field(1))
    right = score_folder(displacements, truth, tmp_path / "default")
    official = score_folder(displacements, truth, tmp_path / "lumir24", "lumir24")
    assert right["hd95_mm"][0] == pytest.approx(4)
    assert right["tre_mm"][2] == pytest.approx(4)
    table = pd.read_csv(tmp_path / "lumir24" / "labels.csv").set_index(["case", "label"])
    assert table.loc[(official["case"][0], 4), "hd95_voxel"] == pytest.approx(2)
    assert official["tre_voxel"][2] == pytest.approx(2)
    assert set(official["mask"]) == {"moving image"}


def test_configuration_of_the_evaluation_gives_pairs_and_labels(truth, displacements, tmp_path):
    config = truth.with_name("evaluation_config.json")
    methods = [{"name": "DSC", "metric": "dice", "labels": [0, 4]}]
    config.write_text(json.dumps({"eval_pairs": [pair(*PAIRS[0])], "evaluation_methods": methods}))
    score_folder(displacements, config, tmp_path / "default")
    score_folder(displacements, config, tmp_path / "lumir24", "lumir24")
    asked = {
        name: sorted(pd.read_csv(tmp_path / name / "labels.csv")["label"])
        for name in ("default", "lumir24")
    }
    assert asked == {"default": [4], "lumir24": [0, 4]}


def test_missing_and_malformed_files_are_named_and_the_rest_is_scored(
    truth, displacements, tmp_path
):
    (displacements / "disp_3455_3454.nii.gz").unlink()
    (displacements / "disp_3456_0000_3455_0000.nii.gz").write_bytes(b"not a volume")
    save(field(0), displacements / "disp_3454_3455.nii.gz")  # fixed and moving swapped
    out = tmp_path / "out"
    scored = score_folder(displacements, truth, out)
    assert list(scored["status"]) == ["missing", "malformed", "scored"]
    assert "disp_3455_3454.nii.gz" in scored["reason"][0]
    assert "disp_3456_0000_3455_0000.nii.gz" in scored["reason"][1]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["unused_files"] == ["disp_3454_3455.nii.gz"]
    assert len(summary["problems"]) == 2


@pytest.mark.parametrize("protocol", ["default", "lumir24"])
def test_folder_without_any_field_is_a_list_of_missing_files(truth, tmp_path, protocol):
    (tmp_path / "empty").mkdir()
    scored = score_folder(tmp_path / "empty", truth, tmp_path / "out", protocol)
    assert list(scored["status"]) == ["missing"] * 3
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["aggregates"] == {}
    assert score_folder(tmp_path / "empty", truth, tmp_path / "out", protocol).equals(scored)


def test_trap_width_196_in_the_text_192_in_the_data(truth, displacements, tmp_path):
    """A field of the advertised size, not of the images': refused by name with both sizes."""
    wide = np.zeros((*SHAPE[:2], SHAPE[2] + 4, 3), np.float32)
    save(wide, displacements / "disp_3455_3454.nii.gz")
    scored = score_folder(displacements, truth, tmp_path / "out")
    assert scored["status"][0] == "malformed"
    assert str(wide.shape[:3]) in scored["reason"][0]
    assert str(SHAPE) in scored["reason"][0]


def test_non_finite_field_is_malformed(truth, displacements, tmp_path):
    bad = field(-1)
    bad[1, 2, 3, 4] = np.nan
    save(bad, displacements / "disp_3455_3454.nii.gz")
    scored = score_folder(displacements, truth, tmp_path / "out")
    assert list(scored["status"]) == ["malformed", "scored", "scored"]


@pytest.mark.parametrize("content", [b"", b"PK no zip", None])
def test_npz_that_holds_no_field_is_malformed(truth, displacements, tmp_path, content):
    path = displacements / "disp_3485_3484.npz"
    path.write_bytes(content) if content is not None else np.savez(path, other=field(-1))
    scored = score_folder(displacements, truth, tmp_path / "out")
    assert list(scored["status"]) == ["scored", "scored", "malformed"]
    assert path.name in scored["reason"][2]


def test_missing_labels_are_reported(truth, displacements, tmp_path):
    (truth.parent / "labelsVal" / "LUMIRMRI_3454_0000.nii.gz").unlink()
    scored = score_folder(displacements, truth, tmp_path / "out")
    assert list(scored["status"]) == ["no ground truth", "scored", "scored"]


def test_second_run_computes_nothing(truth, displacements, tmp_path, monkeypatch):
    first = score_folder(displacements, truth, tmp_path / "out")
    monkeypatch.setattr(score, "load_field", lambda *_: pytest.fail("computed again"))
    again = score_folder(displacements, truth, tmp_path / "out")
    pd.testing.assert_frame_equal(first, again, check_dtype=False, check_like=True)
    assert len(pd.read_csv(tmp_path / "out" / "labels.csv")) == 4


def test_interrupted_run_keeps_what_it_had(truth, displacements, tmp_path, monkeypatch):
    out = tmp_path / "out"
    score_folder(displacements, truth, out)
    save(field(0), displacements / "disp_3455_3454.nii.gz")
    real, calls = score._score, []

    def stop_at_second(case, **rest):
        calls.append(case)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(case, **rest)

    monkeypatch.setattr(score, "_score", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        score_folder(displacements, truth, out)
    cases = pd.read_csv(out / "cases.csv")
    assert list(cases["status"]) == ["scored"] * 3
    assert cases["dice"][0] < 1
    assert len(pd.read_csv(out / "labels.csv")) == 4


def test_case_whose_labels_are_gone_is_scored_again(truth, displacements, tmp_path):
    score_folder(displacements, truth, tmp_path / "out")
    (tmp_path / "out" / "labels.csv").unlink()
    score_folder(displacements, truth, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "labels.csv")) == 4


@pytest.mark.parametrize("change", ["displacement", "labels", "header of the image", "protocol"])
def test_trap_stale_outputs_are_not_reused(truth, displacements, tmp_path, change):
    out = tmp_path / "out"
    save(field(0), displacements / "disp_3455_3454.nii.gz")
    before = score_folder(displacements, truth, out)
    if change == "displacement":
        save(field(-1), displacements / "disp_3455_3454.nii.gz")
    if change == "labels":
        save(block(9), truth.parent / "labelsVal" / "LUMIRMRI_3455_0000.nii.gz")
    if change == "header of the image":  # the labels' stays, so they lie elsewhere in it
        path = truth.parent / "imagesVal" / "LUMIRMRI_3455_0000.nii.gz"
        image, moved = nib.load(path), np.diag([*SPACING_MM, 1])
        moved[0, 3] = -2
        nib.save(nib.Nifti1Image(image.get_fdata(dtype=np.float32), moved), path)
    protocol = "lumir24" if change == "protocol" else "default"
    after = score_folder(displacements, truth, out, protocol)
    assert after["fingerprint"][0] != before["fingerprint"][0]
    assert after["dice"][0] != before["dice"][0]


def test_lumir24_summary_is_the_challenge_s(truth, displacements, tmp_path):
    save(field(0), displacements / "disp_3455_3454.nii.gz")
    scored = score_folder(displacements, truth, tmp_path / "out", "lumir24")
    dice = scored["dice"].dropna().to_numpy()
    row = pd.read_csv(tmp_path / "out" / "summary.csv", index_col="measure").loc["dice"]
    expected = [2, dice.mean(), dice.std(), np.quantile(dice, 0.3)]
    np.testing.assert_allclose(row[["n", "mean", "sd", "quantile_30"]], expected)


def test_names_with_two_modalities_need_the_long_form(tmp_path):
    path = tmp_path / "truth.json"
    names = {
        "fixed": "./imagesTs/L2R_0001_0001.nii.gz",
        "moving": "./imagesTs/L2R_0002_0000.nii.gz",
    }
    swapped = {"fixed": names["moving"], "moving": names["fixed"]}
    path.write_text(json.dumps({"validation": [names, swapped]}))
    (long_only, both), _ = load_cases(path)
    assert long_only.files[0] == "disp_0001_0001_0002_0000.nii.gz"
    assert "disp_0001_0002.nii.gz" not in long_only.files
    assert both.files[::2] == (
        "disp_0002_0001.nii.gz",
        "disp_0002_0000_0001_0001.nii.gz",
        "disp_L2R_0002_0000_L2R_0001_0001.nii.gz",  # as `lumirage register` names it
    )


@pytest.mark.parametrize("codes", ["LAS", "LIA", "PSR"])
def test_fields_on_arrays_turned_to_ras_are_recognised(truth, displacements, tmp_path, codes):
    """What `lumirage register` writes for files stored otherwise; by header, not by guess."""
    fixed = None
    for path in [*truth.parent.glob("*Val/*.nii.gz")]:
        data = nib.load(path).get_fdata().astype(np.int16)
        turned = reorient(Volume(data, np.diag([*SPACING_MM, 1])), codes)
        nib.save(nib.Nifti1Image(turned.data, turned.affine), path)
        if "labelsVal/LUMIRMRI_3455" in str(path):
            fixed = reorient(turned)
    save_displacement(field(-1), fixed.affine, displacements / "disp_3455_3454.nii.gz")
    scored = score_folder(displacements, truth, tmp_path / "out")
    assert (scored["status"][0], scored["dice"][0]) == ("scored", 1)
    # The same numbers without that header are in voxels of the stored arrays: another mapping.
    save_displacement(field(-1), np.eye(4), displacements / "disp_3455_3454.nii.gz")
    scored = score_folder(displacements, truth, tmp_path / "out")
    assert scored["status"][0] == "malformed" or scored["dice"][0] < 1


@pytest.mark.parametrize("content", ["not json", "{}", '{"validation": []}', '{"validation": [1]}'])
def test_ground_truth_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "truth.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"truth\.json"):
        load_cases(path)


def test_unusable_arguments_are_refused(truth, displacements, tmp_path):
    with pytest.raises(InputError, match="protocol"):
        score_folder(displacements, truth, tmp_path / "out", "lumir23")
    with pytest.raises(InputError, match="folder"):
        score_folder(tmp_path / "nowhere", truth, tmp_path / "out")
