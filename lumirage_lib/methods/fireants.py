"""FireANTs (Jena et al. 2026): adaptive Riemannian optimisation of greedy and symmetric warps."""

import contextlib
import functools
import io
import logging
from collections.abc import Iterator
from dataclasses import replace

from ..images.warp import from_fireants
from .base import MethodSpec, describe_version
from .greedy import to_sitk

WRAPPER = 1  # raised when this file changes what comes out, and with it every key


def filter_separably(image, kernels, *_):
    """FireANTs' separable filter (zero padding), same numbers, several times faster on a CPU.

    Four fifths of FireANTs' time on a CPU goes into three-dimensional convolutions with kernels of
    shape (7, 1, 1), for which torch has no fast path. Adding shifted copies takes a quarter to a
    tenth of that and differs by the rounding of float32 (tested). Kernels must be symmetric, as the
    box and the Gaussian that FireANTs uses are: then the filter is its own adjoint.

    Parameters
    ----------
    image : tensor, shape (N, C, X, Y, Z)
    kernels : list of 1-D tensors of odd length, one per spatial axis
    """
    import torch

    def along(values, kernel, axis):
        half = len(kernel) // 2
        size = values.shape[axis]
        out = values * kernel[half]
        for step in range(1, min(half + 1, size)):
            weight, rest = kernel[half + step], size - step
            out.narrow(axis, step, rest).add_(values.narrow(axis, 0, rest), alpha=weight)
            out.narrow(axis, 0, rest).add_(values.narrow(axis, step, rest), alpha=weight)
        return out

    def every_axis(values):
        for axis, kernel in enumerate(weights, start=2):
            values = along(values, kernel, axis)
        return values

    class Filter(torch.autograd.Function):
        @staticmethod
        def forward(_, values):
            return every_axis(values)

        @staticmethod
        def backward(_, gradient):
            return every_axis(gradient)

    weights = [kernel.tolist() for kernel in kernels]
    if any(k != k[::-1] for k in weights):
        raise ValueError("filter_separably: the kernel is not symmetric")
    return Filter.apply(image)


@contextlib.contextmanager
def filtering_separably() -> Iterator[None]:
    """Within it FireANTs' local correlation filters by :func:`filter_separably`."""
    from fireants.losses import cc

    theirs = cc._separable_filtering_conv
    cc._separable_filtering_conv = filter_separably
    try:
        yield
    finally:
        cc._separable_filtering_conv = theirs


def run_fireants(
    fixed, moving, affine, *, kind, scales, iterations, learning_rate, kernel, warp_sigma,
    gradient_sigma, loss="cc", mind_radius=0, mind_dilation=2,
):  # fmt: skip
    """Deformable FireANTs, on CUDA where there is one, else on CPU.

    `loss` "cc" is local correlation over `kernel` voxels, "mse" the mean squared difference; of the
    images, or of their MIND-SSC descriptors where `mind_radius` is not 0.
    """
    import torch

    from .networks.mind import compute_mind_ssc

    # fireants logs and draws bars while importing and running; our caller shows progress.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from fireants.io.image import BatchedImages, Image
        from fireants.registration.greedy import GreedyRegistration
        from fireants.registration.syn import SyNRegistration

        logging.getLogger("fireants").setLevel(logging.ERROR)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        images = [BatchedImages([Image(to_sitk(a, affine), device)]) for a in (fixed, moving)]
        if mind_radius:
            for image in images:
                image.batch_tensor = compute_mind_ssc(
                    image.batch_tensor, mind_radius, mind_dilation
                )
        registration = {"greedy": GreedyRegistration, "syn": SyNRegistration}[kind](
            list(scales),
            list(iterations),
            *images,
            loss_type=loss,
            cc_kernel_size=kernel,
            optimizer_lr=learning_rate,
            smooth_warp_sigma=warp_sigma,
            smooth_grad_sigma=gradient_sigma,
            progress_bar=False,
        )
        with filtering_separably() if device == "cpu" else contextlib.nullcontext():
            registration.optimize()
        with torch.no_grad():
            grid = registration.get_warped_coordinates(*images)
    return from_fireants(grid.float().cpu().numpy())


def _declare(kind: str, learning_rate: float, name: str, colour: str) -> MethodSpec:
    # The protocol of the paper's authors for human brains (rohitrango/lumirage-evals).
    return MethodSpec(
        f"fireants-{kind}",
        "iterative",
        functools.partial(run_fireants, kind=kind),
        describe_version("fireants", WRAPPER),
        "jena2024fireants",
        {
            "scales": [8, 4, 2, 1],
            "iterations": [200, 100, 50, 20],
            "learning_rate": learning_rate,
            "kernel": 7,
            "warp_sigma": 0.5,
            "gradient_sigma": 1.0,
        },
        allowed={"kernel": r"\d*[13579]", "loss": "cc|mse"},
        name=name,
        colour=colour,
        package="fireants",
        smallest_grid=32,  # below, its coarse levels are larger than the images
    )


GREEDY = _declare("greedy", 0.75, "FireANTs greedy", "#CC79A7")
SYN = _declare("syn", 0.375, "FireANTs SyN", "#882255")
# Across contrasts the authors correlate these twelve channels instead of the one image. The squared
# difference ("mse"), for which the descriptor was made, takes less than half the time.
MIND = replace(
    GREEDY,
    id="fireants-greedy-mind",
    citation=f"{GREEDY.citation},heinrich2013",
    parameters={**GREEDY.parameters, "loss": "cc", "mind_radius": 2, "mind_dilation": 2},
    name="FireANTs greedy (MIND)",
    colour="#AA4499",
)
SPECS = (GREEDY, SYN, MIND)
