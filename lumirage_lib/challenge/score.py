"""Score a folder of displacement fields against the ground truth of a task, resumably."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from .. import __version__, metrics
from ..cohorts.learn2reg import Case, load_cases
from ..errors import InputError
from ..files import check_folder, replacing
from ..images.reading import read_header
from ..images.volumes import Volume, load_volume, reorient, take_to_grid
from ..images.warp import check_displacement
from .fields import load_field

KEYS = ["case", "file", "status", "reason", "protocol", "mask", "fingerprint"]  # not measures


def score_folder(
    displacements: Path,
    ground_truth_json: Path,
    out: Path,
    protocol: str = "default",
    on: Callable[..., Iterable] = map,
) -> pd.DataFrame:
    """Score every pair of a ground truth; keep what an earlier run scored from the same bytes.

    Parameters
    ----------
    displacements : path
        Folder of `disp_FIXED_MOVING.nii.gz`, named as `load_cases` says, shape (X, Y, Z, 3) or
        (3, X, Y, Z), float16 or float32, in voxels of the images as stored, as `lumirage register`
        writes it. A field whose header has the affine of the fixed image turned to other axes, such
        as RAS, is in voxels of the images turned so.
    ground_truth_json : path
        The task's JSON, see :mod:`lumirage_lib.cohorts.learn2reg`; paths in it start at its folder.
    out : path
        Folder for `cases.csv` (a row for each pair), `labels.csv` (a row for each pair and
        label), both written after each case, `summary.csv` and `summary.json`.
    protocol : {"default", "lumir24"}
        `score_case` by nearest voxel, with the landmark error in mm, or the challenge's own evaluation,
        `measure_lumir24`, with its quirks.

    on : callable
        What applies a function to every case in order, as the built-in `map`; that of a cluster, whose
        workers must see the files under the same names.

    Returns
    -------
    DataFrame
        The rows of `cases.csv`. `status` is "scored", "missing" (no such displacement),
        "malformed" (it cannot be used) or "no ground truth" (labels, landmarks or the image
        that gives the mask are absent or do not fit); `reason` says why. The measures of
        a case that was not scored are NaN.

    Raises
    ------
    InputError
        If the folder, the JSON or the protocol cannot be used at all. A single file that cannot
        be used is a row, and the others are still scored.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol: expected one of {sorted(PROTOCOLS)}, got {protocol!r}.")
    folder, out = Path(displacements), Path(out)
    if not folder.is_dir():
        raise InputError(f"displacements: expected a folder of disp_*.nii.gz files, got {folder}.")
    cases, labels = load_cases(Path(ground_truth_json).resolve())
    check_folder(out)
    earlier, earlier_labels = _read(out / "cases.csv"), _read(out / "labels.csv")

    rows, tables = [], []
    score = functools.partial(
        _score,
        folder=folder.resolve(),
        labels=labels,
        protocol=protocol,
        earlier=earlier,
        earlier_labels=earlier_labels,
    )
    for n, (row, table) in enumerate(on(score, cases), 1):
        rows.append(row)
        tables.append(table)
        # What an earlier run knew of the cases to come stays there until they are reached.
        to_come = [c.name for c in cases[n:]]
        # Labels first: a case of which only they are there is scored again.
        _write(pd.concat([*tables, _of(earlier_labels, to_come)]), out / "labels.csv")
        _write(pd.concat([pd.DataFrame(rows), _of(earlier, to_come)]), out / "cases.csv")
    scored = pd.DataFrame(rows)
    summary = summarise(scored, protocol)
    expected = {name for case in cases for name in case.files}
    report = {
        "protocol": protocol,
        "status": scored["status"].value_counts().to_dict(),
        "problems": list_problems(scored),
        "unused_files": sorted({p.name for p in folder.glob("disp_*")} - expected),
        # JSON has no infinity: what is not finite is null here, and in full in the tables.
        "aggregates": json.loads(summary.to_json(orient="index", double_precision=15)),
    }
    _write(summary.rename_axis("measure").reset_index(), out / "summary.csv")
    with replacing(out / "summary.json") as part:
        part.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return scored


def list_problems(scored: pd.DataFrame) -> list[str]:
    """One line for each case that was not scored."""
    failed = scored[scored["status"] != "scored"]
    return [f"{row.case}: {row.status}: {row.reason}" for row in failed.itertuples()]


def summarise(scored: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Aggregates over the scored cases, indexed by measure, with the number of cases `n`.

    By default mean, sample SD and median over what is not NaN. For "lumir24" mean, population
    SD and 30 % quantile, which one NaN among the cases with labels (or landmarks) makes NaN.
    """
    scored = scored[scored["status"] == "scored"]
    measures = scored.drop(columns=KEYS, errors="ignore").select_dtypes("number")
    if protocol != "lumir24":
        return measures.agg(["count", "mean", "std", "median"]).T.rename(
            columns={"count": "n", "std": "sd"}
        )
    needs = {"dice": "n_labels", "hd95_voxel": "n_labels", "tre_voxel": "n_landmarks"}
    rows = {}
    for name in measures:
        values = measures[name][measures[needs.get(name, name)].notna()].to_numpy(float)
        with np.errstate(invalid="ignore"):  # infinite HD95
            rows[name] = (values.size, values.mean(), values.std(), np.quantile(values, 0.3))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n", "mean", "sd", "quantile_30"])


def _score(
    case: Case,
    folder: Path,
    labels: list[int] | None,
    protocol: str,
    earlier: pd.DataFrame,
    earlier_labels: pd.DataFrame,
) -> tuple[dict, pd.DataFrame]:
    """One row, and the table of its labels; taken over where an earlier one has its fingerprint."""
    row = dict.fromkeys(KEYS, "") | {"case": case.name, "protocol": protocol}

    def fail(status: str, reason: object) -> tuple[dict, pd.DataFrame]:
        return row | {"status": status, "reason": str(reason)}, pd.DataFrame()

    there = [name for name in case.files if (folder / name).is_file()]
    row["file"] = next(iter(there), "")
    if len(there) > 1:
        return fail("malformed", f"{' and '.join(there)} are of one pair; keep one of them")
    if not there:
        return fail(
            "missing", f"expected {case.files[0]} in {folder}, or {', '.join(case.files[1:])}"
        )
    try:
        truth = {kind: case.find(kind) for kind in ("images", "labels", "landmarks")}
    except InputError as error:
        return fail("no ground truth", error)
    if not (truth["labels"] or truth["landmarks"]):
        return fail("no ground truth", f"{case.name} has neither labels nor landmarks")
    grids = truth["images"]
    if protocol == "default" and truth["labels"]:
        truth["images"] = None  # the fixed labels are the mask
    elif not truth["images"]:
        return fail("no ground truth", f"{case.name} has no images, which give the mask")
    # Also of the images that only say where labels lie.
    read = [path for pair in (grids, truth["labels"], truth["landmarks"]) for path in pair or ()]
    settings = [__version__, protocol, case.name, labels]
    fingerprint = _fingerprint([folder / row["file"], *read], settings)
    known = _of(earlier_labels, [case.name])
    same = earlier[earlier["fingerprint"] == fingerprint] if not earlier.empty else earlier
    if not same.empty and (truth["labels"] is None or not known.empty):
        return row | same.iloc[0].dropna().to_dict(), known

    try:
        volumes = {k: [load_volume(p, labels=k != "images") for p in truth[k] or ()] for k in truth}
        volumes |= {k: _place(volumes[k], grids) for k in ("labels", "landmarks")}
    except InputError as error:
        return fail("no ground truth", error)
    try:
        displacement, affine = load_field(folder / row["file"])
        volumes = _turn_to(affine, volumes)
        shape = (volumes["labels"] or volumes["landmarks"])[0].shape
        check_displacement(displacement, shape, row["file"])
    except InputError as error:
        return fail("malformed", error)
    try:
        measures, table = PROTOCOLS[protocol](displacement, labels, **volumes)
    except InputError as error:  # the displacement was good: the images or labels do not fit
        return fail("no ground truth", error)
    except Exception as error:  # one case must not take the others with it
        return fail("malformed", f"it cannot be measured: {type(error).__name__}: {error}")
    table = table.reset_index()
    table.insert(0, "case", case.name)
    return row | {"status": "scored", "fingerprint": fingerprint} | measures, table


def _place(maps: list[Volume], images: tuple[Path, Path] | None) -> list[Volume]:
    """Label or landmark maps on the grids of their images, where these are there."""
    if images is None:
        return maps
    headers = [read_header(path) for path in images]
    return [
        take_to_grid(volume, header.shape, header.affine, path.name)
        for volume, header, path in zip(maps, headers, images, strict=False)
    ]


def _turn_to(
    affine: np.ndarray | None, volumes: dict[str, list[Volume]]
) -> dict[str, list[Volume]]:
    """The volumes with the axes that a displacement's affine has, if it is the fixed one turned."""
    fixed = (volumes["labels"] or volumes["landmarks"])[0]
    codes = "".join(nib.aff2axcodes(fixed.affine if affine is None else affine))
    if (
        affine is None
        or codes == fixed.orientation
        or not np.allclose(affine, reorient(fixed, codes).affine, atol=1e-3)
    ):
        return volumes
    return {kind: [reorient(volume, codes) for volume in pair] for kind, pair in volumes.items()}


def _measure_default(displacement, asked, images, labels, landmarks) -> tuple[dict, pd.DataFrame]:
    """`score_case` by nearest voxel, means of HD95, and the error at landmarks in mm."""
    table = pd.DataFrame()
    if labels:
        fixed, moving = labels
        measures, table = metrics.score_case(
            displacement,
            {"labels": (fixed.data, moving.data)},
            fixed.spacing_mm,
            rules=["nearest"],
            labels=asked,
            moving_spacing_mm=moving.spacing_mm,
        )
        table = table[(table["label_set"] == "labels") & (table["label"] > 0)].set_index("label")
        table = table.drop(columns=["label_set", "rule"])
        # A label the warp lost has no distance: read these with `n_lost`.
        measures |= table[["hd95_mm", "hd95_voxel"]].mean().to_dict()
    else:
        measures = metrics.compute_field_measures(displacement, images[0].data > 0)
    if landmarks:
        fixed, moving = landmarks
        common = metrics.find_common_labels(fixed.data, moving.data)
        tre = metrics.compute_centroid_tre(
            fixed.data, moving.data, displacement, common, moving.spacing_mm
        )
        measures |= {"tre_mm": float(tre.mean()), "n_landmarks": len(common)}
    return {"mask": "fixed labels" if labels else "fixed image"} | measures, table


def _measure_lumir24(displacement, asked, images, labels, landmarks) -> tuple[dict, pd.DataFrame]:
    """`measure_lumir24`, and the challenge's error at landmarks in voxels."""
    moving_image, table = images[1].data, pd.DataFrame()
    if labels:
        fixed, moving = (volume.data for volume in labels)
        asked = asked or metrics.LUMIR24_LABELS
        measures, table = metrics.measure_lumir24(fixed, moving, displacement, moving_image, asked)
    else:
        measures = metrics.measure_lumir24_field(displacement, moving_image)
    if landmarks:
        fixed, moving = (volume.data for volume in landmarks)
        measures["tre_voxel"] = metrics.compute_lumir24_tre(fixed, moving, displacement)
        measures["n_landmarks"] = len(np.unique(fixed)) - 1
    return {"mask": "moving image"} | measures, table


PROTOCOLS: dict[str, Callable] = {"default": _measure_default, "lumir24": _measure_lumir24}


def _fingerprint(paths: list[Path], settings: list) -> str:
    """Hash of all that a row depends on, so that nothing stale is taken over."""
    digest = hashlib.sha256(json.dumps(settings).encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file() or path.stat().st_size < 2:  # an empty table is a line break
        return pd.DataFrame()
    try:
        table = pd.read_csv(path, float_precision="round_trip")
        ours = "case" in table and (path.name != "cases.csv" or set(KEYS) <= set(table))
    except ValueError:  # pandas and the decoder raise kinds of it
        ours = False
    if not ours:
        raise InputError(
            f"{path}: expected the table that an earlier run wrote (commas, UTF-8, columns as written); "
            "delete it, or choose another --out: its cases are then scored anew"
        )
    return table


def _of(table: pd.DataFrame, cases: list[str]) -> pd.DataFrame:
    return table if table.empty else table[table["case"].isin(cases)]


def _write(table: pd.DataFrame, path: Path) -> None:
    """The path holds the whole table or what it held before."""
    with replacing(path) as part:
        table.to_csv(part, index=False)
