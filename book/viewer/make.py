"""Registers the pairs that the viewer shows and writes their 2 mm crops into data/.

    LUMIRAGE_MIRROR=… python book/viewer/make.py [CASE …]

Ten minutes of a core, and only after a method has changed: the crops are committed, so a book is built
without this. Images are generated (cohort template) or CC BY (open_ms_data); structures are what
brainchop's network (MIT) finds on the T1w image, so that no label map of anyone is in a crop. One file a
pair, `<id>.js`, holds a call with everything; a page opened from disk may load scripts but not fetch.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from lumirage_lib.cohorts import Pair, get_cohort
from lumirage_lib.cohorts.segmented import load_segmentation, segment_scan, tissue_table
from lumirage_lib.images.volumes import bounding_box
from lumirage_lib.images.warp import warp_image, warp_labels
from lumirage_lib.methods import name_of
from lumirage_lib.methods.display import family_of
from lumirage_lib.methods.tools import TOOLS
from lumirage_lib.metrics import compute_overlap
from lumirage_lib.runs.fields import keep_field, read_field
from lumirage_lib.runs.task import plan
from lumirage_lib.runs.work import align_pair, compute_displacement

HERE = Path(__file__).parent
METHODS = ("affine", "greedy", "clapirn", "vfa", "fireants-greedy")
QUALITY = 75  # of the pictures, whose noise nobody needs
NOT_DRAWN = {0, 1, 2}  # in still pictures: borders of the cortex hide what they are to show
TELLING = "openms-T2w"  # of the landing page: networks that saw T1w alone, on T2w
STEP_MM = 0.1  # of a distance to the true place
OPENMS = "open_ms_data (Lesjak et al. 2018), CC BY"


@dataclass(frozen=True)
class Case:
    """A pair that is shown: `fixed` and `moving` are places in the cohort's list of scans."""

    id: str
    title: str
    licence: str
    cohort: str
    options: dict
    fixed: int
    moving: int


CASES = (
    Case("template", "Generated brains, T1w", "Generated here, MIT", "template",
         {"spacing_mm": 2.0, "n_subjects": 5}, 0, 1),
    *(Case(f"openms-{contrast}", f"Two patients, {contrast}", OPENMS, "openms",
           {"contrast": contrast}, 0, 1) for contrast in ("T1w", "T2w", "FLAIR")),
)  # fmt: skip


def pack(volume: np.ndarray) -> str:
    """Bytes of a uint8 volume, first axis fastest: gzip, base64."""
    flat = volume.astype(np.uint8).ravel(order="F")
    return base64.b64encode(gzip.compress(flat.tobytes(), 9, mtime=0)).decode()


def pack_image(volume: np.ndarray) -> str:
    """Greys as one WebP picture, axial slices below one another; base64."""
    slices = volume.transpose(2, 1, 0).reshape(-1, volume.shape[0]).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(slices).save(stream, "webp", quality=QUALITY, method=6)
    return base64.b64encode(stream.getvalue()).decode()


class Crop:
    """Takes a volume on the fixed grid to the 2 mm crop around the brain."""

    def __init__(self, brain: np.ndarray, spacing_mm: float):
        self.factor = round(2 / spacing_mm)
        low, size = bounding_box(brain, margin=2 * self.factor)
        low, high = np.maximum(low, 0), np.minimum(low + size, brain.shape)
        size = (high - low) // self.factor * self.factor
        self.window = tuple(slice(a, a + n) for a, n in zip(low, size, strict=True))

    def image(self, data: np.ndarray) -> np.ndarray:
        """Means of blocks."""
        data, f = data[self.window].astype(float), self.factor
        shape = [v for n in data.shape for v in (n // f, f)]
        return data.reshape(shape).mean(axis=(1, 3, 5))

    def labels(self, data: np.ndarray) -> np.ndarray:
        """One voxel of every block."""
        return data[self.window][(slice(self.factor // 2, None, self.factor),) * 3]


def to_greys(image: np.ndarray) -> np.ndarray:
    """Intensities to 0 … 255, the 99.5th percentile of the brain white."""
    top = np.percentile(image[image > 0], 99.5)
    return np.round(np.clip(image / top, 0, 1) * 255)


def make_case(case: Case, scratch: Path) -> dict:
    """Register, measure and crop one pair."""
    cohort = get_cohort(case.cohort, **case.options)
    anatomy = cohort.aligned_by or cohort
    scans = cohort.scans
    pair = Pair(scans[case.fixed], scans[case.moving])
    fixed, moving = (cohort.load_image(scan) for scan in (pair.fixed, pair.moving))
    for scan in (pair.fixed, pair.moving):
        segment_scan(anatomy, scan, TOOLS)
    found = [load_segmentation(anatomy, scan).data for scan in (pair.fixed, pair.moving)]
    spacing = float(fixed.spacing_mm[0])
    crop = Crop(fixed.data > 0, spacing)
    truth = None if cohort.true_displacement is None else cohort.true_displacement(pair)
    tasks = plan(case.cohort, [pair], METHODS, cohort_options=case.options)
    alignment, _ = align_pair(tasks[0])
    names = tissue_table()["name"]
    methods = []
    for task in tasks:
        field = read_field(task.key)  # of an earlier call, on this machine
        if field is None:
            field, _, _ = compute_displacement(cohort, task, alignment, scratch)
            keep_field(task.key, field, alignment)
        labels = warp_labels(found[1], field)
        table = compute_overlap(found[0], labels, names.index)["dice"].dropna()
        overlap = {str(label): round(float(value), 3) for label, value in table.items()}
        values = table.to_numpy()
        entry = {
            "id": task.method,
            "name": "Linear alignment only" if task.method == "affine" else name_of(task.method),
            "family": family_of(task.method),
            "dice": overlap | {"0": round(float(np.mean(values)), 3)},
            "image": pack_image(to_greys(crop.image(warp_image(moving.data, field)))),
            "labels": pack(crop.labels(labels)),
        }
        if truth is not None:
            distance = np.linalg.norm(field - truth, axis=0) * spacing * (fixed.data > 0)
            entry["distance"] = pack_image(np.round(crop.image(distance) / STEP_MM).clip(0, 255))
            entry["median_mm"] = round(float(np.median(distance[fixed.data > 0])), 2)
        methods.append(entry)
        print(case.id, task.method, entry["dice"]["0"], entry.get("median_mm"), flush=True)
    picture = crop.image(fixed.data)
    return {
        "title": case.title,
        "licence": case.licence,
        "pair": [pair.moving.id, pair.fixed.id],
        "shape": list(picture.shape),
        "structures": {str(k): v for k, v in names.items() if (found[0] == k).any()},
        "fixed": {"image": pack_image(to_greys(picture)), "labels": pack(crop.labels(found[0]))},
        "methods": methods,
    }


def unpack(text: str, shape: list[int]) -> np.ndarray:
    """What :func:`pack` packed."""
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(
        shape, order="F"
    )


def unpack_image(text: str, shape: list[int]) -> np.ndarray:
    """What :func:`pack_image` packed."""
    slices = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("L"))
    return slices.reshape(shape[::-1]).transpose(2, 1, 0)


def draw(axis, data: dict, side: str) -> None:
    """A coronal slice: an image, and the borders of structures: fixed blue, moved orange."""
    shape = data["shape"]
    methods = {m["id"]: m for m in data["methods"]}
    at = shape[1] // 2
    image = unpack_image(methods[side]["image"], shape)[:, at].T
    labels, wanted = (
        unpack(text, shape)[:, at].T for text in (methods[side]["labels"], data["fixed"]["labels"])
    )
    axis.imshow(image, cmap="gray", origin="lower", vmin=0, vmax=255, interpolation="bicubic")
    for edges, colour in ((wanted, "#56B4E9"), (labels, "#E69F00")):
        for label in sorted({*np.unique(edges)} - NOT_DRAWN):
            axis.contour(edges == label, [0.5], colors=colour, linewidths=0.9)


def draw_row(data: dict, sides: tuple[str, ...], path: Path) -> None:
    """Slices side by side, without room between them."""
    width = 3.4 * len(sides) * data["shape"][0] / data["shape"][2]
    figure, axes = plt.subplots(1, len(sides), figsize=(width, 3.4), squeeze=False)
    figure.subplots_adjust(0, 0, 1, 1, wspace=0)
    figure.set_facecolor("black")
    for axis, side in zip(axes[0], sides, strict=True):
        draw(axis, data, side)
        axis.axis("off")
    figure.savefig(path, dpi=160)
    plt.close(figure)
    # Greys and two colours: a palette halves the file.
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def draw_card(data: dict, path: Path) -> None:
    """The picture that a link to the book is shown with."""
    figure = plt.figure(figsize=(12, 6.3), facecolor="black")
    for left, side in ((0.01, "affine"), (0.32, "clapirn")):
        axis = figure.add_axes((left, 0.1, 0.3, 0.8))
        draw(axis, data, side)
        axis.axis("off")
    for height, size, text in (
        (0.62, 44, "LUMirage"),
        (0.36, 19, "Do networks that learned to\nregister one kind of scan\nmanage the others?"),
    ):
        figure.text(0.64, height, text, color="white", fontsize=size)
    figure.savefig(path, dpi=100, facecolor="black")
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def draw_pictures() -> None:
    """Still pictures and halves of the curtain of all cases, and the card, from the files in data/."""
    for path in sorted((HERE / "data").glob("*.js")):
        data = json.loads(path.read_text().split(",", 1)[1].rstrip(");\n"))
        draw_row(data, ("affine", "greedy", "clapirn"), path.with_suffix(".png"))
    data = json.loads((HERE / "data" / f"{TELLING}.js").read_text().split(",", 1)[1].rstrip(");\n"))
    for half, method in (("before", "affine"), ("after", "clapirn")):
        draw_row(data, (method,), HERE / "data" / f"{TELLING}-{half}.png")
    draw_card(data, HERE / "data" / "card.png")


def main() -> None:
    """Every case, or those named; then the pictures of all."""
    (HERE / "data").mkdir(exist_ok=True)
    path = HERE / "data" / "cases.json"
    for case in [c for c in CASES if c.id in sys.argv[1:] or not sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as scratch:
            data = make_case(case, Path(scratch))
        text = f"lumirageViewer.add({json.dumps(case.id)},{json.dumps(data)});\n"
        (HERE / "data" / f"{case.id}.js").write_text(text)
        about = {m["id"]: {"name": m["name"], "dice": m["dice"]["0"]} for m in data["methods"]}
        index = json.loads(path.read_text()) if path.exists() else {}
        index[case.id] = {k: data[k] for k in ("title", "licence", "pair")} | {
            "cohort": case.cohort,
            "contrast": case.options.get("contrast", "T1w"),
            "methods": about,
        }
        ordered = {c.id: index[c.id] for c in CASES if c.id in index}
        path.write_text(json.dumps(ordered, indent=1) + "\n")
        print(case.id, len(text) // 1000, "kB", data["shape"], flush=True)
    if len(json.loads(path.read_text())) == len(CASES):
        draw_pictures()


if __name__ == "__main__":
    main()
