"""The list of commands."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from itertools import pairwise
from typing import Annotated

import typer

from gotr1_eval.cli import (
    agreement,
    analyse,
    audit,
    bench,
    calibrate,
    compare,
    convert,
    data,
    demo,
    doctor,
    leaderboard,
    listing,
    merge,
    phrases,
    plan,
    precision,
    rate,
    report,
    reread,
    retest,
    serve,
    study,
    tiny_janus,
    train,
    weights,
)
from gotr1_eval.core.errors import UsageError

_INTERRUPTED = 130

app = typer.Typer(
    name="gotr1-eval",
    help="Judges, rewards, benchmarks and reports for image generators that reason before they paint.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(metadata.version("gotr1-eval"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and stop.")
    ] = False,
) -> None:
    """What stands before a command."""


app.command("demo")(demo.demo)
app.command("bench")(bench.bench)
app.command("compbench")(bench.compbench)
app.command("geneval")(bench.geneval)
app.command("phrases")(phrases.phrases)
app.command("generate")(bench.generate)
app.command("merge")(merge.merge)
app.command("convert")(convert.convert)
app.command("score")(bench.score)
app.command("audit")(audit.audit)
app.command("agreement")(agreement.agreement)
app.command("retest")(retest.retest)
app.command("reread")(reread.reread)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("precision")(precision.precision)
app.command("analyse")(analyse.analyse)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("study")(study.study)
app.command("rate")(rate.rate)
app.command("serve")(serve.serve)
app.command("list")(listing.list_plugins)
app.command("tiny-janus")(tiny_janus.tiny_janus)
app.command("plan")(plan.plan)
app.command("weights")(weights.weights)
app.command("doctor")(doctor.doctor)
app.add_typer(data.data, name="data")
app.add_typer(calibrate.calibrate, name="calibrate")
app.add_typer(train.train, name="train")


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Raises:
        KeyboardInterrupt: as always, whatever typer makes of it.
        UsageError: an unknown command or option, a value of the wrong kind, or an option's value that is empty, as an
            unset variable of a shell leaves it.
    """
    for option, value in pairwise([*arguments, "-"]):
        named, equals, given = option.partition("=")
        if named.startswith("--") and len(named) > 2 and not (given if equals else value).strip():
            raise UsageError(f"{named}: expected a value, got an empty text")
    try:
        code = app(list(arguments) or ["--help"], standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
        raise UsageError(f"{' '.join(message.split())} (see gotr1-eval --help)") from None
    if code == _INTERRUPTED:
        raise KeyboardInterrupt  # typer makes an exit code of it, and says nothing
    return code if isinstance(code, int) else 0
