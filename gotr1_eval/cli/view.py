"""gotr1-eval view: all runs of a folder in the browser, or as pages that need no server."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.extras import install_hint
from gotr1_eval.web.addresses import address, is_loopback, listening, token_of_environment


def view(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder with runs, at any depth.")] = Path("runs"),
    export: Annotated[
        Path | None,
        typer.Option("--export", help="Write the list and a page a run into this folder, and start no server."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's needs the link's token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")] = 8770,
) -> None:
    """Look at all runs of a folder: list, progress, pictures side by side, leaderboard, search in prompts and chains.

    Runs are read and never written. GOTR1_EVAL_TOKEN is the token of the link, if set.
    """
    from gotr1_eval.cli.terminal import err
    from reports.viewer.copying import write_copy
    from reports.viewer.runs_folder import RunsFolder

    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder with runs; name one")
    runs = RunsFolder(folder)
    if export is not None:
        count = write_copy(runs, export)
        err.print(f"{count} runs in {export}: open {export / 'index.html'}", markup=False, soft_wrap=True)
        return
    try:
        from gotr1_eval.web.guard import server
        from gotr1_eval.web.view import Viewer, create_app
    except ModuleNotFoundError as error:
        raise UsageError(f"view needs {error.name}: {install_hint('serve')}") from None
    from reports.viewer.search import SearchIndex

    token = None if is_loopback(host) else token_of_environment() or secrets.token_urlsafe(24)
    with listening(host, port) as listener:
        link = f"{address(host, listener)}/{'' if token is None else f'?token={token}'}"
        viewer = Viewer(runs, SearchIndex(runs))
        viewer.follow()
        err.print(f"view at {link}", markup=False, soft_wrap=True)
        try:
            server(create_app(viewer, token=token)).run(sockets=[listener])
        finally:
            viewer.stop()
