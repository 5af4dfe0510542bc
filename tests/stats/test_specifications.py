"""The specification curve: every choice once, losses negative, what it says of itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulated import simulate_pairs

from lumirage_lib.stats import (
    Claim,
    VarianceComponents,
    compute_specifications,
    match_pairs,
    summarise_specifications,
)


@pytest.fixture
def table(rng) -> pd.DataFrame:
    """Networks a and b (b worse), baselines x and y, on the same pairs."""
    base = simulate_pairs(8, 24, VarianceComponents(1e-6, 1e-6, 1e-6), rng=rng)
    out = []
    networks = [("a", "network", 0), ("b", "network", -0.04)]
    for method, kind, shift in [*networks, ("x", "optimiser", 0), ("y", "optimiser", 0.02)]:
        rows = base[base["method"] == kind]
        noise = 1e-3 * rng.standard_normal(len(rows))
        out.append(rows.assign(method=method, dice=rows["dice"] + shift + noise))
    return pd.concat(out, ignore_index=True)


def test_every_choice_once(table):
    claim = Claim("t1w", "", "loses", ("a", "b"), ("x", "y"))
    curve = compute_specifications({"manual, Dice": (claim, table)})
    assert len(curve) == 1 + 2 + 2 + 4
    assert curve["estimate"].is_monotonic_increasing
    by_choice = curve.set_index("choice")
    expected = match_pairs(table, ("a",), ("x", "y")).difference.mean()
    assert by_choice.loc["without b", "estimate"] == pytest.approx(expected)
    assert by_choice.loc["b against y", "word"] == "loses, and it matters"
    assert by_choice.loc["a against x", "word"] == "equal within the margin"
    found = summarise_specifications(curve)
    assert found["n"] == 9
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert (found["least"], found["greatest"]) == (curve["estimate"].min(), curve["estimate"].max())


def test_rulers_are_variants_and_errors_are_turned(table):
    claim = Claim("t1w", "", "loses", ("a", "b"), ("x", "y"))
    error = Claim("t1w", "", "loses", ("a", "b"), ("x", "y"), measure="hd95_mm", margin=0.1)
    worse = table.assign(hd95_mm=-10 * table["dice"])
    curve = compute_specifications({"Dice": (claim, table), "HD95": (error, worse)})
    wide = curve.pivot(index="choice", columns="variant", values="estimate")
    np.testing.assert_allclose(wide["HD95"], 10 * wide["Dice"])
    words = curve.pivot(index="choice", columns="variant", values="word")
    assert (words["HD95"] == words["Dice"]).all()


def test_nothing_to_specify():
    assert summarise_specifications(compute_specifications({}))["n"] == 0
