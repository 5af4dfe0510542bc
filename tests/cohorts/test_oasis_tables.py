"""The tables of the package are those of the source."""

from __future__ import annotations

import pandas as pd
import pytest

from lumirage_lib.cohorts import get_cohort
from lumirage_lib.cohorts.oasis import manual_labels, read_source_tables, scans


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
