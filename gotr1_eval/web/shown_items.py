"""What a rater is shown of an item: nothing of the model, the judges, or the names that they gave it."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from gotr1_eval.core.canvas import draw_plan, hex_colour
from gotr1_eval.core.chain import Chain, parse_chain
from gotr1_eval.core.errors import DataError
from gotr1_eval.files.pictures import PictureError, open_picture
from reports.agreement.study_folder import Item, Study, other_picture_path, picture_path

PLAN_SIDE = 768
PLAN_LABELS = 2.0
"""Size of the names on the frames: the page shows the canvas smaller than a judge sees it."""
_MARKER = re.compile(r"<\|(?:obj|box)_(?:start|end)\|>")
_CLOSING = "Every answer is kept at once. Stop whenever you like: under the same name you go on where you stopped."


def item_key(study: Study, item: str) -> str:
    """What the page calls an item; tells nothing about it."""
    return hashlib.sha256(f"{study.seed}\n{study.name}\n{item}".encode()).hexdigest()[:20]


def introduction(study: Study) -> list[str]:
    """What raters are told before they begin: the study's own instructions, or what fits that which it shows."""
    if study.design.instructions:
        own = [" ".join(part.split()) for part in study.design.instructions.split("\n\n")]
        return [*filter(None, own), _CLOSING]
    if any(item.pair for item in study.items):
        return [f"You see a request and two pictures that were painted for it, and you say which is better. {_CLOSING}"]
    needs = {need for dimension in study.dimensions for need in dimension.needs}
    chain = any(item.chain is not None for item in study.items)
    shown = ["a request for a picture"]
    shown += ["what a program planned for it"] if chain else []
    shown += ["the picture that it painted"] if any(item.image for item in study.items) else []
    listed = " and ".join(shown) if len(shown) < 3 else f"{shown[0]}, {shown[1]}, and {shown[2]}"
    asked = "the plan" if needs <= {"chain", "plan"} else "the picture" if needs == {"image"} else "each"
    return [f"You see {listed}, and you mark how well {asked} does. {_CLOSING}"]


class ShownItems:
    """The items of a study by the names under which the page asks for them."""

    def __init__(self, folder: Path, study: Study) -> None:
        self.study = study
        self._folder = folder
        self._items = {item_key(study, item.item): item for item in study.items}
        self.keys = {item.item: key for key, item in self._items.items()}
        self._pictures = {
            key: path for item in study.items for key, path in zip(self.sides(item), self._paths(item), strict=True)
        }

    def find(self, key: str) -> Item | None:
        """The item of that name."""
        return self._items.get(key)

    def sides(self, item: Item) -> tuple[str, ...]:
        """What the page calls the item's pictures: one name, or two that tell nothing of which is which."""
        if item.pair is None:
            return (self.keys[item.item],) if item.image is not None else ()
        return tuple(item_key(self.study, f"{item.item}\n{side}") for side in item.pair)

    def _paths(self, item: Item) -> tuple[Path, ...]:
        paths = (picture_path(self._folder, item), other_picture_path(self._folder, item))
        return tuple(path for path in paths if path is not None)

    def facts(self, item: Item) -> dict[str, Any]:
        """Everything that the page shows but pictures, as JSON values."""
        chain = None if item.chain is None else parse_chain(item.chain)
        return {
            "prompt": item.prompt,
            "chain": None if chain is None else [{"text": text, "colour": colour} for text, colour in pieces(chain)],
            "frames": [] if chain is None else frames(chain),
            "dimensions": [dimension.name for dimension in self.study.dimensions_of(item)],
        }

    def picture(self, key: str) -> bytes | None:
        """A picture as PNG, its pixels alone; None where there is none of that name.

        Raises:
            DataError: the file cannot be read.
        """
        path = self._pictures.get(key)
        if path is None:
            return None
        try:
            return _png(open_picture(path))
        except PictureError as error:
            raise DataError(str(error), path=path) from None

    def plan(self, item: Item) -> bytes | None:
        """The plan drawn as for the spatial judge, as PNG; None where no chain is shown."""
        if item.chain is None:
            return None
        return _png(draw_plan(parse_chain(item.chain).boxed, PLAN_SIDE, label_scale=PLAN_LABELS))


def pieces(chain: Chain) -> Iterator[tuple[str, str | None]]:
    """(text, colour of the object's frame) along the chain: names stand for names with boxes, as the prose is read."""
    position, colours = 0, 0
    for planned in chain.objects:
        start, end = max(planned.span[0], position), max(planned.span[1], position)
        if before := _MARKER.sub("", chain.text[position:start]):
            yield before, None
        colour = None if planned.box is None else hex_colour(colours)
        colours += planned.box is not None
        if start == planned.span[0]:
            yield planned.name, colour
        position = end
    if rest := _MARKER.sub("", chain.text[position:]):
        yield rest, None


def frames(chain: Chain) -> list[dict[str, Any]]:
    """The plan's boxes in percent of the picture, in the colours of its drawing."""
    return [
        {
            "name": name,
            "colour": hex_colour(place),
            "x": round(100 * box.x1, 3),
            "y": round(100 * box.y1, 3),
            "width": round(100 * box.width, 3),
            "height": round(100 * box.height, 3),
        }
        for place, (name, box) in enumerate(chain.boxed)
    ]


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
