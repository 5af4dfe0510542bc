"""VoxelMorph (CVPR 2018) with the weights of its authors."""

from ..base import Training
from .base import declare

WRAPPER = 1  # raised when the network or its use changes what comes out, and with it every key

SPECS = (
    declare(
        "voxelmorph",
        "VoxelMorph",
        "#44AA99",
        WRAPPER,
        "balakrishnan2018",
        ("voxelmorph/voxelmorph", "models/cvpr2018_vm2_cc.h5"),
        Training(
            "7,329 T1w scans of ADNI, OASIS, ABIDE, ADHD200, MCIC, PPMI, HABS and Harvard GSP, "
            "prepared by FreeSurfer; one atlas is the fixed image of every pair",
            "Balakrishnan et al., CVPR 2018, section 4: 7,329 of 7,829 scans, not listed",
            {
                "marcus2007": "very probably seen",
                "chen2025lumir": "unknown",
                "bashyam2025": "unknown",
            },
        ),
    ),
)
