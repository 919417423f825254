"""Sequences of text and image tokens side by side, and what a sampler makes of them; no model family in particular.

Shape suffixes: B rows, L text positions (left-padded to the longest row), T image tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Padded:
    """Rows of text, left-padded: `ids_BL` int64, and `mask_BL` int64 with 0 on the padding only."""

    ids_BL: Tensor
    mask_BL: Tensor

    def to(self, device: torch.device | str) -> Padded:
        """The same rows on another device."""
        return Padded(self.ids_BL.to(device), self.mask_BL.to(device))


@dataclass(frozen=True, slots=True)
class SampledChain:
    """A chain as it was sampled.

    Attributes:
        ids: what follows the prompt; the last one is `<begin_of_image>`.
        log_probs: log-probability of each sampled id under softmax(logits / temperature); an appended
            `<begin_of_image>` was not sampled and has none.
        truncated: the cap was hit and `<begin_of_image>` appended.
    """

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    truncated: bool

    @property
    def written(self) -> tuple[int, ...]:
        """What the model wrote: the ids without an appended `<begin_of_image>`."""
        return self.ids[:-1] if self.truncated else self.ids


@dataclass(frozen=True, slots=True)
class SampledImages:
    """Image tokens, int64 [B, T], and their log-probabilities under the guided distribution, float32 [B, T]."""

    ids_BT: Tensor
    log_probs_BT: Tensor


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
