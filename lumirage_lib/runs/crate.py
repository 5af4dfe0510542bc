"""An export as a research object: RO-Crate metadata beside its tables."""

import json
import tempfile
from pathlib import Path

from .. import __version__
from ..files import read_yaml, replacing
from .profiles import project_root

METADATA = "ro-crate-metadata.json"
LICENCE = "https://spdx.org/licenses/MIT"
WHAT = {
    "registrations.parquet": "One row per registration: who, how, what it took, what was measured",
    "structures.parquet": "One row per registration, label set, rule and label",
    "slices.parquet": "Display slices of some registrations",
    "alignments.parquet": "The shared linear alignment of each pair",
    "run.json": "Parameters, versions, machine, revision and the digest of every file",
}


def write_crate(folder: Path) -> Path:
    """Describe every file of an export in ``ro-crate-metadata.json``; returns its path.

    Dates and digests are those of run.json, so that two exports of one store are described alike.
    """
    from rocrate.rocrate import ROCrate

    folder = Path(folder)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    crate = ROCrate()
    crate.name = f"LUMirage: tables of the run {run['profile']!r}"
    crate.description = "Registrations of brain images by iterative methods and networks, measured"
    crate.license = LICENCE
    crate.datePublished = run["finished"] or "1970-01-01"
    crate.root_dataset["version"] = __version__
    for name, value in _read_identifiers().items():
        crate.root_dataset[name] = value
    for name, digest in {**run["digests"], "run.json": None}.items():
        about = {"name": name, "contentSize": str((folder / name).stat().st_size)}
        about |= {"description": WHAT[name]} if name in WHAT else {}
        about |= {"sha256": digest} if digest else {}
        crate.add_file(folder / name, name, properties=about)
    with tempfile.TemporaryDirectory() as work:
        crate.metadata.write(work)
        text = (Path(work) / METADATA).read_text(encoding="utf-8")
    with replacing(folder / METADATA) as part:
        part.write_text(text, encoding="utf-8")
    return folder / METADATA


def _read_identifiers() -> dict[str, str]:
    """What _config.yml says of where the compendium is kept; empty as long as it says nothing."""
    path = project_root() / "_config.yml"
    given = read_yaml(path.read_text(encoding="utf-8"), str(path))["sphinx"]["config"]
    named = {
        "identifier": given["html_context"]["doi"],
        "isBasedOn": given["html_theme_options"]["repository_url"],
    }
    return {name: value for name, value in named.items() if value}
