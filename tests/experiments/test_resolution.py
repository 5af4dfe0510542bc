"""Notebook 04: the plan shares what is computed, and sentences follow the numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from lumirage_lib.book import notebooks
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import Run, list_tasks, plan_notebook
from lumirage_lib.experiments.pairs import working_at
from lumirage_lib.experiments.resolution import analysis, figures, memory
from lumirage_lib.experiments.resolution.plan import plan_resolution
from lumirage_lib.images.preprocess import STANDARD, PairImages, prepare_pair
from lumirage_lib.images.volumes import Volume
from lumirage_lib.methods import family_of, get_method
from lumirage_lib.runs.profiles import project_root

SMOKE = notebooks.resolve_parameters("04_resolution", "smoke")
OPEN = notebooks.resolve_parameters("04_resolution", "open")
ARM = "0.6 mm"


# ---- the plan


def test_rows_at_native_resolution_are_those_of_notebook_01():
    first = notebooks.resolve_parameters("01_in_distribution", "open")
    known = {t.key for t in list_tasks(plan_notebook("01_in_distribution", first))}
    mine = [e for e in plan_resolution(OPEN) if e.arm == "oasis"]
    native = [
        e.task for e in mine if e.condition == "1 mm" and e.task.method in ("greedy", "clapirn")
    ]
    assert len(native) == 2 * OPEN["oasis_pairs"]
    assert {t.preprocessing for t in native} == {STANDARD}
    assert {t.key for t in native} <= known
    assert not {e.task.key for e in mine if e.condition != "1 mm"} & known


def test_primary_arm_is_twelve_brains_in_a_circle_that_differ_down_to_its_scale():
    entries = [e for e in plan_resolution(OPEN) if e.arm == ARM]
    pairs = {e.task.pair for e in entries}
    assert len(pairs) == 12
    for role in ("fixed", "moving"):
        assert len({getattr(p, role).subject for p in pairs}) == 12
    assert {(e.condition, e.dose) for e in entries} == {("0.6 mm", 1.5), ("1 mm", 1.5)}
    assert all(dict(e.task.cohort_options)["fine_mm"] == 1.5 for e in entries)
    scales = {e.arm: e.dose for e in plan_resolution(OPEN)}
    assert {a: d for a, d in scales.items() if a != "oasis"} == {
        ARM: 1.5, "fine 3 mm": 3.0, "template": 0.0,
    }  # fmt: skip


def test_working_resolution_keeps_the_way_back():
    image = Volume(np.random.default_rng(0).random((24, 30, 28)), np.diag([1.0, 1, 1, 1]), "x")
    pair = prepare_pair(image, image, working_at(2.0, 1.0), np.eye(4))
    assert isinstance(pair, PairImages)
    assert np.allclose(pair.spacing_mm, 2)
    assert np.allclose(np.linalg.norm(pair.to_fixed[:3, :3], axis=0), 2)


def test_network_on_any_grid_is_a_method_of_its_own():
    as_given = get_method("clapirn@grid")
    assert as_given.id == "clapirn@grid"
    assert as_given.input.spacing_mm is None
    assert as_given.input.grid is None
    assert as_given.input.orientation == get_method("clapirn").input.orientation
    with pytest.raises(InputError, match="leave out @grid"):
        get_method("greedy@grid")


# ---- the gain


def make_run(gains=None, leave_out=(), noise=0.0005) -> Run:
    """The published plan of the primary arm; each method gains so much from 1 to 0.6 mm."""
    gains = {"greedy": 0.02, "fireants-greedy": 0.03} if gains is None else gains
    entries = [e for e in plan_resolution(OPEN) if e.arm == ARM]
    rng = np.random.default_rng(1)
    levels, rows = {}, []
    for e in entries:
        level = levels.setdefault(e.task.pair, 0.8 + rng.normal(0, 0.02))
        if (e.task.method, e.condition) in leave_out:
            continue
        gain = gains.get(e.task.method, 0.0) * (e.condition == "0.6 mm")
        rows.append(
            {
                "key": e.task.key, "kind": "between", "arm": e.arm, "condition": e.condition,
                "dose": e.dose, "cohort": e.task.cohort, "method": e.task.method,
                "family": family_of(e.task.method), "fixed": e.task.pair.fixed.id,
                "moving": e.task.pair.moving.id, "fixed_subject": e.task.pair.fixed.subject,
                "moving_subject": e.task.pair.moving.subject, "status": "ok",
                "dice": level + gain + rng.normal(0, noise),
            }
        )  # fmt: skip
    return Run(pd.DataFrame(rows), pd.DataFrame(), {}, {}, entries, Path("none"))


def test_verdict_is_the_mean_gain_of_the_declared_iterative_methods():
    run = make_run()
    (verdict,) = analysis.decide(run, 0.01).values()
    assert (verdict.verdict, verdict.word) == ("supported", "gains, and it matters")
    assert verdict.claim.first == ("greedy", "fireants-greedy")
    assert (verdict.n_pairs, verdict.n_subjects) == (12, 12)
    # By hand: mean over the two methods of Dice at 0.6 minus Dice at 1 mm, mean over pairs.
    wide = run.registrations.pivot_table("dice", ["fixed", "moving"], ["condition", "method"])
    mine = ["greedy", "fireants-greedy"]
    by_hand = (wide["0.6 mm"][mine].mean(axis=1) - wide["1 mm"][mine].mean(axis=1)).mean()
    assert verdict.estimate == pytest.approx(by_hand, abs=1e-12)
    assert verdict.estimate == pytest.approx(0.025, abs=0.001)


@pytest.mark.parametrize(
    ("gains", "leave_out", "said"),
    [
        ({}, (), "not supported"),
        ({"greedy": -0.03, "fireants-greedy": -0.03}, (), "not supported"),
        (None, {("fireants-greedy", "0.6 mm")}, "incomplete"),
        (None, {("clapirn@grid", "0.6 mm")}, "supported"),  # stands beside, not in the family
    ],
)
def test_verdict_needs_the_whole_family_and_says_equality(gains, leave_out, said):
    run = make_run(gains, leave_out)
    result = analysis.analyse(run, OPEN)
    (verdict,) = result.verdicts.values()
    assert verdict.verdict == said
    assert (verdict.reason if said == "incomplete" else verdict.sentence) in result.verdict_text
    assert "GB" in result.opening.headline
    if leave_out and said == "incomplete":  # the first pairs of an arm are no result
        assert "not run yet: FireANTs greedy at 0.6 mm" in verdict.sentence
        assert "generated brains" not in next(p for p in result.opening.points if "What.**" in p)


def test_words_are_read_at_the_level_of_the_scoreboard():
    (verdict,) = analysis.analyse(make_run(), OPEN).verdicts.values()
    assert verdict.level == pytest.approx(1 - 0.05 / 7)


def test_a_method_that_always_fails_is_no_unfinished_run():
    run = make_run()
    rows = run.registrations
    lost = rows["method"].eq("fireants-greedy") & rows["condition"].eq("0.6 mm")
    rows = rows.assign(status=np.where(lost, "out-of-memory", "ok"), dice=rows["dice"].mask(lost))
    run = replace(run, registrations=rows)
    result = analysis.analyse(run, OPEN)
    (verdict,) = result.verdicts.values()
    assert verdict.verdict == "not decidable here"
    assert "FireANTs greedy failed on 12 of 12 pairs" in result.verdict_text
    assert "Too many registrations failed when going" in result.opening.points[0]
    assert "FireANTs greedy completed none of 12 pairs" in result.gain_text
    assert "| FireANTs greedy " in result.gain_table
    for draw in (
        figures.plot_levels(result.levels),
        figures.plot_gain_by_scale(result.gain, 1, 0.6),
    ):
        assert draw.axes


def test_people_that_failures_leave_are_not_called_too_few_from_the_start():
    run = make_run()
    rows = run.registrations
    kept = list(dict.fromkeys(rows["fixed"]))[:2]
    lost = rows["condition"].eq("0.6 mm") & ~rows["fixed"].isin(kept)
    rows = rows.assign(status=np.where(lost, "failed", "ok"), dice=rows["dice"].mask(lost))
    (verdict,) = analysis.analyse(replace(run, registrations=rows), OPEN).verdicts.values()
    assert verdict.verdict == "not decidable here"
    assert "greedy failed on 10 of 12 pairs" in verdict.reason
    assert f"leaves {verdict.n_subjects} subjects of at least 5" in verdict.reason


def test_first_pairs_of_the_arm_are_nowhere_told():
    run = make_run()
    rows = run.registrations
    half = rows[rows["fixed"].isin(list(dict.fromkeys(rows["fixed"]))[:6])]
    coarse = half.assign(arm="template", dose=0.0)
    result = analysis.analyse(replace(run, registrations=pd.concat([half, coarse])), OPEN)
    assert result.verdict_text.startswith(
        "- **generated brains at 0.6 mm** (confirmatory). Not finished"
    )
    assert "interval" not in result.verdict_text
    assert ARM not in set(result.levels["arm"]) | set(result.gain["arm"])
    assert "down to 1.5 mm" not in result.gain_text


def test_a_method_that_lacks_pairs_of_the_arm_is_not_drawn_beside_those_that_have_all():
    run = make_run()
    rows = run.registrations
    late = rows["method"].eq("clapirn@grid") & rows["fixed"].ne(rows["fixed"].iloc[0])
    result = analysis.analyse(replace(run, registrations=rows[~late]), OPEN)
    for table in (result.gain, result.levels):
        assert set(table["method"]) == {"greedy", "fireants-greedy"}
    assert "conditional LapIRN (as given) on 1 pair" in result.ran_text


def test_levels_compare_the_same_pairs():
    rows = make_run({}, noise=0).registrations
    few = list(dict.fromkeys(rows["fixed"]))[:3]
    rows = rows[rows["fixed"].isin(few) | rows["condition"].eq("0.6 mm")]
    levels = analysis.summarise_levels(analysis.add_working_mm(rows))
    mine = levels[levels["method"] == "greedy"].set_index("working_mm")
    assert mine["n_pairs"].tolist() == [3, 3]
    assert mine.loc[0.6, "mean"] == pytest.approx(mine.loc[1.0, "mean"], abs=1e-12)


def test_no_verdict_without_the_arm():
    assert (
        analysis.decide(Run(pd.DataFrame(), pd.DataFrame(), {}, {}, [], Path("none")), 0.01) == {}
    )


@pytest.fixture
def registrations() -> pd.DataFrame:
    """Three pairs at 5 and 8 mm; greedy loses 0.1 there, the network fails once."""
    rows = [
        ("greedy", "5 mm", "a", 0.60, "ok"),
        ("greedy", "5 mm", "b", 0.70, "ok"),
        ("greedy", "5 mm", "d", 0.68, "ok"),
        ("greedy", "8 mm", "a", 0.52, "ok"),
        ("greedy", "8 mm", "b", 0.58, "ok"),
        ("greedy", "8 mm", "d", 0.58, "ok"),
        ("clapirn", "5 mm", "a", np.nan, "out-of-memory"),
        ("clapirn", "5 mm", "b", 0.65, "ok"),
        ("clapirn", "8 mm", "a", 0.65, "ok"),
        ("clapirn", "8 mm", "b", 0.65, "ok"),
    ]
    table = pd.DataFrame(rows, columns=["method", "condition", "moving", "dice", "status"])
    table = table.assign(cohort="template", arm="template", dose=0.0, fixed="c", key=range(10))
    table["family"] = table["method"].map(family_of)
    return table.assign(fixed_subject="c", moving_subject=table["moving"])


def test_gain_is_read_off_at_native_labels(registrations):
    pairs = analysis.add_working_mm(registrations)
    assert sorted(pairs["working_mm"].unique()) == [5.0, 8.0]
    levels = analysis.summarise_levels(pairs).set_index(["method", "working_mm"])
    assert set(levels["measure"]) == {"dice"}
    row = levels.loc[("greedy", 5.0)]
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((0.66, 0.6, 0.7))
    row = levels.loc[("clapirn", 5.0)]
    assert (row["mean"], row["n_pairs"], row["n_failed"]) == (0.65, 1, 1)
    gain = analysis.compute_gain(pairs).set_index("method")
    assert gain.loc["greedy", "gain"] == pytest.approx(0.1)
    half = scipy_stats.t.ppf(0.975, 2) * np.std([0.08, 0.12, 0.1], ddof=1) / np.sqrt(3)
    # One common fixed subject: the moving ones are what was sampled.
    assert gain.loc["greedy", "high"] - 0.1 == pytest.approx(half, rel=0.35)
    assert gain.loc["clapirn", ["gain", "n_pairs", "n_failed"]].tolist() == [0.0, 1, 1]
    text = analysis._gain_text(gain.reset_index())
    # Of networks one pair was registered at both, which says nothing of the next.
    assert "on generated, from 8 to 5 mm, iterative methods 0.100." in text


def test_page_of_an_empty_run_has_its_sentences(registrations):
    pairs = analysis.add_working_mm(registrations.iloc[:0])
    levels, gain = analysis.summarise_levels(pairs), analysis.compute_gain(pairs)
    assert levels.empty
    assert gain.empty
    assert "no gain can be said" in analysis._gain_text(gain)
    assert analysis._design(pairs, SMOKE) == "No pairs, no subjects."
    assert "No network was run" in memory.say_ran(None, pairs)
    figures.plot_levels(levels)
    figures.plot_gain_by_scale(gain, 1.0, 0.6)


def test_gain_is_drawn_against_the_scale_of_deformation():
    pairs = analysis.add_working_mm(make_run().registrations)
    coarse = pairs.assign(arm="template", dose=0.0)
    figure = figures.plot_gain_by_scale(analysis.compute_gain(pd.concat([pairs, coarse])), 1.0, 0.6)
    assert set(figure.axes[0].get_xticks()) == {1.5, 9.0}


def test_networks_that_gain_are_the_declared_family():
    gain = pd.DataFrame(
        [("greedy", 0.03), ("clapirn", 0.011), ("vfa", 0.002)], columns=["method", "gain"]
    ).assign(arm="oasis", from_mm=1.5, to_mm=1.0, n_pairs=6, n_failed=0)
    said = "iterative methods 0.030, networks 0.011, beside them VFA (ours, 2 mm) 0.002."
    assert said in analysis._gain_text(gain)


def test_caption_of_the_scales_counts_only_the_arms_it_shows():
    """Real brains have no scale of deformation and no place in that figure."""
    run = make_run()
    rows = run.registrations
    real = rows.assign(arm="oasis", dose=np.nan, cohort="oasis")
    coarse = rows[rows["fixed"].isin(list(dict.fromkeys(rows["fixed"]))[:3])]
    coarse = coarse.assign(arm="template", dose=0.0)
    result = analysis.analyse(replace(run, registrations=pd.concat([rows, real, coarse])), OPEN)
    assert "real T1w: 12 ordered pairs" in result.design
    assert "real T1w" not in result.scale_design
    assert result.scale_design.startswith("generated, down to 1.5 mm: 12 ordered pairs of 12 ")
    assert "; generated: 3 ordered pairs" in result.scale_design
    assert analysis.find_scaled(result.gain.iloc[:0]) == set()


# ---- memory


@pytest.mark.parametrize(
    ("whole", "slabs", "said"),
    [
        ((30, 12), (14, 6), "in slabs, all in 16 GB; as whole volumes, 1 in 16 GB and all in 48 GB"),
        ((90, 12), (14, 6), "as whole volumes, 1 in 16 GB (1 fit none of these)"),
        ((200, 120), (100, 90), "computing in slabs, none (2 fit none of these)"),
    ],
)  # fmt: skip
def test_what_fits_follows_the_numbers(whole, slabs, said):
    rows = [
        (network, form, 0.6, 1024.0 * gb)
        for form, values in (("whole", whole), ("slabs", slabs))
        for network, gb in zip(("vfa", "clapirn"), values, strict=True)
    ]
    wall = pd.DataFrame(rows, columns=["network", "form", "spacing_mm", "predicted_mb"])
    assert said in memory.say_fit(wall, [80, 16, 24, 48])
    table = memory.tabulate_fit(wall, [80, 16, 24, 48])
    assert "VFA (official channels)" in table
    line = next(x for x in table.splitlines() if "VFA" in x)
    assert f"{whole[0]:.1f}" in line
    if whole[0] == 30:
        assert "48 GB" in line


def test_committed_tables_give_a_number_for_every_network_and_form():
    wall = memory.read_wall()
    need = wall[np.isclose(wall["spacing_mm"], 0.6)].set_index(["network", "form"])
    assert len(need) == 14
    n = need.index.get_level_values("network").nunique()
    # Every network was really run on a card, in either form.
    assert need["card_status"].eq("ok").all()
    fits = (need["card_mb"] / 1024 <= 16).groupby("form").sum()
    said = memory.say_fit(wall, [16, 24, 48, 80])
    slabs = "all" if fits["slabs"] == n else fits["slabs"]
    assert f"measured on an {need['card'].iloc[0]} to fit" in said
    assert f"computing in slabs, {slabs} in 16 GB" in said
    assert f"as whole volumes, {fits['whole']} in 16 GB" in said
    assert f"{len(need)} of {len(need)} inferences of {n} networks" in memory.say_card(wall)
    # VFA in slabs was really run on the whole brain's grid, and as predicted.
    vfa = need.loc[("vfa", "slabs")]
    assert vfa["status"] == "ok"
    assert vfa["measured_mb"] == pytest.approx(vfa["predicted_mb"], rel=0.05)


def test_how_near_the_largest_comes_to_its_limit_is_said():
    wall = memory.read_wall()
    card = pd.read_csv(project_root() / memory.CARD).set_index(["network", "form", "spacing_mm"])
    vfa = card.loc[("vfa", "whole", 0.6)]
    took = (vfa["reserved_mb"] + vfa["context_mb"]) / 1024
    assert 0.97 * 48 < took < 48
    said = memory.say_nearest(wall, [16, 24, 48, 80])
    assert said.startswith(
        f"Nearest to its limit comes VFA (official channels), computed whole: {took:.1f} of 48 GB "
        f"({100 * took / 48:.0f} %), measured on an {vfa['card']}; no card of 48 GB was tried"
    )
    assert "tried" not in memory.say_nearest(wall, [80])
    assert memory.say_nearest(wall, [1]) == ""
    assert memory.say_nearest(None, [16]) == ""


def test_slabs_on_a_card_need_what_is_predicted_for_a_processor():
    """Without the process and the driver's context; on the grid of the claim."""
    card = pd.read_csv(project_root() / memory.CARD)
    fine = card[np.isclose(card["spacing_mm"], 0.6) & (card["form"] == "slabs")]
    assert len(fine) == 7
    np.testing.assert_allclose(fine["predicted_mb"], fine["peak_mb"], rtol=0.02)


def test_how_far_a_card_was_from_the_prediction_is_said_beside_what_was_run_on_a_processor():
    wall = memory.read_wall()
    fine = wall[np.isclose(wall["spacing_mm"], 0.6)]
    ratio = 100 * (fine["card_mb"] / fine["predicted_mb"] - 1)
    low, high = (f"{x:+.0f}".replace("-", "−") for x in (ratio.min(), ratio.max()))
    assert f"{low} to {high} % against what is predicted for a processor." in memory.say_card(wall)
    coarse = wall.dropna(subset="measured_mb").query("form == 'whole'")["spacing_mm"].min()
    assert coarse > 0.6
    short = memory.say_error(wall, short=True)
    assert (
        f"measured on one processor thread, down to {coarse:g} mm (whole) and 0.6 mm (slabs)"
        in short
    )


def test_what_does_not_fit_into_the_card_is_said():
    rows = [
        ("clapirn", "slabs", 0.6, 4096.0, "X", 5120.0, 0.5, "ok"),
        ("clapirn", "whole", 0.6, 8192.0, "X", np.nan, np.nan, "out of memory"),
    ]
    columns = ["network", "form", "spacing_mm", "predicted_mb"]
    wall = pd.DataFrame(rows, columns=[*columns, "card", "card_mb", "card_seconds", "card_status"])
    assert "1 of 2 inferences of 1 network" in memory.say_card(wall)
    assert "Failed: conditional LapIRN whole (out of memory)." in memory.say_card(wall)
    assert "as whole volumes, none (1 fit none of these)" in memory.say_fit(wall, [16, 80])
    unknown = wall.assign(card=np.nan, card_mb=np.nan)
    assert "predicted to fit" in memory.say_fit(unknown, [16, 80])


def test_what_was_run_is_said(registrations):
    pairs = analysis.add_working_mm(registrations)
    none = "No network was run that fine; the numbers are predictions."
    assert memory.say_ran(None, pairs) == none
    fine = pairs.assign(working_mm=0.6, method="clapirn@grid", status="ok")
    said = memory.say_ran(None, fine)
    assert "Registered at 0.6 mm on this page: conditional LapIRN (as given) on 3 pairs." in said
    assert "So whether a network fails to run at 0.6 mm depends on how it is computed." in said
    failed = memory.say_ran(None, fine.assign(status="out-of-memory"))
    who = "conditional LapIRN (as given) on 10 of 10 pairs (out-of-memory)"
    assert failed == f"Tried there and failed: {who}. {none}"
    once = fine.assign(status=["ok", *["out-of-memory"] * (len(fine) - 1)])
    assert "is no law" not in memory.say_ran(None, once)  # who mostly fails shows the contrary
    resampled = fine.assign(method="clapirn")  # to the voxels of its training
    assert memory.say_ran(None, resampled) == none


def test_what_was_measured_is_said(registrations):
    pairs = analysis.add_working_mm(registrations)
    rows = [
        ("clapirn", "slabs", 0.6, "ok", 4500.0, 70.0, 4400.0, -2.2, 4950.0),
        ("clapirn", "whole", 0.6, "out-of-memory", np.nan, np.nan, 7800.0, np.nan, np.nan),
        ("clapirn", "slabs", 2.0, "ok", 500.0, 2.0, 510.0, 2.0, 550.0),
        ("vfa", "slabs", 0.6, np.nan, np.nan, np.nan, 8200.0, np.nan, np.nan),
    ]
    columns = ["network", "form", "spacing_mm", "status", "measured_mb", "cpu_seconds"]
    wall = pd.DataFrame(rows, columns=[*columns, "predicted_mb", "error_percent", "default_mb"])
    wall["shape"] = "352x352x256"
    said = memory.say_ran(wall, pairs)
    assert "grid of 0.6 mm, 352 × 352 × 256" in said
    assert "1 inference on one processor thread each, in 4.4 GB and 70 s." in said
    assert "failed: conditional LapIRN whole (out-of-memory)." in said
    assert "VFA" not in said
    error = memory.say_error(wall)
    assert "2 inferences of 1 network down to 0.6 mm (slabs) were really run" in error
    assert "at most 2.2 % (slabs)" in error
    assert "2 inferences of these took 10 to 10 % more" in error


def test_missing_table_is_said():
    for said in (memory.say_fit(None, [16]), memory.say_need(None)):
        assert "benchmarks/memory.py" in said
