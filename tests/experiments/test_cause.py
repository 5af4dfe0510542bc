"""Notebook 10: its networks, its plan, and intervals over subjects and seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lumirage_lib import stats
from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import load, plan_notebook
from lumirage_lib.experiments.cause import analysis, effects, networks
from lumirage_lib.experiments.cause.plan import DOMAINS, GRID_MM, SMALLER
from lumirage_lib.experiments.run import Run
from lumirage_lib.images.preprocess import PairImages
from lumirage_lib.images.preprocess.apply import PAIR_STEPS
from lumirage_lib.methods import get_method, missing
from lumirage_lib.methods.training import get_recipe
from lumirage_lib.methods.training.data import HELD_OUT_MAPS


@pytest.fixture(scope="module")
def entries():
    return plan_notebook("10_cause", resolve_parameters("10_cause", "open"))


def test_every_method_sees_the_same_grid(entries):
    seen = {}
    for entry in entries:
        how = entry.task.preprocessing
        assert dict(how.pair_steps[-1].arguments) == {"spacing_mm": GRID_MM}
        assert get_method(entry.task.method).find_finest_mm(GRID_MM) == GRID_MM
        key = (entry.condition, entry.task.pair.id)
        seen.setdefault(key, set()).add((how, entry.task.cohort_options))
    assert all(len(s) == 1 for s in seen.values())


def test_every_domain_of_the_plan_is_described_and_its_reference_is_planned(entries):
    planned = {e.condition for e in entries}
    assert planned == {d.name for d in DOMAINS}
    assert {d.reference for d in DOMAINS} - {None} <= planned
    pairs = {name: {e.task.pair.id for e in entries if e.condition == name} for name in planned}
    for domain in DOMAINS:
        if domain.reference is not None:
            assert pairs[domain.name] == pairs[domain.reference], domain.name


@pytest.mark.parametrize("name", list(networks.INTERVENTIONS))
def test_a_network_declares_what_its_recipe_trains(name):
    recipe, spec = get_recipe(f"cause-{name}"), get_method(networks.name_network(name, 0))
    assert spec.id == f"cause-{name}-0"
    assert spec.input.spacing_mm == recipe.spacing_mm == spec.internal_mm
    assert spec.input.multiple_of == 2 ** recipe.options["downsamples"]


def test_a_network_without_weights_is_missing_and_an_unknown_one_refused():
    assert missing(get_method(networks.name_network("t1", 99))) is not None
    with pytest.raises(Exception, match="t2_0"):
        get_method(networks.name_network("t2", 0))


def test_maps_leave_air_and_turn_round_what_is_bright():
    image = np.array([[[0.0, 0.1, 0.5, 1.0]]], np.float32)
    pair = PairImages(image, image, np.eye(4), np.eye(4), np.eye(4))
    done = PAIR_STEPS["remap"](pair, values=HELD_OUT_MAPS["inverted"], image="moving")
    np.testing.assert_allclose(done.moving, [[[0, 0.9, 0.5, 0]]], atol=1e-6)
    np.testing.assert_array_equal(done.fixed, image)


def test_smaller_brains_and_their_control_have_the_same_number_of_voxels():
    image = np.zeros((120, 160, 120), np.float32)
    image[20:100, 20:140, 20:100] = 1
    pair = PairImages(image, image, np.eye(4), np.eye(4), np.eye(4))
    small = pair
    for axis in range(3):
        small = PAIR_STEPS["mis_space"](small, factor=SMALLER, axis=axis)
    small = PAIR_STEPS["set_spacing"](small, spacing_mm=GRID_MM)
    few = PAIR_STEPS["set_spacing"](pair, spacing_mm=GRID_MM / SMALLER)
    assert small.fixed.shape == few.fixed.shape
    np.testing.assert_allclose(small.fixed, few.fixed, atol=1e-4)


def make_table(rng, n_seeds, seed_sd=0.01):
    """Eight subjects in a ring; greedy, and networks of two ways of training under two domains."""
    rows = []
    pairs = [(f"s{i}", f"s{(i + 1) % 8}") for i in range(8)]
    ease = rng.normal(0.6, 0.03, len(pairs))
    sides = {"greedy": ["greedy"]}
    for way in ("t1", "remap"):
        sides[way] = [networks.identify_network(way, k) for k in range(n_seeds)]
    for way, methods in sides.items():
        for method in methods:
            luck = rng.normal(0, seed_sd) if way != "greedy" else 0.0
            for domain, lost in (("T1w", 0.0), ("inverted", 0.1)):
                gone = lost if way == "t1" else 0.25 * lost if way == "remap" else 0.0
                for (fixed, moving), start in zip(pairs, ease, strict=True):
                    value = start - gone + luck + rng.normal(0, 0.005)
                    rows.append(
                        {
                            "method": method,
                            "family": "deep",
                            "fixed": fixed,
                            "moving": moving,
                            "fixed_subject": fixed,
                            "moving_subject": moving,
                            "condition": domain,
                            "status": "ok",
                            "dice": value,
                        }
                    )
    return pd.DataFrame(rows), sides


CHANGES = ("T1w", "inverted")


def find(table, sides):
    losses, gains = effects.find_losses(table, sides), effects.find_gains(table, sides)
    return losses, gains, effects.find_repairs(losses, gains)


def test_losses_and_what_is_regained_are_those_put_in():
    table, sides = make_table(np.random.default_rng(0), 3, seed_sd=0.002)
    losses, gains, repairs = find(table, sides)
    of = losses.set_index("who")
    assert of.loc["t1", "estimate"] == pytest.approx(-0.1, abs=0.01)
    assert of.loc["greedy", "estimate"] == pytest.approx(0, abs=0.01)
    assert repairs.set_index(["domain", "training"]).loc[("inverted", "remap"), "share"] == (
        pytest.approx(0.75, abs=0.1)
    )
    assert effects.find_mended(repairs) == ["inverted"]
    opening = analysis._open(repairs, gains, losses, pd.DataFrame({"seed": [0, 1, 2]}), CHANGES)
    assert opening.headline.startswith("The best of 1 other training, by domain, regains half")
    assert len(opening.headline.split()) <= 25
    told = next(p for p in opening.points if "What brings it back" in p)
    assert "inverted: intensities remapped, +0.07" in told
    soon = analysis._open(repairs, gains, losses, pd.DataFrame(), [*CHANGES, "smaller"])
    assert soon.headline.startswith("So far (1 domain to come)")
    assert len(soon.headline.split()) <= 25


def test_what_training_gains_on_real_contrasts_is_said_whatever_was_lost_there():
    table, sides = make_table(np.random.default_rng(0), 3, seed_sd=0.002)
    real = table[table["condition"] == "inverted"].assign(condition="real T2w")
    plain = table[table["condition"] == "T1w"].assign(condition="real T1w")
    gains = find(pd.concat([table, plain, real]), sides)[1]
    (said,) = analysis._say_real(gains)
    assert "Remapped intensities add: real T2w +0.07" in said
    assert "inverted" not in said
    assert analysis._say_real(gains[gains["domain"] != "real T2w"]) == []


def test_a_network_that_is_worse_everywhere_has_regained_nothing():
    table, sides = make_table(np.random.default_rng(0), 3, seed_sd=0.002)
    table.loc[table["method"].isin(sides["remap"]), "dice"] -= 0.075
    losses, gains, repairs = find(table, sides)
    assert repairs["share"].item() == pytest.approx(0, abs=0.1)
    assert effects.find_mended(repairs) == []
    opening = analysis._open(repairs, gains, losses, pd.DataFrame({"seed": [0, 1, 2]}), CHANGES)
    assert opening.headline.startswith("These choices of training do not mend it")


def test_no_loss_beyond_greedy_is_no_repair():
    table, sides = make_table(np.random.default_rng(1), 3)
    unhurt = (table["condition"] == "inverted") & table["method"].isin(sides["t1"])
    table.loc[unhurt, "dice"] += 0.1
    losses, gains, repairs = find(table, sides)
    assert repairs.empty
    opening = analysis._open(repairs, gains, losses, pd.DataFrame({"seed": [0]}), CHANGES)
    assert opening.headline.startswith("Trained on T1w alone, the network shows no loss")
    assert len(opening.headline.split()) <= 25


def test_a_loss_is_told_where_no_other_training_was_run():
    table, sides = make_table(np.random.default_rng(0), 3, seed_sd=0.002)
    alone = {who: sides[who] for who in ("greedy", "t1")}
    losses, gains, repairs = find(table[~table["method"].isin(sides["remap"])], alone)
    assert repairs.empty
    opening = analysis._open(repairs, gains, losses, pd.DataFrame({"seed": [0]}), CHANGES)
    assert "loses more than greedy on 1 of 1 change" in opening.headline
    assert len(opening.headline.split()) <= 25


def test_two_pairs_are_too_few_to_say_that_nothing_is_lost():
    table, sides = make_table(np.random.default_rng(1), 2)
    losses, gains, repairs = find(table[table["fixed"].isin(["s0", "s1"])], sides)
    assert repairs.empty
    opening = analysis._open(repairs, gains, losses, pd.DataFrame({"seed": [0]}), CHANGES)
    assert opening.headline.startswith("Too few pairs")


def test_a_pair_on_which_a_seed_failed_is_left_out_of_all_its_seeds():
    table, sides = make_table(np.random.default_rng(0), 3)
    one = (table["method"] == sides["t1"][1]) & (table["condition"] == "inverted")
    table.loc[one & (table["fixed"] == "s3"), ["status", "dice"]] = "failed", np.nan
    kept = effects.keep_common(table, sides)
    gone = table.loc[table.index.difference(kept.index)]
    assert set(gone["method"]) == set(sides["t1"])
    assert set(gone["fixed"]) == {"s3"}
    losses = find(kept, sides)[0].set_index("who")
    assert losses.loc["t1", "n_pairs"] == 7
    assert losses.loc["greedy", "n_pairs"] == 8


@pytest.mark.parametrize("who", ["t1", "greedy"])
def test_a_side_that_failed_on_every_pair_is_left_out(who):
    table, sides = make_table(np.random.default_rng(0), 3)
    bad = table["method"].isin(sides[who]) & (table["condition"] == "inverted")
    table.loc[bad, ["status", "dice"]] = "failed", np.nan
    losses, gains, repairs = find(effects.keep_common(table, sides), sides)
    assert who not in set(losses["who"])
    assert repairs.empty
    opening = analysis._open(repairs, gains, losses, pd.DataFrame(), CHANGES)
    assert opening.headline.startswith("Not tested yet")


def test_a_method_below_the_affine_alignment_is_named():
    dice = pd.DataFrame(
        {"affine": [0.4, 0.4], "greedy": [0.5, 0.1], "t1": [0.45, 0.2]}, index=["T1w", "inverted"]
    )
    assert analysis._say_below(dice).endswith("inverted: greedy and *T1w only*.")
    both = analysis._say_below(dice.assign(remap=[0.45, 0.3]))
    assert both.endswith("inverted: greedy and every network.")
    assert analysis._say_below(dice.loc[["T1w"]]) == ""


def test_the_interval_over_subjects_and_seeds_covers():
    """The seeds' share of the error is not left out: without it, coverage falls far below."""
    rng, inside, without = np.random.default_rng(2), [], []
    subjects = np.array([f"s{i}" for i in range(8)])
    for _ in range(400):
        # Seeds down, pairs across; the truth is that both ways of training are equal.
        luck = rng.normal(0, 0.01, (2, 5, 1))
        first, second = luck + rng.normal(0, 0.005, (2, 5, 8))
        matched = stats.Matched(first.mean(0), second.mean(0), subjects, np.roll(subjects, 1))
        alone = stats.compute_interval(matched)
        _, low, high = effects.widen(alone, [first.mean(1), second.mean(1)])
        inside.append(low <= 0 <= high)
        without.append(alone.low <= 0 <= alone.high)
    assert np.mean(inside) >= 0.93
    assert np.mean(without) < 0.6


def test_a_run_that_has_not_begun_is_called_not_tested(monkeypatch, tmp_path):
    monkeypatch.setenv("LUMIRAGE_STORE", str(tmp_path))
    parameters = resolve_parameters("10_cause", "open")
    run = load("10_cause", parameters)
    run = replace(run, registrations=run.registrations.iloc[:0])
    result = analysis.analyse(run, parameters)
    assert result.opening.headline.startswith("Not tested yet")
    assert result.repairs_text == "Nothing can be said before the networks have been run."
    assert "inverted and folded" in result.rule
    assert [len(table) for table in (result.gains, result.losses, result.dice)] == [0, 0, 0]


def test_a_domain_counts_once_all_its_pairs_were_tried(entries):
    some = [e for e in entries if e.condition in ("T1w", "inverted")]
    rows = [
        {"condition": e.condition, "method": get_method(e.task.method).id, "arm": e.arm}
        | {"fixed": e.task.pair.fixed.id, "moving": e.task.pair.moving.id}
        for e in some
    ]
    table = pd.DataFrame(rows)
    whole = Run(table, pd.DataFrame(), {}, {}, some, None)
    assert len(effects.keep_whole(whole)) == len(table)
    one = (table["condition"] == "inverted") & (table["method"] == "cause-t1-0")
    kept = effects.keep_whole(replace(whole, registrations=table.drop(table.index[one][:1])))
    assert len(kept) == len(table) - one.sum()
    opening = analysis._open(*[pd.DataFrame()] * 4, CHANGES)
    assert "no change of domain has been run whole" in opening.headline
