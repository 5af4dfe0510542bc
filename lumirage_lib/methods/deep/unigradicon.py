"""uniGradICON (Tian et al. 2024) through the authors' package, with weights that whoever has them adds.

One forward pass, without the optimisation on the pair that their command adds unless told otherwise.
"""

import warnings

import numpy as np

from ...errors import InputError
from ..base import MethodSpec, Training, describe_version
from ..local import Local

WRAPPER = 1  # raised when this file changes what comes out, and with it every key
NAME = "unigradicon"  # of the package, and of the method with the published weights

ADDABLE = {
    NAME: f"`pip install -c requirements.txt {NAME}` installs its authors' package, and if you have "
    f"their checkpoint (Step_2_final.trch), `lumirage weights add {NAME} PATH` adds it",
}

PUBLISHED = Training(
    "COPDGene and L2R-Abdomen (CT), OAI (MR of knees), HCP (MR of brains, 1076 people)",
    "Tian et al., MICCAI 2024: these four data sets, by the table of the authors' README and their "
    "training script; OASIS and IXI are among those they tested on",
    {"chen2025lumir": "unknown"},  # many sources; whether HCP is one is not known here
)


def run_unigradicon(fixed, moving, affine, *, weights: str) -> np.ndarray:
    """On CUDA where there is one, else on CPU; both images are stretched to the network's cube.

    Parameters
    ----------
    weights : str
        Path of the checkpoint.
    """
    import torch
    from torch.nn.functional import interpolate

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = load_network(weights).to(device)
    points = network.identity_map  # z, y, x of the voxel centres, 0 at the first and 1 at the last
    side = torch.tensor(points.shape[2:], device=device).view(-1, 1, 1, 1)

    def see(image: np.ndarray) -> torch.Tensor:
        zyx = torch.from_numpy(np.ascontiguousarray(scale(image).T))[None, None].to(device)
        return interpolate(zyx, points.shape[2:], mode="trilinear")

    with torch.inference_mode():
        # Theirs takes the moving image first and maps points of the fixed one into it.
        shift = (network(see(moving), see(fixed))(points) - points) * (side - 1)
        found = interpolate(shift, fixed.shape[::-1], mode="trilinear")[0] / side
    xyz = found.cpu().numpy()[::-1].transpose(0, 3, 2, 1)
    return (xyz * np.array(fixed.shape).reshape(3, 1, 1, 1)).astype(np.float32)


def load_network(weights: str):
    """The authors' network, which returns a function from points of the fixed to the moving image."""
    from ..networks import load_weights

    with warnings.catch_warnings(action="ignore"):
        from unigradicon import input_shape, make_network

    network = make_network(input_shape, include_last_step=True).regis_net
    load_weights(network, weights)
    return network.eval()


def scale(image: np.ndarray) -> np.ndarray:
    """From 0 at the minimum to 1 at the 99th percentile of all voxels, as their package does for MR."""
    flat = image.ravel()
    low, rank = image.min(), max(1, int(0.99 * flat.size)) - 1
    high = np.partition(flat, rank)[rank]
    if high <= low:
        raise InputError(
            f"{NAME}: 99 of 100 voxels have the image's least value, and it scales by its 99th "
            "percentile; crop the air around the brain"
        )
    return (np.clip(image, low, high) - low) / (high - low)


def make_method(local: Local) -> MethodSpec:
    """Weights on this machine, as a method; what they learned from is known of the published ones."""
    published = local.name == NAME
    return MethodSpec(
        local.name,
        "deep",
        run_unigradicon,
        describe_version(NAME, WRAPPER),
        "tian2024unigradicon",
        weights=local.source,
        name="uniGradICON" if published else "",
        package=NAME,
        training=PUBLISHED if published else None,
    )
