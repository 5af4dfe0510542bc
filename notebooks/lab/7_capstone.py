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
# # Capstone: a claim of your own
#
# **Goals.** You write down what you claim, by which rule it will be decided and on how many pairs, *before* you run;
# you run it through the machinery of this book; you report whatever comes out.
#
# **You need** all six lessons. **It helps** to know git. **Time** 90 minutes, most of them writing; as homework, a week.

# %% tags=["parameters"]
steps: int = 0  # nothing is trained here

# %% tags=["hide-input"]
import os
import subprocess
import sys

import labkit

# %% [markdown]
# ## Wrap-up quiz
#
# Three questions over all lessons, before you begin.

# %% tags=["hide-input"]
labkit.quiz("all")

# %% [markdown]
# ## 1. Before the run
#
# Take a question that can be answered on generated brains in minutes, for example: *with a tight crop, VFA
# loses more mean Dice than greedy does.* Fill in:

# %%
my_plan = {}  # claim, rule, n, written_before

# %%
labkit.check("plan", my_plan)

# %% tags=["hide-cell"]
example = {
    "claim": "On generated brains at 5 mm, the mean Dice of greedy exceeds that of the affine alignment by more than 0.05",
    "rule": "supported if the smallest difference over pairs exceeds 0.05, not supported if the largest is below it, else undecided",
    "n": "2 pairs of 3 subjects: too few for an interval, so the rule takes all pairs",
    "written_before": "2026-11-01 10:00",
}
labkit.check("plan", example)

# %% [markdown]
# Commit the plan (`git commit`), or mail it to your neighbour: what matters is that its date cannot be changed.
#
# ## 2. The run
#
# Through `lumirage run`, every parameter given by `-P`. This is the example; it takes seconds.

# %%
command = "run 01_in_distribution -p smoke -P methods=[affine,greedy] -P n_pairs=2 --compute-only"
store = os.environ.setdefault("LUMIRAGE_STORE", os.path.abspath("capstone"))
done = subprocess.run(
    [sys.executable, "-m", "lumirage_lib.cli", *command.split()], capture_output=True, text=True
)
print(f"lumirage {command}")
print(done.stdout.strip() or done.stderr.strip())

# %% [markdown]
# ## 3. The numbers
#
# Rows lie in a store that you can read as tables.

# %% tags=["hide-input"]
rows = labkit.read_store("smoke", methods=("affine", "greedy"))
wide = rows.pivot_table("dice", "pair", "method")
wide["difference"] = wide["greedy"] - wide["affine"]
labkit.table(wide.reset_index())

# %% tags=["hide-input"]
low, high = wide["difference"].min(), wide["difference"].max()
verdict = "supported" if low > 0.05 else "not supported" if high < 0.05 else "undecided"
labkit.say(
    f"By the rule of the example: differences from {low:.3f} to {high:.3f}, so the claim is **{verdict}**. The rules of "
    "this book would give no word: with fewer than five subjects it is *not decidable here*."
)

# %% [markdown]
# ## 4. The report
#
# One page, in this order. Whoever leaves a heading out says why.
#
# 1. **Claim**, word for word as in the plan, with its date.
# 2. **Rule and n**, word for word. What changed since, and when.
# 3. **Command**, so that a reader can repeat it.
# 4. **Result**: one figure with every pair in it, one number with its interval, the word of the rule.
# 5. **Control**: what does the change cost a method that has learned nothing?
# 6. **What could overturn this**: at least two things.
# 7. **What was not tested.**
#
# The grading rubric is on [the teacher's page](../../lab/index.md). A report of "not supported" gets as many points
# as one of "supported".
