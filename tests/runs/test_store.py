from __future__ import annotations

import itertools
import json
import multiprocessing
import resource
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import pytest

from lumirage_lib.errors import StoreError
from lumirage_lib.metrics import FIELD_MEASURES
from lumirage_lib.runs import store as results
from lumirage_lib.runs.store import (
    drop_leases,
    export_store,
    import_store,
    open_store,
    read_alignment,
    read_answers,
    read_owners,
    read_registrations,
    read_slices,
    read_structures,
    renew_leases,
    take_lease,
    write_alignment,
    write_registration,
)
from lumirage_lib.runs.tables import LATER, TABLES, VERSION


def make_row(key: str, status: str = "ok", **changes) -> dict:
    return {
        "key": key,
        "cohort": "template",
        "kind": "between",
        "fixed": "1",
        "moving": "2",
        "fixed_subject": "A",
        "moving_subject": "B",
        "preprocessing": "standard",
        "method": "greedy",
        "family": "iterative",
        "parameters": '{"step": 1.0}',
        "version": "1",
        "weights": None,
        "status": status,
        "reason": "" if status == "ok" else "it diverged",
        "seconds": 1.5 if status == "ok" else None,
        "cpu_seconds": 2.5,
        "peak_mb": 100.25,
        "method_mb": 10.5,
        "threads": 1,
        "working_shape": "8x9x10",
        "spacing_mm": 1.0,
        "measures": {"dice": 0.625, "n_lost": 1, "tre_mm": float("nan")}
        if status == "ok"
        else None,
        "ruler": 1,
        "hardware": "a processor",
        "finished": "2026-11-22T12:00:00+00:00",
        **changes,
    }


def make_structures(n: int = 4, dice: float = 0.5, label_set: str = "manual") -> pd.DataFrame:
    labels = np.arange(1, n + 1)
    return pd.DataFrame(
        {
            "label_set": label_set,
            "rule": "nearest",
            "label": labels,
            "n_fixed": labels * 10.0,
            "n_moved": labels * 9.0,
            "dice": np.where(labels == 2, np.nan, dice),
            "hd95_mm": 1.25,
            "hd95_voxel": np.nan,
            "n_moving": labels * 8.0,
            "j_mean": 0.5,
            "log_j_mean": np.nan,
            "log_j_sd": 0.25,
        }
    )


def read_keys(path) -> dict[str, str]:
    return {key: answer.status for key, answer in read_answers(path).items()}


ALIGNMENT = {
    "key": "a1",
    "kind": "affine",
    "fixed": "1",
    "moving": "2",
    "matrix": json.dumps(np.eye(4).tolist()),
    "seconds": 3.0,
    "cpu_seconds": 4.0,
}


def fill(path, keys, status="ok", **changes) -> None:
    for key in keys:
        structures = make_structures() if status == "ok" else pd.DataFrame()
        slices = f"slices of {key}".encode() if status == "ok" else None
        write_registration(path, make_row(key, status, **changes), structures, slices)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "folder" / "open.sqlite"


# ---- writing and reading


def test_what_is_written_is_read(store):
    fill(store, ["k1", "k2"])
    fill(store, ["k3"], status="timeout", seconds=None)
    assert read_keys(store) == {"k1": "ok", "k2": "ok", "k3": "timeout"}
    table = read_registrations(store).set_index("key")
    assert table.loc["k1", "dice"] == 0.625
    assert table.loc["k1", ["n_lost", "threads"]].tolist() == [1, 1]
    assert np.isnan(table.loc["k1", "tre_mm"])
    assert table.loc["k3", "reason"] == "it diverged"
    assert table.loc["k3", ["dice", "seconds"]].isna().all()
    structures = read_structures(store, ["k2"])
    expected = make_structures().assign(key="k2")
    pd.testing.assert_frame_equal(structures[expected.columns], expected, check_dtype=False)
    assert read_slices(store, "k2") == b"slices of k2"
    assert read_slices(store, "k3") is None


def test_only_the_keys_asked_for_are_read(store):
    fill(store, [f"k{i}" for i in range(5)])
    assert set(read_registrations(store, ["k1", "k3", "none"])["key"]) == {"k1", "k3"}
    assert set(read_structures(store, ["k1", "k1"])["key"]) == {"k1"}
    assert len(read_structures(store, ["k1", "k1"])) == 4
    nothing = read_registrations(store, [])
    assert nothing.empty
    assert {str(nothing[name].dtype) for name in FIELD_MEASURES} == {"float64"}
    assert len(read_registrations(store)) == 5


def test_empty_store_reads_as_empty_tables(store):
    assert read_keys(store) == {}
    assert read_registrations(store).empty
    assert read_structures(store).empty
    assert read_alignment(store, "a1") is None


def test_answers_say_ruler_and_memory_limit(store):
    fill(store, ["old"], ruler=1)
    fill(store, ["new"], ruler=2, memory_limit_mb=500.0)
    answers = read_answers(store)
    assert {key: (a.ruler, a.memory_limit_mb) for key, a in answers.items()} == {
        "old": (1, None),
        "new": (2, 500.0),
    }
    assert set(read_answers(store, ["old", "none"])) == {"old"}


def test_same_key_replaces_and_leaves_no_structure_of_the_former(store):
    write_registration(store, make_row("k1"), make_structures(9))
    write_registration(store, make_row("k1"), make_structures(2, dice=0.75))
    assert len(read_registrations(store)) == 1
    structures = read_structures(store)
    assert structures["label"].tolist() == [1, 2]
    assert structures["dice"].iloc[0] == 0.75


def test_alignment_is_read_as_a_matrix_and_the_first_stays(store):
    write_alignment(store, ALIGNMENT)
    second = json.dumps((2 * np.eye(4)).tolist())
    write_alignment(store, {**ALIGNMENT, "matrix": second})
    assert read_alignment(store, "a1")["matrix"] == np.eye(4).tolist()
    assert read_alignment(store, "a2") is None


# ---- all or nothing


@pytest.mark.parametrize("spoil", ["structures", "slices"])
def test_registration_that_cannot_be_written_whole_is_not_written_at_all(store, spoil):
    fill(store, ["k1"])
    structures, slices = make_structures(), b"new"
    if spoil == "structures":
        structures = pd.concat([structures, structures])  # a label twice, after the row is in
        structures["label"] = [1, 2, 3, 4, 5, 6, 7, object()]
    else:
        slices = object()
    for key in ("k1", "k2"):
        with pytest.raises(StoreError):
            write_registration(store, make_row(key, version="2"), structures, slices)
    assert read_keys(store) == {"k1": "ok"}
    assert read_registrations(store)["version"].tolist() == ["1"]
    assert len(read_structures(store)) == 4
    assert read_slices(store, "k1") == b"slices of k1"


def write_many(path, name, n) -> None:
    fill(path, [f"{name}-{i}" for i in range(n)])


def test_processes_write_one_new_store_at_once(store):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(store, f"w{i}", 8)) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [w.exitcode for w in writers] == [0] * 4
    assert set(read_keys(store)) == {f"w{i}-{k}" for i in range(4) for k in range(8)}
    assert len(read_structures(store)) == 4 * 4 * 8


def test_reader_is_not_disturbed_by_a_writer_in_mid_transaction(store):
    fill(store, ["k1"])
    with open_store(store) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM registrations")
        assert read_keys(store) == {"k1": "ok"}
        writer.execute("ROLLBACK")


# ---- what is refused


def test_store_of_version_1_keeps_its_rows_and_gains_the_columns_that_came_later(store):
    fill(store, ["k1"])
    later = ["n_moving", "j_mean", "log_j_mean", "log_j_sd"]
    with open_store(store) as connection:
        for column in later:
            connection.execute(f"ALTER TABLE structures DROP COLUMN {column}")
        connection.execute("PRAGMA user_version=1")
    old = read_structures(store, ["k1"])
    assert old[later].isna().all(axis=None)
    expected = make_structures().drop(columns=later)
    pd.testing.assert_frame_equal(old[expected.columns], expected, check_dtype=False)
    fill(store, ["k2"])
    assert read_structures(store, ["k2"])["n_moving"].notna().all()


def test_store_of_another_version_is_refused_and_left_alone(store):
    fill(store, ["k1"])
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(
        StoreError, match=rf"open\.sqlite: store version 99, this library writes {VERSION}"
    ):
        read_keys(store)
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)
        assert connection.execute("SELECT count(*) FROM registrations").fetchone() == (1,)
    connection.close()


def test_file_that_is_no_store_is_refused_and_left_alone(store):
    store.parent.mkdir()
    content = b"this is no SQLite database at all, but a text of some length" * 20
    store.write_bytes(content)
    with pytest.raises(
        StoreError, match=r"open\.sqlite: not a results store; .*move this file away"
    ):
        read_keys(store)
    assert store.read_bytes() == content


def test_damaged_store_is_refused_by_name(store):
    fill(store, [f"k{i:03d}" for i in range(60)])
    with open_store(store) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(store.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    store.write_bytes(content)
    with pytest.raises(StoreError, match=r"open\.sqlite: "):
        read_keys(store)


# ---- export and import


def dump(path) -> dict[str, list[tuple]]:
    """Everything a store holds, in a comparable order; NaN is NULL in SQLite."""
    with open_store(path) as connection:
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in TABLES
        }


def test_export_and_import_give_the_same_store(store, tmp_path):
    fill(store, ["k2", "k1"])
    fill(store, ["k3"], status="failed", working_shape=None, spacing_mm=None)
    write_alignment(store, ALIGNMENT)
    counts = export_store(store, tmp_path / "export", {"profile": "open", "seed": 3})
    assert counts == {"registrations": 3, "structures": 8, "slices": 2, "alignments": 1}
    run = json.loads((tmp_path / "export" / "run.json").read_text())
    assert run == {"profile": "open", "seed": 3, "rows": counts}
    other = tmp_path / "other.sqlite"
    assert import_store(tmp_path / "export", other) == counts
    assert dump(other) == dump(store)
    assert read_alignment(other, "a1")["matrix"] == np.eye(4).tolist()
    assert read_slices(other, "k1") == b"slices of k1"


def test_images_that_may_not_be_published_stay_here(store, tmp_path):
    fill(store, ["k1"], cohort="template")
    fill(store, ["k2"], cohort="oasis")
    assert export_store(store, tmp_path, {})["slices"] == 1
    assert pd.read_parquet(tmp_path / "slices.parquet")["key"].tolist() == ["k1"]


def read_folder(folder) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_exports_of_the_same_content_are_the_same_bytes(store, tmp_path):
    """Whatever the order of computing, and also after a detour through another store."""
    fill(store, ["k3", "k1", "k2"])
    fill(store, ["k0"], status="killed")
    other, third = tmp_path / "other.sqlite", tmp_path / "third.sqlite"
    fill(other, ["k0"], status="killed")
    fill(other, ["k1", "k2", "k3"])
    folders = [tmp_path / name for name in ("once", "again", "reordered", "detour")]
    export_store(store, folders[0], {})
    import_store(folders[0], third)
    for path, folder in zip((store, other, third), folders[1:], strict=True):
        export_store(path, folder, {})
    first, *others = (read_folder(f) for f in folders)
    assert set(first) == {f"{t}.parquet" for t in TABLES} | {"run.json"}
    assert all(other == first for other in others)


def test_merge_has_no_duplicates_and_loses_nothing(store, tmp_path):
    other = tmp_path / "other.sqlite"
    fill(store, ["both", "mine"])
    fill(other, ["both", "theirs"])
    export_store(other, tmp_path / "export", {})
    added = import_store(tmp_path / "export", store)
    assert added == {"registrations": 1, "structures": 4, "slices": 1, "alignments": 0}
    assert set(read_keys(store)) == {"both", "mine", "theirs"}
    assert len(read_structures(store)) == 12
    before = dump(store)
    assert set(import_store(tmp_path / "export", store).values()) == {0}
    assert dump(store) == before


@pytest.mark.parametrize(("mine", "theirs"), itertools.product(("ok", "failed"), repeat=2))
def test_of_two_rows_the_finished_one_stays_and_else_mine(store, tmp_path, mine, theirs):
    other = tmp_path / "other.sqlite"
    fill(store, ["k1"], status=mine, hardware="mine")
    fill(other, ["k1"], status=theirs, hardware="theirs")
    export_store(other, tmp_path / "export", {})
    import_store(tmp_path / "export", store)
    (row,) = read_registrations(store).to_dict("records")
    winner = "theirs" if (mine, theirs) == ("failed", "ok") else "mine"
    assert row["hardware"] == winner
    finished = "ok" in (mine, theirs)
    assert row["status"] == ("ok" if finished else "failed")
    assert len(read_structures(store)) == (4 if finished else 0)
    assert read_slices(store, "k1") == (b"slices of k1" if finished else None)


def test_merge_does_not_mix_the_structures_of_two_rows(store, tmp_path):
    other = tmp_path / "other.sqlite"
    write_registration(store, make_row("k1"), make_structures(3))
    write_registration(other, make_row("k1"), make_structures(5, label_set="tissues"))
    export_store(other, tmp_path / "export", {})
    import_store(tmp_path / "export", store)
    assert set(read_structures(store)["label_set"]) == {"manual"}
    assert len(read_structures(store)) == 3


def test_folder_without_export_is_refused(store, tmp_path):
    with pytest.raises(StoreError, match=r"no registrations\.parquet; expected a folder made by"):
        import_store(tmp_path, store)
    assert not store.exists()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_export_that_is_not_whole_is_refused_and_changes_nothing(store, tmp_path, name, damage):
    fill(store, ["mine"])
    other = tmp_path / "other.sqlite"
    fill(other, ["theirs"])
    export_store(other, tmp_path / "export", {})
    path = tmp_path / "export" / f"{name}.parquet"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=rf"{name}\.parquet"):
        import_store(tmp_path / "export", store)
    assert set(read_keys(store)) == {"mine"}


def test_export_that_breaks_off_leaves_the_former_tables(store, tmp_path, monkeypatch):
    fill(store, ["k1"])
    folder = tmp_path / "export"
    export_store(store, folder, {})
    before = read_folder(folder)
    fill(store, ["k2"])

    def full(self, path, **_):
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(StoreError, match=r"export: .*No space left.*left as it was"):
        export_store(store, folder, {})
    assert read_folder(folder) == before


def test_tables_are_those_of_the_schema(store):
    with open_store(store) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
    assert {name for (name,) in found} == {*TABLES, "leases"}


# ---- each cause its own sentence, and the good store is never blamed


def test_store_that_another_process_writes_is_waited_for_and_then_said(store, monkeypatch):
    fill(store, ["k1"])
    monkeypatch.setattr(results, "WAIT_SECONDS", 0.2)
    with open_store(store) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"another process has been writing.*stored is kept$"):
            fill(store, ["k2"])
        other.execute("ROLLBACK")
    fill(store, ["k2"])
    assert set(read_keys(store)) == {"k1", "k2"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("SQLITE_FULL", "the disk is full; make room"),
        ("SQLITE_IOERR_WRITE", "the disk could not be read or written"),
        ("SQLITE_READONLY_DBMOVED", "may not be written; give yourself the right"),
        ("SQLITE_CANTOPEN", "cannot be opened; look whether its folder"),
        ("SQLITE_CONSTRAINT_NOTNULL", "refused what was to be stored"),
    ],
)
def test_no_cause_but_damage_blames_the_file(store, name, sentence):
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorname = name

    def fail():
        with open_store(store):
            raise error

    with pytest.raises(StoreError, match=sentence) as caught:
        fail()
    assert "move" not in str(caught.value)


def limit_file_size(path) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    try:
        fill(path, [f"k{i}" for i in range(2000)])
    except StoreError as error:
        return str(error)
    return "nothing was said"


def test_full_disk_is_said_and_what_was_stored_is_kept(store):
    fill(store, ["k1"])
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        said = pool.submit(limit_file_size, store).result(100)
    assert "disk" in said
    assert "what is stored is kept" in said
    assert "k1" in read_keys(store)
    fill(store, ["afterwards"])
    assert "afterwards" in read_keys(store)


def test_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        read_keys(tmp_path / "file" / "open.sqlite")


# ---- what an import refuses


def spoil(column, value):
    def change(table):
        return table.assign(**{column: value})

    return change


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("registrations", lambda t: t.drop(columns="status"), "status"),
        ("registrations", spoil("status", None), "status"),
        ("registrations", spoil("status", 3), "status.*expected text"),
        ("registrations", spoil("seconds", "long"), "seconds.*expected real"),
        ("registrations", spoil("threads", 1.5), "threads.*expected integer"),
        ("registrations", spoil("key", "k1"), "key"),
        ("registrations", spoil("measures", "{broken"), "measures.*JSON object of numbers"),
        ("registrations", spoil("measures", "[" * 100_000), "measures.*JSON object of numbers"),
        ("registrations", spoil("measures", '{"dice": {"a": 1}}'), "measures.*JSON object"),
        ("registrations", spoil("parameters", "7"), "parameters.*JSON object"),
        (
            "registrations",
            spoil("reason) SELECT * FROM alignments; DROP TABLE registrations; --", 1),
            "DROP TABLE.*is unknown",
        ),
        ("structures", spoil("label", ["one"] * 4 + ["two"] * 4), "label"),
        ("structures", spoil("label_set", None), "label_set"),
        ("structures", lambda t: pd.concat([t, t]), "not unique"),
        (
            "structures",
            spoil("key", "of nobody"),
            "without a registration, such as of nobody|unique",
        ),
        ("slices", spoil("arrays", "text"), "arrays.*expected blob"),
        ("slices", spoil("key", ["of", "nobody"]), "2 keys without a registration"),
        ("alignments", spoil("matrix", "[[1, 0], [0, 1]]"), "matrix.*4 x 4 finite numbers"),
        ("alignments", spoil("matrix", "[[NaN]]"), "matrix.*4 x 4 finite numbers"),
        ("alignments", lambda t: t.rename(columns={"matrix": "Matrix"}), "atrix"),
    ],
)
def test_table_that_is_not_ours_is_refused_before_the_first_row(
    store, tmp_path, name, change, complaint
):
    fill(store, ["mine"])
    other = tmp_path / "other.sqlite"
    fill(other, ["k1", "k2"])
    write_alignment(other, ALIGNMENT)
    export_store(other, tmp_path / "export", {})
    before = dump(store)
    path = tmp_path / "export" / f"{name}.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)
    with pytest.raises(StoreError, match=rf"{name}\.parquet: (.|\n)*({complaint})"):
        import_store(tmp_path / "export", store)
    assert dump(store) == before


def test_export_without_the_columns_that_came_later_is_taken(store, tmp_path):
    other = tmp_path / "other.sqlite"
    fill(other, ["k1"])
    export_store(other, tmp_path / "export", {})
    for name, columns in LATER.items():
        path = tmp_path / "export" / f"{name}.parquet"
        pd.read_parquet(path).drop(columns=list(columns)).to_parquet(path, index=False)
    import_store(tmp_path / "export", store)
    assert read_registrations(store)["internal_mm"].isna().all()
    assert len(read_structures(store)) == 4


def test_rows_measured_by_a_newer_ruler_replace_older_ones(store, tmp_path):
    other = tmp_path / "other.sqlite"
    fill(store, ["k1"], ruler=1, hardware="mine")
    fill(other, ["k1"], ruler=2, hardware="theirs")
    export_store(other, tmp_path / "export", {})
    assert import_store(tmp_path / "export", store)["registrations"] == 1
    assert read_registrations(store)["hardware"].tolist() == ["theirs"]
    export_store(store, tmp_path / "export", {})
    fill(other, ["k1"], ruler=1, hardware="older")
    export_store(other, tmp_path / "older", {})
    assert import_store(tmp_path / "older", store)["registrations"] == 0


def test_of_two_measured_by_one_ruler_the_later_replaces_the_earlier(store, tmp_path):
    early, late = "2026-11-22T12:00:00+00:00", "2026-11-27T12:00:00+00:00"
    other = tmp_path / "other.sqlite"
    fill(store, ["k1"], finished=early, hardware="early")
    fill(other, ["k1"], finished=late, hardware="late")
    export_store(other, tmp_path / "late", {})
    export_store(store, tmp_path / "early", {})
    assert import_store(tmp_path / "late", store)["registrations"] == 1
    assert read_registrations(store)["hardware"].tolist() == ["late"]
    assert len(read_structures(store)) == 4
    assert import_store(tmp_path / "early", store)["registrations"] == 0


# ---- leases


def test_lease_is_one_owners_until_it_ends_or_expires(store):
    assert take_lease(store, "k1", "a", 60)
    assert not take_lease(store, "k1", "b", 60)
    assert not take_lease(store, "k1", "a", 60)  # another thread of the same process
    assert take_lease(store, "k2", "b", 0.05)
    assert sorted(read_owners(store)) == ["a", "b"]
    time.sleep(0.1)
    assert take_lease(store, "k2", "a", 60)
    drop_leases(store, key="k1")
    assert take_lease(store, "k1", "b", 0.05)
    renew_leases(store, "b", 60)
    time.sleep(0.1)
    assert not take_lease(store, "k1", "a", 60)
    drop_leases(store, owner="b")
    assert take_lease(store, "k1", "a", 60)


def test_row_that_is_written_ends_the_lease_of_its_key(store):
    assert take_lease(store, "k1", "a", 60)
    fill(store, ["k1"])
    assert read_owners(store) == []
