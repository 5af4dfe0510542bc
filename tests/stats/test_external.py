"""The committed IXI table: made from the published files, and the numbers the chapter rests on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.stats import compute_effect_sizes, compute_ixi_table, load_ixi, match_pairs
from lumirage_lib.stats._external import IXI_TABLE

FOLDER = (
    "junyuchen245/MIR/01c3618868d39a7851285e1ce27056c37af80e2a/tutorials/IXI_benchmarking/results_"
)


@pytest.mark.mirror
def test_committed_table_is_the_recomputed_one():
    folder = Path(os.environ["LUMIRAGE_MIRROR"]) / FOLDER
    if not folder.is_dir():
        pytest.skip(f"the mirror has no {FOLDER}")
    committed = pd.read_csv(IXI_TABLE, index_col="subject")
    pd.testing.assert_frame_equal(committed, compute_ixi_table(folder).round(6), atol=1e-12, rtol=0)


def test_sitreg_against_vfa_is_small_pooled_and_large_paired(rng):
    matched = match_pairs(load_ixi(), "SITReg", "VFA")
    assert matched.n_pairs == matched.n_subjects == 115
    found = compute_effect_sizes(matched, n_resamples=999, rng=rng)
    assert found.d_av.estimate == pytest.approx(0.21, abs=0.005)
    assert found.d_z.estimate == pytest.approx(1.54, abs=0.005)
    # With nearly equal spreads the two differ by what the methods share.
    predicted = found.d_av.estimate / np.sqrt(2 * (1 - found.correlation))
    assert found.d_z.estimate == pytest.approx(predicted, rel=0.1)


def test_structures_absent_from_a_subject_and_background_are_left_out(tmp_path):
    table = pd.DataFrame(
        {
            "study_idx": ["p_0", "p_1"],
            "Unknown": [0.99, 0.99],
            "Left-Caudate": [0.8, 0.6],
            "5th-Ventricle": [0.0, 0.5],
            "ndv": [0.1, 0.1],
        }
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    table.assign(**{"5th-Ventricle": [0.4, 0.4]}).to_csv(tmp_path / "b.csv", index=False)
    np.testing.assert_allclose(compute_ixi_table(tmp_path), [[0.8, 0.8], [0.6, 0.6]])
    table.iloc[::-1].to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(InputError, match="subjects and structures"):
        compute_ixi_table(tmp_path)


def test_absent_files_are_said(tmp_path):
    with pytest.raises(InputError, match=r"METHOD\.csv"):
        compute_ixi_table(tmp_path)
    with pytest.raises(InputError, match="ixi_mir"):
        load_ixi(tmp_path / "none.csv")
