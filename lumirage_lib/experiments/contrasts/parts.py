"""What a change of contrast is made of: resolution, the scaling of intensities, and the contrast proper."""

from collections.abc import Mapping

import pandas as pd

from ... import stats
from ...images.preprocess import LIKE_T1W
from ...methods import name_of
from ...stats import join
from ..comparison import ALL, compare_networks
from ..families import ARMS, FRESH, Families, name_claim, name_plainly
from ..sentences import make_table, show, show_interval
from .plan import CONTROL, SCALED, SYNTHESISED, name_scaled

# What separates an image from T1w, by the reference it is compared with and by the way to that.
PARTS = {
    CONTROL: "contrast",
    "T1w thick": "contrast",
    f"to {CONTROL}": "synthesis (resolution, noise, scaling)",
    "to T1w thick": "thick slices (resolution)",
}
CONTROLS = (CONTROL, "T1w thick")
SCALING, PROPER = "scaling of intensities", "contrast proper"  # parts of a contrast


def compare_scalings(
    table: pd.DataFrame, sides: Mapping[str, tuple[pd.DataFrame, Families]]
) -> pd.DataFrame:
    """A synthesised contrast in two parts: what another distribution of intensities undoes, and the rest.

    From T1w synthesised again to the contrast with the distribution of T1w it is the contrast proper;
    from there to the contrast as scaled for everyone it is the scaling.

    Returns
    -------
    DataFrame
        As :func:`lumirage_lib.experiments.comparison.compare_networks`, with the column part; only
        contrasts of which the declared families are complete on every pair that they have unscaled.
    """
    rows = table[(table["arm"] == SCALED) & (table["kind"] == "between")]
    out = [pd.DataFrame(columns=["condition", "part", "method", "deep", "iterative"])]
    if SYNTHESISED not in sides or rows.empty:
        return out[0]
    known, families = sides[SYNTHESISED]
    rows = pd.concat([known, rows.assign(arm=SYNTHESISED)], ignore_index=True)
    for contrast in dict.fromkeys(known["condition"]):
        like = name_scaled(contrast, LIKE_T1W)
        wanted = known[(known["condition"] == contrast) & known["method"].isin(families.methods)]
        have = rows[(rows["condition"] == like) & rows["method"].isin(families.methods)]
        if have.empty or len(have) < len(wanted):
            continue
        for part, (after, before) in {SCALING: (contrast, like), PROPER: (like, CONTROL)}.items():
            found = compare_networks(rows, families, after, before)
            out.append(found.assign(condition=contrast, part=part))
    return pd.concat(out, ignore_index=True)


def split_changes(changes: pd.DataFrame, scaled: pd.DataFrame) -> pd.DataFrame:
    """A change from T1w in its parts: through everything but the contrast, then the contrast.

    Parameters
    ----------
    changes : DataFrame
        Of :func:`lumirage_lib.experiments.comparison.compare_networks`.
    scaled : DataFrame
        Of :func:`compare_scalings`: contrasts that are divided further.

    Returns
    -------
    DataFrame
        arm, condition, part, deep, iterative (mean changes), change, low, high, n_pairs; a row for each
        part that was run.
    """
    rows = changes[changes["method"] == ALL] if len(changes) else changes
    out = []
    if len(rows):  # the first pairs of an arm would stand for all of it
        declared = [ARMS[arm].n_pairs or 0 if arm in ARMS else 0 for arm in rows["arm"]]
        rows = rows[rows["n_pairs"] + rows["n_failed"] >= declared]
    for row in rows.to_dict("records"):
        if row["condition"] in CONTROLS:
            continue
        parts = {PARTS.get(row["reference"], "all of it, not divided"): row}
        control = rows[(rows["arm"] == row["arm"]) & (rows["condition"] == row["reference"])]
        if len(control):
            parts = {PARTS[f"to {row['reference']}"]: control.iloc[0].to_dict(), **parts}
        further = scaled[
            (scaled["condition"] == row["condition"]) & (scaled["method"] == ALL)
        ].dropna(subset=["deep", "iterative"])  # NaN where a method failed on all pairs
        if row["arm"] == SYNTHESISED and row["reference"] == CONTROL and len(further) == 2:
            del parts[PARTS[CONTROL]]
            parts |= {r["part"]: r for r in further.to_dict("records")}
        kept = ("deep", "iterative", "change", "low", "high", "n_pairs")
        out += [
            {"arm": row["arm"], "condition": row["condition"], "part": part}
            | {k: found[k] for k in kept}
            for part, found in parts.items()
            if found["n_pairs"]
        ]
    table = pd.DataFrame(out, columns=["arm", "condition", "part", "deep", "iterative", "change",
                                       "low", "high", "n_pairs"])  # fmt: skip
    return table.astype({"n_pairs": int})


def say_parts(parts: pd.DataFrame, verdicts: Mapping[str, stats.Verdict]) -> str:
    """How far apart the families are by each part of a contrast, and what no run has divided."""
    names, within = (
        [
            name_plainly(name_claim(r.arm, r.condition))
            for r in parts[parts["part"] == of].itertuples()
        ]
        for of in ("all of it, not divided", PARTS[CONTROL])
    )
    lacking = [
        name_plainly(name) for name, v in verdicts.items()
        if not ((parts["arm"] + ": " + parts["condition"]) == name).any() and not name.endswith(FRESH)
    ]  # fmt: skip
    divided = []
    for (arm, condition), rows in parts.groupby(["arm", "condition"], sort=False):
        shown = rows[rows["part"] != PARTS[f"to {CONTROL}"]]
        if len(shown) > 1:
            found = (
                f"{r.part} {show_interval(r.change, r.low, r.high)}" for r in shown.itertuples()
            )
            divided.append(f"{name_plainly(name_claim(arm, condition))} by {join(found)}")
    said = [
        f"Change of networks minus that of iterative methods (95 %), part by part: {'; '.join(divided)}."
        if divided
        else "",
        "The scaling of intensities is within the contrast where no complete run of both families varied it "
        f"alone: {join(within)}."
        if within
        else "",
        f"Not divided, for want of a control: {join(names)}." if names else "",
        f"Without runs of both sides yet: {join(lacking)}." if lacking else "",
    ]
    return " ".join(s for s in said if s)


def tabulate_scalings(table: pd.DataFrame) -> str:
    """Mean Dice of every contrast by the scaling of its intensities, on pairs that have them all."""
    rows = table[table["status"].eq("ok") & table["kind"].eq("between")]
    scaled = rows[rows["arm"] == SCALED]
    if scaled.empty:
        return ""
    parts = scaled["condition"].str.partition(", ")
    scaled = scaled.assign(condition=parts[0], scaling=parts[2])
    usual = rows[rows["arm"].eq(SYNTHESISED) & rows["condition"].isin(scaled["condition"])]
    both = pd.concat([usual.assign(scaling="as everywhere"), scaled])
    wide = both.pivot_table("dice", ["method", "condition", "fixed", "moving"], "scaling")
    lines = []
    for (method, contrast), mine in wide.groupby(["method", "condition"], sort=False):
        mine = mine.dropna(axis=1, how="all").dropna()
        if len(mine) and mine.shape[1] > 1:
            means = {
                name: show(mine[name].mean()) if name in mine else "–" for name in wide.columns
            }
            what = {"method": name_of(method), "contrast": contrast}
            lines.append(what | means | {"pairs": len(mine)})
    return make_table(lines)
