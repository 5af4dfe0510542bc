"""Make results/external/ixi_mir.csv and ixi_joint.csv of the per-subject tables that others publish.

    python benchmarks/external_tables.py MIR_FOLDER TRANSMORPH_FOLDER

MIR_FOLDER is tutorials/IXI_benchmarking/results_ of junyuchen245/MIR, TRANSMORPH_FOLDER is IXI/Results of
junyuchen245/TransMorph_Transformer_for_Medical_Image_Registration; the commits stand on page 07.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lumirage_lib.errors import InputError
from lumirage_lib.experiments.effect_sizes.tables import JOINT_TABLE, MIR_TABLE

NOT_STRUCTURES = ("Unknown", "ndv", "ndp", "non_jec")  # background, and measures of the field
# Name of a file of the TransMorph repository without its end -> what the method is called here.
TRANSMORPH = {
    "affine": "affine only",
    "ants_IXI": "SyN",
    "NiftyReg_IXI": "NiftyReg",
    "lddmm_IXI": "LDDMM",
    "deedsBCV_IXI": "deedsBCV",
    "Vxm_1_ncc_1_diffusion_1": "VoxelMorph-1",
    "Vxm_2_ncc_1_diffusion_1": "VoxelMorph-2",
    "VxmDiff": "VoxelMorph-diff",
    "CycleMorph": "CycleMorph",
    "MIDIR_ncc_1_diffusion_1": "MIDIR",
    "ViTVNet_ncc_1_diffusion_1": "ViT-V-Net",
    "PVT_ncc_1_diffusion_1": "PVT",
    "CoTr_ncc_1_diffusion_1": "CoTr",
    "nnFormer_ncc_1_diffusion_1": "nnFormer",
    "TransMorph_ncc_1_diffusion_1": "TransMorph (2022)",
    "TransMorphBayes_ncc_1_diffusion_1": "TransMorph-Bayes",
    "TransMorphBSpline_ncc_1_diffusion_1": "TransMorph-bspl",
    "TransMorphDiff": "TransMorph-diff",
}


def read_mir(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Dice by subject (rows) and structure (columns) of every METHOD.csv of MIR.

    Raises
    ------
    InputError
        There are no tables.
    """
    files = sorted(Path(folder).glob("*.csv"))
    if not files:
        raise InputError(f"no METHOD.csv in {folder}; expected the IXI tables of junyuchen245/MIR")
    return {f.stem: _keep_structures(pd.read_csv(f, index_col="study_idx")) for f in files}


def read_transmorph(folder: str | Path) -> dict[str, pd.DataFrame]:
    """The same of the TransMorph repository, by the names of :data:`TRANSMORPH`.

    Its files have a title above the header and the background as first column.

    Raises
    ------
    InputError
        A table is absent.
    """
    paths = {name: Path(folder) / f"{stem}.csv" for stem, name in TRANSMORPH.items()}
    if absent := [path.name for path in paths.values() if not path.is_file()]:
        raise InputError(
            f"{folder} lacks {', '.join(absent)}; expected IXI/Results of the TransMorph repository"
        )
    return {
        name: _keep_structures(pd.read_csv(path, skiprows=1, index_col=0))
        for name, path in paths.items()
    }


def _keep_structures(table: pd.DataFrame) -> pd.DataFrame:
    unnamed = [c for c in table.columns if str(c).startswith("Unnamed")]
    return table.drop(columns=[*unnamed, *(c for c in NOT_STRUCTURES if c in table)])


def find_structures(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Structures whose Dice is above zero for every subject and method.

    One that a subject lacks scores 0 there and says nothing about a method.

    Raises
    ------
    InputError
        The tables do not list the same subjects and structures.
    """
    name, first = next(iter(tables.items()))
    for other, table in tables.items():
        if not (table.index.equals(first.index) and table.columns.equals(first.columns)):
            raise InputError(f"{other} does not list the subjects and structures of {name}")
    return [s for s in first.columns if all((table[s] > 0).all() for table in tables.values())]


def compute_means(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean Dice per subject (rows) and method (columns) over :func:`find_structures`."""
    structures = find_structures(tables)
    means = {name: table[structures].mean(axis=1) for name, table in tables.items()}
    return pd.DataFrame(means).rename_axis("subject")


def check_subjects(tables: Mapping[str, pd.DataFrame], others: Mapping[str, pd.DataFrame]) -> None:
    """Refuse two sets of tables whose rows are not the same subjects in the same order.

    Neither says who its subjects are. What is hard to register in one subject is hard for every
    method, so the Dice of a structure correlates over subjects between any two methods. The mean of
    these correlations is highest where the rows belong together: here it must be higher in the order
    given than after every cyclic shift of the rows.

    Raises
    ------
    InputError
        Other numbers of subjects, or a method for which a shift fits at least as well.
    """
    reference = sum(others.values()) / len(others)
    for name, table in tables.items():
        if len(table) != len(reference):
            raise InputError(f"{name} has {len(table)} subjects, the others {len(reference)}")
        shared = table.columns.intersection(reference.columns)
        a, b = (_standardise(t[shared].to_numpy(float)) for t in (table, reference))
        fits = [float((np.roll(a, shift, axis=0) * b).mean()) for shift in range(len(a))]
        if int(np.argmax(fits)) != 0:
            raise InputError(
                f"{name}: its rows fit the others' best when shifted by {int(np.argmax(fits))}; "
                "they are not the same subjects in the same order and must not be joined"
            )


def _standardise(values: np.ndarray) -> np.ndarray:
    """Columns to mean 0 and standard deviation 1; one that does not vary to 0."""
    centred = values - values.mean(axis=0)
    return centred / np.maximum(centred.std(axis=0), 1e-12) * (centred.std(axis=0) > 1e-6)


def join_tables(
    mir: Mapping[str, pd.DataFrame], transmorph: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Both sets of tables as one, once their subjects were found to be the same.

    Returns
    -------
    DataFrame
        subject, method, dice (mean over the structures that every subject has in both) and dice_all
        (over all 45, those a subject lacks counted as 0, as their authors' means have it).
    """
    check_subjects(transmorph, mir)
    first = next(iter(mir.values()))
    tables = {
        name: table.set_axis(first.index).reindex(columns=first.columns)
        for name, table in {**mir, **transmorph}.items()
    }
    means = {"dice": compute_means(tables)}
    everything = {name: table.mean(axis=1) for name, table in tables.items()}
    means["dice_all"] = pd.DataFrame(everything).rename_axis("subject")
    long = [m.melt(var_name="method", value_name=n, ignore_index=False) for n, m in means.items()]
    return pd.concat([long[0], long[1][["dice_all"]]], axis=1).reset_index()


def main() -> None:
    if len(sys.argv) != 3:
        print(__doc__)  # the folders have to be had first
        return
    mir, transmorph = read_mir(sys.argv[1]), read_transmorph(sys.argv[2])
    compute_means(mir).round(6).to_csv(MIR_TABLE)
    join_tables(mir, transmorph).round(6).to_csv(JOINT_TABLE, index=False)


if __name__ == "__main__":
    main()
