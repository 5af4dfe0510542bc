"""The whole built book as one PDF: what `make pdf` calls after `make book`.

    python book/_ext/pdf.py [OUTPUT]

The articles of all pages, in the order of the table of contents, become one page with links within it,
which a Chromium prints (`apt-get install chromium`, or its path in LUMIRAGE_CHROMIUM).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup

from lumirage_lib.book.toc import list_files
from lumirage_lib.runs.profiles import project_root

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
INSTALL = "needs a Chromium: apt-get install chromium, or its path in LUMIRAGE_CHROMIUM"
NOT_PRINTED = "script, button, .headerlink, .lumirage-explorer, details.hide"  # no folded code


def find_chromium() -> str | None:
    """Path of the browser; None where there is none."""
    return os.environ.get("LUMIRAGE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def _name(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def read_article(path: Path, pages: set[Path]):
    """The article of a page, its places named after the page and its links led to them."""
    article = BeautifulSoup(path.read_text(), "html.parser").find("article")
    for tag in article.select(NOT_PRINTED):
        tag.decompose()
    for tag in article.select("noscript"):
        tag.unwrap()
    for tag in article("details"):
        tag["open"] = ""
    for tag in article(id=True):
        tag["id"] = f"{_name(path)}--{tag['id']}"
    for tag, name in [(t, "src") for t in article("img")] + [(t, "href") for t in article("link")]:
        if not urlsplit(tag[name]).scheme:
            tag[name] = (path.parent / unquote(tag[name])).resolve().as_uri()
    for tag in article("a", href=True):
        parts = urlsplit(tag["href"])
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not parts.scheme and target in pages:
            place = f"--{parts.fragment}" if parts.fragment else ""
            tag["href"] = f"#{_name(target)}{place}"
        elif not parts.scheme:
            tag.unwrap()  # a file beside the page, which is not beside the PDF
    article["id"] = _name(path)
    return article


def join_pages(html: Path, files: list[str]) -> str:
    """All articles under the head of the first page; a new sheet for each."""
    paths = [(html / f"{file}.html").resolve() for file in files]
    first = BeautifulSoup(paths[0].read_text(), "html.parser")
    for tag in first.head("script"):
        tag.decompose()
    articles = "".join(
        f'<div style="break-before: page">{read_article(path, set(paths))}</div>' for path in paths
    )
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light">{first.head}'
        f'<body><main class="bd-article" style="max-width: 46rem; margin: auto">{articles}</main>'
        "</body></html>"
    )


def main(output: Path) -> None:
    from playwright.sync_api import sync_playwright

    root, chromium = project_root(), find_chromium()
    if chromium is None:
        sys.exit(INSTALL)
    html = root / "_build" / "html"
    if not (html / "index.html").exists():
        sys.exit("no book was built here: make book")
    toc = yaml.safe_load((root / "_build" / "_toc.yml").read_text())
    whole = html / toc["root"].split("/")[0] / "whole.html"  # where the links to style sheets hold
    whole.write_text(join_pages(html, list(list_files(toc))))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(whole.as_uri(), wait_until="load", timeout=120_000)
            page.pdf(
                path=output, format="A4", outline=True, tagged=True,
                margin=dict.fromkeys(("top", "bottom", "left", "right"), "15mm"),
            )  # fmt: skip
            browser.close()
    finally:
        whole.unlink()
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else project_root() / "_build" / "lumirage.pdf")
