"""What every network asks of the pair it is given."""

from torch import Tensor

from ...errors import InputError


def check_pair(fixed: Tensor, moving: Tensor, multiple: int) -> None:
    """Refuse a pair that is not two images (N, 1, X, Y, Z) on one grid of suitable size.

    Raises
    ------
    InputError
        Other than one channel and three axes, unequal shapes, or a side that is not a positive
        multiple of `multiple`.
    """
    if fixed.ndim != 5 or fixed.shape[1] != 1 or fixed.shape != moving.shape:
        raise InputError(
            "expected fixed and moving of one shape (N, 1, X, Y, Z), got "
            f"{tuple(fixed.shape)} and {tuple(moving.shape)}; resample moving to the fixed grid"
        )
    if any(n == 0 or n % multiple for n in fixed.shape[2:]):
        raise InputError(
            f"expected sides that are multiples of {multiple}, got "
            f"{tuple(fixed.shape[2:])}; pad or crop both images"
        )
