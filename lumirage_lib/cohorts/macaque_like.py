"""A generated population of the size of macaque brains, of which the true correspondence is known.

Where INIA19 (Rohlfing et al. 2012) is at hand, the mean of 19 rhesus macaques that Debian's package
mricron-data installs, every subject is a seeded random deformation of it, with the structures of its
NeuroMaps labels. Elsewhere it is the generated human population, shrunk.
"""

import functools
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from ..images.volumes import Volume
from .base import Cohort
from .macaque import HUMAN_SCALE
from .population import Anatomy, populate
from .template import template

# Lengths of MEBRAINS over those of the human template, along the axes of RAS.
PROPORTIONS = (0.41, 0.42, 0.37)
VARIABLE = "LUMIRAGE_MRICRON"
DEBIAN = Path("/usr/share/mricron/templates")
IMAGE, LABELS = "inia19-t1-brain.nii.gz", "inia19-NeuroMaps.nii.gz"
TABLE = Path(__file__).parents[1] / "data" / "inia19_labels.csv"
RIGHT = 1000  # added to the number of a structure on the left
INIA19 = "rohlfing2012"  # citation key
FULL_INTENSITY = 120.0  # 99th percentile of the brain


def find_inia19() -> Path | None:
    """Folder with image and labels of INIA19: that of ``LUMIRAGE_MRICRON``, else Debian's.

    Returns
    -------
    Path, or None where the variable is not set and Debian's package not installed.

    Raises
    ------
    InputError
        The variable names a folder without the two files.
    """
    chosen = os.environ.get(VARIABLE)
    folder = Path(chosen) if chosen else DEBIAN
    missing = [name for name in (IMAGE, LABELS) if not (folder / name).is_file()]
    if chosen and missing:
        raise InputError(
            f"{VARIABLE}: expected a folder with {IMAGE} and {LABELS}, found no {missing[0]} in "
            f"{chosen!r}; name the folder templates of Debian's mricron-data, or unset the variable"
        )
    return None if missing else folder


@functools.cache
def inia19_labels() -> pd.DataFrame:
    """Label -> name and group of the structures that are measured, each on the left and the right.

    Numbers are those of NeuroMaps, the names those of the list that comes with INIA19; the groups are
    ours. Of 362 structures a side the table has those of at least 64 mm3 on both sides, 125 voxels of
    0.8 mm; they hold 92 % of the labelled volume. Most of the rest are nuclei and tracts of the brain
    stem, some of one voxel.
    """
    left = pd.read_csv(TABLE, index_col="label")
    right = left.set_axis(left.index + RIGHT)
    sides = [
        t.assign(name=f"{side} " + t["name"]) for side, t in (("Left", left), ("Right", right))
    ]
    return pd.concat(sides).rename_axis("label")


@functools.cache
def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def inia19(folder: Path) -> Anatomy:
    """The anatomy in a folder that :func:`find_inia19` returned."""
    image, labels = folder / IMAGE, folder / LABELS
    return Anatomy(
        "inia19",
        _digest(image, labels, TABLE),
        image,
        labels,
        "neuromaps",
        inia19_labels,
        INIA19,
        scale=1 / HUMAN_SCALE,
        full_intensity=FULL_INTENSITY,
    )


def macaque_like(spacing_mm: float = 2.0, n_subjects: int = 4, seed: int = 0) -> Cohort:
    """Deformations of INIA19 where it is at hand, else of the human template, shrunk.

    The fingerprints of the two differ, and so does `reference`.

    Parameters
    ----------
    spacing_mm : float
        Voxel size for a brain of human size: the voxels of INIA19 are 1 / `HUMAN_SCALE` of it, those
        of the shrunk population `PROPORTIONS` of it.
    n_subjects, seed : int
        As of :func:`lumirage_lib.cohorts.population.populate`.

    Raises
    ------
    InputError
        See :func:`find_inia19` and :func:`lumirage_lib.cohorts.population.populate`.
    """
    folder = find_inia19()
    if folder is None:
        return _shrunk_humans(spacing_mm, n_subjects, seed)
    cohort = populate(inia19(folder), spacing_mm / HUMAN_SCALE, n_subjects, seed)
    return replace(
        cohort,
        name="macaque_like",
        options={**cohort.options, "spacing_mm": spacing_mm},
        title=f"{n_subjects} deformations of the macaque template INIA19",
        limits=(
            "Every brain is the one macaque template, smoothly deformed: all have the same folds, which "
            "is easier than animals are.",
        ),
    )


def _shrunk_humans(spacing_mm: float, n_subjects: int, seed: int) -> Cohort:
    """Size, not anatomy, of macaque brains."""
    base = template(spacing_mm, n_subjects, seed)
    shrink = np.diag([*PROPORTIONS, 1.0])

    def shrunk(volume: Volume) -> Volume:
        return replace(volume, affine=shrink @ volume.affine)

    return replace(
        base,
        name="macaque_like",
        load_image=lambda scan: shrunk(base.load_image(scan)),
        load_labels=lambda scan, label_set="manual": shrunk(base.load_labels(scan, label_set)),
        fingerprint=lambda scan: f"macaque-like-{PROPORTIONS}-{base.fingerprint(scan)}",
        title=f"{n_subjects} generated human brains, shrunk to the size of a macaque's",
        limits=(
            "These are no macaques: the generated human population, shrunk to the lengths of a macaque "
            "brain. They show what size does to a method, not what another species does.",
        ),
    )
