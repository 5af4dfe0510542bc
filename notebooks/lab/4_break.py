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
# # Lesson 4: break it
#
# **Goals.** You have changed images so that a network fails, and you can tell a domain shift from lost information and
# from a preprocessing error: by a control that learned nothing, and by a control image.
#
# **You need** lesson 3. **It helps** to know T1w from T2w. **Time** 24 minutes.

# %% tags=["parameters"]
steps: int = 300  # of the network's training, as in lesson 3

# %% tags=["hide-input"]
from functools import partial

import checks
import labkit
import matplotlib.pyplot as plt
import pandas as pd
import torch
from breaks import CHANGES, Change, grow, shrink
from measures import register, register_greedy, score
from slices import make_held_out, make_training
from volumes import load_volume_pair, measure, register_volumes

# %% [markdown]
# ## Predict first
#
# Both images of every pair are changed alike. Look at them, and write down what share of its gain the network will
# keep: 1 all of it, 0 none, below 0 worse than doing nothing. Then what greedy will keep.

# %% tags=["hide-input"]
held_out = make_held_out()
images = {name: change.before(held_out.fixed)[0] for name, change in CHANGES.items()}
images["z-scored"] = (images["z-scored"] - images["z-scored"].min()) / 4  # below 0 nothing is drawn
labkit.show(
    labkit.draw_images(images),
    "changes",
    "One held-out image (of 16) under every change of this lesson. The z-scored one is raised until it can be drawn.",
    "Ten axial brain slices: as it is, dark for bright, folded, T2w-like, dimmed, blurred, shrunk, shifted, z-scored, and "
    "a white one with nothing but its outline.",
)

# %%
my_prediction = {
    "inverted": None,  # (network, greedy), for example (0.5, 0.9)
    "folded": None,
    "T2w": None,
    "dimmed": None,
    "header x 0.4": None,
    "shifted": None,
}

# %% [markdown]
# Now swap with your neighbour and say why. Only then go on.
#
# ## Measure
#
# The network is that of lesson 3; where it is not on this machine, it is trained now. Greedy is given the same changed
# images. It never reads the header, so that change does not exist for it.

# %%
network = labkit.get_network(make_training(), steps)
methods = {"network": network, "greedy": register_greedy}
dice = pd.DataFrame(index=pd.Index(CHANGES, name="change"), columns=list(methods), dtype=float)
for name, change in CHANGES.items():
    for method, function in methods.items():
        skip = change.header and method == "greedy"
        field = register(function, held_out, CHANGES["T1w"] if skip else change)
        dice.loc[name, method] = score(held_out, field)["dice"].mean()
start = score(held_out, torch.zeros_like(held_out.truth))["dice"].mean()
shares = labkit.compute_shares(dice, start)
labkit.table(dice.join(shares, rsuffix=", share kept"))

# %%
labkit.show(
    labkit.plot_shares(shares.drop(index="T1w")),
    "shares",
    "Share of its own gain over doing nothing that each method keeps under a change (8 pairs of 2 subjects).",
    "Bars by change, network and greedy: "
    + "; ".join(
        f"{name} {row['network']:.2f} and {row['greedy']:.2f}"
        for name, row in shares.drop(index="T1w").iterrows()
    ),
)

# %% [markdown]
# How far off was your prediction? The largest surprise is the best thing to talk about.

# %%
for name, guess in my_prediction.items():
    if guess is not None:
        off = [round(g - s, 2) for g, s in zip(guess, shares.loc[name], strict=True)]
        print(f"{name}: you said {guess}, off by {off}")

# %% [markdown]
# ## Who is hurt?
#
# For each of the four changes below `"network"`, `"greedy"`, `"both"` or `"nobody"`; for more, if you like. Hurt means: it
# keeps less than 60 % of its gain.

# %%
my_culprits = {}  # for example {"inverted": "nobody", "dimmed": ..., "header x 0.4": ..., "shifted": ...}

# %%
labkit.check("culprits", my_culprits, shares=shares)

# %% tags=["hide-cell"]
solution = {
    name: checks.name_hurt(row["network"], row["greedy"])
    for name, row in shares.drop(index="T1w").iterrows()
}
print(solution)
labkit.check("culprits", solution, shares=shares)

# %% tags=["remove-input"]
labkit.say(labkit.describe_breaks(shares))

# %% [markdown]
# ## Why does inversion not cost everything?
#
# Dark for bright, and yet every edge stays where it was. The row *outline* is a control image: white where the brain
# is, and nothing in it. What a method gains there, it needs no tissue for.

# %% tags=["remove-input"]
labkit.say(labkit.describe_why(network, held_out, shares))

# %% [markdown]
# ## What is the control of a wrong size?
#
# The shrunk image is smaller *and* has less detail. With which row is it compared? `"blurred"`, `"T1w"`, `"shift"`,
# `"greedy on T1w"`.

# %%
my_control = None

# %%
labkit.check("control", my_control)

# %% tags=["hide-cell"]
labkit.check("control", "blurred")  # the solution

# %% [markdown]
# ## How wrong may a header be?
#
# The network resamples by the header, so the brain it sees is as much smaller as the header says. Greedy never asks.

# %%
scales = (1.0, 0.8, 0.6, 0.5, 0.4)
curve = [
    score(
        held_out,
        register(network, held_out, Change(partial(shrink, factor=s), partial(grow, factor=s))),
    )["dice"].mean()
    for s in scales
]
figure, axes = plt.subplots(figsize=(5, 2.8), layout="constrained")
axes.plot(scales, curve, "o-", color=labkit.COLOURS["network"], label="network")
axes.axhline(dice.loc["T1w", "greedy"], color=labkit.COLOURS["greedy"], label="greedy")
axes.axhline(start, color="black", linestyle="--", linewidth=0.8, label="nothing moved")
axes.set(xlabel="voxel size in the header, over the true one", ylabel="mean Dice")
axes.legend(frameon=False)
labkit.show(
    figure,
    "header",
    "Mean Dice against the scale that the header claims (8 pairs of 2 subjects).",
    "The line of greedy is level; that of the network goes from "
    f"{curve[0]:.2f} at the true scale to {curve[-1]:.2f} at 0.4; nothing moved has {start:.2f}.",
)

# %% [markdown]
# ## A preprocessing error is no domain shift
#
# Z-scoring subtracts the mean and divides by the spread: the background is no longer 0, and intensities have another
# scale. Is what happens then a `"domain shift"`, a `"preprocessing error"`, or are `"both methods are broken"`?

# %%
my_word = None

# %%
labkit.check("z-score", my_word)

# %% tags=["hide-cell"]
labkit.check("z-score", "preprocessing error")  # the solution

# %% tags=["remove-input"]
labkit.say(labkit.describe_zscore(network, held_out, dice, start))

# %% [markdown]
# ## Is it only our toy?
#
# The same changes on whole brains at 2 mm, with a network that this project trained for hours (one pair, so look and
# do not judge).

# %%
pair = load_volume_pair()


def on_volume(name):
    """A change of slices, done to a volume; slices are its first two axes."""
    return lambda image: (
        CHANGES[name]
        .before(torch.tensor(image).permute(2, 0, 1)[:, None])[:, 0]
        .permute(1, 2, 0)
        .numpy()
    )


shown = ("T1w", "inverted", "folded", "dimmed", "header x 0.4") if steps > 50 else ()
still = measure(pair, 0 * pair.truth)["dice"]
rows = [{"change": "nothing moved", "vfa": still, "greedy": still}]
for name in shown:
    found = {"change": name}
    for method in ("vfa", "greedy"):
        header = CHANGES[name].header
        field, _ = register_volumes(
            method, pair, None if header else on_volume(name), 0.4 if header else 1.0
        )
        found[method] = measure(pair, field)["dice"]
    rows.append(found)
labkit.table(rows)

# %% [markdown]
# This network scales every image by its own brightest voxels before it looks, so dimming cannot reach it. Yours does
# not: the repair of a preprocessing error is preprocessing.
#
# ## Take away
#
# Ask of every failure: is what is needed still in the images? A control method and a control image answer.
#
# ## Quiz

# %% tags=["hide-input"]
labkit.quiz("break")

# %% [markdown]
# ## Read next
#
# The chapters on contrasts, on resolution and on preprocessing do this with published networks and real images, and
# [the rules](../../rules.md) say how they are judged.
