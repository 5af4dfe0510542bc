"""Notebook 07: the committed tables of others are the published ones, and what the page says of them."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import external_tables
import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from lumirage_lib.book import notebooks
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import load
from lumirage_lib.experiments.effect_sizes import figures, tables
from lumirage_lib.experiments.effect_sizes.analysis import analyse
from lumirage_lib.runs.profiles import project_root
from lumirage_lib.stats import compute_effect_sizes, match_pairs

MIR = (
    "junyuchen245/MIR/01c3618868d39a7851285e1ce27056c37af80e2a/tutorials/IXI_benchmarking/results_"
)
TRANSMORPH = (
    "junyuchen245/TransMorph_Transformer_for_Medical_Image_Registration/"
    "6357a1d7fc44c36db9b1d1ccaa372409253142cf/IXI/Results"
)


def find(folder: str) -> Path:
    path = Path(os.environ["LUMIRAGE_MIRROR"]) / folder
    if not path.is_dir():
        pytest.skip(f"the mirror has no {folder}")
    return path


@pytest.fixture(scope="module")
def published():
    return external_tables.read_mir(find(MIR)), external_tables.read_transmorph(find(TRANSMORPH))


# ---- the tables


@pytest.mark.mirror
def test_committed_tables_are_the_recomputed_ones(published):
    mir, transmorph = published
    assert (len(mir), len(transmorph)) == (7, 18)
    committed = pd.read_csv(tables.MIR_TABLE, index_col="subject")
    pd.testing.assert_frame_equal(
        committed, external_tables.compute_means(mir).round(6), atol=1e-12, rtol=0
    )
    joint = external_tables.join_tables(mir, transmorph).round(6)
    pd.testing.assert_frame_equal(
        pd.read_csv(tables.JOINT_TABLE), joint, atol=1e-12, rtol=0, check_dtype=False
    )


@pytest.mark.mirror
def test_subjects_in_another_order_are_not_joined(published):
    mir, transmorph = published
    external_tables.check_subjects(transmorph, mir)
    for name in ("SyN", "affine only"):  # the latter hardly correlates with anything
        shifted = transmorph[name].copy()
        shifted[:] = np.roll(shifted.to_numpy(), 3, axis=0)
        with pytest.raises(InputError, match=f"{name}: its rows fit the others' best when shifted"):
            external_tables.check_subjects({name: shifted}, mir)
    with pytest.raises(InputError, match="114 subjects, the others 115"):
        external_tables.check_subjects({"SyN": transmorph["SyN"].iloc[1:]}, mir)


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
    means = external_tables.compute_means(external_tables.read_mir(tmp_path))
    np.testing.assert_allclose(means, [[0.8, 0.8], [0.6, 0.6]])
    table.iloc[::-1].to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(InputError, match="subjects and structures"):
        external_tables.compute_means(external_tables.read_mir(tmp_path))


def test_absent_files_are_said(tmp_path):
    with pytest.raises(InputError, match=r"METHOD\.csv"):
        external_tables.read_mir(tmp_path)
    with pytest.raises(InputError, match=r"lacks affine\.csv"):
        external_tables.read_transmorph(tmp_path)
    with pytest.raises(InputError, match="ixi_mir"):
        tables.load_ixi(tmp_path / "ixi_mir.csv")


def test_sitreg_against_vfa_is_small_pooled_and_large_paired(rng):
    matched = match_pairs(tables.load_ixi(), "SITReg", "VFA")
    assert matched.n_pairs == matched.n_subjects == 115
    found = compute_effect_sizes(matched)
    assert found.d_av.estimate == pytest.approx(0.21, abs=0.005)
    assert found.d_z.estimate == pytest.approx(1.54, abs=0.005)
    # With nearly equal spreads the two differ by what the methods share.
    predicted = found.d_av.estimate / np.sqrt(2 * (1 - found.correlation))
    assert found.d_z.estimate == pytest.approx(predicted, rel=0.1)


# ---- the page


@pytest.fixture(scope="module")
def result():
    parameters = notebooks.resolve_parameters("07_effect_sizes", "open")
    return analyse(load("07_effect_sizes", parameters), parameters)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Student's, one atlas: every subject is one independent difference."""
    half = scipy_stats.t.ppf(0.975, len(values) - 1) * scipy_stats.sem(values)
    return values.mean() - half, values.mean() + half


def test_headline_verdict_is_that_of_the_published_numbers(result):
    wide = pd.read_csv(tables.MIR_TABLE, index_col="subject")
    difference = (wide["SITReg"] - wide["VFA"]).to_numpy()
    assert result.verdict.estimate == pytest.approx(difference.mean(), abs=1e-12)
    low, high = interval(difference)
    assert (result.verdict.low, result.verdict.high) == pytest.approx((low, high), abs=2e-4)
    assert -0.01 < 0 < low < high <= 0.01  # clearly better, and by less than matters
    assert (result.verdict.word, result.verdict.verdict) == ("equal within the margin", "supported")
    assert f"{difference.mean() / difference.std(ddof=1):.2f}" in result.opening.headline


def test_leak_free_comparison_is_equal_by_every_list_of_structures(result):
    wide = pd.read_csv(tables.MIR_TABLE, index_col="subject")
    joint = pd.read_csv(tables.JOINT_TABLE).pivot(index="subject", columns="method")
    by_hand = [
        wide["VFA"] - wide["ConvexAdam-MIND"],
        joint["dice"]["VFA"] - joint["dice"]["ConvexAdam-MIND"],
        joint["dice_all"]["VFA"] - joint["dice_all"]["ConvexAdam-MIND"],
    ]
    for verdict, difference in zip(result.leak_free.values(), by_hand, strict=True):
        assert verdict.estimate == pytest.approx(difference.mean(), abs=1e-9)
        assert (verdict.low, verdict.high) == pytest.approx(
            interval(difference.to_numpy()), abs=2e-4
        )
        assert (verdict.verdict, verdict.n_subjects) == ("supported", 115)
    assert "equal within the margin" in result.leak_free_text


def test_baseline_decides_and_two_iterative_methods_lie_further_apart_than_any_reported_d(result):
    joint = pd.read_csv(tables.JOINT_TABLE).pivot(index="subject", columns="method", values="dice")
    deep = joint.columns.difference([*tables.ITERATIVE, *tables.BASELINE])
    assert len(deep) == 19
    for row in result.baselines.itertuples():
        difference = joint[deep].mean(axis=1) - joint[row.baseline]
        assert row.difference == pytest.approx(difference.mean(), abs=1e-9)
        assert row.ahead == (joint[deep].mean() - joint[row.baseline].mean() > 0.01).sum()
    assert result.baselines["difference"].iloc[0] < 0 < result.baselines["difference"].iloc[-1]
    apart = joint["deedsBCV"] - joint["SyN"]
    assert f"is {apart.mean() / apart.std(ddof=1):.2f} (" in result.iterative_text
    assert apart.mean() / apart.std(ddof=1) > 1.5


def test_page_has_no_raw_formula(result):
    text = (project_root() / "notebooks" / "07_effect_sizes.py").read_text()
    said = [v for v in vars(result).values() if isinstance(v, str)]
    assert not any("$" in t for t in (text, *said))


def test_figures_are_drawn(result):
    figures.plot_all_methods(tables.load_joint())
    figures.plot_both_formulas(result.comparisons)
    assert len(list(combinations(range(7), 2))) == len(result.comparisons)
