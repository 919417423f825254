"""Pictures for pages: shrunk until they are small enough to be embedded by the hundred."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gotr1_eval.files.pictures import open_picture

SIDES = (512, 384, 256, 160)
"""Longest sides in pixels that are tried in turn."""
MOST_BYTES = 45_000
"""Of one embedded picture: two hundred of them, in base64, are 12 MB."""
PIXEL_ART = 128
"""Pictures up to this side are kept as they are, and shown with sharp pixels."""


@dataclass(frozen=True, slots=True)
class SmallPicture:
    """An encoded picture.

    Attributes:
        kind: ``png`` or ``jpeg``.
        sharp: its pixels should stay sharp when it is shown larger.
    """

    data: bytes
    kind: str
    sharp: bool

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"


def shrink(source: Path | Image.Image, most_bytes: int = MOST_BYTES) -> SmallPicture:
    """The picture as judges see it, in at most so many bytes as long as its least size allows.

    Raises:
        PictureError: it cannot be opened.
    """
    picture = open_picture(source)
    if max(picture.size) <= PIXEL_ART:
        return SmallPicture(_encoded(picture, "png"), "png", sharp=True)
    data = b""
    for side in SIDES:
        smaller = picture.copy()
        smaller.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        data = _encoded(smaller, "jpeg")
        if len(data) <= most_bytes:
            break
    return SmallPicture(data, "jpeg", sharp=False)


def _encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **({"quality": 85} if kind == "jpeg" else {"optimize": True}))
    return buffer.getvalue()
