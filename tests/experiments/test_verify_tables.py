"""Headlines are found again from the tables, and a changed table is found out."""

from __future__ import annotations

import pandas as pd
import pytest

from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments.verify_tables import recompute_headlines
from lumirage_lib.runs.profiles import notebooks_of, project_root

PUBLISHED = project_root() / "results" / "open"


def test_headlines_of_the_published_run_are_found_again():
    parameters = {name: resolve_parameters(name, "open") for name in notebooks_of("open")}
    found = recompute_headlines(PUBLISHED, parameters)
    assert len(found) > 50
    assert found["same"].all()
    shares = found["number"].str.startswith("share of a known change, ")
    assert shares.sum() == 5
    assert {"01_in_distribution", "03_contrasts", "05_preprocessing"} <= set(found["notebook"])


def test_changed_overlap_is_found_out(tmp_path):
    table = pd.read_parquet(PUBLISHED / "structures.parquet")
    keys = pd.read_parquet(PUBLISHED / "registrations.parquet").query("cohort == 'macaque'")["key"]
    table.loc[table["key"].isin(keys), "dice"] *= 1.001
    table.to_parquet(tmp_path / "structures.parquet")
    parameters = {"02_macaque": resolve_parameters("02_macaque", "open")}
    found = recompute_headlines(tmp_path, parameters)
    assert not found["same"].any()
    assert found["tables"].to_numpy() == pytest.approx(1.001 * found["book"].to_numpy())


def test_changed_jacobians_are_found_out(tmp_path):
    table = pd.read_parquet(PUBLISHED / "structures.parquet")
    rows = pd.read_parquet(PUBLISHED / "registrations.parquet").query("cohort == 'atrophy'")
    table = table[table["key"].isin(rows["key"])]
    mine = table["key"].isin(rows.query("method == 'greedy'")["key"])
    table.loc[mine, "j_mean"] = 1 + (table.loc[mine, "j_mean"] - 1) / 2
    table.to_parquet(tmp_path / "structures.parquet")
    found = recompute_headlines(
        tmp_path, {"09_do_no_harm": resolve_parameters("09_do_no_harm", "open")}
    )
    shares = found[found["number"].str.startswith("share")].set_index("number")
    changed = shares.index.str.endswith(", greedy")
    assert shares["same"].tolist() == (~changed).tolist()
    (row,) = shares[changed].itertuples()
    assert row.tables == pytest.approx(row.book / 2)
