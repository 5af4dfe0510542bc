"""What the commands share: consoles, the bar, and options of more than one."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer
from rich.console import Console

from ..errors import InputError

console, errors = Console(), Console(stderr=True)

ProfileOption = Annotated[
    str,
    typer.Option("--profile", "-p", help="Column of experiments.yml: smoke, demo, open, paper."),
]

RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Compute again what failed for a reason that lasts.")
]
MemoryOption = Annotated[
    float | None,
    typer.Option(
        "--memory", metavar="MB", min=200, help="A registration may take; default 90 % of all."
    ),
]


def parse_given(items: list[str] | None) -> dict[str, str]:
    given = {}
    for item in items or []:
        name, separator, value = item.partition("=")
        if not separator:
            raise InputError(f"-P {item!r}: expected NAME=VALUE, e.g. -P n_pairs=4")
        given[name] = value
    return given


@contextlib.contextmanager
def show_progress(total: int, title: str):
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
