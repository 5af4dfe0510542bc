"""Who stands for whom in which arm: declared by role before the runs that are judged.

A family holds what plays one role and works at the arm's voxels: *deep* the published networks that
were trained on T1w scans of OASIS, one of them on others too, at 1 mm: the reference is in distribution;
*iterative* the optimisers that go down to the voxels of the working grid. What works coarser (VFA of
ours, SyN without its last level, ConvexAdam) or was trained on other people (LKU-Net) stands beside.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..methods import family_of, get_method, order_of
from ..methods.display import split_method
from .entry import Entry


@dataclass(frozen=True)
class Families:
    """The two sides of a comparison, methods in the order of figures."""

    deep: tuple[str, ...]
    iterative: tuple[str, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        return (*self.deep, *self.iterative)


@dataclass(frozen=True)
class Arm:
    """What was declared of an arm.

    Attributes
    ----------
    name : str
        As entries name it.
    title : str
        In sentences.
    families : Families
    references : mapping of str to str
        Condition -> the condition that passed through everything but the change in question.
    primary : tuple of str
        Conditions whose verdicts count on the scoreboard and are adjusted together; the others are
        exploratory.
    n_pairs : int, optional
        Ordered pairs of the published run: no verdict before all were tried.
    status : {"re-analysis", "confirmatory"}
        Whether its images had been scored when the rules were written.
    label_sets : tuple of str
        Labels that must give the same word, where registration made the first; none: its own decide.
    drew_labels : tuple of str
        Methods whose registrations of atlases made the first labels: their scores are hatched.
    n_scored, scored_in, fresh : int, str, str
        How many first pairs of it, or which other arm's pairs of it, had been scored when the rules were
        written, and what the others are called; these are judged apart, too.
    beside : str
        What else differs between the two sides or between condition and reference, so that its
        numbers stand without a verdict (rule 2).
    """

    name: str
    title: str
    families: Families
    references: Mapping[str, str]
    primary: tuple[str, ...] = ()
    n_pairs: int | None = None
    status: str = "re-analysis"
    label_sets: tuple[str, ...] = ()
    drew_labels: tuple[str, ...] = ()
    n_scored: int = 0
    scored_in: str = ""
    fresh: str = ""
    beside: str = ""


# Every method of both roles, and the two of each that are run everywhere.
ALL = Families(
    ("lapirn-disp", "lapirn-diff", "clapirn", "symnet", "voxelmorph"),
    ("syn-full", "greedy", "fireants-greedy", "fireants-syn"),
)
# How pages call a family.
FAMILY_WORDS = {"iterative": "iterative methods", "deep": "networks"}
CORE = Families(("lapirn-disp", "clapirn"), ("greedy", "fireants-greedy"))
FIRST = Families(("clapirn", "vfa"), ("greedy",))
ONE_EACH = Families(("clapirn",), ("greedy",))  # of what is run there, those at the arm's voxels
# How the claim on the pairs of an arm ends that nobody here had scored when the rules were written: at this
# voxel size (at 2 mm version 1 had, so it is a re-analysis), or at all, which alone is confirmatory.
UNSCORED = "not scored before"
FRESH = ("not scored at 1 mm before", UNSCORED)
# The only networks that no test scan can have leaked into; beside the primary ones.
LEAK_FREE = ("lkunet", "vfa")

STANDARD, AGAIN, THICK, T1W = "standard", "T1w again", "T1w thick", "T1w"
ARMS = {  # in the order of the runs
    arm.name: arm
    for arm in (
        Arm(
            "nichart at 1 mm",
            "real FLAIR of 18 older adults, every method at 1 mm",
            CORE,
            {"FLAIR": THICK, THICK: T1W},
            ("FLAIR",),
            30,
            n_scored=14,
            fresh=FRESH[0],
        ),
        Arm(
            "preprocessing",
            "the paper's own two conditions",
            CORE,
            {"tight crop": STANDARD, "LPS not told": STANDARD},
            ("tight crop", "LPS not told"),
            12,
        ),
        Arm("oasis", "T1w brains of 10 adults", ALL, {}, (STANDARD,), 20),
        Arm(
            "real5",
            "real T2w and FLAIR of 5 people",
            CORE,
            {"T2w": T1W, "FLAIR": T1W},
            n_pairs=20,
            label_sets=("fused", "fused-lapirn", "seg-T1w"),
            drew_labels=("greedy",),
            scored_in="openms",
            fresh=UNSCORED,
        ),
        Arm(
            "synthesised",
            "synthesised contrasts",
            CORE,
            {"T2w": AGAIN, "T2*w": AGAIN, "FLAIR": AGAIN, AGAIN: T1W},
            ("T2w", "T2*w"),
            12,
        ),
        # Each method is compared with itself on the coarser grid.
        Arm(
            "0.6 mm",
            "generated brains that differ down to 1.5 mm",
            Families((), CORE.iterative),
            {"0.6 mm": "1 mm"},
            ("0.6 mm",),
            12,
            "confirmatory",
        ),
        Arm("macaque", "macaque brains", CORE, {}, n_pairs=10),
        # As version 1 had them.
        Arm(
            "openms",
            "real T2w and FLAIR of 3 patients",
            FIRST,
            {"T2w": T1W, "FLAIR": T1W},
            drew_labels=("greedy",),
        ),
        Arm(
            "nichart",
            "the same adults at 2 mm",
            FIRST,
            {"FLAIR": T1W},
            beside="conditional LapIRN worked at 1 mm, the others at 2 mm, and FLAIR was scanned in "
            "thicker slices than T1w",
        ),
        # Too few people for a verdict: shown once all pairs were tried.
        Arm(
            "openms-clinical",
            "real FLAIR of 4 patients in thick slices",
            ONE_EACH,
            {"FLAIR": T1W},
            n_pairs=12,
            drew_labels=("greedy",),
        ),
        Arm(
            "ls",
            "real T2*w of 2 people",
            ONE_EACH,
            {"T2*w": T1W},
            n_pairs=2,
            drew_labels=("greedy",),
        ),
    )
}
N_PRIMARY = sum(len(arm.primary) for arm in ARMS.values())


def name_claim(arm: str, condition: str) -> str:
    """What the claim on a condition of an arm is called: "oasis", "synthesised: T2w"."""
    return arm if condition in (STANDARD, arm) else f"{arm}: {condition}"


# What the images of an arm are called where internal names do not belong.
PLAIN = {
    "nichart at 1 mm": "real {}",
    "nichart": "real {} at 2 mm",
    "real5": "real {} of 5 people",
    "openms": "real {} of 3 patients",
    "openms-clinical": "real {} of 4 patients, thick slices",
    "ls": "real {} of 2 people",
    "macaque": "macaque, {}",
    "synthesised": "synthesised {}",
}
PLAIN_ARMS = {
    "oasis": "T1w",
    "template": "generated brains",
    "0.6 mm": "generated brains at 0.6 mm",
    "volumetry": "volumes by labels",
    "unchanged": "scans of one brain",
    "FLAIR (nichart)": "real FLAIR",
    # Of version 1 of the rules.
    "in-distribution": "T1w",
    "resolution": "registrations that completed",
    "preprocessing-deep": "worst drop of a network",
    "preprocessing-more": "networks against iterative methods",
}
PLAIN_CLAIMS = {"synthesised: T1w": "T1w as scanned"}  # what is unlike the other images of its arm
PLAIN_CONDITIONS = {"LPS not told": "turned images", "tight crop": "tightly cropped images"}


def name_plainly(name: str) -> str:
    """What a claim is about, for readers.

    >>> name_plainly("synthesised: T2w"), name_plainly("oasis"), name_plainly("macaque: human size")
    ('synthesised T2w', 'T1w', 'macaque, human size')
    """
    arm, _, condition = name.partition(": ")
    if name in PLAIN_CLAIMS:
        return PLAIN_CLAIMS[name]
    if not condition and arm not in PLAIN:
        return PLAIN_ARMS.get(arm, arm)
    condition, _, rest = condition.partition(", ")
    named = PLAIN.get(arm, "{}").format(PLAIN_CONDITIONS.get(condition, condition) or "images")
    return f"{named} ({rest})" if rest else named


def is_primary(name: str) -> bool:
    """Whether the claim of this name counts on the scoreboard."""
    return any(name_claim(arm.name, c) == name for arm in ARMS.values() for c in arm.primary)


def choose_families(arm: str, methods: Iterable[str]) -> Families:
    """The families of an arm: the declared ones where a run asks for them, else those it asks for.

    A live page has fewer methods than the published run; there the networks as trained stand against
    the iterative methods.
    """
    # Rows hold the id of a method that was named as module:attribute.
    methods = order_of(get_method(m).id if ":" in m else m for m in methods)
    if arm in ARMS and set(ARMS[arm].families.methods) <= set(methods):
        return ARMS[arm].families
    plain = [m for m in methods if "+io" not in split_method(m)[1]]
    return Families(
        *(tuple(m for m in plain if family_of(m) == side) for side in ("deep", "iterative"))
    )


def find_turn(entry: Entry) -> int:
    """When a registration is computed: by arm, and first what a verdict waits for."""
    arm = ARMS.get(entry.arm)
    if arm is None or entry.task.method not in arm.families.methods:
        return len(ARMS)
    needed = {c for pair in arm.references.items() for c in pair if pair[0] in arm.primary}
    judged = needed | set(arm.primary)
    return list(ARMS).index(arm.name) if not judged or entry.condition in judged else len(ARMS)
