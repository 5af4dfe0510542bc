"""The book: pages executed where they are out of date, the lab's too, generated tables, then Jupyter Book.

What the prose takes from the code (tables of sources, cohorts, methods and preprocessing, the answers
of the executed pages) is written as Markdown beside those pages and included, so that no number is
typed twice.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from ..runs.profiles import notebooks_of, project_root
from .executed import update_page
from .html import build_html
from .lab import write_pages
from .snippets import write_snippets
from .toc import PAGES, list_files, select_toc


def build(profiles: Sequence[str], *, recompute: bool, console, run: Callable) -> Path:
    """Execute the pages that are out of date and build the book; returns its first page.

    Parameters
    ----------
    profiles : sequence of str
        The book has the pages that ``_toc.yml`` lists for these profiles; a profile it lists no
        page of gets a part of its own.
    recompute : bool
        Execute also the pages that are up to date.
    console : rich Console
        Progress is printed there.
    run : callable
        ``run(notebook, profile=…, parameter=None, output=None, compute_only=False)`` computes what
        is lacking and writes the page.

    Raises
    ------
    InputError
        A profile that is unknown or has no results yet, or a page of the book that does not exist.
    LumirageError
        Jupyter Book gave a warning, an error or no page; the message names its log.
    """
    root = project_root()
    toc = select_toc(yaml.safe_load((root / "_toc.yml").read_text()), profiles)
    write_pages(console)
    pages = []
    for profile in dict.fromkeys(profiles):
        for notebook in notebooks_of(profile):
            if f"{PAGES}/{notebook}_{profile}" in list_files(toc):
                update_page(notebook, profile, recompute=recompute, console=console, run=run)
                pages.append((notebook, profile))
            else:
                console.print(f"{notebook} {profile}: not in _toc.yml, left out")
    write_snippets(root / PAGES, pages)
    return build_html(root, toc, console)
