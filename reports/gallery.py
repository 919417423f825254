"""What the page shows of one sample: chain in pieces, boxes over the picture, every score with its reasons."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from gotr1_eval.core.canvas import hex_colour
from gotr1_eval.core.chain import Chain, parse_chain
from gotr1_eval.core.outcome import Reply, Score, Why
from gotr1_eval.core.pictures import PictureError, open_picture, picture_name
from gotr1_eval.core.types import Box, Sample
from reports.run_data import RunData

LARGEST_SIDE = 512
"""Pictures are embedded no larger than this; the originals stay in the run folder."""

_MARKER = re.compile(r"<\|(?:obj|box)_(?:start|end)\|>")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the chain's text; an object's has its colour, and its defects as a title."""

    text: str
    colour: str | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A box over the picture, in percent of it."""

    name: str
    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judge's outcome in words; `headline` is the value, or the word that stands for its absence."""

    factor: str
    judge: str
    headline: str
    scored: bool
    parts: tuple[tuple[str, float], ...]
    note: str
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One sample of the gallery."""

    id: str
    prompt: str
    pieces: tuple[Piece, ...]
    defects: tuple[str, ...]
    picture: str | None
    picture_fault: str
    small: bool
    planned: tuple[Overlay, ...]
    seen: tuple[Overlay, ...]
    verdicts: tuple[Verdict, ...]


def choose(run: RunData, most: int) -> dict[str, list[Sample]]:
    """At most so many samples, evenly spread over each category's list."""
    grouped: dict[str, list[Sample]] = {category: [] for category in run.expected}
    for sample in run.samples.values():
        grouped.setdefault(run.category(sample), []).append(sample)
    share = max(most // max(len(grouped), 1), 1)
    return {category: _spread(samples, share) for category, samples in grouped.items() if samples}


def _spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    if len(samples) <= count:
        return list(samples)
    return [samples[round(place * (len(samples) - 1) / max(count - 1, 1))] for place in range(count)]


def make_card(run: RunData, sample: Sample) -> Card:
    """Everything the page shows of a sample."""
    chain = parse_chain(sample.chain) if sample.chain is not None else None
    picture, fault, small = _embed(sample)
    objects = enumerate(chain.objects) if chain else ()
    verdicts = tuple(_verdicts(run, sample))
    return Card(
        id=sample.id,
        prompt=sample.prompt,
        pieces=tuple(_pieces(chain)) if chain else (),
        defects=tuple(defect.value for defect in chain.defects) if chain else (),
        picture=picture,
        picture_fault=fault,
        small=small,
        planned=tuple(_overlay(o.name, o.box, hex_colour(i)) for i, o in objects if o.box is not None),
        seen=tuple(_seen(run, sample)),
        verdicts=verdicts,
    )


def _pieces(chain: Chain) -> Iterator[Piece]:
    position = 0
    for index, planned in enumerate(chain.objects):
        # One more box of the same name starts at the same name, which has been shown already.
        start, end = max(planned.span[0], position), max(planned.span[1], position)
        yield Piece(_MARKER.sub("", chain.text[position:start]))
        title = ", ".join(defect.value for defect in planned.defects)
        yield Piece(_MARKER.sub("", chain.text[start:end]), hex_colour(index), title)
        position = end
    yield Piece(_MARKER.sub("", chain.text[position:]))


def _overlay(name: str, box: Box, colour: str) -> Overlay:
    x, y, width, height = (round(100 * value, 2) for value in (box.x1, box.y1, box.width, box.height))
    return Overlay(name, x, y, width, height, colour)


def _seen(run: RunData, sample: Sample) -> Iterator[Overlay]:
    """Where the plan's objects were found: the detections of the first judge that kept any."""
    for column in run.judges:
        outcome = run.outcomes[column.name].get(sample.id)
        if isinstance(outcome, Score) and outcome.seen:
            yield from (_overlay(detection.label, detection.box, "#111111") for detection in outcome.seen)
            return


def _verdicts(run: RunData, sample: Sample) -> Iterator[Verdict]:
    for column in run.judges:
        outcome = run.outcomes[column.name].get(sample.id)
        if outcome is None:
            yield Verdict(column.factor, column.name, "not judged yet", False, (), "", ())
        elif isinstance(outcome, Score):
            parts = tuple(outcome.parts.items())
            headline = f"{outcome.value:.3f}"
            yield Verdict(column.factor, column.name, headline, True, parts, outcome.note, outcome.replies)
        else:
            headline = outcome.why.value.replace("_", " ")
            if outcome.why is not Why.NOT_APPLICABLE:
                headline = f"unscored: {headline}"
            yield Verdict(column.factor, column.name, headline, False, (), outcome.detail, outcome.replies)


def _embed(sample: Sample) -> tuple[str | None, str, bool]:
    """(data URL or None, why there is no picture, whether it is so small that pixels should stay sharp)."""
    if sample.image is None:
        return None, "no picture", False
    try:
        picture = open_picture(sample.image)
    except PictureError as error:
        return None, f"{picture_name(sample.image)}: {error}", False
    small = max(picture.size) <= 128
    buffer = io.BytesIO()
    if small:
        picture.save(buffer, format="PNG")
    else:
        picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
        picture.save(buffer, format="JPEG", quality=88)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", "", small
