"""VoxelMorph as published with its first paper: the network `vm2` of CVPR 2018.

Balakrishnan, Zhao, Sabuncu, Guttag & Dalca, "An unsupervised learning model for deformable medical
image registration", CVPR 2018 (arXiv:1802.02604). A U-Net that yields a displacement; nothing is
integrated. The graph is the one stored with the published Keras weights.
"""

from pathlib import Path

import h5py
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .inputs import check_pair
from .slabs import Rows, convolve, take_repeated_rows

SLOPE = 0.2


class VoxelMorph(nn.Module):
    """CVPR 2018 VoxelMorph; `convs` are in the order of the layers of the published file."""

    required_multiple = 16

    def __init__(self):
        super().__init__()
        down = [(2, 16), (16, 32), (32, 32), (32, 32)]
        up = [(32, 32), (64, 32), (64, 32), (48, 32), (32, 32), (34, 16), (16, 16)]
        self.convs = nn.ModuleList(
            [nn.Conv3d(*channels, 3, stride=2) for channels in down]
            + [nn.Conv3d(*channels, 3, padding=1) for channels in up]
        )
        self.flow = nn.Conv3d(16, 3, 3, padding=1)

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Displacement (N, 3, X, Y, Z), voxels of the fixed grid, array axis order.

        `fixed` and `moving` are (N, 1, X, Y, Z) in [0, 1], sides multiples of 16.
        """
        check_pair(fixed, moving, self.required_multiple)
        levels = [torch.cat((moving, fixed), 1)]
        for conv in self.convs[:4]:
            # TensorFlow pads an even side, to be halved, behind it only.
            levels.append(F.leaky_relu_(conv(F.pad(levels[-1], (0, 1) * 3)), SLOPE))
        x = self._convolve(4, levels.pop())
        x = self._convolve(5, take_repeated_rows(x), levels.pop())
        x = self._convolve(6, take_repeated_rows(x), levels.pop())
        x = self._convolve(7, take_repeated_rows(x), levels.pop())
        x = self._convolve(8, x)
        x = self._convolve(9, take_repeated_rows(x), levels.pop())
        return convolve(self.flow, self._convolve(10, x))

    def _convolve(self, index: int, *parts: Tensor | Rows) -> Tensor:
        """Convolution and rectifier of the parts concatenated, on the grid of the last."""
        return F.leaky_relu_(convolve(self.convs[index], *parts), SLOPE)


def read_keras_state(path: str | Path) -> dict[str, Tensor]:
    """State dict for :class:`VoxelMorph` of a Keras 2 model file (HDF5).

    Kernels change from (x, y, z, in, out) to PyTorch's (out, in, x, y, z).

    Raises
    ------
    OSError, KeyError
        Not such a file.
    """
    state = {}
    with h5py.File(path) as file:
        layers = file["model_weights"]
        names = _read_names(layers, "layer_names")
        weighted = [name for name in names if _read_names(layers[name], "weight_names")]
        for index, name in enumerate(weighted):
            ours = "flow" if name == "flow" else f"convs.{index}"
            for weight in _read_names(layers[name], "weight_names"):
                values = torch.from_numpy(layers[name][weight][()])
                if values.ndim == 5:
                    state[f"{ours}.weight"] = values.permute(4, 3, 0, 1, 2).contiguous()
                else:
                    state[f"{ours}.bias"] = values
    return state


def _read_names(group: h5py.Group, attribute: str) -> list[str]:
    """Names in an attribute, which may be stored as bytes or as text."""
    return [
        str(name, "utf-8") if isinstance(name, bytes) else name for name in group.attrs[attribute]
    ]
