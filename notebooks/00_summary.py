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

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import notebooks, pages
from lumirage_lib.experiments.summary import analysis as summary
from lumirage_lib.experiments.summary.figures import plot_domains, plot_verdicts

NOTEBOOK = "00_summary"
parameters = pages.gather(NOTEBOOK, globals())
judged = summary.collect_verdicts(profile, chapters, notebooks.resolve_parameters)
result = summary.analyse(judged, profile)
here = f"00-{profile}"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["remove-input"]
pages.say_scoreboard(result.sentences, result.cards)

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# Each claim in the words of the paper, what the authors of the LUMIR challenge say of it, and the
# verdict of our runs, by [rules](../rules.md) that are older than
# [a part of the runs](../rules.md#registered-before-the-rules). A claim is *supported*, *not supported*, or has a word of its
# own that says direction and size; where the arms of a claim differ, each is said. Nothing is registered here.
# ```


# %% [markdown]
# ## Every method in every domain

# %% tags=["hide-input"]
if len(result.domains):
    pages.show(
        plot_domains(result.domains),
        f"fig-{here}-domains",
        "Mean Dice that each method adds to the affine alignment alone, by images and condition; "
        f"{result.domains['n_pairs'].min()} to {result.domains['n_pairs'].max()} pairs, {result.design} "
        "Empty: not run on every pair. Hatched: the method drew the labels that it is scored on.",
        "Heat map, images in rows, methods in columns; orange loses against the affine, purple gains.",
    )

# %% [markdown]
# ## Would other choices have said the same?
#
# Other networks, baselines, labels, rulers and references could be defended too. What each of them would
# have said stands on [a page of its own](11_specifications_open.ipynb).

# %% [markdown]
# ## Every arm, with its numbers

# %% tags=["remove-input"]
pages.say(result.arms_text)

# %% tags=["hide-input"]
pages.show(
    plot_verdicts(result.arms),
    f"fig-{here}-verdicts",
    "Deep minus iterative Dice of every arm (at 0.6 mm: iterative methods there minus at 1 mm) with its interval (grey: within the margin); filled: decides "
    f"its claim, open: exploratory. {result.design}",
    f"Forest plot of all verdicts. {result.opening.headline}",
)

# %% [markdown]
# ## How to read a verdict
#
# One interval of deep minus iterative, adjusted for the number of arms, gives each arm its
# [word](../rules.md#the-words); one function applies them, `lumirage_lib.stats.decide`. *Not supported*
# is not the opposite of the claim: it says that the data contradict what the claim needs, by the margin.
#
# ## What changed since version 1
#
# The verdict now stands first, that of version 1 beside it, then why it was replaced.
# An audit of its results found what the last column says; the [rules](../rules.md#version-1) of both versions
# stand in full, with dates. Arms on images that had been scored by then are marked *re-analysis*.

# %% tags=["remove-input"]
pages.say(result.changes_text)

# %% [markdown]
# ## What could overturn this
#
# These runs are not the paper's: other images, other networks, far fewer subjects. What they cannot see
# is said on each page by the [power table](08_statistics_open.ipynb). A
# verdict here is about the methods and data named on its page.

# %% [markdown]
# ## Exercise
#
# Take the table of arms and double every margin. Which words could change, and which could not, whatever
# the margin?
#
# ```{admonition} A solution
# :class: dropdown
# Equality becomes easier to support, because the interval need only fit within the margin; losses that
# matter become harder. The direction never changes: an interval that leaves out zero does so at any
# margin.
# ```

# %% tags=["hide-cell"]
arms = result.arms
fits = (arms["low"] > -2 * arms["margin"]) & (arms["high"] < 2 * arms["margin"])
arms.assign(fits_twice_the_margin=fits)[["arm", "says", "word", "fits_twice_the_margin"]]

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
pages.show_making(NOTEBOOK, parameters, {"arms": result.arms})
