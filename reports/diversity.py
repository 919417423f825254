"""How different the samples of each prompt are, over a run: its pictures, its plans, and its chains.

Plans and chains are computed from the run's text; pictures from the distances of an encoder, and of a perceptual
distance, where `gotr1-eval diversity` has left them in the run's folder, and else from where their colours lie.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, TypeAdapter, ValidationError

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.statistics.diversity import CELLS, DISTINCT, LAYOUT, chain_diversity, mean_pairwise_distance
from gotr1_eval.core.statistics.intervals import Estimate, prompt_bootstrap
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.pictures import PictureError, open_picture
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.settings import Settings
from gotr1_eval.shapes.features import NAME, colour_grid
from reports.documents import Cell, Document, Grid, Record
from reports.origins import footer, origin, run_labels
from reports.run_data import RunData
from reports.run_summary import ALL

FILE = "diversity.json"
MOST = 1000
"""Pictures that are opened where no encoder's distances are there, taken prompt by prompt, evenly."""
PICTURES, PERCEPTUAL = "pictures", "perceptual"
MADE_BY = {
    LAYOUT: f"names and places on a {CELLS} x {CELLS} grid, share of log n",
    **dict.fromkeys(DISTINCT, "of the chain's prose, Li et al. 2016"),
}
READING = (
    "Of each prompt with two or more samples, then the mean over prompts with its 95 % interval. Pictures: mean "
    "pairwise cosine distance of their features. Layout entropy: 0 where all plans of a prompt are the same, 1 where "
    "no two are. distinct-n: distinct n-grams over all words. All of them depend on how many samples a prompt has, so "
    "that only runs with the same number compare."
)
Embed = Callable[[Sequence[Image.Image]], NDArray[np.floating]]
Distance = Callable[[NDArray[np.floating]], float | None]


class StoredDistances(Settings):
    """What a model found, as it lies in the run's folder.

    Attributes:
        made_by, fingerprint: which, and how.
        distances: prompt -> mean pairwise distance of its pictures.
        unread: pictures that could not be opened.
    """

    made_by: str
    fingerprint: str
    distances: dict[str, float] = Field(default_factory=dict)
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of the samples of a prompt, by category.

    Attributes:
        made_by: the encoder, grid or definition that it is named by.
        rows: category -> mean over prompts; undefined with the reason.
        prompts: category -> how many prompts it stands on.
        values: prompt -> its number.
    """

    name: str
    made_by: str
    rows: Mapping[str, Estimate]
    prompts: Mapping[str, int]
    values: Mapping[str, float]

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        rows: dict[str, Json] = {
            category: one.json() | {"prompts": self.prompts[category]} for category, one in self.rows.items()
        }
        return {"made_by": self.made_by, "rows": rows}


Prompts = Mapping[str, Sequence[Sample]]
"""A prompt's identity (its samples' id without the image index) -> its samples."""


def prompts_of(run: RunData) -> dict[str, list[Sample]]:
    """The samples of each prompt of the run."""
    found: dict[str, list[Sample]] = {}
    for sample in run.samples.values():
        found.setdefault(sample.id.rpartition("/")[0], []).append(sample)
    return found


def run_diversity(run: RunData) -> list[Measure]:
    """Pictures, plans and chains of a run; empty where it has no sample, or too many to be held."""
    prompts = prompts_of(run)
    if not prompts or run.left_out:
        return []
    categories = {prompt: run.category(samples[0]) for prompt, samples in prompts.items()}
    texts = {prompt: [one.chain for one in samples if one.chain] for prompt, samples in prompts.items()}
    found = {prompt: chain_diversity(chains) for prompt, chains in texts.items() if chains}
    stored = read_distances(run.folder)
    measures = [
        _measure(
            name, one.made_by, {key: one.distances[key] for key in one.distances.keys() & prompts}, categories, prompts
        )
        for name, one in stored.items()
    ]
    if PICTURES not in stored:
        measures.insert(0, _pictures(prompts, categories))
    for name, made_by in MADE_BY.items():
        values = {prompt: value for prompt, one in found.items() if (value := one[name]) is not None}
        measures.append(_measure(name, made_by, values, categories, prompts))
    return measures


def _pictures(prompts: Prompts, categories: Mapping[str, str]) -> Measure:
    several = {prompt: samples for prompt, samples in prompts.items() if len(samples) > 1}
    every = -(-sum(map(len, several.values())) // MOST) or 1
    chosen = dict(list(several.items())[::every])
    values, _ = picture_distances(chosen, lambda images: np.stack([colour_grid(image) for image in images]))
    made_by = f"{NAME}, mean pairwise cosine distance" + (f", every {every}th prompt" if every > 1 else "")
    return _measure(PICTURES, made_by, values, categories, prompts)


def picture_distances(
    prompts: Prompts, embed: Embed, distance: Distance = mean_pairwise_distance
) -> tuple[dict[str, float], int]:
    """(prompt -> mean pairwise distance of its pictures, where defined; how many pictures could not be opened)."""
    found, unread = {}, 0
    for prompt, samples in prompts.items():
        images = []
        for source in (sample.image for sample in samples if sample.image is not None):
            try:
                images.append(open_picture(source))
            except PictureError:
                unread += 1
        value = distance(embed(images)) if len(images) > 1 else None
        if value is not None:
            found[prompt] = value
    return found, unread


def _measure(
    name: str, made_by: str, values: Mapping[str, float], categories: Mapping[str, str], prompts: Prompts
) -> Measure:
    rows: dict[str, Estimate] = {}
    counts: dict[str, int] = {}
    names = list(dict.fromkeys(categories.values()))
    for category in [*names, *([ALL] if len(names) > 1 else [])]:
        of_category = [prompt for prompt in prompts if category in (ALL, categories[prompt])]
        known = [values[prompt] for prompt in of_category if prompt in values]
        rows[category] = _estimate(known, [len(prompts[prompt]) for prompt in of_category])
        counts[category] = len(known)
    return Measure(name, made_by, rows, counts, values)


def _estimate(values: Sequence[float], samples: Iterable[int]) -> Estimate:
    if not values:
        return Estimate(None, why="one sample a prompt" if max(samples) < 2 else "nothing to compare")
    return Estimate(float(np.mean(values)), *prompt_bootstrap([[value] for value in values]))


def read_distances(folder: Path) -> dict[str, StoredDistances]:
    """What models left in the run's folder, by measure.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        content = TypeAdapter(dict[str, StoredDistances]).validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise DataError(f"expected a model's distances: {error.errors()[0]['msg']}", path=path) from None
    return {name: content[name] for name in (PICTURES, PERCEPTUAL) if name in content}


def write_distances(folder: Path, name: str, found: StoredDistances) -> None:
    """Leave a model's distances in the run's folder, in place of those of that measure."""
    stored = read_distances(folder) | {name: found}
    write_atomically(folder / FILE, json.dumps({key: one.model_dump() for key, one in stored.items()}, indent=1))


def diversity_json(measures: Sequence[Measure]) -> dict[str, Json]:
    """Measure -> what made it, and its rows."""
    return {one.name: one.json() for one in measures}


def shown(one: Estimate) -> tuple[str, str]:
    """(value, interval) as text; of what is undefined the reason."""
    if one.value is None:
        return "undefined", one.why
    return f"{one.value:.3f}", "" if one.low is None else f"{one.low:.3f} – {one.high:.3f}"


def diversity_document(runs: Sequence[RunData], found: Sequence[Sequence[Measure]], command: str = "") -> Document:
    """A table a run: a row a category, a column a measure."""
    labels = run_labels(runs)
    origins = [origin(run, label) for run, label in zip(runs, labels, strict=True)]
    records: list[Record] = [
        {"run": label, "measure": one.name, "made_by": one.made_by, "category": category}
        | {"value": row.value, "low": row.low, "high": row.high, "prompts": one.prompts[category], "why": row.why}
        | made.columns()
        for label, measures, made in zip(labels, found, origins, strict=True)
        for one in measures
        for category, row in one.rows.items()
    ]
    return Document(
        title=f"{', '.join(labels)}: diversity within a prompt",
        grids=tuple(_grid(label, measures) for label, measures in zip(labels, found, strict=True)),
        notes=(READING,),
        footer=footer(origins, command),
        records=tuple(records),
        json={label: diversity_json(measures) for label, measures in zip(labels, found, strict=True)},
    )


def _grid(label: str, measures: Sequence[Measure]) -> Grid:
    rows = tuple(
        (Cell(category), *(_cell(one, category) for one in measures))
        for category in (measures[0].rows if measures else ())
    )
    notes = tuple(f"{one.name}: {one.made_by}" for one in measures)
    return Grid(label, ("category", *(one.name for one in measures)), rows, notes)


def _cell(one: Measure, category: str) -> Cell:
    value, detail = shown(one.rows[category])
    return Cell(value, f"{detail} n={one.prompts[category]}".strip())
