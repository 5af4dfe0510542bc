"""Per-subject results of others, as pairs tables: real numbers that nobody here made."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import InputError

IXI_TABLE = Path(__file__).parents[2] / "results" / "external" / "ixi_mir.csv"
IXI_SOURCE = "junyuchen245/MIR, tutorials/IXI_benchmarking/results_ (Apache-2.0)"
# Every method of these tables optimises per pair or predicts with a network.
IXI_ITERATIVE = ("ConvexAdam-MIND",)
NOT_STRUCTURES = ("Unknown", "ndv", "ndp")


def compute_ixi_table(folder: str | Path) -> pd.DataFrame:
    """Mean Dice per subject and method from the seven IXI tables of junyuchen245/MIR.

    Each file METHOD.csv has one row per subject and one column per structure. The mean is over the
    structures whose Dice is above zero for every subject and method (34 of 45): a structure that is
    absent from a subject scores 0 there and says nothing about a method. The background ("Unknown")
    is no structure.

    Parameters
    ----------
    folder : path
        With the CSV files as published.

    Returns
    -------
    DataFrame
        Indexed by subject, one column per method, in alphabetical order.

    Raises
    ------
    InputError
        If there are no tables, or they do not list the same subjects and structures.
    """
    files = sorted(Path(folder).glob("*.csv"))
    if not files:
        raise InputError(f"no METHOD.csv in {folder}; expected the tables of {IXI_SOURCE}")
    tables = {f.stem: pd.read_csv(f, index_col="study_idx") for f in files}
    first = tables[files[0].stem]
    for name, table in tables.items():
        if not (table.index.equals(first.index) and table.columns.equals(first.columns)):
            raise InputError(f"{name}.csv does not list the subjects and structures of {files[0]}")
    structures = [
        s
        for s in first.columns.difference(NOT_STRUCTURES, sort=False)
        if all((table[s] > 0).all() for table in tables.values())
    ]
    out = pd.DataFrame({name: table[structures].mean(axis=1) for name, table in tables.items()})
    return out.rename_axis("subject")


def load_ixi(path: str | Path = IXI_TABLE) -> pd.DataFrame:
    """The IXI results as a pairs table: the atlas (moving) registered to every subject (fixed).

    Parameters
    ----------
    path : path
        CSV written from :func:`compute_ixi_table`, values rounded to 6 decimals; by default the one
        committed in results/external (source: junyuchen245/MIR, Apache-2.0).

    Returns
    -------
    DataFrame
        115 subjects x 7 methods, measure `dice`.

    Raises
    ------
    InputError
        If the file is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no table at {path}; it is committed as results/external/ixi_mir.csv")
    wide = pd.read_csv(path)
    rows = wide.melt("subject", var_name="method", value_name="dice")
    return rows.assign(
        family=rows["method"].isin(IXI_ITERATIVE).map({True: "iterative", False: "deep"}),
        fixed=rows["subject"],
        moving="atlas",
        fixed_subject=rows["subject"],
        moving_subject="atlas",
        condition="IXI",
        status="ok",
    ).drop(columns="subject")
