"""Slices for the book: one patient of `openms` in real contrasts, and synthesised from the same T1w image.

``python benchmarks/pictures.py`` writes ``book/pictures/contrasts.npz``: one axial slice at 2 mm, 8 bit, for
each contrast and each step from T1w to T2w. The images are CC BY (Lesjak et al. 2018); the licence lies
beside them. The tissue map behind the synthesis is three classes of T1w intensity, for this picture alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from lumirage_lib.cohorts.openms import FILES, SCANS, load_contrast
from lumirage_lib.images.contrast import INVERTED, make_rng, synthesise

OUT = Path(__file__).parents[1] / "book" / "pictures" / "contrasts.npz"
DOSES = (0.25, 0.5, 0.75)


def halve(volume):
    """The volume at twice its voxel size: means over blocks of eight voxels."""
    data = volume.data[tuple(slice(0, n // 2 * 2) for n in volume.shape)].astype(np.float32)
    x, y, z = (n // 2 for n in data.shape)
    data = data.reshape(x, 2, y, 2, z, 2).mean(axis=(1, 3, 5))
    affine = volume.affine @ np.diag([2, 2, 2, 1.0])
    return replace(volume, data=data, affine=affine)


def classify(image: np.ndarray) -> np.ndarray:
    """1 to 3 by intensity of the brain, classes found by k-means in one dimension; 0 outside."""
    inside = image[image > 0]
    centres = np.percentile(inside, [10, 45, 85])
    for _ in range(30):
        nearest = np.abs(inside[:, None] - centres).argmin(axis=1)
        centres = np.array([inside[nearest == k].mean() for k in range(3)])
    return np.where(image > 0, np.digitize(image, (centres[1:] + centres[:-1]) / 2) + 1, 0)


def main() -> None:
    scan = SCANS[0]
    real = {name: halve(load_contrast(scan, name)) for name in FILES}
    t1 = real["T1w"]
    tissues = replace(t1, data=classify(ndimage.median_filter(t1.data, 3) * (t1.data > 0)))
    volumes = {f"real {name}": volume for name, volume in real.items()}
    for name in ("T1w", "T2w", "T2*w", "FLAIR", INVERTED):
        volumes[f"synthesised {name}"] = synthesise(
            t1, tissues, name, rng=make_rng(0, scan.id, name)
        )
    for dose in DOSES:
        rng = make_rng(0, scan.id, "T2w")
        volumes[f"dose {dose:g}"] = synthesise(t1, tissues, "T2w", rng=rng, dose=dose)
    brain = t1.data > 0
    level = int(np.median(np.nonzero(brain)[2])) + 4
    box = tuple(slice(c.min(), c.max() + 1) for c in np.nonzero(brain[:, :, level]))
    slices = {}
    for name, volume in volumes.items():
        cut = volume.data[:, :, level][box]
        slices[name] = np.clip(255 * cut / np.percentile(volume.data[brain], 99.5), 0, 255).astype(
            np.uint8
        )
    OUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(OUT, **slices)
    print(OUT, {name: cut.shape for name, cut in slices.items()})


if __name__ == "__main__":
    main()
