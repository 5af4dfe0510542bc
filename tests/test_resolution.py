"""Notebook 04: the plan shares what is computed, and sentences follow the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lumirage_lib import experiments, figures, notebooks
from lumirage_lib.analyses import memory_wall, resolution
from lumirage_lib.errors import InputError
from lumirage_lib.methods import get_method
from lumirage_lib.plans.resolution import plan_resolution, working_at
from lumirage_lib.preprocess import STANDARD, PairImages, prepare_pair
from lumirage_lib.volumes import Volume

DEFAULTS = notebooks.resolve_parameters("04_resolution", "smoke")


def test_rows_at_native_resolution_are_those_of_notebook_01():
    open_ = notebooks.resolve_parameters("04_resolution", "open")
    first = notebooks.resolve_parameters("01_in_distribution", "open")
    known = {t.key for t in experiments.plan_notebook("01_in_distribution", first)}
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
    assert "no network was run that fine" in memory_wall.say_ran(pairs)
    fine = pairs.assign(working_mm=0.6, method="clapirn@grid", status="ok")
    assert "Really run at 0.6 mm" in memory_wall.say_ran(fine)
    assert "no network" in memory_wall.say_ran(fine.assign(status="out-of-memory"))


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
    assert "no network was run" in memory_wall.say_ran(pairs)
    figures.plot_gain(gain)
