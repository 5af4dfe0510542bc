"""Which pages the book has."""

from collections.abc import Iterator, Mapping, Sequence

from ..runs.profiles import check_profile, list_profiles, notebooks_of

PAGES = "book/experiments"
PROFILE_NAMES = {
    "open": "published run",
    "demo": "live demo",
    "paper": "the paper's data",
    "smoke": "smoke test",
}


def list_files(toc: Mapping) -> Iterator[str]:
    """Every page of a table of contents, without suffix."""
    yield toc["root"]
    for part in toc["parts"]:
        yield from (chapter["file"] for chapter in part["chapters"])


def select_toc(toc: Mapping, profiles: Sequence[str]) -> dict:
    """The table of contents for these profiles: pages of the others out, unlisted profiles in.

    Raises
    ------
    InputError
        A profile is unknown or no notebook has it.
    """
    for profile in profiles:
        check_profile(profile)
    known = list_profiles()

    def profile_of(file: str) -> str | None:
        end = file.rsplit("_", 1)[-1]
        return end if end in known else None

    parts = []
    for part in toc["parts"]:
        chapters = [c for c in part["chapters"] if profile_of(c["file"]) in (None, *profiles)]
        if chapters:
            parts.append({**part, "chapters": chapters})
    listed = {profile_of(file) for file in list_files(toc)}
    for profile in dict.fromkeys(p for p in profiles if p not in listed):
        found = [{"file": f"{PAGES}/{n}_{profile}"} for n in notebooks_of(profile)]
        parts.append({"caption": PROFILE_NAMES[profile].capitalize(), "chapters": found})
    return {**toc, "parts": parts}
