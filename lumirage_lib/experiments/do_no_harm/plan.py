"""Notebook 09: registrations in which the true change of volume is known, or is none."""

from collections.abc import Mapping
from dataclasses import replace

from ...cohorts import Pair, get_cohort, rescan_pairs
from ...runs.task import plan
from ..choice import split_methods
from ..entry import Entry, enter
from ..pairs import choose_pairs, cohort_options, find_test_scans

UNCHANGED, COUPLES, VOLUMES, ATROPHY = "unchanged", "there and back", "volumetry", "atrophy"  # arms
RESCAN, IDENTITY, THERE, BACK, T1W = "rescan", "itself", "there", "back", "T1w"  # conditions


def choose_couples(pairs: list[Pair], n_couples: int) -> list[Pair]:
    """One direction of couples of pairs that are each other's reverse, those planned anyway first."""
    known = set(pairs)
    ready = [p for p in pairs if replace(p, fixed=p.moving, moving=p.fixed) in known]
    chosen: dict[frozenset, Pair] = {}
    for pair in [*ready, *pairs]:
        chosen.setdefault(frozenset((pair.fixed.id, pair.moving.id)), pair)
    return list(chosen.values())[:n_couples]


def choose_follow_ups(scans, n_subjects: int) -> list[Pair]:
    """Each subject's second time point onto the first."""
    test = [s for s in scans if s.group == "test"]
    return [replace(p, kind="follow-up") for p in rescan_pairs(test)][:n_subjects]


def plan_harm(parameters: Mapping) -> list[Entry]:
    """What stands in the tables of other notebooks first, then what is registered for this page.

    Volumetry has the pairs of notebooks 01 and 03, rescans those of 01. Couples, a scan registered to
    itself, and known atrophy are for `field_methods`.
    """
    methods, _ = split_methods(parameters["methods"])
    own, _ = split_methods(parameters["field_methods"])
    options, cohort = cohort_options(parameters), parameters["cohort"]
    pairs, scans = choose_pairs(parameters), find_test_scans(parameters)
    entries: list[Entry] = []

    def add(arm, condition, chosen, names, name=cohort, how=None, dose=None):
        tasks = plan(name, chosen, names, cohort_options=options if how is None else how)
        entries.extend(enter(tasks, arm, condition, dose))

    add(VOLUMES, T1W, pairs, methods)
    for contrast in parameters["contrasts"]:
        made = {"anatomy": cohort, **options, "contrast": contrast}
        few = pairs[: parameters["n_contrast_pairs"]]
        add(VOLUMES, contrast, few, methods, "synthetic", made)
    add(UNCHANGED, RESCAN, rescan_pairs(scans), methods)
    for pair in choose_couples(pairs, parameters["n_couples"]):
        add(COUPLES, THERE, [pair], own)
        add(COUPLES, BACK, [replace(pair, fixed=pair.moving, moving=pair.fixed)], own)
    same = [Pair(s, s, IDENTITY) for s in dict.fromkeys(p.fixed for p in pairs)]
    add(UNCHANGED, IDENTITY, same[: parameters["n_identity"]], own)
    for structure in parameters["structures"]:
        for dose in parameters["doses"]:
            made = {"anatomy": cohort, **options, "structure": structure, "dose": float(dose)}
            followed = choose_follow_ups(
                get_cohort(ATROPHY, **made).scans, parameters["n_followed"]
            )
            add(ATROPHY, structure, followed, own, ATROPHY, made, float(dose))
    return entries
