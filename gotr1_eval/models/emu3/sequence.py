"""One sequence of an Emu3: text, then a picture as rows of tokens of the same vocabulary.

    [bos] prompt chain <|image start|> rows * columns <|image token|> row <|extra_200|> row <|extra_200|> ... row

A picture's tokens are the last ids of the vocabulary, one a code of the picture tokenizer; here they go by their
codes, numbers from 0 up. What stands between them is the same for every picture of a size: nobody samples it. The
text before `<|image start|>` is that of GoT-R1's Janus, or the prompt alone, as the released models were trained;
names of tokens and the size in words are those of transformers' Emu3Processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.core.errors import BackendError, DataError
from gotr1_eval.models.checkpoint import read_tokenizer

BOS, EOS, PAD = "<|extra_203|>", "<|extra_204|>", "<|endoftext|>"
IMAGE_START, IMAGE_TOKEN, IMAGE_END = "<|image start|>", "<|image token|>", "<|image end|>"
END_OF_ROW, END_OF_FRAME = "<|extra_200|>", "<|extra_201|>"
PLACEHOLDER = "<image>"
_NEEDED = (BOS, PAD, IMAGE_START, IMAGE_TOKEN, END_OF_ROW)


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids that every sequence needs, looked up by name."""

    bos: int
    pad: int
    image_start: int
    image_token: int
    end_of_row: int

    @classmethod
    def of(cls, tokenizer: Any) -> SpecialIds:  # noqa: ANN401 - transformers is untyped
        """The ids of a tokenizer that `load_tokenizer` has read."""
        return cls(*tokenizer.convert_tokens_to_ids(list(_NEEDED)))


@dataclass(frozen=True, slots=True)
class Codes:
    """The image tokens of the vocabulary: id `first` is code 0, the next one code 1; ids below are the text's."""

    first: int
    count: int

    def check(self, codes: Tensor) -> None:
        """Raises BackendError unless all are codes.

        The class itself decodes every id of the text as code 0: a picture with a word in its grid would look whole.
        """
        strange = codes[(codes < 0) | (codes >= self.count)]
        if len(strange):
            raise BackendError(
                f"{len(strange)} of the {codes.numel()} places of the pictures hold no image token (expected codes in "
                f"0..{self.count - 1}, got {int(strange[0])})"
            )


@dataclass(frozen=True, slots=True)
class Layout:
    """How a picture of one size lies in a sequence.

    Attributes:
        rows, columns: of its image tokens.
        header: ids behind `<|image start|>`: the size in words, and the token that begins the picture.
    """

    rows: int
    columns: int
    header: tuple[int, ...]
    codes: Codes
    special: SpecialIds

    @property
    def tokens(self) -> int:
        """Image tokens of a picture."""
        return self.rows * self.columns

    @property
    def positions(self) -> int:
        """Positions of a sequence from the header to the last image token."""
        return len(self.header) + self.tokens + self.rows - 1


def layout_of(tokenizer: Any, special: SpecialIds, codes: Codes, rows: int, columns: int) -> Layout:  # noqa: ANN401
    """The layout of pictures of so many rows and columns."""
    size = tokenizer.encode(f"{rows}*{columns}", add_special_tokens=False)
    return Layout(rows, columns, (*size, special.image_token), codes, special)


def grid_size(area: int, ratio: str, factor: int) -> tuple[int, int]:
    """(rows, columns) of image tokens of a picture of about `area` pixels, as transformers' Emu3Processor counts them.

    Args:
        ratio: width to height, such as "16:9".
        factor: pixels of an image token's edge.
    """
    width, height = map(int, ratio.split(":"))
    scale = (area / (width * height)) ** 0.5
    return round(height * scale / factor), round(width * scale / factor)


def image_codes(vocabulary: Mapping[str, int], count: int, path: Path) -> Codes:
    """Where the image tokens stand in the vocabulary.

    Args:
        count: codes of the picture tokenizer.
        path: named by the error.

    Raises:
        DataError: codes are missing, or are not the vocabulary's last ids in order.
    """
    ids = [vocabulary.get(f"<|visual token {code:06}|>") for code in range(count)]
    first = ids[0] if ids else None
    above = max((index for name, index in vocabulary.items() if not name.startswith("<|visual token")), default=-1)
    if first is None or ids != list(range(first, first + count)) or above >= first:
        raise DataError(
            f"vocabulary_map: expected '<|visual token 000000|>' to '<|visual token {count - 1:06}|>' behind all other "
            "tokens and in order, as the released Emu3 have them",
            path=path,
        )
    return Codes(first, count)


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401
    """The checkpoint's tokenizer.

    Raises:
        UsageError: there is no tokenizer.json.
        DataError: it is damaged, or lacks a token that every Emu3 has.
    """
    tokenizer = read_tokenizer(folder)
    known = tokenizer.get_vocab()
    if missing := [token for token in _NEEDED if token not in known]:
        path = folder / "tokenizer.json"
        raise DataError(f"the tokenizer lacks {', '.join(missing)}; use the checkpoint's own tokenizer", path=path)
    return tokenizer


def encode_text(tokenizer: Any, text: str, special: SpecialIds) -> list[int]:  # noqa: ANN401
    """`[bos]` and the text's ids."""
    return [special.bos, *tokenizer.encode(text, add_special_tokens=False)]


def chain_to_ids(tokenizer: Any, chain: str, special: SpecialIds) -> list[int]:  # noqa: ANN401
    """A chain's ids; `<|image start|>` stands where chains of every family have `<begin_of_image>`."""
    # The answer goes on after "Assistant:", so its first word carries a space.
    written = f" {chain.strip().removesuffix(BEGIN_OF_IMAGE)}"
    return [*tokenizer.encode(written, add_special_tokens=False), special.image_start]


def chain_from_ids(tokenizer: Any, ids: Sequence[int], special: SpecialIds) -> str:  # noqa: ANN401
    """What the model wrote, special tokens kept, with `<begin_of_image>` at its end if it began a picture."""
    begun = bool(ids) and ids[-1] == special.image_start
    text: str = tokenizer.decode(list(ids[:-1] if begun else ids), skip_special_tokens=False)
    return text + BEGIN_OF_IMAGE if begun else text
