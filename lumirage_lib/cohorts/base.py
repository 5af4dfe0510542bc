"""What every cohort offers: scans with subjects behind them, images, label maps, pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..images.volumes import Volume
from .sources import Source

if TYPE_CHECKING:
    import pandas as pd

DATA = Path(__file__).parents[1] / "data"
# Structures of the Neuromorphometrics protocol that are neither cortex nor deep grey matter.
OTHER = ("exterior", "vessel", "lesion", "chiasm", "brain stem")


def structure_group(number: int, name: str) -> str:
    """Cortical, subcortical, white matter, CSF or other, for a Neuromorphometrics label."""
    low = name.lower()
    if number >= 100:
        return "cortical"
    if "white matter" in low:
        return "white matter"
    if "vent" in low.replace("ventral", "") or low == "csf":
        return "CSF"
    return "other" if any(word in low for word in OTHER) else "subcortical"


@dataclass(frozen=True)
class Scan:
    """One imaging session of one subject; `group` is "train" or "test"."""

    id: str
    subject: str
    group: str = "test"


@dataclass(frozen=True)
class Pair:
    """An ordered pair.

    `kind` is "between" (two subjects), "rescan" (two scans of one), "itself" (one scan twice), "related" (two
    templates of the same brains) or "follow-up" (one scan and itself with a known change).
    """

    fixed: Scan
    moving: Scan
    kind: str = "between"

    @property
    def id(self) -> str:
        return f"{self.moving.id}->{self.fixed.id}"


@dataclass(frozen=True)
class Tools:
    """What preparing a scan takes from the rooms above, handed in by who prepares it.

    Attributes
    ----------
    register : callable
        ``register(target, atlas, method) -> displacement``: an atlas brought onto a scan by a method
        of that name, on the scan's grid, shape (3, X, Y, Z), voxels of the atlas.
    segment : callable
        ``segment(volume) -> ndarray of int, shape (X, Y, Z)``: the 18 classes of
        :mod:`lumirage_lib.cohorts.segmented` on the volume's own grid.
    """

    register: Callable[[Volume, Volume, str], np.ndarray]
    segment: Callable[[Volume], np.ndarray]


@dataclass(frozen=True)
class Cohort:
    """A set of scans and the functions that read them.

    Attributes
    ----------
    name : str
    scans : tuple of Scan
    load_image, load_labels : callable
        ``load_image(scan) -> Volume`` (float32, canonical RAS) and ``load_labels(scan, label_set)
        -> Volume`` (integers, same grid).
    label_sets : mapping
        Name of a label set -> table of its labels, index `label`, columns `name` and `group`
        ("cortical", "subcortical", "tissue", …).
    fingerprint : callable
        ``fingerprint(scan) -> str``: changes when the bytes of the scan or its labels change, and
        needs no download.
    options : mapping
        What the cohort was made with (spacing, seed, …).
    true_displacement : callable, optional
        ``true_displacement(pair)`` on the fixed grid, where the correspondence is known.
    reference : str
        Citation key of the data.
    sources : callable
        ``sources(scan) -> list of Source``: the public files a scan needs; none where it is
        generated or read from the user's disk.
    aligned_by : Cohort, optional
        The same scans on the same grids in the contrast that the shared alignment is estimated on;
        without it a scan aligns itself.
    prepare : callable, optional
        ``prepare(scan, tools)`` makes and keeps what reading the scan needs and takes minutes; run
        once before its first registration.
    lacks : frozenset of (str, str)
        Scan id and label set that the source does not publish; a pair with such a scan is not
        measured on that set.
    title : str
        What it is in a few words, as pages call it.
    contrasts : tuple of str
        What its option `contrast` can be, the reference first; one entry where there is no choice.
    limits : tuple of str
        What a reader has to know before believing a number on it, a sentence or two each.
    label_words : mapping of str to str
        Label set -> what pages call it, where that is not its name.
    pairs : tuple of Pair
        The pairs to register where the data set prescribes them; else they are chosen, balanced.
    """

    name: str
    scans: tuple[Scan, ...]
    load_image: Callable[[Scan], Volume]
    load_labels: Callable[..., Volume]
    label_sets: Mapping[str, pd.DataFrame]
    fingerprint: Callable[[Scan], str]
    options: Mapping[str, Any] = field(default_factory=dict)
    true_displacement: Callable[[Pair], np.ndarray] | None = None
    reference: str = ""
    sources: Callable[[Scan], list[Source]] = lambda scan: []
    aligned_by: Cohort | None = None
    prepare: Callable[[Scan, Tools], object] | None = None
    lacks: frozenset[tuple[str, str]] = frozenset()
    title: str = ""
    contrasts: tuple[str, ...] = ("T1w",)
    limits: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    label_words: Mapping[str, str] = field(default_factory=dict)

    def call_labels(self, label_set: str) -> str:
        """What pages call a label set."""
        return self.label_words.get(label_set, label_set)

    def has_labels(self, pair: Pair, label_set: str) -> bool:
        """Whether both scans of a pair have this label set."""
        return not self.lacks.intersection((s.id, label_set) for s in (pair.fixed, pair.moving))

    def scan(self, id: str) -> Scan:
        for scan in self.scans:
            if scan.id == id:
                return scan
        raise InputError(
            f"{self.name}: no scan {id!r}; there are {', '.join(s.id for s in self.scans)}"
        )


def balanced_pairs(scans: Iterable[Scan], n_pairs: int, seed: int = 0) -> list[Pair]:
    """Ordered pairs in which every subject is equally often fixed and moving.

    Subjects are put in a seeded circle; each round pairs everyone with the one `k` places on, for
    distinct steps `k`. A number that is not a multiple of the number of subjects leaves counts that
    differ by one. A smaller design is the beginning of a larger one of the same seed, so a study
    can grow without losing what it computed.

    Parameters
    ----------
    scans : sequence of Scan
        The first scan of each subject is used.
    n_pairs : int
        At most n (n - 1) for n subjects.
    seed : int

    Raises
    ------
    InputError
        Fewer than two subjects or more pairs than there are.
    """
    first = list({s.subject: s for s in reversed(list(scans))}.values())
    n = len(first)
    if n < 2 or not 1 <= n_pairs <= n * (n - 1):
        raise InputError(
            f"{n_pairs} pairs asked of {n} subjects; expected two subjects or more, and from 1 pair to "
            f"n (n - 1) = {n * (n - 1)}"
        )
    rng = np.random.default_rng([seed, n])
    order = rng.permutation(n)
    # A step and its mirror give the same two brains in both directions: take those last.
    half = rng.permutation(np.arange(1, n // 2 + 1))
    steps = [*half, *(n - k for k in half if n - k != k)]
    circle = [first[i] for i in order]
    pairs = [Pair(circle[i], circle[(i + k) % n]) for k in steps for i in range(n)]
    return pairs[:n_pairs]


def rescan_pairs(scans: Iterable[Scan]) -> list[Pair]:
    """Second scan of a subject onto the first: what registration can reach at best."""
    by_subject: dict[str, list[Scan]] = {}
    for scan in scans:
        by_subject.setdefault(scan.subject, []).append(scan)
    return [Pair(s[0], s[1], "rescan") for s in by_subject.values() if len(s) > 1]
