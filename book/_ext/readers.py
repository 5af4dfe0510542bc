"""What readers expect of a site, for Sphinx: viewer, explorer, curtain, links, citation, description.

Everything that names an address comes from `repository_url` among the theme's options in `_config.yml`.
While that is empty no page has a repository, issue, edit or launch button, and there is no sitemap.
Scripts of the viewer and the explorer lie outside `_static`, for Jupyter Book loads what is there on
every page; the pages that need them name them.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import time
from pathlib import Path
from urllib.parse import quote

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

BOOK = Path(__file__).parents[1]
RESULTS = BOOK.parent / "results" / "open"
VIEWER, EXPLORER = BOOK / "viewer", BOOK / "explorer"
SHIPPED = {
    VIEWER: ("viewer.js", "viewer.css", "data/*.js", "data/*.png", "LICENCE.md"),
    EXPLORER: ("explorer.js", "explorer.css"),
}
EXECUTED = re.compile(r"book/experiments/(?P<notebook>lab/.+|.+(?=_[a-z]+$))")
LONGEST = 200  # characters of a description


# ---- directives ----------------------------------------------------------------------------------


class _Raw(SphinxDirective):
    """A directive that becomes HTML, and nothing in other forms of the book."""

    @property
    def root(self) -> str:
        """From the page to the first folder of the site."""
        return "../" * self.env.docname.count("/")

    def emit(self, text: str) -> list[nodes.Node]:
        return [nodes.raw("", text, format="html")]


def read_cases() -> dict:
    """Case -> title, licence, pair and mean Dice of each method, as `viewer/make.py` wrote them."""
    path = VIEWER / "data" / "cases.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _describe(case: dict, methods) -> str:
    said = [
        f"{case['methods'][m]['name']}, mean Dice {case['methods'][m]['dice']:.2f}" for m in methods
    ]
    return "; ".join(said)


class Viewer(_Raw):
    """``{viewer} CASE``: a pair to look through; the still picture where no script runs."""

    required_arguments = 1
    option_spec = {"choose": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        cases, name, root = read_cases(), self.arguments[0], self.root
        if name not in cases:
            raise self.error(f"no case {name!r} of the viewer; there are {', '.join(cases)}")
        case = cases[name]
        choice = {k: v["title"] for k, v in cases.items()} if "choose" in self.options else {}
        about = _describe(case, ("affine", "greedy", "clapirn"))
        alt = f"Coronal slice of {case['title']}, scan {case['pair'][0]} onto {case['pair'][1]}: {about}."
        return self.emit(
            f'<div class="lumirage-viewer" data-case="{name}" data-root="{root}viewer/" '
            f'data-choice="{html.escape(json.dumps(choice))}">'
            f'<noscript><img src="{root}viewer/data/{name}.png" alt="{html.escape(alt)}" '
            f'width="672"><p>{html.escape(alt)} Images: {html.escape(case["licence"])}.</p></noscript></div>'
            f'<link rel="stylesheet" href="{root}viewer/viewer.css">'
            f'<script defer src="{root}viewer/viewer.js"></script>'
        )


class Curtain(_Raw):
    """``{curtain} CASE``: before and after registration, a slider between them; halves without script."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        case, name, root = read_cases()[self.arguments[0]], self.arguments[0], self.root
        before, after, other = (case["methods"][m] for m in ("affine", "clapirn", "greedy"))
        alts = [
            f"Coronal brain slice; borders of its structures lie {how} those of the fixed brain."
            for how in ("beside", "on or near")
        ]
        images = "".join(
            f'<img class="{half}" src="{root}viewer/data/{name}-{half}.png" alt="{alt}">'
            for half, alt in zip(("before", "after"), alts, strict=True)
        )
        return self.emit(
            f'<link rel="stylesheet" href="{root}viewer/viewer.css">'
            f'<figure class="lumirage-curtain"><div class="halves">{images}'
            '<input type="range" min="0" max="100" value="50" aria-label="Curtain: how much of the brain '
            'is shown before registration" '
            "oninput=\"this.parentNode.style.setProperty('--at', this.value + '%')\">"
            '<span class="tag left">before</span><span class="tag right">after</span></div>'
            f"<figcaption>{html.escape(case['title'])}, one pair, 2 subjects. Left: linear alignment only "
            f"(mean Dice {before['dice']:.2f}). Right: moved by {html.escape(after['name'])}, a network "
            f"trained on T1w alone ({after['dice']:.2f}; {html.escape(other['name'])}, which is "
            f"iterative: {other['dice']:.2f}). Blue: borders of deep structures in the fixed brain; orange: "
            f"in the moved one. Drag, or use the arrow keys. Image: {html.escape(case['licence'])}."
            "</figcaption></figure>"
        )


class Explorer(_Raw):
    """``{explorer}``: every published registration as a point."""

    def run(self) -> list[nodes.Node]:
        root = self.root
        return self.emit(
            f'<div class="lumirage-explorer" data-root="{root}">'
            "<noscript><p>The explorer needs JavaScript. The same numbers are in the tables at the end "
            "of every chapter, and in <code>results/open</code>.</p></noscript></div>"
            f'<link rel="stylesheet" href="{root}explorer/explorer.css">'
            f'<script defer src="{root}explorer/cohorts.js"></script>'
            f'<script defer src="{root}explorer/explorer.js"></script>'
        )


class Structures(_Raw):
    """``{structures}``: names that a search finds, each a link to what the explorer shows of it."""

    def run(self) -> list[nodes.Node]:
        from explorer_tables import list_structures

        parts = []
        for cohort, names in list_structures(RESULTS).items():
            links = ", ".join(
                f'<a href="#cohort={cohort}&amp;structure={quote(name)}">{html.escape(name)}</a>'
                for name in names
            )
            parts.append(
                f"<details><summary>{cohort}, {len(names)} structures</summary><p>{links}</p></details>"
            )
        return self.emit("".join(parts))


# ---- what every page says ------------------------------------------------------------------------


def find_site(repository: str) -> str:
    """Where the book is published: the pages of that repository; "" where it is not on GitHub."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)/?", repository)
    return "https://{}.github.io/{}/".format(*found.groups()) if found else ""


def find_source(page: str) -> str:
    """File of the repository that a page is made from; executed pages are made from notebooks."""
    found = EXECUTED.match(page)
    return f"notebooks/{found['notebook']}.py" if found else f"{page}.md"


def list_buttons(repository: str, branch: str, page: str) -> list[dict]:
    """Groups of buttons at the head of a page, in the form of the theme; none without repository."""
    if not repository:
        return []
    source = find_source(page)
    title = quote(f"Page {page}")
    links = [
        ("Repository", repository, "fab fa-github", "source-repository-button"),
        (
            "Open an issue",
            f"{repository}/issues/new?title={title}",
            "fas fa-lightbulb",
            "source-issues-button",
        ),
        (
            "Suggest an edit",
            f"{repository}/edit/{branch}/{source}",
            "fas fa-pencil-alt",
            "source-edit-button",
        ),
    ]
    groups = [("Source", "fab fa-github", "source-buttons", links)]
    github = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)/?", repository)
    if github and source.endswith(".py"):
        # Not Colab: it opens no notebook that is kept as text, and brings another Python than the pins.
        address = (
            f"https://mybinder.org/v2/gh/{github[1]}/{branch}?urlpath={quote(f'lab/tree/{source}')}"
        )
        launch = [("Binder", address, "fas fa-rocket", "launch-binder-button")]
        groups.append(("Run this page", "fas fa-rocket", "launch-buttons", launch))
    return [
        {
            "type": "group", "tooltip": tip, "icon": icon, "label": label,
            "buttons": [
                {"type": "link", "text": text, "tooltip": text, "url": url, "icon": i, "label": name}
                for text, url, i, name in links
            ],
        }
        for tip, icon, label, links in groups
    ]  # fmt: skip


def describe_page(body: str) -> str:
    """The first paragraph of some length, without markup, of at most `LONGEST` characters."""
    for text in re.findall(r"<p\b[^>]*>(.*?)</p>", body, re.S):
        plain = " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())
        if len(plain) > 60:
            return plain if len(plain) <= LONGEST else plain[: LONGEST - 1].rsplit(" ", 1)[0] + "…"
    return ""


def cite(citation: dict, repository: str) -> tuple[str, str]:
    """The compendium as a sentence and as BibTeX, from CITATION.cff."""
    authors = [
        a.get("name") or f"{a['family-names']}, {a['given-names']}" for a in citation["authors"]
    ]
    title, version = citation["title"], citation["version"]
    address = f" {repository}" if repository else ""
    sentence = f"{'; '.join(authors)}. {title} (version {version}).{address}"
    fields = {
        "title": title,
        "author": " and ".join(f"{{{a}}}" for a in authors),
        "version": version,
    }
    fields |= {"url": repository} if repository else {}
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return sentence, f"@software{{lumirage,\n{lines}\n}}"


def read_citation() -> dict:
    return yaml.safe_load((BOOK.parent / "CITATION.cff").read_text())


def add_to_page(app, pagename, templatename, context, doctree) -> None:
    """Buttons, description, social card, citation, version."""
    options = app.config.html_theme_options
    repository = options.get("repository_url", "").rstrip("/")
    site, citation, pathto = find_site(repository), read_citation(), context["pathto"]
    if doctree is not None:
        context["header_buttons"] += list_buttons(
            repository, options.get("repository_branch") or "main", pagename
        )
    # docutils gives citations a role that is deprecated, in a list that holds links too.
    body = context.get("body", "").replace(' role="doc-biblioentry"', "")
    context["body"] = body.replace(
        '<div role="list" class="citation-list">', '<div class="citation-list">'
    )
    context["default_mode"] = (
        context.get("default_mode") or "auto"
    )  # else each first visit is an error
    about = describe_page(context.get("body", "")) or citation["title"]
    title = re.sub(r"<[^>]+>", "", context.get("title", "")) or app.config.html_title
    tags = {"description": about}
    cards = {"og:type": "article", "og:title": title, "og:description": about}
    if site:
        cards |= {"og:url": f"{site}{pagename}.html", "og:image": f"{site}viewer/data/card.png"}
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<meta {key}="{name}" content="{html.escape(value)}">'
        for key, found in (("name", tags), ("property", cards))
        for name, value in found.items()
    )
    sentence, bibtex = cite(citation, repository)
    context["theme_extra_footer"] = (
        f'<details class="lumirage-cite"><summary>Cite this</summary><p>{html.escape(sentence)}</p>'
        f'<pre tabindex="0">{html.escape(bibtex)}</pre></details>'
        f'<p class="lumirage-version">LUMirage {citation["version"]}, page built on '
        f"{time.strftime('%Y-%m-%d')}. "
        + (
            f'<a href="{pathto("book/accessibility")}">Accessibility</a>'
            if "book/accessibility" in app.env.all_docs
            else ""
        )
        + "</p>"
    )


# An icon in the theme's script: name, size, other names, code, path.
ICON = re.compile(
    r'"?\b(?P<name>[a-z0-9-]+)"?:\[\d+,\d+,\[(?P<others>[^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?'
)


def keep_used_icons(out: Path) -> None:
    """Leave in the theme's script, 1.5 MB on every page, the icons that a page of the site shows."""
    path = out / "_static" / "scripts" / "fontawesome.js"
    others = (p for p in out.rglob("*.js") if p != path)
    texts = (p.read_text(errors="ignore") for p in [*out.rglob("*.html"), *others])
    used = {name for text in texts for name in re.findall(r"\bfa-([a-z0-9-]+)", text)}

    def keep(icon: re.Match) -> str:
        names = {icon["name"], *re.findall(r'"([^"]+)"', icon["others"])}
        return icon[0] if names & used else ""

    path.write_text(ICON.sub(keep, path.read_text()))


# ---- files of the site ---------------------------------------------------------------------------


def finish(app, error) -> None:
    """Ship the scripts of viewer and explorer, their tables, and the sitemap."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for folder, patterns in SHIPPED.items():
        for pattern in patterns:
            for path in folder.glob(pattern):
                target = out / folder.name / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    if any(name.endswith("explorer_open") for name in app.env.all_docs):
        from explorer_tables import write_tables

        write_tables(RESULTS, out / "explorer", read_cases())
    keep_used_icons(out)
    site = find_site(app.config.html_theme_options.get("repository_url", ""))
    target = out / "sitemap.xml"
    target.unlink(missing_ok=True)
    if site:
        pages = "".join(
            f"<url><loc>{site}{quote(p)}.html</loc></url>" for p in sorted(app.env.all_docs)
        )
        target.write_text(
            '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns='
            f'"http://www.sitemaps.org/schemas/sitemap/0.9">{pages}</urlset>\n'
        )


def setup(app) -> dict:
    for name, directive in (
        ("viewer", Viewer),
        ("curtain", Curtain),
        ("explorer", Explorer),
        ("structures", Structures),
    ):
        app.add_directive(name, directive)
    # After the theme has made its list of buttons and the context its description.
    app.connect("html-page-context", add_to_page, priority=900)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
