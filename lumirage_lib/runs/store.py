"""The results store: one SQLite file per profile, and its Parquet export.

A registration is one transaction: its row, its structures and its display slices are there together
or not at all, so a process may be killed at any moment and loses at most what was in flight. Rows are
found by key, a hash of everything that determines the result (see :mod:`lumirage_lib.runs.task`).
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from ..errors import StoreError

VERSION = 2
TABLES = ("registrations", "structures", "slices", "alignments")
SCHEMA = """
CREATE TABLE IF NOT EXISTS registrations (
  key TEXT PRIMARY KEY, cohort TEXT, kind TEXT, fixed TEXT, moving TEXT, fixed_subject TEXT,
  moving_subject TEXT, preprocessing TEXT, method TEXT, family TEXT, parameters TEXT, version TEXT,
  weights TEXT, status TEXT NOT NULL, reason TEXT, seconds REAL, cpu_seconds REAL, peak_mb REAL,
  method_mb REAL, threads INTEGER, working_shape TEXT, spacing_mm REAL, measures TEXT,
  ruler INTEGER, hardware TEXT, finished TEXT);
CREATE TABLE IF NOT EXISTS structures (
  key TEXT NOT NULL, label_set TEXT, rule TEXT, label INTEGER, n_fixed REAL, n_moved REAL,
  dice REAL, hd95_mm REAL, hd95_voxel REAL, n_moving REAL, j_mean REAL, log_j_mean REAL,
  log_j_sd REAL, PRIMARY KEY (key, label_set, rule, label))
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slices (key TEXT PRIMARY KEY, arrays BLOB);
CREATE TABLE IF NOT EXISTS alignments (
  key TEXT PRIMARY KEY, kind TEXT, fixed TEXT, moving TEXT, matrix TEXT, seconds REAL,
  cpu_seconds REAL);
"""


@contextlib.contextmanager
def open_store(path: str | Path) -> Iterator[sqlite3.Connection]:
    """Connection to a store, made if it is not there; may be shared by threads and processes.

    Raises
    ------
    StoreError
        The file is no SQLite database or was written by another version of this library.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 1:
            _upgrade(connection)
        elif found not in (0, VERSION):
            raise StoreError(
                f"{path}: store version {found}, this library writes {VERSION}; "
                "export it with the library that wrote it, or move it away"
            )
        if found == 0:
            connection.executescript(f"{SCHEMA} PRAGMA user_version={VERSION};")
        yield connection
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: {error}; move the file away to start afresh") from error
    finally:
        connection.close()


def _upgrade(connection: sqlite3.Connection) -> None:
    """Give a store of version 1 the columns that came later, empty: *not measured*."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 1:  # not by another process
        for column in ("n_moving", "j_mean", "log_j_mean", "log_j_sd"):
            connection.execute(f"ALTER TABLE structures ADD COLUMN {column} REAL")
        connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")


def _insert(connection, table: str, rows: Iterable[Mapping], verb: str = "REPLACE") -> None:
    rows = list(rows)
    if rows:
        names = list(rows[0])
        marks = ", ".join(f":{n}" for n in names)
        connection.executemany(
            f"INSERT OR {verb} INTO {table} ({', '.join(names)}) VALUES ({marks})", rows
        )


def write_registration(
    path: str | Path, row: Mapping, structures: pd.DataFrame, slices: bytes | None = None
) -> None:
    """Store one registration with its structures and display slices, in one transaction.

    A registration that is already there under the same key is replaced.
    """
    row = {**row, "measures": json.dumps(row.get("measures") or {})}
    with open_store(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("DELETE FROM structures WHERE key = ?", [row["key"]])
            _insert(connection, "registrations", [row])
            _insert(connection, "structures", structures.assign(key=row["key"]).to_dict("records"))
            if slices is not None:
                _insert(connection, "slices", [{"key": row["key"], "arrays": slices}])
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def write_alignment(path: str | Path, row: Mapping) -> None:
    """Store one linear alignment unless one is there; `row` has the columns of the table."""
    with open_store(path) as connection:
        _insert(connection, "alignments", [row], "IGNORE")


def read_alignment(path: str | Path, key: str) -> Mapping | None:
    """The stored alignment, its matrix parsed, or None."""
    with open_store(path) as connection:
        table = pd.read_sql("SELECT * FROM alignments WHERE key = ?", connection, params=[key])
    if table.empty:
        return None
    row = table.iloc[0].to_dict()
    return {**row, "matrix": json.loads(row["matrix"])}


def read_keys(path: str | Path, ruler: int | None = None) -> dict[str, str]:
    """Key -> status of what the store holds, only rows of that ruler version if one is given."""
    with open_store(path) as connection:
        rows = connection.execute(
            "SELECT key, status FROM registrations" + (" WHERE ruler = ?" if ruler else ""),
            [ruler] if ruler else [],
        ).fetchall()
    return dict(rows)


def _select(connection, table: str, keys: Iterable[str] | None = None) -> pd.DataFrame:
    """Rows in the order of their primary key, all or those of some keys."""
    query = f"SELECT * FROM {table}"
    if keys is not None:
        connection.execute("CREATE TEMP TABLE wanted (key TEXT PRIMARY KEY)")
        connection.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", [(k,) for k in keys])
        query += " JOIN wanted USING (key)"
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    primary = [c[1] for c in sorted(columns, key=lambda c: c[5]) if c[5]]
    frame = pd.read_sql(f"{query} ORDER BY {', '.join(primary)}", connection)
    # A column of nothing but NULL would else come as objects, which no mean can be taken of.
    return frame.astype({c[1]: float for c in columns if c[2] == "REAL"})


def read_registrations(path: str | Path, keys: Iterable[str] | None = None) -> pd.DataFrame:
    """One row per registration; what was measured of the whole field becomes columns."""
    with open_store(path) as connection:
        table = _select(connection, "registrations", keys)
    measures = pd.DataFrame([json.loads(m) for m in table.pop("measures")], index=table.index)
    return table.join(measures)


def read_structures(path: str | Path, keys: Iterable[str] | None = None) -> pd.DataFrame:
    """One row per registration, label set, rule and label."""
    with open_store(path) as connection:
        return _select(connection, "structures", keys)


def read_slices(path: str | Path, key: str) -> bytes | None:
    """Display slices of a registration, as written, or None."""
    with open_store(path) as connection:
        found = connection.execute("SELECT arrays FROM slices WHERE key = ?", [key]).fetchone()
    return found[0] if found else None


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    handle, temporary = tempfile.mkstemp(suffix=".parquet", dir=path.parent)
    os.close(handle)
    try:
        table.to_parquet(temporary, index=False, compression="zstd")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read_parquet(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise StoreError(f"{path.parent}: no {path.name}; expected a folder made by export")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are among these
        raise StoreError(f"{path}: not readable ({error}); export or copy it again") from error


def export_store(path: str | Path, folder: str | Path, run: Mapping) -> dict[str, int]:
    """Write every table as Parquet and `run` as run.json; returns rows per table.

    Rows are sorted, so that two exports of one store are the same bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    with open_store(path) as connection:
        for name in TABLES:
            table = _select(connection, name)
            _write_parquet(table, folder / f"{name}.parquet")
            counts[name] = len(table)
    (folder / "run.json").write_text(json.dumps({**run, "rows": counts}, indent=1) + "\n")
    return counts


def import_store(folder: str | Path, path: str | Path) -> dict[str, int]:
    """Merge an export into a store: no duplicates, nothing lost; returns rows added per table.

    A row already there stays, unless it is a failure and the export has the same registration done.

    Raises
    ------
    StoreError
        The folder holds no export, or one of its files is missing or damaged.
    """
    tables = {n: _read_parquet(Path(folder) / f"{n}.parquet") for n in TABLES}
    added = {}
    with open_store(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        have = dict(connection.execute("SELECT key, status FROM registrations").fetchall())
        new = tables["registrations"].set_index("key")["status"]
        replaced = [k for k in new.index[new == "ok"] if have.get(k, "ok") != "ok"]
        for key in replaced:
            for name in ("registrations", "structures", "slices"):
                connection.execute(f"DELETE FROM {name} WHERE key = ?", [key])
        # Structures belong to their row: those of a row that stays are not added to.
        stays = tables["structures"]["key"].isin(set(have) - set(replaced))
        tables["structures"] = tables["structures"][~stays]
        for name, table in tables.items():
            before = connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            rows = table.astype(object).where(table.notna(), None).to_dict("records")
            _insert(connection, name, rows, "IGNORE")
            after = connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            added[name] = after - before
        connection.execute("COMMIT")
    return added
