"""How a method is shown: its name, colour, marker and place, from what its spec declares.

A modified method is its network with a twist: ``x+io`` and ``x@grid`` keep the colour of ``x`` and
differ from it in name and marker. A name that no method has (a row of another machine's store, whose
module is not here) is shown as it is, in :data:`STRANGER`.
"""

import zlib
from collections.abc import Iterable

from ..errors import LumirageError
from .base import FAMILIES, MethodSpec

# Okabe & Ito (2008) and Tol (2021), distinguishable with every common form of colour blindness.
# Iterative methods are warm, deep ones cold, the baseline grey. These are for methods that declare
# no colour of their own; the shipped ones are spared.
SPARE = {
    "baseline": ("#BBBBBB", "#555555"),
    "iterative": ("#EE8866", "#EECC66", "#BB5566", "#FFAABB"),
    "deep": ("#77AADD", "#99DDFF", "#BBCC33", "#004488"),
}
STRANGER = "#999933"
MARKERS = {
    ("baseline", ""): "s",
    ("iterative", ""): "o",
    ("deep", ""): "^",
    ("deep", "+io"): "D",
    ("deep", "@grid"): ">",
    ("deep", "+io@grid"): "P",
}
AS_GIVEN = "@grid"  # a network fed the working grid, see `deep.feed_any_grid`
MODIFIERS = {"+io": " + IO", AS_GIVEN: " (as given)"}


def split_method(method: str) -> tuple[str, str]:
    """Base method and its modifiers in one order.

    >>> split_method("vfa@grid+io")
    ('vfa', '+io@grid')
    """
    base, found = method, set()
    while suffix := next((m for m in MODIFIERS if base.endswith(m)), None):
        base = base.removesuffix(suffix)
        found.add(suffix)
    return base, "".join(m for m in MODIFIERS if m in found)


def _find(method: str) -> MethodSpec | None:
    from . import get_method  # the registry above reads the wrappers, which this one must not

    try:
        return get_method(split_method(method)[0])
    except LumirageError:
        return None


def name_of(method: str) -> str:
    """Display name of a method.

    >>> name_of("vfa+io"), name_of("clapirn@grid"), name_of("not_here:METHOD")
    ('VFA (ours, 2 mm) + IO', 'conditional LapIRN (as given)', 'not_here:METHOD')
    """
    base, modifiers = split_method(method)
    spec = _find(base)
    name = spec.name if spec else base
    return name + "".join(said for m, said in MODIFIERS.items() if m in modifiers)


def family_of(method: str) -> str:
    """Family of a method, one of :data:`FAMILIES`.

    Raises
    ------
    InputError
        There is no such method here.
    """
    from . import get_method

    return get_method(split_method(method)[0]).family


def colour_of(method: str) -> str:
    """Colour of a method: its own, or one of its family's spare ones, the same in every run."""
    spec = _find(method)
    if spec is None:
        return STRANGER
    spare = SPARE[spec.family]
    return spec.colour or spare[zlib.crc32(spec.id.encode()) % len(spare)]


def marker_of(method: str) -> str:
    """Matplotlib marker: one per family, another where the method is modified."""
    spec = _find(method)
    return MARKERS.get((spec.family, split_method(method)[1]), "X") if spec else "X"


def order_of(methods: Iterable[str]) -> list[str]:
    """Methods, each once: baseline, iterative, deep; within a family as registered, then strangers.

    A modified method follows its base.
    """
    from . import METHODS

    known = list(METHODS)

    def place(method: str) -> tuple:
        base, modifiers = split_method(method)
        spec = _find(base)
        family = FAMILIES.index(spec.family) if spec else len(FAMILIES)
        return family, known.index(base) if base in known else len(known), base, modifiers

    return sorted(dict.fromkeys(methods), key=place)
