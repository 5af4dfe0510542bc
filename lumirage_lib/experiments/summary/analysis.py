"""Notebook 00: every claim, what others say of it, and what each arm of our runs says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ... import stats
from ...errors import InputError
from ...runs import profiles
from ..comparison import adjust, list_verdicts
from ..experiment import Result
from ..families import is_primary
from ..registry import EXPERIMENTS, load, load_or_compute
from ..sentences import make_table, show, show_interval

CHAPTER_OF_MEMORY = "04_resolution"
FIRST_VERDICTS = "verdicts_v1.csv"  # beside the tables of the published run


@dataclass(frozen=True)
class Statement:
    """A claim of the paper, in its abstract's words, and what the challenge's authors say of it.

    Quotes: Jena, Chaudhari & Gee (2026), abstract; Chen et al. (arXiv 2505.24160), abstract.

    Attributes
    ----------
    notebooks : tuple of str
        Whose verdicts judge it; none: it is not tested.
    replaced : str
        Why its verdict by version 1 of the rules does not stand.
    instead : str
        What stands in the place of a verdict, where the claim has none.
    """

    id: str
    claim: str
    paper: str
    challenge: str
    notebooks: tuple[str, ...]
    replaced: str = ""
    instead: str = ""


STATEMENTS = (
    Statement(
        "t1w",
        "On T1w brains, networks and iterative optimisation are equally accurate",
        "“deep learning methods perform comparably to iterative optimization on in-distribution T1w "
        "images”",
        "deep networks lead the leaderboard",
        ("01_in_distribution",),
        "its families were whatever had been run on all pairs, some of it at coarser voxels; now they are "
        "declared by role",
    ),
    Statement(
        "macaque",
        "On macaque brains they are equally accurate",
        "“and even on human-adjacent species (macaque)”",
        "“strong robustness to most domain shifts”",
        ("02_macaque",),
        "three independent brains decide nothing; true size shows networks that are not told the size, "
        "and is drawn, not judged",
    ),
    Statement(
        "contrasts",
        "On T2w, T2*w and FLAIR networks lose more than iterative methods",
        "“performance degrades significantly on out-of-distribution contrasts (T2, T2*, FLAIR), with "
        "Cohen's d scores ranging from 0.7–1.5”",
        "“the exception being a drop in performance on out-of-domain contrasts”",
        ("03_contrasts",),
        "FLAIR compared a method at 2 mm with networks at 1 mm, and thick slices with thin ones; "
        "synthesised contrasts were referred to images that had not been synthesised; three patients "
        "were given a verdict",
    ),
    Statement(
        "resolution",
        "At 0.6 mm networks fail to run",
        "“failing to run on 0.6 mm isotropic images”",
        "not addressed in the abstract",
        (),
        "it rested on one registration of one generated pair; whether a network runs is a number of "
        "gigabytes for each form of it, not a verdict",
        f"a number of gigabytes, see {CHAPTER_OF_MEMORY[:2]}",
    ),
    Statement(
        "gain",
        "At 0.6 mm iterative methods gain",
        "“while iterative methods benefit from increased resolution”",
        "not addressed in the abstract",
        (CHAPTER_OF_MEMORY,),
    ),
    Statement(
        "preprocessing",
        "Networks are sensitive to preprocessing",
        "“deep methods exhibit high sensitivity to preprocessing choices”",
        "not addressed in the abstract",
        ("05_preprocessing",),
        "it rested on two of twenty-four perturbations; the paper's own two are primary now",
    ),
    Statement(
        "winner",
        "The network that won the challenge loses accuracy on what it was not trained on",
        "the paper's networks are those of the LUMIR challenge",
        "“strong robustness to most domain shifts”",
        (),
    ),
)


def collect_verdicts(
    profile: str, chapters: Sequence[str], resolve: Callable[[str, str], Mapping]
) -> dict[str, list[stats.Verdict]]:
    """Verdicts of every notebook whose run has a registration, the primary ones adjusted together.

    What a published run lacks, its verdicts lack; a live one is computed.

    Parameters
    ----------
    chapters : sequence of str
        How the names of the notebooks begin, e.g. "01".
    resolve : callable
        ``resolve(notebook, profile)``: the parameters of a notebook under a profile.
    """
    live = profile in profiles.LIVE
    claimed = {name for statement in STATEMENTS for name in statement.notebooks}
    found: list[tuple[str, stats.Verdict]] = []
    for notebook in profiles.notebooks_of(profile):
        if notebook not in claimed or notebook[:2] not in chapters:
            continue
        parameters = resolve(notebook, profile)
        run = (load_or_compute if live else load)(notebook, parameters)
        if len(run.registrations):
            experiment = EXPERIMENTS[notebook]
            verdicts = experiment.verdicts(experiment.analyse(run, parameters))
            found += [(notebook, verdict) for verdict in verdicts]
    out: dict[str, list[stats.Verdict]] = {}
    adjusted = adjust([verdict for _, verdict in found])
    for (notebook, _), verdict in zip(found, adjusted, strict=True):
        out.setdefault(notebook, []).append(verdict)
    return out


def choose_judges(verdicts: Sequence[stats.Verdict]) -> list[stats.Verdict]:
    """Those that decide a claim: the primary ones; of a run that has none, all."""
    return [v for v in verdicts if is_primary(v.claim.id)] or list(verdicts)


def analyse(verdicts: Mapping[str, Sequence[stats.Verdict]], profile: str) -> Result:
    """Everything the page says.

    Parameters
    ----------
    verdicts : mapping
        Notebook -> verdicts of its arms, see :func:`collect_verdicts`.

    Raises
    ------
    InputError
        No run of this profile has a verdict.
    """
    rows = [(s, [v for n in s.notebooks for v in verdicts.get(n, [])]) for s in STATEMENTS]
    if not any(found for _, found in rows):
        raise InputError(f"profile {profile}: no run has a verdict yet; compute one first")
    numbers = ("verdict", "word", "estimate", "low", "high", "level", "detectable", "p_value",
               "p_adjusted", "n_pairs", "n_subjects", "n_failed")  # fmt: skip
    arms = pd.DataFrame(
        [
            {"statement": statement.id, "arm": v.claim.id, "primary": is_primary(v.claim.id)}
            | {"says": v.claim.says, "measure": v.claim.measure, "margin": v.claim.margin}
            | {name: getattr(v, name) for name in numbers}
            for statement, found in rows
            for v in found
        ]
    )
    words = {s.id: s.instead or stats.combine(choose_judges(found)) for s, found in rows}
    return Result(
        answer=_answer(rows),
        scoreboard=_tabulate_claims(rows, words, profile),
        arms=arms,
        arms_text="\n\n".join(
            f"**{s.claim}**\n\n" + list_verdicts({v.claim.id: v for v in found})
            if found
            else f"**{s.claim}**\n\n- {(s.instead or stats.NOT_TESTED).capitalize()}."
            for s, found in rows
        ),
        changes_text=_tabulate_first(words, profile),
        design=f"{int(arms['n_pairs'].max())} pairs of {int(arms['n_subjects'].max())} subjects at "
        "most; the table has those of each arm.",
    )


def _answer(rows: Sequence[tuple[Statement, Sequence[stats.Verdict]]]) -> str:
    """How many claims have which verdict; one whose arms differ is counted apart."""
    words = [
        {v.verdict for v in choose_judges(found)} or {stats.NOT_TESTED}
        for statement, found in rows
        if not statement.instead
    ]
    single = pd.Series([w.pop() if len(w) == 1 else "different by arm" for w in words])
    spoken = ", ".join(f"{n} {word}" for word, n in single.value_counts().items())
    return f"**Answer.** Of the {len(words)} claims that can be judged: {spoken}."


def _tabulate_claims(
    rows: Sequence[tuple[Statement, Sequence[stats.Verdict]]],
    words: Mapping[str, str],
    profile: str,
) -> str:
    return make_table(
        {
            "claim": statement.claim,
            "here": f"**{words[statement.id]}**",
            "deep − iterative, Dice": "; ".join(
                # The first pairs of a run are no result: no number stands beside "incomplete".
                "–" if v.verdict == stats.INCOMPLETE else show_interval(v.estimate, v.low, v.high)
                for v in choose_judges(found)
            )
            or "–",
            "pairs": "; ".join(str(v.n_pairs) for v in choose_judges(found)) or "–",
            "the paper": statement.paper,
            "the challenge": statement.challenge,
            "chapter": ", ".join(
                f"[{name[:2]}]({name}_{profile}.ipynb)" for name in statement.notebooks if found
            )
            or "–",
        }
        for statement, found in rows
    )


def _tabulate_first(words: Mapping[str, str], profile: str) -> str:
    """What version 1 of the rules said of the same claims, and why that was replaced."""
    path = profiles.project_root() / "results" / profile / FIRST_VERDICTS
    if not path.exists():
        return ""
    table = pd.read_csv(path)
    return make_table(
        {
            "claim": statement.claim,
            "version 1": f"{rows['scoreboard'].iloc[0]}: "
            + "; ".join(
                f"{r.arm} {r.verdict} ({show(r.estimate, sign=True)})" for r in rows.itertuples()
            ),
            "now": words[statement.id],
            "why it was replaced": statement.replaced,
        }
        for statement in STATEMENTS
        if len(rows := table[table["statement"] == statement.id])
    )
