"""The headline of every chapter of the published run against numbers computed here, in another way."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import EXPERIMENTS, load
from lumirage_lib.experiments.families import ARMS, FRESH
from lumirage_lib.runs.profiles import project_root

PUBLISHED = project_root() / "results" / "open"
PAIR = ["fixed", "moving"]


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    table = pd.read_parquet(PUBLISHED / "registrations.parquet")
    return table.assign(dice=[json.loads(m or "{}").get("dice") for m in table["measures"]])


def analyse(notebook: str):
    parameters = resolve_parameters(notebook, "open")
    run = load(notebook, parameters)
    return run, EXPERIMENTS[notebook].analyse(run, parameters)


def average(rows: pd.DataFrame, methods) -> pd.Series:
    """Mean Dice over methods by pair, of the pairs that all completed."""
    wide = rows.pivot(index=PAIR, columns="method", values="dice").reindex(columns=list(methods))
    return wide.dropna().mean(axis=1)


def subtract(rows: pd.DataFrame, deep, iterative) -> pd.Series:
    return (average(rows, deep) - average(rows, iterative)).dropna()


def test_t1w(published):
    rows = published.query(
        "cohort == 'oasis' and preprocessing == 'standard' and kind == 'between' and status == 'ok'"
    )
    run, result = analyse("01_in_distribution")
    # The curves of chapter 06 register some of these pairs with other parameters, too.
    rows = rows[rows["key"].isin({e.task.key for e in run.entries})]
    assert not rows.duplicated([*PAIR, "method"]).any()
    claim = result.verdict.claim
    tried = rows.groupby("method")[PAIR].apply(len).reindex([*claim.first, *claim.second]).fillna(0)
    complete = bool((tried == ARMS["oasis"].n_pairs).all())
    assert (result.verdict.verdict == "incomplete") == (not complete)
    expected = subtract(rows, claim.first, claim.second)
    assert result.verdict.n_pairs == len(expected)
    if len(expected):
        assert result.verdict.estimate == pytest.approx(expected.mean(), abs=1e-12)
    means = rows.groupby("method")["dice"].mean()
    for method in ("greedy", "clapirn"):
        assert f"{means[method]:.3f}" in result.summary_table
    rescans = published.query("kind == 'rescan' and cohort == 'oasis' and status == 'ok'")
    wide = rescans.pivot(index=PAIR, columns="method", values="dice")
    below = int((wide["clapirn"] < wide["affine"]).sum())
    assert below == 5
    assert f"{below} of 5" in result.rescan_text
    assert run.counts["reused"] == len(set(run.registrations["key"]))


def test_macaque(published):
    rows = published.query("cohort == 'macaque' and kind == 'between' and status == 'ok'")
    _, result = analyse("02_macaque")
    for size, name in (("true size", "standard"), ("human size", "human size")):
        verdict = result.verdicts[f"macaque: {size}"]
        mine = rows[rows["preprocessing"] == name]
        expected = subtract(mine, verdict.claim.first, verdict.claim.second)
        assert verdict.n_pairs == len(expected)
        if len(expected):
            assert verdict.estimate == pytest.approx(expected.mean(), abs=1e-12)
            assert verdict.verdict in ("not decidable here", "incomplete")  # three brains
    true_size = rows[rows["preprocessing"] == "standard"].groupby("method")["dice"].mean()
    assert true_size["clapirn"] < true_size["affine"]
    assert f"{true_size['clapirn']:.3f}" in result.size_text
    assert "do worse than no deformation" in result.opening.points[2]


def test_contrasts():
    run, result = analyse("03_contrasts")
    table = run.registrations
    table = table[(table["status"] == "ok") & (table["kind"] == "between")]
    judged = 0
    for name, verdict in result.verdicts.items():
        claim, arm = verdict.claim, name.split(": ")[0]
        if verdict.n_pairs == 0 or (arm in ARMS and ARMS[arm].label_sets):
            continue
        mine = table[table["arm"] == arm]
        if name.endswith(FRESH):  # all but the first 14 pairs of the plan
            planned = [e.task.pair for e in run.entries if e.arm == arm]
            fresh = list(dict.fromkeys((p.fixed.id, p.moving.id) for p in planned))[14:]
            mine = mine[[pair in fresh for pair in zip(mine["fixed"], mine["moving"], strict=True)]]
            assert verdict.n_pairs == 16
            assert verdict.word
            assert f"{FRESH[0]})** (re-analysis)" in result.verdict_text
        gaps = [
            subtract(mine[mine["condition"] == c], claim.first, claim.second)
            for c in (claim.condition, claim.reference)
        ]
        expected = (gaps[0] - gaps[1]).dropna()
        assert verdict.estimate == pytest.approx(expected.mean(), abs=1e-12)
        assert verdict.n_pairs == len(expected)
        judged += 1
    assert judged
    reference = {name: v.claim.reference for name, v in result.verdicts.items()}
    assert reference["synthesised: T2w"] == "T1w again"
    assert reference["nichart at 1 mm: FLAIR"] == "T1w thick"
    # What book/data.md says of the class Unlabeled of DLMUSE, label 1.
    scored = run.structures.query("label_set == 'dlmuse' and rule == 'nearest' and label > 1")
    means = scored.groupby("key")["dice"].mean()
    claim = result.verdicts["nichart at 1 mm: FLAIR"].claim
    mine = table[table["arm"] == "nichart at 1 mm"].assign(dice=lambda t: t["key"].map(means))
    gaps = [
        subtract(mine[mine["condition"] == c], claim.first, claim.second)
        for c in (claim.condition, claim.reference)
    ]
    without = (gaps[0] - gaps[1]).mean()
    assert without != result.verdicts["nichart at 1 mm: FLAIR"].estimate
    assert abs(without - result.verdicts["nichart at 1 mm: FLAIR"].estimate) < claim.margin / 100


def test_label_protocol(published):
    run, result = analyse("06_label_protocol")
    structures = pd.read_parquet(
        PUBLISHED / "structures.parquet",
        filters=[("rule", "==", "nearest"), ("label_set", "==", "manual"), ("label", ">", 0)],
    )
    between = run.registrations.query("kind == 'between' and arm == 'oasis'")[["key", "method"]]
    mine = between.merge(structures[["key", "dice"]], on="key")
    means = mine.groupby(["method", "key"])["dice"].mean().groupby("method").mean()
    means = means.reindex(result.values.index)
    assert result.values["default"].to_numpy() == pytest.approx(means.to_numpy(), abs=1e-9)
    assert result.ranks["default"].idxmin() == means.idxmax()


def test_statistics():
    run, result = analyse("08_statistics")
    rows = run.registrations.query("kind == 'between' and status == 'ok'")
    wide = rows.pivot(index=PAIR, columns="method", values="dice")
    methods = [m for m in wide if wide[m].notna().all() and m != "affine"]
    assert {*result.comparisons["first"], *result.comparisons["second"]} == set(methods)
    assert len(result.comparisons) == len(list(combinations(methods, 2)))
    for row in result.comparisons.itertuples():
        assert row.difference == pytest.approx(
            (wide[row.first] - wide[row.second]).mean(), abs=1e-12
        )
    # Holm's adjustment by its definition.
    p = result.comparisons["p"].to_numpy()
    order, running = np.argsort(p), 0.0
    for rank, k in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[k]))
        assert result.comparisons["p_holm"].iloc[k] == pytest.approx(running)
    clear = int((result.comparisons["p_holm"] < 0.05).sum())
    assert f"{clear} of {len(p)} differences" in result.opening.text
    # What is clear by itself can pass the correction: signs of ten subjects never could.
    n = result.comparisons["n_subjects"].max()
    assert len(p) * 2 / 2**n > 0.05
    assert result.comparisons["p_signs"].min() == pytest.approx(2 / 2**n)
    assert f"{len(p) * 2 / 2**n:.2f}" in result.comparison_table
    steady = result.comparisons.query("abs(difference) > 0.05")
    assert len(steady)
    assert (steady["p_holm"] < 0.05).all()
