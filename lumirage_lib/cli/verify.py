"""Check what is published: registrations done again, tables and headlines computed again."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..files import check_file, replacing
from ..runs import profiles
from ._console import ProfileOption, console, errors

app = typer.Typer()


@app.command()
def verify(
    profile: ProfileOption = "open",
    n: Annotated[int, typer.Option("-n", min=1, help="How many registrations to draw.")] = 5,
    method: Annotated[str | None, typer.Option("--method", "-m", help="Only this one.")] = None,
    pair: Annotated[
        str | None, typer.Option(metavar="FIXED:MOVING", help="Only this pair, e.g. 1004:1003.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every one that is asked for.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    report: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Keep the table.")] = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Digests and headlines, without registering.")
    ] = False,
) -> None:
    """Register published pairs again and compare; or check the tables themselves (--tables)."""
    folder = profiles.project_root() / "results" / profile
    _check_tables(folder, profile) if tables else _register(
        folder, profile, None if every else n, method, pair, seed, report
    )


def _register(
    folder: Path,
    profile: str,
    n: int | None,
    method: str | None,
    pair: str | None,
    seed: int,
    report: Path | None,
) -> None:
    import pandas as pd

    from .. import experiments
    from ..book import notebooks
    from ..runs.verify import draw_tasks, register_again

    if report is not None:
        check_file(report)
    path = profiles.project_root() / "benchmarks" / "tolerance.csv"
    if not path.is_file():
        raise InputError(f"{path}: not there; `python benchmarks/tolerance.py` measures it")
    plans = [
        experiments.plan_notebook(name, notebooks.resolve_parameters(name, profile))
        for name in profiles.notebooks_of(profile)
        if name in experiments.EXPERIMENTS
    ]
    tasks = experiments.list_tasks([entry for plan in plans for entry in plan])
    chosen = draw_tasks(folder, tasks, n=n, seed=seed, method=method, pair=pair)

    def say(row: dict) -> None:
        errors.print(f"{row['moving']} onto {row['fixed']}, {row['method']}: {row['status']}")

    found = register_again(folder, chosen, pd.read_csv(path), say)
    console.print(found.round(6).to_string(index=False))
    if report is not None:
        with replacing(report) as part:
            found.to_csv(part, index=False)
    off = int(
        (
            ~found.groupby(["cohort", "method", "fixed", "moving", "preprocessing"])["within"].all()
        ).sum()
    )
    console.print(f"{len(chosen) - off} of {len(chosen)} registrations agree within tolerance")
    if off:
        raise typer.Exit(1)


def _check_tables(folder: Path, profile: str) -> None:
    from ..book import notebooks
    from ..experiments.verify_tables import recompute_headlines
    from ..runs.verify import check_digests

    problems = check_digests(folder)
    for line in problems:
        console.print(line)
    names = profiles.notebooks_of(profile)
    parameters_of = {name: notebooks.resolve_parameters(name, profile) for name in names}
    found = recompute_headlines(folder, parameters_of)
    console.print(found.to_string(index=False))
    off = int((~found["same"]).sum())
    console.print(f"{len(found) - off} of {len(found)} numbers are found again")
    if problems or off:
        raise typer.Exit(1)
