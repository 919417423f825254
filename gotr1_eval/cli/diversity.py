"""The command that says how different the samples of each prompt are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson, Export
from gotr1_eval.core.types import Json
from gotr1_eval.settings import read_component

if TYPE_CHECKING:
    from reports.run_data import RunData


def diversity(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs with several pictures a prompt.")],
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            help="Encoder of pictures, by name, or name,setting=value,...; what it finds stays in the run's folder.",
        ),
    ] = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Say how different the pictures, plans and chains of each prompt are: a policy that always does the same has lost.

    Nothing is made or judged again; without --encoder, pictures are told apart by where their colours lie.
    """
    from gotr1_eval.cli.finish import command_line, finish_document
    from reports.diversity import diversity_document, run_diversity
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export or [])
    spec = None if encoder is None else read_component(encoder, "--encoder")
    loaded = [load_run(folder) for folder in runs]
    if spec is not None:
        _embed(loaded, spec)
    found = [run_diversity(run) for run in loaded]
    finish_document(diversity_document(loaded, found, command_line()), export or [], as_json=as_json)


def _embed(runs: list[RunData], spec: dict[str, Json]) -> None:
    """Leave the encoder's distances in each run's folder."""
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import err
    from reports.diversity import StoredDistances, picture_distances, prompts_of, write_distances

    encoder = Builder().encoder(spec)
    for run in runs:
        with err.status(f"{run.folder}: {encoder.name}"):
            distances, unread = picture_distances(prompts_of(run), encoder.embed_images)
        found = StoredDistances(
            encoder=encoder.name, fingerprint=encoder.fingerprint, distances=distances, unread=unread
        )
        write_distances(run.folder, found)
        if unread:
            err.print(f"note: {run.folder}: {unread} pictures could not be opened and are left out", markup=False)
