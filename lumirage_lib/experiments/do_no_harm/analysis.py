"""Notebook 09: what do registrations invent where nothing changed, and do they see what did?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ... import stats
from ...methods import name_of, order_of
from ..experiment import Result
from ..families import FAMILY_WORDS
from ..opening import Opening
from ..run import Run
from ..sentences import (
    describe_families,
    list_limits,
    list_points,
    make_table,
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
    rows = join_structures(run)
    names = find_names(run)
    followed, untouched = measure_atrophy(rows, names, parameters["cohort"])
    changes, failed = keep_shared(followed), count_failed(run.registrations)
    elsewhere = average_elsewhere(untouched, changes)
    lines, invented = fit_doses(changes), measure_invented(rows, run.registrations)
    couples = measure_couples(run, parameters["profile"])
    volumes = summarise_volumes(name_structures(rows[rows["arm"] == VOLUMES], names))
    atrophy_text = _atrophy_text(changes, lines, failed)
    invented_text, zero_text = _invented_text(invented), _zero_text(lines)
    there_and_back = _couples_text(couples) if len(couples) else ""
    tables = {"atrophy": followed, "lines": lines, "elsewhere": elsewhere, "invented": invented}
    tables |= {"couples": couples, "volumes": volumes}
    return Result(
        opening=Opening(
            _headline(changes, lines, invented, failed),
            (
                _join("**What.**", atrophy_text, invented_text, there_and_back),
                _join(
                    "**How sure.**", zero_text, f"Registered: {write_designs(run.registrations)}"
                ),
                f"**What it depends on.** {_volumes_text(volumes)}",
            ),
        ),
        state=write_state(run),
        designs={
            arm: f"{write_design(mine)}."
            for arm, mine in run.registrations.groupby("arm", sort=False)
        },
        changes=changes,
        lines=lines,
        atrophy_text=_join(atrophy_text, zero_text, _elsewhere_text(elsewhere)),
        atrophy_table=_atrophy_table(changes, lines, failed),
        invented=invented,
        invented_text=invented_text,
        invented_table=_invented_table(invented),
        couples=couples,
        couples_text=_couples_text(couples),
        couples_table=_couples_table(couples),
        volumes=volumes,
        volumes_text=_volumes_text(volumes),
        volumes_table=_volumes_table(volumes),
        limits=_limits(run),
        tables=tables,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _join(*sentences: str) -> str:
    return " ".join(s for s in sentences if s)


def _percent(value: float, digits: int = 1, *, sign: bool = False) -> str:
    return show(100 * value, digits, sign=sign) + (" %" if not pd.isna(value) else "")


def _by_family(values: pd.Series) -> str:
    """ "iterative methods 3.1 %, networks 2.0 %", from values indexed by family."""
    means = values.groupby(level="family").mean()
    return ", ".join(
        f"{FAMILY_WORDS[f]} {_percent(means[f])}" for f in FAMILY_WORDS if f in means.index
    )


def _atrophy_text(changes: pd.DataFrame, lines: pd.DataFrame, failed: pd.Series) -> str:
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
        said = (
            f"Of a {verb} of {_percent(dose, 0)} of the {structure} ({people}), found on average, in %: "
            f"{describe_families(100 * found, 1)}"
        )
        line = lines[(lines["structure"] == structure) & (lines["family"] != "baseline")]
        if len(line):
            without = 100 * line.set_index("method")["intercept"] * SIGN[structure]
            said += f"; of it without any {verb}: {describe_families(without, 1)}"
        parts.append(said)
    return ". ".join(parts) + "." + tail


def _zero_text(lines: pd.DataFrame) -> str:
    """What is found where nothing changed: for whom its mean is not 0, why, and how it scatters."""
    found = lines[lines["family"] != "baseline"].dropna(subset="intercept_low")
    if found.empty:
        return ""
    clear = (found["intercept_low"] > 0) | (found["intercept_high"] < 0)
    each = []
    for structure, mine in clear.groupby(found["structure"], sort=False):
        of = mine.groupby(found["family"]).agg(["sum", "size"])
        counts = [
            f"{of.loc[f, 'sum']} of {of.loc[f, 'size']} {FAMILY_WORDS[f]}"
            for f in FAMILY_WORDS
            if f in of.index
        ]
        each.append(f"in the {structure} by {' and '.join(counts)}")
    mean = f"Without any change the mean found is clear of 0 (95 %) {'; '.join(each)}."
    if clear.any():
        mean += (
            " The two images are then of one kind, so it comes from their roles; only the moving one is "
            "interpolated again."
        )
    scatter = 100 * found.groupby("method")["intercept_sd"].mean()
    return f"{mean} It scatters between subjects by (SD, in %): {describe_families(scatter, 1)}."


def _headline(
    changes: pd.DataFrame, lines: pd.DataFrame, invented: pd.DataFrame, failed: pd.Series
) -> str:
    """What is followed of a known change; where none was registered, what is found where nothing changed."""
    share = _find_share(changes, lines)
    if share.empty:
        _, spread = _find_spread(invented)
        found = (
            f"Where nothing changed, log Jacobians still spread (SD: {spread}). " if spread else ""
        )
        if len(failed) and all(lost == tried for lost, tried in failed):
            return f"{found}Every registration of a known loss failed."
        state = "is finished" if len(failed) else "was registered"
        return f"{found}No known loss {state} yet."
    return f"Of a known change of volume, fields show this share: {describe_families(share, 2)}."


def _find_share(changes: pd.DataFrame, lines: pd.DataFrame) -> pd.Series:
    """Method -> slope of measured on true change, mean over the same structures; from one dose, the ratio.

    What a method finds without a change is the intercept, and no part of a slope.
    """
    found = lines.rename(columns={"slope": "share"})
    if lines.empty:
        seen = changes[changes["dose"] > 0]
        found = seen.assign(share=seen["change"] / seen["true"])
    found = found[found["family"] != "baseline"].dropna(subset="share")
    by_structure = found.groupby(["method", "structure"])["share"].mean().unstack()
    return by_structure.dropna().mean(axis=1)


def _elsewhere_text(elsewhere: pd.DataFrame) -> str:
    if elsewhere.empty:
        return ""
    each = 100 * elsewhere.groupby("method")["invented"].mean()
    by_dose = 100 * elsewhere.groupby(["method", "dose"])["invented"].mean().unstack()
    apart = (by_dose.max(axis=1) - by_dose.min(axis=1)).max()
    between = (
        f"; between doses it differs by at most {show(apart, 2)}" if by_dose.shape[1] > 1 else ""
    )
    worst = elsewhere.loc[elsewhere["invented"].idxmax()]
    return (
        "In structures that the change does not reach, a change is found, too (root mean square over "
        f"structures, in %): {describe_families(each, 1)}{between}. The largest is "
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


def _find_spread(invented: pd.DataFrame) -> tuple[str, str]:
    """Two images without a change, rescans where there are any, and SD log J by method; else empty."""
    between = {RESCAN: "two scans of one brain", IDENTITY: "a scan and itself"}
    for condition, what in between.items():
        rows = invented[(invented["condition"] == condition) & (invented["family"] != "baseline")]
        if spread := describe_families(rows.set_index("method")["sd_log_j"], 2):
            return what, spread
    return "", ""


def _invented_text(invented: pd.DataFrame) -> str:
    what, spread = _find_spread(invented)
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


def _couples_text(couples: pd.DataFrame) -> str:
    if couples.empty:
        return (
            "Not measured: no couple of reverse registrations has kept both of its fields on this "
            "machine, and the published run has no table of them."
        )
    each = describe_families(couples.groupby("method")["ice_mean_mm"].mean(), 2)
    n = len(couples[["fixed", "moving"]].drop_duplicates())
    return (
        f"There and back again a point comes to lie so far from where it began, mean in mm over {n} couples "
        f"of pairs: {each}."
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


def _volumes_text(volumes: pd.DataFrame) -> str:
    rows = volumes[volumes["family"] != "baseline"] if len(volumes) else volumes
    if not len(rows):
        return "No labels were propagated."
    # Over several contrasts the means would not be over the same methods.
    first = "T1w" if (rows["condition"] == "T1w").any() else rows["condition"].iloc[0]
    parts = []
    for structure, mine in rows[rows["condition"] == first].groupby("structure", sort=False):
        spread = mine.groupby("family")["spread"].mean()
        spread.index.name = "family"
        parts.append(f"{structure}: {_by_family(spread)}")
    return (
        f"Spread of the error of volumes by propagated labels, {first}. " + "; ".join(parts) + "."
    )


def _volumes_table(volumes: pd.DataFrame) -> str:
    ordered = {m: n for n, m in enumerate(order_of(volumes["method"]))} if len(volumes) else {}
    return make_table(
        {
            "structure": row.structure,
            "images": row.condition,
            "method": name_of(row.method),
            "bias": _percent(row.bias, sign=True),
            "spread": _percent(row.spread),
            "correlation with manual (95 %)": show(row.r, 2)
            + ("" if pd.isna(row.r) else f" ({show(row.r_low, 2)} to {show(row.r_high, 2)})"),
            "subjects a group, manual → propagated": f"{show(row.n_manual, 0)} → "
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
    return f"over {MOST_SUBJECTS:,}" if n > MOST_SUBJECTS else show(n, 0)


def _limits(run: Run) -> str:
    lines = [
        "Volumes are propagated from one atlas at a time; a study would fuse several, and its errors would "
        "be smaller for every method.",
        "Manual labels of two scans of one brain differ, too: the Dice of rescans has the raters in it.",
        "Numbers of subjects are for a difference of 5 % between two groups and take the variance of the "
        "few subjects here for that of a population. Where the correlation may be 0, the number is open.",
        *list_limits(run),
    ]
    return list_points(lines)
