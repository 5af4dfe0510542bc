"""Notebook 03's plan and numbers, on registrations whose Dice is made up and therefore known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.cohorts import balanced_pairs, get_cohort
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import Run, charts, list_tasks
from lumirage_lib.experiments.comparison import ALL
from lumirage_lib.experiments.completeness import find_complete, keep_matched, keep_whole
from lumirage_lib.experiments.contrasts import analysis, figures, parts
from lumirage_lib.experiments.contrasts.plan import (
    DOSES,
    REAL,
    SCALED,
    SYNTHESISED,
    plan_contrasts,
)
from lumirage_lib.experiments.families import ARMS, Families
from lumirage_lib.experiments.sentences import show
from lumirage_lib.images.preprocess import LIKE_T1W
from lumirage_lib.methods import get_method
from lumirage_lib.methods.exposure import judge_exposure
from lumirage_lib.runs.task import Task

PARAMETERS = {
    "profile": "open",
    "cohort": "oasis",
    "n_pairs": 12,
    "contrasts": ["T1w again", "T2w", "FLAIR"],
    "real": {"openms": 6, "nichart": 18},
    "arm_methods": {},
    "scalings": {},
    "n_atlases": 15,
    "methods": ["affine", "greedy", "syn", "clapirn", "vfa-lumir"],
    "doses": [0.0, 0.5, 1.0],
    "dose_methods": ["greedy", "clapirn"],
    "n_dose_pairs": 2,
    "margin": 0.01,
    "n_panels": 1,
    "seed": 2026,
}
LOSS = {"T2w": 0.08, "FLAIR": 0.03}  # of the network alone, beyond what all lose


@pytest.fixture(scope="module")
def entries():
    return plan_contrasts(PARAMETERS)


def make_run(entries) -> Run:
    rows, structures = {}, []
    pair_rng = np.random.default_rng(1)
    hard: dict = {}
    for entry in entries:
        task = entry.task
        if task.key in rows:
            continue
        spec, pair = get_method(task.method), task.pair
        base = hard.setdefault(pair.id, pair_rng.normal(0.5, 0.05))
        deep = spec.family == "deep"
        dice = base + 0.05 * deep - 0.02 * (entry.condition != "T1w")
        dice -= LOSS.get(entry.condition, 0) * deep + 0.002 * pair_rng.normal()
        rows[task.key] = {
            "key": task.key, "kind": "between", "method": spec.id, "family": spec.family,
            "fixed": pair.fixed.id, "moving": pair.moving.id, "status": "ok", "reason": "",
            "fixed_subject": pair.fixed.subject, "moving_subject": pair.moving.subject,
            "dice": dice, "hardware": "none",
        }  # fmt: skip
        names = next(iter(task.get_cohort().label_sets))
        for label, shift in ((36, 0.0), (101, -0.05 * deep * (entry.condition == "T2w"))):
            structures.append(
                {"key": task.key, "label_set": names, "rule": "nearest", "label": label}
                | {"dice": dice + shift, "n_fixed": 100, "hd95_mm": 10 * (1 - dice - shift)}
            )
    counts = {"reused": len(rows), "new": 0, "failed": 0, "skipped": 0}
    places = [(e.task.key, e.arm, e.condition, e.dose) for e in entries]
    table = pd.DataFrame(places, columns=["key", "arm", "condition", "dose"])
    table = table.astype({"dose": float}).merge(pd.DataFrame(rows.values()), on="key")
    return Run(table, pd.DataFrame(structures), counts, {}, entries, Path("none"))


@pytest.fixture(scope="module")
def result(entries):
    return analysis.analyse(make_run(entries), PARAMETERS)


def test_plan_names_every_arm_and_shares_its_t1w_with_the_first_notebook(entries):
    assert {e.arm for e in entries} == {SYNTHESISED, "openms", "nichart", DOSES}
    scans = [s for s in get_cohort("oasis").scans if s.group == "test"]
    pairs = balanced_pairs(scans, 20, 2026)[:12]
    first = {e.task.key for e in entries if e.arm == SYNTHESISED and e.condition == "T1w"}
    methods = ["affine", "greedy", "syn", "clapirn"]
    assert first == {Task("oasis", (), p, m).key for p in pairs for m in methods}
    for arm, n_pairs, n_contrasts in ((SYNTHESISED, 12, 4), ("openms", 6, 3), ("nichart", 18, 2)):
        assert sum(e.arm == arm for e in entries) == n_pairs * n_contrasts * len(methods)
    alignments = {e.task.alignment_key for e in entries}
    assert len(alignments) == 12 + 6 + 18  # one a pair, whatever the contrast


def test_registration_that_stands_for_two_things_is_planned_once(entries):
    tasks = list_tasks(entries)
    keys = [t.key for t in tasks]
    assert len(keys) == len(set(keys)) < len(entries)
    whole = {e.task.key for e in entries if e.arm == DOSES and e.dose == 1.0}
    assert whole <= {e.task.key for e in entries if e.arm == SYNTHESISED and e.condition == "T2w"}


def test_loss_that_was_put_in_is_found_and_the_control_shows_none(result):
    table = result.changes.set_index(["arm", "condition", "method"])["change"]
    for condition, loss in LOSS.items():
        assert table[SYNTHESISED, condition, "clapirn"] == pytest.approx(-loss, abs=0.003)
        assert result.verdicts[f"{SYNTHESISED}: {condition}"].verdict == "supported"
    assert table[SYNTHESISED, "T1w again", ALL] == pytest.approx(0, abs=0.003)
    assert result.verdicts["openms: FLAIR"].verdict == "not decidable here"  # three subjects
    assert f"{SYNTHESISED}: T1w again" not in result.verdicts  # a control, not a claim
    assert set(result.verdicts) == {
        f"{SYNTHESISED}: T2w", f"{SYNTHESISED}: FLAIR", "openms: T2w", "openms: FLAIR",
        "nichart: FLAIR",
    }  # fmt: skip


def test_an_arm_at_several_voxel_sizes_keeps_its_numbers_and_has_no_verdict(result):
    verdict = result.verdicts["nichart: FLAIR"]
    assert (verdict.verdict, verdict.word) == ("not judged", "")
    assert verdict.high < -0.01  # which would have been a loss that matters
    (line,) = [x for x in result.verdict_text.splitlines() if "**real FLAIR at 2 mm**" in x]
    assert (
        "Not judged: From T1w to FLAIR (the same adults at 2 mm), conditional LapIRN worked" in line
    )
    assert "upported" not in line
    assert len(result.changes.query("arm == 'nichart' and condition == 'FLAIR'"))
    assert "nichart: FLAIR" not in analysis.list_decided(result.verdicts)
    assert "real FLAIR at 2 mm" not in result.opening.text


def test_a_run_of_that_arm_alone_judges_nothing():
    parameters = {**PARAMETERS, "contrasts": [], "doses": [], "real": {"nichart": 18}}
    opening = analysis.analyse(make_run(plan_contrasts(parameters)), parameters).opening
    assert opening.headline.startswith("Nothing is judged here")


def test_too_few_people_are_not_called_unfinished():
    parameters = {**PARAMETERS, "contrasts": [], "doses": [], "real": {"openms": 6}}
    result = analysis.analyse(make_run(plan_contrasts(parameters)), parameters)
    assert {v.verdict for v in result.verdicts.values()} == {"not decidable here"}
    assert len(result.changes)
    assert result.opening.points[0] == "**What.** Too few individuals for a word; see the table."
    assert result.groups_text == "Too few individuals for a word; see the figure."
    late = result.verdicts["openms: T2w"]
    late = dataclasses.replace(late, verdict="incomplete")
    assert analysis._say_undecided({"a": late}, "table") == "No comparison has a word yet."


@pytest.mark.parametrize(
    ("dice", "said"),
    [
        ({"greedy": (0.8, 0.6, 0.8), "vfa": (0.7, 0.5, 0.7)}, "for 2 of 2 methods"),
        ({"greedy": (0.8, 0.6, 0.8), "vfa": (0.7, 0.6, 0.5)}, "for 1 of 2 methods"),
        ({"greedy": (0.8, 0.6, 0.8)}, "for 1 of 1 method."),
        ({"greedy": (0.8, 0.7, 0.6)}, "for 0 of 1 method."),
    ],
)  # fmt: skip
def test_where_methods_are_worst_between_two_contrasts_is_said(dice, said):
    rows = [
        (m, d, x) for m, values in dice.items() for d, x in zip((0, 0.5, 1), values, strict=True)
    ]
    doses = pd.DataFrame(rows, columns=["method", "dose", "dice"])
    found = analysis._say_dip(doses)
    assert said in found
    assert "a mixture of T1w and T2w is worse than either of them" in found
    assert "mixture" not in analysis._say_dip(doses[doses["dose"] == 0.5])  # no ends


def test_effect_on_a_contrast_is_the_difference_there_not_its_change(result):
    table = result.effects.set_index(["arm", "condition"])["mean_difference"]
    assert table[SYNTHESISED, "T1w"] == pytest.approx(0.05, abs=0.003)
    assert table[SYNTHESISED, "T2w"] == pytest.approx(0.05 - LOSS["T2w"], abs=0.003)


def test_effect_sizes_that_are_corrected_for_small_samples_are_called_g(result):
    lines = result.effects_table.splitlines()
    assert "| g_z (95 %)" in lines[0]
    assert "| g_av (95 %)" in lines[0]
    (row,) = result.effects.query("arm == 'synthesised' and condition == 'T2w'").to_dict("records")
    (line,) = [x for x in lines if x.startswith("| synthesised T2w")]
    assert line.split("|")[3].split()[0] == show(row["g_z"], 2, sign=True)
    assert "g is d corrected for small samples" in lines[-1]
    assert "Whether there is a difference is read from Dice" in lines[-1]


def test_groups_of_structures_are_told_apart(result):
    table = result.groups.set_index(["arm", "condition", "group"])["change"]
    gap = table[SYNTHESISED, "T2w", "cortical"] - table[SYNTHESISED, "T2w", "subcortical"]
    assert gap == pytest.approx(-0.05, abs=1e-6)
    assert "cortical structures on synthesised T2w" in result.groups_text


def test_groups_have_both_families_whole_or_no_number(entries):
    """A baseline that is still to be run on FLAIR has its part in T2w, and FLAIR waits for it."""
    parameters = {**PARAMETERS, "methods": ["greedy", "syn", "clapirn"], "real": {}, "doses": []}
    run = make_run(plan_contrasts(parameters))
    rows = run.registrations
    late = rows["method"].eq("syn") & rows["condition"].eq("FLAIR")
    few = dataclasses.replace(run, registrations=rows[~late])
    whole = analysis.analyse(run, parameters).groups
    found = analysis.analyse(few, parameters).groups
    assert set(found["condition"]) == {"T1w again", "T2w"}
    kept = whole[whole["condition"] != "FLAIR"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, kept)


def test_sentences_say_what_is_missing_and_what_cannot_be_seen(result, entries):
    assert result.state == ""
    assert result.opening.headline.startswith("Networks lose more accuracy")
    (line,) = [row for row in result.power_text.splitlines() if "real FLAIR at 2 mm" in row]
    assert [cell.strip() for cell in line.split("|")[3:5]] == ["18", "18"]
    run = make_run([e for e in entries if e.task.method != "clapirn"])
    lonely = analysis.analyse(run, PARAMETERS)
    assert {v.verdict for v in lonely.verdicts.values()} == {"not tested"}
    assert "the question stays open" in lonely.opening.text
    assert lonely.changes_table == "No comparison has all of its pairs yet."


def test_figures_draw_what_the_tables_hold(result):
    pairs = result.pairs[result.pairs["arm"] != DOSES]
    figure = charts.plot_contrast_dice(pairs)
    assert [a.get_title() for a in figure.axes if a.get_title()] == [
        "synthesised images",
        "real images of 3 patients",
        "real images at 2 mm",
    ]
    figure = charts.plot_changes(result.changes)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels[:2] == [
        "synthesised images\nT1w → T1w again",
        "synthesised images\nT1w again → T2w",
    ]
    figure = figures.plot_group_changes(result.groups)
    assert figure.axes[0].images[0].get_array().shape[1] == 2
    figure = figures.plot_parts(result.parts)
    bars = figure.axes[0].patches
    assert len(bars) == 2 * len(result.parts)
    figure = figures.plot_doses(result.doses)
    assert list(figure.axes[0].lines[0].get_xdata()) == [0.0, 0.5, 1.0]


def test_text_tells_every_part_that_a_control_divides():
    rows = [
        (SYNTHESISED, "T2w", "synthesis (resolution, noise, scaling)", 0.0),
        (SYNTHESISED, "T2w", "scaling of intensities", 0.001),
        (SYNTHESISED, "T2w", "contrast proper", -0.008),
        ("nichart at 1 mm", "FLAIR", "thick slices (resolution)", -0.004),
        ("nichart at 1 mm", "FLAIR", "contrast", 0.005),
        ("openms", "T2w", "all of it, not divided", 0.01),
    ]
    table = pd.DataFrame(rows, columns=["arm", "condition", "part", "change"])
    table = table.assign(low=table["change"] - 0.002, high=table["change"] + 0.002)
    said = parts.say_parts(table, {})
    assert (
        "synthesised T2w by scaling of intensities +0.001 (−0.001 to +0.003) and contrast proper −0.008 "
        "(−0.010 to −0.006); real FLAIR by thick slices (resolution) −0.004 (−0.006 to −0.002) and contrast "
        "+0.005 (+0.003 to +0.007)."
    ) in said
    assert "Not divided, for want of a control: real T2w of 3 patients." in said


def test_no_network_has_learned_from_the_people_whose_t1w_is_said_to_be_unseen():
    for arm in analysis.UNSEEN:
        cohort = get_cohort(REAL[arm].cohort)
        words = {judge_exposure(m, cohort).word for m in ARMS[arm].families.deep}
        assert words == {"not seen"}, arm


def test_means_that_are_compared_are_of_the_same_pairs(entries):
    """Half of a contrast is there: what is drawn must not mix easy pairs with hard ones."""
    run = make_run(entries)
    whole = keep_matched(run.registrations.query("arm == 'nichart'"))
    gone = whole[(whole["condition"] == "FLAIR") & (whole["method"] == "greedy")]["key"].iloc[:5]
    part = keep_matched(whole[~whole["key"].isin(gone)])
    counts = part.groupby(["method", "condition"])["key"].nunique()
    assert counts["greedy", "T1w"] == counts["greedy", "FLAIR"] == 13
    assert counts["clapirn", "T1w"] == counts["clapirn", "FLAIR"] == 18
    never = whole[~((whole["condition"] == "FLAIR") & (whole["method"] == "syn"))]
    assert "syn" not in set(keep_matched(never)["method"])


def test_method_that_lacks_a_registration_is_not_complete(entries):
    table = make_run(entries).registrations.query("arm == 'nichart'")
    assert find_complete(table) == ["affine", "syn", "greedy", "clapirn"]
    syn = table[table["method"] == "syn"]
    assert find_complete(table.drop(syn.index[:1])) == ["affine", "greedy", "clapirn"]


def test_no_verdict_while_a_registration_of_a_family_is_missing(entries):
    """One of 18 pairs of one method under one contrast."""
    lacking = next(
        e for e in entries
        if (e.arm, e.condition, e.task.method) == ("nichart", "FLAIR", "greedy")
    )  # fmt: skip
    run = make_run([e for e in entries if e is not lacking])
    found = analysis.analyse(run, PARAMETERS).verdicts
    assert found["nichart: FLAIR"].verdict == "incomplete"
    assert "greedy 1 of" in found["nichart: FLAIR"].sentence
    assert found[f"{SYNTHESISED}: T2w"].verdict == "supported"


def test_synthesis_alone_is_no_loss_from_contrast():
    """A study in which only the control's change is there: what the synthesis does is not counted."""
    planned = plan_contrasts(
        PARAMETERS | {"real": {}, "doses": [], "contrasts": ["T1w again", "T2w"]}
    )
    run = make_run(planned)
    table = run.registrations
    synthesised = (table["condition"] != "T1w") & (table["family"] == "deep")
    table["dice"] += (
        synthesised * -0.04
        + (table["condition"] == "T2w") * (table["family"] == "deep") * LOSS["T2w"]
    )
    result = analysis.analyse(run, PARAMETERS)
    changes = result.changes.set_index(["condition", "method"])["change"]
    assert changes["T1w again", ALL] == pytest.approx(-0.04, abs=0.003)
    assert result.verdicts[f"{SYNTHESISED}: T2w"].verdict == "not supported"


def test_arm_at_one_millimetre_is_planned_at_one_millimetre():
    planned = plan_contrasts(
        PARAMETERS | {"real": {"nichart at 1 mm": 2}, "methods": ["greedy", "clapirn"], "doses": []}
    )
    mine = [e for e in planned if e.arm == "nichart at 1 mm"]
    assert [*dict.fromkeys(e.condition for e in mine)] == ["T1w thick", "FLAIR", "T1w"]
    (how,) = {e.task.preprocessing for e in mine}
    assert (how.name, how.pair_steps[-1].name) == ("1 mm", "set_spacing")
    assert analysis.find_references("nichart at 1 mm", ["T1w thick", "FLAIR", "T1w"]) == {
        "T1w thick": "T1w", "FLAIR": "T1w thick",
    }  # fmt: skip
    assert len({e.task.alignment_key for e in mine}) == 2  # one a pair


def test_a_contrast_is_divided_into_scaling_and_what_is_left():
    methods = ["greedy", "syn", "clapirn"]
    parameters = {
        **PARAMETERS,
        "real": {},
        "doses": [],
        "scalings": {LIKE_T1W: methods, "min-max": ["clapirn"]},
    }
    run = make_run(plan_contrasts(parameters))
    # Half of what T2w costs the network comes back with the distribution of T1w, all of it by min-max.
    table = run.registrations
    gain = {f"T2w, {LIKE_T1W}": -LOSS["T2w"] / 2, "FLAIR, " + LIKE_T1W: -LOSS["FLAIR"]}
    deep = table["method"].eq("clapirn")
    table["dice"] += np.where(deep, table["condition"].map(gain).fillna(0), 0)
    result = analysis.analyse(run, parameters)
    change = result.parts.set_index(["condition", "part"])["change"]
    assert change["T2w", parts.SCALING] == pytest.approx(-LOSS["T2w"] / 2, abs=0.003)
    assert change["T2w", parts.PROPER] == pytest.approx(-LOSS["T2w"] / 2, abs=0.003)
    assert change["FLAIR", parts.SCALING] == pytest.approx(0, abs=0.003)
    assert ("T2w", "contrast") not in change.index
    whole = result.changes.set_index(["condition", "method"])["change"]["T2w", ALL]
    assert change["T2w", parts.SCALING] + change["T2w", parts.PROPER] == pytest.approx(whole)
    assert result.parts["n_pairs"].dtype.kind == "i"  # captions count pairs
    # Both parts are said with their intervals, in that order, to three digits.
    half = f"{change['T2w', parts.SCALING]:+.3f}".replace("-", "−")
    assert f"part by part: synthesised T2w by scaling of intensities {half} (" in result.parts_text
    assert "; synthesised FLAIR by scaling of intensities" in result.parts_text
    (line,) = [x for x in result.scalings_table.splitlines() if "LapIRN" in x and "T2w" in x]
    assert [cell.strip() for cell in line.split("|")][-2] == "12"
    assert set(result.verdicts) == {f"{SYNTHESISED}: T2w", f"{SYNTHESISED}: FLAIR"}


def test_half_a_run_of_a_scaling_divides_nothing():
    parameters = {
        **PARAMETERS,
        "real": {},
        "doses": [],
        "scalings": {LIKE_T1W: ["greedy", "syn", "clapirn"]},
    }
    run = make_run(plan_contrasts(parameters))
    some = run.registrations["arm"].eq(SCALED) & run.registrations["method"].eq("clapirn")
    rows = run.registrations.drop(run.registrations.index[some][:20])
    result = analysis.analyse(dataclasses.replace(run, registrations=rows), parameters)
    assert parts.SCALING not in set(result.parts.query("condition == 'T2w'")["part"])
    assert "contrast proper: synthesised T2w" not in result.parts_text


def test_a_scaling_that_there_is_not_is_named():
    with pytest.raises(InputError, match="'brighter'; there are distribution of T1w"):
        plan_contrasts({**PARAMETERS, "scalings": {"brighter": ["greedy"]}})


def test_a_condition_begun_by_a_few_is_not_drawn_with_those_that_are_whole(entries):
    """Plain T1w on two pairs would leave two pairs of a contrast that has all of them."""
    rows = make_run(entries).registrations.query("arm == 'nichart'")
    families = Families(("clapirn",), ("greedy",))
    pairs = rows[["fixed", "moving"]].drop_duplicates()
    few = rows["condition"].eq("T1w") & ~rows["fixed"].isin(pairs["fixed"].iloc[:1])
    kept = keep_whole(rows[~few], families, len(pairs))
    assert set(kept["condition"]) == {"FLAIR"}
    assert len(kept[["fixed", "moving"]].drop_duplicates()) == len(pairs)
    late = (rows["method"] == "syn") & (rows["condition"] == "FLAIR")
    without = keep_whole(rows.drop(rows.index[late][:1]), families, len(pairs))
    assert "syn" not in set(without["method"])
    assert set(without["condition"]) == {"T1w", "FLAIR"}


def test_a_side_that_failed_on_every_pair_has_no_groups(entries):
    run = make_run(entries)
    rows = run.registrations
    bad = (rows["method"] == "greedy") & (rows["condition"] == "FLAIR")
    failed = dataclasses.replace(
        run, registrations=rows.assign(status=rows["status"].mask(bad, "failed"))
    )
    groups = analysis.analyse(failed, PARAMETERS).groups
    assert "FLAIR" not in set(groups["condition"])


# ---- arms of few people, labels by several hands

FEW = PARAMETERS | {
    "contrasts": [],
    "doses": [],
    "real": {"real5": 20, "openms": 6, "openms-clinical": 12},
    "methods": ["greedy", "fireants-greedy", "clapirn", "lapirn-disp"],
    "arm_methods": {"openms-clinical": ["affine", "greedy", "clapirn", "vfa"]},
}
HANDS = ("fused", "fused-lapirn", "seg-T1w")


def make_few(shifts=None, keep=lambda rows: rows["dice"].notna()) -> Run:
    """Networks lose as in LOSS by whoever drew the labels, and so much more by the labels of some."""
    entries = plan_contrasts(FEW)
    run = make_run(entries)
    rows = run.registrations[keep(run.registrations)]
    mine = rows[rows["arm"] == "real5"]
    more = pd.Series({name: (shifts or {}).get(name, 0.0) for name in HANDS})
    hit = mine["family"].eq("deep") & mine["condition"].ne("T1w")
    scored = [
        pd.DataFrame({"key": mine["key"], "label_set": name, "rule": "nearest", "label": 36})
        .assign(dice=mine["dice"] - hit * more[name])
        .assign(n_fixed=100, hd95_mm=1.0)
        for name in HANDS
    ]
    others = run.structures[~run.structures["key"].isin(mine["key"])]
    return dataclasses.replace(run, registrations=rows, structures=pd.concat([others, *scored]))


def test_pairs_that_had_been_scored_are_told_from_those_that_had_not():
    result = analysis.analyse(make_few(), FEW)
    name = "real5: T2w, the 14 pairs not scored before"
    assert result.verdicts["real5: T2w"].n_pairs == 20
    fresh = result.verdicts[name]
    assert (fresh.n_pairs, fresh.n_subjects) == (14, 5)
    assert fresh.labels == ("greedy", "LapIRN", "a segmenter on T1w")
    assert (
        "the same word by the labels of greedy, LapIRN and a segmenter on T1w"
        in result.verdict_text
    )
    assert "**real T2w of 5 people** (re-analysis)" in result.verdict_text
    assert "not scored before)** (confirmatory)" in result.verdict_text


def test_where_labels_decide_no_direction_is_said():
    result = analysis.analyse(make_few({"fused-lapirn": -0.2}), FEW)
    verdict = result.verdicts["real5: T2w"]
    assert verdict.verdict == "undecided: labels decide"
    said = verdict.sentence
    assert "by greedy: loses, and it matters" in said
    assert "by LapIRN: gains, and it matters" in said
    assert "deep methods lose" not in said
    assert "By greedy: difference in differences −0.0" in said
    assert "depends on who drew the labels" in result.opening.text


def test_an_arm_that_is_never_judged_is_shown_once_it_is_whole():
    whole = analysis.analyse(make_few(), FEW)
    name = "openms-clinical: FLAIR"
    assert whole.verdicts[name].verdict == "not decidable here"
    assert whole.verdicts[name].claim.first == ("clapirn",)  # VFA works at 2 mm and stands beside
    assert whole.verdicts[name].claim.second == ("greedy",)
    assert "openms-clinical" in set(whole.changes["arm"])
    half = make_few(
        keep=lambda r: r["arm"].ne("openms-clinical") | r["fixed"].ne(r["fixed"].iloc[-1])
    )
    part = analysis.analyse(half, FEW)
    assert part.verdicts[name].verdict == "incomplete"
    for table in (part.changes, part.effects, part.parts, part.groups):
        assert "openms-clinical" not in set(table["arm"])


def test_half_a_family_is_not_all_networks():
    some = make_few(keep=lambda r: r["arm"].ne("real5") | r["method"].ne("lapirn-disp"))
    table = analysis.analyse(some, FEW).changes
    mine = table[table["arm"] == "real5"]
    assert set(mine["method"]) == {"clapirn"}
    alone = make_few(keep=lambda r: r["arm"].ne("real5") | r["method"].ne("fireants-greedy"))
    table = analysis.analyse(alone, FEW).changes
    assert "real5" not in set(table["arm"])


def test_a_failure_takes_no_effect_size_away():
    run = make_few()
    rows = run.registrations
    lost = (
        rows["key"]
        == rows.loc[rows["arm"].eq("real5") & rows["condition"].eq("FLAIR"), "key"].iloc[0]
    )
    rows = rows.assign(status=np.where(lost, "failed", "ok"), dice=rows["dice"].mask(lost))
    effects = analysis.analyse(dataclasses.replace(run, registrations=rows), FEW).effects
    mine = effects[effects["arm"] == "real5"].set_index("condition")["n_pairs"]
    assert mine.to_dict() == {"T1w": 20, "T2w": 20, "FLAIR": 19}


def test_parts_of_opposite_sign_lie_on_either_side_of_zero():
    row = {
        "arm": "synthesised",
        "condition": "T2w",
        "change": 0,
        "low": 0,
        "high": 0,
        "n_pairs": 12,
    }
    table = pd.DataFrame(
        [
            row | {"part": "scaling of intensities", "deep": 0.010, "iterative": 0.010},
            row | {"part": "contrast proper", "deep": -0.026, "iterative": -0.019},
        ]
    )
    (axes,) = figures.plot_parts(table).axes
    bars = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches)
    ends = sorted({round(x, 6) for bar in bars for x in bar})
    assert ends == [-0.026, -0.019, 0.0, 0.01]
    sums = sorted(round(float(line.get_xdata()[0]), 6) for line in axes.lines[:2])
    assert sums == [-0.016, -0.009]
