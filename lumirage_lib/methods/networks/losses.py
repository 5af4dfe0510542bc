"""What training minimises: dissimilarity of the moved image, and roughness of the displacement."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Below it a variance (of intensities in [0, 1]) is air or rounding, not anatomy.
LEAST_VARIANCE = 1e-4


def compute_local_correlation(fixed: Tensor, moved: Tensor, window: int = 9) -> Tensor:
    """Squared correlation in a cube around every second voxel, mean over these, from 0 to 1.

    Avants et al. 2008 and Balakrishnan et al. 2019, equation 6. Neighbouring cubes share most of
    their voxels, so every second along each axis says the same in a quarter of the time. Cubes cut
    by the border count what they hold, and a cube without structure counts as 0.

    Parameters
    ----------
    fixed, moved : Tensor
        (N, 1, X, Y, Z), intensities about [0, 1].
    window : int
        Side of the cube in voxels, odd.
    """
    f, ff = _average(torch.cat((fixed, fixed**2), dim=1), window).unbind(1)
    m, mm, fm = _average(torch.cat((moved, moved**2, fixed * moved), dim=1), window).unbind(1)
    least = LEAST_VARIANCE**2
    variances = (ff - f * f).clamp(min=0) * (mm - m * m).clamp(min=0)
    return ((fm - f * m) ** 2 / (variances + least)).mean()


def _average(images: Tensor, window: int) -> Tensor:
    """Mean over the cube around every second voxel, of what of it lies in the grid."""
    for axis in range(3):
        kernel, stride, padding = [1, 1, 1], [1, 1, 1], [0, 0, 0]
        kernel[axis], stride[axis], padding[axis] = window, 2, window // 2
        images = F.avg_pool3d(images, kernel, stride, padding, count_include_pad=False)
    return images


def compute_roughness(displacement: Tensor) -> Tensor:
    """Mean square of the nine first differences of (N, 3, X, Y, Z), in voxels per voxel."""
    return sum(displacement.diff(dim=axis).square().mean() for axis in (2, 3, 4)) / 3


def compute_folded_percent(displacement: Tensor, mask: Tensor) -> float:
    """Share of the mask's voxels where central differences turn space inside out, in per cent.

    Parameters
    ----------
    displacement : Tensor
        (3, X, Y, Z), voxels.
    mask : Tensor of bool, (X, Y, Z)
        The outermost voxels are left out. NaN if nothing else is in it.
    """
    gradient = torch.stack(torch.gradient(displacement, dim=(1, 2, 3)), dim=1)
    jacobian = gradient.permute(2, 3, 4, 0, 1) + torch.eye(3, device=displacement.device)
    inside = mask.clone()
    inner = torch.zeros_like(mask)
    inner[1:-1, 1:-1, 1:-1] = True
    return 100 * float((torch.linalg.det(jacobian)[inside & inner] <= 0).float().mean())
