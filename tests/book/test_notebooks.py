"""Parameters of notebooks, and what papermill's result becomes."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import nbformat
import pytest

from lumirage_lib import experiments
from lumirage_lib.book import notebooks
from lumirage_lib.errors import InputError
from lumirage_lib.experiments import run as running
from lumirage_lib.runs import profiles
from lumirage_lib.runs.store import read_registrations

ROOT = profiles.project_root()
NAMES = sorted(p.stem for p in (ROOT / "notebooks").glob("[0-9]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_type_and_comment(name):
    parameters = notebooks.read_parameters(name)
    assert "profile" in parameters
    assert all(isinstance(value, kind) for kind, value, _ in parameters.values())
    assert all(comment for _, _, comment in parameters.values())


@pytest.mark.parametrize("profile", ["smoke", "demo", "open"])
def test_every_profile_resolves(profile):
    for name in profiles.notebooks_of(profile):
        assert notebooks.resolve_parameters(name, profile)["profile"] == profile


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_pair": 3}, "no parameter n_pair"),
        ({"n_pairs": "many"}, "expected int, got 'many'"),
        ({"n_pairs": 2.5}, "expected int"),
        ({"n_pairs": True}, "expected int"),
        ({"methods": "greedy"}, "expected list"),
    ],
)
def test_bad_parameters_are_refused_by_name(given, message):
    with pytest.raises(InputError, match=message):
        notebooks.resolve_parameters("01_in_distribution", "smoke", given)


def test_command_line_text_becomes_typed_values():
    given = {"n_pairs": "3", "methods": "[affine, greedy]", "margin": "1"}
    found = notebooks.resolve_parameters("01_in_distribution", "smoke", given)
    assert found["n_pairs"] == 3
    assert found["methods"] == ["affine", "greedy"]
    assert isinstance(found["margin"], float)


@pytest.mark.parametrize(("name", "profile"), [("99_nothing", "demo"), ("01_in_distribution", "x")])
def test_unknown_notebook_or_profile_lists_those_there_are(name, profile):
    with pytest.raises(InputError, match=r"01_in_distribution|demo"):
        notebooks.resolve_parameters(name, profile)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of this call alone, empty at first, which the notebooks share: all in it is new."""
    folder, begun = (
        tmp_path_factory.mktemp("store"),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    yield folder
    rows = read_registrations(folder / "smoke.sqlite")
    print(f"\nsmoke road: {len(rows)} registrations computed since {begun}")
    assert rows["finished"].min() >= begun


@pytest.fixture(scope="module")
def kernel(store):
    """One for all notebooks but the first, which has one of its own."""
    stack = contextlib.ExitStack()
    with notebooks.environment({"LUMIRAGE_STORE": str(store)}):  # which the kernel inherits
        clear = stack.enter_context(notebooks.warm_kernel(store))
    with stack:
        yield clear


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_smoke_profile_executes(name, tmp_path, store, kernel, monkeypatch, capfd):
    """The whole road: plan, children, store, papermill, page with captioned figures."""
    monkeypatch.setenv("LUMIRAGE_STORE", str(store))
    published = sorted(p.stat().st_mtime_ns for p in (ROOT / "store").glob("smoke*"))
    parameters = notebooks.resolve_parameters(name, "smoke")
    shared = None if name == NAMES[0] else kernel()
    page = notebooks.execute_notebook(name, parameters, tmp_path / "page.ipynb", shared)
    said = capfd.readouterr().err
    assert "without encryption" not in said
    assert "ERROR" not in said  # the kernel is interrupted to end it
    cells = nbformat.read(page, as_version=4).cells
    assert cells[0].source.startswith("# ")
    assert " (smoke run" in cells[0].source.split("\n")[0]
    figures = [c.metadata["mystnb"] for c in cells if "mystnb" in c.metadata]
    assert figures
    assert all(f["figure"]["caption"] and f["image"]["alt"] for f in figures)
    assert [f for f in figures if "subject" not in f["figure"]["caption"]] == []
    assert not [o for c in cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert (store / "smoke.sqlite").exists()
    assert sorted(p.stat().st_mtime_ns for p in (ROOT / "store").glob("smoke*")) == published
    assert [p.name for p in tmp_path.glob("*.ipynb")] == ["page.ipynb"]
    assert not list(tmp_path.glob(".*"))


def end_with(project, cell: str) -> str:
    """A notebook of the small project that ends with a cell."""
    source = project / "notebooks" / "00_small.py"
    source.write_text(source.read_text() + f"\n# %%\n{cell}\n")
    return "00_small"


def test_relative_folders_of_the_caller_are_those_of_the_kernel(project, tmp_path, monkeypatch):
    """The kernel works where the page lies; an address stays an address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUMIRAGE_STORE", "my/store")
    monkeypatch.setenv("LUMIRAGE_DATA_LUMIR", "../brains")
    monkeypatch.setenv("LUMIRAGE_MIRROR", "https://example.org/mirror")
    monkeypatch.setenv("LUMIRAGE_CACHE", "")
    names = [f"LUMIRAGE_{name}" for name in ("STORE", "DATA_LUMIR", "MIRROR", "CACHE")]
    name = end_with(project, f"import os\nprint([os.environ[name] for name in {names}])")
    (tmp_path / "pages").mkdir()
    page = tmp_path / "pages" / "page.ipynb"
    notebooks.execute_notebook(name, {"profile": "demo"}, page)
    (said,) = [c for c in nbformat.read(page, as_version=4).cells if "os.environ" in c.source]
    expected = [
        f"{tmp_path}/my/store",
        f"{tmp_path.parent}/brains",
        "https://example.org/mirror",
        "",
    ]
    assert said.outputs[0].text.strip() == str(expected)


def test_a_notebook_that_fails_keeps_the_page_and_stays_as_far_as_it_came(project, tmp_path):
    name = end_with(project, "raise ValueError('x' * 10_000_000)")
    page = tmp_path / "page.ipynb"
    page.write_text("the page before")
    with pytest.raises(InputError, match=r"00_small failed in cell .*ValueError: xxx") as told:
        notebooks.execute_notebook(name, {"profile": "demo"}, page)
    assert len(str(told.value)) < 2000
    assert page.read_text() == "the page before"
    assert [p.name for p in tmp_path.glob("*page*")].count("page.failed.ipynb") == 1
    assert not list(tmp_path.glob(".*"))


def test_an_interrupted_notebook_leaves_nothing(project, tmp_path, monkeypatch):
    import papermill

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", interrupt)
    (tmp_path / "pages").mkdir()
    with pytest.raises(KeyboardInterrupt):
        notebooks.execute_notebook("00_small", {"profile": "demo"}, tmp_path / "pages" / "p.ipynb")
    assert not list((tmp_path / "pages").iterdir())


def test_a_book_draws_published_runs_and_never_computes_them(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "store_path", lambda profile: tmp_path / "s.sqlite")
    monkeypatch.setenv(profiles.DRAW_ONLY, "1")
    parameters = notebooks.resolve_parameters("01_in_distribution", "open")
    counts = experiments.compute_notebook("01_in_distribution", parameters)
    planned = len(experiments.plan_notebook("01_in_distribution", parameters))
    assert counts == {"reused": 0, "new": 0, "failed": 0, "skipped": planned}


def test_results_come_first_and_the_title_says_what_is_in_the_images():
    def cell(source: str, *tags: str, **about):
        output = nbformat.v4.new_output("display_data", metadata={"lumirage": about})
        made = nbformat.v4.new_code_cell(source, outputs=[output])
        made.metadata["tags"] = list(tags)
        return made

    page = notebooks._as_page(
        nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell("# Macaques\n\nA question."),
                cell("n = 1", "parameters"),
                cell("run = 2", "setup"),
                cell("say(run)", of="shrunk brains"),
                cell("show_making()", "making"),
            ]
        ),
        " (live demo)",
    )
    assert page.cells[0].source.startswith("# Macaques (live demo: shrunk brains)\n")
    assert [c.source for c in page.cells[1:]] == ["say(run)", "run = 2", "show_making()"]
