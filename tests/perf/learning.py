"""Does the trainer learn? GRPO on the shapes world from the shipped checkpoint: seed after seed, reward after reward.

python -m tests.perf.learning --out runs/learning                # configs/shapes.toml with the seeds 0, 1 and 2
python -m tests.perf.learning --out runs/ablations --ablations   # seed 0 with every reward of configs/ablations/
python -m tests.perf.learning --out runs/learning --credit       # and with credit by segment, as many pictures a step
python -m tests.perf.learning --out runs/old --one-step-off      # seeds 0, 1 and 2 with rollouts that are a step old
python -m tests.perf.learning --out runs/emu3 --config configs/shapes_emu3.toml --generator emu3 --seeds 0

Every run is an ordinary `gotr1-eval train grpo`, and started again what is done is kept. The checkpoints then paint
held-out prompts (val, two pictures each, guidance as in training), all judged alike whatever they were trained on.
Prints a Markdown table; the seeds' curves are drawn to curves.png in the folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gotr1_eval.core.statistics.summary import Summary
from reports.run_data import load_run
from reports.run_summary import ALL, summarise_run

FACTORS = ("semantic", "spatial", "reasoning_image", "prompt_image", "total")
CREDIT = {
    "product": [],
    "segment": ["pictures_per_chain=2", "credit=segment", "evaluation=none"],
    "shared chains": ["pictures_per_chain=2", "evaluation=none"],
}
"""Settings of the forms of credit that are compared; all sample as many pictures, the last two half as many chains."""
ONE_STEP_OFF = [
    "rewards=tests/perf/shapes_as_if_served.toml",
    "judge_while_generating=true",
    "one_step_off=true",
    "evaluation=none",
]
CONFIG, ABLATIONS = Path("configs/shapes.toml"), Path("configs/ablations")


def command(*arguments: str) -> None:
    """A command of this package, without its tables."""
    subprocess.run([sys.executable, "-m", "gotr1_eval", *arguments], check=True, stdout=subprocess.DEVNULL)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def train(config: Path, folder: Path, *settings: str) -> tuple[Path, float]:
    """Train into the folder; the last checkpoint, and the minutes from start to end, evaluations and loading in them.

    The minutes are kept beside the run, so that a table printed again tells those of the training itself.
    """
    chosen = [part for setting in settings for part in ("--set", setting)]
    kept = folder / "minutes.txt"
    start = time.perf_counter()
    command("train", "grpo", "--config", str(config), "--out", str(folder), *chosen)
    if not kept.exists():
        kept.write_text(str((time.perf_counter() - start) / 60))
    return max((folder / "checkpoints").glob("step-*[0-9]")), float(kept.read_text())


def held_out(generator: str, ckpt: str, folder: Path, prompts: int) -> dict[str, dict[str, Summary]]:
    """Category -> factor -> mean over the first val prompts."""
    command("compbench", "--suite", "shapes", "--generator", f"{generator},ckpt={ckpt},guidance=2", "--limit",
            str(prompts), "--judges", "shapes", "--out", str(folder))  # fmt: skip
    run = load_run(folder)
    names = {column.name: column.factor for column in run.judges}
    rows = summarise_run(run).rows
    return {category: {names[name]: cell for name, cell in row.items()} for category, row in rows.items()}


def line(name: str, minutes: str, measured: dict[str, dict[str, Summary]]) -> str:
    """A row of the table: factors over all categories, then the total of the spatial prompts."""
    cells = [measured[ALL][factor] for factor in FACTORS] + [measured["spatial"]["total"]]
    return " | ".join(["", name, minutes, *map(shown, cells), ""]).strip()


def shown(cell: Summary) -> str:
    """Mean, interval and count."""
    return f"{cell.mean:.3f} ({cell.low:.3f}–{cell.high:.3f}, n={cell.scored})"


def ablation_line(name: str, measured: dict[str, dict[str, Summary]]) -> str:
    """A row of the ablations' table: the picture against the prompt in every category, then all factors over all."""
    categories = [measured[category]["prompt_image"] for category in measured if category != ALL]
    cells = [f"{cell.mean:.3f}" for cell in categories] + [shown(measured[ALL][factor]) for factor in FACTORS]
    return " | ".join(["", name, *cells, ""]).strip()


def draw(folders: dict[str, Path], path: Path) -> None:
    """Reward of the training steps (their running mean of five) and of the held-out evaluations, a line a run."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, factor in zip(figure.subplots(1, 4, sharex=True), ("total", "spatial", "reasoning_image", "prompt_image"),
                            strict=True):  # fmt: skip
        for place, folder in enumerate(folders.values()):
            name = f"reward/{factor}/mean"  # a step without any prompt of a relation has none of `spatial`
            known = [(row["step"], row[name]) for row in rows_of(folder / "metrics.jsonl") if name in row]
            steps, rewards = zip(*known, strict=True)
            smooth = [sum(rewards[max(0, end - 5) : end]) / min(end, 5) for end in range(1, len(rewards) + 1)]
            axes.plot(steps, smooth, color=f"C{place}", alpha=0.45, linewidth=1)
            held = rows_of(folder / "evaluations.jsonl")
            axes.plot([row["step"] for row in held], [row[f"{factor}/mean"] for row in held], "o-", color=f"C{place}")
        axes.set(title=factor.replace("_", " "), xlabel="step", ylim=(0, 1))
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(figure.axes[0].lines[1::2], list(folders), loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=130)


def runs_of(options: argparse.Namespace) -> dict[str, list[str]]:
    """Name -> settings of every run that is asked for."""
    if options.ablations:
        rewards = {"product": "shapes"} | {path.stem: str(path) for path in sorted(ABLATIONS.glob("*.toml"))}
        return {name: [f"rewards={rewards[name]}", "evaluation=none"] for name in options.only or rewards}
    if not options.credit:
        beside = ONE_STEP_OFF if options.one_step_off else []
        return {f"seed {seed}": [f"seed={seed}", *beside] for seed in options.seeds}
    pairs = [(name, seed) for name in options.only or CREDIT for seed in options.seeds]
    # Of the product there are runs already, under these names.
    return {f"{name} seed {seed}".removeprefix("product "): [f"seed={seed}", *CREDIT[name]] for name, seed in pairs}


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--generator", default="janus", help="the plug-in that runs the configuration's checkpoint")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="instead of the configuration's")
    parser.add_argument("--prompts", type=int, default=50, help="val prompts of each category")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--credit", action="store_true")
    parser.add_argument("--one-step-off", action="store_true")
    parser.add_argument("--only", nargs="+", help="of the ablations: product, or names of files; or of forms of credit")
    options = parser.parse_args()
    steps = [] if options.steps is None else [f"steps={options.steps}"]
    runs = runs_of(options)
    first = tomllib.loads(options.config.read_text(encoding="utf-8"))["ckpt"]
    before = held_out(options.generator, first, options.out / "before", options.prompts)
    names = [category for category in before if category != ALL]
    columns = [*names, *FACTORS] if options.ablations else ["minutes", *FACTORS, "total, spatial prompts"]
    print(f"| trained with | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    print(ablation_line("nothing", before) if options.ablations else line("nothing", "", before), flush=True)
    folders = {name: options.out / name.replace(" ", "-") for name in runs}
    for name, settings in runs.items():
        checkpoint, minutes = train(options.config, folders[name], *steps, *settings)
        measured = held_out(options.generator, str(checkpoint), folders[name] / "held-out", options.prompts)
        told = ablation_line(name, measured) if options.ablations else line(name, f"{minutes:.1f}", measured)
        print(told, flush=True)
    if not options.ablations and not options.credit and not options.one_step_off:
        draw(folders, options.out / "curves.png")


if __name__ == "__main__":
    main()
