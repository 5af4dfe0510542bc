"""Notebook 04: the plan shares what is computed, and sentences follow the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lumirage_lib import experiments
from lumirage_lib.book import notebooks
from lumirage_lib.errors import InputError
from lumirage_lib.experiments.resolution import analysis as resolution
from lumirage_lib.experiments.resolution import figures
from lumirage_lib.experiments.resolution import memory as memory_wall
from lumirage_lib.experiments.resolution.plan import plan_resolution, working_at
from lumirage_lib.images.preprocess import STANDARD, PairImages, prepare_pair
from lumirage_lib.images.volumes import Volume
from lumirage_lib.methods import get_method

DEFAULTS = notebooks.resolve_parameters("04_resolution", "smoke")


def test_rows_at_native_resolution_are_those_of_notebook_01():
    open_ = notebooks.resolve_parameters("04_resolution", "open")
    first = notebooks.resolve_parameters("01_in_distribution", "open")
    known = {e.task.key for e in experiments.plan_notebook("01_in_distribution", first)}
    mine = [t for t in plan_resolution(open_) if t.cohort == "oasis"]
    native = [t for t in mine if t.preprocessing == STANDARD and t.method in ("greedy", "clapirn")]
    assert len(native) == 2 * open_["oasis_pairs"]
    assert {t.key for t in native} <= known
    assert not {t.key for t in mine if t.preprocessing != STANDARD} & known


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


@pytest.fixture
def registrations() -> pd.DataFrame:
    """Two pairs, native and at 8 mm; greedy loses 0.1 there, the network fails once."""
    rows = [
        ("greedy", "standard", "a", 0.60, "ok"),
        ("greedy", "standard", "b", 0.70, "ok"),
        ("greedy", "8 mm", "a", 0.52, "ok"),
        ("greedy", "8 mm", "b", 0.58, "ok"),
        ("clapirn", "standard", "a", np.nan, "out-of-memory"),
        ("clapirn", "standard", "b", 0.65, "ok"),
        ("clapirn", "8 mm", "a", 0.65, "ok"),
        ("clapirn", "8 mm", "b", 0.65, "ok"),
    ]
    table = pd.DataFrame(rows, columns=["method", "preprocessing", "moving", "dice", "status"])
    return table.assign(cohort="template", fixed="c", fixed_subject="c", moving_subject="a")


def test_gain_is_read_off_at_native_labels(registrations):
    pairs = resolution.add_working_mm(registrations, DEFAULTS)
    assert sorted(pairs["working_mm"].unique()) == [5.0, 8.0]
    gain = resolution.summarise_gain(pairs).set_index(["method", "working_mm"])
    assert set(gain["measure"]) == {"dice"}
    row = gain.loc[("greedy", 5.0)]
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((0.65, 0.6, 0.7))
    row = gain.loc[("clapirn", 5.0)]
    assert (row["mean"], row["n_pairs"], row["n_failed"]) == (0.65, 1, 1)
    text = resolution._gain_text(pairs, margin=0.01)
    assert "greedy on template gains +0.100 (+0.080 to +0.120) from 8 to 5 mm" in text
    assert "conditional LapIRN on template keeps +0.000" in text  # only the pair it has at both


@pytest.mark.parametrize(
    ("whole", "slabs", "said"),
    [
        ((30, 12), (14, 6), "in 24 GB when they compute in slabs, and need 80 GB"),
        ((90, 12), (14, 6), "need more than any budget here when they convolve whole"),
        ((7, 5), (6, 4), "neither a law nor an implementation"),
        ((200, 12), (100, 6), "there it is a law"),
    ],
)
def test_verdict_follows_the_numbers(whole, slabs, said):
    rows = [
        (network, form, 0.6, 1024.0 * gb)
        for form, values in (("whole", whole), ("slabs", slabs))
        for network, gb in zip(("vfa", "clapirn"), values, strict=True)
    ]
    wall = pd.DataFrame(rows, columns=["network", "form", "spacing_mm", "predicted_mb"])
    conclusion, counts = memory_wall.decide(wall, [80, 8, 24])
    assert said in conclusion
    n_whole, n_slabs = (sum(v <= 24 for v in values) for values in (whole, slabs))
    assert f"| 24 GB | {n_whole} of 2 | {n_slabs} of 2 |" in counts


def test_what_was_run_is_said(registrations):
    pairs = resolution.add_working_mm(registrations, DEFAULTS)
    none = "No network was run that fine; the numbers are predictions."
    assert memory_wall.say_ran(None, pairs) == none
    fine = pairs.assign(working_mm=0.6, method="clapirn@grid", status="ok")
    said = memory_wall.say_ran(None, fine)
    assert "Registered at 0.6 mm on this page: conditional LapIRN (as given) on 2 pairs." in said
    assert "For that network at least, failing to run at 0.6 mm is no law." in said
    failed = memory_wall.say_ran(None, fine.assign(status="out-of-memory"))
    assert (
        failed == f"Tried there and failed: conditional LapIRN (as given) (out-of-memory). {none}"
    )
    resampled = fine.assign(method="clapirn")  # to the voxels of its training
    assert memory_wall.say_ran(None, resampled) == none


def test_what_was_measured_is_said(registrations):
    pairs = resolution.add_working_mm(registrations, DEFAULTS)
    rows = [
        ("clapirn", "slabs", 0.6, "ok", 4500.0, 70.0, 4400.0, -2.2, 4950.0),
        ("clapirn", "whole", 0.6, "out-of-memory", np.nan, np.nan, 7800.0, np.nan, np.nan),
        ("clapirn", "slabs", 2.0, "ok", 500.0, 2.0, 510.0, 2.0, 550.0),
        ("vfa", "slabs", 0.6, np.nan, np.nan, np.nan, 8200.0, np.nan, np.nan),
    ]
    columns = ["network", "form", "spacing_mm", "status", "measured_mb", "cpu_seconds"]
    wall = pd.DataFrame(rows, columns=[*columns, "predicted_mb", "error_percent", "default_mb"])
    wall["shape"] = "352x352x256"
    said = memory_wall.say_ran(wall, pairs)
    assert "grid of 0.6 mm, 352 × 352 × 256" in said
    assert "each: conditional LapIRN in slabs, 4.4 GB in 70 s." in said
    assert "failed: conditional LapIRN whole (out-of-memory)." in said
    assert "VFA" not in said
    error = memory_wall.say_error(wall)
    assert "2 inferences of 1 network down to 0.6 mm were really run" in error
    assert "at most 2.2 % (slabs)" in error
    assert "2 inferences of these took 10 to 10 % more" in error


@pytest.mark.parametrize(
    ("n_pairs", "gain", "verdict"),
    [
        (1, 0.02, "not decidable here"),  # one registration once decided the claim
        (6, 0.02, "supported"),
        (6, 0.0, "not supported"),
    ],
)
def test_scoreboard_asks_whether_iterative_methods_gain_at_the_grid_of_the_claim(
    n_pairs, gain, verdict, rng
):
    """Template at 0.6, 1 and 2 mm, as the open run has it; networks do not enter."""
    rows = [
        {
            "cohort": "template",
            "preprocessing": f"{mm:g} mm",
            "method": name,
            "family": family,
            "fixed": f"s{k}",
            "moving": f"s{(k + 1) % n_pairs}" if n_pairs > 1 else "s1",
            "fixed_subject": f"s{k}",
            "moving_subject": f"s{(k + 1) % n_pairs}" if n_pairs > 1 else "s1",
            "status": "ok",
            "dice": 0.7 + gain * (mm == 0.6) * (family == "iterative") + rng.normal(0, 1e-4),
        }
        for k in range(n_pairs)
        for name, family in (("greedy", "iterative"), ("clapirn@grid", "deep"))
        for mm in (0.6, 1.0, 2.0)
    ]
    parameters = notebooks.resolve_parameters("04_resolution", "open")
    pairs = resolution.add_working_mm(pd.DataFrame(rows), parameters)
    (found,) = resolution.decide(pairs)
    assert (found.verdict, found.n_pairs) == (verdict, n_pairs)
    assert sorted(pairs["working_mm"].unique()) == [0.6, 1.0, 2.0]
    assert resolution.decide(pairs[pairs["preprocessing"] != "0.6 mm"]) == []


@pytest.mark.parametrize(
    ("method", "status", "runs"),
    [
        ("clapirn@grid", "ok", True),
        ("clapirn@grid", "out-of-memory", False),
        ("clapirn", "ok", False),  # resampled to the voxels of its training: never saw 0.6 mm
    ],
)
def test_only_a_network_that_ran_on_the_grid_of_the_claim_is_said_to(method, status, runs):
    rows = [
        {"cohort": "template", "preprocessing": f"{mm:g} mm", "method": method, "family": "deep"}
        | {"status": status, "dice": 0.7, "fixed": "a", "moving": "b"}
        for mm in (0.6, 1.0)
    ]
    parameters = notebooks.resolve_parameters("04_resolution", "open")
    pairs = resolution.add_working_mm(pd.DataFrame(rows), parameters)
    assert ("is no law" in memory_wall.say_ran(None, pairs)) == runs


def test_missing_table_is_said():
    assert "missing" in memory_wall.decide(None, [8])[0]
    assert "benchmarks/memory.py" in memory_wall.say_need(None)


def test_page_of_an_empty_run_has_its_sentences(registrations):
    pairs = resolution.add_working_mm(registrations.iloc[:0], DEFAULTS)
    gain = resolution.summarise_gain(pairs)
    assert gain.empty
    assert "no gain can be said" in resolution._gain_text(pairs, 0.01)
    assert resolution._gain_table(gain).count("\n") == 1
    assert resolution._design(pairs) == "No pairs, no subjects."
    assert "No network was run" in memory_wall.say_ran(None, pairs)
    figures.plot_gain(gain)
