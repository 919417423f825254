"""How many samples fit into a device's memory at once."""

from __future__ import annotations

import os
from typing import Any

import torch

from gotr1_eval.models.autoregressive.decoder import head_width

LONGEST_PROMPT = 128
"""Tokens of a prompt that are counted on; a longer one still runs, and the batch is halved if it does not fit."""
USED = 0.7
"""Share of the free memory that is planned with; the rest is for activations, logits and the picture decoder."""


def cache_bytes_per_token(model: Any) -> int:  # noqa: ANN401 - transformers is untyped
    """Bytes of keys and values that one position of one row takes."""
    config = model.config.text_config
    values = 2 * config.num_hidden_layers * config.num_key_value_heads * head_width(config)
    return int(values * model.lm_head.weight.element_size())


def fitting_samples(model: Any, tokens: int, most: int) -> int:  # noqa: ANN401
    """Samples of so many cached positions each that fit into the free memory; at least 1, at most `most`."""
    fit = int(USED * free_bytes(model.device)) // max(tokens * cache_bytes_per_token(model), 1)
    return max(1, min(fit, most))


def free_bytes(device: torch.device) -> int:
    """Memory that the device has left, beside what is loaded."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
