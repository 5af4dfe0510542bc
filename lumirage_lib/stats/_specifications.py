"""The same question by every defensible choice: the specification curve."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from ._claims import Claim, find_word, match_claim
from ._intervals import compute_interval
from ._pairs import PairTable, choose_methods, is_error

COLUMNS = (
    "variant",
    "choice",
    "first",
    "second",
    "estimate",
    "low",
    "high",
    "level",
    "n_pairs",
    "n_subjects",
    "word",
)


def choose_families(
    first: tuple[str, ...], second: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Every choice of methods: (kind, first, second).

    "families" in full, "without X" for every member of a family of at least two, "X against Y" for
    every single two; "X alone" where there is no second side.

    Examples
    --------
    >>> [kind for kind, *_ in choose_families(("a", "b"), ("x",))]
    ['families', 'without a', 'without b', 'a against x', 'b against x']
    """
    yield "families", first, second
    for name in first if len(first) > 1 else ():
        yield f"without {name}", tuple(m for m in first if m != name), second
    for name in second if len(second) > 1 else ():
        yield f"without {name}", first, tuple(m for m in second if m != name)
    if len(first) > 1 or len(second) > 1:
        for a, b in product(first, second):
            yield f"{a} against {b}", (a,), (b,)
        for a in () if second else first:
            yield f"{a} alone", (a,), ()


def compute_specifications(
    variants: Mapping[str, tuple[Claim, pd.DataFrame]], *, level: float = 0.95
) -> pd.DataFrame:
    """Every choice of methods under every variant of labels, ruler and reference.

    Parameters
    ----------
    variants : mapping
        Name ("manual labels, Dice, against T1w again") -> a claim with its two families in full,
        and the table to read it from. A variant of another measure has its own margin.

    Returns
    -------
    DataFrame
        One row per specification, by estimate: variant, choice, first, second, estimate, low, high,
        level (each alone, not adjusted: the curve describes, it does not decide), n_pairs,
        n_subjects, word. Losses are negative and everything is in units of the margin's measure;
        a choice without a common pair is left out.

    Raises
    ------
    InputError
        If a method or condition does not occur in a variant's table.
    """
    rows = []
    for name, (claim, table) in variants.items():
        sides = [tuple(choose_methods(table, who)) for who in (claim.first, claim.second or ())]
        sign = -1.0 if is_error(claim.measure) else 1.0
        values = PairTable(table, claim.measure)
        for choice, first, second in choose_families(*sides):
            who = None if claim.second is None else second
            matched = match_claim(replace(claim, first=first, second=who), table, values)
            if not matched.n_pairs:
                continue
            found = compute_interval(matched, level=level)
            low, high = sorted((sign * found.low, sign * found.high))
            row = (name, choice, first, second, sign * found.estimate, low, high, level)
            word = find_word(low, high, claim.margin)
            rows.append((*row, found.n_pairs, found.n_subjects, word))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("estimate", ignore_index=True)


def summarise_specifications(table: pd.DataFrame) -> dict[str, Any]:
    """What the curve says: n, share of every word, least and greatest estimate.

    The share is a description of choices, not a probability; the range belongs beside it.
    """
    shares = table["word"].value_counts(normalize=True)
    return {
        "n": len(table),
        "shares": {str(word): float(share) for word, share in shares.items()},
        "least": float(table["estimate"].min()) if len(table) else np.nan,
        "greatest": float(table["estimate"].max()) if len(table) else np.nan,
    }
