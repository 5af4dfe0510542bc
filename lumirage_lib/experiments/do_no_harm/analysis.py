"""Notebook 09: what do registrations invent where nothing changed, and do they see what did?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ... import stats
from ...methods import name_of, order_of
from ..experiment import Result
from ..families import CORE, FAMILY_WORDS, Families, choose_families
from ..opening import Opening
from ..run import Run
from ..sentences import (
    describe_families,
    list_limits,
    list_points,
    make_table,
    name_some,
    say_sides,
    show,
    show_interval,
    write_design,
    write_designs,
    write_state,
)
from .measures import (
    SIGN,
    average_elsewhere,
    count_failed,
    find_names,
    join_structures,
    keep_shared,
    keep_shared_pairs,
    measure_atrophy,
    measure_couples,
    measure_invented,
)
from .plan import IDENTITY, RESCAN, VOLUMES
from .volumes import fit_doses, name_structures, summarise_volumes

MOST_SUBJECTS = 100_000  # of a group; what a larger number says is that there is no relation


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    rows, cohort = join_structures(run), run.tasks[0].get_cohort()
    names, families = find_names(run), _choose_families(run)
    followed, untouched = measure_atrophy(rows, names, parameters["cohort"])
    changes, failed = keep_shared(followed), count_failed(run.registrations)
    elsewhere = average_elsewhere(untouched, changes)
    lines, invented = fit_doses(changes), measure_invented(rows, run.registrations)
    couples = measure_couples(run, parameters["profile"])
    shared = keep_shared_pairs(run.registrations[run.registrations["arm"] == VOLUMES])
    of_shared = (rows["arm"] == VOLUMES) & rows["key"].isin(shared["key"])
    volumes = summarise_volumes(name_structures(rows[of_shared], names))
    volumes_text = _volumes_text(volumes, families)
    atrophy_text = _atrophy_text(changes, families, failed)
    invented_text, zero_text = _invented_text(invented, families), _zero_text(lines, families)
    couples_text = _couples_text(couples, families)
    tables = {"atrophy": followed, "lines": lines, "elsewhere": elsewhere, "invented": invented}
    tables |= {"couples": couples, "volumes": volumes}
    return Result(
        opening=Opening(
            _headline(changes, lines, invented, failed, families),
            (
                _join(
                    "**What.**", atrophy_text, invented_text, couples_text if len(couples) else ""
                ),
                _join(
                    "**How sure.**",
                    zero_text,
                    _one_dose_text(changes),
                    f"Registered: {write_designs(run.registrations)}",
                ),
                f"**What it depends on.** {volumes_text}",
            ),
        ),
        state=write_state(run),
        sides_text=say_sides({"": families}),
        designs={
            arm: f"{write_design(mine)}."
            for arm, mine in run.registrations.groupby("arm", sort=False)
        }
        | {VOLUMES: f"{write_design(shared)}."},
        changes=changes,
        lines=lines,
        atrophy_text=_join(atrophy_text, zero_text, _elsewhere_text(elsewhere, families)),
        atrophy_table=_atrophy_table(changes, lines, failed),
        invented=invented,
        invented_text=invented_text,
        invented_table=_invented_table(invented),
        couples=couples,
        couples_text=couples_text,
        couples_table=_couples_table(couples),
        volumes=volumes,
        volumes_text=volumes_text,
        volumes_table=_volumes_table(volumes, cohort.call_labels(next(iter(cohort.label_sets)))),
        limits=_limits(run),
        tables=tables,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _join(*sentences: str) -> str:
    return " ".join(s for s in sentences if s)


def _percent(value: float, digits: int = 1, *, sign: bool = False) -> str:
    return show(100 * value, digits, sign=sign) + (" %" if not pd.isna(value) else "")


def _choose_families(run: Run) -> Families:
    """The two declared for every arm but T1w, where the plan asks for both; else those it asks for."""
    asked = {e.task.method for e in run.entries}
    return CORE if set(CORE.methods) <= asked else choose_families("", asked)


def _atrophy_text(changes: pd.DataFrame, families: Families, failed: pd.Series) -> str:
    """What is seen of a change and what is found without one, structure by structure; who failed."""
    lost = [
        f"{name_of(method)} failed on {n} of {stats.count(n_tried, 'registration')}"
        for method, (n, n_tried) in failed.items()
        if n
    ]
    tail = f" {stats.join(lost)}." if lost else ""
    seen = changes.dropna(subset="change")
    seen = seen[(seen["dose"] > 0) & (seen["family"] != "baseline")]
    if seen.empty:
        state = "is finished" if len(failed) else "was registered"
        return f"No known atrophy {state}, so whether change is seen stays open.{tail}"
    parts = []
    for structure, mine in seen.groupby("structure", sort=False):
        dose = mine["dose"].max()
        verb = "loss" if SIGN[structure] < 0 else "growth"
        found = mine[mine["dose"] == dose].groupby("method")["change"].mean() * SIGN[structure]
        people = stats.count(mine["fixed_subject"].nunique(), "subject")
        parts.append(
            f"Of a {verb} of {_percent(dose, 0)} of the {structure} ({people}), fields show on average, "
            f"in %: {describe_families(100 * found, 1, families)}"
        )
        unchanged = changes[(changes["structure"] == structure) & (changes["dose"] == 0)]
        unchanged = unchanged[unchanged["family"] != "baseline"].dropna(subset="change")
        if len(unchanged):
            without = 100 * unchanged.groupby("method")["change"].mean() * SIGN[structure]
            parts.append(
                f"Where it did not change, they show a {verb}, in %, of: "
                f"{describe_families(without, 1, families)}"
            )
    return ". ".join(parts) + "." + tail


def _zero_text(lines: pd.DataFrame, families: Families) -> str:
    """What is found where nothing changed: for whom its mean is not 0, why, and how it scatters."""
    found = lines[lines["family"] != "baseline"].dropna(subset="intercept_low")
    if found.empty:
        return ""
    clear = (found["intercept_low"] > 0) | (found["intercept_high"] < 0)
    clear.index = pd.MultiIndex.from_frame(found[["structure", "method"]])
    each = [
        f"in the {structure} by {_count_clear(mine.droplevel('structure'), families)}"
        for structure, mine in clear.groupby(level="structure", sort=False)
    ]
    mean = (
        "By the line through all doses, what is found without any change is on average clear of 0 (95 %) "
        f"{'; '.join(each)}."
    )
    if clear.any():
        mean += (
            " Both images are then made in the same way, so such a mean may come from their roles: only the "
            "moving image is interpolated again. Swapping them was not tried."
        )
    scatter = 100 * found.set_index("method")["intercept_sd"]
    return (
        f"{mean} It scatters between subjects by (SD by structure, in %): "
        f"{describe_families(scatter, 1, families)}."
    )


def _count_clear(clear: pd.Series, families: Families) -> str:
    """ "2 of 2 iterative methods and 0 of 2 networks", from method -> whether it is clear of 0."""
    sides = {words: getattr(families, side) for side, words in FAMILY_WORDS.items()}
    mine = {words: clear[clear.index.isin(methods)] for words, methods in sides.items()}
    said = " and ".join(f"{v.sum()} of {len(v)} {words}" for words, v in mine.items() if len(v))
    others = clear[~clear.index.isin(families.methods)]
    if others.empty:
        return said
    if len(others) == 1:
        return f"{said}, beside them {'' if others.iloc[0] else 'not '}by {name_some(others.index)}"
    return f"{said}, beside them by {others.sum()} of {len(others)} methods"


def _headline(
    changes: pd.DataFrame,
    lines: pd.DataFrame,
    invented: pd.DataFrame,
    failed: pd.Series,
    families: Families,
) -> str:
    """What is followed of a known change; where none was registered, what is found where nothing changed.

    Of the families alone: what stands beside them is in the points below.
    """
    shares = _find_shares(changes, lines)
    shares = shares[shares.index.isin(families.methods)]
    if shares.empty:
        _, spread = _find_spread(invented[invented["method"].isin(families.methods)], families)
        found = (
            f"Where nothing changed, log Jacobians still spread (SD: {spread}). " if spread else ""
        )
        if len(failed) and all(lost == tried for lost, tried in failed):
            return f"{found}Every registration of a known loss failed."
        state = "is finished" if len(failed) else "was registered"
        return f"{found}No known loss {state} yet."
    mean = "mean of " if len(shares.columns) > 1 else ""
    return (
        f"Of {'one' if _one_dose_text(changes) else 'a'} known change of volume "
        f"({mean}{stats.join(shares.columns)}), "
        f"fields show this {'ratio' if _one_dose_text(changes) else 'share'}: "
        f"{describe_families(shares.mean(axis=1), 2)}."
    )


def _find_shares(changes: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Slope of measured on true change by method and structure; from one dose, the ratio.

    Only methods that have it of every structure.

    What a method finds without a change is the intercept, and no part of a slope.
    """
    found = lines.rename(columns={"slope": "share"})
    if lines.empty:
        seen = changes[changes["dose"] > 0]
        found = seen.assign(share=seen["change"] / seen["true"])
    found = found[found["family"] != "baseline"].dropna(subset="share")
    return found.groupby(["method", "structure"])["share"].mean().unstack().dropna()


def _one_dose_text(changes: pd.DataFrame) -> str:
    """What the share is where there is no second dose to draw a line through; else nothing."""
    return (
        "One dose was registered: the share is a ratio, not a slope, so what is found without any change is "
        "part of it."
        if changes["dose"].nunique() == 1 and changes["dose"].max() > 0
        else ""
    )


def _elsewhere_text(elsewhere: pd.DataFrame, families: Families) -> str:
    if elsewhere.empty:
        return ""
    each = 100 * elsewhere.set_index("method")["invented"]
    by_dose = 100 * elsewhere.set_index(["method", "structure", "dose"])["invented"].unstack()
    apart = (by_dose.max(axis=1) - by_dose.min(axis=1)).max()
    between = (
        f"; between doses of one structure it differs by at most {show(apart, 2)}"
        if by_dose.shape[1] > 1
        else ""
    )
    worst = elsewhere.loc[elsewhere["invented"].idxmax()]
    return (
        "In structures that the change does not reach, a change is found, too (root mean square over "
        "them, mean over subjects, by structure changed and dose, in %): "
        f"{describe_families(each, 1, families)}{between}. The largest is "
        f"{_percent(worst['invented'])}, by {name_of(worst['method'])} where "
        f"{_percent(worst['dose'], 0)} of the {worst['structure']} changed."
    )


def _atrophy_table(changes: pd.DataFrame, lines: pd.DataFrame, failed: pd.Series) -> str:
    if changes.empty:
        return ""
    means = changes.groupby(["structure", "method", "dose"])["change"].mean().unstack("dose")
    fitted = lines.set_index(["structure", "method"])
    rows = []
    for structure in dict.fromkeys(changes["structure"]):
        for method in order_of(changes.loc[changes["structure"] == structure, "method"]):
            row = {"structure": structure, "method": name_of(method)}
            for dose, value in means.loc[(structure, method)].items():
                title = f"true {_percent(dose, 0)}" if dose else "no change"
                row[title] = "–" if pd.isna(value) else _percent(value, sign=True)
            row["slope (95 %)"] = row["intercept, % (95 %)"] = row["its SD, %"] = "–"
            if (structure, method) in fitted.index:
                line = fitted.loc[(structure, method)]
                bounds = (line[f"slope{b}"] for b in ("", "_low", "_high"))
                row["slope (95 %)"] = show_interval(*bounds, digits=2)
                bounds = (100 * line[f"intercept{b}"] for b in ("", "_low", "_high"))
                row["intercept, % (95 %)"] = show_interval(*bounds, digits=1)
                row["its SD, %"] = show(100 * line["intercept_sd"], 1)
            row["failed"] = failed.get(method, (0, 0))[0]
            rows.append(row)
    return make_table(rows)


def _find_spread(invented: pd.DataFrame, families: Families) -> tuple[str, str]:
    """Two images without a change, rescans where there are any, and SD log J by method; else empty."""
    between = {RESCAN: "two scans of one brain", IDENTITY: "a scan and itself"}
    for condition, what in between.items():
        rows = invented[(invented["condition"] == condition) & (invented["family"] != "baseline")]
        if spread := describe_families(rows.set_index("method")["sd_log_j"], 2, families):
            return what, spread
    return "", ""


def _invented_text(invented: pd.DataFrame, families: Families) -> str:
    what, spread = _find_spread(invented, families)
    if not spread:
        return "No pair without a change was registered."
    return f"Between {what}, where nothing changed, the log Jacobian spreads by (SD, by method): {spread}."


def _invented_table(invented: pd.DataFrame) -> str:
    ordered = {m: n for n, m in enumerate(order_of(invented["method"]))}
    return make_table(
        {
            "registered": "two scans of one brain"
            if row.condition == RESCAN
            else "a scan to itself",
            "method": name_of(row.method),
            "SD log J": show(row.sd_log_j),
            "invented change of volume (RMS)": _percent(row.volume),
            "Dice": show(row.dice),
            "pairs": row.n_pairs,
            "failed": row.n_failed,
        }
        for row in sorted(
            invented.itertuples(), key=lambda r: (r.condition != RESCAN, ordered[r.method])
        )
    )


def _couples_text(couples: pd.DataFrame, families: Families) -> str:
    if couples.empty:
        return (
            "Not measured: no couple of reverse registrations has kept both of its fields on this "
            "machine, and the published run has no table of them."
        )
    each = describe_families(couples.groupby("method")["ice_mean_mm"].mean(), 2, families)
    n = len(couples[["fixed", "moving"]].drop_duplicates())
    return (
        "There and back again a point comes to lie so far from where it began, mean in mm over "
        f"{stats.count(n, 'couple')} of pairs: {each}."
    )


def _couples_table(couples: pd.DataFrame) -> str:
    if couples.empty:
        return ""
    means = couples.groupby("method")[["ice_mean_mm", "ice_p95_mm"]].mean()
    counts = couples["method"].value_counts()
    return make_table(
        {
            "method": name_of(method),
            "mean, mm": show(means.loc[method, "ice_mean_mm"], 2),
            "95th percentile, mm": show(means.loc[method, "ice_p95_mm"], 2),
            "couples": int(counts[method]),
        }
        for method in order_of(means.index)
    )


def _volumes_text(volumes: pd.DataFrame, families: Families) -> str:
    rows = volumes[volumes["family"] != "baseline"] if len(volumes) else volumes
    if not len(rows):
        return "No labels were propagated on a pair that every method has under all images."
    # Over several contrasts the means would not be over the same methods.
    first = "T1w" if (rows["condition"] == "T1w").any() else rows["condition"].iloc[0]
    parts = [
        f"{structure}: {describe_families(100 * mine.set_index('method')['spread'], 1, families)}"
        for structure, mine in rows[rows["condition"] == first].groupby("structure", sort=False)
    ]
    return (
        f"Spread of the error of volumes by propagated labels on {first}, in %. {'; '.join(parts)}."
    )


def _volumes_table(volumes: pd.DataFrame, own: str) -> str:
    """`own` is what the labels are called that volumes are compared with."""
    ordered = {m: n for n, m in enumerate(order_of(volumes["method"]))} if len(volumes) else {}
    return make_table(
        {
            "structure": row.structure,
            "images": row.condition,
            "method": name_of(row.method),
            "bias": _percent(row.bias, sign=True),
            "spread": _percent(row.spread),
            f"correlation with {own} (95 %)": show(row.r, 2)
            + ("" if pd.isna(row.r) else f" ({show(row.r_low, 2)} to {show(row.r_high, 2)})"),
            f"subjects a group, {own} → propagated": f"{_say_needed(row.n_manual)} → "
            f"{_say_needed(row.n_needed if row.r_low > 0 else np.nan)}",
            "pairs": row.n_pairs,
        }
        for row in sorted(
            volumes.itertuples(), key=lambda r: (r.structure, r.condition, ordered[r.method])
        )
    )


def _say_needed(n: float) -> str:
    """A number of subjects; above what any study has, that it is above; where nothing is known, open."""
    if pd.isna(n):
        return "open"
    return f"over {MOST_SUBJECTS:,}" if n > MOST_SUBJECTS else f"{float(f'{n:.2g}'):g}"


def _limits(run: Run) -> str:
    lines = [
        "Volumes are propagated from one atlas at a time; a study would fuse several, and its errors would "
        "be smaller for every method.",
        "Numbers of subjects are for a difference of 5 % between two groups and take the variance of the "
        "few subjects here for that of a population, so they are told to two digits. Where the correlation "
        "may be 0, the number is open.",
        "Between two scans of one person the head lies elsewhere in the scanner, whose distortion an affine "
        "alignment does not undo: only a scan and itself are strictly unchanged.",
        *(
            [
                "Labels of two scans of one brain differ, too: the Dice of rescans has the raters in it."
            ]
            if any(e.condition == RESCAN for e in run.entries)
            else []
        ),
        *list_limits(run),
    ]
    return list_points(lines)
