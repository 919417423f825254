"""gotr1-eval rate: a page on which people rate a study."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.core.errors import UsageError, install_hint
from gotr1_eval.core.secrets import show
from gotr1_eval.web.addresses import address, is_loopback, listening, token_of_environment

if TYPE_CHECKING:
    from gotr1_eval.web.rating_store import RatingStore

TOKEN_FILE = ".rating-token"


def rate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder, as `gotr1-eval study` writes it.")],
    export: Annotated[
        Path | None, typer.Option("--export", help="Write all ratings to this CSV file, and start no server.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's needs the link's token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")] = 8790,
) -> None:
    """Let people rate a study in their browsers: several at once, each under a name, every click kept at once.

    The same command goes on where it stopped. GOTR1_EVAL_TOKEN is the token of the link, if set.
    """
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.web.rating_store import RatingStore
    from reports.agreement.study_folder import read_study

    study = read_study(folder)
    store = RatingStore(folder, study)
    if export is not None:
        _export(store, export)
        return
    try:
        from gotr1_eval.web.guard import server
        from gotr1_eval.web.rate import create_app
    except ModuleNotFoundError as error:
        raise UsageError(f"rating needs {error.name}: {install_hint('serve')}") from None
    token = None if is_loopback(host) else _token(folder)
    with listening(host, port) as listener:
        link = f"{address(host, listener)}/{'' if token is None else f'?token={token}'}"
        show(f"rate at {link}")
        out.print("Every answer is on disk before the page shows it as saved. Ctrl-C stops, the same command goes on.")
        server(create_app(folder, study, store, token=token)).run(sockets=[listener])


def _export(store: RatingStore, path: Path) -> None:
    """Write the long table, and say what is in it."""
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.files.writing import write_atomically
    from reports.agreement.study_folder import ratings_csv

    ratings = store.ratings()
    try:
        write_atomically(path, ratings_csv(ratings))
    except OSError as error:
        raise UsageError(f"--export {path}: cannot be written: {error.strerror}") from None
    marks = sum(rating.value is not None for rating in ratings)
    raters, items = len({rating.rater for rating in ratings}), len({rating.item for rating in ratings})
    err.print(
        f"{path}: {marks} marks and {len(ratings) - marks} 'cannot judge' by {raters} raters on {items} items",
        markup=False,
        soft_wrap=True,
    )


def _token(folder: Path) -> str:
    """The link's token: the environment's, or one that stays the same for the study."""
    if named := token_of_environment():
        return named
    path = folder / TOKEN_FILE
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text(encoding="ascii").strip()
