"""Questions as BLIP-VQA reads them: cleaned, in BERT's lower-cased word pieces, between [ENC] and [SEP].

The tokenizer is that of bert-base-uncased, to which BLIP appends [DEC] and [ENC]. Where a folder's tokenizer lacks the
two, they are the two ids behind its last one, which is where BLIP puts them (30522 and 30523).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import BertWordPieceTokenizer
from transformers import PreTrainedTokenizerFast

from gotr1_eval.core.errors import DataError, UsageError, one_line

_FILES = ("tokenizer.json", "vocab.txt")
_NEEDED = ("[SEP]", "yes", "no")
_DELETED = str.maketrans("", "", '.!"()*#:;~')
MOST_WORDS = 50
MOST_TOKENS = 35


def clean_question(question: str) -> str:
    """The question as the model is asked it: lower case, ``.!"()*#:;~`` deleted, at most `MOST_WORDS` words.

    White space is left as it is, except at the end and where words are cut off. Source: T2I-CompBench,
    ``BLIPvqa_eval/data/utils.py``.
    """
    cleaned = question.lower().translate(_DELETED).rstrip(" ")
    words = cleaned.split(" ")
    return " ".join(words[:MOST_WORDS]) if len(words) > MOST_WORDS else cleaned


@dataclass(frozen=True, slots=True)
class BlipTokenizer:
    """Word pieces, and the ids that BLIP-VQA gives a meaning.

    Attributes:
        start: [DEC], from which the answer is decoded.
        yes: weighed against `no`.
    """

    pieces: Any
    enc: int
    sep: int
    start: int
    yes: int
    no: int

    def ids(self, question: str) -> tuple[int, ...]:
        """[ENC], the cleaned question's word pieces cut to fit `MOST_TOKENS`, [SEP]."""
        # Lone surrogates, which a damaged prompt may hold, cannot be handed to the tokenizer.
        text = clean_question(question).encode("utf-8", "replace").decode("utf-8")
        pieces = self.pieces(text, add_special_tokens=False)["input_ids"]
        return (self.enc, *pieces[: MOST_TOKENS - 2], self.sep)


def has_tokenizer(folder: Path) -> bool:
    """Whether `tokenizer_file` finds one there."""
    return any((folder / name).is_file() for name in _FILES)


def tokenizer_file(folder: Path) -> Path:
    """``tokenizer.json`` or BERT's ``vocab.txt`` of a folder; raises UsageError when there is neither."""
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        raise UsageError(
            f"no tokenizer at {folder}; give a folder with bert-base-uncased's tokenizer.json or vocab.txt "
            "(setting 'tokenizer')"
        )
    return path


def load_tokenizer(path: Path, vocabulary: int) -> BlipTokenizer:
    """The tokenizer of a file.

    Args:
        vocabulary: ids that the model embeds.

    Raises:
        DataError: it is damaged, lacks a token that BLIP-VQA needs, or does not fit the model.
    """
    pieces = _read(path)
    known = pieces.get_vocab()
    if missing := [token for token in _NEEDED if token not in known]:
        raise DataError(f"the vocabulary lacks {', '.join(missing)}; expected bert-base-uncased's", path=path)
    end = max(known.values()) + 1
    start, enc = known.get("[DEC]", end), known.get("[ENC]", end + 1)
    if max(end - 1, start, enc) != vocabulary - 1:
        raise DataError(
            f"with [DEC] and [ENC] the tokenizer has {max(end, start + 1, enc + 1)} ids, the model embeds {vocabulary}",
            path=path,
        )
    return BlipTokenizer(pieces, enc=enc, sep=known["[SEP]"], start=start, yes=known["yes"], no=known["no"])


def _read(path: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    try:
        if path.suffix == ".json":
            return PreTrainedTokenizerFast(tokenizer_file=str(path), clean_up_tokenization_spaces=False)
        backend = BertWordPieceTokenizer(str(path), lowercase=True)
        return PreTrainedTokenizerFast(tokenizer_object=backend._tokenizer, clean_up_tokenization_spaces=False)
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception for a damaged file
        raise DataError(f"not a tokenizer file: {one_line(error)}", path=path) from None
