"""The networks by name: how each is built, and what is known of its published weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from ...errors import InputError
from .lapirn import ConditionalLapIRN, LapIRN
from .symnet import SYMNet
from .vfa import VFA, infer_options
from .voxelmorph import VoxelMorph
from .weights import load_weights, read_state

BUILDERS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "lapirn-disp": partial(LapIRN, diffeomorphic=False),
        "lapirn-diff": partial(LapIRN, diffeomorphic=True),
        "clapirn": ConditionalLapIRN,
        "symnet": SYMNet,
        "vfa": VFA,
        "voxelmorph": VoxelMorph,
    }
)


@dataclass(frozen=True)
class Published:
    """Weights the authors of a network published, and what they were trained on.

    `repository` and `path` name the file among the sources. `orientation` is the array order of
    the training images, `shape` their grid at 1 mm, `intensity` the scaling they were given.
    """

    citation: str
    licence: str
    repository: str
    path: str
    training_data: str
    orientation: str
    shape: tuple[int, int, int]
    intensity: str


NEURITE_OASIS = "OASIS-1 T1w, 414 scans, as preprocessed by neurite-oasis (skull-stripped, affine)"

PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "lapirn-disp": Published(
            citation="Mok & Chung, Large deformation diffeomorphic image registration with "
            "Laplacian pyramid networks, MICCAI 2020, arXiv:2006.16148",
            licence="MIT",
            repository="cwmok/LapIRN",
            path="Model/LapIRN_disp_fea7.pth",
            training_data="OASIS-1 T1w, skull-stripped, affinely aligned",
            orientation="LIA",
            shape=(160, 192, 224),
            intensity="minmax",
        ),
        "lapirn-diff": Published(
            citation="Mok & Chung, Large deformation diffeomorphic image registration with "
            "Laplacian pyramid networks, MICCAI 2020, arXiv:2006.16148",
            licence="MIT",
            repository="cwmok/LapIRN",
            path="Model/LapIRN_diff_fea7.pth",
            training_data="OASIS-1 T1w, skull-stripped, affinely aligned",
            orientation="LIA",
            shape=(160, 192, 224),
            intensity="minmax",
        ),
        "clapirn": Published(
            citation="Mok & Chung, Conditional deformable image registration with convolutional "
            "neural network, MICCAI 2021, arXiv:2106.12673",
            licence="MIT",
            repository="cwmok/Conditional_LapIRN",
            path="Model/LDR_OASIS_NCC_unit_disp_add_fea4_reg01_10_lite_stagelvl3_60000.pth",
            training_data=NEURITE_OASIS,
            orientation="LIA",
            shape=(160, 192, 224),
            intensity="minmax",
        ),
        "symnet": Published(
            citation="Mok & Chung, Fast symmetric diffeomorphic image registration with "
            "convolutional neural networks, CVPR 2020, arXiv:2003.09514",
            licence="MIT",
            repository="cwmok/Fast-Symmetric-Diffeomorphic-Image-Registration-with-"
            "Convolutional-Neural-Networks",
            path="Model/SYMNet_neurite_oasis_smo30_update_80000.pth",
            training_data=NEURITE_OASIS,
            orientation="LIA",
            shape=(160, 192, 224),
            intensity="minmax",
        ),
        "voxelmorph": Published(
            citation="Balakrishnan et al., An unsupervised learning model for deformable medical "
            "image registration, CVPR 2018, arXiv:1802.02604",
            licence="GPL-3.0",
            repository="voxelmorph/voxelmorph",
            path="models/cvpr2018_vm2_cc.h5",
            training_data="7,329 T1w scans of ADNI, OASIS, ABIDE, ADHD200, MCIC, PPMI, HABS and "
            "Harvard GSP, prepared by FreeSurfer; one atlas is the fixed image of every pair",
            orientation="LIA",
            shape=(160, 192, 224),
            intensity="FreeSurfer norm / 255",
        ),
    }
)


def build(name: str, **options) -> nn.Module:
    """Network `name` in eval mode, its weights random until `load_weights`.

    Its `forward(fixed, moving)` takes float32 (N, 1, X, Y, Z) and returns the displacement
    (N, 3, X, Y, Z): voxels of the fixed grid, array axis order,
    moved(x) = moving(x + displacement(x)).

    Raises
    ------
    InputError
        Unknown name, or an option that network does not take.
    """
    if name not in BUILDERS:
        raise InputError(f"expected a network of {', '.join(BUILDERS)}, got {name!r}")
    try:
        return BUILDERS[name](**options).eval()
    except TypeError as error:
        raise InputError(f"{name} cannot be built with options {options}: {error}") from error


def load(name: str, path: str | Path, **options) -> nn.Module:
    """Network `name` with the weights at `path`, in eval mode.

    Sizes that the weights decide, as those of VFA do, are read off them. Raises as `build` and
    :func:`lumirage_lib.methods.networks.load_weights`.
    """
    if name == "vfa":
        options = {**infer_options(read_state(Path(path))), **options}
    module = build(name, **options)
    load_weights(module, path)
    return module


def required_multiple(name: str, **options) -> int:
    """Number of which every side of the grid must be a multiple for network `name`."""
    with torch.device("meta"):
        return build(name, **options).required_multiple
