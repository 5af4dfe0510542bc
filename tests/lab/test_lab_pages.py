"""`lumirage lab`: every lesson runs, outputs are kept and shown, slides need no network."""

from __future__ import annotations

import ast
import base64
import contextlib
import inspect
import io
import json
import re

import lab_folder  # noqa: F401  # isort: split
import labkit
import nbformat
import network
import pytest
import repairs
from IPython.core.inputtransformer2 import TransformerManager
from IPython.display import Code
from lab_folder import LAB
from PIL import Image
from typer.testing import CliRunner

from lumirage_lib.book import lab, notebooks, walk
from lumirage_lib.cli import app
from lumirage_lib.cli.lab import open_lesson
from lumirage_lib.errors import InputError
from lumirage_lib.runs.profiles import project_root

RESULTS = project_root() / "results" / "lab"
LESSONS = list(lab.list_lessons())


def test_six_lessons_and_a_capstone():
    assert [name[0] for name in LESSONS] == list("1234567")
    with pytest.raises(InputError, match="no lesson 8"):
        lab.find_lesson(8)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_says_goals_prerequisites_and_time(name):
    text = (LAB / f"{name}.py").read_text()
    for part in ("**Goals.**", "**You need**", "**Time**", "my_p", "labkit.check", "hide-cell"):
        assert part in text
    if not name.startswith("7"):
        assert all(part in text for part in ("## Quiz", "## Read next", "my_prediction"))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """One for all lessons, as the book has it, with as few pairs."""
    folder = tmp_path_factory.mktemp("lab")
    few = {"LUMIRAGE_LAB_PAIRS": lab.SMOKE_PAIRS, "LUMIRAGE_STORE": str(folder / "store")}
    stack = contextlib.ExitStack()
    with lab.lab_environment(**few):  # which the kernel inherits
        clear = stack.enter_context(notebooks.warm_kernel(folder))
    with stack:
        yield clear


@pytest.mark.slow
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_from_the_first_to_the_last_cell(name, tmp_path, kernel):
    page = tmp_path / "page.ipynb"
    lab.execute(name, page, lab.SMOKE_STEPS, kernel())
    cells = [c for c in nbformat.read(page, as_version=4).cells if c.cell_type == "code"]
    assert all(c.execution_count for c in cells if c.source.strip())
    shown = "".join(str(o) for c in cells for o in c.outputs)
    assert "Right." in shown  # the solution
    assert "No answer yet." in shown  # the student's


@pytest.mark.parametrize("name", LESSONS)
def test_outputs_kept_are_those_of_the_cells_there_are(name):
    path = RESULTS / name / "outputs.json"
    if not path.exists():
        pytest.skip("its page shows the smoke run: no full run has been kept")
    kept = json.loads(path.read_text())
    source = lab.read_source(name)
    hashes = {lab.hash_of(c.source) for c in source.cells if c.cell_type == "code"}
    assert {c["source"] for c in kept} <= hashes, "run `lumirage lab --all --keep` again"


def find_sentences(path):
    """Every text of a Python file as a pattern: what is computed in it may be anything."""
    patterns = []
    for node in ast.walk(ast.parse(path.read_text())):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        words = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
        if len("".join(words)) >= 20:
            fixed = [re.escape(p.value) if isinstance(p, ast.Constant) else ".+" for p in parts]
            patterns.append("".join(fixed))
    return patterns


def test_texts_are_found_with_what_is_computed_in_them(tmp_path):
    path = tmp_path / "a.py"
    path.write_text('f"The network keeps {share:.0%} of its " "gain."')
    assert re.fullmatch(find_sentences(path)[0], "The network keeps 34% of its gain.")
    assert not re.fullmatch(find_sentences(path)[0], "The network lost 34% of its gain.")


@pytest.mark.parametrize("name", LESSONS)
def test_sentences_kept_are_those_of_the_code_there_is(name):
    sources = [LAB / "checks.py", LAB / "labkit.py", LAB / f"{name}.py"]
    known = "|".join(pattern for path in sources for pattern in find_sentences(path))
    for cell in json.loads((RESULTS / name / "outputs.json").read_text()):
        for output in cell["outputs"]:
            data = output.get("data", {})
            plain = re.sub(r"^(\?|right|wrong): ", "", data.get("text/plain", ""))
            said = data.get("text/markdown") or (
                plain if plain != data.get("text/plain", "") else ""
            )
            for line in filter(None, said.splitlines()):
                assert line.startswith("|") or re.fullmatch(known, line), line


@pytest.mark.parametrize("name", LESSONS)
def test_quizzes_and_code_kept_are_those_there_are(name, monkeypatch):
    kept = {c["source"]: c for c in json.loads((RESULTS / name / "outputs.json").read_text())}
    shown = []
    monkeypatch.setattr(labkit, "display", shown.append)
    names = {
        "labkit": labkit,
        "network": network,
        "repairs": repairs,
        "inspect": inspect,
        "Code": Code,
    }
    for cell in lab.read_source(name).cells:
        data = kept.get(lab.hash_of(cell.source), {"outputs": []})["outputs"]
        if cell.source.startswith("labkit.quiz("):
            exec(cell.source, names)
            assert data[0]["data"]["text/html"] == shown.pop().data
        elif cell.source.startswith("Code("):
            assert data[0]["data"]["text/plain"] == eval(cell.source, names).data.rstrip()


def test_kept_outputs_are_small_and_have_a_licence():
    assert sum(p.stat().st_size for p in RESULTS.rglob("*") if p.is_file()) < 2_000_000
    assert "MIT" in (RESULTS / "README.md").read_text()


def make_page(path, source, outputs):
    notebook = nbformat.v4.new_notebook()
    cell = nbformat.v4.new_code_cell(source)
    cell.outputs = outputs
    notebook.cells = [cell]
    nbformat.write(notebook, path)


def picture(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, format="png")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "a picture"}
    return nbformat.v4.new_output("display_data", data | {"text/latex": "$x$"})


def colour_of(text):
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB").getpixel((0, 0))


def test_outputs_of_the_full_run_replace_those_of_the_smoke_run(tmp_path):
    page, kept = tmp_path / "page.ipynb", tmp_path / "kept"
    make_page(page, "draw()", [picture("red")])
    lab.keep_outputs(page, kept)
    assert len(list(kept.glob("*.png"))) == 1
    make_page(page, "draw()", [picture("blue")])
    assert lab.show_outputs(page, kept) == 0
    shown = nbformat.read(page, as_version=4).cells[0].outputs[0]
    assert colour_of(shown.data["image/png"]) == (255, 0, 0)
    assert "text/latex" not in shown.data  # it would ask the network for MathJax
    make_page(page, "draw(2)", [picture("blue")])
    assert lab.show_outputs(page, kept) == 1  # another cell keeps what the smoke run showed


def test_slides_are_one_file_that_loads_nothing(tmp_path):
    text = lab.write_slides(tmp_path / "slides.html").read_text()
    assert text.count("<section>") >= 12
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text) == []
    assert re.findall(r"""<(?:link|script)[^>]*(?:src|href)=""", text) == []


def test_the_command_lists_lessons_and_refuses_others():
    run = CliRunner().invoke(app, ["lab"])
    assert run.exit_code == 0
    assert run.output.count("lumirage lab ") == 7
    assert CliRunner().invoke(app, ["lab", "9", "--run"]).exit_code == 1


def test_a_students_copy_is_never_overwritten(tmp_path, monkeypatch):
    source = tmp_path / "1_match.py"
    source.write_text((LAB / "1_match.py").read_text())
    monkeypatch.setattr(lab, "list_lessons", lambda: {"1_match": source})
    copy = open_lesson("1_match")
    copy.write_text("mine")
    assert open_lesson("1_match").read_text() == "mine"


def test_where_the_project_is_published_a_copy_sets_colab_up(tmp_path, monkeypatch):
    source = tmp_path / "1_match.py"
    source.write_text((LAB / "1_match.py").read_text())
    monkeypatch.setattr(lab, "list_lessons", lambda: {"1_match": source})
    cell = nbformat.read(open_lesson("1_match", "https://example.org/l"), as_version=4).cells[1]
    assert "git clone --depth 1 https://example.org/l" in cell.source
    TransformerManager().transform_cell(cell.source)  # IPython can read it


def test_the_walk_counts_what_is_shown_unfolded(tmp_path, monkeypatch):
    page, times = tmp_path / "3_train.ipynb", tmp_path / "times.json"
    hidden = nbformat.v4.new_code_cell("not counted here", metadata={"tags": ["hide-cell"]})
    quiet = nbformat.v4.new_code_cell("nor = here", metadata={"tags": ["hide-input"]})
    quiet.outputs = [
        nbformat.v4.new_output("display_data", {"text/html": "<p>four words of output"})
    ]
    asked = nbformat.v4.new_code_cell("my_gain = None")
    asked.outputs = [picture("red")]
    cells = [nbformat.v4.new_markdown_cell("# Three words here"), hidden, quiet, asked]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), page)
    assert walk.count_page(page) == {"words": 3 + 4 + 2, "figures": 1, "answers": 1}
    assert "No full run" in walk.describe_walk(times, [page])
    times.write_text(json.dumps([{"lesson": "3_train", "seconds": 90, "processor_s": 60}]))
    monkeypatch.setattr(walk, "FORMS", {"1 hour": (60, "3", True)})
    lines = walk.describe_walk(times, [page]).splitlines()
    assert lines[-1] == "| 1 hour | 3 | 2 | 58 |"  # trained before: less the minute of the machine
    row = lines[4]
    assert row == "| 3 | 9 | 1 | 1 | 0.5 | 1.0 | 1.0 | **2.5** |"


def test_pages_share_a_kernel_but_no_names(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "notebook_source", lambda name: tmp_path / name)
    (tmp_path / "a.py").write_text("# %% [markdown]\n# # A\n# %%\nx = 1\nimport os; os.getpid()\n")
    (tmp_path / "b.py").write_text(
        "# %% [markdown]\n# # B\n# %%\nprint('x' in globals())\nimport os; os.getpid()\n"
    )
    with notebooks.warm_kernel(tmp_path) as clear:
        pages = [
            notebooks.execute_notebook(n, {}, tmp_path / f"{n}.ipynb", clear())
            for n in ("a.py", "b.py")
        ]
    first, second = (nbformat.read(page, as_version=4).cells[1].outputs for page in pages)
    assert second[0].text == "False\n"
    assert first[0].data["text/plain"] == second[1].data["text/plain"]  # one process
