"""What a notebook's cells call to speak to the reader: tables, figures with captions, sentences."""

import io
import platform
import re
import shlex
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from tabulate import tabulate

from ..cohorts import get_options
from ..errors import InputError
from ..experiments.opening import Opening, write_chips
from ..files import hash_of, write_yaml
from ..runs.provenance import find_versions
from .notebooks import read_parameters, resolve_parameters

LONGEST = 300  # characters of a message that are quoted
# A figure of full width fills a column of the page; what is narrower is shown as much narrower.
FULL_INCHES, WIDTH_PX, LEAST_PX, FULL_DPI = 7.0, 672, 9, 150


def escape(text: str) -> str:
    """The text with the stars of T2*w as they are: two of them would be emphasis."""
    return re.sub(r"(?<!\\)T2\*w", r"T2\\*w", text)


def say(text: str) -> None:
    """Show a sentence whose numbers were computed (MyST Markdown); nothing if there is none."""
    if text:
        display(Markdown(escape(text)))


def quote(message: str) -> str:
    """What a program said, as it is: within a sentence, and nothing of it is Markdown."""
    return f"`{' '.join(str(message)[:LONGEST].replace('`', chr(39)).split())}`"


def gather(notebook: str, namespace: Mapping) -> dict:
    """The values of the notebook's parameters, as they stand after papermill's injection."""
    return {name: namespace[name] for name in read_parameters(notebook)}


def say_headline(opening: Opening) -> None:
    """The answer in one sentence, with what the rules say of the claim."""
    text = (
        f'<p class="lm-headline">{opening.headline}</p>\n\n<p>{write_chips(opening.verdicts)}</p>'
    )
    about = {"of": opening.of, "headline": opening.headline}
    display(Markdown(text), metadata={"lumirage": about})


def say_points(opening: Opening) -> None:
    """What was found, how sure that is, what it depends on."""
    points = "\n".join(f"- {point}" for point in opening.points if point)
    say(f"```{{admonition}} In one minute\n:class: lm-minute\n{points}\n```")


def say_scoreboard(sentences: Sequence[str], cards: str) -> None:
    """The cards of all claims, which the landing page shows too, below the sentences."""
    landing = {"sentences": list(sentences), "cards": cards}
    display(Markdown(cards), metadata={"lumirage": {"landing": landing}})


def _tabulate_parameters(notebook: str, parameters: Mapping) -> str:
    """Name, value and meaning of those that apply, made from the parameters cell."""
    known, rows = read_parameters(notebook), []
    usual = set(get_options("template")) - {"seed"}  # which is that of the pairs too
    idle = usual - set(get_options(parameters["cohort"])) if "cohort" in parameters else set()
    for name, value in parameters.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if name not in idle and shown not in ("", {}):
            rows.append([f"`{name}`", shown, known[name][2]])
    return to_table(pd.DataFrame(rows, columns=["parameter", "value", "meaning"]))


def _say_counts(run) -> str:
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
    return text


def find_least_text_px(figure) -> float:
    """Size of the smallest text of a figure as it is shown on a page, in pixels."""
    from matplotlib.text import Text

    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    inches = max(figure.get_figwidth(), FULL_INCHES)
    return min((t.get_fontsize() for t in texts), default=np.inf) / 72 * WIDTH_PX / inches


def show(figure, name: str, caption: str, alt: str) -> None:
    """Show a figure with its caption, and write it as SVG beside the page.

    Parameters
    ----------
    figure : matplotlib Figure
    name : str
        Target for cross-references, unique in the book.
    caption : str
        With n pairs and n subjects; in the book it becomes the caption of a numbered figure.
    alt : str
        What a reader who cannot see the figure is told.

    Raises
    ------
    InputError
        Some of its text would be too small on the page, or a table stands where a sentence is read out.
    """
    import matplotlib.pyplot as plt
    from IPython.display import Image

    least = find_least_text_px(figure)
    if least < LEAST_PX:
        raise InputError(
            f"{name}: text of {least:.1f} px at {WIDTH_PX} px; at least {LEAST_PX} is read"
        )
    if "|-" in alt or "|:" in alt:
        raise InputError(f"{name}: its alternative text has a table; say in words what is seen")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=FULL_DPI)
    figure.set_layout_engine("none")  # it is laid out
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(f"{name}.svg", metadata={"Date": None})
    caption += f" [SVG]({name}.svg)"
    width = min(1.0, figure.get_figwidth() / FULL_INCHES)
    plt.close(figure)
    about = {"name": name, "caption": caption, "alt": alt, "width": f"{100 * width:.0f}%"}
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


def show_making(
    notebook: str, parameters: Mapping, tables: Mapping[str, pd.DataFrame], run=None
) -> None:
    """How the page was made, folded: command, tables as CSV beside it, parameters, counts, versions."""
    profile, lines = parameters["profile"], []
    default = resolve_parameters(notebook, profile)
    differs = {name: value for name, value in parameters.items() if value != default[name]}
    changed = f"_{hash_of(write_yaml(differs))[:6]}" if differs else ""  # beside the default's
    for name, table in tables.items():
        if not len(table.columns):
            continue
        path = f"{notebook}_{profile}{changed}_{name}.csv"
        table.to_csv(path, index=False)
        lines.append(f"- [{path}]({path}), {len(table)} rows")
    versions = pd.DataFrame(
        [("Python", platform.python_version()), *find_versions().items()],
        columns=["software", "version"],
    )
    parts = [
        "This page is the output of one command, run in the repository:",
        f"```sh\n{reproduce_command(notebook, parameters)}\n```",
        "The numbers behind its figures:\n\n" + "\n".join(lines),
        "" if run is None else _say_counts(run),
        _tabulate_parameters(notebook, parameters),
        to_table(versions),
    ]
    body = "\n\n".join(part for part in parts if part)
    title = "Command, tables, parameters and versions"
    say(f"``````{{admonition}} {title}\n:class: dropdown\n{body}\n``````")


def to_table(table: pd.DataFrame | None, digits: int = 3) -> str:
    """A Markdown table of a DataFrame; a sentence where there is none."""
    if table is None:
        return "The table is not there; the benchmark that writes it has not been run."
    cells = [
        [f"{v:.{digits}g}" if isinstance(v, float) else str(v).replace("|", "\\|") for v in row]
        for row in table.itertuples(index=False)
    ]
    return tabulate(cells, list(map(str, table.columns)), "pipe", disable_numparse=True)
