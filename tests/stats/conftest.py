"""Tables of registrations for the statistics' tests."""

from __future__ import annotations

import pandas as pd
import pytest
from simulated import simulate_pairs

from lumirage_lib.stats import VarianceComponents

COMPONENTS = VarianceComponents(fixed=4e-4, moving=4e-4, residual=4e-4)


@pytest.fixture
def table(rng) -> pd.DataFrame:
    """10 subjects, 30 pairs, two methods, no true difference."""
    return simulate_pairs(10, 30, COMPONENTS, rng=rng)


@pytest.fixture
def shift(rng):
    """Table under T1w and T2w, where the network truly loses 0.05 more; differences are small."""
    quiet = VarianceComponents(1e-6, 1e-6, 1e-6)
    t1 = simulate_pairs(8, 24, quiet, rng=rng)
    t2 = t1.assign(condition="T2w")
    t2["dice"] -= t2["method"].map({"network": 0.07, "optimiser": 0.02})
    t2["dice"] += 0.001 * rng.standard_normal(len(t2))
    return pd.concat([t1, t2], ignore_index=True)
