"""FireANTs (Jena et al. 2024): adaptive Riemannian optimisation of greedy and symmetric warps."""

from __future__ import annotations

import contextlib
import io
import logging

from ..warp import from_fireants
from .greedy import to_sitk


def run_fireants(
    fixed, moving, affine, *, kind, scales, iterations, learning_rate, kernel, warp_sigma,
    gradient_sigma,
):  # fmt: skip
    """Deformable FireANTs with local cross-correlation, on CUDA where there is one, else on CPU."""
    import torch

    # fireants logs and draws bars while importing and running; our caller shows progress.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from fireants.io.image import BatchedImages, Image
        from fireants.registration.greedy import GreedyRegistration
        from fireants.registration.syn import SyNRegistration

        logging.getLogger("fireants").setLevel(logging.ERROR)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        images = [BatchedImages([Image(to_sitk(a, affine), device)]) for a in (fixed, moving)]
        registration = {"greedy": GreedyRegistration, "syn": SyNRegistration}[kind](
            list(scales),
            list(iterations),
            *images,
            loss_type="cc",
            cc_kernel_size=kernel,
            optimizer_lr=learning_rate,
            smooth_warp_sigma=warp_sigma,
            smooth_grad_sigma=gradient_sigma,
            progress_bar=False,
        )
        registration.optimize()
        with torch.no_grad():
            grid = registration.get_warped_coordinates(*images)
    return from_fireants(grid.float().cpu().numpy())
