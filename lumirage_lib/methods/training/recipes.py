"""What determines a training run, by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType

from ...errors import InputError

# Intensity maps, at knots from air to the brightest tissue.
HELD_OUT_MAPS = {  # tested on, so never trained on
    "inverted": (1.0, 0.8, 0.6, 0.4, 0.2, 0.0),
    "folded": (1.0, 0.6, 0.2, 0.2, 0.6, 1.0),
}
Schedule = tuple[tuple[int, float], ...]  # (first iteration, value), in order, the first at 0


@dataclass(frozen=True)
class Recipe:
    """A training run, all but its seed and its length.

    Attributes
    ----------
    name : str
    spacing_mm : float
        Voxel size of the training images.
    options : mapping
        Of the network (:class:`lumirage_lib.methods.networks.VFA`).
    smoothness : tuple of (int, float)
        From which iteration on, the weight of the diffusion penalty against the squared local
        correlation.
    windows : tuple of (int, int)
        From which iteration on, the side of the correlation's window in voxels, odd. Validation
        keeps to the first.
    finest : tuple of (int, int)
        From which iteration on, the finest level of the network that takes part; level 0 has the
        resolution of the images. Coarser levels are learned in a fraction of the time.
    learning_rate : float
        Of Adam.
    averaging : float
        The network that is kept is the running mean of the weights over about
        ``1 / (1 - averaging)`` iterations; it needs no schedule, so a run may end at any time.
    hours : float
        Length unless another is asked for.
    n_held_out : int
        Training scans kept for validation.
    shared, individual : tuple of float
        Largest random rotation (degrees), scaling (fraction) and shift (mm), of a pair as a whole
        and of each of its images on its own.
    precision : {"float32", "bfloat16"}
        Of the convolutions; weights and everything else are float32.
    validate_every : int
        Iterations.
    checkpoint_minutes : float
    plateau : tuple of (float, int), optional
        The run ends once the held-out correlation has gained less than the first over so many
        iterations; by default only its length ends it.
    n_fitted : int, optional
        Only so many of the scans to fit, the first; by default all.
    scales : tuple of float, optional
        Smallest and largest size of a pair as a whole, against its own, drawn uniformly.
    remapped : bool
        The network sees intensities that went through a random map, the same for both images of a
        pair (:func:`lumirage_lib.methods.training.data.draw_map`); what it minimises is computed on
        the images as they were.
    """

    name: str
    spacing_mm: float
    options: Mapping = field(default_factory=dict)
    smoothness: Schedule = ((0, 1.0),)
    windows: Schedule = ((0, 9),)
    finest: Schedule = ((0, 0),)
    learning_rate: float = 8e-4
    averaging: float = 0.995
    hours: float = 1.5
    n_held_out: int = 2
    shared: tuple[float, float, float] = (8.0, 0.06, 4.0)
    individual: tuple[float, float, float] = (2.0, 0.02, 1.0)
    precision: str = "float32"
    validate_every: int = 50
    checkpoint_minutes: float = 3.0
    plateau: tuple[float, int] | None = None
    n_fitted: int | None = None
    scales: tuple[float, float] | None = None
    remapped: bool = False

    def as_dict(self) -> dict:
        """Plain containers only, so that a checkpoint can hold it."""
        return {**asdict(self), "options": dict(self.options)}


def value_at(schedule: Schedule, iteration: int) -> float:
    """What a schedule says in that iteration, counted from 0."""
    return [value for start, value in schedule if start <= iteration][-1]


# Small enough that a run takes about a quarter of an hour on two cores: half a second an iteration.
_CAUSE = Recipe(
    "cause-t1",
    4.0,
    {"downsamples": 3, "start_channels": 4, "matching_channels": 4, "max_channels": 16},
    windows=((0, 5),),
    hours=2.0,
    plateau=(0.002, 400),
)
# What experiment 10 intervenes in, one thing at a time.
INTERVENTIONS: Mapping[str, Recipe] = MappingProxyType(
    {
        "t1": _CAUSE,
        "remap": replace(_CAUSE, name="cause-remap", remapped=True),
        "scale": replace(_CAUSE, name="cause-scale", scales=(0.4, 1.2)),
        "both": replace(_CAUSE, name="cause-both", remapped=True, scales=(0.4, 1.2)),
        "few": replace(_CAUSE, name="cause-few", n_fitted=4),
    }
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        # Convolutions in bfloat16 are slower than in float32 on a processor without instructions
        # for it. Without the finest level an iteration takes a third of the time.
        "cpu-2mm": Recipe(
            "cpu-2mm",
            2.0,
            {"downsamples": 4, "start_channels": 4, "matching_channels": 4, "max_channels": 32},
            # At this voxel size 5 voxels have the extent of the 9 that are usual at 1 mm; the wide
            # window leads there from the affine.
            # The weight was halved when the held-out scans showed next to no folding.
            smoothness=((0, 2.0), (625, 1.0)),
            windows=((0, 9), (350, 5)),
            finest=((0, 1), (500, 0)),
        ),
        # From scratch, nothing changed on the way; the held-out scans end it.
        "cpu-2mm-plateau": Recipe(
            "cpu-2mm-plateau",
            2.0,
            {"downsamples": 4, "start_channels": 4, "matching_channels": 4, "max_channels": 32},
            windows=((0, 9), (350, 5)),
            finest=((0, 1), (500, 0)),
            hours=8.0,
            plateau=(0.002, 200),
        ),
        # From scratch as well. Coarse levels first, as at 2 mm: what they learn there costs a fraction
        # of an iteration with the finest.
        "gpu-1mm": Recipe(
            "gpu-1mm",
            1.0,
            {"downsamples": 4, "start_channels": 8, "matching_channels": 8, "max_channels": 64},
            finest=((0, 2), (200, 1), (500, 0)),
            hours=12.0,
            precision="bfloat16",
            plateau=(0.002, 200),
        ),
        **{recipe.name: recipe for recipe in INTERVENTIONS.values()},
    }
)


def get_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises InputError with those there are."""
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
