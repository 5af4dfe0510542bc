"""Preprocessing by name: the standard one, and one thing at a time that is otherwise.

A condition is data: names of steps and their arguments. All methods start from the same alignment,
estimated on the untouched images, but for the condition that leaves it out.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Step:
    """A step by name with its arguments, e.g. ``Step("crop", (("margin_mm", 4.0),))``."""

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()


def step(name: str, **arguments: float | int | str | tuple[float, ...]) -> Step:
    return Step(name, tuple(sorted(arguments.items())))


@dataclass(frozen=True)
class Preprocessing:
    """The steps of one preprocessing condition.

    Attributes
    ----------
    name : str
    image_steps : tuple of Step
        On each image, native grid.
    alignment : {"affine", "rigid", "centre"}
        How the moving image comes onto the fixed grid: an affine or rigid registration estimated
        once per pair and shared by all methods, or only the centres of mass put together.
    pair_steps : tuple of Step
        On the pair, on the fixed grid.
    """

    name: str = "standard"
    image_steps: tuple[Step, ...] = (Step("robust"),)
    alignment: str = "affine"
    pair_steps: tuple[Step, ...] = (Step("crop", (("margin_mm", 4.0),)),)

    @cached_property
    def content(self) -> dict[str, Any]:
        """What the results store hashes; the name is a label, not content."""
        content = asdict(self)
        content.pop("name")
        return content


STANDARD = Preprocessing()


# ---- the perturbations ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Perturbation:
    """A condition: its name, its kind, what a reader is told of it, and all that is done to the images."""

    name: str
    kind: str
    about: str
    preprocessing: Preprocessing


def _after(kind: str, name: str, about: str, *steps: Step, **changes: Any) -> Perturbation:
    """The standard preprocessing, changed, and then these steps."""
    base = replace(STANDARD, name=name, **changes)
    return Perturbation(name, kind, about, replace(base, pair_steps=(*base.pair_steps, *steps)))


def _list() -> list[Perturbation]:
    moving = {"image": "moving"}
    return [
        *(
            _after(
                "orientation",
                name,
                f"{about}; the matrix goes on saying RAS",
                step("turn", codes=codes),
            )
            for name, codes, about in (
                (
                    "LPS not told",
                    "LPS",
                    "axes to left, posterior, superior: half a turn about the long axis",
                ),
                (
                    "LIA not told",
                    "LIA",
                    "axes to left, inferior, anterior, as FreeSurfer stores them",
                ),
                (
                    "axes permuted (ASR)",
                    "ASR",
                    "axes to anterior, superior, right: a cyclic permutation",
                ),
                (
                    "left-right flipped",
                    "LAS",
                    "first axis to the left, as radiologists store it: a mirror image",
                ),
                ("upside down", "RAI", "third axis downwards: a mirror image"),
            )
        ),
        _after(
            "grid",
            "tight crop",
            "no margin about the brains, instead of 4 mm",
            pair_steps=(step("crop", margin_mm=0.0),),
        ),
        _after(
            "grid",
            "big pad",
            "30 mm about the brains, instead of 4 mm",
            pair_steps=(step("crop", margin_mm=30.0),),
        ),
        _after(
            "grid",
            "off centre by 20 mm",
            "empty space on one side of each axis: both brains lie 20 mm from the middle",
            step("off_centre", shift_mm=20.0),
        ),
        _after(
            "grid",
            "top cut off",
            "the field of view misses the uppermost tenth of the moving brain",
            step("cut_above", fraction=0.1),
        ),
        _after(
            "grid",
            "spacing wrong by 20 %",
            "a header that says 1.2 times the voxel size along the third axis, in both images",
            step("mis_space", factor=1.2),
        ),
        # With room for what is pushed, so that nothing of the brain is lost.
        _after(
            "alignment",
            "moving shifted by 20 mm",
            "the moving image pushed 20 mm along the second axis after the affine",
            step("push", shift_mm=20.0),
            pair_steps=(step("crop", margin_mm=24.0),),
        ),
        _after(
            "alignment",
            "no affine",
            "centres of mass put together, no affine registration",
            alignment="centre",
        ),
        _after(
            "intensity",
            "min-max",
            "scaled from minimum to maximum; what a network declares of its scale is left out",
            step("as_is"),
            image_steps=(step("minmax"),),
        ),
        _after(
            "intensity",
            "percentiles 1-99",
            "clipped at percentiles 1 and 99 of the brain; what a network declares is left out",
            step("as_is"),
            image_steps=(step("percentile"),),
        ),
        _after("intensity", "z-score", "brain to mean 0 and standard deviation 1", step("zscore")),
        _after(
            "intensity",
            "histogram matched",
            "the moving brain is given the distribution of the fixed one",
            step("match_histogram"),
        ),
        _after(
            "intensity",
            "gamma",
            "square root of the moving image's intensities over their maximum",
            step("gamma", exponent=0.5, **moving),
        ),
        _after("intensity", "8 bit", "rounded to 256 grey levels", step("quantise", levels=256)),
        _after(
            "quality",
            "strong bias field",
            "smooth multiplicative shading, standard deviation 0.3 of its logarithm, another per image",
            step("shade", strength=0.3, seed=1),
        ),
        _after(
            "quality",
            "noise",
            "Rician noise, a tenth of the brain's 99th percentile",
            step("add_noise", sigma=0.1, seed=2),
        ),
        _after(
            "quality",
            "smoothed",
            "Gaussian smoothing, 3 mm full width at half maximum",
            step("blur", fwhm_mm=3.0),
        ),
        _after(
            "quality",
            "3 mm slices",
            "means over slabs of 3 mm, brought back to the grid",
            step("thicken", slice_mm=3.0),
        ),
        _after(
            "mask",
            "mask eroded",
            "3 mm taken off the moving brain, as by a careless skull-strip",
            step("erode", depth_mm=3.0, **moving),
        ),
        _after(
            "mask",
            "rim left",
            "4 mm of textured noise about the moving brain, behind a gap of 2 mm",
            step("leave_rim", gap_mm=2.0, rim_mm=4.0, seed=3, **moving),
        ),
    ]


PERTURBATIONS: dict[str, Perturbation] = {p.name: p for p in _list()}

# Intensities of both images scaled otherwise, the one thing that is varied in the splits of notebook 03.
LIKE_T1W = "distribution of T1w"
SCALINGS: dict[str, Preprocessing] = {
    LIKE_T1W: replace(STANDARD, name=LIKE_T1W, image_steps=(step("like_t1w", n_levels=101),)),
    **{n: PERTURBATIONS[n].preprocessing for n in ("min-max", "percentiles 1-99")},
}
