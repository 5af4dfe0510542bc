"""What is asked of a page that a browser shows."""

from __future__ import annotations

import functools
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

EXAMPLE = "https://github.com/example/lumirage"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


def list_pages(site: Path) -> list[Path]:
    """Pages of a book but for redirects, the index of terms and the search."""
    return sorted((site / "book").rglob("*.html"))


def open_page(context, address: str):
    """A page when all of it is there, and what went wrong on the way."""
    page, wrong = context.new_page(), []
    page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("requestfailed", lambda r: wrong.append(f"not loaded: {r.url}"))
    page.on(
        "request", lambda r: wrong.append(f"from elsewhere: {r.url}") if is_remote(r.url) else None
    )
    page.goto(address, wait_until="load")
    return page, wrong


def is_remote(address: str) -> bool:
    return urlsplit(address).scheme not in ("file", "data", "blob", "about")


def find_faults(page) -> list[str]:
    """Overflow to the side, and images that show nothing."""
    width = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    faults = [f"{width} px too wide: {find_widest(page)}"] if width > 0 else []
    broken = page.evaluate(
        "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    )
    return faults + [f"broken image: {source}" for source in broken]


def find_widest(page) -> list[str]:
    """Elements that reach beyond the window and do not scroll in a box of their own."""
    return page.evaluate(
        """() => [...document.querySelectorAll('article *')].filter(e => {
            if (e.getBoundingClientRect().right <= innerWidth + 1) return false;
            for (let p = e.parentElement; p; p = p.parentElement)
                if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return false;
            return true;
        }).slice(0, 5).map(e => e.outerHTML.slice(0, 120))"""
    )


LEAST_PX = 9
# Of every text of an SVG: its size over the width of the picture, as the browser lays it out.
SHARES = """() => {
    const root = document.documentElement, width = root.viewBox.baseVal.width;
    const size = m => Math.hypot(m.a, m.b);  // also of what stands upright
    return [...document.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t =>
        parseFloat(getComputedStyle(t).fontSize) * size(t.getCTM()) / size(root.getCTM()) / width)
}"""
# Figures with their SVG, and text of drawings that are part of the page.
DRAWINGS = """() => ({
    figures: [...document.querySelectorAll('figure')].map(f =>
        [f.querySelector('img')?.clientWidth, f.querySelector('figcaption a[href$=".svg"]')?.href])
        .filter(([width, link]) => width && link),
    texts: [...document.querySelectorAll('svg text')].filter(t => t.textContent.trim() && t.checkVisibility())
        .map(t => [t.textContent.trim().slice(0, 30),
            parseFloat(getComputedStyle(t).fontSize) * Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b)])
})"""


def find_small_text(page, shares: dict[str, float]) -> list[str]:
    """Figures and drawings of which some text is shown smaller than 9 px.

    `shares` keeps what was found of a figure, for the same page at another width.
    """
    drawings = page.evaluate(DRAWINGS)
    faults = [f"{px:.1f} px: {text!r}" for text, px in drawings["texts"] if px < LEAST_PX - 0.05]
    for width, link in drawings["figures"]:
        if link not in shares:
            figure = page.context.new_page()
            figure.goto(link)
            shares[link] = min(figure.evaluate(SHARES), default=1.0)
            figure.close()
        if shares[link] * width < LEAST_PX - 0.05:
            faults.append(f"{shares[link] * width:.1f} px at {width} px: {link.rsplit('/', 1)[-1]}")
    return faults


def find_barriers(page) -> list[str]:
    """What axe finds by the rules of WCAG 2.1, A and AA."""
    from axe_playwright_python.base import AXE_SCRIPT

    page.evaluate(AXE_SCRIPT)
    found = page.evaluate(f"axe.run(document, {{runOnly: {RULES}, resultTypes: ['violations']}})")
    return [
        f"{v['id']}: {n['target']} {n['html'][:150]} {n.get('failureSummary', '')[:200]}"
        for v in found["violations"]
        for n in v["nodes"][:3]
    ]


@functools.cache
def _read(path: Path) -> frozenset[str]:
    soup = BeautifulSoup(path.read_text(), "html.parser")
    return frozenset(tag["id"] for tag in soup(id=True))


def find_dead_links(path: Path) -> list[str]:
    """Links of a page to files and places that are not there."""
    soup, dead = BeautifulSoup(path.read_text(), "html.parser"), []
    for tag in soup("a", href=True):
        parts = urlsplit(tag["href"])
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        place = unquote(parts.fragment)
        there = target.exists() and (
            not place or "=" in place or target.suffix != ".html" or place in _read(target)
        )
        if not there:
            dead.append(tag["href"])
    return dead
