"""What happens to two images before a method sees them: small pure steps, listed, not hidden.

A :class:`Preprocessing` is a name, the steps applied to each image on its own grid, how the moving
image is brought onto the fixed grid, and the steps applied to the pair on that grid. The state that
passes through is :class:`PairImages`: the two arrays and two matrices that lead from the working
grid back to the native arrays, so that whatever was done, one displacement on the native grid comes
out and labels are interpolated once.
"""

from .apply import PAIR_STEPS, prepare_image, prepare_pair
from .conditions import (
    LIKE_T1W,
    PERTURBATIONS,
    SCALINGS,
    STANDARD,
    Perturbation,
    Preprocessing,
    Step,
    step,
)
from .state import PairImages, pair_window
from .steps import IMAGE_STEPS, robust, set_spacing

__all__ = [
    "IMAGE_STEPS",
    "LIKE_T1W",
    "PAIR_STEPS",
    "PERTURBATIONS",
    "SCALINGS",
    "STANDARD",
    "PairImages",
    "Perturbation",
    "Preprocessing",
    "Step",
    "pair_window",
    "prepare_image",
    "prepare_pair",
    "robust",
    "set_spacing",
    "step",
]
