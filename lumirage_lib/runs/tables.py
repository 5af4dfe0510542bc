"""The tables of the store and of its exports: columns, what they may hold, and the check of it."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ..errors import StoreError
from ..metrics import RULER, STRUCTURE_MEASURES

SCHEMA = 1  # raised when a column is added here; a new measure of structures raises the ruler
VERSION = SCHEMA + RULER  # a store of an older version is given the columns it lacks, empty
# Column -> SQLite type. NULL is *not measured*; key columns and those NOT NULL never are.
TABLES: dict[str, dict[str, str]] = {
    "registrations": {
        "key": "TEXT NOT NULL",
        **dict.fromkeys(
            (
                *("cohort", "kind", "fixed", "moving", "fixed_subject", "moving_subject"),
                *("preprocessing", "method", "family", "parameters", "version", "weights"),
            ),
            "TEXT",
        ),
        "status": "TEXT NOT NULL",
        "reason": "TEXT",
        **dict.fromkeys(("seconds", "cpu_seconds", "peak_mb", "method_mb"), "REAL"),
        "threads": "INTEGER",
        "working_shape": "TEXT",
        "spacing_mm": "REAL",
        "measures": "TEXT",
        "ruler": "INTEGER",
        "hardware": "TEXT",
        "finished": "TEXT",
        "internal_mm": "REAL",
        "memory_limit_mb": "REAL",
    },
    "structures": {
        **dict.fromkeys(("key", "label_set", "rule"), "TEXT NOT NULL"),
        "label": "INTEGER NOT NULL",
        **dict.fromkeys(STRUCTURE_MEASURES, "REAL"),
    },
    "slices": {"key": "TEXT NOT NULL", "arrays": "BLOB NOT NULL"},
    "alignments": {
        "key": "TEXT NOT NULL",
        **dict.fromkeys(("kind", "fixed", "moving"), "TEXT"),
        "matrix": "TEXT NOT NULL",
        **dict.fromkeys(("seconds", "cpu_seconds"), "REAL"),
        "threads": "INTEGER",
    },
}
PRIMARY = dict.fromkeys(TABLES, ("key",)) | {"structures": ("key", "label_set", "rule", "label")}
# What came after version 1: an export made before has no such column.
LATER = {
    "registrations": {"internal_mm", "memory_limit_mb"},
    "structures": {*STRUCTURE_MEASURES} - {"n_fixed", "n_moved", "dice", "hd95_mm", "hd95_voxel"},
    "slices": set(),
    "alignments": {"threads"},
}


def make_schema(name: str) -> str:
    """The SQL that makes a table; with its primary key."""
    columns = ", ".join(f"{column} {kind}" for column, kind in TABLES[name].items())
    end = " WITHOUT ROWID" if len(PRIMARY[name]) > 1 else ""
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({', '.join(PRIMARY[name])})){end}"


# ---- the check of what is imported ---------------------------------------------------------------


def check_table(name: str, table: pd.DataFrame, where: object) -> None:
    """Refuse a table that is not of this store, before any of its rows goes in.

    Parameters
    ----------
    name : str
        Of the table.
    table : DataFrame
        As read from the file.
    where : object
        The file, for the message.

    Raises
    ------
    StoreError
        A column is missing, unknown or holds another kind of value, a key stands twice, or a text
        that should be JSON is none.
    """
    import pandera.pandas as pa

    schema = pa.DataFrameSchema(
        {
            column: pa.Column(
                nullable="NOT NULL" not in kind,
                required=column not in LATER[name],
                checks=pa.Check(
                    _is_said if kind == "TEXT NOT NULL" else _KINDS[kind.split()[0]],
                    error=f"expected {kind.lower()}",
                ),
            )
            for column, kind in TABLES[name].items()
        },
        strict=True,
        unique=list(PRIMARY[name]),
    )
    for column, check in (_CONTENT.get(name, {}) | _WITHIN).items():
        if column in schema.columns:
            schema.columns[column].checks.append(check())
    try:
        schema.validate(table, lazy=False)
    except (pa.errors.SchemaError, pa.errors.SchemaErrors) as error:
        first = getattr(error, "schema_errors", [error])[0]
        said = " ".join(str(first).split())
        if first.reason_code is pa.errors.SchemaErrorReason.COLUMN_NOT_IN_SCHEMA:
            said = f"column {first.failure_cases!r} is unknown"
        raise StoreError(
            f"{where}: not a table {name} of an export, {said[:300]}; nothing was imported"
        ) from error


def _all_of(kind: type) -> Callable[[pd.Series], bool]:
    return lambda values: bool(values.dropna().map(lambda value: isinstance(value, kind)).all())


def _is_real(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) or bool(values.isna().all())


def _is_integer(values: pd.Series) -> bool:
    numbers = pd.to_numeric(values.dropna()) if _is_real(values) else pd.Series([0.5])
    return bool((numbers % 1 == 0).all()) and bool(numbers.between(-(2**63), 2**63 - 1).all())


def _is_said(values: pd.Series) -> bool:
    return _all_of(str)(values) and bool(values.dropna().str.strip().ne("").all())


_KINDS: dict[str, Callable[[pd.Series], bool]] = {
    "TEXT": _all_of(str),
    "BLOB": _all_of(bytes),
    "REAL": _is_real,
    "INTEGER": _is_integer,
}


def _holds(predicate: Callable[[Any], bool], meaning: str) -> Callable[[], Any]:
    def passes(text: str) -> bool:
        try:
            return predicate(json.loads(text))
        except (ValueError, RecursionError):
            return False

    def check() -> Any:
        import pandera.pandas as pa

        return pa.Check(
            lambda values: bool(values.dropna().map(passes).all()), error=f"expected {meaning}"
        )

    return check


def _between(least: float, most: float = math.inf) -> Callable[[], Any]:
    def check() -> Any:
        import pandera.pandas as pa

        return pa.Check(
            lambda values: bool(pd.to_numeric(values.dropna()).between(least, most).all()),
            error=f"expected numbers from {least:g} to {most:g}",
        )

    return check


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_measures(value: object) -> bool:
    """Numbers, or NaN, under names that are no column; an overlap is between 0 and 1."""
    if not isinstance(value, dict) or value.keys() & TABLES["registrations"].keys():
        return False
    known = {name: v for name, v in value.items() if not (isinstance(v, float) and math.isnan(v))}
    return all(map(_is_number, known.values())) and 0 <= known.get("dice", 0) <= 1


def _is_matrix(value: object) -> bool:
    rows = value if isinstance(value, list) and len(value) == 4 else []
    return (
        len(rows) == 4
        and all(
            isinstance(row, list) and len(row) == 4 and all(map(_is_number, row)) for row in rows
        )
        and bool(abs(np.linalg.det(np.array(rows, float))) > 1e-9)
    )


_CONTENT = {
    "registrations": {
        "measures": _holds(_is_measures, "a JSON object of numbers"),
        "parameters": _holds(lambda value: isinstance(value, dict), "a JSON object"),
    },
    "alignments": {
        "matrix": _holds(_is_matrix, "4 x 4 finite numbers that can be inverted, as JSON")
    },
}
# Of columns, whatever their table; a ruler that this library does not have is of a newer one.
_WITHIN = {
    **dict.fromkeys(("seconds", "cpu_seconds", "peak_mb", "method_mb", "label"), _between(0)),
    "ruler": _between(0, RULER),
    "dice": _between(0, 1),
}
