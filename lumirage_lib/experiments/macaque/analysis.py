"""Notebook 02: are networks as accurate as iterative methods on macaque brains?"""

from collections.abc import Mapping

import pandas as pd

from ... import stats
from ...cohorts.macaque import HUMAN_SCALE
from ...cohorts.macaque_like import INIA19, VARIABLE
from ...methods import name_of, order_of
from ...stats import count
from ..comparison import (
    adjust,
    compare_networks,
    judge,
    list_verdicts,
    split_arms,
    tabulate_networks,
)
from ..experiment import Result
from ..families import LEAK_FREE, Families
from ..opening import Opening, say_certainty, say_together
from ..run import Run
from ..sentences import (
    describe_families,
    list_limits,
    list_points,
    make_table,
    say_sides,
    show,
    show_interval,
    write_design,
    write_state,
)
from .plan import SPECIES


def analyse(run: Run, parameters: Mapping) -> Result:
    """Everything the page says.

    Parameters
    ----------
    run : Run
    parameters : mapping
        Of the notebook.
    """
    table = run.registrations
    rows, families = split_arms(run)[SPECIES]
    sizes = [s for s in parameters["sizes"] if s in set(rows["condition"])]
    found = [
        judge(
            SPECIES, rows, families, size, says="equal", where=f"on macaque brains at {size}",
            text="on macaque brains deep and iterative methods are equally accurate",
            margin=parameters["margin"],
        )
        for size in sizes
    ]  # fmt: skip
    verdicts = {v.claim.id: v for v in adjust(found)}
    changes = [compare_networks(rows, families, size, beside=LEAK_FREE) for size in sizes]
    differences = pd.concat(changes, ignore_index=True) if changes else pd.DataFrame()
    return Result(
        opening=Opening(
            say_together(dict(zip(sizes[-1:], found[-1:], strict=True)), "at")
            if found
            else "Nothing was registered yet, so there is no answer.",
            (
                f"**What.** {_say_means(rows, sizes, families)}",
                say_certainty(list(verdicts.values())[-1:]),
                f"**What it depends on.** {_say_fallen(rows, sizes)}",
            ),
            tuple(verdicts.values())[-1:],
            _name_images(run, parameters),
        ),
        state=write_state(run),
        design=f"{write_design(rows)}.",
        verdicts=verdicts,
        sides_text=say_sides({SPECIES: families}),
        verdict_text=list_verdicts(verdicts),
        pairs=table.drop(columns=["hardware", "reason"], errors="ignore"),
        differences=differences,
        differences_table=tabulate_networks(differences),
        size_text=_say_sizes(rows, sizes),
        related_text=_say_related(table, families),
        images=_say_images(run, parameters),
        limits=list_points([*list_limits(run), _LIMIT]),
    )


_LIMIT = (
    "Networks that declare the voxel size they were trained at see the images resampled to it: at true "
    f"size a macaque brain is then about {HUMAN_SCALE:g} times smaller in every direction than anything "
    "they were trained on; at human size, which is also how the paper presents its macaques, it has "
    "human extent. Iterative methods work on the published voxels at either size."
)


def _say_means(rows: pd.DataFrame, sizes: list[str], families: Families) -> str:
    done = rows[rows["status"] == "ok"]
    means = done.groupby(["condition", "method"])["dice"].mean()
    parts = [
        f"at {size}, {describe_families(means[size], families=families)}"
        for size in sizes
        if size in means
    ]
    return f"Mean Dice by method, {write_design(rows)}: {'; '.join(parts)}."


def _say_fallen(rows: pd.DataFrame, sizes: list[str]) -> str:
    """How many networks fall below the affine alignment where they are not told the size."""
    means = rows[rows["condition"].isin(sizes[:1])].groupby("method")["dice"].mean()
    deep = set(rows.loc[rows["family"] == "deep", "method"]) & set(means.index)
    if "affine" not in means.index or not deep:
        return "Size: what the header says of it is what a network acts on."
    below = sum(means[m] < means["affine"] for m in deep)
    return (
        f"Size. At {sizes[0]}, {below} of {count(len(deep), 'network')} "
        f"{'does' if below == 1 else 'do'} worse than no deformation at "
        f"all (affine alone, {show(means['affine'])}): a network is not told how large a brain is."
    )


def _name_images(run: Run, parameters: Mapping) -> str:
    """What the animals of a live run are, for its title."""
    if parameters["cohort"] != "macaque_like" or not run.tasks:
        return ""
    return (
        "generated rhesus macaques"
        if run.tasks[0].get_cohort().reference == INIA19
        else "human brains, shrunk to macaque size"
    )


def _say_sizes(rows: pd.DataFrame, sizes: list[str]) -> str:
    """What the header's size does to each method, and who falls below the affine alignment."""
    deep = order_of(rows.loc[rows["family"] == "deep", "method"])
    if len(sizes) < 2 or not deep:
        return ""
    drops = stats.compute_drops(rows, deep, reference=sizes[-1], conditions=[sizes[0]])
    means = rows[rows["condition"] == sizes[0]].groupby("method")["dice"].mean()
    fallen = _say_fallen(rows, sizes).removeprefix("Size. ")
    return f"What {sizes[0]} costs against {sizes[-1]}. {fallen}\n\n" + make_table(
        {
            "network": name_of(r.method),
            "loss of Dice (95 %)": show_interval(r.drop, r.low, r.high),
            f"Dice at {sizes[0]}": show(means[r.method]),
        }
        for r in drops.dropna(subset="drop").itertuples()
    )


def _say_related(table: pd.DataFrame, families: Families) -> str:
    related = table[(table["kind"] == "related") & (table["status"] == "ok")]
    if related.empty:
        return "No two images of this run share their animals."
    sizes = [
        f"at {size}, {describe_families(rows.groupby('method')['dice'].mean(), families=families)}"
        for size, rows in related.groupby("condition", sort=False)
    ]
    return (
        f"The symmetric and the asymmetric NMT, the same animals, in "
        f"{len(related[['fixed', 'moving']].drop_duplicates())} pairs that no test above counts: "
        f"mean Dice {'; '.join(sizes)}."
    )


def _say_images(run: Run, parameters: Mapping) -> str:
    """What the images of this run are."""
    if parameters["cohort"] == "macaque":
        return (
            "The images are the templates MEBRAINS and NMT {cite}`balan2024,jung2021` and one animal; the "
            "structures are those of the ARM atlas {cite}`jung2021,hartig2021`."
        )
    if parameters["cohort"] != "macaque_like":
        return ""
    cohort = run.tasks[0].get_cohort()
    if cohort.reference == INIA19:
        return (
            f"The brains of this run are {cohort.title} {{cite}}`{INIA19}`, the mean of rhesus macaques, "
            f"with {len(next(iter(cohort.label_sets.values())))} structures of its labels."
        )
    return (
        f"The brains of this run are {cohort.title}, because the macaque template INIA19 "
        f"{{cite}}`{INIA19}` is not on this machine. Debian's package mricron-data installs it; the "
        f"variable `{VARIABLE}` names another folder with its files."
    )
