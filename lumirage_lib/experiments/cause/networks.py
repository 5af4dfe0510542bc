"""The networks of this experiment: each intervention and seed a method of its own.

They are named ``lumirage_lib.experiments.cause.networks:remap_0`` and have the ids ``cause-remap-0``.
"""

import functools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

from ...cohorts import get_cohort
from ...cohorts.sources import cache_folder
from ...errors import InputError
from ...files import replacing
from ...methods import MethodSpec
from ...methods.base import InputSpec
from ...methods.deep import run_network
from ...methods.deep.vfa import CITATION, OURS, WRAPPER
from ...methods.local import SHIPPED, find_shipped, read_header, read_sums, write_sums
from ...methods.training import get_recipe
from ..training import write_card

FOLDER = SHIPPED / "cause"
GRID_MM, GRID, MULTIPLE = 4.0, (40, 48, 40), 8  # of the recipes and of their training images


@dataclass(frozen=True)
class Intervention:
    """What is changed in training, and how figures name and draw it."""

    name: str
    colour: str


INTERVENTIONS: Mapping[str, Intervention] = {
    "t1": Intervention("T1w only", "#7A7A7A"),
    "remap": Intervention("intensities remapped", "#0072B2"),
    "scale": Intervention("random size", "#009E73"),
    "both": Intervention("remapped and random size", "#CC79A7"),
    "few": Intervention("T1w only, 4 scans", "#56B4E9"),
}


def name_network(intervention: str, seed: int) -> str:
    """What :func:`lumirage_lib.methods.get_method` finds it by."""
    return f"{__name__}:{intervention}_{seed}"


def identify_network(intervention: str, seed: int) -> str:
    """Its id, as rows have it."""
    return f"cause-{intervention}-{seed}"


@functools.cache
def make_network(intervention: str, seed: int) -> MethodSpec:
    """The method; whether its weights are there shows when it is to run."""
    id, how = identify_network(intervention, seed), INTERVENTIONS[intervention]
    return MethodSpec(
        id,
        "deep",
        functools.partial(run_network, network="vfa"),
        f"lumirage {WRAPPER}",
        CITATION,
        {},
        InputSpec(grid=GRID, multiple_of=MULTIPLE, spacing_mm=GRID_MM),
        find_shipped(id, FOLDER),
        name=f"VFA, {how.name}, seed {seed}",
        colour=how.colour,
        training=OURS,
        internal_mm=GRID_MM,
    )


def __getattr__(name: str) -> MethodSpec:
    intervention, _, seed = name.rpartition("_")
    if intervention in INTERVENTIONS and seed.isdecimal():
        return make_network(intervention, int(seed))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def read_training(intervention: str, seed: int) -> Mapping[str, str]:
    """What the weights say of their training: iterations, whether it had settled; {} where none."""
    path = FOLDER / f"{identify_network(intervention, seed)}.safetensors"
    return read_header(path) if path.is_file() else {}


def train_network(
    intervention: str,
    seed: int,
    *,
    minutes: float | None = None,
    iterations: int | None = None,
    publish: bool = True,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train one of them on the training scans of oasis, or go on; finished weights are published.

    The run lies in the cache, so that it goes on where it was stopped.

    Parameters
    ----------
    minutes, iterations : optional
        See :func:`lumirage_lib.methods.training.loop.train`.
    publish : bool
        Copy the weights, once the recipe ends the run, to where the experiment reads them.

    Returns
    -------
    Path
        Folder of the run.
    """
    from ...methods.training.loop import FRAME, WEIGHTS, has_settled, train

    if intervention not in INTERVENTIONS:
        raise InputError(f"no intervention {intervention!r}; there are {', '.join(INTERVENTIONS)}")
    recipe, id = get_recipe(f"cause-{intervention}"), identify_network(intervention, seed)
    folder = cache_folder() / "training"
    out = folder / id
    out.mkdir(parents=True, exist_ok=True)
    if (folder / FRAME).exists():
        shutil.copy(folder / FRAME, out / FRAME)  # the affines between scans are the same for all
    cohort = get_cohort("oasis")
    state = train(
        cohort,
        recipe,
        out,
        seed=seed,
        minutes=minutes,
        iterations=iterations,
        resume=True,
        report=report,
    )
    if not (folder / FRAME).exists():
        with replacing(folder / FRAME) as part:  # other runs may begin at this moment
            shutil.copy(out / FRAME, part)
    if publish and (has_settled(state.history, recipe) or state.seconds >= 3600 * recipe.hours):
        FOLDER.mkdir(exist_ok=True)
        file = FOLDER / f"{id}.safetensors"
        shutil.copy(out / WEIGHTS, file)
        shutil.copy(write_card(out, cohort), file.with_suffix(".md"))
        write_sums(FOLDER, {**read_sums(FOLDER), id: pooch.file_hash(str(file), alg="sha256")})
    return out


def train_missing(
    networks: Mapping[str, int], report: Callable[[str], None] = print
) -> list[tuple[str, int]]:
    """Train every network asked for (intervention -> seeds) that has no weights yet; which they were."""
    done = []
    for seed in range(max(networks.values(), default=0)):
        for name, n in networks.items():
            if seed < n and not read_training(name, seed):
                report(f"{identify_network(name, seed)}")
                train_network(name, seed, report=report)
                done.append((name, seed))
    make_network.cache_clear()
    return done
