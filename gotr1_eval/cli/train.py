"""gotr1-eval train: teach a checkpoint with the rewards that also judge it."""

from __future__ import annotations

import signal
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gotr1_eval.core.errors import StoppedError, UsageError

if TYPE_CHECKING:
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


@train.command("grpo")
def grpo(config: Config, out: Out, changes: Set = None) -> None:
    """Reinforce chains and pictures with GRPO. A stop signal saves first (exit code 4); the same command goes on."""
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.settings import read_settings, read_toml
    from gotr1_eval.training_run import prepare_grpo
    from training.settings import GrpoSettings

    settings = read_settings(GrpoSettings, with_changes(read_toml(config), changes or ()), where=str(config))
    trainer = prepare_grpo(
        settings, out, report=lambda metrics: err.print(_line(metrics), markup=False, soft_wrap=True)
    )
    _stop_politely(trainer)
    done = trainer.train()
    _tell_end(done, settings.steps, "policy", out)


@train.command("sft")
def sft(config: Config, out: Out, changes: Set = None) -> None:
    """Teach chains and pictures from examples. A stop signal saves first (exit code 4); the same command goes on."""
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.settings import read_settings, read_toml
    from gotr1_eval.training_run import prepare_sft
    from training.settings import SftSettings

    settings = read_settings(SftSettings, with_changes(read_toml(config), changes or ()), where=str(config))
    trainer = prepare_sft(settings, out, report=lambda metrics: err.print(_line(metrics), markup=False, soft_wrap=True))
    _stop_politely(trainer)
    done = trainer.train()
    _tell_end(done, settings.steps, "model", out)


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


def _stop_politely(trainer: GrpoTrainer | SftTrainer) -> None:
    """On the first stop signal finish the step and save; a second one ends at once."""

    def stop(number: int, frame: object) -> None:
        trainer.stopping = True
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


_SHOWN = {
    "held out/total/mean": "held-out total",
    "held out/total/low": "from",
    "held out/total/high": "to",
    "reward/total/mean": "total",
    "reward/total/trend": "trend",
    "reward/total/unscored": "unscored",
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
    that rises while a watched judge falls.
    """
    from training.trend import alarms

    told = [
        f"{label} {metrics[name]:{'+' if label == 'trend' else ''}.3g}"
        for name, label in _SHOWN.items()
        if name in metrics
    ]
    warned = [
        f"warning: the reward rises while {judge} falls, which is not trained on; the samples will tell whether the "
        f"judges are being gamed (gap {metrics[f'watched/{judge}/gap']:.1f} standard deviations)"
        for judge in alarms(metrics)
    ]
    return "\n".join([f"step {metrics['step']:.0f}: " + ", ".join(told), *warned])
