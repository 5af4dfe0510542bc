"""The twenty kinds of fault, and which tests make inputs of each: counted at the end of a run."""

from __future__ import annotations

import re

NAMES = {
    1: "integrity",
    2: "world position",
    3: "units",
    4: "orientation unknown",
    5: "background",
    6: "substitution",
    7: "degenerate statistics",
    8: "imports",
    9: "typos",
    10: "the cache",
    11: "threads and alignments",
    12: "passing faults",
    13: "causes of a store's fault",
    14: "work lost at the end",
    15: "text as markup",
    16: "memory without bound",
    17: "one bad entry",
    18: "interrupts",
    19: "hostile text",
    20: "messages",
}
# Tests that are not of the table (which names its kinds): part of "file::function".
OF = {
    1: (
        r"damaged_(file|mgz|displacement|npz|ground)|was_cut|members_in_a_row|read_to_its_end|"
        r"changed_bytes|truncated_file|shell.*(bit|cut)|says_what.*flipped"
    ),
    2: (
        r"keep_their_place|labels_of_the_same_shape|labels_outside|lie_elsewhere|on_the_fixed_grid|"
        r"stored_with_other_axes|on_the_axes_its_header|one_sentence\[labels elsewhere"
    ),
    3: r"unit_of_a_header|we_write_says_mm|which_unit",
    4: r"axes_lie|does_not_say|register_refuses_it|is_assumed|assumption|forms_that_dis|no orient",
    5: r"background|prepared_from|should_be_stays|image_of_nothing|all zero|one slice\]",
    6: r"own_labels|labels_in_another|labels_of_one_image|no labels",
    7: r"test_degenerate",
    8: r"not_ours_is_refused|export_that_is_not_whole|folder_without_export|merge_",
    9: r"test_profile|bad_parameters|unknown_notebook|given_twice",
    10: r"kept_file_that|it_cannot_be_made|never_made|remembered_number|damaged_cache",
    11: r"test_register\.py|are_those_allowed|alignment_of_a_shell",
    12: r"fault_that_passes|every_end_has|want_of_memory|process_that_died|lack_of_a_source",
    13: r"test_store.*(blames|full_disk|no_store|another_version|damaged_store|waited|made_is_said)",
    14: r"export_that_breaks|before_anything_is_computed|keeps_the_page|share_a_folder",
    15: r"is_nobodys_markup",
    16: (
        r"no_memory_holds|gzip_bomb|tiny_voxels|known_size|memory_limit|ids_of_the_allen|"
        r"huge header|gzip bomb|tiny voxels"
    ),
    17: r"test_local.*refused|one_bad_entry|sums_that|is_no_displacement|is_no_npz",
    18: (
        r"interrupt|hangs|parent_that_is_killed|starts_ends_with|not_wanted|killed_run|kills|"
        r"one_who_watches"
    ),
    19: r"task_that_is_none|saved_otherwise|broken JSON|flood|hostile|yaml",
    20: (
        r"scaled_integers|is_no_volume|of_another_kind|given_for_labels|slab_too_thin|would_execute|"
        r"not_foreseen|colours|complex|table_that_is_none|root_without|field of NaN"
    ),
}
PROCESS = r"shell|_processes|test_interrupt|killed|test_child|fault_that_p|slow"


def find_kind(nodeid: str) -> int | None:
    """The kind of fault that a test is about."""
    if found := re.search(r"test_commands.*\[(\d\d) ", nodeid):
        return int(found[1])
    return next((kind for kind, words in OF.items() if re.search(words, nodeid)), None)


def is_process(nodeid: str) -> bool:
    """Whether the test gives its input to a process of its own."""
    return re.search(PROCESS, nodeid) is not None
