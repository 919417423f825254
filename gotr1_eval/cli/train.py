"""Commands around training: train (with the rewards that also judge), plan what it costs, the tiny checkpoints."""

from __future__ import annotations

import json
import signal
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gotr1_eval.cli.options import AsJson, NoProgress, split_names
from gotr1_eval.core.errors import StoppedError, UsageError

if TYPE_CHECKING:
    from gotr1_eval.planning.plan import Plan
    from training.grpo import GrpoTrainer
    from training.sft_run import SftTrainer


train = typer.Typer(
    help="Train a checkpoint: sft (examples), grpo (reinforcement with the judges as rewards).", no_args_is_help=True
)

Config = Annotated[Path, typer.Option("--config", help="The settings, a TOML file such as configs/shapes.toml.")]
Out = Annotated[Path, typer.Option("--out", help="The folder of the run; the same command goes on in it.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting over the file's: --set steps=50 --set sampling.guidance=3"),
]


Profile = Annotated[
    bool,
    typer.Option("--profile", help="Write a trace of one step, OUT/profile.json, for chrome://tracing or Perfetto."),
]


@train.command("grpo")
def grpo(config: Config, out: Out, changes: Set = None, profile: Profile = False, quiet: NoProgress = False) -> None:
    """Reinforce chains and pictures with GRPO. A stop signal saves first (exit code 4); the same command goes on."""
    from gotr1_eval.cli.terminal import err, hushed
    from gotr1_eval.settings import read_settings, read_toml
    from gotr1_eval.training_run import prepare_grpo
    from training.settings import GrpoSettings

    settings = read_settings(GrpoSettings, with_changes(read_toml(config), changes or ()), where=str(config))
    trainer = prepare_grpo(
        settings,
        out,
        report=lambda metrics: err.print(_line(metrics), markup=False, soft_wrap=True),
        note=lambda line: err.print(f"note: {line}", markup=False, soft_wrap=True),
    )
    trainer.profile = profile
    for idle in settings.idle:
        err.print(f"note: {idle}", markup=False, soft_wrap=True)
    _stop_politely(trainer)
    with hushed(quiet):
        _tell_end(trainer.train(), settings.steps, "policy", out)


@train.command("sft")
def sft(config: Config, out: Out, changes: Set = None, quiet: NoProgress = False) -> None:
    """Teach chains and pictures from examples. A stop signal saves first (exit code 4); the same command goes on."""
    from gotr1_eval.cli.terminal import err, hushed
    from gotr1_eval.settings import read_settings, read_toml
    from gotr1_eval.training_run import prepare_sft
    from training.settings import SftSettings

    settings = read_settings(SftSettings, with_changes(read_toml(config), changes or ()), where=str(config))
    trainer = prepare_sft(settings, out, report=lambda metrics: err.print(_line(metrics), markup=False, soft_wrap=True))
    _stop_politely(trainer)
    with hushed(quiet):
        _tell_end(trainer.train(), settings.steps, "model", out)


def with_changes(values: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """The values of a settings file with ``key=value`` laid over them; dots lead into tables, values are TOML or text.

    Raises:
        UsageError: no ``=``, or a dot leads into something that is no table.
    """
    for change in changes:
        path, sign, text = change.partition("=")
        if not sign or not path.strip():
            raise UsageError(f"--set {change}: expected key=value, as in --set steps=50")
        *tables, key = path.strip().split(".")
        inside = values
        for name in tables:
            inside = inside.setdefault(name, {})
            if not isinstance(inside, dict):
                raise UsageError(f"--set {change}: {name!r} is a single value, not a table")
        try:
            inside[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            inside[key] = text
    return values


def _tell_end(done: int, steps: int, name: str, out: Path) -> None:
    """Say where what was learned is; raises StoppedError when there are steps left."""
    from gotr1_eval.cli.terminal import err

    told = f"{done} of {steps} steps done; the {name} is {out / 'checkpoints' / f'step-{done:06}'}"
    if done < steps:
        raise StoppedError(f"stopped: {told}; the same command goes on")
    err.print(told, markup=False, soft_wrap=True)


TOGETHER = 2.0
"""Seconds within which further stop signals are taken for the first one."""


def _stop_politely(trainer: GrpoTrainer | SftTrainer) -> None:
    """On the first stop signal finish the step and save; a second one ends at once.

    One that comes together with the first is the same: a launcher passes on what the terminal has sent already.
    """
    asked_at = 0.0

    def stop(number: int, frame: object) -> None:
        nonlocal asked_at
        if trainer.stopping and time.monotonic() - asked_at >= TOGETHER:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            signal.raise_signal(number)
        elif not trainer.stopping:
            trainer.stopping, asked_at = True, time.monotonic()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


_SHOWN = {
    "held out/{0}/mean": "held-out {0}",
    "held out/{0}/low": "95 % interval from",
    "held out/{0}/high": "to",
    "reward/{0}/mean": "{0}",
    "reward/{0}/trend": "trend",
    "reward/{0}/unscored": "unscored",
    "groups/learned": "groups",
    "chain/tokens": "chain tokens",
    "text/clipped": "clipped text",
    "image/clipped": "clipped image",
    "text/kl": "KL text",
    "image/kl": "KL image",
    "text/loss": "text loss",
    "image/loss": "image loss",
    "grad_norm": "gradient",
    "seconds/chain": "seconds: chains",
    "seconds/image": "pictures",
    "seconds/decode": "decoding",
    "seconds/judge": "judges",
    "seconds/update": "update",
}


def _line(metrics: dict[str, float]) -> str:
    """One line of progress: the few numbers that tell how it goes; all of them are in metrics.jsonl.

    `trend` is the mean total of the last ten steps less that of the ten before. A line of its own warns of a reward
    that rises while a watched judge falls, and of samples of a prompt that become alike.
    """
    from training.trend import alarms, collapsed, drifting

    headline = _headline(metrics)
    told = [
        f"{label.format(headline)} {metrics[key]:{'+' if label == 'trend' else ''}.3g}"
        for name, label in _SHOWN.items()
        if (key := name.format(headline)) in metrics
    ]
    warned = [
        f"warning: the reward rises while {judge} falls, which is not trained on; the samples will tell whether the "
        f"judges are being gamed (gap {metrics[f'watched/{judge}/gap']:.1f} standard deviations)"
        for judge in alarms(metrics)
    ]
    warned += [
        f"warning: {share:.1%} of the {segment} tokens' probabilities differ by more than a fifth between sampler and "
        "trainer: what is learned from is not what was sampled (docs/training.md, Precision; with one_step_off a step "
        "moves the policy too far: learn more slowly)"
        for segment, share in drifting(metrics).items()
    ]
    warned += [
        f"warning: {name} of a prompt's samples is {share:.0%} of what it was in the first steps: the policy answers a "
        "prompt in fewer and fewer ways (docs/training.md, What to watch)"
        for name, share in collapsed(metrics).items()
    ]
    if "micro_batch" in metrics:
        warned.append(f"note: memory did not suffice; micro_batch is {metrics['micro_batch']:.0f} from here on")
    return "\n".join([f"step {metrics['step']:.0f}: " + ", ".join(told), *warned])


def _headline(metrics: Mapping[str, float]) -> str:
    """The total, or what else the set of rewards is headed by."""
    means = [
        name.split("/")[1] for name in metrics if name.startswith(("held out/", "reward/")) and name.endswith("/mean")
    ]
    return next(iter(sorted(means, key=lambda factor: factor != "total")), "total")


_UNITS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def plan(
    images: Annotated[int | None, typer.Option(min=1, help="Judge so many pictures.")] = None,
    train: Annotated[str | None, typer.Option(help="Train by GRPO: janus-pro-1b or janus-pro-7b.")] = None,
    judge: Annotated[str, typer.Option(help="The judge's model: qwen2.5-vl-3b, -7b, -32b or -72b.")] = "qwen2.5-vl-7b",
    judges: Annotated[
        str | None,
        typer.Option(help="What it is asked: semantic, spatial, reasoning_image, prompt_image, or paper for all."),
    ] = None,
    gpu: Annotated[str, typer.Option(help="h200, h100, a100 or l40s.")] = "h100",
    gpus: Annotated[int, typer.Option(min=1, help="That judge, or train.")] = 8,
    judge_gpus: Annotated[int, typer.Option(min=1, help="That judge beside those that train.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Of training.")] = 1000,
    prompts: Annotated[int, typer.Option(min=1, help="A step.")] = 8,
    samples: Annotated[int, typer.Option(min=1, help="A prompt.")] = 16,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Another assumption: --set chain_tokens=200 --set read_share=0.5")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """FLOPs, bytes, judge calls, seconds and GPU-hours, from a model of costs whose assumptions are printed with it."""
    from gotr1_eval.planning.assumptions import Assumptions
    from gotr1_eval.planning.plan import plan_judging, plan_training
    from gotr1_eval.settings import read_settings

    if (images is None) == (train is None):
        raise UsageError("give either --images (so many pictures to judge) or --train (a model to train)")
    given = read_settings(Assumptions, with_changes({}, changes or ()), where="--set")
    if images is not None:
        found = plan_judging(images, judge, split_names(judges or "prompt_image"), gpu, gpus, given)
    else:
        asked = split_names(judges or "paper")
        found = plan_training(
            str(train), judge, asked, steps=steps, prompts=prompts, group=samples, gpu=gpu, gpus=gpus,
            judge_gpus=judge_gpus, given=given,
        )  # fmt: skip
    if as_json:
        from gotr1_eval.cli.terminal import out

        out.print(json.dumps(found.json(), indent=2), markup=False, soft_wrap=True)
        return
    _show(found)


def _show(found: Plan) -> None:
    from rich.table import Table

    from gotr1_eval.cli.terminal import out

    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("one step" if found.steps > 1 else "phase", no_wrap=True)
    for name in ("FLOPs", "bytes moved", "judge calls", "GPU-seconds", "share"):
        grid.add_column(name, justify="right")
    whole = sum(row.seconds for row in found.rows)
    for row in found.rows:
        calls = f"{row.calls:,.0f}" if row.calls else ""
        moved = amount(row.moved) if row.moved else ""
        share = f"{row.seconds / whole:.0%}"
        grid.add_row(row.name, amount(row.flops), moved, calls, f"{row.seconds:,.1f}", share)
    out.print(found.title, markup=False, soft_wrap=True)
    out.print(grid)
    told = f"in all: {amount(found.flops)}FLOPs, {found.calls:,.0f} judge calls, {_time(found.seconds)}, "
    out.print(told + f"{found.gpu_hours:,.1f} GPU-hours ({found.gpus} GPUs held)", markup=False, soft_wrap=True)
    for name, value in found.bytes.items():
        out.print(f"{name}: {amount(value)}B", markup=False, soft_wrap=True)
    assumed = ", ".join(f"{name}={_plain(value)}" for name, value in found.assumed.items())
    out.print(f"assumed (change with --set): {assumed}", markup=False, soft_wrap=True, style="dim")
    out.print("not in it: network, start-up, restarts, loading pictures", markup=False, soft_wrap=True, style="dim")


def amount(value: float) -> str:
    """Three digits and a unit: 1.25 T."""
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} "


def _time(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tiny_janus(
    out: Annotated[Path, typer.Option("--out", help="Folder for the checkpoint.")],
    seed: Annotated[int, typer.Option(help="The shipped one was built from seed 0.")] = 0,
) -> None:
    """Rebuild the embedded tiny Janus from a seed: tokenizer, picture tokens, supervised chains and pictures."""
    from gotr1_eval.cli.terminal import err
    from training.tiny.janus import build_tiny_janus

    build_tiny_janus(out, seed=seed, progress=lambda line: err.print(line, markup=False))


def tiny_emu3(
    out: Annotated[Path, typer.Option("--out", help="Folder for the checkpoint.")],
    seed: Annotated[int, typer.Option(help="The shipped one was built from seed 0.")] = 0,
) -> None:
    """Rebuild the embedded tiny Emu3 from a seed and the tiny Janus: picture tokens, supervised chains and pictures."""
    from gotr1_eval.cli.terminal import err
    from training.tiny.emu3 import build_tiny_emu3

    build_tiny_emu3(out, seed=seed, progress=lambda line: err.print(line, markup=False))
