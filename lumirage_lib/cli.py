"""The `lumirage` command. Exit codes: 0 done, 1 refused or failed (one sentence on stderr), 2 usage."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .errors import InputError, LumirageError, RegistrationError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Rerun, extend and check the LUMirage evaluation of brain image registration.",
)
data_app = typer.Typer(no_args_is_help=True, help="Public files: list, fetch, check.")
results_app = typer.Typer(no_args_is_help=True, help="The results store and its exports.")
app.add_typer(data_app, name="data")
weights_app = typer.Typer(no_args_is_help=True, help="Weights on this machine: list, add.")
app.add_typer(results_app, name="results")
app.add_typer(weights_app, name="weights")
console, errors = Console(), Console(stderr=True)

ProfileOption = Annotated[
    str,
    typer.Option("--profile", "-p", help="Column of experiments.yml: smoke, demo, open, paper."),
]


def main() -> None:
    """Entry point: one clear sentence instead of a traceback for what the library refuses."""
    try:
        app()
    except LumirageError as error:
        errors.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print(
            "interrupted; what was finished is stored, the same command goes on from there"
        )
        sys.exit(130)


@contextlib.contextmanager
def _progress(total: int, title: str):
    """A bar that shows the last pair and method, mean Dice so far and the time left."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    values = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("{task.fields[last]}"),
        console=errors,
    ) as bar:
        task = bar.add_task(title, total=total, last="")

        def on_row(row: dict) -> None:
            if row["status"] == "ok":
                values.append(row["measures"]["dice"])
                shown = f"Dice {values[-1]:.3f}, mean {sum(values) / len(values):.3f}"
            else:
                shown = f"[red]{row['status']}[/]: {row['reason']}"
            bar.update(
                task, advance=1, last=f"{row['moving']}→{row['fixed']} {row['method']} {shown}"
            )
            if not errors.is_terminal:
                errors.print(f"{row['moving']}->{row['fixed']} {row['method']}: {shown}")

        yield on_row


def _given(items: list[str] | None) -> dict[str, str]:
    given = {}
    for item in items or []:
        name, separator, value = item.partition("=")
        if not separator:
            raise InputError(f"-P {item!r}: expected NAME=VALUE, e.g. -P n_pairs=4")
        given[name] = value
    return given


def _compute(notebook: str, parameters: dict, fetch: bool) -> None:
    """Fill the store for one notebook, with a bar, and say what was reused, new and failed."""
    from . import evaluate, experiments
    from .sources import fetch_all, is_local

    if notebook not in experiments.PLANS:
        return
    tasks = experiments.plan_notebook(notebook, parameters)
    todo = evaluate.pending(tasks, experiments.store_path(parameters["profile"]))
    counts = {"reused": len(tasks), "new": 0, "failed": 0, "skipped": 0}
    if todo:
        if fetch:
            fetch_all([s for s in evaluate.needs(todo) if not is_local(s)])
        with _progress(len(todo), f"{notebook} {parameters['profile']}") as on_row:
            counts = experiments.compute_notebook(notebook, parameters, on_row)
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
) -> None:
    """Compute what a notebook lacks (resumable) and execute it by papermill."""
    from . import experiments, notebooks

    parameters = notebooks.resolve_parameters(notebook, profile, _given(parameter))
    _compute(notebook, parameters, fetch)
    if not compute_only:
        folder = experiments.project_root() / "book" / "experiments"
        page = output or folder / f"{notebook}_{profile}.ipynb"
        console.print(f"page: {notebooks.execute_notebook(notebook, parameters, page)}")


@app.command()
def book(
    profiles: Annotated[str, typer.Option(help="Profiles whose pages the book has.")] = "open,demo",
    recompute: Annotated[bool, typer.Option(help="Execute pages that are up to date.")] = False,
) -> None:
    """Execute the notebooks whose pages are out of date and build the book into _build/html."""
    from . import book as builder
    from . import experiments

    os.environ[experiments.DRAW_ONLY] = "1"
    index = builder.build(profiles.split(","), recompute=recompute, console=errors, run=run)
    console.print(f"book: {index}")


@app.command()
def methods() -> None:
    """The registered methods: family, parameters, what they need."""
    from .methods import ADDABLE, list_methods, missing

    table = Table(show_lines=False)
    for column in ("method", "family", "sees", "here"):
        table.add_column(column, no_wrap=column != "here")
    table.add_column("parameters", overflow="fold")
    for spec in list_methods():
        need = spec.input
        grid = "x".join(map(str, need.grid)) if need.grid else "any grid"
        parameters = " ".join(f"{k}={v}".replace(", ", ",") for k, v in spec.parameters.items())
        here = missing(spec) or "yes"
        table.add_row(spec.id, spec.family, f"{need.orientation} {grid}", here, parameters)
    console.print(table)
    for name in ADDABLE.keys() - {spec.id for spec in list_methods()}:
        console.print(f"{name}: {ADDABLE[name]}", highlight=False, soft_wrap=True)


@app.command()
def register(
    fixed: Annotated[Path, typer.Argument(help="Fixed image, NIfTI.")],
    moving: Annotated[Path, typer.Argument(help="Moving image, NIfTI.")],
    method: Annotated[
        str, typer.Option("--method", "-m", help="See `lumirage methods`.")
    ] = "greedy",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result.")] = Path("out"),
    moving_labels: Annotated[Path | None, typer.Option(help="Label map to carry along.")] = None,
    fixed_labels: Annotated[Path | None, typer.Option(help="To report Dice.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", "-P", metavar="NAME=VALUE", help="Method parameter."),
    ] = None,
    threads: Annotated[int, typer.Option(help="0: as many as there are cores.")] = 0,
) -> None:
    """Register two images: moved image, displacement, moved labels and a line of summary."""
    import yaml

    from .register import register_files

    given = {name: yaml.safe_load(value) for name, value in _given(parameter).items()}
    done = register_files(
        fixed,
        moving,
        method,
        out,
        moving_labels=moving_labels,
        fixed_labels=fixed_labels,
        parameters=given,
        threads=threads or os.cpu_count(),
    )
    line = (
        f"{method}: {done.usage.seconds:.1f} s, {done.usage.peak_mb:.0f} MB; correlation "
        f"{done.correlation_before:.3f} -> {done.correlation_after:.3f} after the affine"
    )
    if done.n_labels:
        line += (
            f"; mean Dice of {done.n_labels} labels {done.dice_before:.3f} -> {done.dice_after:.3f}"
        )
    console.print(line, highlight=False, soft_wrap=True)
    console.print(f"written: {out}/", highlight=False)


@app.command()
def memory(
    network: Annotated[str, typer.Argument(help="Network, e.g. clapirn, lapirn-disp, vfa.")],
    shape: Annotated[
        tuple[int, int, int], typer.Option(help="Grid of both images.", metavar="X Y Z")
    ] = (160, 192, 224),
    measure: Annotated[bool, typer.Option(help="Run it too, in a process of its own.")] = False,
    whole: Annotated[bool, typer.Option(help="Convolve whole volumes, not slabs.")] = False,
) -> None:
    """Peak memory of one inference on one processor thread: predicted, without computing anything."""
    from .memory import measure_peak, predict

    found = predict(network, shape, whole=whole)
    console.print(
        f"predicted {found.peak_mb:.0f} MB: tensors {found.graph_mb:.0f}, convolution library "
        f"{found.library_mb:.0f}, process {found.process_mb:.0f}",
        highlight=False,
        soft_wrap=True,
    )
    if measure:
        done = measure_peak(network, shape, whole=whole)
        if done.status != "ok":
            raise RegistrationError(f"{network} on {shape}: {done.reason}", status=done.status)
        error = 100 * (found.peak_mb / done.value.peak_mb - 1)
        console.print(
            f"measured {done.value.peak_mb:.0f} MB in {done.value.cpu_seconds:.1f} s of processor "
            f"time; the prediction is off by {error:+.1f} %",
            highlight=False,
            soft_wrap=True,
        )


@app.command()
def score(
    displacements: Annotated[Path, typer.Argument(help="Folder of disp_FIXED_MOVING.nii.gz.")],
    ground_truth: Annotated[Path, typer.Argument(help="The challenge's JSON: pairs and labels.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables.")] = Path("score"),
    protocol: Annotated[str, typer.Option(help="lumir24 or default.")] = "default",
) -> None:
    """Score a folder of displacement fields, resumably, as the LUMIR challenge does or by default."""
    from .score import list_problems, score_folder

    table = score_folder(displacements, ground_truth, out, protocol)
    numbers = table.select_dtypes("number")
    if not numbers.empty:
        shown = numbers.describe().loc[["count", "mean", "std", "min", "max"]]
        console.print(shown.T.round(4).to_string(), highlight=False)
    problems = list_problems(table)
    for line in problems:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"written: {out}/", highlight=False)
    if problems:
        raise typer.Exit(1)


@app.command()
def train(
    network: Annotated[str, typer.Argument(help="What to train: vfa.")] = "vfa",
    recipe: Annotated[str, typer.Option(help="cpu-2mm or gpu-1mm.")] = "cpu-2mm",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")] = Path("training"),
    hours: Annotated[float | None, typer.Option(help="Stop after; default: the recipe's.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Stop at this iteration.")] = None,
    seed: int = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the folder's checkpoint.")] = False,
    threads: Annotated[int, typer.Option(help="0: as many as there are cores.")] = 0,
) -> None:
    """Train a network on the OASIS training scans; interrupted, it goes on with --resume."""
    import torch

    from . import training
    from .cohorts import get_cohort

    if network != "vfa":
        raise InputError(f"expected the network vfa, got {network!r}; the others come trained")
    torch.set_num_threads(threads or os.cpu_count())
    cohort = get_cohort("oasis")
    state = training.train(
        cohort,
        training.get_recipe(recipe),
        out,
        seed=seed,
        hours=hours,
        iterations=iterations,
        resume=resume,
        report=lambda line: console.print(line, highlight=False, soft_wrap=True),
    )
    _describe_training(out, cohort, state.history)
    console.print(f"{state.iteration} iterations; written: {out}/", highlight=False)


def _describe_training(out: Path, cohort, history: list) -> None:
    """Model card and curves beside the weights of a run."""
    import pandas as pd
    import torch

    from .evaluate import hardware
    from .figures import plot_training
    from .training.card import make_card

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else hardware()
    environment = {
        "hardware": f"{device}, {torch.get_num_threads()} threads, shared with other work",
        "software": f"torch {torch.__version__}",
    }
    (out / "vfa.md").write_text(make_card(out, cohort, environment), encoding="utf-8")
    plot_training(pd.DataFrame(history)).savefig(out / "curves.png", dpi=110)


@weights_app.command("list")
def weights_list() -> None:
    """Weights that ship with the library and those that were added."""
    from .networks.local import find_local

    for local in find_local().values():
        about = ", ".join(f"{key} {value}" for key, value in local.about.items())
        head = f"{local.name}: {local.source.size_mb:.1f} MB, sha256 {local.source.sha256}"
        console.print(head, highlight=False, soft_wrap=True)
        console.print(f"  {about}\n  in {local.source.folder}", highlight=False, soft_wrap=True)


@weights_app.command("add")
def weights_add(
    network: Annotated[str, typer.Argument(help="Which network: vfa.")],
    path: Annotated[Path, typer.Argument(help="Checkpoint: PyTorch file or safetensors.")],
    params: Annotated[
        Path | None, typer.Option(help="Its params.json, to check the sizes against.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the new method.")] = "vfa-lumir",
    spacing_mm: Annotated[float, typer.Option(help="Voxel size of its training images.")] = 1.0,
    grid: Annotated[str, typer.Option(help="Their shape, right-left x ... .")] = "160x224x192",
    licence: Annotated[str, typer.Option(help="On what terms you have it.")] = "not stated",
) -> None:
    """Check a checkpoint, keep it as safetensors, and make a method of it."""
    from .methods import METHODS
    from .networks.local import add_weights

    about = {"spacing_mm": str(spacing_mm), "grid": grid, "licence": licence}
    local = add_weights(network, path, name, about, params, METHODS)
    where = f"{local.source.folder}/{local.source.path}"
    console.print(f"added {local.name}: {where}", highlight=False, soft_wrap=True)


@data_app.command("list")
def data_list(repository: Annotated[str | None, typer.Argument()] = None) -> None:
    """Repositories with number of files, size and licence; with a repository, its files."""
    from .sources import check_sources

    table = check_sources(repository)
    if repository is None:
        table["repository"] = table["name"].str.split("/").str[:2].str.join("/")
        groups = table.groupby("repository").agg(
            files=("name", "size"),
            size_mb=("size_mb", "sum"),
            here=("state", lambda s: int((s == "present").sum())),
            licence=("licence", lambda s: ", ".join(sorted(set(s)))),
        )
        table = groups.reset_index()
    console.print(table.round(1).to_string(index=False), soft_wrap=True, highlight=False)


@data_app.command("fetch")
def data_fetch(repository: Annotated[str, typer.Argument(help="owner/name")]) -> None:
    """Fetch all files of a repository, verified; its size and licence are said first."""
    from .sources import fetch_all, find_sources

    paths = fetch_all(find_sources(repository))
    console.print(f"{len(paths)} files verified")


@data_app.command("check")
def data_check(
    name: Annotated[
        str | None, typer.Argument(help="A repository, or lumir, nimh, primede, ….")
    ] = None,
    root: Annotated[
        str, typer.Option(help="Folder of the paper's own data; default: LUMIRAGE_DATA_NAME.")
    ] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", "-P", metavar="NAME=VALUE", help="E.g. contrast=T2w, pairs=FILE."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Read headers only.")] = False,
) -> None:
    """Verify what is here; exit code 1 if a file is corrupt, or no pair of the data is complete."""
    from .cohorts.local import LAYOUTS
    from .sources import check_sources

    if name in LAYOUTS:
        _check_folder(name, root, _given(parameter), quick)
        return
    table = check_sources(name)
    for row in table[table["state"] != "present"].itertuples():
        console.print(f"{row.state}: {row.name}", highlight=False, soft_wrap=True)
    counts = table["state"].value_counts()
    console.print(", ".join(f"{n} {state}" for state, n in counts.items()))
    if (table["state"] == "corrupt").any():
        raise typer.Exit(1)


def _check_folder(name: str, root: str, given: dict[str, str], quick: bool) -> None:
    """What there is of a data set, what is missing, and which pairs result."""
    import yaml

    from .cohorts.local import check_layout, find_layout

    def show(lines, most: int = 30) -> None:
        for line in lines[:most]:
            console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)
        if len(lines) > most:
            console.print(f"  … and {len(lines) - most} more")

    options = {key: yaml.safe_load(value) for key, value in given.items()}
    layout = find_layout(name, root=root, **options)
    report = check_layout(layout, quick)
    counts = ", ".join(f"{n} {kind}" for kind, n in report.there.items())
    console.print(f"{name} in {layout.root}: {counts}", highlight=False, soft_wrap=True)
    show([entry.scan.id for entry in layout.entries])
    if report.problems:
        console.print("missing or unusable:")
        show(report.problems)
    console.print(f"complete pairs: {len(report.pairs)}", highlight=False)
    show([f"{p.moving.id} -> {p.fixed.id}" for p in report.pairs])
    if not report.pairs:
        raise InputError(f"{name}: no pair is complete in {layout.root}; see what is missing above")


@results_app.command("status")
def results_status(profile: ProfileOption = "open") -> None:
    """What the store of a profile holds, and what its notebooks still lack."""
    from . import evaluate, experiments, notebooks, results

    store = experiments.store_path(profile)
    table = results.read_registrations(store)
    if not table.empty:
        console.print(table.pivot_table("key", ["cohort", "method"], "status", "count").to_string())
    for notebook in experiments.notebooks_of(profile):
        if notebook in experiments.PLANS:
            parameters = notebooks.resolve_parameters(notebook, profile)
            tasks = experiments.plan_notebook(notebook, parameters)
            todo = len(evaluate.pending(tasks, store))
            console.print(f"{notebook}: {len(tasks) - todo} of {len(tasks)} registrations there")


@results_app.command("compute")
def results_compute(profile: ProfileOption = "open") -> None:
    """Compute what the notebooks of a profile still lack, resumably, fetching what they need."""
    from . import experiments, notebooks

    for notebook in experiments.notebooks_of(profile):
        console.print(notebook)
        _compute(notebook, notebooks.resolve_parameters(notebook, profile), fetch=True)


@results_app.command("export")
def results_export(
    folder: Annotated[Path | None, typer.Argument(help="Default: results/PROFILE.")] = None,
    profile: ProfileOption = "open",
) -> None:
    """Write the store of a profile as Parquet with run.json."""
    from . import experiments, results
    from .provenance import describe_run

    folder = folder or experiments.project_root() / "results" / profile
    counts = results.export_store(experiments.store_path(profile), folder, describe_run(profile))
    _draw_overview(profile, folder / "01_in_distribution_dice.png")
    console.print(", ".join(f"{n} {name}" for name, n in counts.items()) + f" -> {folder}")


def _draw_overview(profile: str, path: Path) -> None:
    """The one figure of the README, from the rows of notebook 01."""
    from . import experiments, figures, notebooks, results

    parameters = notebooks.resolve_parameters("01_in_distribution", profile)
    keys = [t.key for t in experiments.plan_notebook("01_in_distribution", parameters)]
    table = results.read_registrations(experiments.store_path(profile), keys)
    if not table.empty:
        figures.plot_dice_by_method(table).savefig(path, dpi=110)


@results_app.command("import")
def results_import(folder: Path, profile: ProfileOption = "open") -> None:
    """Merge an export into the store of a profile, without duplicates or loss."""
    from . import experiments, results

    added = results.import_store(folder, experiments.store_path(profile))
    console.print(", ".join(f"{n} {name} added" for name, n in added.items()))


if __name__ == "__main__":
    main()
