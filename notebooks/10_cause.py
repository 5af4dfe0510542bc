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
# # What makes a network lose?
#
# **Question.** Is it a law that a network loses on what it was not trained on, or a choice of its training?

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml these values come from
cohort: str = "template"  # whose brains: template (generated) or oasis (30 real T1w scans)
spacing_mm: float = 2.0  # voxel size of the generated cohort; real cohorts keep their own
n_subjects: int = 3  # subjects of the generated cohort
n_pairs: int = 2  # ordered pairs of every domain made of the cohort
networks: dict = {"t1": 1, "remap": 1}  # way of training -> how many seeds of it
baselines: list = ["affine", "greedy"]  # methods beside the networks
contrasts: list = ["T1w again", "T2w"]  # synthesised; T1w again is the reference of the others
changes: list = ["inverted"]  # of intensities or size, see the table of domains
n_macaque: int = 0  # ordered pairs of macaque brains
real: dict = {}  # cohort -> ordered pairs: real5, nichart
train: bool = False  # train what has no weights yet: a quarter of an hour each
n_panels: int = 0  # pairs of which slices are kept for pictures
seed: int = 0  # of the pair design and the generated cohort
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load_or_compute
from lumirage_lib.experiments.cause import figures
from lumirage_lib.experiments.cause.networks import train_missing

NOTEBOOK = "10_cause"
parameters = pages.gather(NOTEBOOK, globals())
if train:
    train_missing(networks)
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
here = f"10-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
if len(result.gains):
    lost = {row.domain: -row.excess for row in result.repairs.itertuples()}
    pages.show(
        figures.plot_effects(
            result.gains, "intervention", "Dice more than trained on T1w alone", lost
        ),
        f"fig-{here}-gains",
        "Dice that a way of training adds on each domain; mean over pairs and seeds, bars 95 % over "
        "subjects and seeds. A black mark is what the network trained on T1w alone loses beyond greedy, "
        f"where it does: a symbol there has regained all of it. {result.design}",
        "Dot plot, one row per domain, one symbol per way of training; the table below has the numbers.",
    )

# %% tags=["remove-input"]
pages.say_points(result.opening)
pages.say(result.state)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# One small network, trained on the same T1w scans in five ways: as usual; with the intensities of its
# inputs remapped at random while the loss sees T1w; with brains of random size; with both; and as usual on
# a few of the scans. Then the same pairs in every domain, at the same voxel size for every method. You should know
# how [networks and iterative methods](../methods.md) differ.
# ```

# %% [markdown]
# ## What the images are

# %% tags=["remove-input"]
pages.say(result.domains_table)

# %% [markdown]
# ## What training buys, and what it costs
#
# Dice beyond that of the network that was trained on T1w alone, on the same pairs. Right of the line the
# training helps; on T1w, the first row, left of the line is its price.

# %% tags=["remove-input"]
pages.say(result.gains_table)

# %% [markdown]
# ## What is lost on each domain
#
# Change of Dice from the reference of a domain: images that went through everything but the change in
# question. Brains made smaller stand against the same brains blurred to as many voxels, so that what is
# left is size.

# %% tags=["hide-input"]
if len(result.losses):
    pages.show(
        figures.plot_effects(result.losses, "who", "change of Dice from the reference"),
        f"fig-{here}-losses",
        "Change of Dice from the reference of each domain; mean over pairs and seeds, bars 95 % over "
        f"subjects and seeds. {result.design}",
        "Dot plot, one row per domain, one symbol per way of training and one for greedy; the table "
        "below has the numbers.",
    )

# %% tags=["remove-input"]
pages.say(result.losses_table)

# %% [markdown]
# ## What is regained
#
# Only domains where the network trained on T1w alone loses more than greedy. Beside that loss, the Dice that
# other training gains on the same images, and in brackets its share of the loss.

# %% tags=["remove-input"]
pages.say(result.repairs_text)

# %% [markdown]
# ## Dice on every domain

# %% tags=["remove-input"]
pages.say(result.dice_table)
pages.say(result.below)

# %% [markdown]
# ## How they were trained

# %% tags=["remove-input"]
pages.say(result.rule)
pages.say(result.training_table)

# %% [markdown]
# ## What could overturn this

# %% tags=["remove-input"]
pages.say(result.limits)

# %% [markdown]
# ## Exercise
#
# The network trained on remapped intensities was shown no T2w image. Why can it gain on T2w all the same,
# and on which domain can it not?
#
# ```{admonition} A solution
# :class: dropdown
# Its loss rewarded the same displacement for every map of the intensities. One explanation is that it came to rely
# on edges and shapes, which a map keeps; T2w is close to such a map of T1w. It is not the only one: random size alone,
# which changes no intensity, gains there too (see the table), so part of it may be what any variety in training does.
# A brain of another size is no map of T1w: no map of intensities changes how many voxels a sulcus is wide.
# ```

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
tables = {"gains": result.gains, "losses": result.losses, "dice": result.dice.reset_index()}
pages.show_making(NOTEBOOK, parameters, tables, run)
