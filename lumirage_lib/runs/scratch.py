"""What the children of one pair share: volumes that were read, images that were prepared."""

import contextlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..cohorts import Cohort, Pair
from ..files import hash_of, replacing

Value = TypeVar("Value")


def recall(folder: Path, about: object, make: Callable[[], Value]) -> Value:
    """``make()``, once for all processes that share the folder; `about` says of what, as JSON.

    The folder belongs to one run and is read by it alone. Where it is full the value is made again.
    """
    path = folder / hash_of(about)
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        value: Value = pickle.load(file)
        return value
    value = make()
    with contextlib.suppress(OSError), replacing(path) as part, open(part, "wb") as file:
        pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
    return value


def recalling(cohort: Cohort, folder: Path) -> Cohort:
    """The same cohort; its volumes and true displacements are made once for all that share the folder."""

    def about(*what: str) -> list[str]:
        return [cohort.name, *what]

    truth = cohort.true_displacement

    def recall_truth(pair: Pair) -> np.ndarray:
        assert truth is not None
        prints = [cohort.fingerprint(scan) for scan in (pair.fixed, pair.moving)]
        return recall(folder, about("true displacement", *prints), lambda: truth(pair))

    return replace(
        cohort,
        load_image=lambda scan: recall(
            folder, about(cohort.fingerprint(scan)), lambda: cohort.load_image(scan)
        ),
        load_labels=lambda scan, label_set: recall(
            folder,
            about(cohort.fingerprint(scan), label_set),
            lambda: cohort.load_labels(scan, label_set),
        ),
        true_displacement=None if truth is None else recall_truth,
    )
