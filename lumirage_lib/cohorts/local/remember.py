"""Small results that cost time, kept beside the downloads."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..sources import cache_folder


def hash_of(content) -> str:
    """Short stable hash of anything JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def remember(about: list, compute: Callable[[], object]):
    """``compute()``, once per machine for the same `about`; both must be JSON."""
    path = cache_folder() / "local" / f"{hash_of(about)}.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        value = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(value, file)
    os.replace(temporary, path)
    return value


def state_of(path: Path) -> list:
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

    return remember(["sha256", path, size, modified_ns], compute)
