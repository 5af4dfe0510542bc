"""What the networks share as methods: one forward pass, and what their weights declare."""

import functools

import numpy as np

from ...cohorts.sources import get_source
from ..base import InputSpec, MethodSpec, Training

# 99th percentile of the foreground in the two brains that the authors of conditional LapIRN publish
# beside their weights (FreeSurfer's norm.mgz over 255, as neurite-OASIS has it). SYMNet was trained on such
# images; conditional LapIRN on the same scaled to [0, 1], where it was about 0.53; LapIRN's are unknown.
NEURITE_P99 = 0.425


def run_network(fixed, moving, affine, *, network: str, weights: str, **options) -> np.ndarray:
    """One forward pass, on CUDA where there is one, else on CPU.

    Parameters
    ----------
    fixed, moving : ndarray of float32, shape (X, Y, Z)
        In the orientation, grid and intensity the network declares.
    affine : ndarray (4, 4)
        Unused: networks do not look at millimetres.
    network : str
        Name for :func:`lumirage_lib.methods.networks.load`.
    weights : str
        Path of the checkpoint.
    """
    import torch

    from .. import networks

    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = networks.load(network, weights, **options).to(device)
    with torch.inference_mode():
        pair = [torch.from_numpy(a)[None, None].to(device) for a in (fixed, moving)]
        return module(*pair)[0].float().cpu().numpy()


def declare(
    id: str,
    name: str,
    colour: str,
    version: int,
    citation: str,
    checkpoint: tuple[str, str],
    training: Training,
    *,
    intensity: float = NEURITE_P99,
    **parameters,
) -> MethodSpec:
    """A network with published weights, given LIA images of 160 x 192 x 224 voxels of 1 mm.

    That is what conditional LapIRN and SYMNet were trained on. LapIRN's own script names a grid of 160 x 192
    x 144 and no orientation, so that both are ours there.

    Parameters
    ----------
    id : str
        Of the method and of its network.
    checkpoint : tuple of str
        Repository and path among the public sources.
    """
    return MethodSpec(
        id,
        "deep",
        functools.partial(run_network, network=id),
        f"lumirage {version}",
        citation,
        parameters,
        InputSpec("LIA", (160, 192, 224), 16, intensity, 1.0),
        get_source(*checkpoint),
        name=name,
        colour=colour,
        training=training,
    )
