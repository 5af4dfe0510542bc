from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import smooth_field, smooth_noise

from lumirage_lib.cohorts import Cohort, Scan
from lumirage_lib.images.volumes import Volume
from lumirage_lib.images.warp import warp_image
from lumirage_lib.methods.training import get_recipe

SHAPE = (16, 20, 15)


@pytest.fixture
def recipe():
    """Seconds instead of hours: few features, large voxels."""
    options = {"downsamples": 2, "start_channels": 2, "matching_channels": 2, "max_channels": 8}
    return replace(
        get_recipe("cpu-2mm"),
        spacing_mm=4.0,
        options=options,
        windows=((0, 9), (1, 5)),
        finest=((0, 1), (3, 0)),
        validate_every=2,
    )


def load_image(scan: Scan) -> Volume:
    """A ball of texture in air, deformed in another way for every scan."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    ball = np.square(axes).sum(axis=0) < 0.6
    data = ball * (1.5 + 0.4 * smooth_noise(SHAPE, 1.5, 0)).clip(0.1)
    data = warp_image(data.astype(np.float32), smooth_field(SHAPE, 0.8, int(scan.id) + 1))
    return Volume(data, np.diag([4.0, 4.0, 4.0, 1.0]), scan.id)


def load_labels(scan: Scan, label_set: str) -> Volume:
    raise AssertionError("training read labels")


@pytest.fixture
def cohort(monkeypatch) -> Cohort:
    """Five training scans and one test scan; they are aligned as they are."""
    monkeypatch.setattr("lumirage_lib.methods.training.data._align_world", lambda *pair: np.eye(4))
    scans = [Scan(str(i), f"S{i}", "train") for i in range(5)] + [Scan("9", "S9", "test")]
    return Cohort(
        "tiny", tuple(scans), load_image, load_labels, {}, lambda scan: scan.id, reference="nobody"
    )
