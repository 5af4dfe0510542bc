"""What the paper claims, in its abstract's words, and what the challenge's authors say of it."""

from dataclasses import dataclass

CHAPTER_OF_MEMORY = "04_resolution"


@dataclass(frozen=True)
class Statement:
    """A claim of the paper, in its abstract's words, and what the challenge's authors say of it.

    Quotes: Jena, Chaudhari & Gee (2026), abstract; Chen et al. (arXiv 2505.24160), abstract.

    Attributes
    ----------
    notebooks : tuple of str
        Whose verdicts judge it; none: it is not tested.
    replaced : str
        Why its verdict by version 1 of the rules does not stand.
    instead : str
        What stands in the place of a verdict, where the claim has none.
    short : str
        What it is about, in two words.
    untested : str
        What of it nothing here tests, and why.
    place : tuple of str
        Preposition and name of the place in a sentence, where the arms have no names of their own.
    """

    id: str
    claim: str
    paper: str
    challenge: str
    notebooks: tuple[str, ...]
    replaced: str = ""
    instead: str = ""
    short: str = ""
    untested: str = ""
    place: tuple[str, str] = ("on", "")


STATEMENTS = (
    Statement(
        "t1w",
        "On T1w brains, networks and iterative optimisation are equally accurate",
        "“deep learning methods perform comparably to iterative optimization on in-distribution T1w "
        "images”",
        "deep networks lead the leaderboard",
        ("01_in_distribution",),
        "its families were whatever had been run on all pairs, some of it at coarser voxels; now they are "
        "declared by role",
        short="T1w brains",
        place=("on", "T1w brains"),
    ),
    Statement(
        "macaque",
        "On macaque brains they are equally accurate",
        "“and even on human-adjacent species (macaque)”",
        "“strong robustness to most domain shifts”",
        ("02_macaque",),
        "three independent brains decide nothing; true size shows networks that are not told the size, "
        "and is drawn, not judged",
        short="macaques",
        # Of its two sizes the one that the paper's images have; the scoreboard draws both.
        place=("of", "macaques at human size"),
    ),
    Statement(
        "contrasts",
        "On T2w, T2*w and FLAIR networks lose more than iterative methods",
        "“performance degrades significantly on out-of-distribution contrasts (T2, T2*, FLAIR), with "
        "Cohen's d scores ranging from 0.7–1.5”",
        "“the exception being a drop in performance on out-of-domain contrasts”",
        ("03_contrasts",),
        "FLAIR compared a method at 2 mm with networks at 1 mm, and thick slices with thin ones; "
        "synthesised contrasts were referred to images that had not been synthesised; three patients "
        "were given a verdict",
        short="other contrasts",
    ),
    Statement(
        "resolution",
        "At 0.6 mm networks fail to run",
        "“failing to run on 0.6 mm isotropic images”",
        "not addressed in the abstract",
        (),
        "it rested on one registration of one generated pair; whether a network runs is a number of "
        "gigabytes for each form of it, not a verdict",
        "a number of gigabytes, not a verdict",
    ),
    Statement(
        "gain",
        "At 0.6 mm iterative methods gain",
        "“while iterative methods benefit from increased resolution”",
        "not addressed in the abstract",
        (CHAPTER_OF_MEMORY,),
        short="what 0.6 mm gains",
        untested="individual brains at 0.6 mm",
        place=("on", "generated brains at 0.6 mm"),
    ),
    Statement(
        "preprocessing",
        "Networks are sensitive to preprocessing",
        "“deep methods exhibit high sensitivity to preprocessing choices”",
        "not addressed in the abstract",
        ("05_preprocessing",),
        "it rested on two of twenty-four perturbations; the paper's own two are primary now",
        short="preprocessing",
        place=("with", ""),
    ),
    Statement(
        "winner",
        "The network that won the challenge loses accuracy on what it was not trained on",
        "the paper's networks are those of the LUMIR challenge",
        "“strong robustness to most domain shifts”",
        (),
        short="the network that won the challenge",
        untested="the network that won the challenge, whose weights are not public",
    ),
)
