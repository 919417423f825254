"""gotr1-eval serve: judges behind HTTP."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gotr1_eval.cli.options import JudgeModel, judge_model_spec
from gotr1_eval.core.errors import UsageError
from gotr1_eval.web.addresses import is_loopback

TOKEN = "GOTR1_EVAL_TOKEN"


def serve(
    judges: Annotated[str, typer.Option("--judges", help="A reward set, a .toml file, or judges separated by commas.")],
    judge_model: JudgeModel = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8780,
) -> None:
    """Serve judges over HTTP (POST /score, GET /health). Beyond this machine GOTR1_EVAL_TOKEN must be set."""
    try:
        import uvicorn

        from gotr1_eval.web.reward_server import create_app
    except ModuleNotFoundError as error:
        raise UsageError(f"serving needs {error.name}: pip install 'gotr1-eval[serve]'") from None
    from gotr1_eval.build import Builder

    token = os.environ.get(TOKEN) or None
    if token is None and not is_loopback(host):
        raise UsageError(f"--host {host} is reachable from elsewhere: set {TOKEN}, or listen on 127.0.0.1")
    uvicorn.run(
        create_app(Builder().reward_set(judges, judge_model_spec(judge_model, None, judges)), token=token),
        host=host,
        port=port,
        log_level="warning",
    )
