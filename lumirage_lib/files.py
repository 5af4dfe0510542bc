"""Files that are whole or not there, short hashes of content, and values written as text."""

import hashlib
import json
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from .errors import InputError


def hash_of(content: object) -> str:
    """Short stable hash of anything JSON can hold.

    >>> hash_of({"a": 1, "b": [1, 2]}) == hash_of({"b": [1, 2], "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place when the block ends well.

    Whatever interrupts the block, `path` holds the whole new file or what it held before. The folder
    is made if it is not there; the temporary name is unique and ends as that of `path` does.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_folder(folder: str | Path) -> Path:
    """Make a folder and see that it can be written, before time is spent on what goes there.

    Raises
    ------
    InputError
        It cannot.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error}); choose another folder") from error
    return folder


def check_file(path: str | Path) -> Path:
    """As :func:`check_folder`, for a file that is to be written or replaced."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: a folder; expected the name of a file to write")
    check_folder(path.parent)
    return path


class _Yaml(yaml.SafeLoader):
    """Plain values by the core schema of YAML 1.2: ``no`` is text, ``2e-1`` a number, ``0123`` is 123."""

    yaml_implicit_resolvers = {}  # noqa: RUF012, as its parent has it


for _tag, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
):
    _Yaml.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )
_Yaml.add_constructor(
    "tag:yaml.org,2002:int",
    lambda loader, node: int(node.value, 0 if node.value[:2] in ("0o", "0x") else 10),
)


def read_yaml(text: str, where: str, *, aliases: bool = False) -> Any:
    """A value written as YAML 1.2.

    Parameters
    ----------
    where : str
        Whence it comes, for the message.
    aliases : bool
        Whether one part may stand for another; nine lines of them can stand for more than any
        memory holds, so only a file of the project may.

    Raises
    ------
    InputError
        It is no YAML, or asks for more than plain values.

    Examples
    --------
    >>> read_yaml("[2e-1, no, 0123, true]", "-P x")
    [0.2, 'no', 123, True]
    """
    try:
        if not aliases and any(isinstance(t, yaml.AliasToken) for t in yaml.scan(text)):
            raise ValueError("an alias such as *name; write out what it stands for")
        return yaml.load(text, _Yaml)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        shown = text if len(text) < 60 else f"{text[:60]} …"
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{where}: expected YAML, got {shown!r} ({said})") from error


class _YamlOut(yaml.SafeDumper):
    yaml_implicit_resolvers = _Yaml.yaml_implicit_resolvers


def write_yaml(value: Any) -> str:
    """One line that :func:`read_yaml` reads as this value.

    >>> write_yaml(["2e-1", 0.2, "no", None])
    "['2e-1', 0.2, no, null]"
    """
    how: dict[str, Any] = {"default_flow_style": True, "sort_keys": False, "width": float("inf")}
    return str(yaml.dump(value, Dumper=_YamlOut, **how)).removesuffix("...\n").strip()
