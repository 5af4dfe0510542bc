"""ConvexAdam (Siebert, Großbröhmer, Hansen & Heinrich 2024) through the authors' package.

MIND-SSC descriptors of both images are compared over a grid of discrete displacements, which a convex
optimisation makes smooth and consistent with its inverse; Adam refines the result.
"""

import warnings

import numpy as np

from .base import InputSpec, MethodSpec, describe_version

WRAPPER = 1  # raised when this file changes what comes out, and with it every key


def run_convexadam(
    fixed, moving, affine, *, mind_radius, mind_dilation, smoothness, grid, reach, iterations,
    grid_adam,
) -> np.ndarray:  # fmt: skip
    """On CUDA where there is one, else on CPU, in float32.

    Parameters
    ----------
    grid, grid_adam : int
        Voxels between the points of the discrete displacement grid, and of Adam's.
    reach : int
        Largest discrete displacement, in steps of `grid`.
    """
    import torch

    # The package warns of what it leaves to PyTorch's defaults, and silences all others on import.
    with warnings.catch_warnings(action="ignore"):
        from convexAdam.convex_adam_MIND import convex_adam_pt

        found = convex_adam_pt(
            torch.from_numpy(fixed),
            torch.from_numpy(moving),
            mind_r=mind_radius,
            mind_d=mind_dilation,
            lambda_weight=smoothness,
            grid_sp=grid,
            disp_hw=reach,
            selected_niter=iterations,
            grid_sp_adam=grid_adam,
            dtype=torch.float32,
        )
    return np.moveaxis(found, -1, 0).astype(np.float32)  # theirs: (X, Y, Z, 3), voxels


# The authors' defaults. Sides are multiples of the discrete grid: it would be stretched otherwise.
CONVEXADAM = MethodSpec(
    "convexadam",
    "iterative",
    run_convexadam,
    describe_version("convexadam", WRAPPER),
    "siebert2024convexadam",
    {
        "mind_radius": 1,
        "mind_dilation": 2,
        "smoothness": 1.25,
        "grid": 6,
        "reach": 4,
        "iterations": 80,
        "grid_adam": 2,
    },
    InputSpec(multiple_of=6),
    allowed=dict.fromkeys(
        ("mind_radius", "mind_dilation", "grid", "reach", "grid_adam"), r"[1-9]\d*"
    ),
    name="ConvexAdam",
    colour="#661100",
    package="convexAdam",
    smallest_grid=18,
    internal_voxels=2.0,
)
SPECS = (CONVEXADAM,)
