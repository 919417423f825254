"""Opening pictures safely: every judge sees the same RGB pixels, and a bad file is a reason, not a crash."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from gotr1_eval.core.errors import one_line
from gotr1_eval.files.shared_pictures import once

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before decoding; 64 megapixels take 192 MB as RGB."""
MAX_BYTES = 1 << 30
"""Larger files are refused before they are read."""
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM")
"""What is decoded, by Pillow itself: asked for anything, it starts Ghostscript for PostScript under any name."""


class PictureError(ValueError):
    """The picture cannot be judged; the message says why, without the file's name."""


def picture_name(source: Path | Image.Image) -> str:
    """What to call a picture in a message."""
    return source.name if isinstance(source, Path) else "the picture"


Transparency = Literal["white", "dropped"]
"""What shows through a transparent picture: white, or the colours that its pixels hold all the same."""
Source = Path | bytes | Image.Image
"""A picture: a file, the bytes of one, or in memory."""


def open_picture(source: Source, transparency: Transparency = "white", most_pixels: int | None = None) -> Image.Image:
    """Decode a picture to 8-bit RGB; one in memory is converted alike.

    The first frame of animated files; upright by the EXIF orientation; transparency over white, unless a caller
    must see what programs see that drop it; greys of more than 8 bits scaled, not clipped (see `to_rgb`).

    Raises:
        PictureError: missing, no file, not a picture, cut off, or larger than `most_pixels` (`MAX_PIXELS` by default).
    """

    def convert() -> Image.Image:
        return to_rgb(_decode(source, most_pixels).upright, transparency)

    return convert() if isinstance(source, bytes) else once(source, ("rgb", transparency), convert)


def open_stored(source: Source) -> Image.Image:
    """Decode a picture as its file stores it: its own mode (palette, alpha, ...), not turned by the EXIF orientation.

    Official preprocessing that resizes before it converts starts from here. The first frame of animated files.

    Raises:
        PictureError: as `open_picture`.
    """
    return _decode(source, None).stored


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A picture as it is stored, and upright; where it stands upright already, both are one object."""

    stored: Image.Image
    upright: Image.Image


def _decode(source: Source, most_pixels: int | None) -> _Decoded:
    """A file is read once for all who look at it; see `gotr1_eval.files.shared_pictures`."""
    if isinstance(source, bytes):
        return _read(source, most_pixels)
    return once(source, "decoded", lambda: _read(source, most_pixels))


def _read(source: Source, most_pixels: int | None) -> _Decoded:
    if isinstance(source, Image.Image):
        return _both(source)
    with _opened(source, most_pixels=most_pixels) as picture:
        return _both(picture)


def _both(picture: Image.Image) -> _Decoded:
    upright = ImageOps.exif_transpose(picture)
    turned = picture.getexif().get(ExifTags.Base.Orientation, 1) != 1
    return _Decoded(picture.copy() if turned else upright, upright)


_DAMAGE = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, struct.error)
"""What Pillow's decoders raise on damaged files, besides their own errors."""


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def _opened(source: Path | bytes, *, decode: bool = True, most_pixels: int | None = None) -> Iterator[Image.Image]:
    """The decoded picture; whatever is wrong with the file becomes a `PictureError`."""
    try:
        with warnings.catch_warnings(), _file(source) as file:
            # Pillow warns of large pictures, which are refused right here, and of every damaged tag.
            warnings.simplefilter("ignore")
            try:
                picture = Image.open(file, formats=_formats())
            except UnidentifiedImageError:
                file.seek(0)
                raise PictureError(_other_kind(file.read(512))) from None
            with picture:
                check_size(picture, MAX_PIXELS if most_pixels is None else most_pixels)
                if decode:
                    picture.load()
                yield picture
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError("the file does not exist") from None
    except Image.DecompressionBombError as error:
        raise PictureError(str(error)) from None
    except _DAMAGE as error:
        raise PictureError(f"the file cannot be decoded: {one_line(error)}") from None


@contextmanager
def _file(source: Path | bytes) -> Iterator[IO[bytes]]:
    """The bytes, of an ordinary file only: a pipe waits for ever, and a device may never end."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    # Without O_NONBLOCK opening a pipe would wait for somebody to write to it.
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise PictureError("the file cannot be decoded: it is a folder, a pipe or a device")
        if facts.st_size > MAX_BYTES:
            raise PictureError(f"{facts.st_size} bytes are over the limit of {MAX_BYTES}")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _other_kind(beginning: bytes) -> str:
    """What a file is that is no picture of `FORMATS`."""
    if not beginning:
        return "the file is empty"
    if beginning[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc", b"ftypmsf1"):
        return "a HEIC picture, which is not read; convert it to PNG"
    for start, name in _OTHERS.items():
        if beginning.lstrip(b"\xef\xbb\xbf \n\r\t").startswith(start):
            return f"{name}, not a picture in a known format"
    return f"not a picture in a known format ({', '.join(_formats())})"


_OTHERS = {
    b"\x00\x05\x16\x07": "a companion file of macOS",
    b"version https://git-lfs": "a pointer of Git LFS to a file that was not fetched",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "a PDF",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML file, such as an SVG drawing",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"8BPS": "a Photoshop file",
    b"\xff\x0a": "a JPEG XL picture",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL picture",
    b"\x1f\x8b": "a compressed file",
    b"PK\x03\x04": "an archive",
}
"""How other files begin that are met under the names of pictures."""


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
    """8-bit RGB: transparency over white or dropped, greys of more than 8 bits scaled. Plain RGB is returned as it is.

    Raises:
        PictureError: greys that are not finite.
    """
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        # Pillow's own conversion clips at 255, which turns a 16-bit picture white and one of fractions black.
        greys = np.asarray(picture, dtype=np.float64)
        low, high = _grey_scale(picture, greys)
        scaled = (greys - low) * (255.0 / (high - low))
        return Image.fromarray(np.clip(np.round(scaled), 0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data and transparency == "white":
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def through_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """The picture's pixels after JPEG of this quality, by Pillow's encoder."""
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality)
    buffer.seek(0)
    with Image.open(buffer) as decoded:
        return decoded.convert("RGB")


def _grey_scale(picture: Image.Image, greys: NDArray[np.float64]) -> tuple[float, float]:
    """The greys that are black and white: those of 16 bits by their type, others by what their range shows.

    Fractions are in [0, 1], and whole numbers in 8 or 16 bits; a range beyond these is stretched.
    """
    if picture.mode.startswith("I;") or picture.format == "PPM":  # which Pillow has scaled to 16 bits
        return 0.0, 65535.0
    if not np.isfinite(greys).all():
        raise PictureError("the greys are not all finite numbers")
    least, most = float(greys.min()), float(greys.max())
    for top in (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0):
        if least >= 0 and most <= top:
            return 0.0, top
    return least, max(most, least + 1.0)


_ENDINGS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".jxl": "JPEG XL",
}
_HIDDEN = ("thumbs.db", "desktop.ini", "__macosx")


def is_picture_name(name: str) -> bool:
    """Whether a file's name is that of a picture, be it one that can be read or not."""
    return is_shown(name) and PurePath(name).suffix.lower() in _ENDINGS


def is_shown(name: str) -> bool:
    """Whether a file or folder is none that systems put beside others and hide, such as ``._x.png``."""
    return not name.startswith(".") and name.lower() not in _HIDDEN


def picture_remarks(path: Path) -> list[str]:
    """What is odd about a picture that can be judged all the same, in a few words each.

    Raises:
        PictureError: it cannot be judged; see `open_picture`.
    """
    found = []
    with _opened(path) as picture:
        format_of = {"MPO": "JPEG", "DIB": "BMP"}.get(str(picture.format), picture.format)
        kind = _ENDINGS.get(path.suffix.lower(), format_of)
        if format_of != kind:
            found.append(f"a {format_of} under the name of a {kind}")
        if getattr(picture, "n_frames", 1) > 1:
            paged = picture.format in ("TIFF", "MPO")
            found.append("several pages: the first is judged" if paged else "animated: the first frame is judged")
        if picture.mode not in ("RGB", "L"):
            found.append(f"mode {picture.mode}, judged as RGB")
        if picture.mode in ("I", "F") and picture.format != "PPM":
            low, high = _grey_scale(picture, np.asarray(picture, dtype=np.float64))
            found.append(f"greys of {low:g} to {high:g} are taken as black to white")
        pixels = to_rgb(picture)
    colours = np.asarray(pixels)
    if bool((colours == colours[0, 0]).all()):
        found.append(f"one constant colour, {pixels.getpixel((0, 0))}")
    return found
