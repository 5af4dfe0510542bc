"""The layout of a Learn2Reg task: which pairs there are, and what their files are called.

The task's JSON lies next to its images: the data set file (`LUMIR_dataset.json`, pairs under
"registration_val" or "validation") or an evaluation configuration (pairs under "eval_pairs", labels
under "evaluation_methods"). A pair names two images, `./imagesVal/A.nii.gz`; their labels lie in
`labelsVal/` and their landmarks in `landmarksVal/` under the same name.
"""

import json
import operator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError


@dataclass(frozen=True)
class Case:
    """One pair: its name, the names its displacement may have, and its two images."""

    name: str
    files: tuple[str, ...]
    fixed: Path
    moving: Path

    def find(self, kind: str) -> tuple[Path, Path] | None:
        """Fixed and moving file of a kind, "images", "labels" or "landmarks", if both exist.

        Raises
        ------
        InputError
            An image lies in a folder without "images" in its name, so that where its labels and
            landmarks are cannot be said.
        """
        for path in (self.fixed, self.moving):
            if "images" not in path.parent.name:
                raise InputError(
                    f"{path}: its folder is called {path.parent.name!r}; expected a name with 'images' in "
                    "it, such as imagesVal, beside labelsVal and landmarksVal; rename the folder and the "
                    "paths in the JSON"
                )
        fixed, moving = (
            path.parent.parent / path.parent.name.replace("images", kind) / path.name
            for path in (self.fixed, self.moving)
        )
        return (fixed, moving) if fixed.is_file() and moving.is_file() else None


def load_cases(path: Path) -> tuple[list[Case], list[int] | None]:
    """Pairs of a task, and the labels it asks for, if it says.

    A displacement may be called `disp_FIXED_MOVING.nii.gz`, with the numbers of the subjects,
    where both images have one modality, or modality 0000 and 0001;
    `disp_FIXED_FMOD_MOVING_MMOD.nii.gz`, with the modalities; or by the full names of the
    images, as `lumirage register` calls it. Each may end in `.npz` instead.

    Raises
    ------
    InputError
        If the file is not the JSON of a data set or of an evaluation.
    """
    path = Path(path)
    try:
        task = json.loads(path.read_text(encoding="utf-8"))
        # Tasks that list single images under "validation" have their pairs under the second key.
        keys = ("eval_pairs", "registration_val", "validation")
        pairs = task[next((key for key in keys if key in task), keys[-1])]
        cases = [_to_case(path.parent, pair["fixed"], pair["moving"]) for pair in pairs]
        methods = task.get("evaluation_methods", [])
        asked = (m["labels"] for m in methods if m.get("metric") == "dice" and "labels" in m)
        found = next(asked, None)
        labels = None if found is None else [operator.index(label) for label in found]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: expected JSON with a list 'validation' or 'eval_pairs' of pairs "
            f'{{"fixed": ..., "moving": ...}}, got {type(error).__name__}: {str(error)[:200]}.'
        ) from error
    if not cases:
        raise InputError(f"{path}: the list of pairs is empty; is it the training file?")
    names = [case.name for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"{path}: the pair {min(twice)} stands twice; name each pair once")
    return cases, labels


def _to_case(root: Path, fixed: str, moving: str) -> Case:
    (f, f_mod), (m, m_mod) = _identify(fixed), _identify(moving)
    names = [f"{f}_{f_mod}_{m}_{m_mod}", f"{_stem(fixed)}_{_stem(moving)}"]
    if f_mod == m_mod or (f_mod, m_mod) == ("0000", "0001"):
        names.insert(0, f"{f}_{m}")
    endings = (".nii.gz", ".npz")
    files = tuple(dict.fromkeys(f"disp_{name}{end}" for name in names for end in endings))
    return Case(f"{f}_{f_mod}<--{m}_{m_mod}", files, root / fixed, root / moving)


def _identify(image: str) -> tuple[str, str]:
    """Subject and modality in the name of an image, `NAME_SUBJECT_MODALITY.nii.gz`."""
    stem = _stem(image)
    parts = stem.split("_")
    if len(parts) >= 3 and len(parts[-1]) == 4 and parts[-1].isdigit():
        return parts[-2], parts[-1]
    return stem, "0000"


def _stem(image: str) -> str:
    return Path(image).name.removesuffix(".gz").removesuffix(".nii")
