"""Every page of the book that was built here, at three widths, light, dark and on paper: `make browser`.

What it prints at the end is its report: pages, the heaviest, the slowest, and how soon the first is ready.
"""

from __future__ import annotations

from pathlib import Path

import page_checks
import pytest

from lumirage_lib.runs.profiles import project_root

pytestmark = [pytest.mark.browser_real, pytest.mark.timeout(3600)]
SITE = project_root() / "_build" / "html"
PAGES = page_checks.list_pages(SITE)
HEAVIEST, READY_MS = 3e6, 1000
# Milliseconds from the start of the visit until everything the page names is there.
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


@pytest.fixture(scope="module", autouse=True)
def built():
    if not PAGES:
        pytest.fail("no book was built here (make book)")


def weigh(path: Path) -> int:
    """Bytes of a page and of all that it loads from the disk."""
    from bs4 import BeautifulSoup

    soup, names = BeautifulSoup(path.read_text(), "html.parser"), set()
    for tag in soup(["script", "img"], src=True):
        names.add(tag["src"])
    for tag in soup("link", rel=["stylesheet", "icon"]):
        names.add(tag["href"])
    for tag in soup.select(".lumirage-viewer"):
        names.add(f"{tag['data-root']}data/{tag['data-case']}.js")
    files = {(path.parent / name.split("?")[0]).resolve() for name in names if "data:" not in name}
    return path.stat().st_size + sum(f.stat().st_size for f in files if f.is_file())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 390])
def test_pages_are_sound(browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    faults = []
    for path in PAGES:
        page, wrong = page_checks.open_page(context, path.as_uri())
        found = wrong + page_checks.find_faults(page) + page_checks.find_barriers(page)
        faults += [f"{path.name}: {line}" for line in found]
        page.close()
    context.close()
    assert not faults, "\n".join(faults)


def test_text_of_figures_can_be_read(browser):
    """As they are shown on a desk and on a tablet; on a phone a figure opens as SVG."""
    faults, smallest, shares = [], [], {}
    for width in (1280, 768):
        context = browser.new_context(viewport={"width": width, "height": 900})
        for path in PAGES:
            page, _ = page_checks.open_page(context, path.as_uri())
            for part in (".lumirage-explorer", ".lumirage-viewer"):
                if page.locator(part).count():
                    page.locator(part).first.scroll_into_view_if_needed()
                    page.wait_for_selector(f"{part}[data-ready]", timeout=30_000)
            found = page_checks.find_small_text(page, shares)
            faults += [f"{path.name} at {width}: {line}" for line in found]
            widths = [w for w, _ in page.evaluate(page_checks.DRAWINGS)["figures"]]
            smallest += [(w, width) for w in widths]
            page.close()
        context.close()
    print(f"\n{len(shares)} figures, shown {min(smallest)[0]} px wide or wider")
    assert shares
    assert not faults, "\n".join(faults)


def test_nothing_is_cut_on_paper(browser):
    """At the width of an A4 sheet, as it is printed."""
    context = browser.new_context(viewport={"width": 680, "height": 960})
    faults = []
    for path in PAGES:
        page, _ = page_checks.open_page(context, path.as_uri())
        page.emulate_media(media="print")
        faults += [f"{path.name}: {line}" for line in page_checks.find_faults(page)]
        page.close()
    context.close()
    assert not faults, "\n".join(faults)


def test_links_lead_somewhere():
    dead = {path.name: page_checks.find_dead_links(path) for path in PAGES}
    assert not {name: links for name, links in dead.items() if links}


def test_pages_are_light_and_the_first_is_ready_at_once(browser):
    weights = {path.name: weigh(path) for path in PAGES}
    heavy = max(weights, key=weights.get)
    page = browser.new_page()
    times = []
    for _ in range(3):
        page.goto((SITE / "book" / "index.html").as_uri(), wait_until="load")
        page.wait_for_timeout(100)
        times.append(page.evaluate(LOADED))
    print(
        f"\n{len(PAGES)} pages; the heaviest, {heavy}, has {weights[heavy] / 1e6:.2f} MB; "
        f"the landing page is ready after {min(times):.0f} ms"
    )
    assert weights[heavy] < HEAVIEST, weights
    assert min(times) < READY_MS
