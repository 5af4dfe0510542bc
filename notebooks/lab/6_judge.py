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
# # Lesson 6: judge it
#
# **Goals.** You compute a difference in differences by hand. You know why thirty pairs of six brains are not thirty
# observations, what the two effect sizes divide by, and that "not different" is not "equal".
#
# **You need** lesson 4, mean and standard deviation. **It helps** to know intervals. **Time** 10 minutes.
#
# ```{admonition} Write down before you start
# :class: tip
# Six brains, each registered to each: thirty pairs. By what factor is the interval too narrow, if one takes the pairs
# for independent?
# ```

# %% tags=["parameters"]
steps: int = 0  # nothing is trained in this lesson

# %%
my_prediction = None  # a factor

# %% tags=["hide-input"]
import checks
import labkit
import matplotlib.pyplot as plt
import numpy as np

# %% [markdown]
# ## Difference in differences
#
# Four numbers. What did the change cost the network *beyond* what it cost greedy? With its sign.

# %%
checks.FOUR

# %%
my_difference = None

# %%
labkit.check("difference", my_difference)

# %% tags=["hide-cell"]
four = checks.FOUR
labkit.check(
    "difference",
    (four["network T2w"] - four["network T1w"]) - (four["greedy T2w"] - four["greedy T1w"]),
)

# %% [markdown]
# ## Pairs that share subjects
#
# Every brain has its own difficulty, and brings it to each of its ten pairs. We draw such studies: the true difference
# is 0 in all of them. How often does a 95 % interval miss 0?


# %%
def draw_study(rng, n_subjects=6, shared=1.0, own=0.5):
    """Differences of all ordered pairs of a study in which nothing differs, matrix with a NaN diagonal."""
    as_fixed, as_moving = rng.normal(0, shared, (2, n_subjects))
    table = as_fixed[:, None] + as_moving[None] + rng.normal(0, own, (n_subjects, n_subjects))
    np.fill_diagonal(table, np.nan)
    return table


def interval_over_pairs(table):
    """As if all pairs were independent."""
    x = table[~np.isnan(table)]
    return x.mean() + np.array([-1, 1]) * 2.05 * x.std(ddof=1) / np.sqrt(len(x))


def interval_over_subjects(table):
    """Leave out one subject, with all its pairs, at a time (jackknife)."""
    n = len(table)
    means = np.array([np.nanmean(np.delete(np.delete(table, i, 0), i, 1)) for i in range(n)])
    spread = np.sqrt((n - 1) / n * ((means - means.mean()) ** 2).sum())
    return np.nanmean(table) + np.array([-1, 1]) * 2.57 * spread


rng = np.random.default_rng(1)
studies = [draw_study(rng) for _ in range(1000)]
rows = []
for name, make in {
    "over pairs": interval_over_pairs,
    "over subjects": interval_over_subjects,
}.items():
    found = np.array([make(s) for s in studies])
    holds = ((found[:, 0] <= 0) & (found[:, 1] >= 0)).mean()
    rows.append({"interval": name, "holds the truth": holds, "mean width": np.diff(found).mean()})
labkit.table(rows)

# %% [markdown]
# It should hold the truth in 95 of 100 studies. **How many independent things are there?**

# %%
my_n = None

# %%
labkit.check("n", my_n)

# %% tags=["hide-cell"]
labkit.check("n", 6)  # the solution

# %% [markdown]
# ## Two effect sizes
#
# d_z divides the mean difference by the spread of the *differences*, d_av by the spread of the *values*. The slider is
# the correlation of the two methods over pairs: move it. The mean difference stays 0.01, the spread of each method 0.03.

# %% tags=["hide-input"]
labkit.show_slider()

# %% [markdown]
# The same without a slider:

# %% tags=["hide-input"]
r = np.linspace(0, 0.99, 100)
figure, axes = plt.subplots(figsize=(5, 2.8), layout="constrained")
axes.plot(r, 0.01 / (0.03 * np.sqrt(2 * (1 - r))), color="#D55E00", label="d_z")
axes.plot(r, np.full_like(r, 0.01 / 0.03), color="#0072B2", linestyle="--", label="d_av")
axes.set(xlabel="correlation of the two methods over pairs", ylabel="effect size", ylim=(0, 2.5))
axes.legend(frameon=False)
labkit.show(
    figure, "effect-sizes",
    "The same mean difference of 0.01, in two effect sizes (computed, no pairs).",
    "d_av is level at 0.33; d_z rises from 0.24 to beyond 2 as the correlation goes to 1.",
)  # fmt: skip

# %% [markdown]
# By which can two studies be compared? `"the difference in Dice"`, `"d_av"`, `"d_z"`, `"p"`.

# %%
my_effect_size = None

# %%
labkit.check("effect size", my_effect_size)

# %% tags=["hide-cell"]
labkit.check("effect size", "the difference in Dice")  # the solution

# %% [markdown]
# ## Equal, against not different
#
# Eight subjects, network minus greedy, 95 % interval [-0.018, 0.006], margin 0.01. What may be said? `"equal"`,
# `"not different, so equal"`, `"loses"`, `"undecided"`.

# %%
my_verdict = None

# %%
labkit.check("equal", my_verdict)

# %% tags=["hide-cell"]
labkit.check("equal", "undecided")  # the solution

# %% [markdown]
# ## Take away
#
# Count brains, not pairs. Take off what the control lost too. Equal has to be shown.
#
# ## Quiz

# %% tags=["hide-input"]
labkit.quiz("judge")

# %% [markdown]
# ## Read next
#
# [The rules](../../rules.md), and the chapters on effect sizes and on statistics. Then the capstone: a claim of your own.
