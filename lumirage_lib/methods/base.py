"""What a registration method declares, and the one way in which it is called."""

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

import numpy as np

from ..cohorts.sources import Source
from ..errors import InputError, RegistrationError
from ..images.preprocess import PairImages, pair_window, set_spacing
from ..images.volumes import reorient_array, reorientation, round_up
from ..images.warp import reorient_displacement, to_native

FAMILIES = ("baseline", "iterative", "deep")
EXPOSURES = ("seen", "very probably seen", "unknown", "not seen")  # the worst first


def describe_version(package: str, wrapper: int) -> str:
    """Version of a distribution and of the wrapper around it, as it enters the key of a result."""
    try:
        return f"{package} {metadata.version(package)}, wrapper {wrapper}"
    except metadata.PackageNotFoundError:
        return f"{package} not installed"


@dataclass(frozen=True)
class InputSpec:
    """What a method needs of its two images; the library meets it and undoes it again.

    Attributes
    ----------
    orientation : str
        Axis codes of the array the method sees.
    grid : tuple of int, optional
        Shape in that orientation a network was trained on; smaller images are centred in it, larger
        ones keep their size.
    multiple_of : int
        Sides are padded to a multiple of this.
    intensity : {"as given", "minmax"} or float
        "minmax" scales both images to [0, 1]; a number scales each so that the 99th percentile of
        its foreground (> 0) has that value.
    spacing_mm : float, optional
        Voxel size a network was trained at; images of another are resampled to it and the field
        back.
    """

    orientation: str = "RAS"
    grid: tuple[int, int, int] | None = None
    multiple_of: int = 1
    intensity: str | float = "as given"
    spacing_mm: float | None = None


@dataclass(frozen=True)
class Training:
    """What the weights of a network have learned from.

    Attributes
    ----------
    data : str
        The images, in words.
    evidence : str
        Where that is written down.
    datasets : mapping of str to str
        Citation key of a public data set -> one of :data:`EXPOSURES`: "very probably seen" where images
        of it were used but not which, "unknown" where it may hold such images.
    complete : bool
        Whether `datasets` names all there were: then any other data set is "not seen".
    unseen : tuple of str
        Cohorts of this library none of whose tested images were among them, though others of their
        data set were.
    """

    data: str
    evidence: str
    datasets: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodSpec:
    """A registered method.

    Attributes
    ----------
    id : str
    family : {"baseline", "iterative", "deep"}
    run : callable
        ``run(fixed, moving, affine, **parameters) -> displacement``: float32 arrays (X, Y, Z) on one
        grid, already affinely aligned, the grid's voxel-to-world matrix (mm, RAS+); returns float32
        (3, X, Y, Z) in voxels, ``moved(x) = moving(x + displacement(x))``.
    version : str
        Of the software (and our wrapper), part of the key of every result.
    citation : str
        Key in references.bib.
    parameters : mapping
        Keyword arguments of `run` and their defaults.
    allowed : mapping of str to str
        Parameter -> regular expression that a value, written as text, must match as a whole. Lists of
        one length, beside, hold a value per level and must keep one length.
    input : InputSpec
    weights : Source, optional
        Published checkpoint.
    timeout_seconds : float
        A registration that takes longer is stopped and recorded as a failure.
    name : str
        In figures, tables and sentences; the id where none is declared.
    colour : str, optional
        "#rrggbb"; without one, :func:`lumirage_lib.methods.colour_of` chooses by family.
    package : str, optional
        Python package that must be importable.
    training : Training, optional
        What a network has learned from.
    smallest_grid : int
        Least number of voxels that the method's algorithm needs along every axis of the images.
    internal_mm : float, optional
        Voxel size it works at whatever it is given; None: that of the working grid.
    internal_voxels : float
        Side of the finest voxels it compares, in voxels of the working grid (2: it stops at half
        resolution).
    """

    id: str
    family: str
    run: Callable[..., np.ndarray]
    version: str
    citation: str
    parameters: Mapping = field(default_factory=dict)
    allowed: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    input: InputSpec = InputSpec()
    weights: Source | None = None
    timeout_seconds: float = 3600.0
    name: str = ""
    colour: str | None = None
    package: str | None = None
    training: Training | None = None
    smallest_grid: int = 1
    internal_mm: float | None = None
    internal_voxels: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "name", self.name or self.id)
        if self.family not in FAMILIES:
            raise InputError(f"{self.id}: family {self.family!r} is none of {', '.join(FAMILIES)}")
        given = [*self.parameters, *(["weights"] if self.weights else [])]
        try:
            inspect.signature(self.run).bind(None, None, None, **dict.fromkeys(given))
        except TypeError as error:
            raise InputError(
                f"{self.id}: run cannot be called with its declared parameters: {error}"
            ) from None

    def find_finest_mm(self, working_mm: float) -> float:
        """Voxel size of the finest images it compares, on a working grid of that voxel size, mm."""
        return max(self.internal_mm or 0.0, self.internal_voxels * working_mm)

    def with_parameters(self, given: Mapping) -> dict:
        """The defaults with `given` on top; an unknown name, or a value unlike its default, is refused."""
        unknown = sorted(set(given) - set(self.parameters))
        if unknown:
            raise InputError(
                f"{self.id}: no parameter {', '.join(unknown)}; "
                f"there are {', '.join(sorted(self.parameters)) or 'none'}"
            )
        for name, value in given.items():
            pattern = self.allowed.get(name, r"(?s).*")
            alike = _is_like(value, default := self.parameters[name])
            if not alike or not re.fullmatch(pattern, str(value)):
                raise InputError(
                    f"{self.id}: parameter {name}={value!r}: expected a value like {default!r}"
                    + (f", of the form {pattern}" if name in self.allowed else "")
                )
        chosen = {**self.parameters, **given}
        lists = {name: v for name, v in self.parameters.items() if isinstance(v, list)}
        levels = {name: len(chosen[name]) for name in lists}
        if len({len(v) for v in lists.values()}) == 1 and len(set(levels.values())) > 1:
            raise InputError(
                f"{self.id}: {' and '.join(f'{name}={chosen[name]}' for name in levels)}: expected "
                "lists of one length, a value per level"
            )
        return chosen


def _is_like(value: Any, default: Any) -> bool:
    """Whether a parameter is of the kind of its default; not negative where that is above zero."""
    if isinstance(default, list | tuple):
        likeness = max(default, default=None)
        alike = isinstance(value, list | tuple) and bool(value or not default)
        return alike and all(_is_like(v, likeness) for v in value)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool | None) and isinstance(value, bool)
    if isinstance(default, int | float):
        number = isinstance(value, int if isinstance(default, int) else int | float)
        return number and math.isfinite(value) and (value >= 0 or default <= 0)
    return default is None or isinstance(value, type(default))


def _scale(image: np.ndarray, intensity: str | float) -> np.ndarray:
    low, high = float(image.min()), float(image.max())
    if high <= low:
        raise InputError("the image is constant on the working grid; there is nothing to register")
    if intensity == "minmax":
        return ((image - low) / (high - low)).astype(np.float32)
    if intensity == "as given":
        return image
    return image * np.float32(float(intensity) / np.percentile(image[image > 0], 99))


def run_method(spec: MethodSpec, pair: PairImages, parameters: Mapping) -> np.ndarray:
    """Call a method on a prepared pair, meeting its :class:`InputSpec` and undoing it.

    Returns
    -------
    ndarray of float32, shape (3, X, Y, Z)
        Displacement in voxels of the working grid of `pair`.

    Raises
    ------
    RegistrationError
        The field has another shape than the images, or NaN or infinite values.
    """
    need = spec.input
    if need.spacing_mm and not np.allclose(pair.spacing_mm, need.spacing_mm, rtol=1e-3):
        resampled = set_spacing(pair, need.spacing_mm)
        met = replace(spec, input=replace(need, spacing_mm=None))
        to_pair = np.linalg.inv(pair.affine) @ resampled.affine
        found = run_method(met, resampled, parameters)
        return to_native(found, to_pair, to_pair, pair.fixed.shape)
    codes = need.orientation
    # Space first in RAS, as the working grid is; only then are the axes turned.
    shape = np.array(pair.fixed.shape)
    target = shape
    if need.grid is not None:
        # Length of the declared grid along each RAS axis, found by turning a shape.
        axis = np.argmax(np.abs(_axes(codes)), axis=0)
        target = np.maximum(shape, np.array(need.grid)[axis])
    target = round_up(target, need.multiple_of)
    start = (shape - target) // 2
    boxed = pair_window(pair, start, target)
    if min(target) < spec.smallest_grid:
        raise InputError(
            f"{spec.id}: the images are {'x'.join(map(str, shape))} voxels on the working grid, and "
            f"it needs {spec.smallest_grid} along every axis; work at finer voxels, leave more air "
            "around the brain, or choose another method"
        )
    fixed, moving = (
        np.ascontiguousarray(reorient_array(image, "RAS", codes)).astype(np.float32)
        for image in (boxed.fixed, boxed.moving)
    )
    intensity = "as given" if boxed.final else need.intensity
    fixed, moving = (_scale(image, intensity) for image in (fixed, moving))
    affine = boxed.affine @ _turn(target, codes)
    field_ = np.asarray(spec.run(fixed, moving, affine, **parameters), np.float32)
    if field_.shape != (3, *fixed.shape):
        raise RegistrationError(
            f"{spec.id}: returned shape {field_.shape}, expected {(3, *fixed.shape)}"
        )
    if not np.isfinite(field_).all():
        raise RegistrationError(
            f"{spec.id}: {np.count_nonzero(~np.isfinite(field_))} values of the field are NaN or "
            "infinite; the optimisation diverged",
            status="non-finite",
        )
    back = reorient_displacement(field_, codes, "RAS")
    first = -start
    box = tuple(slice(a, a + n) for a, n in zip(first, shape, strict=True))
    return np.ascontiguousarray(back[(slice(None), *box)])


def _axes(codes: str) -> np.ndarray:
    """Rows: axes of an array with these codes; columns: R, A, S."""
    table = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0)}
    table |= {"S": (0, 0, 1), "I": (0, 0, -1)}
    return np.array([table[c] for c in codes])


def _turn(shape_ras, codes: str) -> np.ndarray:
    x, y, z = map(int, shape_ras)
    return reorientation((x, y, z), "RAS", codes)
