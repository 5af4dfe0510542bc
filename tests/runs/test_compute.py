from __future__ import annotations

import dataclasses
import io
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
from fakes import QUICK

from lumirage_lib import metrics
from lumirage_lib.cohorts import Pair, balanced_pairs, get_cohort
from lumirage_lib.cohorts.sources import Source
from lumirage_lib.errors import InputError
from lumirage_lib.files import hash_of
from lumirage_lib.images.preprocess import Preprocessing, step
from lumirage_lib.images.warp import warp_labels
from lumirage_lib.methods import InputSpec, get_method
from lumirage_lib.runs import compute as computing
from lumirage_lib.runs import store as stored
from lumirage_lib.runs import task as tasks_module
from lumirage_lib.runs.child import Outcome
from lumirage_lib.runs.compute import compute, pending
from lumirage_lib.runs.fields import read_field
from lumirage_lib.runs.scoring import score
from lumirage_lib.runs.scratch import recalling
from lumirage_lib.runs.task import Task, plan
from lumirage_lib.runs.work import align_pair

TESTS = Path(__file__).parents[1]
SCANS = get_cohort("tiny").scans
PAIRS = balanced_pairs(SCANS, 6)


def make_plan(methods, n_pairs: int = 1, **options) -> list[Task]:
    options = {"preprocessing": [QUICK], **options}
    return plan("tiny", PAIRS[:n_pairs], methods, **options)


# ---- keys


BASE = Task("tiny", (), Pair(SCANS[0], SCANS[1]), "fakes:SHIFT", (), QUICK)


def change(**changes) -> Task:
    return dataclasses.replace(BASE, **changes)


@pytest.mark.parametrize(
    "task",
    [
        change(pair=Pair(SCANS[1], SCANS[0])),
        change(pair=Pair(SCANS[0], SCANS[2])),
        change(cohort_options=(("release", "2"),)),
        change(preprocessing=dataclasses.replace(QUICK, alignment="rigid")),
        change(preprocessing=dataclasses.replace(QUICK, image_steps=(step("minmax"),))),
        change(preprocessing=dataclasses.replace(QUICK, pair_steps=(step("crop"),))),
        change(parameters=(("seconds", 0.5),)),
        change(parameters=(("shift", (0.0, 1.0, 0.0)),)),
        change(method="affine"),
        change(method="fakes:SHIFT_2"),  # another version of the same software
    ],
)
def test_key_changes_with_everything_that_determines_the_result(task):
    assert task.key != BASE.key


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": Source("o/n", "c0" * 20, "net.pth", "ab" * 32, 9, "MIT")},
        {"weights": Source("o/n", "c0" * 20, "net.pth", "cd" * 32, 9, "MIT")},
        {"input": InputSpec("LIA")},
        {"input": InputSpec(multiple_of=16)},
        {"input": InputSpec(grid=(32, 32, 32))},
        {"input": InputSpec(intensity="minmax")},
        {"version": "1.1"},
        {"id": "shift-fast"},
        {"parameters": {**fakes.PARAMETERS, "seconds": 0.25}},
    ],
)
def test_key_changes_with_everything_a_method_declares(monkeypatch, changes):
    spec, key = get_method("fakes:SHIFT"), BASE.key
    monkeypatch.setattr(
        tasks_module, "get_method", lambda name: dataclasses.replace(spec, **changes)
    )
    assert change().key != key


def test_keys_of_two_checkpoints_differ(monkeypatch):
    spec, keys = get_method("fakes:SHIFT"), set()
    for digest in ("ab" * 32, "cd" * 32):
        weights = Source("o/n", "c0" * 20, "net.pth", digest, 9, "MIT")
        changed = dataclasses.replace(spec, weights=weights)
        monkeypatch.setattr(tasks_module, "get_method", lambda name, spec=changed: spec)
        keys.add(change().key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    "task",
    [
        change(preprocessing=dataclasses.replace(QUICK, name="another name")),
        change(parameters=(("seconds", 0.0),)),  # the default, said aloud
        change(parameters=(("shift", (0.0, 0.0, 0.0)), ("log", ""))),
        change(cohort_options=(("n_subjects", 5),)),  # the two scans are the same
        change(pair=Pair(SCANS[0], SCANS[1], "rescan")),
    ],
)
def test_key_changes_with_nothing_else(task):
    assert task.key == BASE.key


def test_how_a_method_is_stopped_cited_or_called_is_not_in_the_key(monkeypatch):
    spec, key = get_method("fakes:SHIFT"), BASE.key
    for changes in ({"timeout_seconds": 9.0}, {"citation": "x"}, {"family": "deep"}):
        changed = dataclasses.replace(spec, **changes)
        monkeypatch.setattr(tasks_module, "get_method", lambda name, spec=changed: spec)
        assert change().key == key


def test_alignment_is_shared_by_methods_and_by_what_follows_it():
    for task in (
        change(method="affine"),
        change(parameters=(("seconds", 0.5),)),
        change(preprocessing=dataclasses.replace(QUICK, pair_steps=(step("crop"),))),
        change(preprocessing=dataclasses.replace(QUICK, image_steps=(step("minmax"),))),
    ):
        assert task.alignment_key == BASE.alignment_key
    for task in (
        change(pair=Pair(SCANS[1], SCANS[0])),
        change(preprocessing=dataclasses.replace(QUICK, alignment="rigid")),
    ):
        assert task.alignment_key != BASE.alignment_key


@pytest.mark.parametrize(
    ("method", "key"),
    [("affine", "98a72185219959e8e8f0"), ("lapirn-disp", "4127aabf275371f894c0")],
)
def test_keys_of_the_published_run_stay(method, key):
    cohort = get_cohort("oasis")
    task = Task("oasis", (), Pair(cohort.scan("1004"), cohort.scan("1003")), method)
    assert task.key == key
    assert task.alignment_key == "6f9525296c3a226c1ed5"
    published = Path(__file__).parents[2] / "results/open/registrations.parquet"
    assert key in set(pd.read_parquet(published, columns=["key"])["key"])


def with_cohort(monkeypatch, **changes) -> None:
    cohort = dataclasses.replace(get_cohort("tiny"), **changes)
    monkeypatch.setattr(tasks_module, "get_cohort", lambda name, **options: cohort)


def test_contrasts_of_a_pair_share_the_alignment_of_one_of_them(monkeypatch):
    own, shared = BASE.key, BASE.alignment_key
    with_cohort(
        monkeypatch,
        fingerprint=lambda scan: f"T2w-{scan.id}",
        load_image=lambda scan: pytest.fail("the alignment is not estimated on this contrast"),
        aligned_by=get_cohort("tiny"),
    )
    assert change().key != own
    assert change().alignment_key == shared
    assert align_pair(dataclasses.replace(BASE, preprocessing=QUICK))[0].shape == (4, 4)


def test_label_set_that_one_scan_lacks_is_not_measured(monkeypatch):
    cohort = get_cohort("tiny")
    two = {**cohort.label_sets, "other": cohort.label_sets["manual"]}
    cohort = dataclasses.replace(cohort, label_sets=two, lacks=frozenset({("2", "other")}))
    field = np.zeros((3, *fakes.SHAPE), np.float32)
    for pair in PAIRS[:3]:
        _, structures = score(cohort, pair, field)
        lacking = "2" in (pair.fixed.id, pair.moving.id)
        assert ("other" in set(structures["label_set"])) != lacking


def test_hash_does_not_depend_on_the_order_of_a_mapping_nor_on_the_process():
    assert hash_of({"a": 1, "b": [1, 2]}) == hash_of({"b": [1, 2], "a": 1})
    assert hash_of({"a": 1, "b": [1, 2]}) == "8baa73198470c7bb4c3c"
    assert hash_of({"a": 1}) != hash_of({"a": "1"})


# ---- the plan


def test_plan_is_every_pair_times_method_times_preprocessing():
    other = Preprocessing("cropped", (), "centre", (step("crop"),))
    tasks = make_plan(
        {"affine": {}, "fakes:SHIFT": {"shift": [1, 2, 3]}},
        3,
        preprocessing=[QUICK, other],
        limits={"fakes:SHIFT": 2},
        cohort_options={"n_subjects": 3},
    )
    assert len({t.key for t in tasks}) == len(tasks) == 3 * 2 + 2 * 2
    assert [t.pair for t in tasks] == [PAIRS[0]] * 4 + [PAIRS[1]] * 4 + [PAIRS[2]] * 2
    shifts = [t for t in tasks if t.method == "fakes:SHIFT"]
    assert {t.pair for t in shifts} == set(PAIRS[:2])
    assert shifts[0].full_parameters() == {**fakes.PARAMETERS, "shift": [1, 2, 3]}
    assert hash(tasks[0]) == hash(dataclasses.replace(tasks[0]))


@pytest.mark.parametrize(
    ("methods", "options", "complaint"),
    [
        (["gredy"], {}, "no method 'gredy'"),
        ({"fakes:SHIFT": {"shfit": 1}}, {}, "shift: no parameter shfit; there are log, seconds"),
        (["affine"], {"limits": {"greedy": 3}}, "limit for 'greedy', which is not among"),
    ],
)
def test_plan_refuses_what_it_does_not_know_before_anything_runs(methods, options, complaint):
    with pytest.raises(InputError, match=complaint):
        make_plan(methods, **options)


# ---- computing


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "store" / "test.sqlite"


def test_registration_becomes_a_row_with_structures_slices_and_a_displacement(store):
    (task,) = make_plan({"fakes:SHIFT": {"shift": [0.5, -0.25, 0.75], "seconds": 0.2}})
    rows = []
    counts = compute([task], store, slices_of=lambda t: True, on_row=rows.append)
    assert counts == {"reused": 0, "new": 1, "failed": 0, "skipped": 0}
    table = stored.read_registrations(store)
    (row,) = table.to_dict("records")
    assert row["key"] == rows[0]["key"] == task.key
    assert (row["fixed"], row["moving"]) == (task.pair.fixed.id, task.pair.moving.id)
    assert (row["status"], row["reason"], row["method"]) == ("ok", "", "shift")
    assert json.loads(row["parameters"]) == task.full_parameters()
    assert row["working_shape"] == "22x26x20"
    assert row["spacing_mm"] == pytest.approx(3 ** (1 / 3))
    assert row["seconds"] >= 0.2
    assert row["peak_mb"] > row["method_mb"] >= 0
    # What was measured is what the displacement gives: the alignment and then the shift.
    displacement = read_field(task.key)
    alignment = np.array(stored.read_alignment(store, task.alignment_key)["matrix"])
    expected = alignment[:3, 3].reshape(3, 1, 1, 1) + np.reshape([0.5, -0.25, 0.75], (3, 1, 1, 1))
    np.testing.assert_allclose(
        displacement, np.broadcast_to(expected, (3, *fakes.SHAPE)), atol=1e-5
    )
    fixed, moving = (
        fakes.load_labels(s, "manual").data for s in (task.pair.fixed, task.pair.moving)
    )
    dice = metrics.compute_overlap(fixed, warp_labels(moving, displacement), [1, 2, 3, 4])["dice"]
    assert row["dice"] == pytest.approx(dice.mean())
    assert 0.2 < row["dice"] < 1
    structures = stored.read_structures(store)
    found = structures.query("label_set == 'manual' and rule == 'nearest' and label > 0")
    np.testing.assert_allclose(found.sort_values("label")["dice"], dice)
    # Slices of the four images along three axes
    with np.load(io.BytesIO(stored.read_slices(store, task.key))) as slices:
        assert len(slices.files) == 12
        assert slices["fixed_sagittal"].shape == fakes.SHAPE[1:]
        assert slices["moved_axial"].shape == fakes.SHAPE[:2]
        assert set(np.unique(slices["moved_labels_coronal"])) <= {0, 1, 2, 3, 4}


def test_structures_cover_every_rule_and_label_once(store):
    displacement = np.zeros((3, *fakes.SHAPE), np.float32)
    measures, structures = score(get_cohort("tiny"), PAIRS[0], displacement)
    assert not structures.duplicated(["label_set", "rule", "label"]).any()
    sizes = structures.groupby(["label_set", "rule"]).size().to_dict()
    assert sizes == {
        ("manual", "nearest"): 5,
        ("manual", "linear"): 5,
        ("manual", "soft"): 5,
        ("brain", "nearest"): 1,
    }
    assert measures["n_labels"] == 4
    nearest = structures.query("label_set == 'manual' and rule == 'nearest'").set_index("label")
    assert nearest["hd95_mm"].drop(0).notna().all()
    assert measures["dice"] == pytest.approx(nearest["dice"].drop(0).mean())  # without background


def test_a_true_displacement_is_made_once_for_all_children_of_a_pair(tmp_path):
    cohort, made = get_cohort("tiny"), []
    truth = np.zeros((3, 2, 2, 2), np.float32)
    counting = dataclasses.replace(
        cohort, true_displacement=lambda pair: made.append(pair) or truth
    )
    there, back = Pair(*cohort.scans[:2]), Pair(*cohort.scans[1::-1])
    for pair in (there, there, back):
        assert np.array_equal(recalling(counting, tmp_path).true_displacement(pair), truth)
    assert made == [there, back]
    assert recalling(cohort, tmp_path).true_displacement is None


def test_true_error_is_measured_where_the_truth_is_known():
    truth = np.zeros((3, *fakes.SHAPE), np.float32)
    cohort = dataclasses.replace(get_cohort("tiny"), true_displacement=lambda pair: truth)
    off = truth + np.float32([[[[2]]], [[[0]]], [[[1]]]])  # voxels of 1 x 1.5 x 2 mm
    measures, _ = score(cohort, PAIRS[0], off)
    assert measures["true_error_mm"] == pytest.approx(np.hypot(2, 2), abs=1e-4)


def test_second_run_computes_nothing_and_a_changed_parameter_does(store, tmp_path):
    log = tmp_path / "log"
    methods = {"fakes:SHIFT": {"log": str(log)}}
    first = compute(make_plan(methods, 2), store)
    assert first == {"reused": 0, "new": 2, "failed": 0, "skipped": 0}
    before = stored.read_registrations(store)
    again = compute(make_plan(methods, 2), store)
    assert again == {"reused": 2, "new": 0, "failed": 0, "skipped": 0}
    assert len(log.read_text().splitlines()) == 2
    pd.testing.assert_frame_equal(stored.read_registrations(store), before)
    methods["fakes:SHIFT"]["shift"] = [1.0, 0.0, 0.0]
    more = compute(make_plan(methods, 3), store)
    assert more == {"reused": 0, "new": 3, "failed": 0, "skipped": 0}
    assert len(log.read_text().splitlines()) == 5
    # One alignment a pair, whatever was done with it
    with stored.open_store(store) as connection:
        assert connection.execute("SELECT count(*) FROM alignments").fetchone() == (3,)


def test_rows_of_an_older_ruler_are_measured_again_where_the_field_is_kept(
    store, monkeypatch, tmp_path
):
    log = tmp_path / "log"
    tasks = make_plan({"fakes:SHIFT": {"log": str(log), "shift": [0.3, 1.2, -0.7]}})
    compute(tasks, store)
    before = stored.read_registrations(store)
    structures = stored.read_structures(store)
    with stored.open_store(store) as connection:
        connection.execute("DELETE FROM structures")
        connection.execute("UPDATE registrations SET measures = '{}'")
    monkeypatch.setattr(computing, "RULER", computing.RULER + 1)
    assert pending(tasks, store) == []
    assert compute(tasks, store)["reused"] == 1
    after = stored.read_registrations(store)
    assert after["ruler"].tolist() == [computing.RULER]
    pd.testing.assert_frame_equal(
        after.drop(columns="ruler"), before.drop(columns="ruler"), rtol=1e-3
    )
    pd.testing.assert_frame_equal(stored.read_structures(store), structures, rtol=1e-3)
    assert len(log.read_text().splitlines()) == 1  # nothing was registered again
    # Where the field is not kept, the row stays as it is, and answers.
    monkeypatch.setattr(computing, "RULER", computing.RULER + 1)
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "another machine"))
    assert compute(tasks, store) == {"reused": 1, "new": 0, "failed": 0, "skipped": 0}
    pd.testing.assert_frame_equal(stored.read_registrations(store), after)


def test_what_cannot_be_measured_again_is_warned_of_and_stays(store, monkeypatch):
    (task,) = make_plan(["affine"])
    compute([task], store)
    before = stored.read_registrations(store)
    monkeypatch.setattr(computing, "RULER", computing.RULER + 1)
    monkeypatch.setattr(
        computing, "measure_again", lambda place, task: Outcome("failed", reason="TypeError: x")
    )
    with pytest.warns(UserWarning, match=r"1 of 1 registrations could .*affine on .*TypeError: x"):
        compute([task], store)
    pd.testing.assert_frame_equal(stored.read_registrations(store), before)


def test_fields_need_not_be_kept(store):
    (task,) = make_plan(["affine"])
    compute([task], store, keep_fields=False)
    assert read_field(task.key) is None


def method_for(how: str) -> str:
    return "fakes:HURRIED" if how == "sleep" else "fakes:BAD"


def test_failing_method_is_a_row_with_a_reason_and_disturbs_no_other(store):
    ways = {
        "nan": ("non-finite", "bad: 1 values of the field are NaN or infinite"),
        "shape": ("failed", "bad: returned shape (3, 21, 26, 20), expected (3, 22, 26, 20)"),
        "raise": ("failed", "ZeroDivisionError: the step size vanished (fakes.py:"),
        "give up": ("failed", "no overlap between the images"),
        "kill": ("killed", "the process ended with code -9"),
        "sleep": ("timeout", "stopped after 2 s"),
        "memory": ("out-of-memory", "Unable to allocate"),
    }
    bad = [t for how in ways for t in make_plan({method_for(how): {"how": how}})]
    tasks = [*bad[:3], *make_plan(["fakes:SHIFT"]), *bad[3:], *make_plan(["affine"])]
    counts = compute(tasks, store, jobs=2)
    assert counts == {"reused": 0, "new": 2, "failed": len(ways), "skipped": 0}
    table = stored.read_registrations(store).set_index("key")
    for task, (status, reason) in zip(bad, ways.values(), strict=True):
        row = table.loc[task.key]
        assert row["status"] == status
        assert row["reason"].startswith(reason)
        assert row[["dice", "seconds", "peak_mb"]].isna().all()
        assert row["method"] == "bad"
    assert set(stored.read_structures(store)["key"]) == set(table.index[table.status == "ok"])
    # Failures are answers too, until they are asked for again; but not where the cause passes.
    assert [t.parameters for t in pending(tasks, store)] == [(("how", "kill"),)]
    counts = {"reused": 2, "new": 0, "failed": len(ways) - 1, "skipped": 1}
    assert computing.count_answers(tasks, store) == counts
    assert compute(tasks, store) == {"reused": 2, "new": 0, "failed": len(ways), "skipped": 0}
    assert len(pending(tasks, store, retry_failed=True)) == len(ways)
    assert compute([bad[0]], store, retry_failed=True)["failed"] == 1


def test_what_failed_for_want_of_memory_is_tried_again_with_more(store):
    (task,) = make_plan({"fakes:BAD": {"how": "memory"}})
    assert compute([task], store, memory_mb=4000)["failed"] == 1
    assert pending([task], store, memory_mb=4000) == []
    assert pending([task], store, memory_mb=2000) == []
    assert pending([task], store, memory_mb=8000) == [task]
    row = stored.read_registrations(store).iloc[0]
    assert (row["status"], row["memory_limit_mb"]) == ("out-of-memory", 4000)


@pytest.mark.parametrize("how", ["vanished", "no package", "full", "killed"])
def test_after_a_fault_that_passes_the_same_command_succeeds(store, tmp_path, how):
    mended = tmp_path / "mended"
    tasks = make_plan({"fakes:BAD": {"how": f"{how} until {mended}"}})
    assert compute(tasks, store)["failed"] == 1
    status = "killed" if how == "killed" else "unavailable"
    assert stored.read_registrations(store)["status"].tolist() == [status]
    assert compute(tasks, store) == {"reused": 0, "new": 0, "failed": 1, "skipped": 0}
    mended.write_text("")
    assert compute(tasks, store) == {"reused": 0, "new": 1, "failed": 0, "skipped": 0}
    assert compute(tasks, store)["reused"] == 1


def test_images_of_a_pair_are_read_once_for_all_its_methods(store, tmp_path):
    log = tmp_path / "read"
    options = {"log": str(log)}
    tasks = make_plan(["affine", "fakes:SHIFT", "fakes:SHIFT_2"], 2, cohort_options=options)
    assert compute(tasks, store)["new"] == 6
    # A pair: two images to align, and two images and two label maps for all three methods.
    assert len(log.read_text().splitlines()) == 2 * (2 + 4)
    assert list(Path(tempfile.gettempdir()).glob(f"lumirage-run-{os.getpid()}-*")) == []


def test_costly_scans_are_prepared_once_each_and_when_their_turn_comes(store, tmp_path):
    log = tmp_path / "log"
    tasks = make_plan(
        ["affine", "fakes:SHIFT"], 6, cohort_options={"log": str(log), "costly": True}
    )
    seen = []
    compute(tasks, store, on_row=lambda row: seen.append(log.read_text()))
    prepared = [line for line in log.read_text().splitlines() if line.startswith("prepare")]
    assert sorted(prepared) == ["prepare 1", "prepare 2", "prepare 3"]
    assert seen[0].count("prepare") == 2  # the third scan is of a later pair


def test_preparation_that_fails_is_the_reason_of_every_registration_of_the_scan(store):
    options = {"costly": True, "lacking": "2"}
    tasks = make_plan(["affine", "fakes:SHIFT"], 6, cohort_options=options)
    compute(tasks, store)
    table = stored.read_registrations(store)
    touched = (table["fixed"] == "2") | (table["moving"] == "2")
    assert (table[touched]["status"] == "unavailable").all()
    assert table[touched]["reason"].str.contains("the atlas of 2 is not there").all()
    assert (table[~touched]["status"] == "ok").all()


def test_alignment_that_fails_is_a_reason_for_every_method_of_the_pair(store):
    tasks = make_plan(
        ["affine", "fakes:SHIFT"], preprocessing=[dataclasses.replace(QUICK, alignment="bspline")]
    )
    assert compute(tasks, store)["failed"] == 2
    table = stored.read_registrations(store)
    assert set(table["status"]) == {"refused"}
    assert table["reason"].str.contains("alignment 'bspline': expected one of affine").all()


def test_method_whose_package_is_not_here_is_skipped_and_leaves_no_row(store, monkeypatch):
    monkeypatch.setattr(computing, "missing", lambda spec: "no" if spec.id == "bad" else None)
    counts = compute(make_plan(["fakes:BAD", "fakes:SHIFT"]), store)
    assert counts == {"reused": 0, "new": 1, "failed": 0, "skipped": 1}
    assert stored.read_registrations(store)["method"].tolist() == ["shift"]


def test_error_of_the_one_who_watches_ends_the_run_and_what_is_done_stays(store):
    def watch(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute(make_plan(["fakes:SHIFT"], 6), store, on_row=watch)
    done = stored.read_answers(store)
    assert 1 <= len(done) < 6
    assert compute(make_plan(["fakes:SHIFT"], 6), store)["reused"] == len(done)


# ---- killed, and side by side


CODE = """
import signal, sys, fakes
from lumirage_lib.cohorts import balanced_pairs, get_cohort
from lumirage_lib.runs.compute import compute
from lumirage_lib.runs.task import plan

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
store, log, methods, jobs = sys.argv[1], sys.argv[2], sys.argv[3].split(","), int(sys.argv[4])
pairs = balanced_pairs(get_cohort("tiny").scans, 6)
for name, seconds in zip(methods, map(float, sys.argv[5].split(","))):
    given = {name: {"log": log, "seconds": seconds}}
    compute(plan("tiny", pairs, given, preprocessing=[fakes.QUICK]), store, jobs=jobs)
"""


def start(
    store, log, methods="fakes:SHIFT,fakes:SHIFT_2", jobs=2, seconds="0.2,0.2"
) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(store), str(log), methods, str(jobs), seconds],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        start_new_session=True,
    )


def all_tasks(log) -> list[Task]:
    given = {"log": str(log), "seconds": 0.2}
    return make_plan({"fakes:SHIFT": given, "fakes:SHIFT_2": given}, 6)


def wait_for_rows(store: Path, n: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while not store.exists() or len(stored.read_answers(store)) < n:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_whole(store: Path) -> None:
    """Every row is there with all that belongs to it, and nothing without a row."""
    table = stored.read_registrations(store)
    assert set(table["status"]) == {"ok"}
    assert table["dice"].notna().all()
    counts = stored.read_structures(store)["key"].value_counts()
    assert counts.to_dict() == dict.fromkeys(table["key"], 16)
    with stored.open_store(store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_killed_run_loses_at_most_what_was_in_flight(store, tmp_path):
    log = tmp_path / "log"
    tasks = all_tasks(log)
    finished = {}
    for n in (2, 7):
        process = start(store, log)
        wait_for_rows(store, n, process)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert_whole(store)
        table = stored.read_registrations(store).set_index("key")
        assert n <= len(table) < len(tasks)
        assert all(table.loc[k, "finished"] == when for k, when in finished.items())
        finished = table["finished"].to_dict()
    process = start(store, log)
    assert process.wait(300) == 0
    assert_whole(store)
    table = stored.read_registrations(store).set_index("key")
    assert set(table.index) == {t.key for t in tasks}
    assert all(table.loc[k, "finished"] == when for k, when in finished.items())
    # Each kill may have cost the two in flight, not more.
    assert len(tasks) <= len(log.read_text().splitlines()) <= len(tasks) + 2 * 2


def test_interrupted_run_ends_at_once_and_no_row_is_made_of_what_was_in_flight(store, tmp_path):
    """Ctrl-C reaches every process of the terminal, the children too."""
    log = tmp_path / "log"
    process = start(store, log, seconds="0,600")
    fakes.wait_until(lambda: log.exists() and len(log.read_text().splitlines()) == 6 + 2)
    running = [int(pid) for pid in log.read_text().splitlines()[-2:]]
    assert not any(map(fakes.has_ended, running))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) != 0
    fakes.wait_until(lambda: all(map(fakes.has_ended, running)), seconds=10)
    assert_whole(store)
    assert len(stored.read_answers(store)) == 6


def test_processes_share_a_store_and_lose_nothing(store, tmp_path):
    log = tmp_path / "log"
    processes = [start(store, log, jobs=1) for _ in range(3)]
    assert [p.wait(300) for p in processes] == [0, 0, 0]
    assert_whole(store)
    tasks = all_tasks(log)
    assert set(stored.read_answers(store)) == {t.key for t in tasks}
    assert len(log.read_text().splitlines()) == len(tasks)  # each was computed by one of them
    assert stored.read_owners(store) == []


def test_work_of_a_process_that_died_is_taken_over(store):
    dead = subprocess.Popen(["true"])
    dead.wait()
    tasks = make_plan(["fakes:SHIFT"], 2)
    for key in (tasks[0].key, tasks[1].alignment_key):
        assert stored.take_lease(store, key, f"{platform.node()}:{dead.pid}:x", 1000)
    assert compute(tasks, store)["new"] == 2
    assert stored.read_owners(store) == []
