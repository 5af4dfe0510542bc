"""A project of its own in a temporary folder, with one notebook of three cells."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

SOURCE = """# %% [markdown]
# # A title

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml
cohort: str = "template"  # whose brains
n_pairs: int = 2  # ordered pairs
"""
EXPERIMENTS = """00_small:
  demo: {n_pairs: 3}
  open: {cohort: oasis}
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """Root of a small project; the library finds it by LUMIRAGE_ROOT."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_small.py").write_text(SOURCE)
    (tmp_path / "experiments.yml").write_text(EXPERIMENTS)
    monkeypatch.setenv("LUMIRAGE_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def write_page():
    """Writes an executed page with a title and one computed sentence."""

    def write(path: Path, answer: str | None = "It is so.", title: str = "# A title") -> Path:
        outputs = []
        if answer is not None:
            data = {"text/markdown": answer, "text/plain": "<Markdown>"}
            outputs = [new_output("display_data", data)]
        loud = new_output("stream", name="stderr", text="noise")
        cells = [
            new_markdown_cell(title),
            new_code_cell("x = 1", outputs=[loud]),
            new_code_cell("say(x)", outputs=outputs),
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return write
