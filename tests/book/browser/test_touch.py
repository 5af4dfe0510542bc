"""Curtain, viewer and explorer by mouse and by keyboard, and what stands in an address."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import page_checks
import pytest
import readers
from bs4 import BeautifulSoup
from page_checks import EXAMPLE

pytestmark = pytest.mark.slow
SHOWN = "canvas => canvas.toDataURL()"


@pytest.fixture(scope="module")
def show(browser, site):
    """Opens a page of the small book; with `part` it waits until that is ready."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})

    def open_at(name: str, part: str = "", place: str = ""):
        page, wrong = page_checks.open_page(context, (site / "book" / name).as_uri() + place)
        if part:
            page.locator(part).first.scroll_into_view_if_needed()
            page.wait_for_selector(f"{part}[data-ready]", timeout=30_000)
        assert not wrong
        return page

    yield open_at
    context.close()


def test_the_explorer_by_keyboard_and_its_state_from_its_link(show):
    page = show("explorer_open.html", ".lumirage-explorer")
    page.select_option("[name=cohort]", "openms")
    page.wait_for_function("document.querySelector('[name=condition]').value === 'T1w'")
    page.select_option("[name=condition]", "T2w")
    page.select_option("[name=a]", "affine")
    page.locator("#explorer-pairs").focus()
    page.keyboard.press("ArrowRight")
    chosen = page.locator("[name=pair]").input_value()
    assert chosen
    assert page.evaluate("document.activeElement.id") == "explorer-pairs"
    page.keyboard.press("ArrowRight")
    assert page.locator("[name=pair]").input_value() not in ("", chosen)
    page.select_option("[name=structure]", "Left Hippocampus")
    said, link = page.locator(".said").inner_text(), page.url
    assert "Left Hippocampus" in said
    for part in ("cohort=openms", "condition=T2w", "a=affine", "pair=", "structure=Left"):
        assert part in link
    again = show("explorer_open.html", ".lumirage-explorer", "#" + link.split("#")[1])
    assert again.locator(".said").inner_text() == said
    assert again.url == link


def test_the_explorer_by_mouse(show):
    page = show("explorer_open.html", ".lumirage-explorer", "#cohort=openms&condition=T2w")
    page.locator("#explorer-strips .point").first.click(force=True)
    assert page.locator("[name=pair]").input_value()
    assert page.locator("#explorer-strips .point.chosen").count() > 1  # linked: by every method
    assert page.locator("#explorer-pairs .point.chosen").count() == 1
    page.locator("#explorer-structures .structure").first.click()
    assert page.locator("[name=structure]").input_value()
    assert "structure=" in page.url


def test_an_old_address_opens_the_explorer_too(show):
    page = show("explorer_open.html", ".lumirage-explorer", "#cohort=gone&measure=x&a=y&pair=1>2")
    assert page.locator("#explorer-strips .point").count() > 100


def test_tables_of_the_explorer_are_small(site):
    sizes = [path.stat().st_size for path in (site / "explorer").glob("*.js")]
    assert max(sizes) < 1.5e6
    assert sum(sizes) < 6e6


def test_every_published_registration_is_in_the_explorer(site):
    import pandas as pd

    from lumirage_lib.runs.profiles import project_root

    rows = pd.read_parquet(project_root() / "results" / "open" / "registrations.parquet")
    published = set(rows.loc[rows["status"] == "ok", "key"])
    count = 0
    for path in (site / "explorer").glob("*.js"):
        if path.name not in ("cohorts.js", "explorer.js"):
            text = path.read_text()
            table = json.loads(text[text.index("{") : text.rindex(")")])
            count += len(set(table["rows"]["dice_row"]))
    assert count == len(published)


# ---- viewer and curtain --------------------------------------------------------------------------


def picture(page) -> str:
    return page.locator(".lumirage-viewer canvas").first.evaluate(SHOWN)


def test_the_viewer_by_keyboard(show):
    page = show("viewer_open.html", ".lumirage-viewer")
    seen = [picture(page)]
    page.locator(".lumirage-viewer .stage input").focus()
    # Curtain, slice, right image, error, borders, plane: each changes the picture.
    for key in ("ArrowLeft", "ArrowUp", "2", "e", "b", "p"):
        page.keyboard.press(key)
        seen.append(picture(page))
    assert len(set(seen)) == len(seen)


def test_the_viewer_by_mouse_and_by_its_lists(show):
    page = show("viewer_open.html", ".lumirage-viewer")
    seen = [picture(page)]
    box = page.locator(".lumirage-viewer .stage").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 5, y, steps=4)
    page.mouse.up()
    seen.append(picture(page))
    page.locator(".lumirage-viewer [name=structure]").select_option(label="Lateral Ventricle")
    seen.append(picture(page))
    assert "Lateral Ventricle" in page.locator(".lumirage-viewer caption").inner_text()
    page.locator(".lumirage-viewer [name=left]").select_option("fixed")
    seen.append(picture(page))
    page.locator(".lumirage-viewer [name=pair]").select_option("template")
    page.wait_for_function(
        "document.querySelector('.lumirage-viewer .about').textContent.includes('enerated')"
    )
    seen.append(picture(page))
    assert "median error" in page.locator(".lumirage-viewer table").inner_text()
    assert len(set(seen)) == len(seen)


def test_a_pair_of_the_explorer_leads_to_the_viewer(show):
    case = readers.read_cases()["openms-T2w"]
    place = f"#cohort=openms&condition=T2w&b=vfa&pair={'>'.join(case['pair'])}"
    page = show("explorer_open.html", ".lumirage-explorer", place)
    page.get_by_role("link", name="See this pair in the viewer").click()
    page.wait_for_selector(".lumirage-viewer[data-ready]")
    assert page.locator(".lumirage-viewer [name=pair]").input_value() == "openms-T2w"
    assert page.locator(".lumirage-viewer [name=right]").input_value() == "vfa"


def test_the_curtain_by_mouse_and_by_keyboard(show):
    page = show("index.html")
    curtain = page.locator(".lumirage-curtain .halves")
    clip = "e => getComputedStyle(e.querySelector('.before')).clipPath"
    seen = [curtain.evaluate(clip)]
    curtain.locator("input").focus()
    page.keyboard.press("ArrowRight")
    seen.append(curtain.evaluate(clip))
    curtain.click(position={"x": 20, "y": 100})
    seen.append(curtain.evaluate(clip))
    assert len(set(seen)) == 3


def test_a_picture_stands_where_no_script_runs(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "book" / "viewer_open.html").as_uri())
    image = page.locator(".lumirage-viewer img")
    assert image.is_visible()
    assert "Dice" in image.get_attribute("alt")
    context.close()


def test_each_pair_is_light_and_says_its_licence(site):
    cases = readers.read_cases()
    assert len(cases) == 4
    for name, case in cases.items():
        assert (site / "viewer" / "data" / f"{name}.js").stat().st_size < 1e6
        assert "CC BY" in case["licence"] or "MIT" in case["licence"]
    assert (site / "viewer" / "LICENCE.md").exists()


# ---- what every page has -------------------------------------------------------------------------


def read(site, name: str) -> BeautifulSoup:
    return BeautifulSoup((site / "book" / name).read_text(), "html.parser")


def test_pages_lead_to_their_sources(site):
    def links(name: str) -> dict[str, str]:
        found = read(site, name).select("a.dropdown-item[href^=http]")
        return {tag.get_text(strip=True): tag["href"] for tag in found}

    page = links("experiments/01_in_distribution_smoke.html")
    assert page["Repository"] == EXAMPLE
    assert page["Suggest an edit"] == f"{EXAMPLE}/edit/main/notebooks/01_in_distribution.py"
    assert page["Open an issue"].startswith(f"{EXAMPLE}/issues/new")
    assert page["Binder"].startswith("https://mybinder.org/v2/gh/example/lumirage/main?")
    assert page["Binder"].endswith("lab/tree/notebooks/01_in_distribution.py")
    prose = links("rules.html")
    assert prose["Suggest an edit"] == f"{EXAMPLE}/edit/main/book/rules.md"
    assert "Binder" not in prose


def test_the_sitemap_names_every_page(site):
    named = {e.text for e in ET.parse(site / "sitemap.xml").iter() if e.tag.endswith("loc")}
    pages = {p.relative_to(site).as_posix() for p in page_checks.list_pages(site)}
    assert named == {f"https://example.github.io/lumirage/{page}" for page in pages}


def test_every_page_says_what_it_is_which_version_and_how_to_cite_it(site):
    for path in page_checks.list_pages(site):
        soup = BeautifulSoup(path.read_text(), "html.parser")
        assert 20 < len(soup.find("meta", attrs={"name": "description"})["content"]) <= 200
        assert soup.find("meta", property="og:title")["content"]
        assert soup.find("link", rel="icon")
        foot = soup.select_one(".lumirage-version").get_text()
        assert re.search(r"LUMirage \d+\.\d+\.\d+, page built on \d{4}-\d\d-\d\d", foot)
        assert "@software{lumirage" in soup.select_one(".lumirage-cite").get_text()


def test_the_search_finds_a_structure(show):
    page = show("../search.html", place="?q=hippocampus")
    page.wait_for_selector("#search-results li", timeout=20_000)
    assert "The explorer" in page.locator("#search-results").inner_text()
