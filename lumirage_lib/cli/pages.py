"""Run a notebook, build the book."""

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from ..files import check_file
from ..runs import profiles
from ._console import (
    ClusterOption,
    MemoryOption,
    ProfileOption,
    RetryOption,
    SchedulerOption,
    WorkersOption,
    console,
    errors,
    open_executor,
    parse_given,
    show_progress,
)

app = typer.Typer()


def fill_store(
    notebook: str,
    parameters: dict,
    fetch: bool,
    *,
    retry_failed: bool = False,
    memory_mb: float | None = None,
    executor: Any = None,
) -> None:
    """Fill the store for one notebook, with a bar, and say what was reused, new and failed."""
    from .. import experiments
    from ..cohorts.sources import fetch_all, is_local
    from ..runs.compute import needs, pending

    declared = notebook in experiments.EXPERIMENTS
    entries = experiments.plan_notebook(notebook, parameters) if declared else []
    tasks = experiments.list_tasks(entries)
    if not tasks:
        where = f"{notebook}, profile {parameters['profile']}"
        console.print(f"{where}: asks for no registrations; its page draws what others stored")
        return
    how: dict[str, Any] = {"retry_failed": retry_failed, "memory_mb": memory_mb}
    todo = pending(tasks, profiles.store_path(parameters["profile"]), **how)
    if fetch and todo:
        fetch_all([s for s in needs(todo) if not is_local(s)])
    title = f"{notebook} {parameters['profile']}"
    quiet = contextlib.nullcontext(lambda row: None)
    with show_progress(len(todo), title) if todo else quiet as on_row:
        counts = experiments.compute_notebook(
            notebook, parameters, on_row, executor=executor, **how
        )
    console.print(", ".join(f"{value} {name}" for name, value in counts.items()))
    if counts["skipped"]:
        console.print("skipped: to be computed by `lumirage run`, with what it needs (--fetch)")


@app.command()
def run(
    notebook: Annotated[str, typer.Argument(help="Name of a notebook, e.g. 01_in_distribution.")],
    profile: ProfileOption = "demo",
    parameter: Annotated[
        list[str] | None, typer.Option("--set", "-P", metavar="NAME=VALUE", help="Override one.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The executed page.")
    ] = None,
    compute_only: Annotated[bool, typer.Option(help="Fill the store, draw no page.")] = False,
    fetch: Annotated[bool, typer.Option(help="Download public images and weights first.")] = False,
    retry_failed: RetryOption = False,
    memory: MemoryOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Compute what a notebook lacks (resumable) and execute it by papermill."""
    from ..book import notebooks

    parameters = notebooks.resolve_parameters(notebook, profile, parse_given(parameter))
    folder = profiles.project_root() / "book" / "experiments"
    page = output or folder / f"{notebook}_{profile}.ipynb"
    if not compute_only:
        check_file(page)
    how: dict[str, Any] = {"retry_failed": retry_failed, "memory_mb": memory}
    # It starts meanwhile.
    kernel = contextlib.nullcontext() if compute_only else notebooks.warm_kernel(page.parent)
    with kernel as clear:
        with open_executor(scheduler, cluster, workers) as executor:
            fill_store(notebook, parameters, fetch, executor=executor, **how)
        if clear is not None:
            page = notebooks.execute_notebook(notebook, parameters, page, clear())
            console.print(f"page: {page}")


@app.command()
def book(
    profiles: Annotated[str, typer.Option(help="Profiles whose pages the book has.")] = "open,demo",
    recompute: Annotated[bool, typer.Option(help="Execute pages that are up to date.")] = False,
) -> None:
    """Execute the notebooks whose pages are out of date and build the book into _build/html."""
    from ..book.build import build
    from ..book.notebooks import environment
    from ..runs.profiles import DRAW_ONLY

    with environment({DRAW_ONLY: "1"}):
        index = build(profiles.split(","), recompute=recompute, console=errors, run=run)
    console.print(f"book: {index}")
