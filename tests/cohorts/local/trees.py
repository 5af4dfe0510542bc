"""Miniature data sets in the layouts of their publishers: brains of a few thousand voxels."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from synthetic import brain, grid_affine, smooth_field

from lumirage_lib.images.volumes import Volume, reorient
from lumirage_lib.images.warp import warp_image, warp_labels

SHAPE = (24, 28, 22)
SPACING_MM = (2.0, 2.0, 2.0)


def make_subject(seed: int, labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A brain of one population and its label map, in RAS."""
    image = brain(SHAPE)
    where = np.indices(SHAPE)
    block = (where[0] // 6 + 4 * (where[1] // 7) + 16 * (where[2] // 11)) % len(labels)
    inside = np.where(image > 0.3, np.array(labels)[block], 0).astype(np.int16)
    field = smooth_field(SHAPE, 0.7, seed, sigma=3.0)
    return warp_image(image, field), warp_labels(inside, field)


def save(path: Path, array: np.ndarray, codes: str = "RAS", spacing_mm=SPACING_MM) -> Path:
    """Write an array given in RAS with its axes in another order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = reorient(Volume(array, grid_affine("RAS", spacing_mm)), codes)
    image = nib.Nifti1Image(volume.data, volume.affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


SYNTHSEG = [2, 3, 10, 17, 41, 42, 49, 53]


def make_lumir(root: Path, n: int = 3) -> Path:
    names = [f"LUMIRMRI_{3454 + i}_0000" for i in range(n)]
    for seed, name in enumerate(names):
        image, labels = make_subject(seed, SYNTHSEG)
        save(root / "imagesVal" / f"{name}.nii.gz", image * 255)
        save(root / "synthsegVal" / f"{name}_synthseg.nii.gz", labels)
    paths = [f"./imagesVal/{name}.nii.gz" for name in names]
    pairs = [{"fixed": b, "moving": a} for a, b in itertools.pairwise(paths)]
    content = {"name": "LUMIR", "training": [], "registration_val": pairs}
    (root / "LUMIR_dataset.json").write_text(json.dumps(content))
    return root


def make_oasis(root: Path, n: int = 4) -> Path:
    for seed in range(n):
        folder = root / f"OASIS_OAS1_{seed + 1:04d}_MR1"
        image, labels = make_subject(seed, list(range(1, 36)))
        for prefix in ("aligned_", ""):
            save(folder / f"{prefix}norm.nii.gz", image, "LIA")
            save(folder / f"{prefix}seg35.nii.gz", labels, "LIA")
    return root


NIMH_LABELS = {"synthseg": SYNTHSEG, "slant": [23, 45, 47, 59, 60], "atropos": [1, 2, 3]}


def make_nimh(root: Path, n: int = 3) -> Path:
    for seed in range(n):
        session = f"sub-ON{seed + 1:05d}/ses-01"
        name = session.replace("/", "_")
        brain, _ = make_subject(seed, SYNTHSEG)
        for gain, contrast in enumerate(("acq-MPRAGE_T1w", "T2w", "T2starw", "acq-2D_FLAIR")):
            file = f"anat/{name}_{contrast}"
            head = 1 - gain * brain / 4  # with skull and air that are brighter than the brain
            save(root / session / f"{file}.nii.gz", head if gain else brain + 0.1)
            sources = NIMH_LABELS if "T1w" in contrast else {"synthseg": SYNTHSEG}
            for source, numbers in sources.items():
                folder = root / "derivatives" / source / session
                _, labels = make_subject(seed, numbers)
                short = file.removesuffix("_T1w") if source == "slant" else file
                save(folder / f"{short}_dseg.nii.gz", labels)
    return root


def make_primede(root: Path, n: int = 3) -> Path:
    for seed in range(n):
        name = f"site-a_sub-{32125 + seed:06d}_ses-001_T1w.nii.gz"
        image, tissue = make_subject(seed, [1, 2, 3])
        _, subcortical = make_subject(seed, [1, 2, 3, 4, 5, 6])
        # Each animal lies somewhere else in a field of view of its own.
        room = [(seed, 5), (2, 4 + seed), (20, 3)]
        for folder, array in {
            "brain_mask": (image > 0.05).astype(np.int16),
            "brain_cerebrum": image,
            "brain_tissue": tissue,
            "brain_subcortical": subcortical,
        }.items():
            save(root / folder / name, np.pad(array, room), "PIR", (0.5, 0.5, 0.5))
    return root


def make_ultracortex(root: Path, numbers=(3, 20, 37)) -> Path:
    for seed, number in enumerate(numbers):
        image, labels = make_subject(seed, [1, 2, 3, 4])
        image = 4000 * (1 - image * (image > 0) if number == 37 else image)
        image[12, 14, 11] = 1e6  # a voxel as bright as nothing is
        name = f"sub-{number}_ses-1"
        derivatives = root / "derivatives"
        save(derivatives / f"skullstrips/{name}_skullstrip.nii", image, spacing_mm=(0.6,) * 3)
        save(derivatives / f"manual_segmentation/{name}_seg.nii", labels, spacing_mm=(0.6,) * 3)
    return root


MAKERS = {
    "lumir": make_lumir,
    "nimh": make_nimh,
    "oasis-l2r": make_oasis,
    "primede": make_primede,
    "ultracortex": make_ultracortex,
}


def write_pair_list(path: Path, pairs: list[tuple[str, str]], labels: list[int], prefix: str):
    """The authors' JSON of pairs (fixed, moving) of image paths, with UltraCortex's names."""
    listed = []
    for fixed, moving in pairs:
        entry = {}
        for side, name in (("f", fixed), ("m", moving)):
            entry[f"{side}_img"] = f"{prefix}/processed_skullstrips/{name}_skullstrip.nii"
            entry[f"{side}_seg"] = f"{prefix}/processed_segmentations/{name}_seg.nii"
            entry[f"{side}_modality"] = 1 if name.startswith("sub-37") else 2
        listed.append(entry)
    content = {"loader": "Pairwise", "shape": [1, 24, 28, 22], "labels": labels, "pairs": listed}
    path.write_text(json.dumps(content))
    return path
