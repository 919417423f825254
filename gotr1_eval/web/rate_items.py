"""What a rater is shown of an item: nothing of the model, the judges, or the names that they gave it."""

from __future__ import annotations

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
from gotr1_eval.web.rating_store import item_key
from reports.agreement.study_folder import Item, Study, picture_path

PLAN_SIDE = 768
PLAN_LABELS = 2.0
"""Size of the names on the frames: the page shows the canvas smaller than a judge sees it."""
_MARKER = re.compile(r"<\|(?:obj|box)_(?:start|end)\|>")


class ShownItems:
    """The items of a study by the names under which the page asks for them."""

    def __init__(self, folder: Path, study: Study) -> None:
        self.study = study
        self._folder = folder
        self._items = {item_key(study, item.item): item for item in study.items}
        self.keys = {item.item: key for key, item in self._items.items()}

    def find(self, key: str) -> Item | None:
        """The item of that name."""
        return self._items.get(key)

    def facts(self, item: Item) -> dict[str, Any]:
        """Everything that the page shows but pictures, as JSON values."""
        chain = None if item.chain is None else parse_chain(item.chain)
        return {
            "prompt": item.prompt,
            "chain": None if chain is None else [{"text": text, "colour": colour} for text, colour in pieces(chain)],
            "frames": [] if chain is None else frames(chain),
            "picture": item.image is not None,
            "dimensions": [dimension.name for dimension in self.study.dimensions_of(item)],
        }

    def picture(self, item: Item) -> bytes | None:
        """The picture as PNG, its pixels alone; None where there is none.

        Raises:
            DataError: the file cannot be read.
        """
        path = picture_path(self._folder, item)
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
