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
# # Preprocessing: one thing wrong at a time
#
# **Question.** A method is given images that were turned, cropped, rescaled or stripped in another
# way than it expects. How much accuracy does that cost, in the worst case and on average?

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml these values come from
cohort: str = "template"  # whose brains: template (generated), oasis (30 real T1w scans), your own
spacing_mm: float = 2.0  # voxel size of the generated cohort; real cohorts keep their own
n_subjects: int = 5  # subjects of the generated cohort
primary: list = ["tight crop", "LPS not told"]  # conditions that are decided
n_pairs: int = 2  # ordered pairs, the same under every condition; 0: all of your own data
methods: list = [
    "greedy",
    "clapirn",
]  # names in the registry; +io behind a network refines its field
limits: dict = {}  # method -> number of pairs, for methods too slow for all
conditions: list = []  # names of perturbations; none named: all
explored_pairs: int = 0  # pairs on which all conditions are explored; 0: n_pairs
explored_methods: list = []  # by these methods; none named: methods
margin: float = 0.01  # drop in mean Dice above which a perturbation counts
n_panels: int = 0  # pairs of which slices are kept for pictures
seed: int = 0  # of the pair design and the generated cohort
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, load_or_compute
from lumirage_lib.experiments.preprocessing import figures
from lumirage_lib.experiments.preprocessing.analysis import FALSE_SHARE
from lumirage_lib.experiments.preprocessing.figures import show_examples

NOTEBOOK = "05_preprocessing"
parameters = pages.gather(NOTEBOOK, globals())
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
here = f"05-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
if len(result.explored) or result.verdicts:
    pages.show(
        figures.plot_differences(result.verdicts.values(), result.explored, FALSE_SHARE),
        f"fig-{here}-differences",
        "Dice that networks lose more than iterative methods, mean over pairs with its 95 % interval "
        "over subjects. Diamonds: the paper's own; circles: explored, filled where clear after control of the "
        f"false-discovery rate. {result.design}",
        f"Forest plot of the differences by condition. {result.explored_text}",
    )

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# Every perturbation in a picture; what each costs each method; the worst and the mean over all. You
# should know the [standard preprocessing](../protocol.md#preprocessing) and what a network
# [declares](../methods.md) of its input: here that promise is broken on purpose.
# ```

# %% tags=["remove-input"]
pages.say(result.state)

# %% [markdown]
# ## What is done to the images
#
# A perturbation changes what a method is given and nothing else. The way back is kept, so the field
# is undone and scored on the native labels. *Not told* means: the arrays are turned and the matrix
# goes on saying RAS. A method that treats all directions alike loses nothing by that.

# %% tags=["hide-input"]
examples = show_examples(parameters)
pages.show(
    figures.plot_examples(examples),
    f"fig-{here}-examples",
    "A generated brain as the moving image under each condition, middle slice of the third array "
    f"axis, each in its own grey scale; 1 of the generated subjects, for illustration. The "
    f"measurements below: {result.design_of_methods}",
    f"Grid of {len(examples)} grey brain slices, one per condition: {', '.join(examples)}.",
)

# %% [markdown]
# What each name stands for; where nothing else is said, both images are changed, and the rest is the
# standard preprocessing.

# %% tags=["remove-input"]
pages.say(result.conditions_table)

# %% [markdown]
# ## What each perturbation costs

# %% tags=["hide-input"]
if len(result.drops):
    pages.show(
        figures.plot_drops(result.drops),
        f"fig-{here}-drops",
        "Drop in mean Dice against the standard preprocessing of the same pairs; positive (orange) "
        f"is a loss; ×n counts failed registrations. {result.design_of_methods}",
        f"Heat map of the drop in Dice, perturbations in rows, methods in columns. {result.heat_text}",
    )

# %% tags=["remove-input"]
pages.say(result.heat_text)
pages.say(result.gain_text)

# %% [markdown]
# ## The paper's own conditions
#
# A tight crop and an orientation that the method is not told are the paper's own. In the published run they are
# primary: families, pairs and margin are those of the [rules](../rules.md), written when
# [a part](../rules.md#registered-before-the-rules) had been registered. A method
# that always loses something when it is given less loses it here, too; therefore what counts is the
# difference between what networks and what iterative methods lose on the same pairs. Intervals are adjusted
# as though the primary arms of other chapters had shown nothing: the [scoreboard](00_summary_open.ipynb), which
# has all, may give narrower ones.

# %% tags=["remove-input"]
pages.say(result.sides_text)
pages.say(result.verdict_text)
pages.say(result.networks_table)

# %% [markdown]
# ## The others are explored
#
# Many conditions at once give some clear ones by chance. Of those called clear here, a share of at most
# one in twenty is expected to be so (false-discovery rate of Benjamini & Hochberg); none of them is a
# verdict.

# %% tags=["remove-input"]
pages.say(result.explorers_text)
pages.say(result.explored_text)
pages.say(result.explored_table)
pages.say(result.shift_text)

# %% [markdown]
# ## The worst and the mean

# %% tags=["hide-input"]
whole = result.summary[result.summary["n_conditions"] == result.summary["n_conditions"].max()]
if len(whole):
    pages.show(
        figures.plot_worst(whole),
        f"fig-{here}-worst",
        "Mean drop over the perturbations (open) and the worst one (filled, named) of every method that was given "
        "all of them, with its 95 % interval over subjects, simultaneous over the perturbations of the method. "
        f"{result.design_of_methods}",
        f"Dot plot of mean and worst drop in Dice per method. {result.worst_text}",
    )

# %% tags=["remove-input"]
pages.say(result.summary_table)

# %% [markdown]
# ## What could overturn this

# %% tags=["remove-input"]
pages.say(result.limits)

# %% [markdown]
# ## Exercise
#
# Mean and worst drop depend on which perturbations one thinks of. Leave one kind out at a time
# (column `kind` of the drops table) and see whether the order of the methods by mean drop changes.
#
# ```{admonition} A solution
# :class: dropdown
# Each column below is the mean drop without one kind, of the methods that were given all perturbations. An order that changes says that the list of
# perturbations, not the methods, decides who looks robust:
# ```

# %% tags=["hide-cell"]
import pandas as pd

drops = result.drops[result.drops["method"].isin(whole["method"])]
(
    pd.DataFrame(
        {
            f"without {kind}": drops[drops["kind"] != kind].groupby("method")["drop"].mean()
            for kind in drops["kind"].unique()
        }
    ).round(3)
    + 0.0
)  # no sign on a zero

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
pages.show_making(
    NOTEBOOK,
    parameters,
    {"pairs": result.pairs, "drops": result.drops, "explored": result.explored},
    run,
)
