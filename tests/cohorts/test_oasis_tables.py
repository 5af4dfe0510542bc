"""The tables of the package are those of the source."""

from __future__ import annotations

import pandas as pd
import pytest

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.base import structure_group
from lumirage_lib.cohorts.oasis import REPOSITORY, manual_labels, scans
from lumirage_lib.cohorts.sources import fetch, find_sources, get_source


def read_source_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scans (id, subject, group) and labels (name, group) as the source's own tables have them."""
    table = pd.read_excel(
        fetch(get_source(REPOSITORY, "inst/demographics.xlsx")), dtype={"id": str}
    )
    files = find_sources(REPOSITORY, "inst/extdata")
    there = {s.path.rsplit("/", 1)[1].split("_")[0] for s in files}
    scans = table[table["id"].isin(there)].rename(columns={"Subject": "subject"})
    labels = pd.read_csv(
        fetch(get_source(REPOSITORY, "inst/MICCAI-Challenge-2012-Label-Information.csv"))
    )
    labels = labels.set_axis(["label", "name", "class"], axis=1).set_index("label")
    group = [structure_group(n, str(name)) for n, name in labels["name"].items()]
    return (
        scans[["id", "subject", "group"]].reset_index(drop=True),
        labels.assign(group=group)[["name", "group"]],
    )


@pytest.mark.mirror
def test_packaged_tables_equal_the_source():
    theirs, labels = read_source_tables()
    mine = pd.DataFrame([(s.id, s.subject, s.group) for s in scans()], columns=theirs.columns)
    pd.testing.assert_frame_equal(mine, theirs, check_dtype=False)
    pd.testing.assert_frame_equal(manual_labels(), labels, check_dtype=False)


def test_planning_on_oasis_needs_no_network(monkeypatch):
    monkeypatch.setenv("LUMIRAGE_MIRROR", "http://127.0.0.1:9")  # nobody listens there
    cohort = get_cohort("oasis")
    assert len(cohort.scans) == 30
    assert all(cohort.fingerprint(scan) for scan in cohort.scans)
