"""The command that says how different the samples of each prompt are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson, Export
from gotr1_eval.settings import read_component

if TYPE_CHECKING:
    from gotr1_eval.core.protocols import Encoder, Perceptual
    from reports.diversity import Distance, Embed
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
    perceptual: Annotated[
        str | None,
        typer.Option(
            "--perceptual", help="Perceptual distance, such as lpips,backbone=FILE,heads=FILE; stays likewise."
        ),
    ] = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Say how different the pictures, plans and chains of each prompt are: a policy that always does the same has lost.

    Nothing is made or judged again; without --encoder, pictures are told apart by where their colours lie.
    """
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.finish import command_line, finish_document
    from gotr1_eval.core.statistics.diversity import mean_pairwise_distance, mean_pairwise_square
    from reports.diversity import PERCEPTUAL, PICTURES, diversity_document, run_diversity
    from reports.documents import check_endings
    from reports.run_data import load_run

    check_endings(export or [])
    loaded = [load_run(folder) for folder in runs]
    if encoder is not None:
        model = Builder().encoder(read_component(encoder, "--encoder"))
        _measure(loaded, PICTURES, model, "mean pairwise cosine distance", model.embed_images, mean_pairwise_distance)
    if perceptual is not None:
        looks = Builder().perceptual(read_component(perceptual, "--perceptual"))
        _measure(loaded, PERCEPTUAL, looks, "mean pairwise distance", looks.features, mean_pairwise_square)
    found = [run_diversity(run) for run in loaded]
    finish_document(diversity_document(loaded, found, command_line()), export or [], as_json=as_json)


def _measure(
    runs: list[RunData], name: str, model: Encoder | Perceptual, what: str, embed: Embed, distance: Distance
) -> None:
    """Leave the model's distances in each run's folder."""
    from gotr1_eval.cli.terminal import err
    from reports.diversity import StoredDistances, picture_distances, prompts_of, write_distances

    for run in runs:
        with err.status(f"{run.folder}: {model.name}"):
            distances, unread = picture_distances(prompts_of(run), embed, distance)
        found = StoredDistances(
            made_by=f"{model.name}, {what}", fingerprint=model.fingerprint, distances=distances, unread=unread
        )
        write_distances(run.folder, name, found)
        if unread:
            err.print(f"note: {run.folder}: {unread} pictures could not be opened and are left out", markup=False)
