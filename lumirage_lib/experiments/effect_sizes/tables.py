"""Per-subject results of others on IXI, as pairs tables: real numbers that nobody here made.

Two repositories publish Dice per subject and structure of one atlas registered to 115 test subjects:
junyuchen245/MIR (7 methods, Apache-2.0) and
junyuchen245/TransMorph_Transformer_for_Medical_Image_Registration (18 methods, MIT). What is
committed are means over structures: `results/external/ixi_mir.csv` over the 34 structures that every
subject has in the former, `results/external/ixi_joint.csv` over those that every subject has in both;
`benchmarks/external_tables.py` makes them.
"""

from pathlib import Path

import pandas as pd

from ...errors import InputError

EXTERNAL = Path(__file__).parents[3] / "results" / "external"
MIR_TABLE, JOINT_TABLE = EXTERNAL / "ixi_mir.csv", EXTERNAL / "ixi_joint.csv"
ITERATIVE = ("ConvexAdam-MIND", "SyN", "NiftyReg", "LDDMM", "deedsBCV")
BASELINE = ("affine only",)


def load_ixi(path: str | Path = MIR_TABLE) -> pd.DataFrame:
    """MIR's results as a pairs table: the atlas (moving) registered to every subject (fixed).

    Returns
    -------
    DataFrame
        115 subjects x 7 methods, measure `dice` (34 structures).

    Raises
    ------
    InputError
        The file is not there.
    """
    return _as_pairs(_read(path).melt("subject", var_name="method", value_name="dice"))


def load_joint(path: str | Path = JOINT_TABLE) -> pd.DataFrame:
    """Both repositories' results as a pairs table.

    Returns
    -------
    DataFrame
        115 subjects x 25 methods, measures `dice` and `dice_all` (over all 45 structures, those a subject
        lacks counted as 0).

    Raises
    ------
    InputError
        The file is not there.
    """
    return _as_pairs(_read(path))


def _read(path: str | Path) -> pd.DataFrame:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no table at {path}; it is committed as results/external/{path.name}")
    return pd.read_csv(path)


def _as_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    families = dict.fromkeys(ITERATIVE, "iterative") | dict.fromkeys(BASELINE, "baseline")
    return rows.assign(
        family=[families.get(method, "deep") for method in rows["method"]],
        fixed=rows["subject"],
        moving="atlas",
        fixed_subject=rows["subject"],
        moving_subject="atlas",
        condition="IXI",
        status="ok",
    ).drop(columns="subject")
