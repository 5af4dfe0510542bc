"""Networks against iterative methods, arm by arm: the numbers that several chapters share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from .. import stats
from ..methods import name_of
from .families import (
    ARMS,
    N_PRIMARY,
    UNSCORED,
    Families,
    choose_families,
    is_primary,
    name_claim,
    name_plainly,
)
from .run import Run
from .sentences import make_table, name_some, show, show_interval

ALL = "mean of the family"  # the row of the family of networks, on published and on live pages
# Label set -> whose labels these are.
LABELLERS = {"fused": "greedy", "fused-lapirn": "LapIRN", "seg-T1w": "a segmenter on T1w"}


def split_arms(run: Run) -> dict[str, tuple[pd.DataFrame, Families]]:
    """Arm -> its rows between subjects and its families, by the methods that the plan asks for."""
    asked: dict[str, dict[str, None]] = {}
    for entry in run.entries:
        asked.setdefault(entry.arm, {})[entry.task.method] = None
    rows = run.registrations[run.registrations["kind"] == "between"]
    return {
        arm: (rows[rows["arm"] == arm], choose_families(arm, methods))
        for arm, methods in asked.items()
    }


def _find_present(rows: pd.DataFrame, methods: Iterable[str], needed: set[str]) -> tuple[str, ...]:
    """Those with a row under every condition."""
    seen = rows.groupby("method")["condition"].agg(set)
    return tuple(m for m in methods if m in seen and needed <= seen[m])


def compare_networks(
    rows: pd.DataFrame,
    families: Families,
    condition: str,
    reference: str | None = None,
    beside: Iterable[str] = (),
) -> pd.DataFrame:
    """The family of networks, each alone, and those beside it, against the mean of the iterative methods.

    Returns
    -------
    DataFrame
        One row a network and `ALL`: arm, condition, reference, method, n_pairs, n_subjects, n_failed,
        deep, iterative (means, or mean changes from the reference), change (deep minus iterative),
        low, high (95 %, each alone). Networks that were not run are left out, and `ALL` with them, as are
        comparisons on fewer pairs than the arm declares; no rows before all iterative methods were run.
    """
    needed = {condition} | ({reference} if reference else set())
    deep, iterative, others = (
        _find_present(rows, side, needed) for side in (families.deep, families.iterative, beside)
    )
    out = []
    whole = [(ALL, deep)] if deep and deep == families.deep else []
    each = [(d, (d,)) for d in (*deep, *(m for m in others if m not in deep))]
    known = iterative and iterative == families.iterative
    for name, who in [*whole, *each] if deep and known else []:
        claim = stats.Claim(
            name, "", "loses", who, iterative, condition=condition, reference=reference
        )
        found = stats.decide(claim, rows)
        if found.n_pairs + found.n_failed < count_declared(rows["arm"].iloc[0], families):
            continue
        out.append(
            {
                "arm": rows["arm"].iloc[0],
                "condition": condition,
                "reference": reference,
                "method": name,
                "deep": found.changes[0],
                "iterative": found.changes[1],
                **stats.as_row(found, "change"),
            }
        )
    names = ["arm", "condition", "reference", "method"]
    kinds = dict.fromkeys(["deep", "iterative", "change", "low", "high"], float) | dict.fromkeys(
        ["n_pairs", "n_subjects", "n_failed"], int
    )
    return pd.DataFrame(out, columns=[*names, *kinds]).astype(kinds)


def count_declared(arm: str, families: Families) -> int:
    """Pairs that the published run of an arm was declared with; 0 for a run by other families."""
    declared = ARMS.get(arm)
    whole = declared is not None and declared.families == families
    return (declared.n_pairs or 0) if declared and whole else 0


def tabulate_networks(changes: pd.DataFrame) -> str:
    """What :func:`compare_networks` found, as a table."""
    rows = changes.to_dict("records")
    if not rows:
        return "No comparison has all of its pairs yet."
    changed = any(row["reference"] for row in rows)
    return make_table(
        {
            "networks": name_of(row["method"]),
            "deep − iterative, Dice (95 %)": show_interval(row["change"], row["low"], row["high"]),
            "images": name_plainly(name_claim(row["arm"], row["condition"]))
            + (f", against {row['reference']}" if changed else ""),
            "networks' own": show(row["deep"], sign=bool(row["reference"])),
            "iterative": show(row["iterative"], sign=bool(row["reference"])),
            "pairs": row["n_pairs"],
            "failed": row["n_failed"],
        }
        for row in rows
    )


def judge(
    arm: str, rows: pd.DataFrame, families: Families, condition: str, *, says: str, text: str,
    where: str, margin: float, reference: str | None = None, n_pairs: int | None = None,
) -> stats.Verdict:  # fmt: skip
    """The verdict on one condition of an arm, before any adjustment.

    The number of pairs is that declared for the arm, where the declared families are compared; `n_pairs`
    where the rows are some of its pairs.
    "not tested" where a run asks for no method of one side, "incomplete" where a member of a family
    was not run at all; "not decidable here" where no registration that is missing could bring a fifth
    subject; "not judged" where the arm declares what else differs than the claim is about.
    """
    declared = ARMS.get(arm)
    whole = declared is not None and declared.families == families
    claim = stats.Claim(
        name_claim(arm, condition), text, says, families.deep, families.iterative,
        condition=condition, reference=reference, margin=margin, where=where,
        n_pairs=n_pairs or (declared.n_pairs if declared and whole else None),
    )  # fmt: skip
    needed = {condition} | ({reference} if reference else set())
    absent = set(families.methods) - set(_find_present(rows, families.methods, needed))
    if not families.deep or not families.iterative:
        found = stats.not_tested(claim, "a side of the comparison has no method here")
    elif absent:
        names = name_some(m for m in families.methods if m in absent)
        found = stats.not_tested(claim, f"not run yet: {names}")
        found = replace(found, verdict=stats.INCOMPLETE)
    else:
        found = stats.decide(claim, rows)
    found = _stop_waiting(found, rows[rows["condition"].isin(needed)])
    beside = declared.beside if declared else ""
    return stats.set_aside(found, beside) if beside else found


def _stop_waiting(verdict: stats.Verdict, rows: pd.DataFrame) -> stats.Verdict:
    """What is incomplete is called not decidable once all declared pairs have too few subjects."""
    pairs = rows.drop_duplicates(["fixed", "moving"])
    n = stats.count_subjects(pairs["fixed_subject"], pairs["moving_subject"])
    last = verdict.claim.n_pairs is not None and len(pairs) >= verdict.claim.n_pairs
    if verdict.verdict != stats.INCOMPLETE or not last or n >= stats.LEAST_SUBJECTS:
        return verdict
    interval = replace(verdict.interval, n_subjects=n)
    reason = f"{stats.say_few(n)}; {verdict.reason}"
    return replace(verdict, verdict=stats.NOT_DECIDABLE, interval=interval, reason=reason)


def judge_by_labels(
    run: Run, arm: str, rows: pd.DataFrame, families: Families, condition: str, **claim: Any
) -> stats.Verdict:
    """As :func:`judge`; where an arm declares several label sets, the verdict on which they agree."""
    label_sets = ARMS[arm].label_sets if arm in ARMS else ()
    if not label_sets:
        return judge(arm, rows, families, condition, **claim)
    chosen = run.structures.query("rule == 'nearest' and label > 0")
    means = chosen.groupby(["label_set", "key"])["dice"].mean()
    verdicts = {}
    for name in label_sets:
        values = means.get(name, pd.Series(dtype=float))
        mine = rows[rows["key"].isin(values.index) | (rows["status"] != "ok")]
        mine = mine.assign(dice=mine["key"].map(values))
        verdicts[LABELLERS.get(name, name)] = judge(arm, mine, families, condition, **claim)
    return stats.agree_on_labels(verdicts)


def adjust(verdicts: Sequence[stats.Verdict]) -> list[stats.Verdict]:
    """Holm's correction of the primary verdicts among all declared arms; the others as they are."""
    chosen = [k for k, v in enumerate(verdicts) if is_primary(v.claim.id)]
    done = stats.adjust_verdicts([verdicts[k] for k in chosen], n_arms=max(N_PRIMARY, len(chosen)))
    out = list(verdicts)
    for k, verdict in zip(chosen, done, strict=True):
        out[k] = verdict
    return out


def list_verdicts(verdicts: Mapping[str, stats.Verdict]) -> str:
    """One point a verdict, with what it counts for; nothing where too few subjects decide nothing.

    The first line of a page says that, once.
    """
    few = [v.verdict == stats.NOT_DECIDABLE and not v.by_failures for v in verdicts.values()]
    if few and all(few):
        return ""
    lines = []
    for name, verdict in verdicts.items():
        arm = ARMS.get(name.split(": ")[0])
        counts = arm is not None and (
            is_primary(name) or arm.status == "confirmatory" or bool(arm.fresh)
        )
        kind = arm.status if arm is not None and counts else "exploratory"
        kind = "confirmatory" if name.endswith(UNSCORED) else kind
        unfinished = verdict.verdict == stats.INCOMPLETE  # its first pairs are no result
        said = f"Not finished: {verdict.reason}." if unfinished else verdict.sentence
        lines.append(f"- **{name_plainly(name)}** ({kind}). {said}")
    return (
        "\n".join(lines) or "No rule could be applied: a network or an iterative method is missing."
    )
