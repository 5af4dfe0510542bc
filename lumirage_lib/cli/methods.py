"""Methods: list them, register two images, predict memory, score fields, train."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, RegistrationError
from ..files import check_folder, replacing
from ._console import (
    ClusterOption,
    MemoryOption,
    SchedulerOption,
    WorkersOption,
    console,
    count_threads,
    errors,
    open_executor,
    read_given,
)

if TYPE_CHECKING:
    import numpy as np

app = typer.Typer()


@app.command()
def methods() -> None:
    """The registered methods: family, parameters, what they need, what networks were trained on."""
    from tabulate import tabulate

    from ..methods import ADDABLE, find_faults, list_methods, missing

    rows, absent = [], find_faults()
    for spec in list_methods():
        grid = "x".join(map(str, spec.input.grid)) if spec.input.grid else "any grid"
        why = missing(spec)
        absent |= {spec.id: why} if why else {}
        parameters = " ".join(f"{k}={v}".replace(", ", ",") for k, v in spec.parameters.items())
        sees = f"{spec.input.orientation} {grid}"
        rows.append([spec.id, spec.family, sees, "no" if why else "yes", parameters])
    if console.is_terminal:  # else a line is a method, for programs that read it
        used = sum(max(len(row[column]) for row in rows) + 2 for column in range(4))
        room = max(24, shutil.get_terminal_size().columns - used)
        for row in rows:
            row[4] = textwrap.fill(row[4], room, break_long_words=False, break_on_hyphens=False)
    headers = ["method", "family", "sees", "here", "parameters"]
    console.print(tabulate(rows, headers, disable_numparse=True))
    for spec in list_methods():
        if spec.training is not None:
            console.print(
                f"{spec.id} was trained on {spec.training.data} ({spec.training.evidence})"
            )
    absent |= {name: ADDABLE[name] for name in ADDABLE.keys() - {row[0] for row in rows}}
    for name, why in absent.items():
        console.print(f"{name}: {why}")


@app.command()
def register(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="[FIXED MOVING]", help="NIfTI, in this order.")
    ] = None,
    fixed: Annotated[Path | None, typer.Option(help="Fixed image, by name.")] = None,
    moving: Annotated[Path | None, typer.Option(help="Moving image, by name.")] = None,
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
    form: Annotated[
        str, typer.Option("--format", help="learn2reg, or itk: what ANTs, ITK and Slicer apply.")
    ] = "learn2reg",
    assume: Annotated[
        str, typer.Option(help="Axes of files that do not say: RAS, LPS, ….", metavar="CODES")
    ] = "",
    alignment: Annotated[
        str | None,
        typer.Option(metavar="FILE|KEY", help="A stored alignment instead of estimating one."),
    ] = None,
    memory: MemoryOption = None,
) -> None:
    """Register two images: moved image, displacement, moved labels and a line of summary."""
    from ..runs.register import register_files

    given = [*(images or []), *(path for path in (fixed, moving) if path is not None)]
    if len(given) != 2 or (images and len(images) != 2):
        raise InputError("expected FIXED MOVING, or --fixed FILE --moving FILE")
    fixed, moving = given
    done = register_files(
        fixed,
        moving,
        method,
        out,
        moving_labels=moving_labels,
        fixed_labels=fixed_labels,
        parameters=read_given(parameter),
        threads=count_threads(threads),
        form=form,
        assume=assume.upper(),
        alignment=None if alignment is None else _find_alignment(alignment),
        memory_mb=memory,
    )
    for note in done.notes:
        errors.print(f"note: {note}")
    line = (
        f"{method}: {done.usage.seconds:.1f} s, {done.usage.peak_mb:.0f} MB; correlation "
        f"{done.correlation_before:.3f} -> {done.correlation_after:.3f} after the affine"
    )
    if done.n_labels:
        line += (
            f"; mean Dice of {done.n_labels} labels {done.dice_before:.3f} -> {done.dice_after:.3f}"
        )
    console.print(line)
    console.print(f"written: {out}/")


def _find_alignment(given: str) -> np.ndarray | Path:
    """The file of that name, or the alignment that the published run has under that key."""
    if Path(given).is_file():
        return Path(given)
    import numpy as np

    from ..runs.profiles import store_path
    from ..runs.store import read_alignment

    is_key = re.fullmatch("[0-9a-f]{20}", given)
    found = read_alignment(store_path("open"), given) if is_key else None
    if found is None:
        raise InputError(
            f"--alignment {given}: neither a file nor a key of the published alignments"
        )
    return np.array(found["matrix"])


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
    from ..runs.memory import measure_peak, predict

    found = predict(network, shape, whole=whole)
    console.print(
        f"predicted {found.peak_mb:.0f} MB: tensors {found.graph_mb:.0f}, convolution library "
        f"{found.library_mb:.0f}, process {found.process_mb:.0f}"
    )
    if measure:
        done = measure_peak(network, shape, whole=whole)
        if done.status != "ok":
            raise RegistrationError(f"{network} on {shape}: {done.reason}", status=done.status)
        error = 100 * (found.peak_mb / done.value.peak_mb - 1)
        console.print(
            f"measured {done.value.peak_mb:.0f} MB in {done.value.cpu_seconds:.1f} s of processor "
            f"time; the prediction is off by {error:+.1f} %"
        )


@app.command()
def score(
    displacements: Annotated[Path, typer.Argument(help="Folder of disp_FIXED_MOVING.nii.gz.")],
    ground_truth: Annotated[Path, typer.Argument(help="The challenge's JSON: pairs and labels.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables.")] = Path("score"),
    protocol: Annotated[str, typer.Option(help="lumir24 or default.")] = "default",
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Score a folder of displacement fields, resumably, as the LUMIR challenge does or by default."""
    from ..challenge.score import list_problems, score_folder

    with open_executor(scheduler, cluster, workers) as executor:
        on = map if executor is None else executor.map
        table = score_folder(displacements, ground_truth, out, protocol, on)
    numbers = table.select_dtypes("number")
    if not numbers.empty:
        shown = numbers.describe().loc[["count", "mean", "std", "min", "max"]]
        console.print(shown.T.round(4).to_string())
    problems = list_problems(table)
    for line in problems:
        console.print(line)
    console.print(f"written: {out}/")
    if problems:
        raise typer.Exit(1)


@app.command()
def train(
    network: Annotated[str, typer.Argument(help="What to train: vfa.")] = "vfa",
    recipe: Annotated[str, typer.Option(help="cpu-2mm, cpu-2mm-plateau or gpu-1mm.")] = "cpu-2mm",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")] = Path("training"),
    hours: Annotated[
        float | None, typer.Option(min=0, help="Stop after; default: the recipe's.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Stop at this iteration.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="End this call after so long; the same call goes on."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    resume: Annotated[
        bool, typer.Option(help="Go on from the folder's checkpoint; where there is none, begin.")
    ] = False,
    threads: Annotated[int, typer.Option(help="0: as many as there are cores.")] = 0,
) -> None:
    """Train a network on the OASIS training scans; interrupted, it goes on with --resume.

    In calls of ten minutes: `lumirage train --recipe gpu-1mm --resume --minutes 9.5`, again and again.
    """
    import pandas as pd
    import torch

    from ..cohorts import get_cohort
    from ..experiments.training import plot_training, write_card
    from ..methods.training import get_recipe
    from ..methods.training.loop import train as train_network

    if network != "vfa":
        raise InputError(f"expected the network vfa, got {network!r}; the others come trained")
    check_folder(out)
    torch.set_num_threads(count_threads(threads))
    cohort = get_cohort("oasis")
    state = train_network(
        cohort,
        get_recipe(recipe),
        out,
        seed=seed,
        hours=hours,
        iterations=iterations,
        minutes=minutes,
        resume=resume,
        report=console.print,
    )
    write_card(out, cohort)
    with replacing(out / "curves.png") as part:
        plot_training(pd.DataFrame(state.history)).savefig(part, dpi=110)
    console.print(f"{state.iteration} iterations; written: {out}/")
