"""Opening pictures safely: every judge sees the same RGB pixels, and a bad file is a reason, not a crash."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from gotr1_eval.core.errors import one_line

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before decoding; 64 megapixels take 192 MB as RGB."""


class PictureError(ValueError):
    """The picture cannot be judged; the message says why, without the file's name."""


def picture_name(source: Path | Image.Image) -> str:
    """What to call a picture in a message."""
    return source.name if isinstance(source, Path) else "the picture"


Transparency = Literal["white", "dropped"]
"""What shows through a transparent picture: white, or the colours that its pixels hold all the same."""


def open_picture(source: Path | Image.Image, transparency: Transparency = "white") -> Image.Image:
    """Decode a picture to 8-bit RGB; one in memory is converted alike.

    The first frame of animated files; upright by the EXIF orientation; transparency over white, unless a caller
    must see what programs see that drop it; 16-bit greys scaled, not clipped.

    Raises:
        PictureError: missing, not a picture, cut off, or larger than `MAX_PIXELS`.
    """
    if isinstance(source, Image.Image):
        return to_rgb(ImageOps.exif_transpose(source), transparency)
    with _opened(source) as picture:
        return to_rgb(ImageOps.exif_transpose(picture), transparency)


_DAMAGE = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error)
"""What Pillow's decoders raise on damaged files, besides their own errors."""


@contextmanager
def _opened(path: Path, *, decode: bool = True) -> Iterator[Image.Image]:
    """The decoded picture; whatever is wrong with the file becomes a `PictureError`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures, which are refused right here, and of every damaged tag.
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                check_size(picture, MAX_PIXELS)
                if decode:
                    picture.load()
                yield picture
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError("the file does not exist") from None
    except UnidentifiedImageError:
        raise PictureError("not a picture in a known format") from None
    except Image.DecompressionBombError as error:
        raise PictureError(str(error)) from None
    except _DAMAGE as error:
        raise PictureError(f"the file cannot be decoded: {one_line(error)}") from None


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) as the file's beginning says it, upright by the EXIF orientation.

    Pixels are decoded of an oblong PNG only, whose orientation may stand behind them.

    Raises:
        PictureError: the file is missing, begins like no picture, or is too large.
    """
    with _opened(path, decode=False) as picture:
        width, height = picture.size
        if width == height:
            return width, height
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (height, width) if turned else (width, height)


def check_size(picture: Image.Image, most_pixels: int) -> None:
    """Raises `PictureError` when a picture, not decoded yet, has more pixels than that."""
    if picture.width * picture.height > most_pixels:
        raise PictureError(f"{picture.width}x{picture.height} pixels are over the limit of {most_pixels}")


def to_rgb(picture: Image.Image, transparency: Transparency = "white") -> Image.Image:
    """8-bit RGB: transparency over white or dropped, 16-bit greys scaled. RGB is copied or returned."""
    if picture.mode.startswith("I;16") or picture.mode == "I":
        # Pillow's own conversion clips at 255, which turns a 16-bit picture white.
        greys = np.asarray(picture, dtype=np.float64) / 257.0
        return Image.fromarray(np.clip(np.round(greys), 0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data and transparency == "white":
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


_ENDINGS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
}


def picture_remarks(path: Path) -> list[str]:
    """What is odd about a picture that can be judged all the same, in a few words each.

    Raises:
        PictureError: it cannot be judged; see `open_picture`.
    """
    found = []
    with _opened(path) as picture:
        kind = _ENDINGS.get(path.suffix.lower(), picture.format)
        if picture.format != kind:
            found.append(f"a {picture.format} under the name of a {kind}")
        if getattr(picture, "is_animated", False):
            found.append("animated: the first frame is judged")
        if picture.mode not in ("RGB", "L"):
            found.append(f"mode {picture.mode}, judged as RGB")
        pixels = to_rgb(picture)
    colours = np.asarray(pixels)
    if bool((colours == colours[0, 0]).all()):
        found.append(f"one constant colour, {pixels.getpixel((0, 0))}")
    return found
