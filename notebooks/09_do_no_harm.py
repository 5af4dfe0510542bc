# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do no harm
#
# **Question.** What does a registration invent where nothing changed, and does it see what did?

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml these values come from
cohort: str = "template"  # whose brains: template (generated) or oasis (30 real T1w scans)
spacing_mm: float = 2.0  # voxel size of the generated cohort; real cohorts keep their own
n_subjects: int = 5  # subjects of the generated cohort
n_pairs: int = 5  # ordered pairs of volumetry, the first of notebook 01
contrasts: list = []  # synthesised contrasts of volumetry, as in notebook 03
n_contrast_pairs: int = 12  # ordered pairs of those, at most n_pairs
methods: list = ["greedy", "clapirn"]  # of volumetry and of scans of one brain
field_methods: list = ["greedy", "clapirn"]  # of what is registered for this page alone
n_identity: int = 1  # scans that are registered to themselves
n_couples: int = 1  # couples of pairs that are each other's reverse
structures: list = ["hippocampus"]  # that atrophy changes, one at a time: hippocampus, ventricle
doses: list = [0.0, 0.08]  # shares of its volume
n_followed: int = 1  # subjects with two time points
n_panels: int = 0  # pairs of which slices are kept for pictures
seed: int = 0  # of the pair design and the generated cohort
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load_or_compute
from lumirage_lib.experiments.do_no_harm import figures

NOTEBOOK = "09_do_no_harm"
parameters = pages.gather(NOTEBOOK, globals())
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
here = f"09-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
if result.changes["change"].notna().any():
    pages.show(
        figures.plot_atrophy(result.changes),
        f"fig-{here}-atrophy",
        "Change of volume found against the true one; mean over subjects, bars from the least to the most. "
        f"{result.designs['atrophy']}",
        f"Scatter plot along the line of identity. {result.opening.headline}",
    )

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# How much of a known loss of volume each method finds; what it finds between two scans of one brain, or
# a scan and itself; whether there and back again ends where it began; and how many more subjects a study
# of volumes needs when a registration draws its labels. You should know what a
# [Jacobian](../glossary.md) says and how [networks and iterative methods](../methods.md) differ. Where the declared
# [families](../rules.md#families) were run, what is in neither of them, because it works at coarser voxels, is
# told apart, *beside them*. Nothing here is a verdict: the claims of the paper are about overlap.
# ```

# %% tags=["remove-input"]
pages.say(result.state)
pages.say(result.sides_text)

# %% [markdown]
# ## Known atrophy
#
# One scan is resampled twice, half-way either way, so that neither time point is smoother than the other:
# by a field that shrinks the hippocampus or widens the ventricle between them by a given share of its
# volume, and by half a small rigid motion. Each gets noise and a bias field of its own. A method registers
# the second time point to the first, and its Jacobian, averaged over the structure, is the change that it
# has found. On the line it finds what was there.

# %% tags=["remove-input"]
pages.say(result.atrophy_text)
pages.say(result.atrophy_table)

# %% [markdown]
# ## Invented change
#
# Between two scans of one person, days apart, nothing changes; between a scan and itself nothing can. What
# a field says there is invented.

# %% tags=["hide-input"]
if len(result.invented):
    pages.show(
        figures.plot_invented(result.invented),
        f"fig-{here}-invented",
        "Spread of the log Jacobian inside the brain where nothing changed, mean over pairs. "
        f"{result.designs['unchanged']}",
        f"Dot plot, one row per method. {result.invented_text}",
    )

# %% tags=["remove-input"]
pages.say(result.invented_text)
pages.say(result.invented_table)

# %% [markdown]
# ## There and back
#
# A point is moved by the registration of one brain to another, and by the reverse registration. In a
# perfect world it lands where it began. The affine alignment of either registration is estimated apart; by
# how much the two alone disagree stands first.

# %% tags=["remove-input"]
pages.say(result.couples_text)
pages.say(result.couples_table)

# %% [markdown]
# ## Volumes by propagated labels
#
# The volume of a structure is often measured by the labels of an atlas that was registered to the image.
# *Bias* is what such volumes are wrong by on average, *spread* how much that differs between pairs. A
# study that compares two groups needs 1 / r² times as many subjects, where r is the correlation of
# propagated volume and that of the scan's own labels.

# %% tags=["hide-input"]
if len(result.volumes):
    pages.show(
        figures.plot_volumes(result.volumes),
        f"fig-{here}-volumes",
        "Error of the volumes of hippocampus and ventricle, both sides together, by labels propagated from "
        "one other brain: mean and one standard deviation over pairs, which are the same for all images and "
        f"methods. {result.designs['volumetry']}",
        f"Dot plot with bars by method and images. {result.volumes_text}",
    )

# %% tags=["remove-input"]
pages.say(result.volumes_text)
pages.say(result.volumes_table)

# %% [markdown]
# ## What could overturn this

# %% tags=["remove-input"]
pages.say(result.limits)

# %% [markdown]
# ## Exercise
#
# A method that returns no deformation at all never invents a change. Why is it not the safest choice?
# Find its slope in the table of known atrophy before you answer: add `affine` to `field_methods`.
#
# ```{admonition} A solution
# :class: dropdown
# Its slope is zero: what it does not invent, it does not find. Harm is the intercept *and* what is missing
# of the slope; a page that showed one of them would make a regulariser look like a virtue.
# ```

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
pages.show_making(NOTEBOOK, parameters, result.tables, run)
