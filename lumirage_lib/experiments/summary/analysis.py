"""Notebook 00: every claim, what others say of it, and what each arm of our runs says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ... import stats
from ...errors import InputError
from ...runs import profiles
from ..registry import EXPERIMENTS, load, load_or_compute

NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Statement:
    """A claim of the paper, in its abstract's words, and what the challenge's authors say of it.

    Quotes: Jena, Chaudhari & Gee (2026), abstract; Chen et al. (arXiv 2505.24160), abstract.
    """

    id: str
    claim: str
    paper: str
    challenge: str
    notebooks: tuple[str, ...]


STATEMENTS = (
    Statement(
        "t1w",
        "On T1w brains, networks and iterative optimisation are equally accurate",
        "“deep learning methods perform comparably to iterative optimization on in-distribution T1w "
        "images”",
        "deep networks lead the leaderboard",
        ("01_in_distribution",),
    ),
    Statement(
        "macaque",
        "On macaque brains they are equally accurate",
        "“and even on human-adjacent species (macaque)”",
        "“strong robustness to most domain shifts”",
        ("02_macaque",),
    ),
    Statement(
        "contrasts",
        "On T2w, T2*w and FLAIR networks lose more than iterative methods",
        "“performance degrades significantly on out-of-distribution contrasts (T2, T2*, FLAIR), with "
        "Cohen's d scores ranging from 0.7–1.5”",
        "“the exception being a drop in performance on out-of-domain contrasts”",
        ("03_contrasts",),
    ),
    Statement(
        "resolution",
        "At 0.6 mm networks fail to run",
        "“failing to run on 0.6 mm isotropic images, while iterative methods benefit from increased "
        "resolution”",
        "not addressed in the abstract",
        ("04_resolution",),
    ),
    Statement(
        "preprocessing",
        "Networks are sensitive to preprocessing",
        "“deep methods exhibit high sensitivity to preprocessing choices”",
        "not addressed in the abstract",
        ("05_preprocessing",),
    ),
)


@dataclass(frozen=True)
class Result:
    """Sentences and tables of the page; every number in them comes from a verdict."""

    answer: str
    scoreboard: str
    arms: pd.DataFrame
    arms_text: str
    design: str


def collect_verdicts(
    profile: str, chapters: Sequence[str], resolve: Callable[[str, str], Mapping]
) -> dict[str, list[stats.Verdict]]:
    """Verdicts of every notebook whose run has a registration, Holm-adjusted over all of them.

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
    found: dict[str, list[stats.Verdict]] = {}
    for notebook in profiles.notebooks_of(profile):
        if notebook not in claimed or notebook[:2] not in chapters:
            continue
        parameters = resolve(notebook, profile)
        run = (load_or_compute if live else load)(notebook, parameters)
        if len(run.registrations):
            experiment = EXPERIMENTS[notebook]
            found[notebook] = experiment.verdicts(experiment.analyse(run, parameters))
    flat = [(name, verdict) for name, verdicts in found.items() for verdict in verdicts]
    adjusted = stats.adjust_verdicts([verdict for _, verdict in flat])
    out: dict[str, list[stats.Verdict]] = {name: [] for name in found}
    for (name, _), verdict in zip(flat, adjusted, strict=True):
        out[name].append(verdict)
    return out


def combine(verdicts: Sequence[stats.Verdict]) -> str:
    """One word for several arms, or each arm's own; see :func:`lumirage_lib.stats.combine`."""
    return stats.combine(verdicts) if verdicts else NOT_RUN


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
    arms = pd.DataFrame(
        [
            {
                "statement": statement.id,
                "arm": verdict.claim.id,
                "says": verdict.claim.says,
                "measure": verdict.claim.measure,
                "margin": verdict.claim.margin,
                "verdict": verdict.verdict,
                "word": verdict.word,
                "detectable": verdict.detectable,
                "estimate": verdict.estimate,
                "low": verdict.low,
                "high": verdict.high,
                "level": verdict.level,
                "p_value": verdict.p_value,
                "p_adjusted": verdict.p_adjusted,
                "n_pairs": verdict.n_pairs,
                "n_subjects": verdict.n_subjects,
                "n_failed": verdict.n_failed,
            }
            for statement, found in rows
            for verdict in found
        ]
    )
    words = {s.id: combine(found) for s, found in rows}
    counted = pd.Series(list(words.values())).value_counts()
    spoken = ", ".join(f"{n} {word}" for word, n in counted.items())
    return Result(
        answer=f"**Answer.** Of the {len(rows)} claims: {spoken}.",
        scoreboard=_scoreboard(rows, words, profile),
        arms=arms,
        arms_text=_arms_text(rows),
        design=f"{int(arms['n_pairs'].max())} pairs of {int(arms['n_subjects'].max())} subjects at "
        "most; the table has those of each arm.",
    )


def _scoreboard(rows, words: Mapping[str, str], profile: str) -> str:
    lines = ["| claim | the paper | the challenge | here | chapter |", "|---|---|---|---|---|"]
    for statement, found in rows:
        links = ", ".join(
            f"[{name[:2]}]({name}_{profile}.ipynb)" for name in statement.notebooks if found
        )
        lines.append(
            f"| {statement.claim} | {statement.paper} | {statement.challenge} "
            f"| **{words[statement.id]}** | {links or '–'} |"
        )
    return "\n".join(lines)


def _arms_text(rows) -> str:
    parts = []
    for statement, found in rows:
        sentences = [f"- {verdict.sentence}" for verdict in found] or [f"- {NOT_RUN}."]
        parts.append(f"**{statement.claim}**\n\n" + "\n".join(sentences))
    return "\n\n".join(parts)
