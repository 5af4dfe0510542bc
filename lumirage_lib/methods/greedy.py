"""Greedy diffeomorphic registration (Yushkevich et al. 2016) through picsl-greedy."""

import io
import os

import numpy as np

from ..images.warp import LPS, from_itk
from .base import MethodSpec, describe_version

SIGMA = r"\d+(\.\d*)?(vox|mm)"
WRAPPER = 1  # raised when this file changes what comes out, and with it every key


def to_sitk(data: np.ndarray, affine: np.ndarray):
    """SimpleITK image of an array and its RAS+ affine."""
    import SimpleITK as sitk

    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T, np.float32))
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def run_greedy(
    fixed, moving, affine, *, metric, iterations, gradient_sigma, warp_sigma, step, precision, seed
):
    """Run greedy's command line on images in memory; sigmas as greedy takes them ("1.732vox").

    By default greedy rounds the warp it returns to a tenth of a voxel and adds unseeded noise to the
    images before it correlates them; `precision` 0 keeps the warp as it is, `seed` fixes the noise.
    """
    import SimpleITK as sitk
    from picsl_greedy import Greedy3D

    greedy = Greedy3D()
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    command = (
        f"-d 3 -threads {threads} -i fixed moving -o warp -m {metric} -n {iterations} "
        f"-s {gradient_sigma} {warp_sigma} -e {step} "
        f"-wp {precision} -seed {seed}"
    )
    greedy.execute(
        command,
        out=io.StringIO(),
        err=io.StringIO(),
        fixed=to_sitk(fixed, affine),
        moving=to_sitk(moving, affine),
        warp=None,
    )
    field = sitk.GetArrayFromImage(greedy["warp"])  # (Z, Y, X, 3), mm, LPS
    return from_itk(np.transpose(field, (2, 1, 0, 3)), affine)


GREEDY = MethodSpec(
    "greedy",
    "iterative",
    run_greedy,
    describe_version("picsl-greedy", WRAPPER),
    "yushkevich2016",
    {
        "metric": "NCC 2x2x2",
        "iterations": "100x50x10",
        "gradient_sigma": "1.732vox",
        "warp_sigma": "0.7071vox",
        "step": 1.0,
        "precision": 0.0,
        "seed": 20261122,
    },
    # Greedy takes another word for a metric as the squared difference, and the text is its command line.
    allowed={
        "metric": r"SSD|MI|NMI|W?NCC \d+x\d+x\d+",
        "iterations": r"\d+(x\d+)*",
        "gradient_sigma": SIGMA,
        "warp_sigma": SIGMA,
    },
    name="greedy",
    colour="#D55E00",
    package="picsl_greedy",
    smallest_grid=13,  # at a quarter of the resolution its filter needs four voxels
)
SPECS = (GREEDY,)
