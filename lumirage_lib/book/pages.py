"""What a notebook's cells call to speak to the reader: tables, figures with captions, sentences."""

from __future__ import annotations

import io
import platform
import shlex
from collections.abc import Mapping

import pandas as pd
from IPython.display import Markdown, display
from tabulate import tabulate

from ..cohorts import get_options
from ..files import hash_of, write_yaml
from ..runs.provenance import find_versions
from .notebooks import read_parameters, resolve_parameters

LONGEST = 300  # characters of a message that are quoted


def say(text: str) -> None:
    """Show a sentence whose numbers were computed (MyST Markdown); nothing if there is none."""
    if text:
        display(Markdown(text))


def quote(message: str) -> str:
    """What a program said, as it is: within a sentence, and nothing of it is Markdown."""
    return f"`{' '.join(str(message)[:LONGEST].replace('`', chr(39)).split())}`"


def gather(notebook: str, namespace: Mapping) -> dict:
    """The values of the notebook's parameters, as they stand after papermill's injection."""
    return {name: namespace[name] for name in read_parameters(notebook)}


def show_parameters(notebook: str, parameters: Mapping) -> None:
    """Table of name, value and meaning of those that apply, made from the parameters cell."""
    known, rows = read_parameters(notebook), []
    usual = set(get_options("template")) - {"seed"}  # which is that of the pairs too
    idle = usual - set(get_options(parameters["cohort"])) if "cohort" in parameters else set()
    for name, value in parameters.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if name not in idle and shown not in ("", {}):
            rows.append([f"`{name}`", shown, known[name][2]])
    say(to_table(pd.DataFrame(rows, columns=["parameter", "value", "meaning"])))


def show_counts(run) -> None:
    """How much was reused, computed and failed, and which methods are absent and why."""
    counts = run.counts
    text = (
        f"{len(run.tasks)} registrations planned: {counts['reused']} reused from the store, "
        f"{counts['new']} computed now, {counts['failed']} failed now, "
        f"{counts['skipped']} not computed here."
    )
    failed = run.registrations.query("status != 'ok'")
    for row in failed.itertuples():
        text += f"\n- **{row.method}**, {row.moving} onto {row.fixed}: {row.status}, {quote(row.reason)}"
    for method, why in run.absent.items():
        text += f"\n- **{method}** is missing: {why}."
    say(text)


def show(figure, name: str, caption: str, alt: str) -> None:
    """Show a figure with its caption.

    Parameters
    ----------
    figure : matplotlib Figure
    name : str
        Target for cross-references, unique in the book.
    caption : str
        With n pairs and n subjects; in the book it becomes the caption of a numbered figure.
    alt : str
        What a reader who cannot see the figure is told.
    """
    import matplotlib.pyplot as plt
    from IPython.display import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    plt.close(figure)
    about = {"name": name, "caption": caption, "alt": alt}
    display(Image(buffer.getvalue(), alt=alt), metadata={"lumirage": about})
    display(Markdown(caption), metadata={"lumirage": {"caption_text": True}})


def reproduce_command(notebook: str, parameters: Mapping) -> str:
    """The command that makes a page with these parameters: those the profile does not have are named.

    Raises
    ------
    InputError
        The notebook has no such profile.
    """
    given = resolve_parameters(notebook, parameters["profile"])
    words = ["lumirage", "run", notebook, "-p", parameters["profile"]]
    for name, value in parameters.items():
        if value != given[name]:
            words += ["-P", f"{name}={value if isinstance(value, str) else write_yaml(value)}"]
    return shlex.join(words)


def show_reproduce(notebook: str, parameters: Mapping, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table as CSV beside the page and say by which command to get the page again."""
    profile, lines = parameters["profile"], []
    default = resolve_parameters(notebook, profile)
    differs = {name: value for name, value in parameters.items() if value != default[name]}
    changed = f"_{hash_of(write_yaml(differs))[:6]}" if differs else ""  # beside the default's
    for name, table in tables.items():
        path = f"{notebook}_{profile}{changed}_{name}.csv"
        table.to_csv(path, index=False)
        lines.append(f"- [{path}]({path}), {len(table)} rows")
    command = reproduce_command(notebook, parameters)
    say(
        f"This page is the output of one command, run in the repository:\n\n```sh\n{command}\n```\n\n"
        "The numbers behind its figures:\n\n" + "\n".join(lines)
    )


def to_table(table: pd.DataFrame | None, digits: int = 3) -> str:
    """A Markdown table of a DataFrame; a sentence where there is none."""
    if table is None:
        return "The table is not there; the benchmark that writes it has not been run."
    cells = [
        [f"{v:.{digits}g}" if isinstance(v, float) else str(v).replace("|", "\\|") for v in row]
        for row in table.itertuples(index=False)
    ]
    return tabulate(cells, list(map(str, table.columns)), "pipe", disable_numparse=True)


def show_versions() -> None:
    """Software versions and the machine."""
    rows = [("Python", platform.python_version()), *find_versions().items()]
    say(to_table(pd.DataFrame(rows, columns=["software", "version"])))
