"""What methods are called in figures, tables and sentences."""

from __future__ import annotations

METHOD_NAMES = {
    "affine": "affine only",
    "syn": "SyN (ANTs)",
    "greedy": "greedy",
    "fireants-greedy": "FireANTs greedy",
    "fireants-syn": "FireANTs SyN",
    "fireants-greedy-mind": "FireANTs greedy (MIND)",
    "vfa": "VFA",
    "lapirn-disp": "LapIRN (disp.)",
    "lapirn-diff": "LapIRN (diff.)",
    "clapirn": "conditional LapIRN",
    "symnet": "SYMNet",
    "voxelmorph": "VoxelMorph",
}
AS_GIVEN = "@grid"  # a network fed the working grid, see `methods`


def name_of(method: str) -> str:
    """Display name of a method: "VFA + IO", "VFA (as given)"; one that is not known keeps its own."""
    base = method.removesuffix(AS_GIVEN)
    suffix = " (as given)" if base != method else ""
    plain = base.removesuffix("+io")
    return METHOD_NAMES.get(plain, plain) + (" + IO" if plain != base else "") + suffix
