"""What takes minutes to make, kept in the user's cache folder and made once per machine.

A kept file carries the digest of what it holds and of its own name; one that does not fit is not
believed: it is made again, or refused where it cannot be.
"""

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from ..errors import InputError, SourceError
from ..files import replacing
from ..images.reading import read_arrays
from .sources import cache_folder

DIGEST = "sha256"  # the array beside those that are kept


def get_path(kind: str, name: str) -> Path:
    """Where the arrays of that name are or would be."""
    return cache_folder() / kind / f"{name}.npz"


def keep_arrays(
    kind: str, name: str, make: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays of that name, made and stored if they are not there; the file is whole or absent.

    Parameters
    ----------
    kind, name : str
        Folder and file; the name must change with everything that determines the arrays.
    make : callable
    """
    path = get_path(kind, name)
    with contextlib.suppress(SourceError):
        return load_arrays(kind, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # whoever comes second finds what the first made
        try:
            return load_arrays(kind, name)
        except SourceError:
            arrays = {key: np.asarray(value) for key, value in make().items()}
        with replacing(path) as part:
            kept: dict[str, Any] = {**arrays, DIGEST: np.array(_digest(kind, name, arrays))}
            np.savez_compressed(part, **kept)
    return arrays


def load_arrays(kind: str, name: str) -> dict[str, np.ndarray]:
    """The arrays of that name, which :func:`keep_arrays` has stored.

    Raises
    ------
    SourceError
        They are not there, or the file does not hold what was stored under that name.
    """
    path = get_path(kind, name)
    if not path.is_file():
        raise SourceError(
            f"{path}: not made on this machine yet; a run makes it before its first registration, "
            "and so does `cohort.prepare(scan, lumirage_lib.methods.tools.TOOLS)`"
        )
    try:
        arrays = read_arrays(path)
    except InputError as error:  # of the cache, not of what is asked: a fault that passes
        raise SourceError(str(error)) from error
    if str(arrays.pop(DIGEST, "")) != _digest(kind, name, arrays):
        raise SourceError(
            f"{path}: not what was stored here (its digest differs); delete the file, the next run "
            "makes it again"
        )
    return arrays


def _digest(kind: str, name: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(f"{kind}/{name}".encode())
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        digest.update(f"{key} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data if array.ndim else array.tobytes())
    return digest.hexdigest()


# ---- small results, and the hashes of the user's own files ---------------------------------------


def hash_json(content: object) -> str:
    """Short stable hash of anything JSON can hold; part of fingerprints."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def remember(about: list[Any], compute: Callable[[], Any]) -> Any:
    """``compute()``, once per machine for the same `about`; both must be JSON."""
    path = cache_folder() / "local" / f"{hash_json(about)}.json"
    try:
        kept = json.loads(path.read_text())
        if kept["digest"] == hash_json([about, kept["value"]]):
            return kept["value"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    value = compute()
    with replacing(path) as part:
        part.write_text(json.dumps({"value": value, "digest": hash_json([about, value])}))
    return value


def state_of(path: Path) -> list[Any]:
    """What changes when a file is written anew: place, size and time."""
    about = path.stat()
    return [str(path.resolve()), about.st_size, about.st_mtime_ns]


def hash_file(path: Path) -> str:
    """Hash of the bytes, wherever the file lies; read once as long as it is not touched."""
    return _hash(*state_of(path))


@functools.cache  # a plan asks for every file once a pair and method
def _hash(path: str, size: int, modified_ns: int) -> str:
    def compute() -> str:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]

    return str(remember(["sha256", path, size, modified_ns], compute))
