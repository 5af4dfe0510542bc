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
# # The scoreboard
#
# **Question.** Which of the paper's claims do these runs support?

# %% tags=["parameters"]
profile: str = "open"  # column of experiments.yml whose runs are judged
chapters: list = ["01", "02", "03", "04", "05"]  # whose verdicts are collected

# %% tags=["hide-input"]
from lumirage_lib.book import notebooks, pages
from lumirage_lib.experiments.summary import analysis as summary
from lumirage_lib.experiments.summary.figures import plot_verdicts

NOTEBOOK = "00_summary"
parameters = pages.gather(NOTEBOOK, globals())
verdicts = summary.collect_verdicts(profile, chapters, notebooks.resolve_parameters)
result = summary.analyse(verdicts, profile)
here = f"00-{profile}"

# %% tags=["remove-input"]
pages.say(result.answer)

# %% [markdown]
# ```{admonition} What you will see
# :class: note
# Each claim in the words of the paper, what the authors of the LUMIR challenge say of it, and the
# verdict of our runs. A verdict is *supported*, *not supported* or *undecided*, by a
# [rule](../protocol.md) fixed before the run; *mixed* means that the arms of one claim disagree. Nothing
# is registered here.
# ```

# %% tags=["remove-input"]
pages.say(result.scoreboard)

# %% [markdown]
# ## Every arm, with its numbers

# %% tags=["remove-input"]
pages.say(result.arms_text)

# %% tags=["hide-input"]
pages.show(
    plot_verdicts(result.arms),
    f"fig-{here}-verdicts",
    "Estimate and interval of every arm in units of the margin of its rule (grey: within the margin); "
    f"{result.design} Differences in Dice are deep minus iterative; drops are positive for a loss.",
    f"Forest plot of all verdicts. {result.answer.removeprefix('**Answer.** ')}",
)

# %% [markdown]
# ## How to read a verdict
#
# Each rule is applied by one function, `lumirage_lib.stats.decide`, to a table of registrations. The
# p-values of all arms on this page are one family and are corrected for their number by Holm's method: a
# claim that is clear alone but not among all of them counts as undecided. *Not supported* is not the
# opposite of the claim: it says that the data contradict what the claim needs, by the margin.
#
# A verdict on a mean can rest on little: for preprocessing,
# [its page](05_preprocessing_open.ipynb) says which two perturbations carry the difference between the
# sides, and what is left of it without them.
#
# ## What was changed after the rules were fixed
#
# - The error of an equivalence test is multiplied by n / (n − 1) for n subjects. Simulation had shown
#   that without it small studies claim equivalence falsely more often than the test promises. The
#   change makes equivalence harder to claim.
# - Where so few pairs are there that the effects of subjects leave no residual, Student's t takes the
#   place of the bootstrap, which has nothing to resample. The change came before the runs on other
#   contrasts, macaques and preprocessing.
# - Networks are given images whose 99th percentile is that of their training data, not images scaled by
#   minimum and maximum as their authors' scripts do. That was decided on two training scans, where one
#   maximum stands far higher above the brain than the other and the networks lost much by it.
#   [Notebook 05](05_preprocessing_open.ipynb) shows what either, and clipping at percentiles, gives
#   on its pairs (*min-max*, *percentiles 1-99*): what we chose is not always the best for a network.
# - The network trained for this project joined the family after the first verdict on T1w. It works at a
#   coarser voxel size than the published ones and is less accurate, so it lowers the mean of its
#   family. The comparison of the best of either family, on the same page, does not depend on it.
# - ANTs' SyN was planned on macaques and on other contrasts and not run there, for time: the iterative
#   side of those pages is greedy, the more accurate of the two on T1w. That sets the bar for networks
#   higher, and what iterative methods lose on another contrast is what greedy loses.
# - The families that are compared are the methods that were run on every pair, where a run is not
#   complete on nine tenths of what the most complete of the family was run on. A method that was too
#   slow for all pairs is shown, and not counted.
#
# ## Limits
#
# These runs are not the paper's: other images, other networks, far fewer subjects. What they cannot see
# is said on each page by the [power table](08_statistics_open.ipynb). A
# verdict here is about the methods and data named on its page.

# %% [markdown]
# ## Reproduce this page

# %% tags=["remove-input"]
pages.show_reproduce(NOTEBOOK, parameters, {"arms": result.arms})

# %% [markdown]
# ## Exercise
#
# Take the table of arms and double every margin. Which verdicts could change, and which could not,
# whatever the margin?
#
# ```{admonition} A solution
# :class: dropdown
# Equivalence becomes easier to support, because the interval need only fit within the margin, and losses
# easier to reject. A loss is *supported* whenever its interval excludes zero: that needs no margin at
# all, so doubling it changes nothing there.
# ```

# %% tags=["hide-cell"]
arms = result.arms
fits = (arms["low"] > -2 * arms["margin"]) & (arms["high"] < 2 * arms["margin"])
arms.assign(fits_twice_the_margin=fits)[["arm", "rule", "verdict", "fits_twice_the_margin"]]

# %% [markdown]
# ## Versions

# %% tags=["remove-input"]
pages.show_versions()
