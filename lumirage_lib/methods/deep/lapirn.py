"""LapIRN and its conditional form, with the weights of their authors."""

from ..base import Training
from .base import declare

WRAPPER = 1  # raised when the networks or their use change what comes out, and with it every key

LAPIRN = Training(
    "OASIS-1 T1w, skull-stripped, affinely aligned: 255 of 425 scans",
    "Mok & Chung, MICCAI 2020, section 3: 425 scans of OASIS, 255 of them for training, not listed",
    {"marcus2007": "very probably seen"},
)
CONDITIONAL = Training(
    "OASIS-1 T1w, up to 414 scans, as preprocessed by neurite-oasis (skull-stripped, affine)",
    "the authors' training script reads every OASIS_OAS1_* folder it finds; the paper says 255 of 414",
    {"marcus2007": "very probably seen", "hoopes2021": "very probably seen"},
)

SPECS = (
    declare(
        "lapirn-disp",
        "LapIRN (disp.)",
        "#0072B2",
        WRAPPER,
        "mok2020lapirn",
        ("cwmok/LapIRN", "Model/LapIRN_disp_fea7.pth"),
        LAPIRN,
    ),
    declare(
        "lapirn-diff",
        "LapIRN (diff.)",
        "#332288",
        WRAPPER,
        "mok2020lapirn",
        ("cwmok/LapIRN", "Model/LapIRN_diff_fea7.pth"),
        LAPIRN,
    ),
    declare(
        "clapirn",
        "conditional LapIRN",
        "#56B4E9",
        WRAPPER,
        "mok2021clapirn",
        (
            "cwmok/Conditional_LapIRN",
            "Model/LDR_OASIS_NCC_unit_disp_add_fea4_reg01_10_lite_stagelvl3_60000.pth",
        ),
        CONDITIONAL,
        regularity=0.1,
    ),
)
