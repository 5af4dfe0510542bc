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
# # Other contrasts: T2w, T2\*w, FLAIR
#
# **Question.** On contrasts they were not trained on, do registration networks lose more accuracy than
# iterative optimisation does?

# %% tags=["parameters"]
profile: str = "demo"  # column of experiments.yml these values come from
cohort: str = "template"  # anatomy to synthesise from: template (generated), oasis; or nimh, real
spacing_mm: float = 2.0  # voxel size of the generated cohort; real cohorts keep their own
n_subjects: int = 4  # subjects of the generated cohort
n_pairs: int = 4  # ordered pairs, balanced over subjects in either role; 0: all of your own data
contrasts: list = ["T2w"]  # T2w, T2*w, FLAIR; "T1w again" is the control of the synthesis
real: dict = {}  # arm -> ordered pairs; nichart at 1 mm, nichart, real5, openms, openms-clinical, ls
n_atlases: int = 15  # training scans whose labels are fused for people who have none
methods: list = ["affine", "greedy", "clapirn"]  # names in the registry, or module:attribute
arm_methods: dict = {}  # arm of real images -> its methods, where not all
scalings: dict = {}  # scaling of intensities -> methods run with it on the synthesised contrasts
doses: list = []  # shares of T2w in a mixture with T1w; empty: no dose-response
dose_methods: list = ["greedy", "clapirn"]  # methods of the dose-response
n_dose_pairs: int = 1  # pairs of the dose-response
margin: float = 0.01  # loss of mean Dice that would matter
n_panels: int = 1  # pairs of which slices are kept for the pictures
seed: int = 0  # of the pair design and the generated cohort
jobs: int = 0  # registrations at a time; 0: one per core

# %% tags=["setup", "hide-input"]
import numpy as np

from lumirage_lib import stats
from lumirage_lib.book import pages
from lumirage_lib.experiments import EXPERIMENTS, charts, load_or_compute
from lumirage_lib.experiments.contrasts import figures
from lumirage_lib.experiments.panels import NOT_SHOWN, find_panel, plot_panel
from lumirage_lib.experiments.sentences import make_table, show_interval
from lumirage_lib.methods import name_of, order_of
from lumirage_lib.runs.profiles import project_root

NOTEBOOK = "03_contrasts"
parameters = pages.gather(NOTEBOOK, globals())
run = load_or_compute(NOTEBOOK, parameters)
result = EXPERIMENTS[NOTEBOOK].analyse(run, parameters)
here = f"03-{profile}"
PICTURES = project_root() / "book" / "pictures" / "contrasts.npz"

# %% tags=["remove-input"]
pages.say_headline(result.opening)

# %% tags=["hide-input"]
if len(result.changes):
    pages.show(
        charts.plot_changes(result.changes),
        f"fig-{here}-changes",
        "Difference in differences against the mean of the iterative methods, 95 % interval over "
        f"subjects. {result.design} Left of zero: the network lost more than the iterative methods. "
        "Diamonds: mean of the family of networks; triangles: each network.",
        f"Forest plot by arm and contrast, a diamond and one triangle per network. {result.opening.headline}",
    )

# %% tags=["remove-input"]
pages.say_points(result.opening)

# %% [markdown]
# ```{admonition} Before you read
# :class: dropdown
# The same pairs of brains registered in T1w and in another contrast, by the same methods from the same
# affine alignment; whether networks lose more on the way; which structures; and what happens between
# the two contrasts. You should have read the chapter on T1w and know what
# T1- and T2-weighting show.
# ```

# %% tags=["remove-input"]
pages.say(result.state)

# %% [markdown]
# ## What is compared
#
# One number answers the question, a **difference in differences**: deep minus iterative Dice on the
# contrast, minus deep minus iterative Dice on the reference, *of the same pairs*. The reference of a judged
# claim on synthesised images or nichart passed through everything but the change in question: *T1w again* is T1w synthesised the same way, *T1w thick*
# is T1w seen through the thick slices of FLAIR. As far as effects add, what makes a pair hard, or a contrast hard
# for everyone, cancels. Every method of a judged arm works at one voxel size; VFA (ours), beside the declared families,
# works at 2 mm, and so did greedy in the arm of version 1. Both images of a pair have the same contrast. The affine
# alignment of a pair is estimated once, on T1w, and is the same for all its contrasts, so that methods
# differ in nothing but what the deformable part sees.
#
# Synthesised contrasts have the anatomy of a T1w scan: every voxel's fractions of cerebrospinal fluid,
# grey and white matter, and the signal equation of the sequence with relaxation times at 3 T
# {cite}`stanisz2005,peters2007,rooney2007,spijkerman2018,kwan1999`, a mild bias field and Rician noise.
# Real contrasts are those of older adults with FLAIR {cite}`bashyam2025`; of patients with multiple
# sclerosis {cite}`lesjak2018`, beside a healthy person and one with a stroke; and of two people with T2*w.
# But for the older adults' they have labels that were fused from atlases {cite}`wang2013`, brought there by
# greedy and again by LapIRN.

# %% [markdown]
# ## Accuracy by contrast

# %% tags=["hide-input"]
if len(result.matched):
    pages.show(
        charts.plot_contrast_dice(result.matched),
        f"fig-{here}-dice",
        f"Mean Dice over structures and pairs by contrast, one panel per arm, for every method of the pairs "
        f"that it completed under all contrasts of the arm. {result.design} Solid lines "
        "with circles are iterative, dashed with triangles deep, squares the affine alignment alone. Hatched: "
        "the method drew the labels that it is scored on.",
        "Line charts of mean Dice by contrast, one line per method, one panel per arm.",
    )

# %% [markdown]
# ## Do networks lose more?
#
# A loss is *supported* if the whole interval lies below the margin, *not supported* if the interval rules
# such a loss out; the [rules](../rules.md) have the words between. Intervals of the verdicts are
# Holm-adjusted among all primary arms of the book, as though those of other chapters had shown nothing: the
# [scoreboard](00_summary_open.ipynb), which has all, may give narrower ones. Intervals of figure and table hold
# one at a time. A change is divided: from T1w to the reference is what resolution or synthesis does, from there
# on the contrast.

# %% tags=["remove-input"]
pages.say(result.sides_text)
pages.say(result.verdict_text)
pages.say(result.changes_table)

# %% [markdown]
# ## Each method alone
#
# What a method compares matters, too. Most iterative methods here maximise a local correlation of intensities, and the
# networks were trained to; ConvexAdam {cite}`siebert2024convexadam` compares descriptors of local structure (MIND), which
# were made for images of different contrasts. It works at 2 voxels, so it stands beside the families;
# chapter 01 has what it reaches on T1w. The table gives what every method that was run here gains or loses by a synthesised
# contrast against T1w synthesised again; in brackets the 95 % interval, each alone.

# %% tags=["remove-input"]
made = run.registrations[run.registrations["arm"] == "synthesised"]
rows = []
for method in order_of(made.loc[made["method"] != "affine", "method"]):
    row = {"method": name_of(method)}
    for contrast in (c for c in contrasts if c != "T1w again"):
        claim = stats.Claim(
            method, "", "gains", (method,), None, condition=contrast, reference="T1w again"
        )
        found = stats.decide(claim, made)
        low, high = (found.low, found.high) if found.n_pairs else (np.nan, np.nan)
        row[contrast] = show_interval(found.estimate, low, high)
    rows.append({**row, "pairs": found.n_pairs})
pages.say(make_table(rows) if rows else "No synthesised contrast was run.")

# %% [markdown]
# ## The parts of a change
#
# An image in another contrast differs from T1w in three ways: resolution, the scaling of its intensities, and
# the contrast proper. A control that went through the others tells the last apart, where one was run.

# %% tags=["hide-input"]
if len(result.parts):
    pages.show(
        figures.plot_parts(result.parts),
        f"fig-{here}-parts",
        "What each part of a change costs networks and iterative methods, mean over methods and pairs. "
        f"{result.parts['n_pairs'].min()} to {result.parts['n_pairs'].max()} pairs. {result.design} Bars to "
        "the left: accuracy is lost; to the right: gained; thick line: the sum.",
        f"Stacked bars by contrast and family. {result.parts_text}",
    )

# %% tags=["remove-input"]
pages.say(result.parts_text)
if result.scalings_table:
    pages.say(
        "Mean Dice where only the scaling of intensities differs, of both images alike. *Distribution of "
        "T1w* gives an image the histogram of a T1w brain and leaves the order of its intensities.\n\n"
        + result.scalings_table
    )

# %% [markdown]
# ## Effect sizes on each contrast
#
# The paper reports effect sizes of 0.7 to 1.5 on these contrasts {cite}`jena2026lumirage`, and its abstract
# does not say with which denominator: g_z divides by the spread of the differences, g_av by that of the methods. Both
# are of the difference *on* a contrast, not of its change from T1w. The row of T1w as scanned need not agree with
# the chapter on T1w: there more networks stand against more iterative methods, here those that every arm has.

# %% tags=["remove-input"]
pages.say(result.effects_table)

# %% [markdown]
# ## Which structures

# %% tags=["hide-input"]
if len(result.groups):
    pages.show(
        figures.plot_group_changes(result.groups),
        f"fig-{here}-groups",
        "Difference in differences by group of structures, mean over structures and pairs. "
        f"{result.design} Orange: networks lost more than iterative methods; purple: less.",
        f"Heat map of structure groups by arm and contrast. {result.groups_text}",
    )

# %% tags=["remove-input"]
pages.say(result.groups_text)

# %% [markdown]
# ## One anatomy in four contrasts

# %% tags=["hide-input"]
slices = dict(np.load(PICTURES))
pages.show(
    figures.plot_pictures(
        slices,
        [{f"{kind} {c}": f"{kind} {c}" for c in ("T1w", "T2w", "T2*w", "FLAIR")}
         for kind in ("real", "synthesised")],
    ),
    f"fig-{here}-anatomy",
    "One patient (1 subject, no pair), axial slice at 2 mm {cite}`lesjak2018`: above as scanned, below "
    "synthesised from the T1w scan; T2\\*w was not scanned. The lesions of this patient are seen in "
    "real FLAIR alone.",
    "Two rows of axial brain slices in four contrasts, real above, synthesised below.",
)  # fmt: skip

# %% [markdown]
# ## From T1w to T2w, step by step
#
# If a network has learnt intensities, its accuracy should fall as the image leaves them; an inverted T1w
# image has every edge where it was, only dark for bright. The bias field and noise are the same at
# every step.

# %% tags=["hide-input"]
steps = {"T1w": "synthesised T1w", "1/4 T2w": "dose 0.25", "1/2": "dose 0.5", "3/4": "dose 0.75"}
steps |= {"T2w": "synthesised T2w", "T1w inverted": "synthesised T1w inverted"}
pages.show(
    figures.plot_pictures(slices, [steps]),
    f"fig-{here}-steps",
    "The steps of the mixture in the same slice (1 subject, no pair). Half-way, the border of grey and white "
    "matter is faintest.",
    "Six axial brain slices from T1w to T2w, and the inverted T1w.",
)

# %% tags=["hide-input"]
if len(result.doses):
    pages.show(
        figures.plot_doses(result.doses),
        f"fig-{here}-doses",
        "Mean Dice against the share of T2w in the image, right the inverted T1w image; "
        f"{result.doses_design}, of the synthesised images.",
        "Line chart of mean Dice against dose, one line per method; the table below has its numbers.",
    )

# %% tags=["remove-input"]
pages.say(result.doses_text)

# %% [markdown]
# ## One pair in pictures

# %% tags=["hide-input"]
shown = next((c for c in contrasts if c != "T1w again"), "T1w")
rows = run.registrations
panel = find_panel(
    rows[(rows["arm"] == "synthesised") & (rows["condition"] == shown)], run.store, cohort
)
if panel is not None:
    pages.show(
        plot_panel(panel),
        f"fig-{here}-panel",
        f"One pair ({panel.pair}, 2 subjects) in {shown}, coronal slice through the middle. Blue: borders of "
        "structures of the fixed image. Orange: where the moved structures are not those, which is the error.",
        f"Coronal brain slices of pair {panel.pair}: the fixed image, then the moved image of every method "
        "with its error in colour.",
    )
else:
    pages.say(NOT_SHOWN)

# %% [markdown]
# A real pair that may be shown to everyone, in T1w, T2w and FLAIR, registered by the same methods:
#
# ```{viewer} openms-T2w
# :choose:
# ```

# %% [markdown]
# ## How good are the stand-ins?

# %% tags=["remove-input"]
pages.say(result.checks.about)

# %% tags=["hide-input"]
levels = result.checks.levels
if levels is not None:
    pages.show(
        figures.plot_levels(levels),
        f"fig-{here}-levels",
        "Median intensity of each tissue away from its borders, bars: robust standard deviation, in real "
        f"images (circles) and synthesised ones (triangles): {result.checks.levels_people}.",
        "Dot plots of tissue intensities by contrast, real beside synthesised.",
    )

# %% tags=["remove-input"]
pages.say(result.checks.levels_text)
pages.say(result.checks.fusion_text)
pages.say(result.checks.alignment_text)

# %% [markdown]
# ## What the run can and cannot see

# %% tags=["remove-input"]
pages.say(result.power_text)

# %% [markdown]
# ## What could overturn this

# %% tags=["remove-input"]
pages.say(result.limits)

# %% [markdown]
# ## Exercise
#
# The control *T1w again* has no new contrast. Which part of the difference in differences would you then
# subtract before blaming the contrast, and for which methods is it not zero? Use the columns `arm`,
# `condition` and `dice` of the pairs table.
#
# ```{admonition} A solution
# :class: dropdown
# Mean Dice by method and contrast in the synthesised arm. What separates *T1w again* from T1w is noise,
# bias field and the softened tissue map; the loss beyond it is the contrast's.
# ```

# %% tags=["hide-cell"]
synthesised = result.pairs[result.pairs["arm"] == "synthesised"]
synthesised.pivot_table("dice", "method", "condition").round(3) if len(synthesised) else None

# %% [markdown]
# ## How this page was made

# %% tags=["making", "remove-input"]
tables = {"pairs": result.pairs, "changes": result.changes, "effects": result.effects}
pages.show_making(NOTEBOOK, parameters, {n: t for n, t in tables.items() if len(t)}, run)
