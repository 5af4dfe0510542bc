"""The lab's pages: lessons run without a browser, what they show kept, and the slides."""

import contextlib
import json
import os
import time
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

from rich.console import Console

from ..errors import InputError
from ..files import hash_of
from ..runs.profiles import project_root
from .notebooks import environment, execute_notebook, warm_kernel
from .walk import describe_walk

SMOKE_STEPS, SMOKE_PAIRS = 2, "2"  # of training, and to measure on: enough to run every cell
LIVE = "live"  # tag of cells that show what is kept anyway


def list_lessons() -> dict[str, Path]:
    """Lesson -> its source, in order; the capstone is the last."""
    found = sorted((project_root() / "notebooks" / "lab").glob("[0-9]_*.py"))
    return {path.stem: path for path in found}


def read_source(name: str):
    """A lesson as a notebook without outputs."""
    import jupytext

    return jupytext.read(list_lessons()[name])


def find_lesson(number: int) -> str:
    lessons = list_lessons()
    for name in lessons:
        if name.startswith(f"{number}_"):
            return name
    raise InputError(f"no lesson {number}; there are {', '.join(lessons)}")


def lab_environment(**more: str):
    """Kernels that start within find the modules that lessons import by short names."""
    paths = [str(project_root() / "notebooks" / "lab"), os.environ.get("PYTHONPATH")]
    return environment({"PYTHONPATH": os.pathsep.join(filter(None, paths)), **more})


def execute(name: str, page: Path, steps: int | None, kernel=None) -> tuple[float, float]:
    """Run a lesson by papermill into a page; `steps` of training, None: as many as it says.

    Returns seconds by the clock, and by the processor: on a busy machine only these can be compared.
    """
    start, used = time.perf_counter(), os.times()
    with lab_environment():
        execute_notebook(f"lab/{name}", {} if steps is None else {"steps": steps}, page, kernel)
    now = os.times()
    processor = sum(now[:4]) - sum(used[:4])  # of this process, and of the kernel, which has ended
    return time.perf_counter() - start, processor


def keep_outputs(page: Path, folder: Path) -> None:
    """Write what the cells of an executed page show: texts as JSON, pictures as PNG of 64 colours."""
    import nbformat
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    cells: list[dict] = []
    for cell in nbformat.read(page, as_version=4).cells:
        if cell.cell_type != "code" or not cell.outputs or LIVE in cell.metadata.get("tags", []):
            continue
        for number, output in enumerate(cell.outputs):
            data = output.get("data", {})
            data.pop("text/latex", None)  # a page with LaTeX asks the network for MathJax
            if "image/png" in data:
                picture = f"{len(cells):02d}-{number}.png"
                small = (
                    Image.open(BytesIO(b64decode(data["image/png"]))).convert("RGB").quantize(64)
                )
                small.save(folder / picture, optimize=True)
                data["image/png"] = picture
        kept = {"source": hash_of(cell.source), "metadata": cell.metadata, "outputs": cell.outputs}
        cells.append(kept)
    (folder / "outputs.json").write_text(json.dumps(cells, indent=1, ensure_ascii=False) + "\n")


def show_outputs(page: Path, folder: Path, made_from: str = "") -> int:
    """Give the cells of a page the outputs kept of the full run; how many cells have none of theirs.

    The page notes what it was made from.
    """
    import nbformat

    path = folder / "outputs.json"
    kept = {c["source"]: c for c in json.loads(path.read_text())} if path.exists() else {}
    notebook, lacking = nbformat.read(page, as_version=4), 0
    for cell in notebook.cells:
        if cell.cell_type != "code" or not cell.outputs or LIVE in cell.metadata.get("tags", []):
            continue
        for output in cell.outputs:
            output.get("data", {}).pop("text/latex", None)
        found = kept.get(hash_of(cell.source))
        if found is None:
            lacking += 1
            continue
        for output in found["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = b64encode((folder / data["image/png"]).read_bytes()).decode()
        cell.metadata = nbformat.from_dict(found["metadata"])
        cell.outputs = [nbformat.from_dict(output) for output in found["outputs"]]
    notebook.metadata["lab"] = made_from
    nbformat.write(notebook, page)
    return lacking


def write_pages(console: Console) -> None:
    """The lab's pages of the book: every cell run with few steps, outputs of the full run shown."""
    root = project_root()
    target, kept = root / "book" / "experiments" / "lab", root / "results" / "lab"
    target.mkdir(parents=True, exist_ok=True)
    texts = [p.read_text() for p in sorted((root / "notebooks" / "lab").glob("*.*")) if p.is_file()]
    digests = {}
    for name in list_lessons():
        page, outputs = target / f"{name}.ipynb", kept / name / "outputs.json"
        digest = hash_of([*texts, outputs.read_text() if outputs.exists() else ""])
        if not page.exists() or json.loads(page.read_text())["metadata"].get("lab") != digest:
            digests[name] = digest
    kernel = warm_kernel(target) if digests else contextlib.nullcontext()
    with lab_environment(LUMIRAGE_LAB_PAIRS=SMOKE_PAIRS), kernel as clear:
        for name, digest in digests.items():
            page = target / f"{name}.ipynb"
            seconds, _ = execute(name, page, SMOKE_STEPS, clear() if clear else None)
            lacking = show_outputs(page, kept / name, digest)
            note = f", {lacking} cells show the smoke run" if lacking else ""
            console.print(f"lab {name}: done in {seconds:.0f} s{note}")
    pages = [target / f"{name}.ipynb" for name in list_lessons()]
    (target / "times.md").write_text(describe_walk(kept / "times.json", pages))


def write_slides(target: Path) -> Path:
    """One HTML file that needs no network, made by nbconvert from ``notebooks/lab/slides.py``."""
    import jupytext
    from nbconvert import HTMLExporter

    folder = project_root() / "notebooks" / "lab"
    exporter = HTMLExporter(
        template_name="lab_slides", extra_template_basedirs=[str(folder)], embed_images=True
    )
    body, _ = exporter.from_notebook_node(
        jupytext.read(folder / "slides.py"), {"metadata": {"path": str(folder)}}
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(body)
    return target
