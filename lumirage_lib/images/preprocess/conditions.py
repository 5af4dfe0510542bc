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
    """A condition: what it is called, of which kind it is, and all that is done to the images."""

    name: str
    kind: str
    preprocessing: Preprocessing


def _after(kind: str, name: str, *steps: Step, **changes: Any) -> Perturbation:
    """The standard preprocessing, changed, and then these steps."""
    base = replace(STANDARD, name=name, **changes)
    return Perturbation(name, kind, replace(base, pair_steps=(*base.pair_steps, *steps)))


def _cropped(name: str, margin_mm: float) -> Perturbation:
    return _after("grid", name, pair_steps=(step("crop", margin_mm=margin_mm),))


def _list() -> list[Perturbation]:
    turned = {
        "LPS not told": "LPS",
        "LIA not told": "LIA",
        "axes permuted (ASR)": "ASR",
        "left-right flipped": "LAS",
        "upside down": "RAI",
    }
    return [
        *(_after("orientation", name, step("turn", codes=c)) for name, c in turned.items()),
        _cropped("tight crop", 0.0),
        _cropped("big pad", 30.0),
        _after("grid", "off centre by 20 mm", step("off_centre", shift_mm=20.0)),
        _after("grid", "top cut off", step("cut_above", fraction=0.1)),
        _after("grid", "spacing wrong by 20 %", step("mis_space", factor=1.2)),
        # With room for what is pushed, so that nothing of the brain is lost.
        _after(
            "alignment",
            "moving shifted by 20 mm",
            step("push", shift_mm=20.0),
            pair_steps=(step("crop", margin_mm=24.0),),
        ),
        _after("alignment", "no affine", alignment="centre"),
        _after("intensity", "min-max", step("as_is"), image_steps=(step("minmax"),)),
        _after("intensity", "percentiles 1-99", step("as_is"), image_steps=(step("percentile"),)),
        _after("intensity", "z-score", step("zscore")),
        _after("intensity", "histogram matched", step("match_histogram")),
        _after("intensity", "gamma", step("gamma", exponent=0.5, image="moving")),
        _after("intensity", "8 bit", step("quantise", levels=256)),
        _after("quality", "strong bias field", step("shade", strength=0.3, seed=1)),
        _after("quality", "noise", step("add_noise", sigma=0.1, seed=2)),
        _after("quality", "smoothed", step("blur", fwhm_mm=3.0)),
        _after("quality", "3 mm slices", step("thicken", slice_mm=3.0)),
        _after("mask", "mask eroded", step("erode", depth_mm=3.0, image="moving")),
        _after(
            "mask", "rim left", step("leave_rim", gap_mm=2.0, rim_mm=4.0, image="moving", seed=3)
        ),
    ]


PERTURBATIONS: dict[str, Perturbation] = {p.name: p for p in _list()}

# Intensities of both images scaled otherwise, the one thing that is varied in the splits of notebook 03.
LIKE_T1W = "distribution of T1w"
SCALINGS: dict[str, Preprocessing] = {
    LIKE_T1W: replace(STANDARD, name=LIKE_T1W, image_steps=(step("like_t1w", n_levels=101),)),
    **{n: PERTURBATIONS[n].preprocessing for n in ("min-max", "percentiles 1-99")},
}
