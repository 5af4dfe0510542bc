"""Weights on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from ._console import console

app = typer.Typer(no_args_is_help=True, help="Weights on this machine: list, add, remove.")


@app.command("list")
def weights_list() -> None:
    """Weights that ship with the library and those that were added."""
    from ..methods.local import find_faults, find_local

    for local in find_local().values():
        about = ", ".join(f"{key} {value}" for key, value in local.about.items())
        head = f"{local.name}: {local.source.size_mb:.1f} MB, sha256 {local.source.sha256}"
        console.print(head)
        console.print(f"  {about}\n  in {local.source.folder}")
    for name, why in find_faults().items():
        console.print(f"{name}: {why}")


@app.command("add")
def weights_add(
    network: Annotated[str, typer.Argument(help="Which network: vfa or unigradicon.")],
    path: Annotated[Path, typer.Argument(help="Checkpoint: PyTorch file or safetensors.")],
    params: Annotated[
        Path | None, typer.Option(help="Params.json of vfa, to check the sizes against.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the method; else vfa-lumir or unigradicon.")
    ] = None,
    spacing_mm: Annotated[
        float | None, typer.Option(help="Voxel size of the training images of vfa; else 1.0.")
    ] = None,
    grid: Annotated[
        str | None, typer.Option(help="Their shape, right-left x ... ; else 160x224x192.")
    ] = None,
    licence: Annotated[str, typer.Option(help="On what terms you have it.")] = "not stated",
) -> None:
    """Check a checkpoint, keep it as safetensors, and make a method of it."""
    from ..methods import METHODS
    from ..methods.local import NETWORKS, add_weights

    given = {"spacing_mm": spacing_mm, "grid": grid}
    about = {key: str(value) for key, value in given.items() if value is not None}
    if network == "vfa":
        about = {"spacing_mm": "1.0", "grid": "160x224x192", **about}
    about["licence"] = licence
    name = NETWORKS.get(network, network) if name is None else name
    local = add_weights(network, path, name, about, params, METHODS)
    where = f"{local.source.folder}/{local.source.path}"
    console.print(f"added {local.name}: {where}")


@app.command("remove")
def weights_remove(
    name: Annotated[str, typer.Argument(help="Name under which they were added.")],
) -> None:
    """Take added weights away; those that ship with the library stay."""
    from ..methods.local import remove_weights

    remove_weights(name)
    console.print(f"removed {name}")
