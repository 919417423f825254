"""What Grounding DINO is given: pictures in its sizes and units, and names with the place of every name's tokens.

Pictures have 800 pixels on the shorter side, at most 1333 on the longer, and ImageNet's units. Source:
`GroundingDinoImageProcessor` of transformers, which needs torchvision; the sums are the same without.

The text is ``a cat . a dog .`` in BERT's lower-cased word pieces. A name attends only to itself: the model cuts the
text at every full stop and question mark, by their ids in the original vocabulary. The text is put together from token
ids, name by name, so that it is known which tokens are whose, and nothing has to be decoded and guessed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gotr1_eval.core.errors import DataError, LabelError, one_line
from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.checkpoint import read_tokenizer

_SHORTER, _LONGER = 800, 1333
_SHORTEST = 33
"""Of the shorter side: of a picture any narrower the feature maps have fewer than the 900 places that the model picks
its candidates from, and it fails. Upstream's sizes are left only where upstream cannot run."""
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
"""Of red, green and blue over ImageNet, in [0, 1]."""


def model_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels at which the model sees a picture of (width, height).

    The longer side is rounded down, the shorter half to even where it is the longer one that binds.
    """
    short, long = min(size), max(size)
    bound = _LONGER * short / long if long / short * _SHORTER > _LONGER else float(_SHORTER)
    if round(bound) == short:
        return size
    shorter, longer = max(round(bound), _SHORTEST), int(bound * long / short)
    return (shorter, longer) if size[0] <= size[1] else (longer, shorter)


def prepare(picture: Image.Image) -> torch.Tensor:
    """float32 [3, height, width] at `model_size`: resized bilinearly by Pillow, in ImageNet's units."""
    rgb = to_rgb(picture)
    resized = rgb.resize(model_size(rgb.size), Image.Resampling.BILINEAR)
    levels = torch.from_numpy(np.array(resized, dtype=np.uint8)).permute(2, 0, 1)
    return (levels.float() / 255 - _MEAN) / _DEVIATION


_MARKS = {"[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
"""What transformers' model cuts the text at; the numbers are written into it."""
_START, _END, _STOP = _MARKS["[CLS]"], _MARKS["[SEP]"], _MARKS["."]
_NO_STOPS = str.maketrans({".": " ", "?": " "})


@dataclass(frozen=True, slots=True)
class Phrase:
    """A stretch of tokens, [start, end) without the full stop, and the names as asked for that it stands for."""

    labels: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Caption:
    """One text for the model: the ids of all its tokens, and its phrases in order."""

    ids: tuple[int, ...]
    phrases: tuple[Phrase, ...]


def load_tokenizer(folder: Path, vocabulary: int) -> Any:  # noqa: ANN401 - transformers is untyped
    """The tokenizer of a checkpoint folder.

    Args:
        vocabulary: ids that the model embeds.

    Raises:
        UsageError: there is no tokenizer.json.
        DataError: it is damaged, or not of BERT's lower-cased vocabulary.
    """
    path = folder / "tokenizer.json"
    tokenizer = read_tokenizer(folder)
    known = tokenizer.get_vocab()
    if any(known.get(mark) != place for mark, place in _MARKS.items()):
        raise DataError(f"expected BERT's lower-cased vocabulary, with {_MARKS}", path=path)
    if max(known.values()) >= vocabulary:
        raise DataError(f"the tokenizer has ids up to {max(known.values())}, the model embeds {vocabulary}", path=path)
    return tokenizer


def write_captions(tokenizer: Any, labels: Sequence[str], limit: int) -> list[Caption]:  # noqa: ANN401
    """The names in as few texts as hold them, in order; none for no names.

    Names that read alike (``Cat``, ``cat``) share a phrase. A full stop or question mark within a name becomes a space:
    the model would take what follows for another name.

    Args:
        limit: tokens that a text may have, with its marks.

    Raises:
        LabelError: a name without a word, or one that does not fit a text alone.
    """
    sharing: dict[tuple[int, ...], list[str]] = {}
    for label in dict.fromkeys(labels):
        sharing.setdefault(_pieces(tokenizer, label, limit), []).append(label)
    captions: list[Caption] = []
    ids, phrases = [_START], list[Phrase]()
    for pieces, names in sharing.items():
        if phrases and len(ids) + len(pieces) + 2 > limit:
            captions.append(Caption((*ids, _END), tuple(phrases)))
            ids, phrases = [_START], []
        phrases.append(Phrase(tuple(names), len(ids), len(ids) + len(pieces)))
        ids += [*pieces, _STOP]
    return [*captions, Caption((*ids, _END), tuple(phrases))] if phrases else []


def _pieces(tokenizer: Any, label: str, limit: int) -> tuple[int, ...]:  # noqa: ANN401
    # Lone surrogates, which a damaged chain may hold, cannot be handed to the tokenizer.
    text = label.lower().encode("utf-8", "replace").decode("utf-8").translate(_NO_STOPS)
    pieces: tuple[int, ...] = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    if not pieces:
        raise LabelError(f"a detector needs names to look for, got {label!r}, which has no word")
    if len(pieces) + 3 > limit:
        raise LabelError(
            f"a name may have up to {limit - 3} word pieces, got {len(pieces)}: {one_line(label, 60)!r}; shorten it"
        )
    if any(piece in _MARKS.values() for piece in pieces):
        raise LabelError(
            f"a name must be plain words, got {one_line(label, 60)!r}, which holds a mark of the tokenizer"
        )
    return pieces
