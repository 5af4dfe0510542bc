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
# # Would other choices have said the same?
#
# **Question.** Networks, baselines, labels, rulers and references could have been chosen otherwise. Would
# the answers have changed?

# %% tags=["parameters"]
profile: str = "open"  # column of experiments.yml whose runs are judged
chapters: list = ["01", "02", "03", "04", "05"]  # whose claims are specified

# %% tags=["setup", "hide-input"]
from lumirage_lib.book import notebooks, pages
from lumirage_lib.experiments.charts import plot_curve
from lumirage_lib.experiments.families import name_plainly
from lumirage_lib.experiments.summary import choices
from lumirage_lib.experiments.summary.analysis import collect_verdicts
from lumirage_lib.experiments.summary.figures import plot_choices

NOTEBOOK = "11_specifications"
parameters = pages.gather(NOTEBOOK, globals())
result = choices.analyse(collect_verdicts(profile, chapters, notebooks.resolve_parameters))
here = f"11-{profile}"


def show_curve(claim: str) -> None:
    """The curve of a claim, where its registrations are complete."""
    if claim in result.designs:
        pages.show(
            plot_curve(result.curves[claim]),
            f"fig-{here}-{choices.PRIMARY.index(claim) + 1}",
            f"{name_plainly(claim)}: the difference by every choice, in order, with 95 % intervals; below, a "
            f"mark for each network, baseline, label set, ruler and reference in use. {result.designs[claim]}",
            f"Specification curve of {name_plainly(claim)}. {result.texts[claim].splitlines()[0]}",
        )


# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
if len(result.overview):
    pages.show(
        plot_choices(result.overview),
        f"fig-{here}-overview",
        "Every comparison that is finished, the primary ones first: the difference by every choice, in "
        "order, with 95 % intervals. "
        f"{result.design} Grey band: within the margin, the same in every panel; each has its own scale.",
        f"Specification curves, one panel a claim. {result.opening.headline}",
    )

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# Every network against every baseline, the full families, each family without one of its members. Each of
# them by every label set, every ruler and every reference that was run. Nothing is registered here. You should
# have read [the scoreboard](00_summary_open.ipynb).
# ```

# %% tags=["remove-input"]
pages.say(result.table)

# %% [markdown]
# ## How to read a curve
#
# Each point is the answer by one choice, each line its interval. A curve that stays on one side of zero says
# that the direction does not depend on the choice. Points within the grey band are too small to matter.
# A mark below a point says what was chosen: a network, a baseline, labels, a ruler, a reference. Where
# several networks are marked, their mean was taken.

# %% [markdown]
# ## T1w brains

# %% tags=["remove-input"]
pages.say(result.texts["oasis"])

# %% tags=["remove-input"]
show_curve("oasis")

# %% [markdown]
# ## Synthesised T2w

# %% tags=["remove-input"]
pages.say(result.texts["synthesised: T2w"])

# %% tags=["remove-input"]
show_curve("synthesised: T2w")

# %% [markdown]
# ## Synthesised T2\*w

# %% tags=["remove-input"]
pages.say(result.texts["synthesised: T2*w"])

# %% tags=["remove-input"]
show_curve("synthesised: T2*w")

# %% [markdown]
# ## Real FLAIR

# %% tags=["remove-input"]
pages.say(result.texts["nichart at 1 mm: FLAIR"])

# %% tags=["remove-input"]
show_curve("nichart at 1 mm: FLAIR")

# %% [markdown]
# ## Tightly cropped images

# %% tags=["remove-input"]
pages.say(result.texts["preprocessing: tight crop"])

# %% tags=["remove-input"]
show_curve("preprocessing: tight crop")

# %% [markdown]
# ## Turned images

# %% tags=["remove-input"]
pages.say(result.texts["preprocessing: LPS not told"])

# %% tags=["remove-input"]
show_curve("preprocessing: LPS not told")

# %% [markdown]
# ## Finer voxels: 0.6 mm

# %% tags=["remove-input"]
pages.say(result.texts["0.6 mm"])

# %% tags=["remove-input"]
show_curve("0.6 mm")

# %% [markdown]
# ## Comparisons beside the claims
#
# They decide nothing. The table above has their numbers.

# %% tags=["remove-input"]
for claim in result.beside:
    pages.say(f"**{name_plainly(claim)}.** {result.texts[claim]}")

# %% [markdown]
# ## What could overturn this

# %% tags=["remove-input"]
pages.say(result.limits)

# %% [markdown]
# ## Exercise
#
# Take the table of choices and keep those with a single network. Which network has the highest median?
#
# ```{admonition} A solution
# :class: dropdown
# Group the rows by the network and take the median of the estimate, here on T1w brains. Differences of less
# than 0.01 do not matter here.
# ```

# %% tags=["hide-cell"]
table = result.choices
single = table[(table["claim"] == "oasis") & (table["measure"] == "dice")] if len(table) else table
single = single[single["first"].map(len) == 1] if len(single) else single
names = single["first"].map(lambda who: who[0]) if len(single) else None
medians = single.groupby(names)["estimate"].median().sort_values() if len(single) else None
None if medians is None else medians.round(3).add(0.0)  # no minus before a zero

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
pages.show_making(NOTEBOOK, parameters, {"choices": result.choices})
