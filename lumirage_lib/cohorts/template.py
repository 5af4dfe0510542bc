"""A generated population of which the true correspondence is known.

Every subject is the 0.5 mm brain template that the package deepmriprep installs, with its
Neuromorphometrics labels, seen through a seeded random diffeomorphism of its own, with a mild bias
field and noise. Nothing needs a download, any resolution down to 0.5 mm can be asked for, and for any
two subjects the displacement that a perfect registration would return is available.
"""

import functools
from importlib import metadata, util
from pathlib import Path

import pandas as pd

from ..errors import InputError
from .base import Cohort, structure_group
from .population import NOISE, Anatomy, populate


def _folder() -> Path:
    found = util.find_spec("deepmriprep")  # not imported: it brings torch
    if found is None or found.origin is None:
        raise InputError(
            "the generated cohort needs the package deepmriprep for its template; "
            "install it with the pins of requirements.txt"
        )
    return Path(found.origin).parent / "data" / "templates"


@functools.cache
def label_table() -> pd.DataFrame:
    """Label -> name, group and tissue ("CSF", "grey matter", "white matter")."""
    table = pd.read_csv(_folder() / "neuromorphometrics.csv", sep=";").set_index("ROIid")
    table = table.rename_axis("label").rename(columns={"ROIname": "name"})
    tissue = table[["Vcsf", "Vgm", "Vwm"]].to_numpy().argmax(axis=1)
    group = [structure_group(n, name) for n, name in table["name"].items()]
    return table.assign(group=group, tissue=tissue + 1)[["name", "group", "tissue"]]


def human() -> Anatomy:
    """The template of deepmriprep."""
    folder = _folder()
    return Anatomy(
        "template",
        metadata.version("deepmriprep"),
        folder / "Template_05mm_bet.nii.gz",
        folder / "neuromorphometrics.nii.gz",
        "manual",
        label_table,
        "deepmriprep2024",
    )


def template(
    spacing_mm: float = 2.0,
    n_subjects: int = 6,
    seed: int = 0,
    fine_mm: float = 0.0,
    noise: float = NOISE,
) -> Cohort:
    """The generated cohort.

    Parameters
    ----------
    spacing_mm : float
        Isotropic voxel size, 0.5 to 8 mm.
    n_subjects, seed, fine_mm, noise
        As of :func:`lumirage_lib.cohorts.population.populate`.
    """
    return populate(human(), spacing_mm, n_subjects, seed, fine_mm=fine_mm, noise=noise)
