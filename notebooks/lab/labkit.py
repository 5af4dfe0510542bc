"""What the cells of the lab call: pictures, quizzes, verdicts on answers, trained networks.

The physics is elsewhere: `slices` (images), `network` (training), `breaks` (changes), `measures` (ruler),
`checks` (what is right, and why).
"""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import yaml
from breaks import Change, z_score
from IPython.display import HTML, display
from measures import find_folds, register, score
from network import Network, centre, train

from lumirage_lib.book import pages

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results" / "lab"
NETWORKS = HERE.parents[1] / "_build" / "lab"  # trained ones are kept here
COLOURS = {"network": "#0072B2", "greedy": "#D55E00"}
torch.set_num_threads(1)  # the images are small: a second thread would mostly wait


# ---- answers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right (None: there is none yet), and why."""

    right: bool | None
    why: str

    def _repr_html_(self):
        word = {True: "Right.", False: "Not yet.", None: "No answer yet."}[self.right]
        edge = {True: "#009E73", False: "#D55E00", None: "#999999"}[self.right]
        return (
            f'<div role="status" style="border-left: 4px solid {edge}; padding: 0.3em 0.8em">'
            f"<strong>{word}</strong> {html.escape(self.why)}</div>"
        )

    def __str__(self):
        return f"{'?' if self.right is None else 'right' if self.right else 'wrong'}: {self.why}"

    __repr__ = __str__


def check(name: str, answer, **known) -> Verdict:
    """Judge an answer; what is right, and what each wrong answer means, is in `checks`.

    `known` is what was measured in the lesson and decides.
    """
    import checks

    if answer is None or (isinstance(answer, Mapping) and not answer):
        return Verdict(None, "Replace None in the cell above, run it, then run this cell again.")
    return checks.CHECKS[name](answer, **known)


def quiz(lesson: str) -> None:
    """Show the questions of a lesson; an option says whether it is right, and why, once opened."""
    questions = yaml.safe_load((HERE / "quizzes.yml").read_text())[lesson]
    parts = []
    for number, question in enumerate(questions, 1):
        parts.append(f"<p><strong>{number}. {html.escape(question['question'])}</strong></p>")
        for option in question["options"]:
            word = "Right" if option.get("right") else "No"
            parts.append(
                f'<details style="margin-left: 1.2em"><summary>{html.escape(option["text"])}</summary>'
                f'<p style="margin-left: 1.2em"><em>{word}:</em> {html.escape(option["why"])}</p>'
                "</details>"
            )
    display(HTML(f'<div class="lab-quiz">{"".join(parts)}</div>'))


# ---- networks ------------------------------------------------------------------------------------


def get_network(pairs, steps: int, name: str = "T1w", **how) -> Network:
    """A trained network: the one kept on this machine, or else trained now.

    `name` tells repairs apart; `how` is handed to :func:`network.train`.
    """
    path = find_network(steps, name, how.get("seed", 0))
    if path.exists():
        network = Network(describe=how.get("describe", centre))
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()
    network, _ = train(pairs, steps, **how)
    keep(network, steps, name, how.get("seed", 0))
    return network


def find_network(steps: int, name: str = "T1w", seed: int = 0) -> Path:
    """Where a network is kept: other code, steps or seed is another file."""
    code = "".join(
        (HERE / f"{m}.py").read_text() for m in ("slices", "network", "breaks", "repairs")
    )
    key = hashlib.sha256(f"{code}{seed}".encode()).hexdigest()[:12]
    return NETWORKS / f"{name.replace(' ', '-')}-{steps}-{key}.pt"


def keep(network, steps: int, name: str = "T1w", seed: int = 0) -> None:
    """Keep a trained network for the lessons that come."""
    path = find_network(steps, name, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    torch.save(network.state_dict(), part)
    os.replace(part, path)


def watch_losses():
    """What draws the loss while a network learns: hand it to `train(..., watch=...)`."""
    shown = None

    def watch(step, losses):
        nonlocal shown
        figure = plot_losses(losses)
        if shown is None:
            shown = display(figure, display_id=True)
        else:
            shown.update(figure)
        plt.close(figure)

    return watch


# ---- pictures ------------------------------------------------------------------------------------


def show(figure, name: str, caption: str, alt: str) -> None:
    """Show a figure with its caption and, for those who cannot see it, what it shows."""
    pages.show(figure, f"fig-lab-{name}", caption, alt)


def plot_losses(losses):
    figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
    axes.plot(losses, color="#BBBBBB", linewidth=0.8)
    smooth = pd.Series(losses).rolling(max(1, len(losses) // 20), min_periods=1).mean()
    axes.plot(smooth, color=COLOURS["network"])
    axes.set(xlabel="step", ylabel="loss")
    return figure


def draw_images(images: Mapping, columns: int = 4):
    """Slices beside each other, by title, so many in a row that the titles can be read."""
    n_rows = -(-len(images) // columns)
    shape = (n_rows, min(columns, len(images)))
    figure, axes = plt.subplots(
        *shape, figsize=(2.1 * shape[1], 2.5 * shape[0]), layout="constrained", squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, image) in zip(axes.flat, images.items(), strict=False):
        ax.imshow(np.asarray(image).squeeze().T, cmap="gray", origin="lower", vmin=0, vmax=1.2)
        ax.set_title(title, fontsize=9)
    return figure


def draw_fields(fields: Mapping, every: int = 4, size: float = 2.6):
    """The grid that each displacement (2, X, Y) bends, by title."""
    figure, axes = plt.subplots(
        1, len(fields), figsize=(size * len(fields), 3), layout="constrained"
    )
    for ax, (title, field) in zip(np.atleast_1d(axes), fields.items(), strict=True):
        u = np.asarray(field)
        x, y = np.meshgrid(*(np.arange(n) for n in u.shape[1:]), indexing="ij")
        for a, b in ((x + u[0], y + u[1]), ((x + u[0]).T, (y + u[1]).T)):
            ax.plot(a[:, ::every], b[:, ::every], color="#444444", linewidth=0.5)
        ax.set_title(title, fontsize=9)
        ax.set_aspect("equal")
        ax.set_axis_off()
    return figure


def compute_shares(table: pd.DataFrame, start: float) -> pd.DataFrame:
    """How much of its gain over the start each method keeps, from mean Dice by change and method.

    `table` has a row per change, "T1w" among them, and a column per method.
    """
    return (table - start) / (table.loc["T1w"] - start)


def plot_shares(shares: pd.DataFrame):
    """Bars of the share of the gain that each method keeps, a row per change."""
    figure, axes = plt.subplots(figsize=(6, 0.5 * len(shares) + 1), layout="constrained")
    height = 0.8 / shares.shape[1]
    for k, method in enumerate(shares):
        place = np.arange(len(shares)) + k * height
        axes.barh(place, shares[method], height, label=method, color=COLOURS.get(method, "#999999"),
                  hatch=("", "//", "..", "xx", "++")[k % 5], edgecolor="white")  # fmt: skip
    axes.set_yticks(np.arange(len(shares)) + height * (shares.shape[1] - 1) / 2, list(shares.index))
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axes.invert_yaxis()
    axes.set_xlabel("share of the gain kept (1: all of it)")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def table(rows, digits: int = 3) -> None:
    """Show rows, or a DataFrame, as a table of rounded numbers."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    named = frame.reset_index() if frame.index.name else frame
    pages.say(pages.to_table(named, digits))


def describe_breaks(shares: pd.DataFrame) -> str:
    """One computed sentence for each change: who keeps what."""
    words = {
        (True, True): "hurts nobody",
        (True, False): "hurts greedy alone",
        (False, True): "hurts the network alone",
        (False, False): "hurts both",
    }
    lines = []
    for name, row in shares.drop(index="T1w").iterrows():
        word = words[bool(row["network"] >= 0.6), bool(row["greedy"] >= 0.6)]
        lines.append(
            f"- **{name}** {word}: the network keeps {row['network']:.0%} of its gain, greedy "
            f"{row['greedy']:.0%} of its own."
        )
    return "\n".join(lines)


@torch.no_grad()
def describe_why(network, pairs, shares: pd.DataFrame) -> str:
    """What the outline alone brings, and how long displacements are on dimmed images, in sentences."""
    kept, factor = shares.loc["outline"], 0.3
    sharp = network(pairs.fixed, pairs.moving).norm(dim=1).mean()
    dimmed = network(factor * pairs.fixed, factor * pairs.moving).norm(dim=1).mean()
    return (
        f"From the outline alone the network keeps {kept['network']:.0%} of its gain, greedy {kept['greedy']:.0%}. "
        "Inverted and folded images have that outline, so this part is safe: inverted, the network keeps "
        f"{shares.loc['inverted', 'network']:.0%} in all, folded {shares.loc['folded', 'network']:.0%}. Dimming is "
        f"another matter: at {factor} times the intensities, displacements are {dimmed / sharp:.2f} times as long. "
        "The network centres intensities by fixed numbers, so that a dimmed brain is dark tissue everywhere."
    )


def describe_folds(fields: Mapping) -> str:
    """In how many pairs each field (n, 2, X, Y) folds, and at how many voxels, in one sentence."""
    parts = []
    for name, field in fields.items():
        counts = [int(find_folds(one).sum()) for one in field]
        where = [n for n in counts if n]
        size = f" ({min(where)} to {max(where)} voxels each)" if where else ""
        parts.append(f"{name} folds in {len(where)} of {len(counts)} pairs{size}")
    return f"{'; '.join(parts)}.".capitalize()


def describe_zscore(network, pairs, dice: pd.DataFrame, start: float) -> str:
    """What the network keeps of its gain on z-scored images of which one half is undone, in sentences."""

    def keep_share(change) -> float:
        found = score(pairs, register(network, pairs, Change(change)))["dice"].mean()
        return (found - start) / (dice.loc["T1w", "network"] - start)

    def spread(images):
        return images.std(dim=(2, 3), keepdim=True)

    return (
        f"Of its gain, the network keeps {keep_share(z_score):.0%} on z-scored images. With the subtraction undone, so "
        f"that the background is 0 again, it keeps {keep_share(lambda x: x / spread(x)):.0%}: intensities are "
        f"{(1 / spread(pairs.fixed)).mean():.1f} times as large as they were. With the division undone alone it keeps "
        f"{keep_share(lambda x: z_score(x) * spread(x)):.0%}. With both undone the images are what they were."
    )


def draw_lines(dice: pd.DataFrame, start: float):
    """Mean Dice by change, a mark per network."""
    figure, axes = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    colours = ("#000000", "#777777", "#0072B2", "#D55E00", "#009E73", "#CC79A7")
    for k, name in enumerate(dice):
        place = np.arange(len(dice)) + 0.12 * (k - (dice.shape[1] - 1) / 2)
        axes.plot(place, dice[name], "oxDs^v"[k % 6], color=colours[k % 6], label=name)
    axes.axhline(start, color="black", linestyle="--", linewidth=0.8)
    axes.set_xticks(range(len(dice)), list(dice.index), rotation=20, ha="right")
    axes.set_ylabel("mean Dice")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def compute_regained(dice: pd.DataFrame) -> pd.DataFrame:
    """Share of what each break cost the plain network that each repair brings back."""
    cost = dice.loc["T1w", "plain"] - dice["plain"]
    kept = dice[cost >= 0.01]
    return kept.drop(columns="plain").sub(kept["plain"], axis=0).div(cost[cost >= 0.01], axis=0)


def describe_costs(dice: pd.DataFrame) -> str:
    """What each repair costs on T1w against a network trained as long, as a sentence."""
    costs = dice.loc["T1w", "trained on"] - dice.loc["T1w"].drop(["plain", "trained on"])
    words = [f"{name} {cost:+.3f}" for name, cost in costs.items()]
    return f"Cost on T1w against the network trained on, in mean Dice (a minus sign: it gained): {', '.join(words)}."


def describe_bars() -> str:
    """What some trainings say: the gain, what each break left of it, what each repair regained."""
    path = RESULTS / "bars.csv"
    if not path.exists():
        return "The trainings have not been run here (`python notebooks/lab/bars.py`)."
    table = pd.read_csv(path).pivot_table("dice", ["seed", "change"], "method")
    start = table["nothing"].iloc[0]
    per_seed = {seed: rows.droplevel("seed") for seed, rows in table.groupby("seed")}

    def each(compute) -> str:
        found = [compute(rows) for rows in per_seed.values()]
        digits = 3 if max(map(abs, found)) < 0.05 else 2
        shown = ", ".join(f"{v:.{digits}f}" for v in found)
        return f"{np.mean(found):.{digits}f} ({shown})"

    def regain(change: str, method: str):
        def compute(t) -> float:
            lost = t.loc["T1w", "network"] - t.loc[change, "network"]
            return (t.loc[change, method] - t.loc[change, "network"]) / lost

        return compute

    gains = [rows.loc["T1w", "network"] - start for rows in per_seed.values()]
    lines = [
        f"Gain of the network on T1w over {start:.3f}: {', '.join(f'{g:+.3f}' for g in gains)}; of greedy: "
        f"{table['greedy'].xs('T1w', level='change').iloc[0] - start:+.3f}.\n"
    ]
    repairs = {
        "inverted": "remapped",
        "folded": "remapped",
        "dimmed": "remapped",
        "header x 0.4": "scaled",
    }
    rows = []
    for change in [c for c in per_seed[0].index.unique() if c != "T1w"]:
        row = {"change": change}
        for method in ("network", "greedy"):
            row[f"{method} keeps"] = each(
                lambda t, m=method, c=change: (t.loc[c, m] - start) / (t.loc["T1w", m] - start)
            )
        repair = repairs.get(change)
        row["regained by"] = repair or "-"
        for title, method in (("share regained", repair), ("by training on alone", "trained on")):
            row[title] = "-" if repair is None else each(regain(change, method))
        rows.append(row)
    costs = {
        r: each(lambda t, r=r: t.loc["T1w", "trained on"] - t.loc["T1w", r])
        for r in ("remapped", "scaled")
    }
    lines.append(pages.to_table(pd.DataFrame(rows)))
    lines.append(
        f"\nMeans, and each of {len(gains)} trainings in brackets. On T1w, against a network trained as long, remapped inputs cost "
        f"{costs['remapped']} and scale augmentation {costs['scaled']} of mean Dice."
    )
    return "\n".join(lines)


def show_slider() -> None:
    """The two effect sizes of a fixed difference, as the correlation is moved."""
    script = (
        "const r=+this.value, d=this.closest('div'); d.querySelector('.r').textContent=r.toFixed(2);"
        "d.querySelector('.z').textContent=(0.01/(0.03*Math.sqrt(2*(1-r)))).toFixed(2);"
    )
    display(
        HTML(
            '<div><label>correlation <input type="range" min="0" max="0.99" step="0.01" value="0.5" '
            f'oninput="{script}"> <span class="r">0.50</span></label><br>'
            'd_z = <strong class="z">0.33</strong>, d_av = <strong>0.33</strong></div>'
        )
    )


def read_store(profile: str, methods) -> pd.DataFrame:
    """Pair, method and Dice of what `lumirage run` has stored."""
    from lumirage_lib.runs.profiles import store_path
    from lumirage_lib.runs.store import read_registrations

    rows = read_registrations(store_path(profile))
    rows = rows[rows["method"].isin(methods)]
    return rows.assign(pair=rows["moving"] + " onto " + rows["fixed"])[["pair", "method", "dice"]]


def say(text: str) -> None:
    """Show a computed sentence."""
    pages.say(text)
