"""Robust summaries: the worst end of every measure, and failures beside the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.errors import InputError
from lumirage_lib.stats import compute_drops, compute_worst, summarise, summarise_drops


def test_worst_30_percent_is_the_bad_end_of_every_measure():
    values = np.arange(1.0, 11)
    assert compute_worst(values, error=False) == 2  # the three lowest Dice
    assert compute_worst(values, error=True) == 9  # the three largest distances
    assert compute_worst([5.0], error=True) == 5
    assert compute_worst([1.0, np.nan, 2.0, 3.0], error=False) == 1
    assert np.isnan(compute_worst([np.nan], error=False))


def test_summary_counts_failures_by_kind(table):
    table.loc[table.index[:3], "status"] = ["timeout", "timeout", "out_of_memory"]
    table.loc[table.index[3], "dice"] = np.nan
    row = summarise(table).set_index("method").loc["network"]
    assert (row["n_pairs"], row["n_failed"]) == (26, 4)
    assert row["failures"] == "2 timeout, 1 out_of_memory, 1 no dice"
    good = table[(table["method"] == "network")].iloc[4:]["dice"]
    assert row["median"] == pytest.approx(good.median())
    assert row["iqr"] == pytest.approx(good.quantile(0.75) - good.quantile(0.25))
    assert row["worst30"] == pytest.approx(good.nsmallest(8).mean())


def test_summary_of_an_error_metric_looks_at_the_top(table):
    table["hd95_mm"] = 10 * (1 - table["dice"])
    row = summarise(table, "hd95_mm").iloc[0]
    assert row["worst30"] > row["q3"]


def test_method_that_never_succeeds_keeps_its_row(table):
    table.loc[table["method"] == "network", "status"] = "out_of_memory"
    row = summarise(table).set_index("method").loc["network"]
    assert (row["n_pairs"], row["n_subjects"], row["n_failed"]) == (0, 0, 30)
    assert np.isnan(row["median"])


def test_unknown_direction_or_column_is_refused(table):
    table["score"] = table["dice"]
    with pytest.raises(InputError, match="direction"):
        summarise(table, "score")
    assert len(summarise(table, "score", error=False)) == 2
    with pytest.raises(InputError, match="group by"):
        summarise(table, by=("cohort",))


@pytest.fixture
def perturbed(shift) -> pd.DataFrame:
    """Two perturbations: T2w hurts, flip does nothing."""
    same = shift[shift["condition"] == "T1w"].assign(condition="flip")
    return pd.concat([shift, same], ignore_index=True)


def test_drops_are_positive_where_a_method_got_worse(perturbed, rng):
    drops = compute_drops(perturbed, ["network", "optimiser"], reference="T1w")
    drops = drops.set_index(["method", "condition"])
    assert drops.loc[("network", "T2w"), "drop"] == pytest.approx(0.07, abs=0.002)
    assert drops.loc[("optimiser", "T2w"), "drop"] == pytest.approx(0.02, abs=0.002)
    assert drops.loc[("network", "flip"), ["drop", "low", "high"]].tolist() == [0, 0, 0]
    perturbed["hd95_mm"] = -perturbed["dice"]
    mirrored = compute_drops(perturbed, ["network"], reference="T1w", measure="hd95_mm")
    assert mirrored["drop"].iloc[0] == pytest.approx(0.07, abs=0.002)


def test_intervals_of_drops_hold_together(perturbed):
    """With two perturbations each interval is as wide as a single one of level 97.5 %."""
    both = compute_drops(perturbed, ["network"], reference="T1w").iloc[0]
    single = compute_drops(
        perturbed, ["network"], reference="T1w", conditions=["T2w"], level=0.975
    ).iloc[0]
    assert (both["low"], both["high"]) == pytest.approx((single["low"], single["high"]))


def test_worst_case_and_mean(perturbed, rng):
    failing = (perturbed["condition"] == "flip") & (perturbed["method"] == "network")
    perturbed.loc[perturbed.index[failing][:2], "status"] = "failed"
    drops = compute_drops(perturbed, ["network"], reference="T1w")
    row = summarise_drops(drops).iloc[0]
    assert row["worst_condition"] == "T2w"
    assert row["worst"] == pytest.approx(drops["drop"].max())
    assert row["mean"] == pytest.approx(drops["drop"].mean())
    assert (row["n_failed"], row["n_pairs"]) == (2, 22)


def test_perturbation_that_always_fails_is_shown_as_such(perturbed, rng):
    perturbed.loc[perturbed["condition"] == "flip", "status"] = "failed"
    drops = compute_drops(perturbed, ["network"], reference="T1w")
    flip = drops.set_index("condition").loc["flip"]
    assert np.isnan(flip["drop"])
    assert (flip["n_pairs"], flip["n_failed"]) == (0, 24)
    row = summarise_drops(drops).iloc[0]  # worse than any number
    assert row["worst_condition"] == "flip"
    assert np.isnan(row[["worst", "low", "high", "mean"]].astype(float)).all()
