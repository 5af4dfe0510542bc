"""Instance optimisation: a network's field as the start of a few gradient steps on the one pair.

Balakrishnan et al. (2019), IEEE TMI 38:1788, section IV-E; the form without weights, which moves the
field and leaves the network alone, as in Siebert, Hansen & Heinrich (2021), "Fast 3D registration
with accurate optimisation and little learning for Learn2Reg 2021".
"""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..images.volumes import bounding_box
from .base import MethodSpec

WRAPPER = 1  # raised when this file changes what comes out, and with it every key

SIMILARITIES = ("ncc", "mind")


def run_instance(
    fixed, moving, affine, *, start: Callable, steps, spacings_mm, learning_rate, similarity, window,
    smoothness, **options,
):  # fmt: skip
    """Refine what `start` returns for this pair.

    Parameters
    ----------
    fixed, moving, affine
        As every method gets them, in the orientation, grid and intensity of the network.
    start : callable
        ``start(fixed, moving, affine, **options)``: displacement (3, X, Y, Z), voxels.
    steps : list of int
        Steps of Adam (Kingma & Ba 2015) at each of `spacings_mm`.
    spacings_mm : list of float
        Voxel size, coarse to fine, of the field and of the images compared; never finer than theirs.
    learning_rate : float
        Voxels of the level a step.
    similarity : {"ncc", "mind"}
        Squared local correlation, or squared difference of MIND-SSC descriptors.
    window : int
        Of the correlation, voxels of the level, odd.
    smoothness : float
        Weight of the mean squared derivative of the displacement.
    """
    displacement = start(fixed, moving, affine, **options)
    spacing_mm = float(np.abs(np.linalg.det(affine[:3, :3])) ** (1 / 3))
    begin, shape = bounding_box((fixed > 0) | (moving > 0), 4)
    box = tuple(
        slice(max(a, 0), min(a + n, size))
        for a, n, size in zip(begin, shape, fixed.shape, strict=True)
    )
    for n_steps, coarse_mm in zip(steps, spacings_mm, strict=True):
        displacement = refine(
            fixed, moving, displacement, box, max(1, round(coarse_mm / spacing_mm)), n_steps,
            learning_rate, similarity, window, smoothness,
        )  # fmt: skip
    return displacement


def refine(
    fixed, moving, displacement, box, shrink, steps, learning_rate, similarity, window, smoothness
) -> np.ndarray:
    """One level: Adam on a correction that is `shrink` times coarser than the images.

    Parameters
    ----------
    box : tuple of slice
        Where images are compared and the correction is free; beyond, it keeps its edge value.
    """
    import torch
    import torch.nn.functional as F

    from .networks.losses import compute_local_correlation, compute_roughness
    from .networks.mind import compute_local_mean, compute_mind_ssc
    from .networks.sampling import convert_voxels_to_unit, warp_by_unit_flow

    device = "cuda" if torch.cuda.is_available() else "cpu"

    def shrunk(array) -> torch.Tensor:
        inside = torch.from_numpy(np.ascontiguousarray(array[(..., *box)])).to(device)
        return F.avg_pool3d(inside.reshape(1, -1, *inside.shape[-3:]), shrink)

    images = [shrunk(image) for image in (fixed, moving)]
    if similarity == "mind":
        images = [compute_mind_ssc(image) for image in images]
    target, source = images
    begun = shrunk(displacement) / shrink
    free = torch.zeros_like(begun, requires_grad=True)

    def correct() -> torch.Tensor:
        # Adam takes steps of one size everywhere, in air too; what it steps on is therefore smoothed.
        return compute_local_mean(compute_local_mean(free, 3), 3)

    adam = torch.optim.Adam([free], learning_rate)
    for _ in range(steps):
        total = begun + correct()
        moved = warp_by_unit_flow(source, convert_voxels_to_unit(total))
        unlike = (
            F.mse_loss(moved, target)
            if similarity == "mind"
            else 1 - compute_local_correlation(target, moved, window)
        )
        adam.zero_grad()
        (unlike + smoothness * compute_roughness(total)).backward()
        adam.step()
    fine = F.interpolate(
        correct().detach() * shrink, scale_factor=shrink, mode="trilinear", align_corners=False
    )
    # Into the whole grid; voxels that did not fill a coarse one lie beyond the box too.
    around = [
        (s.start, size - s.start - n)
        for s, size, n in zip(box, fixed.shape, fine.shape[2:], strict=True)
    ]
    fine = F.pad(fine, [n for pair in reversed(around) for n in pair], mode="replicate")
    return displacement + fine[0].cpu().numpy()


def refine_method(spec: MethodSpec) -> MethodSpec:
    """A network whose field is the start of an optimisation on the pair itself: "+io".

    Raises
    ------
    InputError
        Not a deep method.
    """
    if spec.family != "deep":
        raise InputError(
            f"{spec.id}+io: only a network can be refined, and {spec.id} is of the family "
            f"{spec.family!r}; leave out +io"
        )
    own = {
        "steps": [50],
        "spacings_mm": [2.0],
        "learning_rate": 0.1,
        "similarity": "ncc",
        "window": 5,
        "smoothness": 3.0,
    }
    return replace(
        spec,
        id=f"{spec.id}+io",
        run=functools.partial(run_instance, start=spec.run),
        version=f"{spec.version}, instance optimisation {WRAPPER}",
        citation=f"{spec.citation},siebert2021",
        parameters={**spec.parameters, **own},
        allowed={**spec.allowed, "similarity": "|".join(SIMILARITIES), "window": r"\d*[13579]"},
        name=f"{spec.name} + IO",
    )
