"""Kept fields: small, and as good as what was registered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from lumirage_lib.cohorts import Pair, get_cohort
from lumirage_lib.errors import InputError
from lumirage_lib.images.warp import displacement_of_matrix, warp_labels
from lumirage_lib.runs.fields import decode_field, encode_field, has_field, keep_field, read_field
from lumirage_lib.runs.scoring import score
from lumirage_lib.runs.task import plan
from lumirage_lib.runs.work import compute_displacement

SHAPE = (20, 24, 22)
PUBLISHED = Path(__file__).parents[2] / "results" / "open"
MATRIX = np.array([[1.1, 0.1, 0, -3], [-0.1, 0.9, 0, 2], [0, 0.05, 1, 1], [0, 0, 0, 1]])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    return tmp_path / "fields"


def make_field(size: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=(3, *SHAPE))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 2))
    smooth *= size / np.abs(smooth).max()
    return (displacement_of_matrix(MATRIX, SHAPE) + smooth).astype(np.float32)


@pytest.mark.parametrize(("size", "error"), [(0, 0), (5, 1 / 512), (59, 1 / 512), (61, 0)])
def test_a_field_comes_back_within_a_step_and_in_the_same_voxels(size, error):
    displacement = make_field(size)
    back = decode_field(encode_field(displacement, MATRIX))
    assert back.dtype == np.float32
    assert np.abs(back - displacement).max() <= error + 1e-5
    labels = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    np.testing.assert_array_equal(warp_labels(labels, back), warp_labels(labels, displacement))


def test_the_linear_part_costs_nothing():
    displacement = make_field(0)
    assert len(encode_field(displacement, MATRIX)) < displacement.nbytes / 50


@pytest.mark.parametrize("place", [0, 30, -1])
def test_changed_bytes_are_refused(place):
    content = bytearray(encode_field(make_field(2), MATRIX))
    content[place] ^= 1
    with pytest.raises(InputError, match="kept field"):
        decode_field(bytes(content))
    with pytest.raises(InputError, match="kept field"):
        decode_field(bytes(content[:40]))


def test_a_damaged_file_is_as_good_as_none(cache):
    assert read_field("k1") is None
    assert keep_field("k1", make_field(2), MATRIX)
    assert has_field("k1")
    assert np.abs(read_field("k1") - make_field(2)).max() <= 1 / 512
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert read_field("k1") is None
    assert not has_field("k1")


def test_nothing_is_kept_beyond_the_budget(cache):
    size_mb = len(encode_field(make_field(2), MATRIX)) / 2**20
    kept = [keep_field(k, make_field(2), MATRIX, budget_mb=2.5 * size_mb) for k in "abc"]
    assert kept == [True, True, False]
    assert keep_field("a", make_field(2), MATRIX, budget_mb=2.5 * size_mb)  # in place of itself
    assert len(list(cache.iterdir())) == 2


@pytest.mark.mirror
@pytest.mark.slow
def test_a_real_registration_measures_the_same_once_kept(tmp_path):
    cohort = get_cohort("oasis")
    # The segmenter's labels take minutes to make, and are warped like the others.
    own = {n: t for n, t in cohort.label_sets.items() if not n.startswith("seg-")}
    cohort = replace(cohort, label_sets=own)
    pair = Pair(cohort.scan("1005"), cohort.scan("1018"))
    (task,) = plan("oasis", [pair], ["vfa"])
    alignments = pd.read_parquet(PUBLISHED / "alignments.parquet").set_index("key")
    matrix = np.array(json.loads(alignments.loc[task.alignment_key, "matrix"]))
    displacement, *_ = compute_displacement(cohort, task, matrix, tmp_path)
    content = encode_field(displacement, matrix)
    assert len(content) < displacement.nbytes / 4
    measures, structures = score(cohort, pair, displacement)
    again, kept = score(cohort, pair, decode_field(content))
    nearest = structures["rule"] == "nearest"
    columns = ["label_set", "label", "n_fixed", "n_moved", "dice", "hd95_mm", "hd95_voxel"]
    pd.testing.assert_frame_equal(kept[nearest][columns], structures[nearest][columns])
    np.testing.assert_allclose(kept["dice"], structures["dice"], atol=2e-3)
    assert measures["ndv_voxels"] > 10
    for name in ("ndv_voxels", "ndv_percent", "sd_log_j"):
        assert again[name] == pytest.approx(measures[name], rel=1e-3)
