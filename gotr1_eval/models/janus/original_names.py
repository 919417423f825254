"""Names of tensors in DeepSeek's original layout, for each tensor of transformers' Janus.

Plain renames but for two: SigLIP's fused attention holds query, key and value below each other, and its position
embedding has a leading axis of 1. The original's attention pool (never used: the features are the patches'), its
statistics of codebook use and rotary tables of old versions have no counterpart.
"""

from __future__ import annotations

import re

from gotr1_eval.models.autoregressive.adapters import Naming
from gotr1_eval.models.autoregressive.weight_files import Source

_TOWER, _BLOCK = "vision_model.vision_tower", r"model\.vision_model\.encoder\.layers\.(\d+)"
_RULES: tuple[tuple[str, str], ...] = (
    (r"lm_head\.", "language_model.lm_head."),
    (r"model\.language_model\.", "language_model.model."),
    (r"model\.vision_model\.embeddings\.patch_embedding\.", f"{_TOWER}.patch_embed.proj."),
    (r"model\.vision_model\.embeddings\.position_embedding\.weight", f"{_TOWER}.pos_embed"),
    (r"model\.vision_model\.post_layernorm\.", f"{_TOWER}.norm."),
    (rf"{_BLOCK}\.layer_norm([12])\.", rf"{_TOWER}.blocks.\1.norm\2."),
    (rf"{_BLOCK}\.self_attn\.[qkv]_proj\.", rf"{_TOWER}.blocks.\1.attn.qkv."),
    (rf"{_BLOCK}\.self_attn\.projection_layer\.", rf"{_TOWER}.blocks.\1.attn.proj."),
    (rf"{_BLOCK}\.mlp\.", rf"{_TOWER}.blocks.\1.mlp."),
    (r"model\.generation_embeddings\.", "gen_embed."),
    (r"model\.generation_head\.proj_out\.", "gen_head.output_mlp_projector."),
    (r"model\.generation_head\.", "gen_head."),
    (r"model\.aligner\.", "aligner."),
    (r"model\.generation_aligner\.", "gen_aligner."),
    (r"model\.vqmodel\.encoder\.down\.(\d+)\.block\.", r"gen_vision_model.encoder.conv_blocks.\1.res."),
    (r"model\.vqmodel\.encoder\.down\.", "gen_vision_model.encoder.conv_blocks."),
    (r"model\.vqmodel\.decoder\.up\.(\d+)\.block\.", r"gen_vision_model.decoder.conv_blocks.\1.res."),
    (r"model\.vqmodel\.decoder\.up\.", "gen_vision_model.decoder.conv_blocks."),
    (r"model\.vqmodel\.", "gen_vision_model."),
)
_WITHIN = {".mid.block_1.": ".mid.0.", ".mid.attn_1.": ".mid.1.", ".mid.block_2.": ".mid.2."}
_WITHOUT_COUNTERPART = re.compile(
    r"vision_model\.vision_tower\.attn_pool\..+|gen_vision_model\.quantize\.codebook_used|.+\.rotary_emb\.inv_freq"
)


def source_of(native: str) -> Source:
    """The original tensor for a native one.

    Raises:
        KeyError: no rule for the name; the installed transformers names its tensors differently.
    """
    for pattern, replacement in _RULES:
        name, count = re.subn(f"^{pattern}", replacement, native)
        if count:
            break
    else:
        raise KeyError(native)
    for new, old in _WITHIN.items():
        name = name.replace(new, old)
    if name.startswith(("aligner.", "gen_aligner.")):
        name = _aligner_name(name)
    fused = re.search(r"self_attn\.([qkv])_proj\.", native) if native.startswith("model.vision_model.") else None
    if fused:
        return Source(name, "qkv".index(fused[1]), 3)
    return Source(name, leading_axis=name == f"{_TOWER}.pos_embed")


def _aligner_name(name: str) -> str:
    """Linear layers 0, 1, ... are `layers.0`, `layers.2`, ...: between them stand the activations."""
    name = name.replace(".fc1.", ".layers.0.")
    return re.sub(r"\.hidden_layers\.(\d+)\.", lambda match: f".layers.{2 * (int(match[1]) + 1)}.", name)


def without_counterpart(name: str) -> bool:
    """Whether transformers' Janus has no use for this tensor of the original layout."""
    return _WITHOUT_COUNTERPART.fullmatch(name) is not None


def _within_original(start: str) -> Naming:
    """DeepSeek's names below one of its parts."""

    def naming(native: str) -> Source | None:
        source = source_of(native)
        if not source.name.startswith(start):
            return None
        return Source(source.name.removeprefix(start), source.part, source.parts)

    return naming


NAMINGS: tuple[Naming, ...] = (
    Source, _within_original(""), _within_original("language_model."), _within_original("language_model.model."),
)  # fmt: skip
"""How adapters may name the layers: as transformers' Janus, as DeepSeek's own, as its LlamaForCausalLM alone, and as
the LlamaModel of either alone."""
