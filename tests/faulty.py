"""Bad inputs, and the command as it answers to them in this process."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
from synthetic import brain
from typer.testing import CliRunner

from lumirage_lib.cli import app

SHAPE = (22, 26, 20)
AFFINE = np.array([[1.0, 0, 0, -9], [0, 1, 0, -14], [0, 0, 1.2, 6], [0, 0, 0, 1]])


def lumirage(*arguments) -> SimpleNamespace:
    """Exit code and all that is said; what would have been a traceback is none of our sentences."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert "not foreseen" not in result.output, result.output
    return SimpleNamespace(code=result.exit_code, text=result.output)


def make_image(seed: int = 0) -> np.ndarray:
    return (400 * brain(SHAPE, seed)).astype(np.float32)


def make_labels(seed: int = 0) -> np.ndarray:
    return np.digitize(brain(SHAPE, seed), [0.3, 0.5, 0.6, 0.7]).astype(np.int16)


def write(path: Path, data: np.ndarray, affine=AFFINE, kind=nib.Nifti1Image, **header) -> Path:
    """A file with some fields of its header set by hand."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = kind(data, affine).to_bytes()
    made = kind.header_class.from_fileobj(io.BytesIO(content))  # nibabel would write its own codes
    if "xyzt_units" not in header and kind is not nib.MGHImage:
        made.set_xyzt_units("mm")
    for name, value in header.items():
        made[name] = value
    content = made.binaryblock + content[len(made.binaryblock) :]
    packed = path.name.endswith((".gz", ".mgz"))
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return path


def make_pair(folder: Path) -> SimpleNamespace:
    """Fixed and moving images and label maps, all good."""
    return SimpleNamespace(
        fixed=write(folder / "fixed.nii.gz", make_image(0)),
        moving=write(folder / "moving.nii.gz", make_image(1)),
        fixed_labels=write(folder / "fixed_labels.nii.gz", make_labels(0)),
        moving_labels=write(folder / "moving_labels.nii.gz", make_labels(1)),
    )


def register(pair: SimpleNamespace, out: Path, *more) -> SimpleNamespace:
    return lumirage(
        *("register", pair.fixed, pair.moving, "-m", "affine", "-o", out),
        *("--fixed-labels", pair.fixed_labels, "--moving-labels", pair.moving_labels, *more),
    )


def make_task(
    folder: Path, images: str = "imagesVal", labels: str = "labelsVal"
) -> SimpleNamespace:
    """A task of two pairs with label maps, and displacements of zeros for both."""
    names = [f"X_{number:04d}_0000.nii.gz" for number in (1, 2)]
    for seed, name in enumerate(names):
        write(folder / images / name, make_image(seed))
        write(folder / labels / name, make_labels(seed))
    pairs = [
        {"fixed": f"./{images}/{a}", "moving": f"./{images}/{b}"} for a, b in (names, names[::-1])
    ]
    truth = folder / "dataset.json"
    truth.write_text(json.dumps({"validation": pairs}))
    fields = [
        folder / "fields" / f"disp_{a}_{b}.nii.gz" for a, b in (("0001", "0002"), ("0002", "0001"))
    ]
    for path in fields:
        write(path, np.zeros((*SHAPE, 3), np.float32))  # no name in the gzip header, which may flip
    return SimpleNamespace(truth=truth, fields=fields, folder=folder)


def score(task: SimpleNamespace, *more) -> SimpleNamespace:
    out = task.folder / "score"
    return lumirage("score", task.folder / "fields", task.truth, "-o", out, *more)
