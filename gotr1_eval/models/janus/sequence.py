"""One sequence of GoT-R1: `[bos] prompt chain <begin_of_image>`, then image tokens (paper section 1).

Shape suffixes: B rows, L text positions (left-padded to the longest row).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gotr1_eval.core.chain import BEGIN_OF_IMAGE

INSTRUCTION = "Follow the caption to generate an image through a chain of thought process: "
BOS, PAD = "<｜begin▁of▁sentence｜>", "<｜▁pad▁｜>"


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


@dataclass(frozen=True, slots=True)
class Padded:
    """Rows of text, left-padded: `ids_BL` int64, and `mask_BL` int64 with 0 on the padding only."""

    ids_BL: Tensor
    mask_BL: Tensor

    def to(self, device: torch.device | str) -> Padded:
        """The same rows on another device."""
        return Padded(self.ids_BL.to(device), self.mask_BL.to(device))


def prompt_text(prompt: str) -> str:
    """The user's turn and the opened answer, letter for letter as the released GoT-R1 models were trained."""
    return f"User: {(INSTRUCTION + prompt).strip()}\n\nAssistant:"


def encode_prompt(tokenizer: Any, prompt: str, special: SpecialIds) -> list[int]:  # noqa: ANN401
    """`[bos]` and the prompt's ids; whether a tokenizer adds bos by itself depends on its files, so it never may."""
    return [special.bos, *tokenizer.encode(prompt_text(prompt), add_special_tokens=False)]


def left_pad(rows: Sequence[Sequence[int]], pad: int) -> Padded:
    """Rows of different lengths, flush right, so that all go on together."""
    longest = max(len(row) for row in rows)
    ids = [[pad] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return Padded(torch.tensor(ids), torch.tensor(mask))


def unconditional(text: Padded, pad: int) -> Tensor:
    """The rows as guidance without a prompt sees them; int64 [B, L].

    Of each row only the first and the last token stay; all between become pads which, unlike the left padding, ARE
    attended: the released model was sampled so.
    """
    starts_BL = text.mask_BL.cumsum(dim=1) == 1
    kept_BL = starts_BL & text.mask_BL.bool()
    kept_BL[:, -1] = True
    return torch.where(kept_BL, text.ids_BL, pad)


def unconditional_row(text: Sequence[int], pad: int) -> list[int]:
    """One row as guidance without a prompt sees it; see `unconditional`."""
    return [text[0], *[pad] * (len(text) - 2), *text[max(len(text) - 1, 1) :]]


def positions(mask_BL: Tensor) -> Tensor:
    """Position ids that count real tokens from 0, whatever the padding."""
    return (mask_BL.cumsum(dim=1) - 1).clamp(min=0)
