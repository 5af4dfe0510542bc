"""What notebook 03 rests on: tissues of synthesised images, fused labels, FLAIR on T1w, in words.

The tables are written beside the published run by ``benchmarks/contrasts.py``.
"""

from dataclasses import dataclass

import pandas as pd

from ...runs.profiles import project_root
from ...stats import count, join
from ..sentences import show

FILES = {
    "levels": "contrast_levels.csv",
    "fusion": "fusion.csv",
    "alignment": "flair_alignment.csv",
}
SHORT = {"grey matter": "grey", "white matter": "white"}


@dataclass(frozen=True)
class Checks:
    """What the checks are, tissue levels for the figure and whose they are, a table in words for each."""

    about: str
    levels: pd.DataFrame | None
    levels_people: str
    levels_text: str
    fusion_text: str
    alignment_text: str


def load_checks(profile: str) -> Checks:
    """The checks of a profile; a sentence says which were not run, or that none was."""
    folder = project_root() / "results" / profile
    tables = {
        name: pd.read_csv(folder / file) if (folder / file).exists() else None
        for name, file in FILES.items()
    }
    if all(table is None for table in tables.values()):
        return Checks(
            "The stand-ins of the published run were checked, and [its chapter](03_contrasts_open.ipynb) "
            "shows how; nothing of the kind was done for the images of this page.",
            None,
            "",
            "",
            "",
            "",
        )
    writers = {
        "levels": describe_levels,
        "fusion": describe_fusion,
        "alignment": describe_alignment,
    }
    texts = {
        f"{name}_text": f"The table is not there: `benchmarks/contrasts.py {name}` has not been run."
        if tables[name] is None
        else write(tables[name])
        for name, write in writers.items()
    }
    levels = tables["levels"]
    return Checks(
        "Three checks of what this page rests on: that synthesised tissues lie where real ones do, that "
        "fused labels of a held-out scan agree with its manual ones, and that FLAIR lies on T1w after the "
        "rigid registration.",
        levels,
        "" if levels is None else say_people(levels),
        **texts,
    )


def say_people(levels: pd.DataFrame) -> str:
    """ "real images of 3 people, synthesised ones of 3 others, from another scanner"."""
    scans = levels.groupby("source")["scan"].agg(set)
    if len(scans) < 2:
        return f"images of {len(scans.iloc[0])} people"
    real, made = scans["real"], scans["synthesised"]
    if made & real:
        return f"real and synthesised images of {len(real)} people"
    return f"real images of {len(real)} people, synthesised ones of {len(made)} others, from another scanner"


def describe_levels(levels: pd.DataFrame) -> str:
    """Order of the tissues and contrast-to-noise against grey matter, real beside synthesised."""
    each = ["condition", "source"]
    means = levels.groupby([*each, "tissue"])[["median", "cnr_grey"]].mean()
    n_scans = levels.groupby(each)["scan"].nunique()
    lines = [
        "| contrast | images | scans | from bright to dark | CSF to grey | white to grey |",
        "|---|---|---|---|---|---|",
    ]
    orders: dict[str, dict[str, list[str]]] = {}
    apart = means["cnr_grey"].abs().unstack("source").reindex(columns=["real", "synthesised"])
    ratios = (apart["synthesised"] / apart["real"]).dropna()  # none of grey matter to itself
    ratios = ratios.reindex(dict.fromkeys(levels["condition"]), level="condition")
    for condition in dict.fromkeys(levels["condition"]):
        sources = [s for s in ("real", "synthesised") if (condition, s) in n_scans.index]
        for source in sources:
            rows = means.loc[(condition, source)]
            order = [SHORT.get(t, t) for t in rows["median"].sort_values(ascending=False).index]
            orders.setdefault(condition, {})[source] = order
            cnr = rows["cnr_grey"]
            lines.append(
                f"| {condition} | {source} | {n_scans[condition, source]} | {', '.join(order)} "
                f"| {show(cnr['CSF'], 1, sign=True)} | {show(cnr['white matter'], 1, sign=True)} |"
            )
    both = {c: o for c, o in orders.items() if len(o) == 2}
    other = [c for c, o in both.items() if o["real"] != o["synthesised"]]
    said = (
        f"The order of the tissues differs in {join(other)}."
        if other
        else f"The order of the tissues is the same in {join(list(both))}."
    )
    if len(ratios):
        said += (
            " Measured so, synthesised tissues are so many times as far apart as real ones: "
            + "; ".join(
                f"{SHORT.get(tissue, tissue)} and grey matter "
                + join([f"{ratio:.1f} in {c}" for (c, _), ratio in mine.items()])
                for tissue, mine in ratios.groupby("tissue")
            )
            + f". These are {say_people(levels)}, without an interval: such a number "
            "holds people, scanner and synthesis together."
        )
    return "\n".join(lines) + (
        "\n\nContrast-to-noise: difference of the medians over the pooled robust standard deviation, "
        f"mean over scans. {said}"
    )


def describe_fusion(fusion: pd.DataFrame) -> str:
    """Leave-one-out Dice of the fused labels by scan and rule."""
    table = fusion.pivot(index="scan", columns="rule", values="dice")
    table = table[sorted(table, key=table.mean().get, reverse=True)]
    lines = [
        "Labels of the patients are fused from atlases; here those of atlases are, from the others.\n",
        f"| scan left out | {' | '.join(table)} |",
        "|---" * (1 + table.shape[1]) + "|",
    ]
    lines += [
        f"| {scan} | " + " | ".join(f"{v:.3f}" for v in row) + " |"
        for scan, row in zip([*table.index, "mean"], [*table.to_numpy(), table.mean()], strict=True)
    ]
    n_labels, n_atlases = fusion["n_labels"].max(), fusion["n_atlases"].max()
    return "\n".join(lines) + (
        f"\n\nMean Dice over up to {n_labels} manual labels of {count(len(table), 'scan')}, each "
        f"labelled from {n_atlases} others as the patients are; *one atlas* is the mean over atlases."
    )


def describe_alignment(alignment: pd.DataFrame) -> str:
    """Mutual information of FLAIR and T1w before and after the rigid registration."""
    better = int((alignment["after"] > alignment["before"]).sum())
    lines = [
        "FLAIR of the older adults is brought to T1w before anything else is done.\n",
        "| scan | before | after | moved by, mm |",
        "|---|---|---|---|",
        *(
            f"| {row.scan} | {row.before:.3f} | {row.after:.3f} | {row.shift_mm:.1f} |"
            for row in alignment.itertuples()
        ),
    ]
    return "\n".join(lines) + (
        "\n\nMutual information of FLAIR and T1w inside the brain, in nats, before and after the rigid "
        f"registration, which raised it in {better} of {count(len(alignment), 'scan')}; lowest after "
        f"it {alignment['after'].min():.3f}, before it {alignment['before'].min():.3f}."
    )
