"""Notebook 00: every claim, what others say of it, and what each arm of our runs says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ... import stats
from ...errors import InputError
from ...runs import profiles
from ..comparison import adjust, list_verdicts
from ..experiment import Result
from ..families import ARMS, FRESH, is_primary, name_plainly
from ..opening import Opening, say_certainty, say_together, write_chips
from ..registry import EXPERIMENTS, load, load_or_compute
from ..resolution.memory import read_wall, say_wall
from ..sentences import make_table, show
from ..specifications import take_dice
from .cards import draw_interval, write_card, write_line
from .statements import CHAPTER_OF_MEMORY, STATEMENTS, Statement

CHOICES = "11_specifications"
FIRST_VERDICTS = "verdicts_v1.csv"  # beside the tables of the published run


TURNED = 0.2  # share of choices that say the opposite of a verdict, from which on it is told
BUDGETS_GB = (16, 24, 48, 80)


@dataclass(frozen=True)
class Judged:
    """What the notebooks found: verdicts, the primary ones adjusted together, and specifications.

    Attributes
    ----------
    verdicts : mapping
        Notebook -> verdicts of its arms.
    specifications : DataFrame
        Claim and word of every choice of methods that could be defended.
    domains : DataFrame
        See :func:`measure_domains`.
    """

    verdicts: Mapping[str, Sequence[stats.Verdict]]
    specifications: pd.DataFrame
    domains: pd.DataFrame


def collect_verdicts(
    profile: str, chapters: Sequence[str], resolve: Callable[[str, str], Mapping]
) -> Judged:
    """Verdicts of every notebook whose run has a registration.

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
    choices, domains = [pd.DataFrame(columns=["claim", "word", "measure"])], []
    for notebook in profiles.notebooks_of(profile):
        if notebook not in claimed or notebook[:2] not in chapters:
            continue
        parameters = resolve(notebook, profile)
        run = (load_or_compute if live else load)(notebook, parameters)
        if len(run.registrations):
            experiment = EXPERIMENTS[notebook]
            result = experiment.analyse(run, parameters)
            found += [(notebook, verdict) for verdict in experiment.verdicts(result)]
            choices.append(result.specify() if hasattr(result, "specify") else choices[0])
            domains.append(measure_domains(run.registrations))
    out: dict[str, list[stats.Verdict]] = {}
    adjusted = adjust([verdict for _, verdict in found])
    for (notebook, _), verdict in zip(found, adjusted, strict=True):
        out.setdefault(notebook, []).append(verdict)
    domains = [table for table in domains if len(table)]
    table = pd.concat(domains) if domains else pd.DataFrame()
    return Judged(out, pd.concat(choices), table)


def measure_domains(registrations: pd.DataFrame) -> pd.DataFrame:
    """What each method adds to the affine alignment, in every arm and condition that it is complete in.

    Returns
    -------
    DataFrame
        arm, condition, method, gain (mean over pairs), n_pairs. Arms of doses and of single resolutions are
        left out; an arm in which a method lacks pairs is not shown for it.
    """
    rows = registrations[(registrations["kind"] == "between") & (registrations["status"] == "ok")]
    rows = rows[rows["arm"].isin(ARMS) & rows["dose"].isna()]
    out = []
    for (arm, condition), mine in rows.groupby(["arm", "condition"], sort=False):
        wide = mine.pivot_table("dice", ["fixed", "moving"], "method")
        declared = ARMS[arm].n_pairs or len(wide)
        if "affine" not in wide or len(wide) < declared:
            continue
        gain = wide.sub(wide["affine"], axis=0).drop(columns="affine")
        for method in gain.columns[gain.notna().all()]:
            out.append(
                {"arm": arm, "condition": condition, "method": method}
                | {"gain": gain[method].mean(), "n_pairs": len(gain)}
            )
    return pd.DataFrame(out, columns=["arm", "condition", "method", "gain", "n_pairs"])


def choose_judges(verdicts: Sequence[stats.Verdict]) -> list[stats.Verdict]:
    """Those that decide a claim: the primary ones; of a run that has none, all."""
    return [v for v in verdicts if is_primary(v.claim.id)] or list(verdicts)


def keep_finished(judged: Judged) -> pd.DataFrame:
    """Specifications of the claims whose registrations are complete."""
    found = [v for verdicts in judged.verdicts.values() for v in verdicts]
    finished = [v.claim.id for v in found if v.verdict != stats.INCOMPLETE]
    return judged.specifications[judged.specifications["claim"].isin(finished)]


def leave_own_out(choices: pd.DataFrame) -> pd.DataFrame:
    """The *other* choices: without the one that each verdict itself was read from."""
    if choices.empty:
        return choices
    own = (choices["choice"] == "families") & choices["declared"] & choices["usual"]
    return choices[~own.astype(bool)]


def analyse(judged: Judged, profile: str) -> Result:
    """Everything the page says, and what the landing page takes from it.

    Raises
    ------
    InputError
        No run of this profile has a verdict.
    """
    rows = [(s, [v for n in s.notebooks for v in judged.verdicts.get(n, [])]) for s in STATEMENTS]
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
    judges = {s.id: choose_judges(found) for s, found in rows}
    words = {s.id: s.instead or stats.combine(judges[s.id]) for s, _ in rows}
    first, deciding = _read_first(profile), [v for found in judges.values() for v in found]
    sentences = say_answer(rows)
    choices = leave_own_out(take_dice(keep_finished(judged)))
    turned = _say_turned(rows, judges, choices)
    return Result(
        opening=Opening(
            _count_verdicts(words), (*sentences, say_certainty(deciding), *turned), tuple(deciding)
        ),
        sentences=(
            *sentences,
            *([say_certainty(deciding)] if any(v.word for v in deciding) else []),
            *turned,
        ),
        cards=_write_cards(rows, words, choices, first, profile),
        arms=arms,
        arms_text="\n\n".join(
            f"**{s.claim}**\n\n"
            + (list_verdicts({v.claim.id: v for v in found}) or f"- {words[s.id].capitalize()}.")
            if found
            else f"**{s.claim}**\n\n- {(s.instead or stats.NOT_TESTED).capitalize()}."
            for s, found in rows
        ),
        changes_text=_tabulate_first(words, first),
        design=f"{int(arms['n_pairs'].max())} pairs of {int(arms['n_subjects'].max())} subjects at "
        "most; the cards have those of each.",
        domains=judged.domains,
    )


# ---- sentences -----------------------------------------------------------------------------------


def say_answer(rows: Sequence[tuple[Statement, Sequence[stats.Verdict]]]) -> tuple[str, ...]:
    """Plain sentences: one a claim, what stands beside them, what is not finished, what is not tested.

    Where a claim is not finished, what was decided beside it stands in its place.
    """
    answers = list[tuple[bool, str]]()  # whether nothing was decided, and the sentence
    waiting, beside = list[str](), dict[str, stats.Verdict]()
    for statement, found in rows:
        judges = choose_judges(found)
        if not judges or statement.instead:
            continue
        if all(v.verdict == stats.INCOMPLETE for v in judges):
            waiting.append(statement.short)
            decided = [
                v for v in found if v.word and v not in judges and not v.claim.id.endswith(FRESH)
            ]
            beside |= {name_plainly(v.claim.id): v for v in decided}
            continue
        preposition, name = statement.place
        places = {name or name_plainly(v.claim.id): v for v in judges}
        answers.append((not any(v.word for v in judges), say_together(places, preposition)))
    # What was decided stands before what was not; else in the order of the paper's claims.
    said = [sentence for _, sentence in sorted(answers, key=lambda answer: answer[0])]
    aside = f"Beside the paper's claims: {_lower(say_together(beside))}" if beside else ""
    open_ones = (
        f"No answer yet on {stats.join(waiting)}: these runs are not finished." if waiting else ""
    )
    untested = [s.untested for s, _ in rows if s.untested]
    not_tested = f"Not tested: {stats.join(untested)}." if untested else ""
    return tuple(t for t in (*said, aside, _say_memory(), open_ones, not_tested) if t)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _say_memory() -> str:
    """What a network needs at 0.6 mm, which is measured and needs no verdict."""
    wall = read_wall()
    return "" if wall is None else say_wall(wall, BUDGETS_GB)


def _count_verdicts(words: Mapping[str, str]) -> str:
    """How many claims have which verdict; one whose arms differ is counted apart."""
    of = [
        "in gigabytes" if "gigabytes" in w
        else "not judged" if w in (stats.NOT_DECIDABLE, stats.NOT_TESTED, stats.NOT_JUDGED)
        else "different by arm" if ";" in w
        else "a loss" if w.startswith("loses")
        else "a gain" if w.startswith("gains")
        else "no loss" if w.startswith("no loss")
        else w.replace(stats.INCOMPLETE, "not finished")
        for w in words.values()
    ]  # fmt: skip
    counts = pd.Series(of).value_counts(sort=False)
    spoken = ", ".join(f"{n} {w}" for w, n in counts.items() if w != stats.SUPPORTED)
    return f"{counts.get(stats.SUPPORTED, 'None')} of the paper's {len(of)} claims is supported: {spoken}."


def _write_cards(
    rows: Sequence[tuple[Statement, Sequence[stats.Verdict]]],
    words: Mapping[str, str],
    specifications: pd.DataFrame,
    first: pd.DataFrame,
    profile: str,
) -> str:
    judges = {s.id: [v for v in choose_judges(f) if not s.instead] for s, f in rows}
    shown = [v for found in judges.values() for v in found if v.verdict != stats.INCOMPLETE]

    def reach_of(mine: Sequence[stats.Verdict]) -> float:
        """Half the axis: one for all that was decided; what was not may lie far beyond it."""
        alike = [v for v in shown if v.word] if any(v.word for v in mine) else mine
        return max([0.02, *(abs(x) for v in alike for x in (v.low, v.high) if x == x)])

    cards = []
    for statement, _ in rows:
        mine = judges[statement.id]
        own = specifications[specifications["claim"].isin([v.claim.id for v in mine])]
        before = first.loc[first["statement"] == statement.id, "scoreboard"]
        notes = [f"The challenge's authors: {statement.challenge}."]
        if len(before):
            notes.append(f"Version 1 of the rules said: {before.iloc[0]}.")
        chapter = statement.notebooks[0] if statement.notebooks else ""
        chapter = CHAPTER_OF_MEMORY if statement.instead else chapter
        cards.append(
            write_card(
                statement.claim,
                write_chips(mine) if mine else _chip(words[statement.id]),
                f"The paper: {statement.paper}",
                [write_line(_say_memory())]
                if statement.instead
                else [draw_interval(v, name_plainly(v.claim.id), reach_of(mine)) for v in mine],
                notes,
                {
                    f"Chapter {chapter[:2]}": f"{chapter}_{profile}.html" if chapter else "",
                    _say_share(own, mine): f"{CHOICES}_{profile}.html" if len(own) else "",
                },
            )
        )
    return '<div class="lm-cards">' + "".join(cards) + "</div>"


def _chip(word: str) -> str:
    return f'<span class="lm-chip lm-open">◆ <b>{word}</b></span>'


def _say_share(own: pd.DataFrame, verdicts: Sequence[stats.Verdict]) -> str:
    """What stands on the way to the page of all choices."""
    if own.empty:
        return ""
    who = "networks" if any(v.claim.second for v in verdicts) else "iterative methods"
    heads = {"loses": "lose in", "gains": "gain in", "equal": "equal in", "open": "open in"}
    said = [
        (f"on {name_plainly(v.claim.id)} " if len(verdicts) > 1 else "")
        + ", ".join(
            f"{heads[word]} {100 * share:.0f} %"
            for word, share in _share_words(own[own["claim"] == v.claim.id]).items()
            if share
        )
        for v in verdicts
    ]
    return f"{len(own)} other choices of methods and rulers: {who} {'; '.join(said)}"


def _share_words(choices: pd.DataFrame) -> dict[str, float]:
    """The share of choices with a direction, equal (or no loss that matters), and open."""
    kinds = {"loses": "loses", "gains": "gains", "equal": ("equal", "no loss")}
    shares = {kind: float(choices["word"].str.startswith(of).mean()) for kind, of in kinds.items()}
    return {**shares, "open": 1 - sum(shares.values())}


def _say_turned(
    rows: Sequence[tuple[Statement, Sequence[stats.Verdict]]],
    judges: Mapping[str, Sequence[stats.Verdict]],
    choices: pd.DataFrame,
) -> list[str]:
    """Claims decided in one direction of which many choices say the other, in a sentence."""
    turned = []
    for statement, _ in rows:
        for verdict in judges[statement.id]:
            own = choices[choices["claim"] == verdict.claim.id]
            opposite = {"loses": "gains", "gains": "loses"}.get(verdict.word.split(",")[0], "")
            share = _share_words(own)[opposite] if opposite and len(own) else 0.0
            if share >= TURNED:
                place = statement.place[1] or name_plainly(verdict.claim.id)
                turned.append(
                    f"{100 * share:.0f} % of {len(own)} other choices of methods and rulers on {place}"
                    + _say_labels(own, opposite)
                )
    if not turned:
        return []
    return [f"**What it depends on.** The opposite is said by {stats.join(turned)}."]


def _say_labels(own: pd.DataFrame, word: str) -> str:
    """Among which labels a direction is told how often, where labels make much of it."""
    shares = own["word"].str.startswith(word).groupby(own["labels"]).mean()
    if len(shares) < 2 or shares.max() - shares.min() < TURNED:
        return ""
    ends = (shares.idxmax(), shares.idxmin())
    most, least = (f"{100 * shares[labels]:.0f} % by “{labels}” labels" for labels in ends)
    return f" ({most}, {least})"


def _read_first(profile: str) -> pd.DataFrame:
    """Verdicts by version 1 of the rules; without rows where a profile has none."""
    path = profiles.project_root() / "results" / profile / FIRST_VERDICTS
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["statement", "scoreboard"])


def _tabulate_first(words: Mapping[str, str], table: pd.DataFrame) -> str:
    """What version 1 of the rules said of the same claims, and why that was replaced."""
    return make_table(
        {
            "claim": statement.claim,
            "now": words[statement.id].replace(stats.INCOMPLETE, "not finished"),
            "version 1": f"{rows['scoreboard'].iloc[0]}: "
            + "; ".join(
                f"{name_plainly(r.arm)} {r.verdict} ({show(r.estimate, sign=True)})"
                for r in rows.itertuples()
            ),
            "why it was replaced": statement.replaced,
        }
        for statement in STATEMENTS
        if len(rows := table[table["statement"] == statement.id])
    )
