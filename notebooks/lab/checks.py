"""What is right, and what each wrong answer means: one function per question.

A check gets the answer of a student, measures it where it can be measured, and says why. None of them
says only "wrong".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import numpy as np
from labkit import Verdict
from slices import SHAPE


def _choose(answer, right: str, why: Mapping[str, str]) -> Verdict:
    """Judge one of the options that `why` explains."""
    if answer not in list(why):
        return Verdict(False, f"{answer!r} is none of the options: {', '.join(map(repr, why))}.")
    return Verdict(answer == right, why[answer])


def _number(answer) -> float | None:
    try:
        return float(answer)
    except (TypeError, ValueError):
        return None


# ---- 1: match ------------------------------------------------------------------------------------


def check_pull(field) -> Verdict:
    """A displacement that moves the content of an image by five voxels along its first axis."""
    field = np.asarray(field, dtype=np.float32)
    if field.shape != (1, 2, *SHAPE):
        return Verdict(
            False,
            f"The field has shape {field.shape}, expected {(1, 2, *SHAPE)}: one pair, two "
            "components, then the grid of the fixed image.",
        )
    places = field[0].reshape(2, -1)
    if not np.ptp(places, axis=1).max() < 0.1:  # a NaN is not less
        off = ~(np.abs(places - [[-5], [0]]) < 0.1).all(axis=0)
        return Verdict(
            False,
            f"The field is not the same everywhere, and wrong at {off.sum()} of {off.size} voxels: all "
            "of the image is to move, and all of it alike.",
        )
    return _explain_shift(*(round(-float(v), 1) + 0.0 for v in places.mean(axis=1)))


def _explain_shift(first: float, second: float) -> Verdict:
    """What it means that the content moved by so many voxels along the two axes."""
    if first == 5 and second == 0:
        return Verdict(
            True,
            "The content moved by +5 voxels, and the field holds -5: every voxel of the moved image "
            "says where in the moving image to look, and that is five voxels before it.",
        )
    if abs(first) >= SHAPE[0] or abs(second) >= SHAPE[1]:
        return Verdict(
            False, "The content left the picture: the field is much too long. It is in voxels."
        )
    if second != 0:
        return Verdict(
            False,
            f"The content moved by {second:+g} voxels along the second axis: component 0 belongs to "
            "the first axis of the array.",
        )
    if first == -5:
        return Verdict(
            False,
            "The content moved by -5 voxels: the field was read as a push. It pulls, "
            "moved(x) = moving(x + displacement(x)), so it has the other sign.",
        )
    if abs(first) in (10, 2.5):
        return Verdict(
            False, f"The content moved by {first:+g} voxels: fields are in voxels here, not in mm."
        )
    return Verdict(
        False, f"The content moved by {first:+g} voxels along the first axis, not by +5."
    )


def check_start(answer) -> Verdict:
    return _choose(
        answer,
        "no displacement",
        {
            "no displacement": "A field of zeros is what a method has to beat. A network that is worse "
            "than doing nothing has not registered anything, however fast it is.",
            "greedy": "Greedy is the control: what can be reached without learning. A method is first "
            "compared with doing nothing, and then with the control.",
            "Dice 0": "Two slices of the same height overlap before anything is moved, so no method "
            "starts from 0. Measure what a field of zeros gives.",
            "Dice 1": "1 is where a perfect match ends, not where methods start.",
        },
    )


# ---- 2: measure ----------------------------------------------------------------------------------


NOT_DICE: dict[str, Callable] = {
    "intersection over union; Dice counts the overlap twice and divides by the sum of both sizes": (
        lambda a, b: (a & b).sum() / (a | b).sum()
    ),
    "the share of the first mask that is found (sensitivity); a moved mask that covers everything "
    "would get 1": lambda a, b: (a & b).sum() / a.sum(),
    "the share of the second mask that is right (precision); a moved mask of one voxel could get 1": (
        lambda a, b: (a & b).sum() / b.sum()
    ),
    "half of Dice: the overlap counts twice, 2 |A and B| / (|A| + |B|)": (
        lambda a, b: (a & b).sum() / (a.sum() + b.sum())
    ),
    "the share of all voxels that agree; the background fills the image, so this is near 1 whatever "
    "happens to a small structure": lambda a, b: (a == b).mean(),
    "the number of voxels in both, not yet divided by the sizes": lambda a, b: (a & b).sum(),
}


def _draw_masks():
    """Three pairs of masks: overlapping squares, longer ones on another grid, two that do not meet."""
    pairs = [np.zeros((2, *shape), bool) for shape in ((8, 8), (12, 9), (8, 8))]
    boxes = (
        (np.s_[1:5, 1:5], np.s_[3:7, 1:7]),
        (np.s_[0:9, 2:7], np.s_[2:9, 1:9]),
        (np.s_[0:2, 0:3], np.s_[4:8, 4:8]),
    )
    for pair, both in zip(pairs, boxes, strict=True):
        for mask, box in zip(pair, both, strict=True):
            mask[box] = True
    return pairs


def check_dice(function: Callable) -> Verdict:
    """A function of two masks that returns their Dice."""
    if not callable(function):
        return Verdict(False, 'Hand over the function itself: check("dice", my_dice), no brackets.')
    for a, b in _draw_masks():
        found = _number(function(a, b))
        if found is None:
            return Verdict(False, f"It returned {function(a, b)!r}, expected one number.")
        shared, sizes = (a & b).sum(), a.sum() + b.sum()
        if not abs(found - 2 * shared / sizes) < 1e-3:
            for what, mistake in NOT_DICE.items():
                if abs(found - mistake(a, b)) < 1e-3:
                    return Verdict(False, f"{found:.3f} is {what}.")
            return Verdict(
                False,
                f"{found:.3f} for masks of {a.sum()} and {b.sum()} voxels with {shared} in common; "
                f"2*{shared}/{sizes} = {2 * shared / sizes:.3g}.",
            )
        lost = _number(function(a, np.zeros_like(b)))
        if lost != 0:
            return Verdict(
                False, f"Right where both are there, but a lost structure gives {lost}: it is 0."
            )
    return Verdict(
        True,
        "2 |A and B| / (|A| + |B|), and 0 for a structure that the warp lost. Lost structures stay in "
        "the mean: leaving them out would reward losing them.",
    )


def check_nonsense(answer) -> Verdict:
    """Which measures unmask the field that wins on Dice."""
    given = {answer} if isinstance(answer, str) else set(answer)
    known = {"Dice", "HD95", "folding", "true error"}
    if given - known:
        return Verdict(
            False, f"Options are {', '.join(sorted(known))}; {sorted(given - known)} is none."
        )
    if given & {"Dice", "HD95"}:
        return Verdict(
            False,
            "Dice and HD95 see borders of labels only. The field was made from the labels, so both are "
            "as good as they can be: a ruler that the method was given cannot judge it.",
        )
    if given == {"folding", "true error"}:
        return Verdict(
            True,
            "Folding sees that neighbours changed places, the true error that points are matched to the "
            "wrong points. On people the true error is not known, so folding has to stand beside Dice.",
        )
    other = "the true error" if given == {"folding"} else "folding"
    return Verdict(False, f"That is half of it: look at {other} in the table too.")


def check_ruler(answer) -> Verdict:
    return _choose(
        answer,
        "before the run",
        {
            "before the run": "Who chooses after seeing the numbers can choose the winner. This book "
            "says what had been run before its rules, and calls only what nobody had scored confirmatory.",
            "after the run": "After the run, one of the rulers puts your favourite first; with four "
            "rulers and two methods that is nearly always possible.",
            "the one that differs most": "The measure with the largest difference is the one that "
            "chance helped most. Its p-value no longer means what it says.",
        },
    )


# ---- 3: train ------------------------------------------------------------------------------------


def check_gain(answer, *, start: float, network: float, training: float) -> Verdict:
    """The gain in mean Dice on held-out pairs; `training` is the Dice on pairs of the training set."""
    found = _number(answer)
    if found is None:
        return Verdict(False, f"{answer!r} is no number.")
    if abs(found - (network - start)) < 0.002:
        return Verdict(
            True,
            f"{network:.3f} - {start:.3f}: Dice gained over doing nothing, on subjects that the "
            "network never saw. This gain is what lessons 4 and 5 spend and regain.",
        )
    if abs(found - network) < 0.002:
        return Verdict(
            False, "That is the Dice itself. Most of it was there before: subtract the start."
        )
    if abs(found - (start - network)) < 0.002:
        return Verdict(False, "The sign is turned: gain is network minus start.")
    if abs(found - (training - start)) < 0.002:
        return Verdict(
            False, "Measured on training subjects, whom the network has seen. Take held_out."
        )
    return Verdict(
        False, f"Not {found:.3f}: subtract the start from the network, both on held_out."
    )


def check_split(answer) -> Verdict:
    return _choose(
        answer,
        "by subject",
        {
            "by subject": "A subject in both parts makes the test easier than the world: the network may "
            "recognise the brain instead of registering it.",
            "by pair": "Two pairs can share a subject, so the network has seen half of the test pair.",
            "by slice": "Neighbouring slices of one brain look alike: the test slice is all but in the "
            "training set.",
            "at random": "Random slices of all subjects put every subject on both sides.",
        },
    )


# ---- 4: break ------------------------------------------------------------------------------------


ASKED = ("inverted", "dimmed", "header x 0.4", "shifted")  # others of the table may be answered too


def name_hurt(network: float, greedy: float) -> str:
    """Whom a change hurts that leaves such shares of the gain: who keeps less than 60 %."""
    hurt = (network < 0.6, greedy < 0.6)
    words = {(True, True): "both", (True, False): "network", (False, True): "greedy"}
    return words.get(hurt, "nobody")


def check_culprits(answer, *, shares) -> Verdict:
    """Who loses by each change: "network", "both" or "nobody"; `shares` as `compute_shares` gives."""
    wrong = []
    for change, word in answer.items():
        if change not in shares.index or change == "T1w":
            return Verdict(False, f"{change!r} is no row of the table.")
        if word not in ("network", "both", "nobody", "greedy"):
            return Verdict(False, f'{word!r}: expected "network", "greedy", "both" or "nobody".')
        kept = shares.loc[change, ["network", "greedy"]]
        if word != name_hurt(*kept):
            said = [f"{method} keeps {share:.0%}" for method, share in kept.items()]
            wrong.append(f"{change}: {' and '.join(said)}, so {name_hurt(*kept)!r}")
    if wrong:
        return Verdict(
            False, f"{'; '.join(wrong)}. Losing means to keep less than 60 % of the gain."
        )
    missing = [change for change in ASKED if change not in answer]
    if missing:
        return Verdict(False, f"Right so far. Still open: {', '.join(missing)}.")
    return Verdict(
        True,
        "A change that hurts both took information out of the images. A change that hurts only the "
        "network left it in, where the network has not learned to look: that is a domain shift.",
    )


def check_control(answer) -> Verdict:
    return _choose(
        answer,
        "blurred",
        {
            "blurred": "The shrunk image was resampled to coarser voxels, so it lost detail too. The "
            "blurred image lost as much and kept its size: what is lost beyond it, size has cost.",
            "T1w": "Against the sharp T1w images two things changed, size and detail, and their effects "
            "cannot be told apart.",
            "shift": "A shift changes neither size nor detail: it controls for nothing here.",
            "greedy on T1w": "That tells what another method reaches on other images.",
        },
    )


def check_zscore(answer) -> Verdict:
    return _choose(
        answer,
        "preprocessing error",
        {
            "preprocessing error": "The anatomy and the contrast are what they were. Two things changed: "
            "the background is no longer 0, and every intensity was divided by the spread. Undo both, "
            "z * spread + mean, and nothing is broken; undo the subtraction alone, and the network still "
            "sees a brain that is much too bright. It says nothing about contrasts.",
            "domain shift": "The network was trained on images whose background is 0 and whose white matter "
            "is about 1. Who hands it others made a mistake that one line mends, z * spread + mean; no "
            "scanner makes such images.",
            "both methods are broken": "Look at greedy: a correlation feels neither a subtraction nor a division.",
        },
    )


# ---- 5: repair -----------------------------------------------------------------------------------

REPAIRS = {
    "inverted": (
        ("remapped inputs", "MIND"),
        "Random curves include falling ones: inversion becomes one of them. And MIND squares differences, so "
        "it does not ask which of two tissues is the brighter one.",
    ),
    "folded": (
        ("remapped inputs",),
        "A fold is a curve too, if an odd one: random curves come near it. It makes tissues alike that were "
        "not, so that differences to neighbours change.",
    ),
    "header x 0.4": (
        ("scale augmentation",),
        "No curve changes a size. Only small brains in training could teach it about small brains.",
    ),
}


def check_repairs(answer) -> Verdict:
    """Which repair mends which break, as {break: repair}."""
    missing = [change for change in REPAIRS if change not in answer]
    if missing:
        return Verdict(False, f"Still open: {', '.join(missing)}.")
    for change, given in answer.items():
        if change not in REPAIRS:
            return Verdict(False, f"{change!r} is none of {', '.join(REPAIRS)}.")
        right, why = REPAIRS[change]
        if given == "instance optimisation":
            return Verdict(
                False,
                f"{change}: instance optimisation helps every method on every image, for it is iterative "
                "registration again. It hides the break; the network still predicts what it did.",
            )
        if given not in right:
            return Verdict(False, f"{change}: not {given}. {why}")
    return Verdict(
        True,
        "Training has to contain what will change, or the network must not look at it. Remapped inputs help "
        "as far as the random curves go: each is stretched to the full range, so a dimmed image lies outside "
        "them, and only a part of what dimming costs comes back. MIND does not feel dimming at all.",
    )


def check_cost(answer, *, plain: float, trained_on: float, repaired: float) -> Verdict:
    """What a repair costs on T1w, in mean Dice (positive: it costs), against the network trained as long."""
    found = _number(answer)
    cost = trained_on - repaired
    if found is None:
        return Verdict(False, f"{answer!r} is no number.")
    if abs(found - cost) < 0.002:
        return Verdict(
            True,
            f"{trained_on:.3f} - {repaired:.3f} = {cost:+.3f} on the images that it was made for. A small "
            "network has to divide what it can learn; say this number whenever you say that a repair works.",
        )
    if abs(found + cost) < 0.002:
        return Verdict(False, "The sign is turned: a cost is what the repaired network lacks.")
    if abs(found - (plain - repaired)) < 0.002:
        return Verdict(
            False,
            "The plain network had half of the steps: more training hides a part of the cost. Take the "
            "one that was trained on.",
        )
    return Verdict(False, "Take the row T1w of the table: trained on minus remapped inputs.")


# ---- 6: judge ------------------------------------------------------------------------------------

FOUR = {"network T1w": 0.66, "network T2w": 0.58, "greedy T1w": 0.72, "greedy T2w": 0.70}


def check_difference(answer) -> Verdict:
    """The difference in differences of the numbers in `FOUR`."""
    found = _number(answer)
    explained = {
        -0.06: (True, "(0.58 - 0.66) - (0.70 - 0.72) = -0.08 + 0.02: of the loss of the network, greedy "
                "shares 0.02, which the images have cost. 0.06 is what learning has cost."),
        0.06: (False, "The size is right, the sign is turned: the network loses more than greedy."),
        -0.08: (False, "That is what the network lost. Greedy lost on the same images: take its loss off."),
        -0.12: (False, "That is network minus greedy on T2w. They differed on T1w already: take that off."),
        -0.10: (False, "The two losses were added. What both lose is no sign of learning: subtract."),
    }  # fmt: skip
    if found is None:
        return Verdict(False, f"{answer!r} is no number.")
    for value, (right, why) in explained.items():
        if abs(found - value) < 0.0005:
            return Verdict(right, why)
    return Verdict(
        False, "(network T2w - network T1w) - (greedy T2w - greedy T1w), with the sign kept."
    )


def check_n(answer) -> Verdict:
    """The number of independent things in six subjects paired with each other thirty times."""
    return _choose(
        answer,
        6,
        {
            6: "Six brains were drawn from the population; their thirty pairs repeat them. The interval "
            "has to be over subjects.",
            30: "Every brain is in ten of the thirty pairs. One odd brain moves ten numbers at once: they "
            "are not thirty independent ones, and an interval that says so is too narrow.",
            15: "Leaving out the opposite directions is right, but brains are still shared by pairs.",
            3: "Three disjoint pairs would be independent, but the others are not worthless: six brains "
            "say more than three pairs.",
        },
    )


def check_effect_size(answer) -> Verdict:
    return _choose(
        answer,
        "the difference in Dice",
        {
            "the difference in Dice": "It is in the unit of what was measured, and a margin can be set for it "
            "before the run. Name the baseline, and give the interval.",
            "d_av": "It divides by the spread of the values, which does not depend on how alike the two "
            "methods are. It does depend on the subjects of that study: the more alike they are, the larger "
            "it is, with the same difference in Dice.",
            "d_z": "It divides by the spread of the differences. The more alike two methods are on each "
            "pair, the smaller that is: with the slider at 0.95, a difference of 0.01 looks huge.",
            "p": "A p-value grows with n. It tells whether there is a difference, never how large.",
        },
    )


def check_equal(answer) -> Verdict:
    return _choose(
        answer,
        "undecided",
        {
            "undecided": "The interval holds 0, and it also holds differences larger than the margin. "
            "Both stories fit: more subjects are needed. With fewer than five, the rules of this book allow no "
            "word at all.",
            "equal": "Equal means that the whole interval lies within the margin. Here -0.018 is inside "
            "the interval, and that would matter.",
            "not different, so equal": "No evidence of a difference is not evidence of none: with few "
            'subjects, nearly everything is "not different".',
            "loses": "0 lies in the interval: with these subjects it may as well have gained.",
        },
    )


MEASURE = r"dice|hd95|fold|error|distance|overlap|second|minute|memory"
COMPARISON = r"(?:than|within|below|above|under|over|against|at least|at most)\b|exceed|equal|[<>]"
RULED = r"interval|(?:smallest|largest|lowest|highest|every|each|all|mean|median)\b"
PLAN = {
    "claim": 'one sentence that can turn out false, with a measure, and a direction or "equal"',
    "rule": "the interval and the margin by which it will be decided, with numbers",
    "n": "the number of pairs, and of subjects behind them",
    "written_before": "the date of this plan, and its time",
}


def _has(text, *patterns: str) -> bool:
    """Whether every pattern is found in a text at the beginning of a word."""
    return all(re.search(rf"(?<!\w)(?:{p})", str(text).lower()) for p in patterns)


def _is_past(text) -> bool:
    """Whether a text is a date that has come somewhere on earth."""
    try:
        date = datetime.fromisoformat(str(text).strip())
    except ValueError:
        return False
    return date.replace(tzinfo=None) < datetime.now() + timedelta(days=1)


def check_plan(answer) -> Verdict:
    """Claim, rule, n and date of a capstone as a mapping; their form is judged, their sense by people."""
    missing = [f"{name} ({why})" for name, why in PLAN.items() if not answer.get(name)]
    if missing:
        return Verdict(False, f"Still open: {'; '.join(missing)}.")
    vague = re.search(
        r"\b(better|best|worse|worst|robust|good|bad)\b", str(answer["claim"]).lower()
    )
    if vague:
        return Verdict(
            False, f'"{vague[0]}" can be read in many ways: say which measure, and against what.'
        )
    if not _has(answer["claim"], MEASURE, COMPARISON):
        return Verdict(
            False,
            "The claim needs a measure, mean Dice for example, and what it is compared with: more than, "
            "less than, equal to.",
        )
    if not _has(answer["rule"], r"\d", COMPARISON, RULED):
        return Verdict(
            False,
            "The rule needs a margin, which has a number, and what has to lie above, below or within it: "
            "an interval, or every pair.",
        )
    if len(re.findall(r"(?<![\w.])[1-9]\d*", str(answer["n"]))) < 2 or not _has(
        answer["n"], "pair", "subject|brain|person|people|patient"
    ):
        return Verdict(False, "n has two numbers: so many pairs, of so many subjects.")
    if not _is_past(answer["written_before"]):
        return Verdict(
            False,
            "Say when this was written, year first and not in the future, for example 2026-11-01 10:00: "
            "the date has to lie before the run.",
        )
    return Verdict(True, "Now it can be wrong, so it can be right. Commit it before you run.")


CHECKS: dict[str, Callable] = {
    "pull": check_pull,
    "start": check_start,
    "dice": check_dice,
    "nonsense": check_nonsense,
    "ruler": check_ruler,
    "gain": check_gain,
    "split": check_split,
    "culprits": check_culprits,
    "control": check_control,
    "z-score": check_zscore,
    "repairs": check_repairs,
    "cost": check_cost,
    "difference": check_difference,
    "n": check_n,
    "effect size": check_effect_size,
    "equal": check_equal,
    "plan": check_plan,
}
