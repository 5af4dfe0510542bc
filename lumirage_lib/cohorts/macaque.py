"""Four macaque brains: the templates MEBRAINS and NMT v2 (symmetric, asymmetric) and one animal.

Images and FreeSurfer-style labels ("aseg") from xingyu-liu/macaque_template_surfaces, the ARM atlas of
level 2 (Jung et al. 2021, Hartig et al. 2021) on each template and on one animal from xingyu-liu/brainana
and brainana_tools. All at 0.4 or 0.5 mm, skull-stripped. Templates are means of animals, smoother than
one; the two forms of NMT are made of the same animals, so they count as one subject and their pairs as
related, not between. The individual has no "aseg".
"""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..images.volumes import Volume, load_volume, reorient, resample
from .base import Cohort, Pair, Scan
from .sources import Source, fetch, get_source

SURFACES, ATLASES, EXAMPLE = (
    f"xingyu-liu/{name}" for name in ("macaque_template_surfaces", "brainana", "brainana_tools")
)
INDIVIDUAL = "individual"
ATLAS_FILES = {
    "MEBRAINS": "MEBRAIN_res-04",
    "NMT2Sym": "NMT2Sym_res-05",
    "NMT2Asym": "NMT2Asym_res-05",
}
SCANS = (
    Scan("MEBRAINS", "MEBRAINS"),
    Scan("NMT2Sym", "NMT2"),
    Scan("NMT2Asym", "NMT2"),
    Scan(INDIVIDUAL, INDIVIDUAL),
)
# Cube root of the ratio of brain volumes, about 1550 cm3 (the OASIS scans) to 97 cm3 (these four).
HUMAN_SCALE = 2.5
ASEG = {
    2: ("Left cerebral white matter", "white matter"),
    3: ("Left cerebral cortex", "cortical"),
    4: ("Left lateral ventricle", "CSF"),
    7: ("Left cerebellum white matter", "white matter"),
    8: ("Left cerebellum cortex", "other"),
    10: ("Left thalamus", "subcortical"),
    11: ("Left caudate", "subcortical"),
    16: ("Brain stem", "other"),
    26: ("Left accumbens area", "subcortical"),
    41: ("Right cerebral white matter", "white matter"),
    42: ("Right cerebral cortex", "cortical"),
    43: ("Right lateral ventricle", "CSF"),
    46: ("Right cerebellum white matter", "white matter"),
    47: ("Right cerebellum cortex", "other"),
    49: ("Right thalamus", "subcortical"),
    50: ("Right caudate", "subcortical"),
    58: ("Right accumbens area", "subcortical"),
    77: ("White matter hypointensities", "white matter"),
}


def _source(scan: Scan, kind: str) -> Source:
    if scan.id == INDIVIDUAL:
        folder = "datasets/demo_viewer"
        session = f"{folder}/sub-example/ses-001/anat/atlas_space-fsnative"
        path = {
            "image": f"{folder}/fastsurfer/sub-example/mri/norm.mgz",
            "arm2": f"{session}/atlas-ARM2_space-fsnative_sub-example_ses-001.nii.gz",
        }
        return get_source(EXAMPLE, path[kind])
    if kind == "arm2":
        return get_source(
            ATLASES, f"template_zoo/atlas/ARM/atlas-ARM2_space-{ATLAS_FILES[scan.id]}.nii.gz"
        )
    file = {"image": "norm", "aseg": "aseg"}[kind]
    return get_source(SURFACES, f"sub-{scan.id}/mri/{file}.mgz")


def list_sources(scan: Scan) -> list[Source]:
    """The public files of a scan."""
    kinds = ("image", "arm2") if scan.id == INDIVIDUAL else ("image", "arm2", "aseg")
    return [_source(scan, kind) for kind in kinds]


@functools.cache
def arm_labels() -> pd.DataFrame:
    """Label -> number in the atlas, name and group."""
    return pd.read_csv(Path(__file__).parents[1] / "data" / "arm2_labels.csv", index_col="label")


def load_image(scan: Scan) -> Volume:
    return reorient(load_volume(fetch(_source(scan, "image"))))


def load_labels(scan: Scan, label_set: str = "arm2") -> Volume:
    """Label map on the grid of the image; the atlas is on a smaller box of the same voxels."""
    labels = reorient(load_volume(fetch(_source(scan, label_set)), labels=True))
    image = load_image(scan)
    labels = resample(labels, image.affine, image.shape, order=0, fill=0)
    if label_set == "aseg":
        return labels
    table = arm_labels()
    lowest, highest = table["arm"].min(), table["arm"].max()
    number = np.zeros(highest - lowest + 1, np.int32)
    number[table["arm"] - lowest] = table.index
    return replace(labels, data=number[labels.data - lowest])


def related_pairs(scans: Sequence[Scan]) -> list[Pair]:
    """Every ordered pair; those of scans that share a subject are of the kind "related"."""
    return [
        Pair(fixed, moving, "between" if fixed.subject != moving.subject else "related")
        for fixed in scans
        for moving in scans
        if fixed.id != moving.id
    ]


def macaque() -> Cohort:
    """The cohort; nothing is fetched before an image or a label map is asked for."""
    aseg = pd.DataFrame.from_dict(ASEG, orient="index", columns=["name", "group"])
    return Cohort(
        "macaque",
        SCANS,
        load_image,
        load_labels,
        {"arm2": arm_labels()[["name", "group"]], "aseg": aseg.rename_axis("label")},
        lambda scan: ".".join(s.sha256[:16] for s in list_sources(scan)),
        reference="jung2021,hartig2021",
        sources=list_sources,
        lacks=frozenset({(INDIVIDUAL, "aseg")}),
        title="four macaque brains",
        limits=(
            "Three of the four images are templates, means of many animals: smoother than a brain, and "
            "kinder to every method. Three independent subjects say little about a species.",
            "The labels were carried onto each image by registration of the source, not drawn there.",
        ),
        pairs=tuple(related_pairs(SCANS)),
    )
