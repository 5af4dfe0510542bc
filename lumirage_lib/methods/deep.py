"""Registration networks: published or trained weights behind the registry's one signature."""

from __future__ import annotations

import numpy as np


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

    from . import networks

    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = networks.load(network, weights, **options).to(device)
    with torch.inference_mode():
        pair = [torch.from_numpy(a)[None, None].to(device) for a in (fixed, moving)]
        return module(*pair)[0].float().cpu().numpy()
