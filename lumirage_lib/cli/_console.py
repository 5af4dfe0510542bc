"""What the commands share: consoles, the bar, how a fault is told, and options of more than one."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from ..errors import InputError, LumirageError
from ..files import read_yaml

if TYPE_CHECKING:
    from ..runs.executors.cluster import Cluster

# What is printed is nobody's markup, and a line that is piped stays one line.
PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False, "soft_wrap": True}
console, errors = Console(**PLAIN), Console(stderr=True, **PLAIN)
KEPT = "; what was finished is stored, the same command goes on from there"
KEEPING_NOTHING = ("register", "verify", "memory")
LONGEST = 2000  # characters of a message that are shown

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
SchedulerOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Of a dask cluster: tcp://HOST:8786.")
]
ClusterOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Ask a queue for workers; see cluster/.")
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="dask workers on this machine; default: none.")
]


@contextlib.contextmanager
def open_executor(
    scheduler: str | None, cluster: Path | None, workers: int | None
) -> Iterator[Cluster | None]:
    """The cluster that was asked for, None where none was: this process then does the work."""
    if scheduler is None and cluster is None and workers is None:
        yield None
        return
    from ..runs.executors.cluster import open_cluster

    with open_cluster(scheduler=scheduler, file=cluster, workers=workers) as executor:
        errors.print(f"dask dashboard: {executor.client.dashboard_link}")
        yield executor


class Telling(TyperGroup):
    """Commands of which no traceback reaches the user: one sentence on stderr, and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # names of files need not be UTF-8, nor terminals
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except LumirageError as error:
            tell(f"error: {error}")
        except KeyboardInterrupt:
            tell("interrupted" + ("" if ctx.invoked_subcommand in KEEPING_NOTHING else KEPT))
            raise typer.Exit(130) from None
        except Exception as error:
            if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):
                raise  # typer's own, which it tells itself
            tell(f"error: {_first_line(error)}; this was not foreseen: {_write_log()}")
        raise typer.Exit(1)


def tell(message: str) -> None:
    """Print to stderr what may hold anything: cut to a readable length, no terminal codes obeyed."""
    cut = message if len(message) <= LONGEST else f"{message[:LONGEST]} … (cut)"
    errors.print("".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in cut))


def _first_line(error: Exception) -> str:
    first = next(iter(str(error)[: LONGEST // 4].splitlines()), "")  # leaves room for what to do
    return f"{type(error).__name__}: {first}".removesuffix(": ")


def _write_log() -> str:
    """Keep the traceback of the exception being handled; where, as a clause of a sentence."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="lumirage-", suffix=".log", delete=False, errors="backslashreplace"
        ) as file:
            file.write(f"{shlex.join(sys.argv)}\n{traceback.format_exc(limit=-50)[:1_000_000]}")
        return f"please report it with the log {file.name}"
    except OSError as error:
        return f"please report it; no log could be written ({error.strerror})"


def count_threads(asked: int) -> int:
    """Threads to use: as many as asked for, or as there are cores."""
    if not 0 <= asked <= 1024:
        raise InputError(f"--threads {asked}: expected up to 1024 threads, or 0 for all cores")
    return asked or os.cpu_count() or 1


def parse_given(items: list[str] | None) -> dict[str, str]:
    """What was given as NAME=VALUE, each name once."""
    given: dict[str, str] = {}
    for item in items or []:
        name, separator, value = item.partition("=")
        if not separator or not name:
            raise InputError(f"-P {item!r}: expected NAME=VALUE, e.g. -P n_pairs=4")
        if name in given:
            raise InputError(f"-P {name}: given twice, {given[name]!r} and {value!r}; give it once")
        given[name] = value
    return given


def read_given(items: list[str] | None) -> dict[str, Any]:
    """What was given as NAME=VALUE, the values read as YAML."""
    return {name: read_yaml(value, f"-P {name}") for name, value in parse_given(items).items()}


@contextlib.contextmanager
def show_progress(total: int, title: str) -> Iterator[Callable[[dict], None]]:
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
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("{task.fields[last]}", markup=False),
        console=errors,
    ) as bar:
        task = bar.add_task(title, total=total, last="")

        def on_row(row: dict) -> None:
            if row["status"] == "ok":
                values.append(row["measures"]["dice"])
                shown = f"Dice {values[-1]:.3f}, mean {sum(values) / len(values):.3f}"
            else:
                shown = f"{row['status']}: {row['reason']}"
            last = f"{row['moving']} onto {row['fixed']} {row['method']} {shown}"
            bar.update(task, advance=1, last=last)
            if not errors.is_terminal:
                tell(f"{row['moving']} onto {row['fixed']} {row['method']}: {shown}")

        yield on_row
