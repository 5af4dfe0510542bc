"""Register two NIfTI files: what `lumirage register` does."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import metrics
from ..cohorts.sources import fetch
from ..errors import InputError, RegistrationError
from ..files import check_folder, replacing
from ..images.brain import find_brain
from ..images.linear import align, matrix_of_ants
from ..images.preprocess import STANDARD, Preprocessing, prepare_pair
from ..images.volumes import Volume, load_volume, reorient, save_volume, take_to_grid
from ..images.warp import (
    save_displacement,
    save_itk,
    to_native,
    to_stored,
    warp_image,
    warp_labels,
)
from ..methods import get_method, missing, run_method
from .child import Outcome, Usage, default_memory_mb, measure, run_child

FORMS = ("learn2reg", "itk")


@dataclass(frozen=True)
class Registered:
    """What :func:`register_files` wrote and measured; Dice is NaN without both label maps.

    `notes` say what had to be assumed of the files.
    """

    moved: Path
    displacement: Path
    moved_labels: Path | None
    usage: Usage
    correlation_before: float
    correlation_after: float
    dice_before: float
    dice_after: float
    n_labels: int
    notes: tuple[str, ...]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _work(
    fixed: Volume,
    moving: Volume,
    alignment: np.ndarray,
    method: str,
    parameters: Mapping[str, Any],
    how: Preprocessing,
) -> tuple[np.ndarray, np.ndarray, Usage]:
    spec = get_method(method)
    images = prepare_pair(fixed, moving, how, alignment)
    with measure() as usage:
        field = run_method(spec, images, parameters)
    start = to_native(np.zeros_like(field), images.to_fixed, images.to_moving, fixed.shape)
    return to_native(field, images.to_fixed, images.to_moving, fixed.shape), start, usage


def register_files(
    fixed_path: Path,
    moving_path: Path,
    method: str,
    out: Path,
    *,
    moving_labels: Path | None = None,
    fixed_labels: Path | None = None,
    parameters: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing = STANDARD,
    threads: int = 1,
    form: str = "learn2reg",
    assume: str = "",
    alignment: np.ndarray | Path | None = None,
    memory_mb: float | None = None,
) -> Registered:
    """Register a moving image file to a fixed one and write the result.

    Writes into `out`, all on the fixed file's own grid and axes: ``moved.nii.gz``; with `moving_labels`
    ``moved_labels.nii.gz`` (nearest); and the displacement in the form asked for. An
    older ``moved_labels.nii.gz`` there is removed where no labels are given. Beside them
    ``alignment.txt``, the linear alignment before it: 4 x 4, fixed point -> moving point, mm, RAS+.

    Parameters
    ----------
    fixed_path, moving_path : path
        NIfTI or MGH images, skull-stripped as most methods expect them.
    method : str
        Name in the registry, or ``module:attribute``.
    moving_labels, fixed_labels : path, optional
        On any grid: they are taken to that of their image through the world. Fixed ones, for Dice, only
        with moving ones.
    parameters : mapping, optional
        Differing from the method's defaults.
    threads : int
        Of the method; the alignment before it has one, so that it is the same on every machine.
    form : {"learn2reg", "itk"}
        ``disp_FIXED_MOVING.nii.gz``, shape (X, Y, Z, 3), float32, voxels of the arrays as stored in the
        two files; or ``warp_FIXED_MOVING.nii.gz``, what antspyx, ITK and Slicer apply.
    assume : str
        Axis codes of files that do not say how their axes lie.
    alignment : ndarray (4, 4) or path, optional
        Instead of estimating one: a stored one, fixed voxel -> moving voxel of the arrays in RAS; or a
        file, 4 x 4 numbers as in ``alignment.txt`` or an affine of ITK (.mat, .tfm).
    memory_mb : float, optional
        Resident memory that the registration may take; by default 90 % of the machine's.

    Raises
    ------
    InputError
        An image or label map cannot be used, the method cannot run here, or `out` cannot be written or
        holds an image that the result would overwrite.
    RegistrationError
        The method failed; nothing is written.
    """
    spec = get_method(method)
    chosen = spec.with_parameters(parameters or {})
    why = missing(spec)
    if why:
        raise InputError(f"{method} cannot run here: {why}")
    if form not in FORMS:
        raise InputError(f"--format {form}: expected one of {', '.join(FORMS)}")
    out = Path(out)
    files = [load_volume(path, assume=assume) for path in (fixed_path, moving_path)]
    fixed, moving = (reorient(file) for file in files)
    seen = {"fixed": find_brain(fixed), "moving": find_brain(moving)}
    if moving_labels is None and fixed_labels is not None:
        raise InputError(
            f"{fixed_labels}: --fixed-labels are for Dice, which needs --moving-labels"
        )
    labels = {}
    for name, path in (("fixed", fixed_labels), ("moving", moving_labels)):
        if path is not None:
            image, found = seen[name], load_volume(path, labels=True, assume=assume)
            if found.data.min() < 0:
                raise InputError(
                    f"{path}: expected labels >= 0, got {found.data.min()}; relabel the map"
                )
            labels[name] = take_to_grid(reorient(found), image.shape, image.affine, image.name)
    if len(labels) == 2 and not metrics.find_common_labels(*(v.data for v in labels.values())):
        raise InputError(
            f"{labels['fixed'].name} and {labels['moving'].name} share no label; "
            "give two maps of one protocol"
        )
    given = None if alignment is None else _read_alignment(alignment, fixed, moving)
    name = f"{_stem(Path(fixed_path))}_{_stem(Path(moving_path))}.nii.gz"
    written = [out / "moved.nii.gz", out / "moved_labels.nii.gz"]
    written.append(out / f"{'warp' if form == 'itk' else 'disp'}_{name}")
    read = (fixed_path, moving_path, fixed_labels, moving_labels)
    lost = {p.resolve() for p in written} & {Path(p).resolve() for p in read if p is not None}
    if lost:
        raise InputError(
            f"{min(lost)}: would be overwritten by the result; choose another folder with --out"
        )
    check_folder(out)
    if spec.weights is not None:
        chosen["weights"] = str(fetch(spec.weights))
    run = functools.partial(run_child, memory_mb=memory_mb or default_memory_mb())
    if given is None:
        estimated = run(align, fixed, moving, preprocessing.alignment, timeout_seconds=1800)
        given = _value(estimated, "alignment")
    outcome = run(
        _work,
        *(fixed, moving, given, method, chosen, preprocessing),
        timeout_seconds=spec.timeout_seconds,
        threads=threads,
    )
    displacement, start, usage = _value(outcome, method)

    world = moving.affine @ given @ np.linalg.inv(fixed.affine)
    with replacing(out / "alignment.txt") as part:
        np.savetxt(part, world, fmt="%.17g")
    outside = moving.data[seen["moving"].data == 0]
    air = float(np.median(outside)) if outside.size else 0.0
    if form == "itk":
        field_path = save_itk(displacement, files[0], moving.affine, out / f"warp_{name}")
    else:
        stored = to_stored(displacement, *files)
        field_path = save_displacement(stored, files[0].affine, out / f"disp_{name}")
    moved = warp_image(moving.data, displacement, fill=air)
    moved_path = _save_like(moved, fixed, files[0], out / "moved.nii.gz")
    labels_path = None
    if "moving" in labels:
        data = warp_labels(labels["moving"].data, displacement)
        labels_path = _save_like(data, fixed, files[0], out / "moved_labels.nii.gz")
    else:  # one of an earlier registration would be taken for this one's
        (out / "moved_labels.nii.gz").unlink(missing_ok=True)

    fields, brain = (start, displacement), seen["fixed"].data > 0
    correlation = [
        metrics.compute_correlation(fixed.data, moving.data, field, brain) for field in fields
    ]
    dice, n_labels = [float("nan")] * 2, 0
    if len(labels) == 2:
        maps = {"labels": (labels["fixed"].data, labels["moving"].data)}
        scored = [
            metrics.score_case(field, maps, fixed.spacing_mm, rules=["nearest"])[0]
            for field in fields
        ]
        dice, n_labels = [s["dice"] for s in scored], int(scored[0]["n_labels"])
    said = (v.notes for v in (*seen.values(), *labels.values()))
    notes = tuple(dict.fromkeys(note for notes in said for note in notes))
    return Registered(
        moved_path,
        field_path,
        labels_path,
        usage,
        correlation_before=correlation[0],
        correlation_after=correlation[1],
        dice_before=dice[0],
        dice_after=dice[1],
        n_labels=n_labels,
        notes=notes,
    )


def _read_alignment(given: np.ndarray | Path, fixed: Volume, moving: Volume) -> np.ndarray:
    """Fixed voxel -> moving voxel, of an array that is so or of a file in the world."""
    if isinstance(given, np.ndarray):
        matrix, where = np.asarray(given, float), "alignment"
    else:
        where = str(given)
        world = _read_matrix(Path(given))
        matrix = (
            world if world.shape != (4, 4) else np.linalg.inv(moving.affine) @ world @ fixed.affine
        )
    usable = matrix.shape == (4, 4) and np.isfinite(matrix).all()
    if not usable or abs(np.linalg.det(matrix)) < 1e-9 or not np.allclose(matrix[3], [0, 0, 0, 1]):
        raise InputError(
            f"{where}: expected 4 x 4 finite numbers that can be inverted, with 0 0 0 1 last; "
            "give the alignment.txt of a registration, an affine of ITK, or a key of the store"
        )
    return matrix


def _read_matrix(path: Path) -> np.ndarray:
    try:
        if path.suffix in (".mat", ".tfm"):
            import ants

            return matrix_of_ants(ants.read_transform(str(path)))
        return np.array([line.split() for line in path.read_text().splitlines()], float)
    except (OSError, ValueError, RuntimeError) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{path}: not an alignment ({said}); expected 4 x 4 numbers or an affine of ITK"
        ) from error


def _value(outcome: Outcome, what: str) -> Any:
    if outcome.status != "ok":
        raise RegistrationError(f"{what}: {outcome.reason}", outcome.status)
    return outcome.value


def _save_like(data: np.ndarray, fixed: Volume, file: Volume, path: Path) -> Path:
    """Write an array on the canonical fixed grid in the orientation of the fixed file."""
    return save_volume(reorient(Volume(data, fixed.affine), file.orientation), path)
