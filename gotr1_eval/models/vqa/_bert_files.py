"""What the files of models around BERT have in common: pickled tensors, and bert-base-uncased's word pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import BertWordPieceTokenizer
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.checkpoint import load_torch

Tensors = dict[str, torch.Tensor]
_FILES = ("tokenizer.json", "vocab.txt")


def read_tensors(path: Path, under: Sequence[str], authors: str) -> Tensors:
    """The tensors of a file of torch's by name, mapped into memory where that can be.

    Args:
        under: the keys under which the authors may keep them; without any of these the file is the tensors.
        authors: whose file it is, for the message.

    Raises:
        DataError: the file cannot be read, holds code, or holds something else.
    """
    content = load_torch(path)
    key = next((key for key in under if isinstance(content, dict) and key in content), None)
    tensors = content if key is None else content[key]
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        names = " or ".join(map(repr, under))
        raise DataError(f"expected tensors by name under {names}, as the authors of {authors} save them", path=path)
    return dict(tensors)


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


def read_pieces(path: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    """The tokenizer of a file; raises DataError when it is damaged."""
    try:
        if path.suffix == ".json":
            return PreTrainedTokenizerFast(tokenizer_file=str(path), clean_up_tokenization_spaces=False)
        backend = BertWordPieceTokenizer(WordPiece.read_file(str(path)), lowercase=True)
        return PreTrainedTokenizerFast(tokenizer_object=backend._tokenizer, clean_up_tokenization_spaces=False)
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception for a damaged file
        raise DataError(f"not a tokenizer file: {one_line(error)}", path=path) from None
