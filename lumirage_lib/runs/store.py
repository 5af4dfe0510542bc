"""The results store: one SQLite file per profile, and its Parquet export.

A registration is one transaction: its row, its structures and its display slices are there together
or not at all, so a process may be killed at any moment and loses at most what was in flight. Rows are
found by key, a hash of everything that determines the result (see :mod:`lumirage_lib.runs.task`).
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..cohorts import SHOWN
from ..errors import StoreError
from ..files import replacing
from ..metrics import FIELD_MEASURES
from .tables import PRIMARY, TABLES, VERSION, check_table, make_schema

WAIT_SECONDS = 60  # for another process that is writing
LEASES = "CREATE TABLE IF NOT EXISTS leases (key TEXT PRIMARY KEY, owner TEXT, expires REAL)"


@dataclass(frozen=True)
class Answer:
    """What the store has under a key."""

    status: str
    ruler: int
    memory_limit_mb: float | None
    finished: str


@contextlib.contextmanager
def open_store(path: str | Path) -> Iterator[sqlite3.Connection]:
    """Connection to a store, made if it is not there; may be shared by threads and processes.

    Raises
    ------
    StoreError
        The file is no results store, was written by a newer version, or cannot be read or written
        now: each cause with its own remedy.
    """
    path = Path(path)
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # whole after a power cut, with WAL
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise StoreError(
                f"{path}: store version {found}, this library writes {VERSION}; "
                "use the library that wrote it, or its export"
            )
        if found < VERSION:
            _upgrade(connection)
        yield connection
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {_explain(error)}") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened ({error.strerror}); choose a folder") from error
    finally:
        if connection is not None:
            connection.close()


def _upgrade(connection: sqlite3.Connection) -> None:
    """Make the tables, and give those of an older version the columns that came later, empty."""
    with _transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            for name, columns in TABLES.items():
                connection.execute(make_schema(name))
                there = {c[1] for c in connection.execute(f"PRAGMA table_info({name})")}
                for column in [c for c in columns if c not in there]:
                    connection.execute(f"ALTER TABLE {name} ADD COLUMN {column} {columns[column]}")
            connection.execute(LEASES)
            connection.execute(f"PRAGMA user_version={VERSION}")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back by itself
            connection.execute("ROLLBACK")
        raise


_CAUSES = {
    "SQLITE_BUSY": "another process has been writing for longer than a minute; wait for it or end it",
    "SQLITE_LOCKED": "another process has been writing for longer than a minute; wait for it or end it",
    "SQLITE_FULL": "the disk is full; make room and give the command again",
    "SQLITE_IOERR": "the disk could not be read or written; look whether it is full or was taken away",
    "SQLITE_READONLY": "may not be written; give yourself the right to write it and its folder",
    "SQLITE_CANTOPEN": "cannot be opened; look whether its folder may be read and written",
    "SQLITE_PERM": "may not be opened; give yourself the right to read and write it",
    "SQLITE_NOTADB": "not a results store; give the path of one, or move this file away",
    "SQLITE_CORRUPT": "damaged; move it away and import the last export, which is whole",
}


def _explain(error: sqlite3.Error) -> str:
    """Cause and remedy. Only where the file itself is at fault is it blamed."""
    code = "_".join((getattr(error, "sqlite_errorname", None) or "").split("_")[:2])
    if code in _CAUSES:
        kept = "" if code in ("SQLITE_NOTADB", "SQLITE_CORRUPT") else "; what is stored is kept"
        return f"{_CAUSES[code]} ({error}){kept}"
    return f"refused what was to be stored ({error}); the store is as it was"


def _insert(connection: sqlite3.Connection, name: str, table: Mapping[str, Sequence[Any]]) -> int:
    """Add rows, given by columns, whose key is not there yet; returns how many. NaN becomes NULL."""
    columns, before = [c for c in TABLES[name] if c in table], connection.total_changes
    connection.executemany(
        f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT ({', '.join(PRIMARY[name])}) DO NOTHING",
        zip(*(table[c] for c in columns), strict=True),
    )
    return connection.total_changes - before


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): table[name].tolist() for name in table}


def _delete(connection: sqlite3.Connection, key: str) -> None:
    for name in ("registrations", "structures", "slices"):
        connection.execute(f"DELETE FROM {name} WHERE key = ?", [key])


# ---- writing -------------------------------------------------------------------------------------


def write_registration(
    path: str | Path, row: Mapping[str, Any], structures: pd.DataFrame, slices: bytes | None = None
) -> None:
    """Store one registration with its structures and display slices, in one transaction.

    A registration that is already there under the same key is replaced; the lease of the key ends.
    """
    row = {**row, "measures": json.dumps(row.get("measures") or {})}
    table = {**_columns(structures), "key": [row["key"]] * len(structures)}
    named = {*zip(*(table.get(c, []) for c in PRIMARY["structures"]), strict=True)}
    if len(structures) > len(named):
        raise StoreError(f"{path}: {row['key']}: a label stands twice; the store is as it was")
    with open_store(path) as connection, _transaction(connection):
        _delete(connection, row["key"])
        connection.execute("DELETE FROM leases WHERE key = ?", [row["key"]])
        _insert(connection, "registrations", {name: [value] for name, value in row.items()})
        if len(structures):
            _insert(connection, "structures", table)
        if slices is not None:
            _insert(connection, "slices", {"key": [row["key"]], "arrays": [slices]})


def write_measures(
    path: str | Path, key: str, measures: Mapping[str, float], structures: pd.DataFrame, ruler: int
) -> None:
    """Replace what was measured of a registration that is there by what a newer ruler measures."""
    with open_store(path) as connection, _transaction(connection):
        connection.execute("DELETE FROM structures WHERE key = ?", [key])
        _insert(connection, "structures", {**_columns(structures), "key": [key] * len(structures)})
        connection.execute(
            "UPDATE registrations SET measures = ?, ruler = ? WHERE key = ?",
            [json.dumps(measures), ruler, key],
        )


def write_alignment(path: str | Path, row: Mapping[str, Any]) -> None:
    """Store one linear alignment unless one is there; `row` has the columns of the table."""
    with open_store(path) as connection:
        _insert(connection, "alignments", {name: [value] for name, value in row.items()})


# ---- leases: several processes on one store share the work ---------------------------------------


def take_lease(path: str | Path, key: str, owner: str, seconds: float) -> bool:
    """Whether `owner` may now compute what belongs to a key: nobody else does.

    A lease that is not renewed for `seconds` is taken to be of a process that died.
    """
    now = time.time()
    with open_store(path) as connection, _transaction(connection):
        connection.execute("DELETE FROM leases WHERE expires < ?", [now])
        before = connection.total_changes
        connection.execute(
            "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
            [key, owner, now + seconds],
        )
        return connection.total_changes > before


def renew_leases(path: str | Path, owner: str, seconds: float) -> None:
    """Say that the owner is still at work."""
    with open_store(path) as connection:
        connection.execute(
            "UPDATE leases SET expires = ? WHERE owner = ?", [time.time() + seconds, owner]
        )


def drop_leases(path: str | Path, *, owner: str | None = None, key: str | None = None) -> None:
    """End the lease of a key, or all of an owner."""
    with open_store(path) as connection:
        connection.execute("DELETE FROM leases WHERE owner = ? OR key = ?", [owner, key])


def read_owners(path: str | Path) -> list[str]:
    """Who holds a lease."""
    with open_store(path) as connection:
        return [row[0] for row in connection.execute("SELECT DISTINCT owner FROM leases")]


# ---- reading -------------------------------------------------------------------------------------


def read_alignment(path: str | Path, key: str) -> dict[str, Any] | None:
    """The stored alignment, its matrix parsed, or None."""
    with open_store(path) as connection:
        table = pd.read_sql("SELECT * FROM alignments WHERE key = ?", connection, params=[key])
    if table.empty:
        return None
    row = table.iloc[0].to_dict()
    return {**row, "matrix": json.loads(row["matrix"])}


def read_answers(path: str | Path, keys: Iterable[str] | None = None) -> dict[str, Answer]:
    """Key -> what the store has under it, all or some."""
    query = "SELECT key, status, ruler, memory_limit_mb, finished FROM registrations"
    with open_store(path) as connection:
        if keys is None:
            rows = connection.execute(query).fetchall()
        else:
            rows = [
                row
                for key in keys
                for row in connection.execute(f"{query} WHERE key = ?", [key]).fetchall()
            ]
    return {key: Answer(*rest) for key, *rest in rows}


def _select(
    connection: sqlite3.Connection, table: str, keys: Iterable[str] | None = None
) -> pd.DataFrame:
    """Rows in the order of their primary key, all or those of some keys."""
    query = f"SELECT {', '.join(TABLES[table])} FROM {table}"
    if keys is not None:
        connection.execute("CREATE TEMP TABLE wanted (key TEXT PRIMARY KEY)")
        connection.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", [(k,) for k in keys])
        query += " JOIN wanted USING (key)"
    frame = pd.read_sql(f"{query} ORDER BY {', '.join(PRIMARY[table])}", connection)
    # A column of nothing but NULL would else come as objects, which no mean can be taken of.
    return frame.astype({c: float for c, kind in TABLES[table].items() if kind == "REAL"})


def read_registrations(path: str | Path, keys: Iterable[str] | None = None) -> pd.DataFrame:
    """One row per registration; what was measured of the whole field becomes columns.

    Those of every field (`FIELD_MEASURES`) are there even if no registration is, or none succeeded.
    """
    with open_store(path) as connection:
        table = _select(connection, "registrations", keys)
    measures = pd.DataFrame([json.loads(m) for m in table.pop("measures")], index=table.index)
    absent = [name for name in FIELD_MEASURES if name not in measures]
    return table.join(
        measures.reindex(columns=[*measures, *absent]).astype(dict.fromkeys(absent, float))
    )


def read_structures(path: str | Path, keys: Iterable[str] | None = None) -> pd.DataFrame:
    """One row per registration, label set, rule and label."""
    with open_store(path) as connection:
        return _select(connection, "structures", keys)


def read_slices(path: str | Path, key: str) -> bytes | None:
    """Display slices of a registration, as written, or None."""
    with open_store(path) as connection:
        found = connection.execute("SELECT arrays FROM slices WHERE key = ?", [key]).fetchone()
    return found[0] if found else None


# ---- export and import ---------------------------------------------------------------------------


def export_store(path: str | Path, folder: str | Path, run: Mapping[str, Any]) -> dict[str, int]:
    """Write every table as Parquet and `run` as run.json; returns rows per table.

    Slices go along only of cohorts whose images may be published. Rows are sorted, so that two exports
    of one store are the same bytes. All files are written before the first takes its place: an export
    that breaks off leaves the former one.
    """
    folder = Path(folder)
    with open_store(path) as connection, _transaction(connection):
        tables = {name: _select(connection, name) for name in TABLES}
    rows, slices = tables["registrations"], tables["slices"]
    shown = rows.loc[rows["cohort"].isin(SHOWN), "key"]
    tables["slices"] = slices[slices["key"].isin(shown)]
    counts = {name: len(table) for name, table in tables.items()}
    try:
        with contextlib.ExitStack() as files:
            # Those entered first take their place last: run.json counts what lies beside it.
            part = files.enter_context(replacing(folder / "run.json"))
            part.write_text(json.dumps({**run, "rows": counts}, indent=1) + "\n")
            for name, table in tables.items():
                part = files.enter_context(replacing(folder / f"{name}.parquet"))
                table.to_parquet(part, index=False, compression="zstd")
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({error}); what was there is left as it was"
        ) from error
    return counts


def _read_parquet(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise StoreError(f"{path.parent}: no {path.name}; expected a folder made by export")
    try:
        table = pd.read_parquet(path).reset_index(drop=True)
        return table.astype(dict.fromkeys(table.select_dtypes("category"), object))
    except (OSError, ValueError) as error:  # pyarrow's errors are among these
        raise StoreError(f"{path}: not readable ({error}); export or copy it again") from error


def import_store(folder: str | Path, path: str | Path) -> dict[str, int]:
    """Merge an export into a store: no duplicates, nothing lost; returns rows added per table.

    A row already there stays, unless the export has the same registration done where it failed here, measured
    by a newer ruler, or by the same one later: by label maps, perhaps, that there were not before.

    Raises
    ------
    StoreError
        The folder holds no export, or one of its files is missing, damaged or not what it should
        be: all is checked before the first row goes in, and all goes in or nothing.
    """
    files = {name: Path(folder) / f"{name}.parquet" for name in TABLES}
    tables = {name: _read_parquet(file) for name, file in files.items()}
    for name, table in tables.items():
        check_table(name, table, files[name])
    registrations = tables["registrations"].set_index("key")
    for name in ("structures", "slices"):
        strangers = set(tables[name]["key"]) - set(registrations.index)
        if strangers:
            raise StoreError(
                f"{files[name]}: {len(strangers)} keys without a registration, such as "
                f"{min(strangers)}; the files are not of one export; nothing was imported"
            )
    with open_store(path) as connection, _transaction(connection):
        rows = connection.execute(
            "SELECT key, status = 'ok', ruler, finished FROM registrations"
        ).fetchall()
        mine = {key: (bool(done), ruler or 0, when or "") for key, done, ruler, when in rows}
        theirs = zip(
            registrations["status"] == "ok",
            registrations["ruler"].fillna(0),
            registrations["finished"].fillna(""),
            strict=True,
        )
        better = {
            key
            for key, rank in zip(registrations.index, theirs, strict=True)
            if key in mine and rank > mine[key] and rank[0]
        }
        for key in better:
            _delete(connection, key)
        stays = set(mine) - better
        # Structures and slices belong to their row: those of a row that stays are not added to.
        new = {
            name: table if name == "alignments" else table[~table["key"].isin(stays)]
            for name, table in tables.items()
        }
        return {name: _insert(connection, name, table) for name, table in new.items()}
