"""Names of labels, by protocol."""

import functools
from collections.abc import Iterable

import pandas as pd

from ..oasis import DATA, manual_labels


@functools.cache
def _table() -> pd.DataFrame:
    return pd.read_csv(DATA / "label_protocols.csv")


def label_table(protocol: str) -> pd.DataFrame:
    """Labels of a protocol: index `label`, columns `name` and `group`.

    "synthseg" are FreeSurfer's numbers as SynthSeg gives them, "seg35" those of neurite-OASIS, "slant"
    the numbers of Neuromorphometrics, "atropos" the six tissues of ANTs.
    """
    if protocol == "slant":
        return manual_labels()
    table = _table()
    return table[table["protocol"] == protocol].set_index("label")[["name", "group"]]


def numbered_table(n_labels: int, what: str, group: str) -> pd.DataFrame:
    """Labels 1 to n of a protocol whose publisher gives numbers without names."""
    index = pd.RangeIndex(1, n_labels + 1, name="label")
    return pd.DataFrame({"name": [f"{what} {i}" for i in index], "group": group}, index=index)


def choose_labels(table: pd.DataFrame, labels: Iterable[int]) -> pd.DataFrame:
    """The rows of these labels; one without a name is called by its number."""
    labels = pd.Index(sorted({int(label) for label in labels} - {0}), name="label")
    chosen = table.reindex(labels)
    names = pd.Series([f"label {label}" for label in labels], index=labels)
    return chosen.assign(name=chosen["name"].fillna(names), group=chosen["group"].fillna("other"))
