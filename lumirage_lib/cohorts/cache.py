"""Arrays that take minutes to make, kept in the user's cache folder and made once per machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .sources import cache_folder


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
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = dict(make())
        handle, temporary = tempfile.mkstemp(suffix=".npz", dir=path.parent)
        os.close(handle)
        try:
            np.savez_compressed(temporary, **arrays)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    with np.load(path) as arrays:
        return dict(arrays)
