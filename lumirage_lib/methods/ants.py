"""ANTs through antspyx: no deformation at all, and SyN."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import RegistrationError
from ..images.linear import seeded, to_ants
from ..images.warp import from_itk
from .base import MethodSpec, describe_version

WRAPPER = 1  # raised when this file changes what comes out, and with it every key


def leave(fixed, moving, affine) -> np.ndarray:
    """No deformation: what the shared affine alone achieves."""
    return np.zeros((3, *fixed.shape), np.float32)


def run_syn(fixed, moving, affine, *, metric, iterations, gradient_step, flow_sigma, total_sigma):
    """Symmetric normalisation (Avants et al. 2008), the deformable part alone."""
    import ants
    import nibabel as nib

    with tempfile.TemporaryDirectory() as folder, seeded():
        result = ants.registration(
            to_ants(fixed, affine),
            to_ants(moving, affine),
            type_of_transform="SyNOnly",
            initial_transform="identity",
            syn_metric=metric,
            reg_iterations=tuple(iterations),
            grad_step=gradient_step,
            flow_sigma=flow_sigma,
            total_sigma=total_sigma,
            outprefix=str(Path(folder) / "syn_"),
        )
        warps = [f for f in result["fwdtransforms"] if f.endswith("Warp.nii.gz")]
        if not warps or os.path.getsize(warps[0]) == 0:
            raise RegistrationError(f"antspyx wrote no warp, only {result['fwdtransforms']}")
        return from_itk(np.asanyarray(nib.Nifti1Image.from_filename(warps[0]).dataobj), affine)


AFFINE = MethodSpec(
    "affine",
    "baseline",
    leave,
    describe_version("antspyx", WRAPPER),
    "avants2011",
    name="affine only",
    colour="#7f7f7f",
    package="ants",
)
# The defaults of antspyx: no iteration at full resolution, so it ends at twice the voxel size.
SYN = MethodSpec(
    "syn",
    "iterative",
    run_syn,
    describe_version("antspyx", WRAPPER),
    "avants2008",
    {
        "metric": "mattes",
        "iterations": [40, 20, 0],
        "gradient_step": 0.2,
        "flow_sigma": 3.0,
        "total_sigma": 0.0,
    },
    allowed={"metric": "CC|mattes|meansquares|demons"},
    name="SyN (ANTs)",
    colour="#E69F00",
    package="ants",
    smallest_grid=6,  # with 5 it returns without a move
    internal_voxels=2.0,
)
# The schedule of ANTs' own careful script (antsRegistrationSyN.sh: 100x70x50x20 at 1/8, 1/4, 1/2 and
# full resolution; its quick sibling ends at 1/2); all else as above, so that the two differ in that.
SYN_FULL = replace(
    SYN,
    id="syn-full",
    parameters={**SYN.parameters, "iterations": [100, 70, 50, 20]},
    name="SyN (ANTs, full resolution)",
    colour="#997700",
    smallest_grid=4,
    internal_voxels=1.0,
)
SPECS = (AFFINE, SYN, SYN_FULL)
