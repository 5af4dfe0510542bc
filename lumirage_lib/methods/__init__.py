"""The registry: every registration method by name.

A method of one's own needs no change here: write ``METHOD = MethodSpec(...)`` in a module and name
it ``"my_module:METHOD"`` wherever a method is named.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import replace
from importlib import metadata, util

import numpy as np

from ..cohorts.sources import get_source, is_local
from ..errors import InputError
from .ants import run_syn
from .base import FAMILIES, InputSpec, MethodSpec, run_method
from .deep import run_network
from .display import AS_GIVEN, colour_of, family_of, marker_of, name_of, order_of
from .fireants import run_fireants
from .greedy import run_greedy
from .instance import run_instance

__all__ = [
    "AS_GIVEN",
    "FAMILIES",
    "InputSpec",
    "MethodSpec",
    "colour_of",
    "family_of",
    "get_method",
    "list_methods",
    "marker_of",
    "missing",
    "name_of",
    "order_of",
    "run_method",
]

# What the wrappers in this folder do to a result; raised when one of them changes its output.
WRAPPER = 1
# The same for instance optimisation.
INSTANCE = 1

# 99th percentile of the foreground in the two brains that the authors of conditional LapIRN publish
# beside their weights (FreeSurfer's norm.mgz over 255, as neurite-OASIS has it).
NEURITE_P99 = 0.425


def _identity(fixed, moving, affine):
    """No deformation: what the shared affine alone achieves."""
    return np.zeros((3, *fixed.shape), np.float32)


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}, wrapper {WRAPPER}"
    except metadata.PackageNotFoundError:
        return f"{package} not installed"


def _fireants(kind: str, learning_rate: float) -> MethodSpec:
    # The protocol of the paper's authors for human brains (rohitrango/lumirage-evals).
    return MethodSpec(
        f"fireants-{kind}",
        "iterative",
        functools.partial(run_fireants, kind=kind),
        _version("fireants"),
        "jena2024fireants",
        {
            "scales": [8, 4, 2, 1],
            "iterations": [200, 100, 50, 20],
            "learning_rate": learning_rate,
            "kernel": 7,
            "warp_sigma": 0.5,
            "gradient_sigma": 1.0,
        },
    )


def _fireants_mind() -> MethodSpec:
    # Across contrasts the authors correlate these twelve channels instead of the one image. The
    # squared difference ("mse"), for which the descriptor was made, takes less than half the time.
    greedy = _fireants("greedy", 0.75)
    return replace(
        greedy,
        id="fireants-greedy-mind",
        citation=f"{greedy.citation},heinrich2013",
        parameters={**greedy.parameters, "loss": "cc", "mind_radius": 2, "mind_dilation": 2},
    )


def refined(spec: MethodSpec) -> MethodSpec:
    """A network whose field is the start of an optimisation on the pair itself.

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
        name=f"{spec.name} + IO",
        run=functools.partial(run_instance, start=spec.run),
        version=f"{spec.version}, instance optimisation {INSTANCE}",
        citation=f"{spec.citation},siebert2021",
        parameters={**spec.parameters, **own},
    )


def on_any_grid(spec: MethodSpec) -> MethodSpec:
    """A network fed what it is given, whatever the voxel size and grid it was trained on.

    Raises
    ------
    InputError
        Not a deep method.
    """
    if spec.family != "deep":
        raise InputError(
            f"{spec.id}@grid: {spec.id} is of the family {spec.family!r} and always works on the "
            "grid it is given; leave out @grid"
        )
    return replace(
        spec,
        id=f"{spec.id}@grid",
        name=f"{spec.name} (as given)",
        input=replace(spec.input, grid=None, spacing_mm=None),
        internal_mm=None,
    )


def _published(name: str, citation: str, multiple_of: int, **parameters) -> MethodSpec:
    from .networks.catalogue import PUBLISHED  # imports torch, which listing methods need not

    known = PUBLISHED[name]
    return MethodSpec(
        name,
        "deep",
        functools.partial(run_network, network=name),
        f"lumirage {WRAPPER}",
        citation,
        parameters,
        InputSpec(known.orientation, known.shape, multiple_of, NEURITE_P99, 1.0),
        get_source(known.repository, known.path),
    )


def _local(local) -> MethodSpec:
    """Weights on this machine, as a method of their name."""
    about = local.about
    return MethodSpec(
        local.name,
        "deep",
        functools.partial(run_network, network=about["network"]),
        f"lumirage {WRAPPER}",
        CITATIONS[about["network"]],
        {},
        InputSpec(
            grid=tuple(int(n) for n in about["grid"].split("x")),
            multiple_of=int(about["multiple_of"]),
            spacing_mm=float(about["spacing_mm"]),
        ),
        local.source,
    )


METHODS = {
    "affine": lambda: MethodSpec(
        "affine", "baseline", _identity, _version("antspyx"), "avants2011"
    ),
    "syn": lambda: MethodSpec(
        "syn",
        "iterative",
        run_syn,
        _version("antspyx"),
        "avants2008",
        {
            "metric": "mattes",
            "iterations": [40, 20, 0],
            "gradient_step": 0.2,
            "flow_sigma": 3.0,
            "total_sigma": 0.0,
        },
    ),
    "greedy": lambda: MethodSpec(
        "greedy",
        "iterative",
        run_greedy,
        _version("picsl-greedy"),
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
    ),
    "fireants-greedy": lambda: _fireants("greedy", 0.75),
    "fireants-syn": lambda: _fireants("syn", 0.375),
    "fireants-greedy-mind": _fireants_mind,
    "vfa": lambda: _local(_find_local()["vfa"]),
    "lapirn-disp": lambda: _published("lapirn-disp", "mok2020lapirn", 16),
    "lapirn-diff": lambda: _published("lapirn-diff", "mok2020lapirn", 16),
    "clapirn": lambda: _published("clapirn", "mok2021clapirn", 16, regularity=0.1),
    "symnet": lambda: _published("symnet", "mok2020symnet", 16),
    "voxelmorph": lambda: _published("voxelmorph", "balakrishnan2018", 16),
}

SHOWN = {
    "affine": ("affine only", "#7f7f7f"),
    "syn": ("SyN (ANTs)", "#E69F00"),
    "greedy": ("greedy", "#D55E00"),
    "fireants-greedy": ("FireANTs greedy", "#CC79A7"),
    "fireants-syn": ("FireANTs SyN", "#882255"),
    "fireants-greedy-mind": ("FireANTs greedy (MIND)", "#AA4499"),
    "vfa": ("VFA (ours, 2 mm)", "#00204D"),
    "lapirn-disp": ("LapIRN (disp.)", "#0072B2"),
    "lapirn-diff": ("LapIRN (diff.)", "#332288"),
    "clapirn": ("conditional LapIRN", "#56B4E9"),
    "symnet": ("SYMNet", "#009E73"),
    "voxelmorph": ("VoxelMorph", "#44AA99"),
}

CITATIONS = {"vfa": "liu2024vfa"}

# Methods whose weights are not public: whoever has them adds them.
ADDABLE = {
    "vfa-lumir": "if you have the checkpoint of VFA trained on LUMIR, "
    "`lumirage weights add vfa PATH` adds it",
}

PACKAGES = {
    "affine": "ants",
    "syn": "ants",
    "greedy": "picsl_greedy",
    "fireants-greedy": "fireants",
    "fireants-syn": "fireants",
    "fireants-greedy-mind": "fireants",
}

# Those of a user, by id, once they were named as module:attribute: rows hold the id alone.
OWN: dict[str, MethodSpec] = {}


@functools.cache
def get_method(name: str) -> MethodSpec:
    """The method of that name, or the one at ``module:attribute``; "+io" behind it refines a network,
    "@grid" feeds a network the working grid instead of resampling to its training voxels.

    Raises
    ------
    InputError
        There is none; the message lists those there are.
    """
    if name in METHODS:
        shown, colour = SHOWN[name]
        return replace(METHODS[name](), name=shown, colour=colour)
    if name.endswith("+io"):
        return refined(get_method(name.removesuffix("+io")))
    if name.endswith("@grid"):
        return on_any_grid(get_method(name.removesuffix("@grid")))
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            spec = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise InputError(f"method {name!r}: {error}; is the module on PYTHONPATH?") from error
        if not isinstance(spec, MethodSpec):
            raise InputError(f"method {name!r} is a {type(spec).__name__}, expected a MethodSpec")
        OWN[spec.id] = spec
        return spec
    if name in OWN:
        return OWN[name]
    local = _find_local()
    if name in local:
        return _local(local[name])
    if name in ADDABLE:
        raise InputError(f"method {name!r} is not here: {ADDABLE[name]}")
    raise InputError(
        f"no method {name!r}; there are {', '.join(METHODS)}, add +io to a "
        "network, or name your own as module:attribute"
    )


def list_methods() -> list[MethodSpec]:
    """Every method that ships with the library, then those whose weights were added."""
    return [get_method(name) for name in dict.fromkeys([*METHODS, *_find_local()])]


def _find_local():
    from .networks.local import find_local  # imports torch

    return find_local()


def missing(spec: MethodSpec) -> str | None:
    """Why a method cannot run here (a package or weights that are not there), or None."""
    package = PACKAGES.get(spec.id)
    if package and util.find_spec(package) is None:
        return f"the Python package {package} is not installed"
    if spec.weights is not None and not is_local(spec.weights):
        if spec.weights.folder is not None:
            return f"its weights {spec.weights.name} are damaged; install or add them again"
        return (
            f"its weights {spec.weights.name} are not here; "
            f"`lumirage data fetch {spec.weights.repository}` gets them"
        )
    return None
