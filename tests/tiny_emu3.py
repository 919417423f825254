"""Random checkpoints of Emu3's true classes, small enough to build anew in every test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Emu3Config, Emu3ForConditionalGeneration

from gotr1_eval.models.emu3.loading import Checkpoint, Pixels, load_checkpoint, write_pixels
from training.tiny.emu3 import train_tokenizer
from training.tiny.shapes_corpus import examples

CODES, FACTOR, ROWS = 24, 2, 4
"""Codes of the picture tokenizer, pixels of an image token's edge, rows and columns of a picture."""


def random_tokenizer() -> Any:
    """A tokenizer of the real kind, trained on a handful of examples."""
    return train_tokenizer(examples(20, 0), CODES)


def random_config(tokenizer: Any, frames: int = 1) -> Emu3Config:
    """Two layers with grouped heads, and the class's own dropout."""
    return Emu3Config(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        },
        vq_config={
            "codebook_size": CODES, "embed_dim": 4, "latent_channels": 4, "base_channels": 32, "num_res_blocks": 1,
            "channel_multiplier": [1, 1], "attn_resolutions": [], "hidden_size": 32,
            "temporal_downsample_factor": frames,
        },
        vocabulary_map=tokenizer.get_vocab(),
    )  # fmt: skip


def random_model(tokenizer: Any, seed: int = 0, frames: int = 1) -> Any:
    """A model of `random_config` with weights large enough that its tokens differ clearly in likelihood."""
    torch.manual_seed(seed)
    model = Emu3ForConditionalGeneration(random_config(tokenizer, frames)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "vqmodel" not in name:
                parameter.copy_(torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
    return model


def random_checkpoint(folder: Path, seed: int = 0, frames: int = 1) -> Path:
    """The model, tokenizer and image processor's settings as a checkpoint folder; pictures have 8 pixels a side."""
    tokenizer = random_tokenizer()
    random_model(tokenizer, seed, frames).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    area = (ROWS * FACTOR) ** 2
    write_pixels(folder, Pixels((0.5,) * 3, (0.5,) * 3, area, area))
    return folder


def loaded_random(folder: Path, seed: int = 0, frames: int = 1) -> Checkpoint:
    """Model and tokenizer as loading gives them."""
    return load_checkpoint(random_checkpoint(folder, seed, frames), device=torch.device("cpu"), dtype=torch.float32)
