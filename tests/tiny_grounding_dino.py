"""A random Grounding DINO of the true classes, with a handful of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

WORDS = ["a", "cat", "dog", "red", "apple", "green", "sky", "##s"]
VOCABULARY = 1040


def write_tokenizer(folder: Path) -> None:
    """Word pieces with BERT's marks at their places, and a handful of words."""
    places = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
    places |= {word: 200 + place for place, word in enumerate(WORDS)}
    vocabulary = {f"[unused{place}]": place for place in range(VOCABULARY) if place not in places.values()} | places
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.save(str(folder / "tokenizer.json"))


def tiny_config() -> GroundingDinoConfig:
    swin: dict[str, Any] = {"depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2], "window_size": 4, "embed_dim": 16}
    bert: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes: dict[str, Any] = {"encoder_layers": 1, "decoder_layers": 2, "d_model": 32, "encoder_ffn_dim": 32}
    return GroundingDinoConfig(
        backbone_config=SwinConfig(image_size=32, out_indices=[2, 3, 4], **swin),
        text_config=BertConfig(vocab_size=VOCABULARY, intermediate_size=32, max_position_embeddings=64, **bert),
        **sizes, decoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=2, num_queries=20,
        max_text_len=24,
    )  # fmt: skip


def write_folder(folder: Path, seed: int = 0) -> Path:
    """The checkpoint with its tokenizer."""
    torch.manual_seed(seed)
    model = GroundingDinoForObjectDetection(tiny_config()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder
