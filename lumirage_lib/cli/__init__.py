"""The `lumirage` command. Exit codes: 0 done, 1 refused or failed (one sentence on stderr), 2 usage."""

import signal

import typer

from . import data, lab, methods, pages, results, verify, weights
from ._console import Telling

app = typer.Typer(
    cls=Telling,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Rerun, extend and check the LUMirage evaluation of brain image registration.",
)
app.add_typer(pages.app)
app.add_typer(lab.app)
app.add_typer(methods.app)
app.add_typer(verify.app)
app.add_typer(data.app, name="data")
app.add_typer(results.app, name="results")
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Entry point; a polite request to end is taken as Ctrl-C is, so that nothing is left behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    app()
