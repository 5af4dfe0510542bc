"""ANTs through antspyx: SyN."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

from ..errors import RegistrationError
from ..images.linear import SEED, to_ants
from ..images.warp import from_itk


def run_syn(fixed, moving, affine, *, metric, iterations, gradient_step, flow_sigma, total_sigma):
    """Symmetric normalisation (Avants et al. 2008), the deformable part alone."""
    import ants
    import nibabel as nib

    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, SEED):
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
        return from_itk(np.asanyarray(nib.load(warps[0]).dataobj), affine)
