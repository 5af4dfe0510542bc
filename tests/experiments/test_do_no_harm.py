"""Notebook 09: what is known of the truth is found again by the analysis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.book import notebooks
from lumirage_lib.cohorts.atrophy import find_labels, find_reached
from lumirage_lib.experiments import Run, list_tasks, plan_notebook
from lumirage_lib.experiments.do_no_harm import analysis, figures, measures, volumes
from lumirage_lib.experiments.do_no_harm.plan import (
    ATROPHY,
    BACK,
    COUPLES,
    IDENTITY,
    RESCAN,
    THERE,
    UNCHANGED,
    VOLUMES,
    plan_harm,
)
from lumirage_lib.experiments.families import CORE, Families
from lumirage_lib.methods import family_of
from lumirage_lib.runs.fields import keep_field

PARAMETERS = notebooks.resolve_parameters("09_do_no_harm", "smoke") | {
    "doses": [0.0, 0.04, 0.08], "n_followed": 3, "field_methods": ["greedy", "clapirn"],
    "methods": ["greedy", "clapirn"], "n_subjects": 6, "n_pairs": 6,
}  # fmt: skip
EVERYONE = [*CORE.methods, "vfa"]
# Share of the true change that a method finds, and what it adds everywhere.
SEEN = {"greedy": 0.7, "fireants-greedy": 0.8, "clapirn": 0.4, "lapirn-disp": 0.5, "vfa": 0.1}
ADDED = {"greedy": 0.01, "fireants-greedy": 0.02, "clapirn": 0.03, "lapirn-disp": 0.04, "vfa": 0.2}
PROPAGATED = {"greedy": 0.02, "clapirn": 0.10}  # bias of propagated volumes, of others none


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run(PARAMETERS)


def make_run(parameters) -> Run:
    entries = plan_harm(parameters)
    names = entries[0].task.get_cohort().label_sets["manual"]["name"]
    rng = np.random.default_rng(0)
    volume = {f"T{i:02d}": 4000 * (1 + 0.1 * rng.standard_normal()) for i in range(1, 9)}
    rows, structures = [], {}
    for e in entries:
        task, pair = e.task, e.task.pair
        rows.append(
            {
                "key": task.key, "arm": e.arm, "condition": e.condition, "dose": e.dose,
                "method": task.method, "family": family_of(task.method), "kind": pair.kind,
                "fixed": pair.fixed.id, "moving": pair.moving.id,
                "fixed_subject": pair.fixed.subject, "moving_subject": pair.moving.subject,
                "status": "ok", "dice": 0.7, "sd_log_j": 10 * ADDED[task.method],
                "fixed_voxel_mm3": 125.0, "moving_voxel_mm3": 125.0,
            }
        )  # fmt: skip
        for label, name in names.items():
            hit = "Hippocampus" in name if e.arm == ATROPHY else False
            change = -(e.dose or 0) * SEEN[task.method] if hit else 0.0
            n = round(volume[pair.fixed.subject])
            moved = n * (1 + PROPAGATED.get(task.method, 0)) + 40 * rng.standard_normal()
            structures[(task.key, label)] = {
                "key": task.key, "label_set": "manual", "rule": "nearest", "label": label,
                "n_fixed": n, "n_moved": moved, "j_mean": 1 + change + ADDED[task.method],
            }  # fmt: skip
    return Run(pd.DataFrame(rows), pd.DataFrame(structures.values()), {}, {}, entries, Path("none"))


@pytest.fixture(scope="module")
def result(run):
    return analysis.analyse(run, PARAMETERS)


def test_a_figure_counts_what_it_shows(result):
    assert set(result.designs) >= {"atrophy", "unchanged", "volumetry"}
    assert result.designs["atrophy"] == "3 ordered pairs of 3 subjects."


def test_slope_and_intercept_are_those_put_in(result):
    for row in result.lines.itertuples():
        assert row.slope == pytest.approx(SEEN[row.method], abs=1e-9)
        assert row.intercept == pytest.approx(ADDED[row.method], abs=1e-9)
        assert row.n_subjects == 3
    # What is added everywhere is the intercept, and no part of what was seen.
    assert "(hippocampus), fields show this share: iterative" in result.opening.headline
    assert "share: iterative methods 0.70, networks 0.40." in result.opening.headline
    # Of a loss of 8 %: 0.7 x 8 - 1 and 0.4 x 8 - 3; what is added is growth.
    assert "loss of 8 % of the hippocampus (3 subjects)" in result.opening.text
    assert "iterative methods 4.6, networks 0.2" in result.opening.text
    assert (
        "they show a loss, in %, of: iterative methods −1.0, networks −3.0." in result.opening.text
    )
    assert "−4.6 %" in result.atrophy_table


def test_what_is_in_no_declared_family_stands_beside_them():
    more = {"methods": EVERYONE, "field_methods": EVERYONE, "n_subjects": 4, "n_pairs": 5}
    found = analysis.analyse(make_run(PARAMETERS | more), PARAMETERS | more)
    assert found.opening.headline == (
        "Of a known change of volume (hippocampus), fields show this share: iterative methods 0.70 to 0.80, "
        "networks 0.40 to 0.50."
    )
    # Of 8 %: 8 times what is seen, less what is added.
    beside = "beside them VFA (ours, 2 mm)"
    assert (
        f"iterative methods 4.4 to 4.6, networks 0.0 to 0.2, {beside} −19.2." in found.atrophy_text
    )
    assert f"of: iterative methods −2.0 to −1.0, networks −4.0 to −3.0, {beside} −20.0." in (
        found.atrophy_text
    )
    assert "by 2 of 2 iterative methods and 2 of 2 networks, beside them by VFA (ours, 2 mm)." in (
        found.atrophy_text
    )
    assert f"networks 3.0 to 4.0, {beside} 20.0; between doses" in found.atrophy_text
    assert f"networks 0.30 to 0.40, {beside} 2.00." in found.invented_text
    assert beside in found.volumes_text
    none = analysis._count_clear(pd.Series({"clapirn": True, "greedy": False, "vfa": False}), CORE)
    assert (
        none == "0 of 1 iterative methods and 1 of 1 networks, beside them not by VFA (ours, 2 mm)"
    )


def test_what_is_found_without_a_change_is_the_mean_of_the_table_not_the_line():
    """On a curve the line through all doses leaves the mean at none."""
    found = {0.0: -0.02, 0.04: -0.03, 0.08: -0.09}
    changes = pd.DataFrame(
        [
            {"structure": "hippocampus", "dose": dose, "method": "greedy", "family": "iterative",
             "fixed_subject": who, "true": -dose, "change": change}
            for dose, change in found.items()
            for who in "abc"
        ]
    )  # fmt: skip
    none, families = pd.Series(dtype=object), Families((), ("greedy",))
    lines = volumes.fit_doses(changes)
    assert lines["intercept"].iloc[0] > -0.015
    table = analysis._atrophy_table(changes, lines, none)
    said = analysis._atrophy_text(changes, families, none)
    assert "| −2.0 %" in table
    assert "Where it did not change, they show a loss, in %, of: iterative methods 2.0." in said
    alone = analysis._atrophy_text(changes[changes["dose"] > 0], families, none)
    assert "did not change" not in alone


def test_ranges_are_over_structures_as_the_tables_are():
    """What two structures have is not averaged away."""
    lines = pd.DataFrame(
        [
            {"structure": s, "method": "greedy", "family": "iterative", "intercept_low": -1.0,
             "intercept_high": 1.0, "intercept_sd": sd}
            for s, sd in (("ventricle", 0.018), ("hippocampus", 0.005))
        ]
    )  # fmt: skip
    families = Families((), ("greedy",))
    assert "in %): iterative methods 0.5 to 1.8." in analysis._zero_text(lines, families)
    elsewhere = pd.DataFrame(
        [("ventricle", 0.0, 0.07), ("ventricle", 0.08, 0.071),
         ("hippocampus", 0.0, 0.05), ("hippocampus", 0.08, 0.049)],
        columns=["structure", "dose", "invented"],
    ).assign(method="greedy")  # fmt: skip
    said = analysis._elsewhere_text(elsewhere, families)
    assert "in %): iterative methods 4.9 to 7.1; between doses of one structure it" in said
    assert "at most 0.10. The largest is 7.1 %" in said


def test_volumes_under_all_images_are_of_the_same_pairs():
    few = PARAMETERS | {"contrasts": ["T2w"], "n_contrast_pairs": 3, "n_followed": 1}
    found = analysis.analyse(make_run(few), few)
    assert set(found.volumes["condition"]) == {"T1w", "T2w"}
    assert set(found.volumes["n_pairs"]) == {3}
    assert found.designs["volumetry"].startswith("3 ordered pairs of ")


def test_methods_are_compared_on_the_subjects_that_all_have(run, result):
    """One network was run on the subject whose change is hardest to see, the others on all three."""
    rows, mine = run.registrations, run.registrations["arm"] == ATROPHY
    hard = rows.loc[mine, "fixed_subject"].iloc[0]
    weak = run.structures["key"].isin(rows.loc[mine & rows["fixed_subject"].eq(hard), "key"])
    less = 1 + (run.structures["j_mean"] - 1) / 4
    structures = run.structures.assign(j_mean=run.structures["j_mean"].mask(weak, less))
    kept = ~mine | rows["method"].ne("clapirn") | rows["fixed_subject"].eq(hard)
    half = analysis.analyse(
        replace(run, registrations=rows[kept], structures=structures), PARAMETERS
    )
    assert set(half.changes["fixed_subject"]) == {hard}
    seen = half.lines.set_index("method")["slope"]
    assert seen["greedy"] == pytest.approx(SEEN["greedy"] / 4)
    assert seen["clapirn"] == pytest.approx(SEEN["clapirn"] / 4)
    assert "(1 subject)" in half.atrophy_text
    elsewhere = half.tables["elsewhere"]  # of the same subject: a quarter of what is found there
    for row in elsewhere.itertuples():
        assert row.invented == pytest.approx(ADDED[row.method] / 4, abs=1e-9)


def test_either_structure_and_every_dose_has_its_cell(run):
    changes = pd.DataFrame(
        [
            {"structure": s, "dose": d, "method": "greedy", "family": "iterative"}
            | {
                "fixed_subject": who,
                "true": measures.SIGN[s] * d,
                "change": measures.SIGN[s] * d / 2,
            }
            for s in ("hippocampus", "ventricle")
            for d in (0.0, 0.04, 0.08)
            for who in "abc"
            if (s, d) != ("ventricle", 0.08)
        ]
    )
    none = pd.Series(dtype=object)
    families = Families((), ("greedy",))
    table = analysis._atrophy_table(changes, volumes.fit_doses(changes), none)
    assert "nan" not in table
    head = table.splitlines()[0]
    assert head.index("no change") < head.index("true 4 %") < head.index("true 8 %")
    said = analysis._atrophy_text(changes, families, none)
    assert "loss of 8 % of the hippocampus" in said
    assert "growth of 4 % of the ventricle" in said


def test_a_mean_without_change_is_told_where_it_is_clear_of_zero():
    """One method finds the same everywhere, one what differs from person to person."""
    found = {"greedy": [0.009, 0.010, 0.012, 0.013], "clapirn": [-0.05, 0.04, -0.03, 0.05]}
    changes = pd.DataFrame(
        [
            {"structure": "ventricle", "dose": dose, "method": method, "fixed_subject": str(n),
             "family": "iterative" if method == "greedy" else "deep",
             "change": dose + value, "true": dose}
            for method, values in found.items()
            for n, value in enumerate(values)
            for dose in (0.0, 0.04, 0.08)
        ]
    )  # fmt: skip
    lines = volumes.fit_doses(changes)
    for row in lines.itertuples():
        assert row.intercept_sd == pytest.approx(np.std(found[row.method], ddof=1))
    families = Families(("clapirn",), ("greedy",))
    said = analysis._zero_text(lines, families)
    assert (
        "clear of 0 (95 %) in the ventricle by 1 of 1 iterative methods and 0 of 1 networks."
        in said
    )
    assert "only the moving image is interpolated again" in said
    assert "(SD by structure, in %): iterative methods 0.2, networks 5.0." in said
    none = analysis._zero_text(lines[lines["method"] == "clapirn"], families)
    assert "in the ventricle by 0 of 1 networks. It scatters" in none
    two = volumes.fit_doses(changes[changes["fixed_subject"].isin(["0", "1"])])
    assert analysis._zero_text(two, families) == ""  # of two people no interval is known


def test_failures_under_a_known_change_are_said(run):
    rows, mine = run.registrations, run.registrations["arm"] == ATROPHY
    lost = mine & rows["method"].eq("clapirn")
    some = replace(
        run,
        registrations=rows.assign(status=np.where(lost, "failed", "ok")),
        structures=run.structures[~run.structures["key"].isin(rows.loc[lost, "key"])],
    )
    found = analysis.analyse(some, PARAMETERS)
    assert "conditional LapIRN failed on 9 of 9 registrations" in found.atrophy_text
    assert "iterative methods 0.70" in found.opening.headline
    gone = replace(
        run,
        registrations=rows.assign(status=np.where(mine, "failed", "ok")),
        structures=run.structures[~run.structures["key"].isin(rows.loc[mine, "key"])],
    )
    assert (
        "Every registration of a known loss failed"
        in analysis.analyse(gone, PARAMETERS).opening.headline
    )


def test_what_is_found_elsewhere_is_invented(result):
    elsewhere = result.tables["elsewhere"]
    for row in elsewhere.itertuples():
        assert row.invented == pytest.approx(ADDED[row.method], abs=1e-9)
    assert "is 3.0 %, by conditional LapIRN" in result.atrophy_text
    assert "in %): iterative methods 1.0, networks 3.0; between doses" in result.atrophy_text
    assert "differs by at most 0.00." in result.atrophy_text
    families = Families(("clapirn",), ("greedy",))
    one = analysis._elsewhere_text(elsewhere[elsewhere["dose"] == 0.08], families)
    assert "networks 3.0. The largest" in one  # of one dose nothing is said of others


def test_neighbours_that_the_change_moves_are_not_called_invented(run, result):
    reached = find_reached("template", "hippocampus")
    own = set(find_labels(run.tasks[0].get_cohort(), "hippocampus"))
    beside = min(reached - own)
    assert own < reached < set(run.structures["label"])
    moved = run.structures["label"] == beside
    other = run.structures.assign(j_mean=run.structures["j_mean"].mask(moved, 1.5))
    again = analysis.analyse(replace(run, structures=other), PARAMETERS)
    pd.testing.assert_frame_equal(again.tables["elsewhere"], result.tables["elsewhere"])


def test_invented_change_is_of_pairs_without_a_change(result):
    rows = result.invented.set_index(["condition", "method"])
    assert set(rows.index.get_level_values(0)) == {IDENTITY}  # nobody was scanned twice here
    assert rows.loc[(IDENTITY, "clapirn"), "volume"] == pytest.approx(0.03, abs=1e-9)
    assert rows.loc[(IDENTITY, "greedy"), "sd_log_j"] == pytest.approx(0.1)
    assert "Between a scan and itself" in result.opening.text


def test_volumetry_has_bias_spread_and_what_a_study_needs(run, result):
    table = result.volumes.query("structure == 'hippocampus'").set_index("method")
    for method, row in table.iterrows():
        assert row["bias"] == pytest.approx(PROPAGATED[method], abs=0.01)
        # By hand, from the rows of the run.
        mine = run.registrations.query("arm == @VOLUMES and method == @method")
        names = run.tasks[0].get_cohort().label_sets["manual"]["name"]
        labels = names.index[names.str.contains("Hippocampus")]
        rows = run.structures[run.structures["label"].isin(labels)].merge(mine, on="key")
        sums = rows.groupby("key")[["n_fixed", "n_moved"]].sum()
        r = np.corrcoef(sums["n_fixed"], sums["n_moved"])[0, 1]
        assert row["r"] == pytest.approx(r)
        assert row["r_low"] < r < row["r_high"]
        assert row["n_needed"] == pytest.approx(row["n_manual"] / r**2)
        spread = sums["n_fixed"].std() / sums["n_fixed"].mean()
        assert row["n_manual"] == pytest.approx(2 * (2.8016 * spread / 0.05) ** 2, rel=1e-3)


def test_couples_are_measured_from_kept_fields(run, tmp_path, monkeypatch):
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    assert measures.measure_couples(run, "smoke").empty
    none = measures.measure_couples(run, "smoke")
    assert "Not measured" in analysis._couples_text(none, CORE)
    couple = [e for e in run.entries if e.arm == COUPLES and e.task.method == "greedy"]
    assert [e.condition for e in couple] == [THERE, BACK]
    shape = couple[0].task.get_cohort().load_image(couple[0].task.pair.fixed).shape
    field = np.zeros((3, *shape), np.float32)
    for shift, e in ((1.0, couple[0]), (-0.5, couple[1])):
        field[0] = shift
        assert keep_field(e.task.key, field, np.eye(4))
    (row,) = measures.measure_couples(run, "smoke").to_dict("records")
    assert row["ice_mean_mm"] == pytest.approx(0.5 * PARAMETERS["spacing_mm"], rel=1e-3)


def test_published_plan_shares_the_rows_of_other_notebooks():
    entries = plan_harm(notebooks.resolve_parameters("09_do_no_harm", "open"))
    mine = {e.arm: [x for x in entries if x.arm == e.arm] for e in entries}
    known = {
        t.key
        for n in ("01_in_distribution", "03_contrasts")
        for t in list_tasks(plan_notebook(n, notebooks.resolve_parameters(n, "open")))
    }
    assert {e.task.key for e in mine[VOLUMES]} <= known
    rescans = [e for e in mine[UNCHANGED] if e.condition == RESCAN]
    assert {e.task.key for e in rescans} <= known
    # Five couples are among the twenty pairs, in both directions.
    there = {e.task.pair for e in mine[COUPLES] if e.condition == THERE}
    assert len(there) == 5
    pairs = {e.task.pair for e in mine[VOLUMES] if e.condition == "T1w"}
    assert there <= pairs
    assert {replace(p, fixed=p.moving, moving=p.fixed) for p in there} <= pairs
    followed = {(e.condition, e.dose, e.task.pair.fixed.subject) for e in mine[ATROPHY]}
    assert len(followed) == 2 * 4 * 6


def test_empty_run_has_its_sentences_and_figures(run, result):
    empty = replace(run, registrations=run.registrations.iloc[:0], structures=pd.DataFrame())
    found = analysis.analyse(empty, PARAMETERS)
    assert "stays open" in found.opening.text
    for plot, table in (
        (figures.plot_atrophy, result.changes),
        (figures.plot_invented, result.invented),
        (figures.plot_volumes, result.volumes),
    ):
        plot(table)
    assert volumes.count_subjects(0.1) == pytest.approx(63, abs=0.5)


def test_headline_says_what_was_found_without_a_change_until_a_loss_is_registered(run, result):
    rows = run.registrations
    before = replace(run, registrations=rows[rows["arm"] != ATROPHY])
    opening = analysis.analyse(before, PARAMETERS).opening
    assert opening.headline.startswith("Where nothing changed, log Jacobians still spread (SD: ")
    assert opening.headline.endswith("No known loss was registered yet.")
    assert len(opening.headline.split()) <= 25


def test_numbers_of_subjects_are_open_where_the_correlation_may_be_zero(result):
    some = result.volumes.assign(r=0.3, r_low=-0.2, r_high=0.7, n_manual=70.0, n_needed=777.0)
    assert "70 → open" in analysis._volumes_table(some, "manual")
    assert "777" not in analysis._volumes_table(some, "manual")
    assert "70 → 780" in analysis._volumes_table(some.assign(r_low=0.1), "manual")


def test_labels_of_generated_brains_are_not_called_manual(result):
    assert "correlation with the template's own (95 %)" in result.volumes_table
    assert "anual" not in result.volumes_table + result.limits
    assert "raters" not in result.limits  # nobody was scanned twice


def test_of_one_dose_the_share_is_called_a_ratio(result):
    one = PARAMETERS | {"doses": [0.08]}
    found = analysis.analyse(make_run(one), one)
    # What is added is in it.
    shares = analysis._find_shares(found.changes, found.lines)["hippocampus"]
    assert shares["greedy"] == pytest.approx(0.7 - 0.01 / 0.08)
    assert found.opening.headline == (
        "Of one known change of volume (hippocampus), fields show this ratio: iterative methods "
        f"{shares['greedy']:.2f}, networks {shares['clapirn']:.2f}."
    )
    assert "the share is a ratio, not a slope" in found.opening.text
    assert "ratio" not in result.opening.text


def test_who_stands_for_either_side_is_said_where_the_families_are_not_declared(result):
    assert "| greedy " in result.sides_text
    more = {"methods": EVERYONE, "field_methods": EVERYONE, "n_subjects": 4, "n_pairs": 5}
    assert analysis.analyse(make_run(PARAMETERS | more), PARAMETERS | more).sides_text == ""
