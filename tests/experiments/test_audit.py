"""The figures of the audit are found again in the published tables."""

from __future__ import annotations

import re
from collections import defaultdict

import audit


def read_number(text: str) -> float | None:
    found = re.match(r"[-+]?\d+\.\d+", text)
    return float(found[0]) if found else None


def test_figures_of_the_audit_are_found_again(monkeypatch):
    monkeypatch.setattr(audit, "judge", lambda notebook: defaultdict(str))
    table = audit.compute()
    assert set(table["finding"]) == {1, 2, 4, 5, 6, 7, 11, 12, 13}
    runs = table[~table["what"].str.contains("greedy at 1 mm")]  # its registrations were not kept
    numbers = [
        (n, read_number(again))
        for said, again in zip(runs["audit"], runs["again"], strict=True)
        if (n := read_number(said)) is not None
    ]
    assert len(numbers) >= 15
    assert all(abs(said - again) <= 0.0006 + 0.01 * abs(said) for said, again in numbers), numbers
    for what in ("T1w, all choices", "rescans on which conditional LapIRN falls below the affine"):
        row = table.set_index("what").loc[what]
        assert row["again"] == row["audit"]
