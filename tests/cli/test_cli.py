"""The command as a shell script meets it: output, exit codes, one-sentence errors."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.images.volumes import load_volume, save_volume, translation
from lumirage_lib.images.warp import load_displacement, warp_image


def lumirage(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lumirage_lib.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_help_names_every_command():
    out = lumirage("--help")
    assert out.returncode == 0
    for command in ("run", "book", "methods", "register", "score", "data", "results"):
        assert command in out.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["register", "a.nii", "b.nii", "-m", "nothing"], 1, "no method 'nothing'"),
        (["run", "01_in_distribution", "-p", "nowhere"], 1, "no profile 'nowhere'"),
        (["run", "01_in_distribution", "-P", "n_pairs"], 1, "NAME=VALUE"),
        (["run"], 2, "Missing argument"),
        (["data", "list", "nobody/nothing"], 1, "nobody/nothing"),
    ],
)
def test_errors_are_one_sentence_and_an_exit_code(arguments, code, message):
    out = lumirage(*arguments)
    assert out.returncode == code
    assert message in out.stderr
    assert "Traceback" not in out.stderr


@pytest.fixture(scope="module")
def pair_of_files(tmp_path_factory):
    """Two generated brains and their labels, one of them stored in another orientation."""
    folder = tmp_path_factory.mktemp("files")
    cohort = get_cohort("template", spacing_mm=5.0, n_subjects=2)
    for scan, codes in zip(cohort.scans, ("RAS", "LPS"), strict=True):
        for kind, volume in (("t1", cohort.load_image(scan)), ("seg", cohort.load_labels(scan))):
            image = nib.Nifti1Image(volume.data.astype(np.float32), volume.affine)
            turn = nib.orientations.ornt_transform(
                nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
            )
            nib.save(image.as_reoriented(turn), folder / f"{scan.id}_{kind}.nii.gz")
    return folder


def test_register_writes_what_it_says(pair_of_files, tmp_path):
    folder = pair_of_files
    out = lumirage(
        *("register", folder / "02_t1.nii.gz", folder / "01_t1.nii.gz", "-m", "greedy"),
        *("-o", tmp_path, "--moving-labels", folder / "01_seg.nii.gz"),
        *("--fixed-labels", folder / "02_seg.nii.gz", "-P", "iterations=20x20"),
    )
    assert out.returncode == 0, out.stderr
    before, after = (float(x) for x in out.stdout.split("labels ")[1].split()[0:3:2])
    assert after > before + 0.05
    fixed, moved = (load_volume(p) for p in (folder / "02_t1.nii.gz", tmp_path / "moved.nii.gz"))
    assert moved.orientation == fixed.orientation == "LPS"
    np.testing.assert_allclose(moved.affine, fixed.affine)
    assert load_volume(tmp_path / "moved_labels.nii.gz", labels=True).shape == fixed.shape
    # The displacement file, applied to the arrays as stored, gives the moved image again.
    field = load_displacement(tmp_path / "disp_02_t1_01_t1.nii.gz")
    moving = load_volume(folder / "01_t1.nii.gz")
    np.testing.assert_allclose(warp_image(moving.data, field), moved.data, atol=1e-4)


def test_register_refuses_labels_that_lie_elsewhere(pair_of_files, tmp_path):
    labels = load_volume(pair_of_files / "01_seg.nii.gz", labels=True)
    path = save_volume(
        replace(labels, affine=translation(150) @ labels.affine), tmp_path / "l.nii.gz"
    )
    out = lumirage(
        *("register", pair_of_files / "02_t1.nii.gz", pair_of_files / "01_t1.nii.gz"),
        *("-m", "affine", "-o", tmp_path / "out", "--moving-labels", path),
    )
    assert out.returncode == 1
    assert "of the labelled volume lie outside its image 01_t1.nii.gz" in out.stderr
    assert not (tmp_path / "out").exists()
