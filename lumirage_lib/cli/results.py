"""The results store and its exports."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from ..files import check_folder, replacing
from ..runs import profiles
from ._console import (
    ClusterOption,
    MemoryOption,
    ProfileOption,
    RetryOption,
    SchedulerOption,
    WorkersOption,
    console,
    open_executor,
)
from .pages import fill_store

app = typer.Typer(no_args_is_help=True, help="The results store and its exports.")


@app.command("status")
def results_status(profile: ProfileOption = "open") -> None:
    """What the store of a profile holds, and what its notebooks still lack."""
    from .. import experiments
    from ..book import notebooks
    from ..runs.compute import pending
    from ..runs.store import read_registrations

    store = profiles.store_path(profile)
    table = read_registrations(store)
    if not table.empty:
        console.print(table.pivot_table("key", ["cohort", "method"], "status", "count").to_string())
    for notebook in profiles.notebooks_of(profile):
        if notebook in experiments.EXPERIMENTS:
            parameters = notebooks.resolve_parameters(notebook, profile)
            tasks = experiments.list_tasks(experiments.plan_notebook(notebook, parameters))
            todo = len(pending(tasks, store))
            console.print(f"{notebook}: {len(tasks) - todo} of {len(tasks)} registrations there")


@app.command("compute")
def results_compute(
    profile: ProfileOption = "open",
    retry_failed: RetryOption = False,
    memory: MemoryOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Compute what the notebooks of a profile still lack, resumably, fetching what they need."""
    from ..book import notebooks

    how: dict[str, Any] = {"retry_failed": retry_failed, "memory_mb": memory}
    with open_executor(scheduler, cluster, workers) as executor:
        for notebook in profiles.notebooks_of(profile):
            console.print(notebook)
            parameters = notebooks.resolve_parameters(notebook, profile)
            fill_store(notebook, parameters, True, executor=executor, **how)


@app.command("export")
def results_export(
    folder: Annotated[Path | None, typer.Argument(help="Default: results/PROFILE.")] = None,
    profile: ProfileOption = "open",
) -> None:
    """Write the store of a profile as Parquet, described by run.json and as a research object."""
    from ..book import notebooks
    from ..runs.crate import write_crate
    from ..runs.provenance import describe_run
    from ..runs.store import export_store, read_answers
    from ..runs.verify import write_digests

    store = profiles.store_path(profile)
    if not read_answers(store):
        raise InputError(f"{store}: holds no registration yet; `lumirage run` fills it")
    folder = check_folder(folder or profiles.project_root() / "results" / profile)
    parameters = {
        name: notebooks.resolve_parameters(name, profile) for name in profiles.notebooks_of(profile)
    }
    run = describe_run(profile, parameters)
    counts = export_store(store, folder, run)
    _draw_overview(profile, folder / "01_in_distribution_dice.png")
    write_digests(folder)
    write_crate(folder)
    console.print(", ".join(f"{n} {name}" for name, n in counts.items()) + f" -> {folder}")


def _draw_overview(profile: str, path: Path) -> None:
    """The one figure of the README, from the rows of notebook 01."""
    from .. import experiments
    from ..book import notebooks
    from ..experiments.in_distribution import figures

    parameters = notebooks.resolve_parameters("01_in_distribution", profile)
    table = experiments.load("01_in_distribution", parameters).registrations
    if not table.empty:
        figure = figures.plot_dice_by_method(table)
        with replacing(path) as part:
            figure.savefig(part, dpi=110)


@app.command("import")
def results_import(folder: Path, profile: ProfileOption = "open") -> None:
    """Merge an export into the store of a profile, without duplicates or loss."""
    from ..runs.store import import_store

    added = import_store(folder, profiles.store_path(profile))
    console.print(", ".join(f"{n} {name} added" for name, n in added.items()))
