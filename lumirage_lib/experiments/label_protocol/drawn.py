"""Who drew the labels: does the ruler's own domain shift change the verdict?

The same registrations of real contrasts under four label maps: the published ones; these merged to the
classes of a segmenter; the segmenter on T1w; the segmenter, which knows T1w alone, on the contrast
itself. What the last does against the third is the ruler's domain shift, what the second does against
the first is what coarser classes do. The reference is T1w, where the segmenter sees what it knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ... import stats
from ...cohorts.segmented import ON_CONTRAST, ON_T1W
from ...stats import count
from ..comparison import ALL, count_declared, split_arms
from ..contrasts.analysis import find_references
from ..contrasts.plan import REAL
from ..families import ARMS, Families, name_claim, name_plainly
from ..run import Run
from ..sentences import make_table, show, show_interval

RULERS = {ON_T1W: "a segmenter on T1w", ON_CONTRAST: "the segmenter on the contrast itself"}
MERGED = "-18"  # how a label set merged to the classes of the segmenter ends
STEPS = ("coarser classes", "drawn by the segmenter, on T1w", "the ruler's domain shift")
RULER, STEP = "ruler", "step"  # kinds of rows
# What becomes of a verdict by labels that were drawn on the contrast instead of on T1w.
SAME, TURNED = "leave the word as it is", "turn the word"
OPEN = "give another word, by a step that is itself undecided,"
COLUMNS = ["arm", "condition", "reference", "kind", "name", "labels"]


@dataclass(frozen=True)
class View:
    """A changed contrast of an arm, its reference, and who is compared on it."""

    arm: str
    condition: str
    reference: str
    families: Families
    label_sets: tuple[str, ...]  # own, own merged, on T1w, on the contrast


def find_views(run: Run) -> list[View]:
    """Every contrast of the run whose cohort has labels that were drawn on it."""
    found = []
    sides = split_arms(run)
    for arm in dict.fromkeys(e.arm for e in run.entries if e.arm in REAL):
        tasks = {e.condition: e.task for e in reversed(run.entries) if e.arm == arm}
        for condition, reference in find_references(arm, REAL[arm].contrasts).items():
            names = list(tasks[condition].get_cohort().label_sets)
            if ON_CONTRAST in names:
                sets = (names[0], f"{names[0]}{MERGED}", ON_T1W, ON_CONTRAST)
                found.append(View(arm, condition, reference, sides[arm][1], sets))
    return found


def score_by_labels(run: Run, view: View) -> pd.DataFrame:
    """What a method lost from the reference to the contrast on a pair, by every label map.

    Returns
    -------
    DataFrame
        One row a method, pair and label map (`condition`), of pairs that every method was scored on by
        every label map: `dice` is mean Dice on the contrast minus mean Dice on the reference, both by
        that map; by labels that were drawn on the contrast, minus that by those drawn on T1w.
    """
    rows = run.registrations
    rows = rows[rows["arm"].eq(view.arm) & rows["method"].isin(view.families.methods)]
    scored = run.structures
    scored = scored[scored["rule"].eq("nearest") & scored["label"].gt(0)]
    means = scored.groupby(["label_set", "key"])["dice"].mean()

    def read(condition: str, label_set: str) -> pd.DataFrame:
        mine = rows[rows["condition"] == condition]
        values = means.get(label_set, pd.Series(dtype=float))
        mine = mine[mine["key"].isin(values.index) | mine["status"].ne("ok")]
        return mine.assign(dice=mine["key"].map(values).astype(float))

    pair = ["method", "fixed", "moving"]
    tables = []
    for label_set in view.label_sets:
        seen = read(view.condition, label_set)
        before = read(view.reference, ON_T1W if label_set == ON_CONTRAST else label_set)
        both = seen.merge(before[[*pair, "dice", "status"]], on=pair, suffixes=("", "_before"))
        failed = both["status_before"].where(both["status"].eq("ok"), both["status"])
        both = both.assign(status=failed, dice=both["dice"] - both["dice_before"])
        tables.append(both.assign(condition=label_set))
    table = pd.concat(tables, ignore_index=True)
    n_views = table.groupby(["fixed", "moving"])["method"].transform("size")
    return table[n_views == len(view.label_sets) * len(view.families.methods)]


def compare_rulers(run: Run, margin: float) -> pd.DataFrame:
    """Networks against iterative methods by every label map, and what each step between maps does.

    Returns
    -------
    DataFrame
        One row a contrast and label map (kind "ruler") or step ("step"): `COLUMNS`, then deep, iterative
        (mean changes from the reference), change (their difference), low, high (95 %, each alone), word,
        n_pairs, n_subjects, n_failed, n_declared, reason. The word is empty before all declared pairs were
        scored by every label map.
    """
    out = []
    for view in find_views(run):
        table = score_by_labels(run, view)
        declared = count_declared(view.arm, view.families)
        about = {"arm": view.arm, "condition": view.condition, "reference": view.reference}
        sets = view.label_sets
        names = (f"{sets[0]}, the cohort's own", "these merged to 18 classes", *RULERS.values())
        asked: list[tuple[str, str, str, str | None]]
        asked = [(RULER, name, to, None) for name, to in zip(names, sets, strict=True)]
        asked += [(STEP, *step) for step in zip(STEPS, sets[1:], sets[:-1], strict=True)]
        for kind, name, to, start in asked if len(table) else ():
            claim = stats.Claim(
                name, "", "loses", view.families.deep, view.families.iterative,
                condition=to, reference=start, margin=margin, n_pairs=declared or None,
            )  # fmt: skip
            found = stats.decide(claim, table)
            out.append(
                about
                | {"kind": kind, "name": name, "labels": to, "method": ALL}
                | dict(zip(("deep", "iterative"), found.changes, strict=True))
                | stats.as_row(found, "change")
                | {"word": found.word, "n_declared": declared, "reason": found.reason}
            )
    numbers = ["deep", "iterative", "change", "low", "high", "word", "reason"]
    return pd.DataFrame(out, columns=None if out else [*COLUMNS, "method", *numbers])


def _compare_words(by_labels: pd.DataFrame) -> str:
    """What becomes of the verdict of one contrast by labels drawn on it instead of on T1w."""
    words = by_labels[by_labels["kind"] == RULER]["word"]
    if words[ON_CONTRAST] == words[ON_T1W]:
        return SAME
    # Two words may differ because one interval just holds a number that the other does not.
    step = by_labels[by_labels["kind"] == STEP].loc[ON_CONTRAST]
    return TURNED if step["low"] > 0 or step["high"] < 0 else OPEN


def say_drawn(table: pd.DataFrame, planned: Mapping[str, int]) -> str:
    """What labels drawn on the contrast do to the verdict, a point a contrast."""
    if not planned:
        return "This profile registers no contrast whose labels were drawn anew."
    lines = []
    for (arm, condition), rows in table.groupby(["arm", "condition"], sort=False):
        place = name_plainly(name_claim(arm, condition))
        by = rows.set_index("labels")
        shift = by[by["kind"] == STEP].loc[ON_CONTRAST]
        words = by[by["kind"] == RULER]["word"]
        if not shift["word"]:
            done, asked = int(shift["n_pairs"] + shift["n_failed"]), int(shift["n_declared"])
            why = (
                f"Not judged: {shift['reason']}"
                if asked and done >= asked
                else f"Not finished: {done} of {count(asked, 'pair')}"
            )
            lines.append(f"- **{place}**. {why}.")
            continue
        turn = f'from "{words[ON_T1W]}" to "{words[ON_CONTRAST]}"'
        verdict = {
            SAME: f'the word stays "{words[ON_T1W]}"',
            TURNED: f"the word turns {turn}",
            OPEN: f"the word goes {turn}, by a step that is itself undecided",
        }[_compare_words(by)]
        own = words.iloc[0]
        if own != words[ON_T1W]:
            verdict += f'; by the published labels it is "{own}"'
        if ARMS[arm].label_sets:
            verdict += ". Chapter 03 says whether all label maps agree, which its verdict asks for"
        lines.append(
            f"- **{place}**. Labels drawn on {condition} instead of T1w move networks against iterative "
            f"methods by {show_interval(shift['change'], shift['low'], shift['high'])} Dice: {verdict} "
            f"({count(int(shift['n_pairs']), 'pair')}, {count(int(shift['n_subjects']), 'subject')}, "
            f"{int(shift['n_failed']) or 'none'} failed). "
            f"They move iterative methods themselves by {show(shift['iterative'], sign=True)}."
            + _say_merged(by)
        )
    begun = set(zip(table["arm"], table["condition"], strict=True))
    lines += [
        f"- **{name_plainly(name_claim(arm, condition))}**. Not finished: 0 of {count(n, 'pair')}."
        for arm, n in planned.items()
        for condition in REAL[arm].contrasts
        if not condition.startswith("T1w") and (arm, condition) not in begun
    ]
    return "\n".join(lines)


def _say_merged(by_labels: pd.DataFrame) -> str:
    """What the published labels say once merged, where that is neither their own word nor the segmenter's."""
    merged = by_labels[by_labels.index.str.endswith(MERGED)].set_index("kind")
    words = by_labels[by_labels["kind"] == RULER]["word"]
    if merged.empty or merged.loc[RULER, "word"] in (words.iloc[0], words[ON_T1W]):
        return ""
    step = show_interval(*merged.loc[STEP, ["change", "low", "high"]])
    return (
        f' The published labels merged to 18 classes give "{merged.loc[RULER, "word"]}": coarser classes '
        f"alone move the difference by {step}."
    )


def say_turned(finished: pd.DataFrame) -> str:
    """Where labels drawn on the contrast itself turn the word; empty before any contrast is finished."""
    places = dict[str, list[str]]()
    for (arm, condition), rows in finished.groupby(["arm", "condition"], sort=False):
        found = _compare_words(rows.set_index("labels"))
        places.setdefault(found, []).append(name_plainly(name_claim(arm, condition)))
    said = [
        f"{what} on {stats.join(places[what])}" for what in (TURNED, OPEN, SAME) if what in places
    ]
    return f"Labels drawn on the contrast itself {' and '.join(said)}." if said else ""


def tabulate_rulers(table: pd.DataFrame, kind: str) -> str:
    """The rows of one kind of :func:`compare_rulers`."""
    title = {RULER: "labels", STEP: "what changes"}[kind]
    return make_table(
        {
            title: row["name"],
            "deep − iterative, Dice (95 %)": show_interval(row["change"], row["low"], row["high"]),
            "word": row["word"],
            "images": name_plainly(name_claim(row["arm"], row["condition"])),
            "networks": show(row["deep"], sign=True),
            "iterative": show(row["iterative"], sign=True),
            "pairs": row["n_pairs"],
        }
        for row in table[table["kind"] == kind].to_dict("records")
    )
