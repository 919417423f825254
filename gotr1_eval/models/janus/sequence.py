"""One sequence of GoT-R1: `[bos] prompt chain <begin_of_image>`, then image tokens (paper section 1).

The tokenizer of a Janus is read by file, with GoT-R1's four tokens; ids are looked up by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.chain import BEGIN_OF_IMAGE, BOX_END, BOX_START, OBJ_END, OBJ_START
from gotr1_eval.core.errors import DataError
from gotr1_eval.models.autoregressive.prompts import prompt_text
from gotr1_eval.models.checkpoint import read_tokenizer

GOT_TOKENS = (BOX_START, BOX_END, OBJ_START, OBJ_END)
"""In the order in which the released GoT-R1 script adds them, which decides their ids."""
BOS, PAD = "<｜begin▁of▁sentence｜>", "<｜▁pad▁｜>"
_NEEDED = (BOS, PAD, BEGIN_OF_IMAGE)


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids that differ between checkpoints (Janus-Pro 1B and 7B too) and are always looked up by name."""

    bos: int
    pad: int
    begin_of_image: int

    @classmethod
    def of(cls, tokenizer: Any) -> SpecialIds:  # noqa: ANN401 - transformers is untyped
        """The ids of a tokenizer that `tokenizing.load_tokenizer` has read."""
        bos, pad, begin = tokenizer.convert_tokens_to_ids([BOS, PAD, BEGIN_OF_IMAGE])
        return cls(bos, pad, begin)


def encode_prompt(tokenizer: Any, prompt: str, special: SpecialIds) -> list[int]:  # noqa: ANN401
    """`[bos]` and the prompt's ids; whether a tokenizer adds bos by itself depends on its files, so it never may."""
    return [special.bos, *tokenizer.encode(prompt_text(prompt), add_special_tokens=False)]


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    """The tokenizer; GoT-R1's tokens are added where the files do not have them, as its released script does.

    Raises:
        UsageError: there is no tokenizer.json.
        DataError: it is damaged, or lacks a token that every Janus has.
    """
    path = folder / "tokenizer.json"
    tokenizer = read_tokenizer(folder)
    known = tokenizer.get_vocab()
    missing = [token for token in _NEEDED if token not in known]
    if missing:
        raise DataError(f"the tokenizer lacks {', '.join(missing)}; use the checkpoint's own tokenizer", path=path)
    tokenizer.add_tokens(list(GOT_TOKENS))
    return tokenizer
