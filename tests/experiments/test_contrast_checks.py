"""Sentences about the checks of notebook 03, on tables whose numbers are known."""

from __future__ import annotations

import pandas as pd

from lumirage_lib.experiments.contrasts import checks as checks_module
from lumirage_lib.experiments.contrasts.checks import (
    FILES,
    describe_alignment,
    describe_fusion,
    describe_levels,
    load_checks,
)

TISSUES = ("CSF", "grey matter", "white matter")


def levels(synthesised=(1.0, 0.4, 0.2)) -> pd.DataFrame:
    rows = []
    images = {"real": (1.0, 0.5, 0.4), "synthesised": synthesised}
    for source, medians in images.items():
        for scan in ("a", "b"):
            for tissue, median in zip(TISSUES, medians, strict=True):
                cnr = (median - medians[1]) / 0.05
                rows.append((source, "T2w", scan, tissue, median, 0.05, cnr))
    columns = ["source", "condition", "scan", "tissue", "median", "sd", "cnr_grey"]
    return pd.DataFrame(rows, columns=columns)


def test_real_and_synthesised_tissues_stand_side_by_side():
    said = describe_levels(levels())
    assert "| T2w | real | 2 | CSF, grey, white | +10.0 | −2.0 |" in said
    assert "| T2w | synthesised | 2 | CSF, grey, white | +12.0 | −4.0 |" in said
    assert "The order of the tissues is the same in T2w." in said
    assert "as real ones: CSF and grey matter 1.2 in T2w; white and grey matter 2.0 in T2w." in said
    assert "These are real and synthesised images of 2 people, without an interval" in said


def test_images_of_other_people_are_no_measure_of_the_synthesis():
    table = levels()
    made = table["source"] == "synthesised"
    table["scan"] = table["scan"].where(~made, table["scan"] + " made")
    said = describe_levels(table)
    assert "harder" not in said
    assert (
        "These are real images of 2 people, synthesised ones of 2 others, from another scanner"
        in said
    )


def test_another_order_is_said():
    said = describe_levels(levels(synthesised=(1.0, 0.2, 0.4)))
    assert "The order of the tissues differs in T2w." in said


def test_fusion_is_shown_by_rule_best_first():
    table = pd.DataFrame(
        [(s, r, d, 139, 14) for s, r, d in (
            ("x", "one atlas", 0.5), ("x", "joint fusion", 0.7),
            ("y", "one atlas", 0.6), ("y", "joint fusion", 0.8),
        )],
        columns=["scan", "rule", "dice", "n_labels", "n_atlases"],
    )  # fmt: skip
    said = describe_fusion(table)
    assert "| scan left out | joint fusion | one atlas |" in said
    assert "| mean | 0.750 | 0.550 |" in said
    assert "139 manual labels of 2 scans, each labelled from 14 others" in said


def test_alignment_counts_the_scans_that_it_helped():
    table = pd.DataFrame(
        {"scan": ["a", "b"], "before": [0.1, 0.4], "after": [0.4, 0.3], "shift_mm": [12.0, 0.5]}
    )
    said = describe_alignment(table)
    assert "raised it in 1 of 2 scans; lowest after it 0.300, before it 0.100" in said


def test_checks_of_the_published_run_are_there_and_a_live_page_points_to_them():
    checks = load_checks("open")
    texts = (checks.levels_text, checks.fusion_text, checks.alignment_text)
    assert all("|---" in text and "has not been run" not in text for text in texts)
    assert "3 others, from another scanner" in checks.levels_people
    live = load_checks("demo")
    assert (live.levels, live.levels_text, live.fusion_text, live.alignment_text) == (
        None,
        "",
        "",
        "",
    )
    assert "[its chapter](03_contrasts_open.ipynb)" in live.about
    assert "has not been run" not in live.about


def test_one_check_that_was_not_run_is_said(tmp_path, monkeypatch):
    folder = tmp_path / "results" / "open"
    folder.mkdir(parents=True)
    levels().to_csv(folder / FILES["levels"])
    monkeypatch.setattr(checks_module, "project_root", lambda: tmp_path)
    found = load_checks("open")
    assert "fusion` has not been run" in found.fusion_text
    assert "has not been run" not in found.levels_text
