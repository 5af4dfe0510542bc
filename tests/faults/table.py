"""Commands that must be refused: what each is given, made by itself, and what it then says.

Every case runs in this process; those of `IN_A_SHELL` also as a process of its own.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from faulty import AFFINE, make_image, make_labels, make_pair, make_task, write

from lumirage_lib.runs.store import import_store
from lumirage_lib.runs.tables import TABLES

BOMB = "{a: &a [x], b: &b [*a, *a], c: &c [*b, *b], d: &d [*c, *c], e: [*d, *d]}"
NOTEBOOK = "01_in_distribution"


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes
    ----------
    kind : int
        Of the twenty kinds of fault.
    make : callable
        ``make(folder)`` makes the input and returns the arguments of the command.
    says : str
        Part of what it must say.
    code : int
        1: refused; 2: no such usage; 0: done all the same.
    env : dict
        Environment; ``{folder}`` in a value stands for the folder.
    """

    kind: int
    name: str
    make: Callable[[Path], list]
    says: str
    code: int = 1
    env: dict = field(default_factory=dict)
    shell: bool = False

    def __str__(self) -> str:
        return f"{self.kind:02d} {self.name}"


def given(kind: int, name: str, arguments: str | list, says: str, code: int = 1, **more) -> Case:
    """A case of arguments alone."""
    listed = arguments.split() if isinstance(arguments, str) else arguments
    return Case(kind, name, lambda folder: listed, says, code, **more)


def put(path: Path) -> Path:
    """A file where a folder is expected."""
    path.write_text("a file")
    return path


# ---- 8, 13: exports and stores -------------------------------------------------------------------

STORE = {"LUMIRAGE_STORE": "{folder}/store"}
ROW = {"key": "k1", "status": "ok", "method": "greedy", "ruler": 2, "measures": '{"dice": 0.5}'}


def make_export(folder: Path, **changed) -> Path:
    """An export of one row, some of whose tables are replaced."""
    empty = {name: pd.DataFrame(columns=list(columns)) for name, columns in TABLES.items()}
    row = {c: ROW.get(c) for c in TABLES["registrations"]}
    tables = empty | {"registrations": pd.DataFrame([row])} | changed
    (folder / "export").mkdir()
    for name, table in tables.items():
        path = folder / "export" / f"{name}.parquet"
        if isinstance(table, bytes):
            path.write_bytes(table)
        elif table is not None:
            table.to_parquet(path)
    (folder / "export" / "run.json").write_text("{}")
    return folder / "export"


def row_with(**changed) -> pd.DataFrame:
    return pd.DataFrame([{c: ROW.get(c) for c in TABLES["registrations"]} | changed])


def as_strings() -> pd.DataFrame:
    return row_with().astype({"status": "string", "key": "string"})


def structure_with(**changed) -> pd.DataFrame:
    row = {"key": "k1", "label_set": "manual", "rule": "nearest", "label": 1, "dice": 0.5}
    return pd.DataFrame([dict.fromkeys(TABLES["structures"]) | row | changed])


DICE_7 = '{"dice": 7.0}'
FLAT = pd.DataFrame(
    [
        dict.fromkeys(TABLES["alignments"])
        | {"key": "a", "matrix": str([[0] * 4] * 3 + [[0, 0, 0, 1]])}
    ]
)


def imports(
    name: str, says: str = "nothing was imported", code: int = 1, shell: bool = False, **tables
) -> Case:
    def make(folder):
        return ["results", "import", make_export(folder, **tables), "-p", "smoke"]

    return Case(8, name, make, says, code, env=STORE, shell=shell)


def filled(folder: Path) -> Path:
    """A folder beside which the store has a row."""
    import_store(make_export(folder), folder / "store" / "smoke.sqlite")
    return folder


def store_of(change: Callable[[Path], object], command: str = "results import {export} -p smoke"):
    def make(folder):
        path = folder / "store" / "smoke.sqlite"
        path.parent.mkdir()
        change(path)
        export = make_export(folder) if "{export}" in command else ""
        return command.format(export=export).split()

    return make


def newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")


def damaged(path: Path) -> None:
    """A good store of which a page in the middle is overwritten."""
    from lumirage_lib.runs.store import open_store

    with open_store(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)


def stored(name: str, change, says: str, shell: bool = False) -> Case:
    return Case(13, name, store_of(change), says, env=STORE, shell=shell)


# ---- images --------------------------------------------------------------------------------------


def of_pair(kind: int, name: str, change, says: str, *more, shell: bool = False) -> Case:
    def make(folder):
        pair = make_pair(folder)
        change(pair)
        out = [] if "-o" in more else ["-o", folder / "out"]
        told = [str(m).format(folder=folder) for m in more]
        files = (
            [pair.fixed] if told and told[0].startswith(str(folder)) else [pair.fixed, pair.moving]
        )
        return ["register", *files, "-m", "affine", *out, *told]

    return Case(kind, name, make, says, shell=shell)


def of_labels(kind: int, name: str, change, says: str, code: int = 1, shell: bool = False) -> Case:
    def make(folder):
        pair = make_pair(folder)
        change(pair)
        labels = ["--fixed-labels", pair.fixed_labels, "--moving-labels", pair.moving_labels]
        return ["register", pair.fixed, pair.moving, "-m", "affine", "-o", folder / "out", *labels]

    return Case(kind, name, make, says, code, shell=shell)


def of_task(kind: int, name: str, change, says: str, *more, code=1, shell=False, **how) -> Case:
    def make(folder):
        task = make_task(folder, **how)
        change(task)
        told = [str(m).format(folder=folder) for m in more]
        out = [] if "-o" in more else ["-o", folder / "score"]
        return ["score", folder / "fields", task.truth, *out, *told]

    return Case(kind, name, make, says, code, shell=shell)


def nothing(_) -> None:
    pass


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def unpacked(path: Path) -> None:
    path.write_bytes(gzip.decompress(path.read_bytes()))


def emptied(path: Path) -> Path:
    path.unlink()
    return path


def linked(path: Path, target: Path | str) -> None:
    emptied(path).symlink_to(target)


def long_labels(path: Path, times: int = 1) -> None:
    nib.save(nib.Nifti1Image(make_labels().astype(np.uint64) * times, AFFINE, dtype="uint64"), path)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
SHEAR = 5 * np.eye(4, k=1) * [0, 1, 0, 0]
FIRST = "X_0001_0000.nii.gz"
PAIR = {"fixed": f"./imagesVal/{FIRST}", "moving": "./imagesVal/X_0002_0000.nii.gz"}


def renamed(kind: int, name: str, file: str, says: str) -> Case:
    """A good image under a name that is of another kind of file."""

    def make(folder):
        pair = make_pair(folder)
        moving = pair.moving.rename(folder / file)
        return ["register", pair.fixed, moving, "-m", "affine", "-o", folder / "out"]

    return Case(kind, name, make, says)


def asked_for(
    kind: int, name: str, says: str, pairs=(PAIR,), labels=(1, 2), shell: bool = False
) -> Case:
    """A task of these pairs that asks for these labels."""
    methods = [{"metric": "dice", "labels": list(labels)}]
    text = json.dumps({"validation": list(pairs), "evaluation_methods": methods})
    return of_task(kind, name, lambda t: t.truth.write_text(text), says, shell=shell)


def in_unit(code: int) -> Callable:
    return lambda p: write(p.moving_labels, make_labels(1), xyzt_units=code)


# ---- roots ---------------------------------------------------------------------------------------


def root_with(kind: int, name: str, text: str | bytes, says: str, shell: bool = False) -> Case:
    """A project whose experiments.yml holds that."""

    def make(folder):
        content = text.encode() if isinstance(text, str) else text
        (folder / "experiments.yml").write_bytes(content)
        return ["results", "compute", "-p", "smoke"]

    return Case(kind, name, make, says, env={"LUMIRAGE_ROOT": "{folder}"}, shell=shell)


def run_with(kind: int, name: str, *values: str, says: str, code=1, shell: bool = False) -> Case:
    arguments = ["run", NOTEBOOK, "-p", "smoke", "--compute-only"]
    for value in values:
        arguments += ["-P", value]
    return given(kind, name, arguments, says, code, shell=shell)


def checkpoint(name: str, content: bytes, says: str, *more, kind: int = 17, shell=False) -> Case:
    def make(folder):
        (folder / "model.pth").write_bytes(content)
        return ["weights", "add", "vfa", folder / "model.pth", *more]

    return Case(kind, name, make, says, env={"LUMIRAGE_CACHE": "{folder}/cache"}, shell=shell)


def named(kind: int, name: str, file: str, says: str = "no such file", code=1, shell=False) -> Case:
    """Images of that name, which are not there."""
    return Case(
        kind,
        name,
        lambda folder: ["register", folder / file, folder / file, "-m", "affine", "-o", folder],
        says,
        code,
        shell=shell,
    )


def bad_alignment(name: str, content: str | bytes, says: str = "alignment") -> Case:
    def make(folder):
        pair = make_pair(folder)
        path = folder / "alignment.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        command = ["register", pair.fixed, pair.moving, "-m", "affine", "-o", folder / "out"]
        return [*command, "--alignment", path]

    return Case(11, name, make, says, shell=name in ("a list", "NaN"))


def page_bomb(levels: int) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


NO_PROFILE = "there are smoke"
CASES = [
    # ---- 1 integrity
    of_pair(1, "image cut", lambda p: cut(p.moving), "download it again", shell=True),
    of_labels(1, "labels cut", lambda p: cut(p.fixed_labels), "download it again"),
    of_task(1, "displacement cut", lambda t: cut(t.fields[0]), "malformed", shell=True),
    of_pair(
        1, "bzip2 called gzip", lambda p: p.moving.write_bytes(bz2.compress(b"x")), "moving.nii"
    ),
    of_pair(1, "xz called gzip", lambda p: p.moving.write_bytes(lzma.compress(b"x")), "moving.nii"),
    of_pair(1, "not packed", lambda p: unpacked(p.moving), "not a gzip file"),
    of_pair(1, "a pointer of git-lfs", lambda p: p.fixed.write_text(POINTER), "download it again"),
    renamed(1, "packed, called .nii", "moving.nii", "download it again"),
    renamed(1, "packed, called .mgz", "moving.mgz", "download it again"),
    renamed(1, "called .nii.bz2", "moving.nii.bz2", "convert it"),
    renamed(1, "called .nii.zst", "moving.nii.zst", "convert it"),
    of_task(
        1,
        "two displacements of one pair",
        lambda t: np.savez(t.folder / "fields" / "disp_0001_0002.npz", arr_0=np.zeros(3)),
        "are of one pair; keep one of them",
        shell=True,
    ),
    # ---- 2 world position
    of_labels(
        2,
        "labels elsewhere",
        lambda p: write(p.moving_labels, make_labels(1), AFFINE + 90 * np.eye(4, k=3)),
        "lie outside its image",
        shell=True,
    ),
    of_labels(
        2,
        "labels mirrored away",
        lambda p: write(p.fixed_labels, make_labels(), np.diag([-1, -1, -1, 1]) @ AFFINE * 1.0),
        "fixed_labels.nii.gz",
    ),
    of_pair(
        2,
        "sheared",
        lambda p: write(p.moving, make_image(1), AFFINE + SHEAR),
        "degrees, expected 90",
        shell=True,
    ),
    of_task(
        2,
        "ground truth sheared",
        lambda t: write(t.folder / "labelsVal" / FIRST, make_labels(), AFFINE + SHEAR),
        "degrees, expected 90",
    ),
    of_labels(
        2,
        "labels sheared",
        lambda p: write(p.fixed_labels, make_labels(), AFFINE + SHEAR),
        "degrees, expected 90",
    ),
    # ---- 3 units
    of_labels(3, "labels in metres", in_unit(1), "lie outside its image", shell=True),
    of_labels(3, "labels in microns", in_unit(3), "moving_labels.nii.gz", shell=True),
    of_pair(
        3,
        "image in microns",
        lambda p: write(p.fixed, make_image(), xyzt_units=3),
        "correct their size in the header",
    ),
    # ---- 4 orientation
    of_pair(
        4,
        "unknown",
        lambda p: write(p.fixed, make_image(), sform_code=0, qform_code=0),
        "--assume RAS",
        shell=True,
    ),
    of_pair(
        4,
        "assumed wrongly",
        lambda p: write(p.fixed, make_image(), sform_code=0, qform_code=0),
        "expected three letters",
        "--assume",
        "RRR",
        shell=True,
    ),
    of_task(
        4,
        "ground truth without axes",
        lambda t: write(t.folder / "labelsVal" / FIRST, make_labels(), sform_code=0, qform_code=0),
        "repair the header",
    ),
    # ---- 5 background
    of_pair(5, "all one", lambda p: write(p.fixed, 0 * make_image() + 1), "every voxel is 1"),
    of_pair(
        5,
        "all zero",
        lambda p: write(p.moving, 0 * make_image()),
        "every voxel is 0",
        shell=True,
    ),
    of_pair(5, "not a number", lambda p: write(p.moving, make_image() * np.nan), "NaN", shell=True),
    # ---- 6 substitution
    of_task(6, "images in scans", nothing, "rename the folder", images="scans", shell=True),
    of_task(6, "labels in seg", nothing, "neither labels nor landmarks", labels="seg", shell=True),
    asked_for(6, "the same pair twice", "stands twice", [PAIR, PAIR], shell=True),
    asked_for(6, "another protocol", "share no label", labels=[99]),
    asked_for(6, "half a label", "expected JSON", labels=[1.5], shell=True),
    asked_for(6, "a label of text", "expected JSON", labels=["1"]),
    asked_for(6, "images elsewhere", "missing", [{"fixed": "/etc/passwd", "moving": "/etc/hosts"}]),
    # ---- 8 imports
    imports("key of blanks", registrations=row_with(key="  "), shell=True),
    imports("no status said", registrations=row_with(status="")),
    imports("Dice of 7", "a JSON object of numbers", registrations=row_with(measures=DICE_7)),
    imports("Dice infinite", registrations=row_with(measures='{"dice": Infinity}')),
    imports("Dice of true", registrations=row_with(measures='{"dice": true}')),
    imports("measures that are columns", registrations=row_with(measures='{"key": 3}'), shell=True),
    imports("a number without end", registrations=row_with(measures='{"n": ' + "9" * 400 + "}")),
    imports("seconds below zero", registrations=row_with(seconds=-5.0)),
    imports("a newer ruler", "from 0 to", registrations=row_with(ruler=99), shell=True),
    imports("an older ruler than any", registrations=row_with(ruler=-1)),
    imports("a ruler beyond numbers", registrations=row_with(ruler=float(2**70))),
    imports("a date for text", registrations=row_with(finished=pd.Timestamp("2026-01-01"))),
    imports("key as index", registrations=row_with().set_index("key")),
    imports("a list for text", registrations=row_with(reason=[1, 2])),
    imports("bytes for text", registrations=row_with(status=b"ok")),
    imports("a label beyond numbers", structures=structure_with(label=2**64 - 1), shell=True),
    imports("a label below zero", structures=structure_with(label=-1)),
    imports("half a label", structures=structure_with(label=1.5)),
    imports("structure of another export", "not of one", structures=structure_with(key="k2")),
    imports("overlap of 3", structures=structure_with(dice=3.0)),
    imports("alignment that is flat", "can be inverted", alignments=FLAT),
    imports("text for slices", slices=pd.DataFrame({"key": ["k1"], "arrays": ["x"]})),
    imports(
        "categories are text",
        "1 registrations added",
        0,
        registrations=row_with().astype({"status": "category", "method": "category"}),
    ),
    imports("strings of pandas", "1 registrations added", 0, registrations=as_strings()),
    imports("no column status", shell=True, registrations=row_with().drop(columns="status")),
    imports("status empty", registrations=row_with(status=None)),
    imports("key twice", registrations=pd.concat([row_with(), row_with()]), shell=True),
    imports("measures that are no JSON", registrations=row_with(measures="{oops")),
    imports("measures of text", registrations=row_with(measures='{"dice": "good"}')),
    imports(
        "a column that is SQL",
        shell=True,
        registrations=row_with().assign(**{"x); DROP TABLE registrations; --": 1}),
    ),
    imports("seconds of text", registrations=row_with(seconds="fast")),
    imports("deep JSON", registrations=row_with(measures="[" * 50_000 + "]" * 50_000)),
    imports("no structures", "no structures.parquet", structures=None),
    imports("structures that are a page", "not readable", structures=b"<html>404</html>"),
    imports("cut", "not readable", registrations=b"PAR1 and no more"),
    given(8, "no folder", "results import nowhere -p smoke", "expected a folder made by export"),
    # ---- 9 typos
    given(9, "profile of compute", "results compute -p opne", NO_PROFILE, shell=True),
    given(9, "profile of status", "results status -p opne", NO_PROFILE),
    given(9, "profile of export", "results export -p opne", NO_PROFILE),
    given(9, "profile of import", "results import results/open -p opne", NO_PROFILE),
    given(9, "path for a profile", "results compute -p ../../x", NO_PROFILE, shell=True),
    given(9, "absolute profile", "results import results/open -p /tmp/x", NO_PROFILE),
    given(9, "no profile", ["results", "compute", "-p", ""], NO_PROFILE),
    given(9, "profile of book", "book --profiles opne,demo", NO_PROFILE),
    given(9, "notebook", "run 01_in_distribtion", "there are 00_summary", shell=True),
    given(9, "path for a notebook", "run ../lumirage_lib/errors", "there are 00_summary"),
    run_with(9, "parameter", "n_pair=3", says="no parameter n_pair", shell=True),
    run_with(9, "no value", "n_pairs", says="NAME=VALUE"),
    run_with(9, "no name", "=3", says="NAME=VALUE"),
    run_with(9, "twice", "n_pairs=2", "n_pairs=3", says="given twice", shell=True),
    run_with(9, "no is no bool", "rescan=no", says="expected bool, got 'no'"),
    run_with(9, "half a pair", "n_pairs=2e-1", says="expected int, got 0.2"),
    run_with(9, "underscore", "n_pairs=1_0", says="expected int, got '1_0'"),
    run_with(9, "a date", "n_pairs=2026-01-01", says="expected int, got '2026-01-01'"),
    run_with(9, "sexagesimal", "n_pairs=1:30", says="expected int, got '1:30'", shell=True),
    given(9, "method", "register a.nii b.nii -m gredy", "no method 'gredy'", shell=True),
    given(9, "form", "register a.nii b.nii -m affine --format itkk", "expected one of"),
    given(9, "protocol", "score . x.json --protocol lumir", "expected one of"),
    given(9, "command", "methds", "No such command", 2, shell=True),
    given(9, "option", "run x --comput-only", "No such option", 2),
    given(9, "number", "weights add vfa x --spacing-mm wide", "valid number", 2),
    run_with(9, "profile by parameter", "profile=open", says="choose it with -p", shell=True),
    run_with(9, "method of a number", "methods=[3]", says="expected names, got 3", shell=True),
    run_with(9, "method of nothing", "methods=[null]", says="expected names, got None"),
    run_with(9, "method of a list", "methods=[[affine]]", says="expected names"),
    run_with(9, "no methods", "methods=[]", says="asks for no registrations", code=0),
    run_with(9, "pairs below zero", "n_pairs=-3", says="n_pairs: expected 0 or more, got -3"),
    run_with(9, "seed below zero", "seed=-1", says="seed: expected 0 or more, got -1"),
    run_with(9, "alignment of no kind", "alignment=affin", says="expected one of affine, rigid"),
    run_with(9, "folder of a cohort without", "root=/nope", says="is not read from a folder"),
    run_with(9, "limit below zero", "limits={greedy: -1}", says="a number of pairs, got -1"),
    run_with(9, "limit in words", "limits={greedy: x}", says="a number of pairs, got 'x'"),
    given(9, "hours below zero", "train --hours -1", says="'--hours': Input should be", code=2),
    given(
        9,
        "verify of a seed below zero",
        "verify --seed -1",
        says="'--seed': Input should be",
        code=2,
    ),
    run_with(9, "cohort", "cohort=tempalte", says="no cohort 'tempalte'"),
    given(
        9,
        "a notebook that computes nothing",
        "run 00_summary -p smoke --compute-only",
        "asks for no registrations",
        0,
        shell=True,
    ),
    of_pair(
        9, "iterations below zero", nothing, "iterations=-5", "-P", "iterations=-5", "-m", "syn"
    ),
    of_pair(9, "text for a number", nothing, "step='fast'", "-P", "step=fast", "-m", "greedy"),
    of_pair(9, "number for text", nothing, "iterations=7", "-P", "iterations=7", "-m", "greedy"),
    given(9, "method of verify", "verify -m gredy", "no method 'gredy' is of this run", shell=True),
    given(9, "pair of verify", "verify --pair 1:2", "no pair '1:2' is of this run"),
    given(9, "registrations of verify", "verify -n 0", "greater than or equal to 1", 2),
    given(9, "workers", "score . x.json --workers 0", "greater than or equal to 1", 2),
    given(9, "data option", "data check lumir -P contrast=T9", "takes the options root"),
    given(9, "no profiles", ["book", "--profiles", ","], NO_PROFILE),
    # ---- 11 threads and alignments
    given(11, "many threads", "register a.nii b.nii -m affine --threads 99999", "up to 1024"),
    given(11, "threads of text", "register a.nii b.nii --threads x", "valid integer", 2),
    given(11, "threads", "register a.nii b.nii -m affine --threads -2", "--threads -2", shell=True),
    bad_alignment("text", "north by northwest"),
    bad_alignment("three rows", "1 0 0 0\n0 1 0 0\n0 0 1 0\n"),
    bad_alignment("NaN", "nan 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"),
    bad_alignment("flat", "1 0 0 0\n1 0 0 0\n0 0 1 0\n0 0 0 1\n"),
    bad_alignment("a list", "[1, 2, 3]"),
    bad_alignment("binary", bytes(range(256))),
    bad_alignment("empty", ""),
    Case(
        11,
        "key that there is not",
        lambda folder: [
            *("register", make_pair(folder).fixed, folder / "moving.nii.gz", "-m", "affine"),
            *("--alignment", "no-such-key", "-o", folder / "out"),
        ],
        "neither a file nor a key",
        env=STORE,
    ),
    # ---- 13 causes
    stored("no store", lambda p: p.write_text("rows"), "not a results store", shell=True),
    stored("a picture", lambda p: p.write_bytes(b"\x89PNG\r\n" + bytes(5000)), "not a results"),
    stored("newer", newer, "store version 99", shell=True),
    stored("a folder", lambda p: p.mkdir(), "cannot be opened", shell=True),
    stored("damaged", damaged, "damaged; move it away"),
    stored(
        "a link to nowhere",
        lambda p: p.symlink_to("/nowhere/at/all.sqlite"),
        "cannot be opened",
    ),
    Case(
        13,
        "store below a file",
        lambda folder: [
            *("results", "import", make_export(put(folder / "store").parent), "-p", "smoke"),
        ],
        "cannot be opened",
        env=STORE,
        shell=True,
    ),
    Case(
        13,
        "no device for a store",
        lambda folder: ["results", "import", make_export(folder), "-p", "smoke"],
        "cannot be opened",
        env={"LUMIRAGE_STORE": "/dev/null"},
    ),
    Case(
        13,
        "a store where none may be made",
        lambda folder: ["results", "import", make_export(folder), "-p", "smoke"],
        "/proc/1/x",
        env={"LUMIRAGE_STORE": "/proc/1/x"},
        shell=True,
    ),
    Case(
        13,
        "nothing to export",
        lambda folder: ["results", "export", folder / "export", "-p", "smoke"],
        "holds no registration yet",
        env=STORE,
        shell=True,
    ),
    # ---- 14 late failures
    of_pair(
        14,
        "the result over the input",
        lambda p: p.moving.rename(p.fixed.parent / "moved.nii.gz"),
        "would be overwritten",
        "{folder}/moved.nii.gz",
        "-o",
        "{folder}",
        shell=True,
    ),
    Case(
        14,
        "report of verify onto a folder",
        lambda folder: ["verify", "-n", "1", "-m", "affine", "--report", folder],
        "a folder; expected the name of a file",
    ),
    Case(
        14,
        "page onto a folder",
        lambda folder: ["run", NOTEBOOK, "-p", "smoke", "-o", folder],
        "a folder; expected the name of a file",
    ),
    given(14, "report of verify into /proc", "verify --report /proc/x/y.csv", "cannot be written"),
    of_pair(
        14,
        "out is a file",
        lambda p: (p.fixed.parent / "out").write_text("x"),
        "choose another folder",
        shell=True,
    ),
    of_pair(
        14, "out below a file", nothing, "cannot be written", "-o", "{folder}/fixed.nii.gz/out"
    ),
    of_pair(14, "out in /proc", nothing, "cannot be written", "-o", "/proc/out", shell=True),
    of_pair(14, "out has no name", nothing, "cannot be written", "-o", "{folder}/" + "x" * 300),
    of_labels(
        14,
        "label of -1",
        lambda p: write(p.moving_labels, make_labels() - 1),
        "moving_labels.nii.gz: expected labels >= 0, got -1",
    ),
    of_labels(
        14,
        "no label in common",
        lambda p: write(p.moving_labels, np.where(make_labels(), 100, 0).astype(np.int16)),
        "share no label",
    ),
    of_task(
        14,
        "score into a file",
        lambda t: (t.folder / "score").write_text("x"),
        "cannot be written",
        shell=True,
    ),
    of_task(14, "score into /proc", nothing, "cannot be written", "-o", "/proc/score", shell=True),
    Case(
        14,
        "export into a file",
        lambda folder: ["results", "export", put(filled(folder) / "x"), "-p", "smoke"],
        "cannot be written",
        env=STORE,
    ),
    Case(
        14,
        "export into /proc",
        lambda folder: filled(folder) and ["results", "export", "/proc/x", "-p", "smoke"],
        "cannot be written",
        env=STORE,
    ),
    given(
        14,
        "page into /proc",
        "run 07_effect_sizes -p smoke -o /proc/x/page.ipynb",
        "cannot be written",
        env=STORE,
        shell=True,
    ),
    given(14, "training into /proc", "train --out /proc/x --minutes 0.1", "/proc/x", shell=False),
    # ---- 15 markup
    given(15, "notebook", ["run", "[red]x[/]"], "no notebook '[red]x[/]'", shell=True),
    given(15, "closing tag", ["run", "[/red]"], "no notebook '[/red]'", shell=True),
    given(15, "profile", ["results", "compute", "-p", "[bold]"], "no profile '[bold]'"),
    given(15, "repository", ["data", "list", "[/]/x"], "[/]/x"),
    given(15, "link", ["data", "list", "[link=file:///]x[/link]"], "[link=file:///]x[/link]"),
    given(15, "emoji", ["run", ":smile:"], "':smile:'", shell=True),
    given(15, "method", ["register", "a", "b", "-m", "[/x]"], "no method '[/x]'"),
    given(15, "weights", ["weights", "remove", "[/red]"], "[/red]", shell=True),
    given(15, "terminal codes", ["run", "\x1b[31mred\x1b[0m"], r"\x1b[31mred"),
    given(15, "title of the terminal", ["run", "\x1b]0;title\x07"], r"\x1b]0;title\x07"),
    named(15, "file", "[bold]brain[/bold].nii.gz", "[bold]brain[/bold].nii.gz", shell=True),
    named(15, "long path", "a" * 120 + ".nii.gz", "a" * 120 + ".nii.gz", shell=True),
    given(15, "usage", ["[/red]"], "[/red]", 2),
    # ---- 16 memory
    given(16, "limit too small", "results compute -p smoke --memory 5", "--memory", 2, shell=True),
    given(16, "memory below zero", "results compute -p smoke --memory -1", "--memory", 2),
    given(16, "memory of no number", "results compute -p smoke --memory nan", "--memory", 2),
    given(16, "a grid for no memory", "memory vfa --shape 99999 99999 99999", "would take"),
    given(16, "a grid below zero", "memory vfa --shape -1 2 3", "expected three sides", shell=True),
    # ---- 17 doors
    checkpoint("grid of fruit", b"", "grid", "--grid", "banana", shell=True),
    checkpoint("grid of two", b"", "grid", "--grid", "160x192", shell=False),
    checkpoint("no voxels", b"", "voxel size", "--spacing-mm", "0"),
    checkpoint("voxels of NaN", b"", "voxel size", "--spacing-mm", "nan", shell=True),
    checkpoint("no checkpoint", b"see attachment", "model.pth"),
    checkpoint("empty checkpoint", b"", "model.pth", shell=True),
    given(17, "unknown network", "weights add vxm x.pth", "vfa"),
    given(17, "not added", "weights remove vfa-lumirr", "vfa-lumirr", shell=True),
    given(17, "shipped", "weights remove vfa", "vfa"),
    # ---- 19 hostile text
    run_with(19, "alias bomb", f"limits={BOMB}", says="alias", shell=True),
    run_with(19, "alias of itself", "methods=&a [*a]", says="alias"),
    run_with(19, "tag that executes", "limits=!!python/object:os.system x", says="expected YAML"),
    run_with(19, "deep YAML", "methods=" + "[" * 3000, says="expected YAML", shell=True),
    run_with(19, "not closed", "methods=[affine", says="expected YAML"),
    run_with(19, "control characters", "methods=\x01", says="expected YAML"),
    run_with(19, "surrogates", "methods=[\udcff\udcfe]", says="methods"),
    run_with(19, "a megabyte", "methods=" + "x" * 100_000, says="expected list", shell=True),
    root_with(19, "experiments that are no YAML", "a: [", "experiments.yml", shell=True),
    root_with(19, "experiments in UTF-16", "a: {b: }".encode("utf-16"), "experiments.yml"),
    root_with(19, "experiments in Latin-1", b"a: {b: \xe4}", "experiments.yml", shell=True),
    root_with(19, "experiments of a list", "- a\n- b\n", "experiments.yml"),
    root_with(19, "experiments of text", "see attachment", "experiments.yml"),
    root_with(19, "experiments of zeros", bytes(100), "experiments.yml"),
    root_with(19, "experiments that execute", "!!python/object/apply:os.abort []", "expected YAML"),
    root_with(19, "experiments of a bomb", page_bomb(12), "experiments.yml", shell=True),
    of_task(
        19,
        "deep JSON",
        lambda t: t.truth.write_text("[" * 100_000),
        "expected JSON with a list",
        shell=True,
    ),
    of_task(
        19,
        "truth in Latin-1",
        lambda t: t.truth.write_bytes(b'{"validation": "\xe4"}'),
        "expected JSON with a list",
        shell=True,
    ),
    of_task(
        19,
        "a mark before the JSON",
        lambda t: t.truth.write_bytes(b"\xef\xbb\xbf" + t.truth.read_bytes()),
        "BOM",
    ),
    of_task(
        19, "NaN for pairs", lambda t: t.truth.write_text('{"validation": NaN}'), "expected JSON"
    ),
    of_task(19, "a folder for JSON", lambda t: emptied(t.truth).mkdir(), "dataset.json"),
    # ---- 20 messages
    of_pair(20, "a folder", lambda p: emptied(p.moving).mkdir(), "moving.nii.gz", shell=True),
    of_pair(20, "a link to itself", lambda p: linked(p.moving, p.moving), "no such file"),
    of_pair(20, "a link to nothing", lambda p: linked(p.moving, ".git/annex/x"), "no such file"),
    of_pair(20, "no device", lambda p: linked(p.moving, "/dev/null"), "Empty file", shell=True),
    named(20, "an address", "https:/example.org/a.nii.gz"),
    named(20, "a name for no disk", "x" * 300 + ".nii.gz"),
    named(20, "a name of zero", "a\0b.nii.gz", "null", code=2),  # byte or character: Python's word
    of_pair(
        20,
        "values beyond float32",
        lambda p: write(p.moving, 1e300 * make_image(1).astype(float)),
        "NaN or infinite",
    ),
    of_pair(
        20,
        "scaled beyond float32",
        lambda p: write(p.moving, make_labels(1), scl_slope=1e38, scl_inter=5),
        "NaN or infinite",
        shell=True,
    ),
    of_labels(
        20,
        "labels of floats",
        lambda p: write(p.fixed_labels, make_labels().astype(np.float64)),
        "Dice of 4 labels",
        code=0,
    ),
    of_labels(20, "labels of uint64", lambda p: long_labels(p.fixed_labels), "Dice of 4", code=0),
    of_labels(20, "long labels", lambda p: long_labels(p.fixed_labels, 2**40), "below 2^31"),
    of_labels(
        20, "none but background", lambda p: write(p.fixed_labels, 0 * make_labels()), "share"
    ),
    given(20, "no images", "register a.nii b.nii -m affine", "a.nii", shell=True),
    given(20, "no arguments", "register", "expected FIXED MOVING, or --fixed FILE --moving FILE"),
    given(20, "no folder", "score nowhere x.json", "expected a folder", shell=True),
    given(20, "no repository", "data list nobody/nothing", "nobody/nothing"),
    given(20, "no repository to fetch", "data fetch nobody/nothing", "nobody/nothing"),
    given(
        20, "module that is not there", "register a b -m nowhere:METHOD", "PYTHONPATH", shell=True
    ),
    given(20, "attribute that is not there", "register a b -m json:METHOD", "PYTHONPATH"),
    given(20, "attribute that is no method", "register a b -m json:dumps", "expected a MethodSpec"),
    given(20, "module that ends the process", "register a b -m this.is.not:x", "PYTHONPATH"),
    given(20, "module without name", "register a b -m :x", "PYTHONPATH"),
    given(20, "relative module", "register a b -m .x:y", "PYTHONPATH"),
    given(20, "network", "memory nothing", "nothing"),
    given(20, "network to train", "train nothing", "expected the network vfa"),
    given(20, "recipe", "train vfa --recipe fast", "fast"),
    Case(
        20,
        "a root that is not there",
        lambda folder: ["results", "status"],
        "LUMIRAGE_ROOT",
        env={"LUMIRAGE_ROOT": "/nowhere"},
        shell=True,
    ),
    Case(
        20,
        "a root that is a file",
        lambda folder: ["run", NOTEBOOK],
        "LUMIRAGE_ROOT",
        env={"LUMIRAGE_ROOT": "/etc/hostname"},
        shell=True,
    ),
    Case(
        20,
        "a mirror that is not there",
        lambda folder: ["data", "check"],
        "LUMIRAGE_MIRROR",
        env={"LUMIRAGE_MIRROR": "/nowhere"},
    ),
    of_labels(
        20,
        "an image for labels",
        lambda p: write(p.fixed_labels, make_image() / 7),
        "this looks like an image",
    ),
    of_pair(20, "a page", lambda p: p.fixed.write_bytes(b"<html>"), "fixed.nii.gz", shell=True),
    of_pair(
        20,
        "packed text",
        lambda p: p.fixed.write_bytes(gzip.compress(b"see attachment")),
        "fixed.nii.gz",
    ),
    given(20, "a parameter of none", "register a b -m affine -P speed=3", "speed", shell=True),
]
IN_A_SHELL = [case for case in CASES if case.shell]


def environment(case: Case, folder: Path) -> dict[str, str]:
    return {name: value.format(folder=folder) for name, value in case.env.items()}
