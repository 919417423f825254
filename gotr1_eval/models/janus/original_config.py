"""DeepSeek's configuration of a Janus, and what it leaves to its code, as transformers' configuration.

The original config.json states the language model (what is missing takes LLaMA's defaults), names the vision encoder,
and says nothing about the size of the picture tokenizer. Sizes that it does not state are read off the tensors, so
that the check of every tensor's shape afterwards compares them with one another and with config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import JanusConfig

from gotr1_eval.core.errors import DataError, one_line

Shapes = Mapping[str, tuple[int, ...]]

_VISION_HEADS = {"siglip_so400m_patch14_384": 16, "siglip_so400m_patch14_224": 16}
_VISION_HEADS |= {f"siglip_large_patch16_{side}": 16 for side in (256, 384)}
"""Attention heads of the vision encoders by name: the one size that shows in no tensor."""
_NOT_SIZES = {"torch_dtype", "_attn_implementation_autoset", "architectures", "transformers_version", "_name_or_path"}


def native_config(original: Mapping[str, Any], shapes: Shapes, path: Path) -> JanusConfig:
    """The configuration of the same model in transformers' layout.

    Args:
        original: the content of config.json.
        shapes: of every stored tensor.
        path: of config.json, for messages.

    Raises:
        DataError: a part is missing from config.json or from the tensors, or the sizes contradict each other.
    """
    try:
        language = {key: value for key, value in original["language_config"].items() if key not in _NOT_SIZES}
        width = shapes["language_model.model.embed_tokens.weight"][1]
        config = JanusConfig(
            text_config={"model_type": "llama", **language, "tie_word_embeddings": False},
            vision_config=_vision(original, shapes, width),
            vq_config=_picture_tokenizer(shapes, width),
            tie_word_embeddings=False,
        )
    except KeyError as error:
        raise DataError(f"neither the configuration nor the weights have {error}", path=path) from None
    except (TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError, StrictDataclassError) as error:
        raise DataError(f"not a configuration of Janus: {one_line(error)}", path=path) from None
    return config


def _vision(original: Mapping[str, Any], shapes: Shapes, width: int) -> dict[str, Any]:
    """SigLIP and its projection; `select_layer` shows in the number of stored blocks."""
    tower = "vision_model.vision_tower"
    hidden, channels, patch, _ = shapes[f"{tower}.patch_embed.proj.weight"]
    params = original["vision_config"]["params"]
    side = params["image_size"]
    return {
        "hidden_size": hidden,
        "num_channels": channels,
        "patch_size": patch,
        "image_size": side,
        "num_image_tokens": (side // patch) ** 2,
        "num_hidden_layers": _count(shapes, f"{tower}.blocks."),
        "num_attention_heads": _vision_heads(original, params["model_name"]),
        "mlp_ratio": shapes[f"{tower}.blocks.0.mlp.fc1.weight"][0] / hidden,
        "projection_dim": width,
        "depth": _count(shapes, "aligner.layers."),
    }


def _vision_heads(original: Mapping[str, Any], name: str) -> int:
    """By the encoder's name; small checkpoints made for tests state it."""
    stated = original.get("gotr1_eval_test_overrides", {}).get("siglip_heads")
    if stated is None and name not in _VISION_HEADS:
        known = ", ".join(sorted(_VISION_HEADS))
        raise ValueError(f"vision_config.params.model_name is {name!r}, whose attention heads are unknown; not {known}")
    return int(stated if stated is not None else _VISION_HEADS[name])


def _picture_tokenizer(shapes: Shapes, width: int) -> dict[str, Any]:
    """The VQ model, and the embedding of its tokens."""
    model = "gen_vision_model"
    base = shapes[f"{model}.encoder.conv_in.weight"][0]
    levels = range(_count(shapes, f"{model}.encoder.conv_blocks."))
    blocks = f"{model}.encoder.conv_blocks"
    codes, code_width = shapes[f"{model}.quantize.embedding.weight"]
    return {
        "num_embeddings": codes,
        "embed_dim": code_width,
        "base_channels": base,
        "channel_multiplier": [shapes[f"{blocks}.{level}.res.0.conv2.weight"][0] // base for level in levels],
        "num_res_blocks": _count(shapes, f"{blocks}.0.res."),
        "latent_channels": shapes[f"{model}.post_quant_conv.weight"][0],
        "in_channels": shapes[f"{model}.encoder.conv_in.weight"][1],
        "out_channels": shapes[f"{model}.decoder.conv_out.weight"][0],
        "projection_dim": width,
        "image_token_embed_dim": shapes["gen_head.output_mlp_projector.weight"][1],
        "num_hidden_layers": _count(shapes, "gen_aligner.layers."),
    }


def _count(shapes: Shapes, prefix: str) -> int:
    """How many numbered parts have tensors whose names begin so."""
    numbers = {name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)}
    if not numbers:
        raise KeyError(prefix)
    return len(numbers)
