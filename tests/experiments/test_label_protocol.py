"""Rulers on made-up structures, of which the answer is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.book import notebooks
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import Run, list_tasks, load
from lumirage_lib.experiments.contrasts.plan import plan_contrasts
from lumirage_lib.experiments.families import ALL, CORE, Families
from lumirage_lib.experiments.label_protocol import analysis, drawn, figures, regularity
from lumirage_lib.experiments.label_protocol.analysis import (
    POOLED,
    RULERS,
    Ruler,
    mean_of_worst,
    measure,
)
from lumirage_lib.experiments.label_protocol.plan import CURVE, plan_rulers
from lumirage_lib.experiments.sentences import show

BY_NAME = {r.name: r for r in RULERS}


@pytest.fixture
def structures() -> pd.DataFrame:
    """Two pairs, two structures; the large one overlaps well, the small one is lost in pair 2."""
    rows = []
    for pair, small in (("1", 0.5), ("2", 0.0)):
        for label, size, dice in ((0, 1000, 0.99), (1, 90, 0.9), (2, 10, small)):
            group = {0: None, 1: "cortical", 2: "subcortical"}[label]
            hd95 = None if dice == 0 else 10 * (1 - dice)
            rows.append(("m", "a", pair, "manual", "nearest", label, group, size, dice, hd95))
    names = ["method", "fixed", "moving", "label_set", "rule", "label", "group", "n_fixed", "dice"]
    return pd.DataFrame(rows, columns=[*names, "hd95_mm"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("default", (0.7 + 0.45) / 2),
        ("cortical labels", 0.9),
        ("subcortical labels", 0.25),
        ("background averaged in", (2.39 / 3 + 1.89 / 3) / 2),
        ("weighted by volume", (0.86 + 0.81) / 2),
        ("worst 30 % of pairs", 0.45),
        ("HD95, mm", (3.0 + 1.0) / 2),  # the lost structure is left out, and counted elsewhere
        ("HD95 worst 30 %, mm", 3.0),
    ],
)
def test_value_of_each_ruler(structures, name, expected):
    assert measure(structures, BY_NAME[name])["m"] == pytest.approx(expected)


def test_pooled_weighs_structures_not_pairs(structures):
    one_less = structures.drop(index=structures.index[-1])
    assert measure(one_less, POOLED)["m"] == pytest.approx((0.9 + 0.5 + 0.9) / 3)
    assert measure(one_less, BY_NAME["default"])["m"] == pytest.approx((0.7 + 0.9) / 2)


def test_worst_has_the_right_direction():
    values = pd.Series([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert mean_of_worst(values, "high") == 2
    assert mean_of_worst(values, "low") == 9


def test_rulers_have_distinct_names_and_known_columns():
    assert len(BY_NAME) == len(RULERS)
    assert {r.column for r in RULERS} <= {"dice", "hd95_mm", "hd95_voxel"}
    assert all(r.better == ("high" if r.column == "dice" else "low") for r in RULERS)
    assert isinstance(POOLED, Ruler)


CURVES = {
    "greedy": {"warp_sigma": ["0.5vox", "0.7071vox", "1.5vox"]},
    "clapirn": {"regularity": [0.1, 1.0]},
}
PARAMETERS = {
    "cohort": "template", "spacing_mm": 5.0, "n_subjects": 6, "n_pairs": 6, "seed": 0, "rescan": False,
    "methods": ["affine", "greedy"], "limits": {}, "curves": CURVES, "n_curve_pairs": 6,
    "drawn": {},
}  # fmt: skip


def make_curves(drop=()) -> Run:
    """Dice grows with roughness by one law for each method; clapirn is 0.02 better at any roughness."""
    rows = []
    for k, entry in enumerate(plan_rulers(PARAMETERS)):
        pair, rough = entry.task.pair, None
        if entry.arm == CURVE:
            at = {"greedy": (0.5, 0.3, 0.1), "clapirn": (0.4, 0.15)}[entry.condition]
            rough = at[int(entry.dose)]
        dice = 0.5 + 0.2 * (rough or 0.3) + 0.02 * (entry.task.method == "clapirn")
        rows.append(
            {
                "key": entry.task.key, "kind": "between", "status": "failed" if k in drop else "ok",
                "arm": entry.arm, "condition": entry.condition, "dose": entry.dose,
                "method": entry.task.method, "fixed": pair.fixed.id, "moving": pair.moving.id,
                "fixed_subject": pair.fixed.subject, "moving_subject": pair.moving.subject,
                "dice": dice, "sd_log_j": rough, "nonpositive_fraction": 0.0,
            }
        )  # fmt: skip
    entries = plan_rulers(PARAMETERS)
    return Run(pd.DataFrame(rows), pd.DataFrame(), {}, {}, entries, Path("none"))


def test_a_curve_registers_the_default_once():
    entries = plan_rulers(PARAMETERS)
    curve = [e for e in entries if e.arm == CURVE]
    assert len(curve) == 6 * 5
    # Greedy at its own sigma is planned for the ranks anyway.
    assert len(list_tasks(entries)) == 2 * 6 + 6 * 4


def test_methods_are_compared_at_one_roughness_not_at_their_own():
    curves = regularity.find_curves(make_curves())
    assert sorted(curves["value"].astype(str).unique()) == [
        "0.1",
        "0.5vox",
        "0.7071vox",
        "1.0",
        "1.5vox",
    ]
    level = regularity.choose_level(curves)
    assert level == pytest.approx((0.15 + 0.4) / 2)
    found = regularity.compare_at(regularity.read_at(curves, level)).iloc[0]
    # Own defaults differ by +0.04: half of it is bought with a rougher field.
    sign = 1 if found["first"] == "clapirn" else -1
    assert sign * found["difference"] == pytest.approx(0.02)
    assert found["n_pairs"] == 6
    assert "conditional LapIRN comes first" in regularity.say_regularity(curves, CURVES, 6, CORE)
    assert "0.5vox" in regularity.tabulate_curves(curves)


def test_a_network_refined_on_the_pair_stands_beside_the_networks():
    """It is neither as trained nor iterative alone."""
    curves = regularity.find_curves(make_curves())
    refined = curves[curves["method"] == "clapirn"].assign(method="clapirn+io")
    refined["dice"] -= 0.1
    said = regularity.say_regularity(pd.concat([curves, refined]), CURVES, 6, CORE)
    # At 0.275: 0.5 + 0.2 * 0.275, the network 0.02 better.
    assert said.endswith(
        "iterative methods 0.555, networks 0.575, beside them conditional LapIRN + IO 0.475."
    )


def test_a_page_says_how_curves_are_read_and_what_another_way_would_give():
    curves = regularity.find_curves(make_curves())
    level = regularity.choose_level(curves)
    assert regularity.find_widest_gap(curves, level) == pytest.approx(("clapirn", 0.15, 0.4))
    said = regularity.say_reading(curves, CORE)
    assert "is read off a straight line, as it is drawn" in said
    assert "is that of conditional LapIRN, from 0.150 to 0.400 on average" in said
    share = np.log(level / 0.15) / np.log(0.4 / 0.15)
    network = 0.52 + 0.2 * (0.15 + share * 0.25)
    assert said.endswith(f"networks {network:.3f}.")
    axes = figures.plot_curves(curves, level).axes[0]
    assert axes.get_xscale() == "linear"  # as the text says
    assert regularity.say_reading(curves.iloc[:0], CORE) == ""


def test_a_pair_without_all_strengths_is_in_no_curve():
    n = len(plan_rulers(PARAMETERS))
    assert len(regularity.find_curves(make_curves(drop=[n - 1]))) == 5 * 5
    nothing = regularity.find_curves(make_curves(drop=range(n)))
    assert nothing.empty
    assert regularity.say_regularity(nothing, CURVES, 6, CORE).startswith("Not finished")
    assert np.isnan(regularity.choose_level(nothing))


def test_no_common_roughness_compares_nothing():
    curves = regularity.find_curves(make_curves())
    smooth = curves["method"].eq("clapirn")
    curves["sd_log_j"] = curves["sd_log_j"].where(~smooth, 0.01)
    assert np.isnan(regularity.choose_level(curves))
    assert regularity.tabulate_comparison(regularity.read_at(curves, np.nan)) == ""
    assert "No roughness" in regularity.say_regularity(curves, CURVES, 6, CORE)


def test_a_curve_has_one_parameter():
    with pytest.raises(InputError, match=r"curves.*greedy"):
        plan_rulers({**PARAMETERS, "curves": {"greedy": {"step": [1.0], "warp_sigma": ["1vox"]}}})


# ---- who drew the labels

DRAWN = {**PARAMETERS, "curves": {}, "drawn": {"nichart at 1 mm": 30}, "n_atlases": 2, "seed": 2026}
DEEP = ("lapirn-disp", "clapirn")


def make_drawn(on_flair: dict[str, float], *, missing: int = 0) -> Run:
    """Networks lose 0.02 from thick T1w to FLAIR, iterative methods nothing; `on_flair` is what labels drawn
    on FLAIR add to the Dice of either family. Pairs differ, methods of a pair alike."""
    entries = [e for e in plan_rulers(DRAWN) if e.arm != "template"]
    rng = np.random.default_rng(0)
    rows, scored = [], []
    noise: dict[tuple, float] = {}
    unscored = {e.task.pair.id for e in entries[: 4 * missing : 4]} if missing else set()
    for entry in entries:
        task, pair = entry.task, entry.task.pair
        family = "deep" if task.method in DEEP else "iterative"
        rows.append(
            {
                "key": task.key, "kind": "between", "status": "ok", "arm": entry.arm,
                "condition": entry.condition, "dose": np.nan, "method": task.method, "family": family,
                "fixed": pair.fixed.id, "moving": pair.moving.id,
                "fixed_subject": pair.fixed.subject, "moving_subject": pair.moving.subject, "dice": 0.7,
            }
        )  # fmt: skip
        for label_set in ("dlmuse", "dlmuse-18", "seg-T1w", "seg-contrast"):
            if label_set == "seg-contrast" and (entry.condition != "FLAIR" or pair.id in unscored):
                continue
            dice = 0.7 - 0.02 * (entry.condition == "FLAIR" and family == "deep")
            dice += on_flair[family] * (label_set == "seg-contrast")
            at = (pair.id, entry.condition, family, label_set)
            dice += noise.setdefault(at, 0.002 * rng.standard_normal())
            scored.append((task.key, label_set, "nearest", 1, dice))
    names = ["key", "label_set", "rule", "label", "dice"]
    structures = pd.DataFrame(scored, columns=names)
    return Run(pd.DataFrame(rows), structures, {}, {}, entries, Path("none"))


def test_arms_whose_labels_are_drawn_anew_are_planned_as_notebook_03_has_them():
    entries = [e for e in plan_rulers(DRAWN) if e.arm == "nichart at 1 mm"]
    assert {e.condition for e in entries} == {"T1w thick", "FLAIR"}
    assert len(entries) == 30 * 2 * 4
    theirs = notebooks.resolve_parameters("03_contrasts", "open")
    assert {e.task.key for e in entries} <= {e.task.key for e in plan_contrasts(theirs)}


def test_a_ruler_that_shifts_with_the_image_turns_the_word_and_is_named():
    table = drawn.compare_rulers(make_drawn({"deep": -0.05, "iterative": -0.08}), 0.01)
    by = table.set_index(["kind", "labels"])
    for labels in ("dlmuse", "dlmuse-18", "seg-T1w"):
        assert by.loc[("ruler", labels), "change"] == pytest.approx(-0.02, abs=0.002)
        assert by.loc[("ruler", labels), "word"] == "loses, and it matters"
    assert by.loc[("ruler", "seg-contrast"), "change"] == pytest.approx(0.01, abs=0.002)
    shift = by.loc[("step", "seg-contrast")]
    assert shift["change"] == pytest.approx(0.03, abs=0.002)
    assert shift["iterative"] == pytest.approx(-0.08, abs=0.002)
    assert by.loc[("step", "dlmuse-18"), "word"] == "equal within the margin"
    said = drawn.say_drawn(table, DRAWN["drawn"])
    assert 'the word turns from "loses, and it matters" to "' in said
    assert "30 pairs, 18 subjects" in said
    assert drawn.say_turned(table).endswith("turn the word on real FLAIR.")


def test_classes_that_alone_change_the_word_are_named():
    table = drawn.compare_rulers(make_drawn({"deep": -0.08, "iterative": -0.08}), 0.01)
    assert "merged to 18 classes" not in drawn.say_drawn(table, DRAWN["drawn"])
    merged = table["labels"].eq("dlmuse-18") & table["kind"].eq("ruler")
    changed = table.assign(word=table["word"].mask(merged, "gains, size open"))
    said = drawn.say_drawn(changed, DRAWN["drawn"])
    (step,) = table.query("labels == 'dlmuse-18' and kind == 'step'").to_dict("records")
    assert 'The published labels merged to 18 classes give "gains, size open": coarser' in said
    assert f"alone move the difference by {show(step['change'], sign=True)} (" in said


def test_a_ruler_that_shifts_alike_for_all_changes_no_word():
    table = drawn.compare_rulers(make_drawn({"deep": -0.08, "iterative": -0.08}), 0.01)
    assert 'stays "loses, and it matters"' in drawn.say_drawn(table, DRAWN["drawn"])
    assert table.query("kind == 'step'")["word"].eq("equal within the margin").all()
    assert drawn.say_turned(table).endswith("leave the word as it is on real FLAIR.")
    assert drawn.say_turned(table.iloc[:0]) == ""


def test_two_words_with_an_undecided_step_between_them_are_no_turn():
    rows = {
        ("ruler", "seg-T1w"): ("loses, and it matters", -0.021, -0.011),
        ("ruler", "seg-contrast"): ("loses, size open", -0.020, -0.008),
        ("step", "seg-contrast"): ("undecided", -0.001, 0.004),
    }
    table = pd.DataFrame(
        [
            {
                **dict.fromkeys(("change", "iterative"), 0.0),
                **dict(zip(("word", "low", "high"), values, strict=True)),
                **{"arm": "nichart at 1 mm", "condition": "FLAIR", "kind": kind, "labels": labels},
                **{"n_pairs": 30, "n_subjects": 18, "n_failed": 0, "n_declared": 30},
            }
            for (kind, labels), values in rows.items()
        ]
    )
    assert "by a step that is itself undecided" in drawn.say_drawn(table, DRAWN["drawn"])
    assert "turn" not in drawn.say_turned(table)
    assert "undecided, on real FLAIR" in drawn.say_turned(table)
    clear = table.assign(low=table["low"].mask(table["kind"] == "step", 0.001))
    assert "turn the word on real FLAIR" in drawn.say_turned(clear)


def test_no_word_before_every_pair_has_every_label_map():
    run = make_drawn({"deep": -0.05, "iterative": -0.08}, missing=3)
    table = drawn.compare_rulers(run, 0.01)
    assert table["word"].eq("").all()
    assert table["n_pairs"].max() < 30
    assert "Not finished: " in drawn.say_drawn(table, DRAWN["drawn"])
    nothing = Run(
        run.registrations.iloc[:0], run.structures.iloc[:0], {}, {}, run.entries, run.store
    )
    empty = drawn.compare_rulers(nothing, 0.01)
    both = drawn.say_drawn(empty, {**DRAWN["drawn"], "real5": 20})
    for place in ("real FLAIR", "real T2w of 5 people", "real FLAIR of 5 people"):
        assert f"**{place}**. Not finished: 0 of " in both
    assert "0 of 30 pairs" in drawn.say_drawn(empty, DRAWN["drawn"])
    assert drawn.say_drawn(empty, {}).startswith("This profile registers no contrast")


def make_ranked(n_done: int = 6) -> Run:
    """Affine and greedy on generated brains of 1 mm; greedy better, on `n_done` pairs."""
    entries = [e for e in plan_rulers({**PARAMETERS, "spacing_mm": 1.0}) if e.arm != CURVE]
    rows, structures, seen = [], [], 0
    for entry in entries:
        pair, greedy = entry.task.pair, entry.task.method == "greedy"
        seen += greedy
        rows.append(
            {
                "key": entry.task.key, "kind": "between", "arm": entry.arm, "spacing_mm": 1.0,
                "status": "failed" if greedy and seen > n_done else "ok", "condition": "", "dose": None,
                "method": entry.task.method, "fixed": pair.fixed.id, "moving": pair.moving.id,
                "fixed_subject": pair.fixed.subject, "moving_subject": pair.moving.subject,
            }
        )  # fmt: skip
        if rows[-1]["status"] == "ok":
            value = {
                "dice": 0.5 + 0.1 * greedy,
                "hd95_mm": 3.0 - greedy,
                "hd95_voxel": 3.0 - greedy,
            }
            about = {k: rows[-1][k] for k in ("key", "method", "fixed", "moving")}
            of = [
                ("manual", "nearest"),
                ("manual", "linear"),
                ("manual", "soft"),
                ("tissues", "nearest"),
            ]
            for (name, rule), label in product(of, (0, 1, 2)):
                where = {"label_set": name, "rule": rule, "label": label, "n_fixed": 9.0}
                structures.append({**about, **where, **value})
    table = pd.DataFrame(structures)
    return Run(pd.DataFrame(rows), table, {}, {}, entries, Path("none"))


def test_distances_in_voxels_of_one_millimetre_are_no_second_ruler():
    result = analysis.analyse(make_ranked(), {**PARAMETERS, "margin": 0.01})
    assert "HD95, mm" in result.values
    assert "HD95, voxels" not in result.values
    assert (
        "leads under {0} of {0} rulers.".format(len(result.ranks.columns))
        in result.opening.headline
    )
    assert "not ranked" not in result.limits


def test_a_shared_first_place_is_counted_as_a_tie():
    run = make_ranked()
    tissues = run.structures["label_set"].eq("tissues")
    alike = run.structures.assign(hd95_mm=run.structures["hd95_mm"].mask(tissues, 2.0))
    result = analysis.analyse(replace(run, structures=alike), {**PARAMETERS, "margin": 0.01})
    n = len(result.ranks.columns)
    said = f"under {n - 1} of {n} rulers, tied under 1."
    assert result.opening.headline == f"Not for the first place: one method leads {said}"
    assert result.opening.points[0].startswith(f"**What.** greedy is first {said}")
    assert "No ruler puts another first alone." in result.opening.points[-1]
    (line,) = [x for x in result.changes.splitlines() if "HD95 tissues" in x]
    assert "greedy, tied with 1 other " in line
    apart = analysis.analyse(run, {**PARAMETERS, "margin": 0.01})
    assert "tied" not in apart.opening.text + apart.changes


def test_a_method_that_failed_once_is_named_and_none_at_all_is_no_crash():
    part = analysis.analyse(make_ranked(5), {**PARAMETERS, "margin": 0.01})
    assert "not ranked: greedy." in part.limits
    run = make_ranked()
    none = replace(run, registrations=run.registrations.assign(status="failed"))
    nothing = analysis.analyse(none, {**PARAMETERS, "margin": 0.01})
    assert nothing.opening.headline.startswith("No method was run on every pair yet")
    assert nothing.values.empty


def test_a_first_of_no_family_is_said_to_be_that_with_who_is_first_without_it():
    run, rulers = make_ranked(), RULERS[:2]
    families = Families(("clapirn", "lapirn-disp"), ("greedy",))
    names = [r.name for r in rulers]
    rows = {
        "vfa-1mm": (0.9, 0.9),
        "clapirn": (0.8, 0.7),
        "greedy": (0.7, 0.8),
        "affine": (0.1, 0.1),
    }
    values = pd.DataFrame.from_dict(rows, "index", columns=names)
    tested = replace(run, entries=plan_rulers({**PARAMETERS, "cohort": "oasis", "curves": {}}))
    said = analysis._say_stranger(tested, rulers, values, families, "vfa-1mm")
    assert said == (
        "It is in no declared family: it was trained here, on the training group of the very cohort that is "
        "tested, prepared alike. Among the families, conditional LapIRN is first under 1 of 2 rulers. "
    )
    # On generated brains it has no such advantage.
    said = analysis._say_stranger(run, rulers, values, families, "vfa-1mm")
    assert said.startswith("It is in no declared family. Among")
    assert analysis._say_stranger(tested, rulers, values, families, "greedy") == ""


def test_the_published_page_says_what_the_first_was_trained_on_and_how_small_a_lead_is():
    parameters = notebooks.resolve_parameters("06_label_protocol", "open")
    result = analysis.analyse(load("06_label_protocol", parameters), parameters)
    what, *_ = result.opening.points
    first = result.values["default"].idxmax()
    assert ("It is in no declared family" in what) == (first not in ALL.methods)
    (sure,) = [p for p in result.opening.points if p.startswith("**How sure.**")]
    dice = result.values.loc[:, ~result.values.columns.str.startswith("HD95")]
    ordered = np.sort(dice.to_numpy(), axis=0)
    assert f"by another only {(ordered[-1] - ordered[-2]).min():.4f}" in sure
    assert "chapter 08 has an interval for every difference" in sure
