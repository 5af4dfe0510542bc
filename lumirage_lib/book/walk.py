"""How long a student walks through the lab: what stands on its pages, counted, at rates that are said."""

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

WORDS_PER_MINUTE = 200  # prose, code that is shown, tables and explanations alike
MINUTES_OF = {"figure": 0.5, "answer": 1.0}  # to look at one; to think of one and to type it
# Form of a class -> minutes there are, lessons that are walked, whether their networks are trained before.
FORMS = {
    "45 minutes": (45, "346", True),
    "90 minutes": (90, "123456", False),
    "180 minutes": (180, "1234567", False),
}


def _count_words(text: str) -> int:
    plain = re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", text, flags=re.S)
    return len(re.findall(r"\w+(?:[-.'*]\w+)*", html.unescape(plain)))


def count_page(page: Path) -> dict[str, int]:
    """Words that a page shows unfolded, its figures, and the answers that it asks for."""
    found = {"words": 0, "figures": 0, "answers": 0}
    for cell in json.loads(page.read_text())["cells"]:  # texts in it are lists of lines
        source = "".join(cell["source"])
        tags = cell["metadata"].get("tags", [])
        hidden = {tag.split("-")[1] for tag in tags if re.match("hide|remove", tag)}
        if cell["cell_type"] == "markdown" or not hidden & {"input", "cell"}:
            found["words"] += _count_words(source)
        if re.search(r"^my_\w+ =", source, re.M):  # one, or as many as there are lines to fill in
            found["answers"] += max(1, len(re.findall(r'^ +"[^"]+": ', source, re.M)))
        for output in () if hidden & {"output", "cell"} else cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            found["figures"] += "image/png" in data
            if "image/png" not in data:
                shown = next(k for k in ("text/markdown", "text/html", "text/plain") if k in data)
                found["words"] += _count_words("".join(data[shown]))
    return found


def describe_walk(times: Path, pages: Sequence[Path]) -> str:
    """Two tables: minutes of every lesson by what they go to, and what of each form of a class is left."""
    if not times.exists():
        return "No full run has been kept (`lumirage lab --all --keep`).\n"
    seconds = {t["lesson"]: t["processor_s"] for t in json.loads(times.read_text())}
    lines = [
        f"All lessons take {sum(seconds.values()) / 60:.1f} minutes of one processor, the starts included.",
        "",
        "| lesson | words | figures | answers | minutes: reading | answering | machine | walked |",
        "|---|---|---|---|---|---|---|---|",
    ]
    walked, machine = {}, {}
    for page in pages:
        n, number = count_page(page), page.stem[0]
        reading = n["words"] / WORDS_PER_MINUTE + n["figures"] * MINUTES_OF["figure"]
        answering = n["answers"] * MINUTES_OF["answer"]
        machine[number] = seconds.get(page.stem, 0) / 60
        walked[number] = reading + answering + machine[number]
        lines.append(
            f"| {number} | {n['words']} | {n['figures']} | {n['answers']} | {reading:.1f} | {answering:.1f} "
            f"| {machine[number]:.1f} | **{walked[number]:.1f}** |"
        )
    lines += [
        "",
        "| form | lessons walked | walked, minutes | left for talking |",
        "|---|---|---|---|",
    ]
    for form, (there_are, lessons, before) in FORMS.items():
        takes = sum(walked[k] - (machine[k] if before else 0) for k in lessons)
        named = ", ".join(lessons).replace("7", "capstone")
        lines.append(f"| {form} | {named} | {takes:.0f} | {there_are - takes:.0f} |")
    return "\n".join([*lines, ""])
