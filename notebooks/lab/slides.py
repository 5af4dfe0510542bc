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

# %% [markdown] slideshow={"slide_type": "slide"}
# # Domain shift in registration
#
# Cause it, see it, repair it, judge it.
#
# Arrow keys turn pages. On your laptop: `lumirage lab 1`

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Today
#
# 1. Match two brains
# 2. Measure it
# 3. Train a network
# 4. Break it
# 5. Repair it
# 6. Judge it
#
# Before every experiment you write one prediction. Wrong ones are worth more than right ones.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Fixed, moving, displacement, moved
#
# > moved(x) = moving(x + displacement(x))
#
# The field **pulls**: it says where in the moving image to look.
#
# *Which way does the content go if the field is +5 everywhere?*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Can a field beat the truth?
#
# Dice = 2 |A and B| / (|A| + |B|)
#
# *Write down: can a field have a higher Dice than the true one?*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. It can
#
# A field made from the labels wins on Dice and on HD95. It folds, and it matches points to the wrong points.
#
# **The ruler is chosen before the run.**

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A page of PyTorch
#
# - In: two images. Out: a velocity; its exponential is the displacement
# - Paid for: the moved image looks like the fixed one
# - Fined for: rough fields
# - Never sees: labels, true displacements, the test subjects

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Predict before you break
#
# | change | network keeps | greedy keeps |
# |---|---|---|
# | inverted | ? | ? |
# | folded | ? | ? |
# | T2w | ? | ? |
# | dimmed | ? | ? |
# | header x 0.4 | ? | ? |
# | shifted | ? | ? |
#
# *Everyone writes twelve numbers. Then one command.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Three kinds of failure
#
# - **Both** lose: the images lost information
# - **Only the network** loses: it has not learned to look there. A domain shift
# - One line of preprocessing mends it: a preprocessing error, whatever the Dice says

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Four repairs
#
# - remapped inputs
# - scale augmentation
# - MIND: look at neighbours, not at intensities
# - instance optimisation: go on, on this pair
#
# *Which mends what? And what does it cost on T1w?*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Difference in differences
#
# |  | T1w | T2w |
# |---|---|---|
# | network | 0.66 | 0.58 |
# | greedy | 0.72 | 0.70 |
#
# *What did learning cost?*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Thirty pairs of six brains
#
# How many independent things?
#
# Eight subjects, interval [-0.018, 0.006], margin 0.01: **undecided**. Not different is not equal.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Capstone
#
# 1. Claim, rule, n: written before the run, with a date
# 2. `lumirage run ... -P ...`
# 3. Report whatever comes out
#
# "Not supported" is worth as many points as "supported".
