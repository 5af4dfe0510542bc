"""The `lumirage` command. Exit codes: 0 done, 1 refused or failed (one sentence on stderr), 2 usage."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from ..errors import LumirageError
from . import data, methods, pages, results, weights
from ._console import errors


class Interrupted(Exception):
    """Ctrl-C, which typer would turn into "Aborted!"."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Rerun, extend and check the LUMirage evaluation of brain image registration.",
)
app.add_typer(pages.app)
app.add_typer(methods.app)
app.add_typer(data.app, name="data")
app.add_typer(results.app, name="results")
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Entry point: one clear sentence instead of a traceback for what the library refuses."""
    try:
        app()
    except LumirageError as error:
        errors.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, Interrupted):
        errors.print(
            "interrupted; what was finished is stored, the same command goes on from there"
        )
        sys.exit(130)
