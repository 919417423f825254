"""gotr1-eval serve: judges behind HTTP."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import JudgeModel, judge_model_spec
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.extras import install_hint
from gotr1_eval.web.addresses import TOKEN, address, is_loopback, listening, token_of_environment

if TYPE_CHECKING:
    from gotr1_eval.core.types import Json
    from gotr1_eval.web.admission import Limits
    from rewards.reward_set import RewardSet, UnscoredAs

_LIMITS = "Limits"


def serve(
    judges: Annotated[str, typer.Option("--judges", help="A reward set, a .toml file, or judges separated by commas.")],
    judge_model: JudgeModel = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")] = 8780,
    unscored: Annotated[
        str,
        typer.Option(
            metavar="VALUE|error|omit",
            help="What is said of a sample that a judge could not score: an error, nothing, or a number of yours.",
        ),
    ] = "error",
    metadata_is: Annotated[
        str | None,
        typer.Option(
            metavar="FACT", help="The fact that a row's metadata is as a whole, for one benchmark's own rows."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes with the models of their own; each takes one of CUDA_VISIBLE_DEVICES, and the limits apply "
            "to each.",
        ),
    ] = 1,
    request_mib: Annotated[int, typer.Option(min=1, help="MiB of one request's body.", rich_help_panel=_LIMITS)] = 64,
    memory_mib: Annotated[
        int,
        typer.Option(min=2, help="MiB of all requests at work: bodies, texts and pixels.", rich_help_panel=_LIMITS),
    ] = 512,
    rows: Annotated[int, typer.Option(min=1, help="Samples in one request.", rich_help_panel=_LIMITS)] = 1_024,
    waiting_rows: Annotated[
        int, typer.Option(min=2, help="Samples of all requests at work.", rich_help_panel=_LIMITS)
    ] = 8_192,
    prompt_characters: Annotated[
        int, typer.Option(min=1, help="Characters of one prompt.", rich_help_panel=_LIMITS)
    ] = 8_000,
    chain_characters: Annotated[
        int, typer.Option(min=1, help="Characters of one chain.", rich_help_panel=_LIMITS)
    ] = 32_000,
    facts_characters: Annotated[
        int, typer.Option(min=1, help="Characters of what one row says about its prompt.", rich_help_panel=_LIMITS)
    ] = 32_000,
    picture_pixels: Annotated[int, typer.Option(min=1, help="Pixels of one picture.", rich_help_panel=_LIMITS)] = 2**22,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Until a sample that no judge answered is unscored.", rich_help_panel=_LIMITS)
    ] = 300.0,
) -> None:
    """Serve judges over HTTP (POST /score, GET /health). Beyond this machine GOTR1_EVAL_TOKEN must be set."""
    try:
        from gotr1_eval.web.admission import Limits
        from gotr1_eval.web.processes import work_side_by_side
    except ModuleNotFoundError as error:
        raise UsageError(f"serving needs {error.name}: {install_hint('serve')}") from None

    limits = Limits(
        request_mib=request_mib,
        memory_mib=memory_mib,
        rows=rows,
        waiting_rows=waiting_rows,
        prompt_characters=prompt_characters,
        chain_characters=chain_characters,
        facts_characters=facts_characters,
        picture_pixels=picture_pixels,
        seconds=seconds,
    )
    serving = Serving(
        judges,
        judge_model_spec(judge_model, judges),
        token_of_environment(),
        limits,
        read_unscored(unscored),
        metadata_is,
    )
    if serving.token is None and not is_loopback(host):
        raise UsageError(f"--host {host} is reachable from elsewhere: set {TOKEN}, or listen on 127.0.0.1")
    with listening(host, port) as listener:
        where = address(host, listener)
        if workers == 1:
            serving.work(listener, where, 0, lambda: None)
        elif code := work_side_by_side(workers, partial(serving.work, listener, where)):
            raise typer.Exit(code)


@dataclass(frozen=True)
class Serving:
    """What one process serves."""

    judges: str
    judge_model: dict[str, Json] | None
    token: str | None
    limits: Limits
    unscored: UnscoredAs
    metadata_is: str | None

    def work(self, listener: socket.socket, where: str, number: int, ready: Callable[[], None]) -> None:
        """Load the judges, say so where this is the first process, and answer until interrupted."""
        from gotr1_eval.build import Builder
        from gotr1_eval.web import guard
        from gotr1_eval.web.reward_server import create_app

        builder = Builder()
        rewards = builder.reward_set(self.judges, self.judge_model)
        builder.ready()
        app = create_app(
            rewards, token=self.token, limits=self.limits, unscored=self.unscored, metadata_is=self.metadata_is
        )
        if number == 0:
            self._say(rewards, where)
        ready()
        guard.server(app).run(sockets=[listener])

    def _say(self, rewards: RewardSet, where: str) -> None:
        from gotr1_eval.cli.terminal import out

        who = "whoever has the token" if self.token else "this machine"
        lines = [f"rewards at {where} for {who} (POST /score, GET /health): {', '.join(rewards.names)}"]
        lines += [f"scorer_version {rewards.fingerprint}, unscored: {self.unscored}"]
        lines += [
            f"{judge.name} scores rows whose metadata holds {', '.join(sorted(judge.needs))}"
            for judge in rewards.judges.values()
            if judge.needs
        ]
        for line in lines:
            out.print(line, markup=False, soft_wrap=True)


def read_unscored(text: str) -> UnscoredAs:
    """The choice that ``--unscored`` names.

    Raises:
        UsageError: none of the two words, and no finite number.
    """
    words: dict[str, UnscoredAs] = {"error": "error", "omit": "omit"}
    if text in words:
        return words[text]
    with suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise UsageError(f"--unscored {text!r}: expected 'error', 'omit' or a number that stands in")
