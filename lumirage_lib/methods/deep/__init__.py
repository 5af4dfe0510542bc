"""Registration networks as methods: one file per family, each with its weights and their training."""

from dataclasses import replace

from ...errors import InputError
from ..base import MethodSpec
from ..local import Local
from . import lapirn, lkunet, symnet, unigradicon, vfa, voxelmorph
from .base import run_network

__all__ = ["ADDABLE", "PUBLISHED", "SPECS", "feed_any_grid", "make_local_method", "run_network"]

SPECS = (*vfa.SPECS, *lapirn.SPECS, *symnet.SPECS, *voxelmorph.SPECS, *lkunet.SPECS)
ADDABLE = {**vfa.ADDABLE, **unigradicon.ADDABLE}
# network -> what makes a method of its weights
LOCAL = {"vfa": vfa.make_method, "unigradicon": unigradicon.make_method}
# Those whose weights their authors made public, by name.
PUBLISHED = {s.id: s for s in SPECS if s.weights is not None and s.weights.folder is None}


def make_local_method(local: Local) -> MethodSpec:
    """Weights on this machine, as a method of their name."""
    return LOCAL[local.network](local)


def feed_any_grid(spec: MethodSpec) -> MethodSpec:
    """A network fed what it is given, whatever the voxel size and grid it was trained on: "@grid".

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
