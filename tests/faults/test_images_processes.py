"""Bad images, displacements and folders as a shell meets them: exit code, one sentence, no traceback."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from faulty import AFFINE, SHAPE, make_image, make_labels, make_pair, make_task, write
from test_images import BACKGROUNDS, DAMAGE, NOWHERE, colours, huge

from lumirage_lib.images.volumes import translation


def shell(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lumirage_lib.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def damage(path, how: str):
    path.write_bytes(DAMAGE[how](path.read_bytes()))


def in_kind(kind: int, what: str):
    return pytest.param(what, marks=pytest.mark.fault(kind, process=True))


# What is done to a good pair of files, and what register then says of it.
REGISTER = {
    "flipped bit in an image": (
        lambda p: damage(p.moving, "bit 3"),
        "moving.nii.gz: not a readable",
    ),
    "labels cut": (lambda p: damage(p.fixed_labels, "no checksum"), "fixed_labels.nii.gz: not a"),
    "labels elsewhere": (
        lambda p: write(p.moving_labels, make_labels(1), translation((80, 0, 0)) @ AFFINE),
        "lie outside its image moving.nii.gz",
    ),
    "no orientation": (lambda p: write(p.fixed, make_image(), **NOWHERE), "--assume RAS"),
    "all zero": (lambda p: write(p.moving, 0 * make_image()), "every voxel is 0"),
    "one slice": (lambda p: write(p.fixed, make_image()[:, :, :1]), "22 x 26 x 1 voxels"),
    "colours": (lambda p: write(p.fixed, colours(3)), "a colour image (RGB)"),
    "complex": (lambda p: write(p.moving, make_image() * np.complex64(1j)), "complex values"),
    "huge header": (lambda p: huge(p.moving, (10**4,) * 3), "would take 4000 GB"),
    "gzip bomb": (
        lambda p: huge(p.moving, (12, 12, 12), payload=bytes(300 << 20)),
        "it holds more than its header says",
    ),
    "tiny voxels": (
        lambda p: write(p.fixed, make_image(), np.diag([1e-4, 1e-4, 1e-4, 1])),
        "the affine is singular",
    ),
}


KINDS = (1, 1, 2, 4, 5, 5, 20, 20, 16, 16, 16)


@pytest.mark.parametrize("what", [in_kind(*of) for of in zip(KINDS, REGISTER, strict=True)])
def test_register_refuses_with_one_sentence(tmp_path, what):
    change, sentence = REGISTER[what]
    pair = make_pair(tmp_path)
    change(pair)
    done = shell(
        *("register", pair.fixed, pair.moving, "-m", "affine", "-o", tmp_path / "out"),
        *("--fixed-labels", pair.fixed_labels, "--moving-labels", pair.moving_labels),
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.fault(14, process=True)
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path):
    pair = make_pair(tmp_path)
    (tmp_path / "out").write_text("a file")
    done = shell("register", pair.fixed, pair.moving, "-m", "affine", "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "out: cannot be written" in done.stderr
    assert "choose another folder" in done.stderr


def dice_of(pair, out) -> tuple[float, str]:
    done = shell(
        *("register", pair.fixed, pair.moving, "-m", "affine", "-o", out),
        *("--fixed-labels", pair.fixed_labels, "--moving-labels", pair.moving_labels),
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split("labels ")[1].split()[2]), done.stderr


@pytest.fixture(scope="module")
def plain_dice(tmp_path_factory) -> float:
    folder = tmp_path_factory.mktemp("plain")
    return dice_of(make_pair(folder), folder / "out")[0]


@pytest.mark.parametrize("how", ["z-scored, 0 outside", "Hounsfield, -1000 outside"])
@pytest.mark.fault(5, process=True, value=True)
def test_an_image_with_another_background_is_registered_as_the_plain_one(tmp_path, how, plain_dice):
    pair, plain = make_pair(tmp_path), make_image(1)
    write(pair.moving, BACKGROUNDS[how](plain, plain > 0).astype(np.float32))
    dice, said = dice_of(pair, tmp_path / "out")
    assert "moving.nii.gz: background" in said
    assert abs(dice - plain_dice) < 0.02


SCORE = {
    "flipped displacement": (lambda t: damage(t.fields[0], "bit 5"), "malformed"),
    "field of NaN": (
        lambda t: write(t.fields[0], np.full((*SHAPE, 3), np.nan, np.float32)),
        "NaN or infinite",
    ),
    "no labels": (
        lambda t: [p.unlink() for p in (t.folder / "labelsVal").iterdir()],
        "neither labels nor landmarks",
    ),
    "broken JSON": (lambda t: t.truth.write_text("{"), "expected JSON with a list"),
}


@pytest.mark.parametrize("what", [in_kind(*of) for of in zip((1, 20, 6, 19), SCORE, strict=True)])
def test_score_says_what_it_could_not_score(tmp_path, what):
    change, sentence = SCORE[what]
    task = make_task(tmp_path)
    change(task)
    done = shell("score", tmp_path / "fields", task.truth, "-o", tmp_path / "score")
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
