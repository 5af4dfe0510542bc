"""The same claim by every choice that could be defended: methods, labels, ruler, reference."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from .. import stats
from ..methods import name_of
from .completeness import find_complete
from .families import ARMS, FRESH, Families
from .run import Run
from .sentences import show

# How a registration becomes one number: rule by which labels are moved, or what is done by the usual one.
USUAL, WEIGHTED, DISTANCE = "nearest", "weighted by volume", "HD95"
HD95_MM = "hd95_mm"
FACTORS = {"labels": "labels", "ruler": "rulers", "reference": "references"}  # column: plural


def specify(
    run: Run, claim: stats.Claim, rows: pd.DataFrame, complete: Sequence[str], *, n_pairs: int = 0
) -> pd.DataFrame:
    """Every choice of methods, under every label set, ruler and reference.

    Parameters
    ----------
    rows : DataFrame
        The claim's arm, between subjects.
    complete : sequence of str
        Methods that were run on all pairs; those that the claim does not name are chosen too, under
        what is usual.
    n_pairs : int
        Choices of fewer pairs are left out: labels that only some registrations were scored by.

    Returns
    -------
    DataFrame
        As :func:`lumirage_lib.stats.compute_specifications`, by estimate, with claim, labels, ruler,
        reference, measure ("dice"; "hd95_mm", for which no margin was declared: it has no word),
        declared (of the families as declared) and usual (labels, ruler and reference of the verdict).
    """
    family = rows.drop_duplicates("method").set_index("method")["family"]
    named = (claim.first, claim.second or ())
    families = {"declared": [tuple(m for m in complete if m in who) for who in named]}
    if claim.second is not None:
        families["all"] = [
            tuple(m for m in complete if family[m] == side) for side in ("deep", "iterative")
        ]
    variants: dict[str, tuple[stats.Claim, pd.DataFrame]] = {}
    about: list[tuple[Any, ...]] = []
    for labels, ruler, table in _measure(run, rows):
        first_ruler = not about or about[0][1:3] == (labels, ruler)
        for reference in _find_references(claim, rows):
            for name, (first, second) in families.items():
                if not first or bool(second) == (claim.second is None):
                    continue  # a side of the comparison has no method here
                measure = HD95_MM if ruler == DISTANCE else "dice"
                one = replace(
                    claim, first=first, second=second or None, reference=reference, n_pairs=None,
                    measure=measure,
                )  # fmt: skip
                declared, key = name == "declared", f"{labels}, {ruler}, {reference}, {name}"
                if (declared or first_ruler) and _can_be_read(one, table):
                    usual = first_ruler and reference == claim.reference
                    variants[key] = (one, table)
                    about.append((key, labels, ruler, reference or "", measure, declared, usual))
    columns = ["variant", *FACTORS, "measure", "declared", "usual"]
    found = stats.compute_specifications(variants).merge(pd.DataFrame(about, columns=columns))
    found = found[found["n_pairs"] >= n_pairs].assign(claim=claim.id)
    found.loc[found["measure"] != "dice", "word"] = ""
    first_declared = found.sort_values("declared", ascending=False, kind="stable")
    kept = first_declared.drop_duplicates(["first", "second", *FACTORS])
    return kept.sort_values("estimate", ignore_index=True)


def specify_arms(
    run: Run,
    verdicts: Iterable[stats.Verdict],
    arms: Mapping[str, tuple[pd.DataFrame, Families]],
) -> pd.DataFrame:
    """:func:`specify` for every verdict that could be read from complete families."""
    out = [pd.DataFrame(columns=["claim", "word", "measure"])]
    for verdict in verdicts:
        arm = verdict.claim.id.split(": ")[0]
        if verdict.word and arm in arms:
            rows = arms[arm][0]
            if verdict.claim.id.endswith(FRESH):  # some of the pairs of another claim
                continue
            # What is still to be run under another condition of the arm takes nobody out of this one.
            compared = {c for c in (verdict.claim.condition, verdict.claim.reference) if c}
            complete = find_complete(rows[rows["condition"].isin(compared)])
            out.append(specify(run, verdict.claim, rows, complete, n_pairs=verdict.n_pairs))
    return pd.concat(out, ignore_index=True)


def take_dice(choices: pd.DataFrame) -> pd.DataFrame:
    """Those in Dice, which alone have a margin."""
    return choices[choices["measure"] == "dice"] if len(choices) else choices


def say_specifications(table: pd.DataFrame) -> str:
    """How far the estimate moves with choices that could all be defended."""
    dice = take_dice(table)
    if dice.empty:
        return "There is nothing to choose between."
    found: dict[str, Any] = dict(stats.summarise_specifications(dice))
    shares = "; ".join(f"{word} {100 * share:.0f} %" for word, share in found["shares"].items())
    return (
        f"Over {found['n']} choices, the difference lies between {show(found['least'], sign=True)} and "
        f"{show(found['greatest'], sign=True)}: {shares}. Shares describe the choices; they are no "
        "probabilities."
    )


def measure_factors(choices: pd.DataFrame) -> pd.Series:
    """How far the mean estimate of a claim moves between the options of each factor, largest first.

    Single networks and single baselines are compared by what is usual; labels, rulers and references
    by the declared families and what can be made of them.
    """
    dice = take_dice(choices)
    sides = {"the network": "first", "the iterative method": "second"}
    if not dice["second"].map(len).any():  # a claim about one side: that is the iterative one
        sides = {"the iterative method": "first"}
    single = (dice["first"].map(len) == 1) & (dice["second"].map(len) <= 1)
    usual, declared = dice[single & dice["usual"]], dice[dice["declared"]]
    columns: dict[str, tuple[pd.DataFrame, str]] = {
        **{name: (usual, column) for name, column in sides.items()},
        **{f"the {column}": (declared, column) for column in FACTORS},
    }
    spans = {}
    for name, (rows, column) in columns.items():
        means = rows.groupby(rows[column].map(str))["estimate"].mean()
        if len(means) > 1:
            spans[name] = float(means.max() - means.min())
    return pd.Series(spans, dtype=float).sort_values(ascending=False)


def list_options(choices: pd.DataFrame) -> dict[str, dict[str, pd.Series]]:
    """Factor -> option -> which specifications have it; the dots below a curve."""
    groups: dict[str, dict[str, pd.Series]] = {}
    for column, title in (("first", "networks"), ("second", "iterative")):
        members = dict.fromkeys(m for who in choices[column] for m in who)
        groups[title] = {
            name_of(m): choices[column].map(lambda who, m=m: m in who) for m in members
        }
    if not groups["iterative"]:  # a claim about one side: that is the iterative one
        groups = {"iterative": groups["networks"]}
    for column, title in FACTORS.items():
        options = dict.fromkeys(choices[column])
        groups[title] = {option: choices[column] == option for option in options if option}
    return {title: options for title, options in groups.items() if options}


# ---- variants ------------------------------------------------------------------------------------


def _measure(run: Run, rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Label set, ruler, and the rows with the number that these give; the usual ones first."""
    scored = run.structures
    if scored.empty:  # nothing was scored structure by structure
        return
    scored = scored[(scored["label"] > 0) & (scored["label_set"] != "brain")]
    scored = scored[scored["key"].isin(rows["key"])]
    failed = rows["status"] != "ok"
    rules = [USUAL, *(r for r in scored["rule"].unique() if r != USUAL)]
    arm = rows["arm"].iloc[0] if len(rows) else ""
    first = ARMS[arm].label_sets[:1] if arm in ARMS else ()
    own = next(iter(run.tasks[0].get_cohort().label_sets)) if run.tasks else ""
    sets = dict.fromkeys([*first, own, *scored["label_set"].unique()])
    for labels in sets:
        mine = scored[scored["label_set"] == labels]
        near = mine[mine["rule"] == USUAL]
        numbers = {rule: mine[mine["rule"] == rule].groupby("key")["dice"].mean() for rule in rules}
        if "n_fixed" in near:
            known = near.dropna(subset=["dice", "n_fixed"])
            known = known.assign(sum=known["dice"] * known["n_fixed"]).groupby("key")
            numbers[WEIGHTED] = known["sum"].sum() / known["n_fixed"].sum()
        for ruler, values in numbers.items():
            kept = rows["key"].isin(values.dropna().index) | failed
            if kept[~failed].any():
                yield labels, ruler, rows[kept].assign(dice=rows["key"].map(values))
        if HD95_MM in near and near[HD95_MM].notna().any():
            values = near.groupby("key")[HD95_MM].mean()
            yield labels, DISTANCE, rows.assign(**{HD95_MM: rows["key"].map(values)})


def _find_references(claim: stats.Claim, rows: pd.DataFrame) -> list[Any]:
    """What a claim is referred to, and what else of its arm could have been; no reference is one, too."""
    arm = claim.id.split(": ")[0]
    if claim.reference is None:
        return [None]
    others = ARMS[arm].references.values() if arm in ARMS else ()
    there = set(rows["condition"]) - {claim.condition}
    return list(dict.fromkeys([claim.reference, *(r for r in others if r in there)]))


def _can_be_read(claim: stats.Claim, table: pd.DataFrame) -> bool:
    """Whether every method has a row under every condition that is compared."""
    needed = {c for c in (claim.condition, claim.reference) if c}
    seen = table.groupby("method")["condition"].agg(set)
    who = (*claim.first, *(claim.second or ()))
    return all(m in seen and needed <= seen[m] for m in who)
