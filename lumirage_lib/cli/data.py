"""Public files, and the paper's own data in a folder."""

from typing import Annotated, Any

import typer

from ..errors import InputError
from ._console import console, read_given

app = typer.Typer(no_args_is_help=True, help="Public files: list, fetch, check.")


@app.command("list")
def data_list(repository: Annotated[str | None, typer.Argument()] = None) -> None:
    """Repositories with number of files, size and licence; with a repository, its files."""
    from ..cohorts.sources import check_sources

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
    console.print(table.round(1).to_string(index=False))


@app.command("fetch")
def data_fetch(repository: Annotated[str, typer.Argument(help="owner/name")]) -> None:
    """Fetch all files of a repository, verified; its size and licence are said first."""
    from ..cohorts.sources import fetch_all, find_sources

    paths = fetch_all(find_sources(repository))
    console.print(f"{len(paths)} files verified")


@app.command("check")
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
    from ..cohorts.local import LAYOUTS
    from ..cohorts.sources import check_sources

    if name in LAYOUTS:
        _check_folder(name, root, read_given(parameter), quick)
        return
    table = check_sources(name)
    for row in table[table["state"] != "present"].itertuples():
        console.print(f"{row.state}: {row.name}")
    counts = table["state"].value_counts()
    console.print(", ".join(f"{n} {state}" for state, n in counts.items()))
    if (table["state"] == "corrupt").any():
        raise typer.Exit(1)


def _check_folder(name: str, root: str, options: dict[str, Any], quick: bool) -> None:
    """What there is of a data set, what is missing, and which pairs result."""
    from ..cohorts.local import check_layout, find_layout

    def show(lines, most: int = 30) -> None:
        for line in lines[:most]:
            console.print(f"  {line}")
        if len(lines) > most:
            console.print(f"  … and {len(lines) - most} more")

    layout = find_layout(name, root=root, **options)
    report = check_layout(layout, quick)
    counts = ", ".join(f"{n} {kind}" for kind, n in report.there.items())
    console.print(f"{name} in {layout.root}: {counts}")
    show([entry.scan.id for entry in layout.entries])
    if report.problems:
        console.print("missing or unusable:")
        show(report.problems)
    console.print(f"complete pairs: {len(report.pairs)}")
    show([f"{p.moving.id} -> {p.fixed.id}" for p in report.pairs])
    if not report.pairs:
        raise InputError(f"{name}: no pair is complete in {layout.root}; see what is missing above")
