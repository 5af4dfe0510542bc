"""Jupyter Book is run so that nothing it complains of passes, and the result needs no network."""

from __future__ import annotations

import io
import itertools
import re
import shutil

import pytest
import yaml
from bs4 import BeautifulSoup
from rich.console import Console

from lumirage_lib.book.html import build_html
from lumirage_lib.errors import InputError, LumirageError
from lumirage_lib.methods import list_methods
from lumirage_lib.runs.profiles import project_root

TOC = {
    "format": "jb-book",
    "root": "book/index",
    "parts": [{"caption": "Part", "chapters": [{"file": "book/page"}]}],
}
BUILT = project_root() / "_build" / "html"
PAGES = sorted((BUILT / "book").rglob("*.html"))
needs_build = pytest.mark.skipif(not PAGES, reason="no book was built here (make book)")


@pytest.fixture
def small_book(tmp_path):
    """A book of two pages with the configuration of the real one; returns its root."""
    shutil.copy(project_root() / "_config.yml", tmp_path)
    shutil.copy(project_root() / "CITATION.cff", tmp_path)
    for folder in ("_static", "_ext", "viewer", "explorer"):
        shutil.copytree(project_root() / "book" / folder, tmp_path / "book" / folder)
    shutil.copy(project_root() / "book" / "references.bib", tmp_path / "book")
    (tmp_path / "book" / "index.md").write_text("# Small\n\nSee [the page](page.md).\n")
    (tmp_path / "book" / "page.md").write_text(
        "# Page\n\n{cite}`dice1945`\n\n```{bibliography}\n```\n"
    )
    return tmp_path


def build(root) -> tuple[str, str]:
    said = io.StringIO()
    try:
        return str(build_html(root, TOC, Console(file=said, width=200))), said.getvalue()
    except LumirageError as error:
        return str(error), said.getvalue()


@pytest.mark.slow
def test_a_warning_is_an_error_that_no_second_build_hides_and_a_sound_book_is_built(small_book):
    page = small_book / "book" / "page.md"
    sound = page.read_text()
    page.write_text(f"{sound}\n[nowhere](nowhere.md)\n")
    result, said = build(small_book)
    log = (small_book / "_build" / "book.log").read_text()
    assert "1 warnings" in result
    assert "book.log" in result
    assert "nowhere" in said
    assert "nowhere" in log
    assert "\x1b" not in log
    # With what was read kept, the next build would read changed pages only and warn of no others.
    assert not (small_book / "_build" / ".doctrees").exists()
    page.write_text(sound)
    result, said = build(small_book)
    assert result.endswith("_build/html/index.html"), said
    assert "no warnings" in said
    # From the same sources nothing is built again; from others, and where a page is lost, it is.
    first = (small_book / "_build" / "html" / "book" / "page.html").stat().st_mtime_ns
    assert "up to date" in build(small_book)[1]
    assert (small_book / "_build" / "html" / "book" / "page.html").stat().st_mtime_ns == first
    page.write_text(sound.replace("# Page", "# Leaf"))
    assert "no warnings" in build(small_book)[1]
    assert "Leaf" in (small_book / "_build" / "html" / "book" / "page.html").read_text()
    (small_book / "_build" / "html" / "index.html").unlink()
    assert "no warnings" in build(small_book)[1]


def test_a_page_that_does_not_exist_is_named_before_anything_is_built(small_book):
    (small_book / "book" / "page.md").unlink()
    with pytest.raises(InputError, match=r"do not exist: book/page$"):
        build_html(small_book, TOC, Console(file=io.StringIO()))
    assert not (small_book / "_build").exists()


def test_another_jupyter_book_is_refused(small_book, monkeypatch):
    monkeypatch.setattr("lumirage_lib.book.html.metadata.version", lambda package: "2.0.0")
    with pytest.raises(LumirageError, match=r"jupyter-book 1, found 2\.0\.0"):
        build_html(small_book, TOC, Console(file=io.StringIO()))


def test_no_notebook_is_executed_by_the_book_tool():
    config = yaml.safe_load((project_root() / "_config.yml").read_text())
    assert config["execute"]["execute_notebooks"] == "off"


# ---- the built book, where there is one ----------------------------------------------------------


def is_remote(address: str | None) -> bool:
    return bool(re.match(r"(https?:)?//", address or ""))


@needs_build
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(BUILT).as_posix())
def test_a_page_loads_nothing_from_the_network(page):
    soup = BeautifulSoup(page.read_text(), "html.parser")
    loaded = [tag.get("src") for tag in soup(["script", "img", "iframe", "source", "video"])]
    loaded += [tag.get("href") for tag in soup("link") if "canonical" not in tag.get("rel", [])]
    loaded += re.findall(r"url\(\s*[\"']?([^)\"']+)", " ".join(t.text for t in soup("style")))
    assert loaded
    assert [address for address in loaded if is_remote(address)] == []


@needs_build
def test_style_sheets_load_nothing_from_the_network():
    sheets = list(BUILT.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        text = sheet.read_text()
        loaded = re.findall(r"url\(\s*[\"']?([^)\"']+)", text)
        loaded += re.findall(r"@import\s+[\"']([^\"']+)", text)
        assert [address for address in loaded if is_remote(address)] == [], sheet.name


@needs_build
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(BUILT).as_posix())
def test_images_say_what_they_show_and_headings_keep_their_order(page):
    article = BeautifulSoup(page.read_text(), "html.parser").find("article")
    assert [img["src"] for img in article("img") if not img.get("alt", "").strip()] == []
    levels = [int(tag.name[1]) for tag in article(re.compile(r"^h[1-6]$"))]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels


# ---- what the built pages say --------------------------------------------------------------------

CHAPTERS = [page for page in PAGES if page.parent.name == "experiments"]
# Raw formulas, raw Python, numbers that are none.
NOT_PROSE = (r"\$\$", r"\\frac", r"np\.float64", r"\bnan\b", r"– to –", r"[-−]0\.0+(?![0-9])")
NAMES = sorted({spec.name for spec in list_methods()}, key=len, reverse=True)
NAMED = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in NAMES))


def read_blocks(page) -> list[str]:
    """Text of every paragraph, item, cell and output of a page, without code."""
    article = BeautifulSoup(page.read_text(), "html.parser").find("article")
    for tag in [*article(["code", "script", "style"]), *article(class_="cell_input")]:
        tag.decompose()
    blocks = article(["p", "li", "td", "th", "dd", "figcaption", "pre"])
    inner = [b for b in blocks if not b(["p", "li", "td", "th"])]
    return [" ".join(b.get_text(" ").split()) for b in inner]


@needs_build
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(BUILT).as_posix())
def test_no_page_shows_what_is_no_prose(page):
    text = "\n".join(read_blocks(page))
    assert [
        match for bad in NOT_PROSE for match in re.findall(f".{{0,30}}{bad}.{{0,20}}", text)
    ] == []


@needs_build
@pytest.mark.parametrize("page", CHAPTERS, ids=lambda p: p.stem)
def test_no_sentence_of_a_chapter_names_more_than_two_methods(page):
    sentences = [s for block in read_blocks(page) for s in re.split(r"(?<=[.!?]) ", block)]
    assert [s for s in sentences if len(set(NAMED.findall(s))) > 2] == []


@needs_build
@pytest.mark.parametrize("page", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_begins_with_a_short_sentence_a_chip_and_a_figure(page):
    article = BeautifulSoup(page.read_text(), "html.parser").find("article")
    headline = article.find(class_="lm-headline")
    assert 3 <= len(headline.get_text().split()) <= 25, headline.get_text()
    assert article.find(class_="lm-chip")
    parts = [article.find(class_="lm-headline"), article.find(class_="lm-minute")]
    parts.append(article.find(string=re.compile("Command, tables, parameters and versions")))
    places = [str(article).find(str(part)) for part in parts]
    assert places == sorted(places)
    assert "how-this-page-was-made" in {s.get("id") for s in article("section")}
