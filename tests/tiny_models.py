"""Random checkpoints of Janus's true classes, small enough to build anew in every test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import JanusConfig, JanusForConditionalGeneration

from gotr1_eval.models.janus.loading import Checkpoint
from gotr1_eval.models.janus.original_names import source_of
from gotr1_eval.models.janus.sequence import SpecialIds
from training.tiny.janus import train_tokenizer
from training.tiny.shapes_corpus import examples

TOKENS, CODES = 16, 24


def random_tokenizer() -> Any:
    """A tokenizer of the real kind, trained on a handful of examples."""
    return train_tokenizer(examples(20, 0))


def random_config(tokenizer: Any) -> JanusConfig:
    """Two layers, a 4x4 grid of image tokens, pictures of 8 pixels a side."""
    special = SpecialIds.of(tokenizer)
    return JanusConfig(
        text_config={
            "model_type": "llama", "vocab_size": len(tokenizer) + 3, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": special.pad,
            "bos_token_id": special.bos, "eos_token_id": tokenizer.eos_token_id, "tie_word_embeddings": False,
        },
        vision_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "mlp_ratio": 1.0, "image_size": 8,
            "patch_size": 2, "projection_dim": 32, "num_image_tokens": TOKENS,
        },
        vq_config={
            "base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1, "latent_channels": 16,
            "embed_dim": 4, "num_embeddings": CODES, "projection_dim": 32, "image_token_embed_dim": 32,
        },
        tie_word_embeddings=False,
    )  # fmt: skip


def random_model(tokenizer: Any, seed: int = 0) -> Any:
    """A model of `random_config` with weights large enough that its tokens differ clearly in likelihood."""
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(random_config(tokenizer)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "vision_model" not in name:
                parameter.copy_(torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
    return model


def loaded_random() -> Checkpoint:
    """Model and tokenizer as loading gives them, always the same."""
    tokenizer = random_tokenizer()
    return Checkpoint(random_model(tokenizer), tokenizer, SpecialIds.of(tokenizer))


def random_checkpoint(folder: Path, seed: int = 0) -> Path:
    """The model and tokenizer as a native checkpoint folder."""
    tokenizer = random_tokenizer()
    random_model(tokenizer, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def original_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The model's weights under the names of DeepSeek's original layout, with what only that layout has."""
    parts: dict[str, dict[int, torch.Tensor]] = {}
    for name, tensor in model.state_dict().items():
        source = source_of(name)
        parts.setdefault(source.name, {})[source.part] = tensor
    stored = {name: torch.cat([found[part] for part in sorted(found)]) for name, found in parts.items()}
    tower = "vision_model.vision_tower"
    stored[f"{tower}.pos_embed"] = stored[f"{tower}.pos_embed"][None]
    stored[f"{tower}.attn_pool.latent"] = torch.ones(1, 1, 16)
    stored["gen_vision_model.quantize.codebook_used"] = torch.arange(65536.0)
    return {name: tensor.clone() for name, tensor in stored.items()}


def original_checkpoint(folder: Path, seed: int = 0) -> Path:
    """The model of `random_checkpoint` as an original-layout folder: one safetensors file, a bare tokenizer."""
    tokenizer = random_tokenizer()
    model = random_model(tokenizer, seed)
    text, vision = model.config.text_config, model.config.vision_config
    language = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    config = {
        "model_type": "multi_modality",
        "language_config": {"model_type": "llama", **{name: getattr(text, name) for name in language}},
        "vision_config": {"params": {"image_size": vision.image_size, "model_name": "made for tests"}},
        "gotr1_eval_test_overrides": {"siglip_heads": vision.num_attention_heads},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(original_tensors(model), folder / "model.safetensors")
    tokenizer.save_pretrained(folder)
    return folder
