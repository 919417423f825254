"""gotr1-eval serve: judges behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from gotr1_eval.cli.options import JudgeModel, judge_model_spec
from gotr1_eval.core.errors import UsageError, install_hint
from gotr1_eval.web.addresses import TOKEN, address, is_loopback, listening, token_of_environment

_LIMITS = "Limits"


def serve(
    judges: Annotated[str, typer.Option("--judges", help="A reward set, a .toml file, or judges separated by commas.")],
    judge_model: JudgeModel = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")] = 8780,
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
        from gotr1_eval.web import guard
        from gotr1_eval.web.reward_requests import Limits
        from gotr1_eval.web.reward_server import create_app
    except ModuleNotFoundError as error:
        raise UsageError(f"serving needs {error.name}: {install_hint('serve')}") from None
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import out

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
    token = token_of_environment()
    if token is None and not is_loopback(host):
        raise UsageError(f"--host {host} is reachable from elsewhere: set {TOKEN}, or listen on 127.0.0.1")
    with listening(host, port) as listener:
        rewards = Builder().reward_set(judges, judge_model_spec(judge_model, judges))
        who = "whoever has the token" if token else "this machine"
        out.print(
            f"rewards at {address(host, listener)} for {who} (POST /score, GET /health): {', '.join(rewards.judges)}"
            + (", total" if rewards.total is not None else ""),
            markup=False,
            soft_wrap=True,
        )
        for judge in rewards.judges.values():
            if judge.needs:
                facts = ", ".join(sorted(judge.needs))
                out.print(f"{judge.name} scores rows whose metadata holds {facts}", markup=False, soft_wrap=True)
        guard.server(create_app(rewards, token=token, limits=limits)).run(sockets=[listener])
