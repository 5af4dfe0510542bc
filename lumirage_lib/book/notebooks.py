"""Running the notebooks: jupytext source -> parameters checked -> papermill -> a page of the book."""

import ast
import contextlib
import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from ..files import read_yaml, replacing
from ..runs.profiles import load_profile, project_root

TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}


def notebook_source(name: str) -> Path:
    """The jupytext file of a notebook."""
    folder = project_root() / "notebooks"
    found = [*sorted(folder.glob("[0-9]*.py")), *sorted(folder.glob("lab/[0-9]*.py"))]
    there = {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}
    if name not in there:
        raise InputError(f"no notebook {name!r}; there are {', '.join(there)}")
    return there[name]


def read_parameters(name: str) -> dict[str, tuple[type, object, str]]:
    """Name -> (type, default, help) of the typed assignments in a notebook's parameters cell.

    Raises
    ------
    InputError
        The notebook has no cell tagged "parameters", or an assignment without type.
    """
    text = notebook_source(name).read_text()
    cell = re.search(r'^# %%[^\n]*"parameters"[^\n]*\n(.*?)(?=^# %%|\Z)', text, re.M | re.S)
    if cell is None:
        raise InputError(f"{name}: no cell is tagged parameters")
    lines, found = cell.group(1).splitlines(), {}
    for node in ast.parse(cell.group(1)).body:
        if (
            not isinstance(node, ast.AnnAssign)
            or not isinstance(node.target, ast.Name)
            or not node.value
        ):
            raise InputError(f"{name}: line {node.lineno} of the parameters cell is no typed value")
        _, _, comment = lines[(node.end_lineno or node.lineno) - 1].partition("  # ")
        kind = TYPES[ast.unparse(node.annotation).split("[")[0]]
        found[node.target.id] = (kind, ast.literal_eval(node.value), comment.strip())
    return found


def _convert(name: str, kind: type, value, default):
    if isinstance(value, str) and kind is not str:  # from the command line
        value = read_yaml(value, f"parameter {name}")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(
            f"parameter {name}: expected {kind.__name__}, got {value!r} ({type(value).__name__})"
        )
    if kind in (int, float) and not value >= min(0, default):
        raise InputError(f"parameter {name}: expected 0 or more, got {value!r}")
    return value


def resolve_parameters(name: str, profile: str, given: Mapping | None = None) -> dict:
    """Defaults of the notebook, then the profile, then what was given; all checked.

    Raises
    ------
    InputError
        An unknown parameter, a value of the wrong type, or a negative number.
    """
    known = read_parameters(name)
    if (given or {}).get("profile", profile) != profile:
        raise InputError("parameter profile: rows would go to another store; choose it with -p")
    values = {**load_profile(name, profile), **(given or {})}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(
            f"{name}: no parameter {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )
    return {
        key: _convert(key, kind, values.get(key, default), default)
        for key, (kind, default, _) in known.items()
    }


LONGEST = 1000  # characters of an exception of a cell that are told
# A kernel is interrupted to end it, and would call that an error on the terminal.
QUIET = ["--log-level=CRITICAL"]
# What every page imports, while this process is still busy with other things.
PRELOAD = "import lumirage_lib.book.pages, lumirage_lib.experiments.charts"
# What tells the pages of one notebook apart.
ABOUT_PAGE = ("of", "headline", "landing")  # what an output says of its whole page
TITLES = {"demo": " (live demo)", "smoke": " (smoke run)"}


def execute_notebook(name: str, parameters: Mapping, output: Path, kernel=None) -> Path:
    """Execute by papermill, in this process's environment, and write a page for the book.

    `kernel`, of :func:`warm_kernel`, is used and left running; without one, a kernel is started for the page.

    Figures that the notebook showed with :func:`lumirage_lib.book.pages.show` get their caption, name and
    alternative text as cell metadata, which is how the book makes numbered figures of them. The page
    is whole or as it was before; a notebook that failed stays beside it, as far as it came.

    Raises
    ------
    InputError
        A cell failed, or the page cannot be written.
    """
    if kernel is None:
        with warm_kernel(output.parent) as clear:
            return execute_notebook(name, parameters, output, clear())
    import jupytext
    import nbformat
    import papermill

    source = jupytext.read(notebook_source(name))
    source.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with replacing(output) as draft:
            nbformat.write(source, draft)
            try:
                papermill.execute_notebook(
                    str(draft),
                    str(draft),
                    dict(parameters),
                    kernel_name="python3",
                    progress_bar=False,
                    km=kernel,
                )
            except papermill.PapermillExecutionError as error:
                failed = output.with_suffix(".failed.ipynb")
                os.replace(draft, failed)
                raise InputError(
                    f"notebook {name} failed in cell {error.exec_count}: {error.ename}: "
                    f"{error.evalue[:LONGEST]}\nthe notebook as far as it came: {failed}"
                ) from error
            page = nbformat.read(draft, as_version=4)
            nbformat.write(_as_page(page, TITLES.get(parameters.get("profile", ""), "")), draft)
    except OSError as error:
        raise InputError(f"{output}: the page cannot be written ({error.strerror})") from error
    return output


@contextlib.contextmanager
def warm_kernel(cwd: Path):
    """A kernel that short pages take in turn: what they import takes longer than what they do.

    Yields a function that forgets all names of the page before and returns the kernel's manager. The kernel
    starts while the caller goes on; the function waits for it.
    """
    # A grammar of addresses that jsonschema builds where it can takes a second, and notebooks have none.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from jupyter_client.manager import KernelManager

    with environment(of_kernels()):
        manager = KernelManager(kernel_name="python3", config=_kernel_config())
        manager.start_kernel(cwd=str(cwd), extra_arguments=QUIET)
    client = manager.blocking_client()

    def clear() -> KernelManager:
        import papermill  # noqa: F401 - rather now than when the kernel waits for it

        client.wait_for_ready(timeout=60)
        client.execute_interactive("%reset -f", silent=True, output_hook=lambda message: None)
        return manager

    try:
        client.start_channels()
        client.execute(PRELOAD, silent=True)
        yield clear
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _kernel_config():
    """Encrypt what goes between this process and the kernel, where ZeroMQ was built for it.

    Else other users of the machine can read it, of which the kernel warns on every page. Unix sockets
    would do too, but not under a home folder whose path is longer than about sixty characters.
    """
    import zmq
    from traitlets.config import Config

    return Config(
        KernelManager={"transport_encryption": "auto" if zmq.has("curve") else "disabled"}
    )


def of_kernels() -> dict[str, str]:
    """Variables of a kernel, which works in another folder: a relative path means there what it does here."""
    folders = {
        name: os.path.abspath(os.path.expanduser(value))
        for name, value in os.environ.items()
        if re.fullmatch(r"LUMIRAGE_(MIRROR|CACHE|STORE|DATA_\w+)", name)
        and value
        and "://" not in value
    }
    return {**folders, "LUMIRAGE_ROOT": str(project_root()), "PYTHONWARNINGS": "ignore"}


@contextlib.contextmanager
def environment(values: Mapping[str, str]):
    """Variables of the environment within, and as they were after."""
    before = {k: os.environ.get(k) for k in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key)
            else:
                os.environ[key] = value


def _as_page(notebook, suffix: str):
    """Turn what papermill left into what the book renders; `suffix` joins the title.

    Results come first: the parameters are left out, for a table says the same, and the cell that reads the
    run ("setup") stands where the page says how it was made ("making").
    """
    cells, setup, about_page = [], [], dict[str, str]()
    moves = any("making" in cell.metadata.get("tags", []) for cell in notebook.cells)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if {"parameters", "injected-parameters"}.intersection(tags):
            continue
        kept = []
        for output in cell.get("outputs", []):
            about = output.get("metadata", {}).get("lumirage", {})
            about_page |= {k: v for k, v in about.items() if k in ABOUT_PAGE}
            if about.get("caption_text"):
                continue  # the caption below the figure, for those who read the notebook itself
            if "name" in about:
                cell.metadata["mystnb"] = {
                    "figure": {"name": about["name"], "caption": about["caption"]},
                    "image": {"alt": about["alt"], "width": about["width"]},
                }
            kept.append(output)
        if "outputs" in cell:
            cell.outputs = kept
        if "setup" in tags and moves:
            setup.append(cell)
        else:
            cells += [*setup, cell] if "making" in tags else [cell]
    title, *rest = cells[0].source.split("\n")
    of = about_page.pop("of", "")
    suffix = suffix.replace(")", f": {of})") if suffix and of else suffix
    cells[0].source = "\n".join([title + suffix, *rest])
    notebook.cells = cells
    notebook.metadata.pop("papermill", None)
    notebook.metadata["lumirage"] = about_page
    return notebook
