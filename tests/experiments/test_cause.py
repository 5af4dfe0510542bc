"""Notebook 10: its networks, its plan, and intervals over subjects and seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lumirage_lib import stats
from lumirage_lib.book.notebooks import resolve_parameters
from lumirage_lib.experiments import load, plan_notebook
from lumirage_lib.experiments.cause import analysis, networks
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


def test_losses_and_what_is_given_back_are_those_put_in():
    table, sides = make_table(np.random.default_rng(0), 3, seed_sd=0.002)
    losses = analysis._find_losses(table, sides).set_index("who")
    assert losses.loc["t1", "estimate"] == pytest.approx(-0.1, abs=0.01)
    assert losses.loc["greedy", "estimate"] == pytest.approx(0, abs=0.01)
    repairs = analysis.find_repairs(losses.reset_index()).set_index("domain")
    assert repairs.loc["inverted", "remap"] == pytest.approx(0.75, abs=0.1)
    gains = analysis._find_gains(table, sides)
    opening = analysis._open(
        repairs.reset_index(), gains, losses, pd.DataFrame({"seed": [0, 1, 2]})
    )
    assert opening.headline.startswith("A choice of training")
    told = next(p for p in opening.points if "What brings it back" in p)
    assert "inverted: intensities remapped, 7" in told
    assert len(opening.headline.split()) <= 25


def test_no_loss_beyond_greedy_is_no_repair():
    table, sides = make_table(np.random.default_rng(1), 3)
    unhurt = (table["condition"] == "inverted") & table["method"].isin(sides["t1"])
    table.loc[unhurt, "dice"] += 0.1
    assert analysis.find_repairs(analysis._find_losses(table, sides)).empty


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
        _, low, high = analysis.widen(alone, [first.mean(1), second.mean(1)])
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
    assert len(analysis.keep_whole(whole)) == len(table)
    one = (table["condition"] == "inverted") & (table["method"] == "cause-t1-0")
    kept = analysis.keep_whole(replace(whole, registrations=table.drop(table.index[one][:1])))
    assert len(kept) == len(table) - one.sum()
    opening = analysis._open(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    assert "no change of domain has been run whole" in opening.headline
