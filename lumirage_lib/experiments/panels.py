"""Pictures of one pair before and after registration, from the small slices in the store."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import path as lines
from matplotlib.colors import ListedColormap
from matplotlib.patches import PathPatch

from ..cohorts import SHOWN
from ..methods import name_of, order_of
from ..runs.store import read_slices
from .style import WIDTH, subplots

FIXED_COLOUR, ERROR = "#56B4E9", "#E69F00"
NOT_SHOWN = (
    "The images of this run are not drawn: their licence forbids it, or none is stated. What may be drawn "
    "is generated, CC BY or MIT."
)


@dataclass(frozen=True)
class Panel:
    """Packed slices and Dice by method, of one pair."""

    pair: str
    slices: dict[str, bytes]
    dice: dict[str, float]


def find_panel(rows: pd.DataFrame, store: Path, cohort: str) -> Panel | None:
    """Slices of the pair that most methods have them for; None if none were kept or may be shown.

    Parameters
    ----------
    rows : DataFrame
        Registrations under one condition.
    store : Path
    cohort : str
        Whose anatomy is in the images.
    """
    found: dict[str, Panel] = {}
    for row in rows[rows["status"] == "ok"].itertuples() if cohort in SHOWN else ():
        blob = read_slices(store, row.key)
        if blob is not None:
            panel = found.setdefault(pair := f"{row.moving} onto {row.fixed}", Panel(pair, {}, {}))
            panel.slices[row.method], panel.dice[row.method] = blob, row.dice
    return max(found.values(), key=lambda panel: len(panel.slices), default=None)


def load_slices(blob: bytes) -> dict[str, np.ndarray]:
    """Unpack what :func:`lumirage_lib.runs.scoring.display_slices` packed."""
    with np.load(io.BytesIO(blob)) as arrays:
        return dict(arrays)


def write_panel(path: Path, panel: Panel, plane: str) -> None:
    """Keep one plane of a panel in a file that is committed."""
    kept = {
        f"{method}/{name}": cut
        for method, blob in panel.slices.items()
        for name, cut in _crop(load_slices(blob), plane).items()
    }
    about = {"pair": panel.pair, "methods": list(panel.dice), "dice": list(panel.dice.values())}
    arrays: dict[str, Any] = {**kept, **about}
    np.savez_compressed(path, **arrays)


def read_panel(path: Path) -> Panel:
    """What :func:`write_panel` wrote."""
    with np.load(path) as arrays:
        dice = dict(zip(arrays["methods"].tolist(), arrays["dice"].tolist(), strict=True))
        slices = {}
        for method in dice:
            buffer, start = io.BytesIO(), f"{method}/"
            own = {n.removeprefix(start): arrays[n] for n in arrays if n.startswith(start)}
            np.savez(buffer, **own)
            slices[method] = buffer.getvalue()
        return Panel(str(arrays["pair"]), slices, dice)


def plot_panel(panel: Panel, plane: str = "coronal"):
    """Moved image of every method; in colour where its labels are not those of the fixed image.

    Parameters
    ----------
    panel : Panel
    plane : {"sagittal", "coronal", "axial"}
    """
    methods = order_of(panel.slices)
    columns = min(4, len(methods) + 1)
    rows = -(-(len(methods) + 1) // columns)
    figure, axes = subplots(
        rows, columns, figsize=(WIDTH, 1.15 * WIDTH / columns * rows), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    unpacked = {m: _crop(load_slices(panel.slices[m]), plane) for m in methods}
    first = unpacked[methods[0]]
    _draw(axes.flat[0], first, plane, "fixed", "fixed", FIXED_COLOUR)
    axes.flat[0].set_title("fixed", fontsize=9)
    for axis, method in zip(list(axes.flat)[1:], methods, strict=False):
        _draw(axis, unpacked[method], plane, "moved", "fixed", FIXED_COLOUR)
        fixed, moved = (unpacked[method][f"{name}_labels_{plane}"] for name in ("fixed", "moved"))
        wrong = np.where(fixed != moved, 1.0, np.nan)
        axis.imshow(wrong.T, origin="lower", cmap=ListedColormap([ERROR]), alpha=0.75)
        axis.set_title(f"{name_of(method)}\nDice {panel.dice[method]:.3f}", fontsize=9)
    return figure


def _crop(arrays: Mapping[str, np.ndarray], plane: str, margin: int = 4) -> dict[str, np.ndarray]:
    """The slices of one plane, cut to the fixed brain."""
    box = []
    for axis in (1, 0):
        hit = np.flatnonzero((arrays[f"fixed_{plane}"] > 0).any(axis=axis))
        box.append(slice(max(0, hit[0] - margin), hit[-1] + 1 + margin))
    return {name: cut[tuple(box)] for name, cut in arrays.items() if name.endswith(plane)}


def _draw(axis, arrays, plane: str, image: str, labels: str, colour: str) -> None:
    axis.imshow(arrays[f"{image}_{plane}"].T, origin="lower", cmap="gray", vmin=0, vmax=255)
    cut = arrays[f"{labels}_labels_{plane}"].astype(int)
    # A line wherever the label changes; contour levels would merge neighbouring label numbers.
    i, j = np.nonzero(np.diff(cut, axis=0))
    upright = np.array([[i + 0.5, j - 0.5], [i + 0.5, j + 0.5]])
    i, j = np.nonzero(np.diff(cut, axis=1))
    flat = np.array([[i - 0.5, j + 0.5], [i + 0.5, j + 0.5]])
    ends = np.concatenate([upright, flat], axis=2).transpose(2, 0, 1).reshape(-1, 2)
    codes = np.tile([lines.Path.MOVETO, lines.Path.LINETO], len(ends) // 2)
    outline = PathPatch(lines.Path(ends, codes), fill=False, ec=colour, lw=0.45, alpha=0.9)
    axis.add_artist(outline)
