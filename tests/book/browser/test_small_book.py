"""Every page of a small book, in a browser, at the width of a phone and of a desk."""

from __future__ import annotations

import page_checks
import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_are_sound(browser, site, width):
    pages = page_checks.list_pages(site)
    stand_ins = [p for p in pages if "experiments" in p.parts and not p.stem.endswith("_smoke")]
    context = browser.new_context(viewport={"width": width, "height": 900})
    faults = {}
    for path in sorted(set(pages) - set(stand_ins[1:])):  # which are all alike
        page, wrong = page_checks.open_page(context, path.as_uri())
        found = wrong + page_checks.find_faults(page) + page_checks.find_barriers(page)
        if width > 700:
            found += page_checks.find_small_text(page, {})
        if found:
            faults[path.name] = found
        page.close()
    context.close()
    assert not faults, "\n".join(
        f"{name}: {line}" for name, lines in faults.items() for line in lines
    )


def test_links_lead_somewhere(site):
    dead = {path.name: page_checks.find_dead_links(path) for path in page_checks.list_pages(site)}
    assert not {name: links for name, links in dead.items() if links}
