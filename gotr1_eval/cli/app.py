"""The commands, in the groups in which `--help` lists them.

A command's module is imported when the command is called: listing all of them costs no more than this file.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from itertools import pairwise
from typing import Annotated, Any

import typer

from gotr1_eval.core.errors import UsageError

ALIASES: Mapping[str, tuple[str, str]] = {
    "compbench": ("t2i-compbench", "T2I-CompBench: gotr1-eval compbench --ckpt FOLDER --limit 5"),
    "geneval": ("geneval", "GenEval: gotr1-eval geneval --images DIR --detections FILE"),
}
"""`bench` under the names that people know: the suite that it runs, and what it is for, with an example."""

GROUPS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Run": {
        "demo": ("bench:demo", "Generate and judge drawings of shapes with the embedded model, and write the report."),
        "bench": ("bench:bench", "Run a benchmark: gotr1-eval bench shapes --ckpt tiny-janus --limit 5"),
        **{name: (f"bench:{name}", line) for name, (_, line) in ALIASES.items()},
        "generate": ("bench:generate", "Only the pictures: gotr1-eval generate --suite shapes --ckpt tiny-janus"),
        "merge": ("bench:merge", "Put the shards of a run together: gotr1-eval merge runs/a"),
    },
    "Judge": {
        "score": ("bench:score", "Pictures and chains made elsewhere: gotr1-eval score chains.jsonl"),
        "serve": ("serve:serve", "Judges behind HTTP: gotr1-eval serve --judges geometric"),
        "reread": ("reread:reread", "The present reader over stored replies: gotr1-eval reread runs/a"),
        "retest": ("agreement:retest", "The same judges once more: gotr1-eval retest runs/a --judges spatial"),
    },
    "Compare": {
        "report": ("compare:report", "A run's page and table again: gotr1-eval report runs/a"),
        "view": ("view:view", "All runs of a folder in the browser: gotr1-eval view runs"),
        "compare": ("compare:compare", "Better, worse or within noise: gotr1-eval compare runs/a runs/b"),
        "regress": ("compare:regress", "Nothing lost? gotr1-eval regress runs/a runs/b --margin 0.05"),
        "leaderboard": ("compare:leaderboard", "Ranks with ties: gotr1-eval leaderboard runs/a runs/b"),
        "diversity": ("diversity:diversity", "All the same? gotr1-eval diversity runs/a --encoder clip"),
        "analyse": ("compare:analyse", "What makes a reward: gotr1-eval analyse runs/a"),
        "push": ("share:push", "A run on the hub: gotr1-eval push runs/a --repo owner/name --dry-run"),
        "bundle": ("share:bundle", "A run for a bug report: gotr1-eval bundle runs/a"),
        "precision": ("compare:precision", "How many pictures a mean needs: gotr1-eval precision runs/a"),
    },
    "Trust": {
        "audit": ("audit:audit", "Judges on known answers: gotr1-eval audit --judge geometric"),
        "best-of": ("compare:best_of", "Can a judge be hacked? gotr1-eval best-of runs/a --by total"),
        "frontier": ("frontier:frontier", "Agreement against cost: gotr1-eval frontier runs/a studies/a"),
        "cascade": ("cascade:cascade", "Cheap where it is sure: gotr1-eval cascade fit runs/a --cheap A --strong B"),
        "distil": (
            "distil:distil",
            "A light judge of a strong one's scores: gotr1-eval distil runs/a --judge prompt_image",
        ),
        "study": ("study:study", "Draw what people should rate: gotr1-eval study runs/a --out studies/a"),
        "rate": ("study:rate", "The page on which they rate: gotr1-eval rate studies/a"),
        "agreement": ("agreement:agreement", "Judges against people: gotr1-eval agreement runs/a studies/a"),
        "calibrate": (
            "agreement:calibrate",
            "People's scale: gotr1-eval calibrate fit runs/a studies/a --judge spatial",
        ),
    },
    "Train": {
        "train": ("train:train", "GRPO and SFT: gotr1-eval train grpo --config configs/shapes.toml --out runs/grpo"),
        "plan": ("train:plan", "What a big run would cost: gotr1-eval plan --train janus-pro-7b --gpus 8"),
        "tiny-janus": ("train:tiny_janus", "Train the embedded checkpoint again: gotr1-eval tiny-janus --out DIR"),
        "tiny-emu3": ("train:tiny_emu3", "Train the embedded Emu3 again: gotr1-eval tiny-emu3 --out DIR"),
    },
    "Set up": {
        "list": ("setup:list_plugins", "What can be named: gotr1-eval list judges"),
        "data": ("setup:data", "The benchmarks' prompts: gotr1-eval data fetch"),
        "weights": ("setup:weights", "Official weights: gotr1-eval weights geneval --download"),
        "doctor": ("doctor:doctor", "Do the models see at all? gotr1-eval doctor --detector shapes"),
        "convert": ("setup:convert", "DeepSeek's layout as transformers': gotr1-eval convert SRC DST"),
        "phrases": ("phrases:phrases", "How prompts are parsed: gotr1-eval phrases --freeze parses.json"),
    },
}
"""Group -> command -> (module of `gotr1_eval.cli` and name in it, what it is for, with an example)."""

_INTERRUPTED = 130
COMMANDS = {name: place for group in GROUPS.values() for name, (place, _) in group.items()}


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(metadata.version("gotr1-eval"))
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and stop.")
    ] = False,
) -> None:
    """What stands before a command."""


def make_app(wanted: Sequence[str] = tuple(COMMANDS)) -> typer.Typer:
    """The application with these commands in full, and all others as no more than a line of the help."""
    app = typer.Typer(
        name="gotr1-eval",
        help="Judges, rewards, benchmarks and reports for image generators that reason before they paint.",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for group, commands in GROUPS.items():
        for name, (place, line) in commands.items():
            if name not in wanted:
                app.command(name, help=line, rich_help_panel=group)(_unloaded)
                continue
            command = _load(place)
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name, rich_help_panel=group)
            else:
                app.command(name, rich_help_panel=group)(command)
    return app


def _load(place: str) -> Any:  # noqa: ANN401 (a function or a group of commands)
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"gotr1_eval.cli.{module}"), name)


def _unloaded() -> None:
    """Stands for a command that is listed and not called."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Raises:
        UsageError: an unknown command or option, a value of the wrong kind, or an option's value that is empty, as an
            unset variable of a shell leaves it.
        KeyboardInterrupt: as always, whatever typer makes of it.
    """
    for option, value in pairwise([*arguments, "-"]):
        named, equals, given = option.partition("=")
        if named.startswith("--") and len(named) > 2 and not (given if equals else value).strip():
            raise UsageError(f"{named}: expected a value, got an empty text")
    completes = "_GOTR1_EVAL_COMPLETE" in os.environ
    app = make_app(tuple(COMMANDS) if completes else tuple(arguments[:1]))
    try:
        code = app(list(arguments) or ["--help"], standalone_mode=completes)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
        raise UsageError(f"{' '.join(message.split())} (see gotr1-eval --help)") from None
    if code == _INTERRUPTED:
        raise KeyboardInterrupt  # typer makes an exit code of it, and says nothing
    return code if isinstance(code, int) else 0
