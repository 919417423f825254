"""Samples from what a trainer holds.

Trainers hold text as strings or chat messages, and pictures as files, PIL pictures, arrays or tensors of any precision
on any device. All of them are read here, and what is none of them is refused in one line. Tensors are recognised by
their methods, so that nothing of torch is imported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.remote_pictures import OWN_KEYS

Picture = str | Path | Image.Image | None
CHANNELS = (1, 3, 4)
"""Of a picture in an array: grey, RGB, RGBA."""
HALF_A_GREY = 0.5 / 255
"""How far a float may lie outside [0, 1]: what rounding to 8 bits takes back."""


def make_samples(
    prompts: Iterable[object],
    chains: Iterable[object],
    pictures: object,
    facts: Iterable[Mapping[str, object] | None] | None = None,
) -> list[Sample]:
    """Samples of one training step, numbered.

    Args:
        prompts: strings or chat messages, one a sample.
        chains: likewise; None where the generator wrote none.
        pictures: what `read_pictures` reads, one a sample.
        facts: what is known about each prompt besides its text; see `read_facts`. None where nothing is.

    Raises:
        UsageError: one of them is something else, or they are not equally many.
    """
    texts = [read_text(prompt, "user") for prompt in prompts]
    written = [None if _is_missing(chain) else read_text(chain) for chain in chains]
    images = read_pictures(pictures)
    if not len(texts) == len(written) == len(images):
        raise UsageError(
            f"expected as many chains and pictures as prompts, got {len(texts)} prompts, {len(written)} chains and "
            f"{len(images)} pictures"
        )
    known = [{} for _ in texts] if facts is None else [read_facts(each) for each in facts]
    if len(known) != len(texts):
        raise UsageError(f"expected as many facts as prompts, got {len(texts)} prompts and facts of {len(known)}")
    return [
        Sample(
            id=str(index),
            prompt=prompt,
            chain=chain,
            image=Path(picture) if isinstance(picture, str) else picture,
            meta=meta,
        )
        for index, (prompt, chain, picture, meta) in enumerate(zip(texts, written, images, known, strict=True))
    ]


def by_sample(columns: Mapping[str, object], count: int) -> list[dict[str, object]]:
    """Columns of a batch as a row for each of its `count` samples; what has no value for each of them is left out."""
    whole = {
        name: list(column)
        for name, column in columns.items()
        if isinstance(column, list | tuple | np.ndarray) and len(column) == count
    }
    return [{name: column[at] for name, column in whole.items()} for at in range(count)]


def facts_of_row(
    row: Mapping[str, object], named: Mapping[str, str] | None, not_facts: Collection[str | None]
) -> dict[str, object]:
    """The facts that a row of a trainer's data holds: its entries by their names, and those that are named otherwise.

    Args:
        named: fact -> its place in the row, see `at_path`, where that is another than its name.
        not_facts: entries that say nothing about the prompt: tokens, the trainer's own state, its ids of samples and
            groups, and what else of a sample is read from the row. Left in, they would make equal samples differ.
    """
    facts = {name: value for name, value in row.items() if name not in not_facts}
    return facts | {fact: at_path(row, place) for fact, place in (named or {}).items()}


def at_path(row: Mapping[str, object], place: str | None) -> object:
    """An entry of the row by its name, or, by names with dots between them, of an object within it; None if absent."""
    if place is None or place in row:
        return None if place is None else row[place]
    found: object = row
    for name in place.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def read_facts(given: Mapping[str, object] | None) -> dict[str, Json]:
    """What a trainer knows about a prompt, for the sample's `meta`.

    Values that JSON has no form for (pictures, tensors) say nothing to a judge and are left out, and so are missing
    ones, at any depth: tables fill in the keys that a row does not have.
    """
    plain = _plain(given or {})
    return {name: fact for name, fact in plain.items() if name not in OWN_KEYS} if isinstance(plain, dict) else {}


def _plain(value: object) -> Json:
    """A value as JSON has it; None for what it has no form for."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        entries = {key: _plain(entry) for key, entry in value.items() if isinstance(key, str)}
        return {key: entry for key, entry in entries.items() if entry is not None}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    finite = isinstance(value, str | int) or (isinstance(value, float) and np.isfinite(value))
    return value if finite else None  # type: ignore[return-value]


def read_text(turn: object, role: str | None = None) -> str:
    """The text of a string, of chat messages, or of a message's content in parts.

    Args:
        role: of several messages the last one of that role counts; without it, or without such a message, the last.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(turn, str):
        return turn
    if isinstance(turn, Mapping):
        content = turn.get("text") if turn.get("type") == "text" else turn.get("content")
        return "" if content is None else read_text(content)
    if not isinstance(turn, Sequence | np.ndarray) or isinstance(turn, bytes):
        raise UsageError(f"expected a text or chat messages, got {one_line(repr(turn), 80)}")
    entries = list(turn)
    if any(isinstance(entry, Mapping) and "role" in entry for entry in entries):
        spoken = [entry for entry in entries if isinstance(entry, Mapping) and entry.get("role") == role]
        return read_text((spoken or entries)[-1])
    # The parts of one message: pictures and the like say nothing here.
    return "".join(read_text(part) for part in entries)


def read_pictures(pictures: object) -> Sequence[Picture]:
    """The pictures of a batch.

    Args:
        pictures: a sequence of files, PIL pictures, single arrays or None; or one array or tensor, uint8 or floats in
            [0, 1], [B, height, width, channels] or [B, channels, height, width], with 1, 3 or 4 channels. Where both
            could be meant, floats are channels first (torch's way) and uint8 channels last (PIL's).

    Raises:
        UsageError: something else, a float that is no number, or one outside [0, 1].
    """
    if _is_array(pictures):
        batch = _as_array(pictures)
        if batch.ndim == 4:
            return [_from_array(array, index) for index, array in enumerate(batch)]
        if batch.dtype != object or batch.ndim != 1:
            raise UsageError(f"expected a batch of pictures in four dimensions, got the shape {list(batch.shape)}")
        pictures = list(batch)
    if not isinstance(pictures, Sequence) or isinstance(pictures, str | bytes):
        raise UsageError(f"expected a sequence or a batch of pictures, got {type(pictures).__name__}")
    return [_read_picture(picture, index) for index, picture in enumerate(pictures)]


def _read_picture(picture: object, index: int) -> Picture:
    if picture is None or isinstance(picture, str | Path | Image.Image):
        return picture
    if _is_array(picture):
        return _from_array(_as_array(picture), index)
    raise UsageError(f"picture {index}: expected a file, a PIL picture or an array, got {type(picture).__name__}")


def _is_missing(value: object) -> bool:
    """None, or the NaN that pandas has for it."""
    return value is None or (isinstance(value, float) and np.isnan(value))


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "detach") or hasattr(value, "__array_interface__")


def _as_array(value: Any) -> NDArray[Any]:  # noqa: ANN401 - an array of any library
    """The array on this machine's memory; a tensor's gradient, device and half precision are left behind."""
    if hasattr(value, "detach"):
        value = value.detach()
        # Numpy knows neither bfloat16 nor the 8-bit floats.
        value = (value.float() if value.is_floating_point() else value).cpu().numpy()
    return np.asarray(value)


def _from_array(array: NDArray[Any], index: int) -> Image.Image:
    """The picture of one array, [height, width], [height, width, channels] or [channels, height, width]."""
    floats = array.dtype.kind == "f"
    if not floats and array.dtype != np.uint8:
        raise UsageError(f"picture {index}: expected floats in [0, 1] or uint8, got {array.dtype}")
    if array.ndim == 2:
        array = array[..., None]
    first, last = (array.ndim == 3 and array.shape[axis] in CHANNELS for axis in (0, -1))
    if 0 in array.shape or not (first or last):
        raise UsageError(
            f"picture {index}: expected 1, 3 or 4 channels first or last, got the shape {list(array.shape)}"
        )
    if first and last and (array.shape[0] == 3) != (array.shape[-1] == 3):
        # A side of 1 or 4 pixels beside three channels.
        first = array.shape[0] == 3
        last = not first
    if first and (floats or not last):
        array = array.transpose(1, 2, 0)
    if floats:
        array = _to_bytes(array, index)
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if array.shape[-1] == 1 else array))


def _to_bytes(array: NDArray[Any], index: int) -> NDArray[np.uint8]:
    """Floats in [0, 1] as 0 to 255."""
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UsageError(f"picture {index}: holds values that are no finite numbers; what generated it failed")
    if low < -HALF_A_GREY or high > 1 + HALF_A_GREY:
        raise UsageError(
            f"picture {index}: expected values in [0, 1], got {low:.4g} to {high:.4g}; bring them there first, "
            "(x + 1) / 2 from [-1, 1] or x / 255 from [0, 255]"
        )
    grades: NDArray[np.uint8] = np.round(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return grades
