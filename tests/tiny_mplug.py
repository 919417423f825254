"""Tiny mPLUG folders in the official layout: random weights by a recipe of salt, name and shape, or by a seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gotr1_eval.models.vqa.mplug import MplugVqa, Settings

WORDS = ("[PAD]", *(f"[unused{place}]" for place in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no", "a",
         "red", "cat", "dog", "is", "there", "?", "the", "##s", "bench", "blue", "two")  # fmt: skip
Tensors = dict[str, torch.Tensor]


def recipe(salt: str, name: str, shape: Sequence[int], rules: Sequence[tuple[str, str, float]]) -> np.ndarray:
    """The float64 weights of golden/models/recipe.py, written anew."""
    kind, gain = next((kind, gain) for pattern, kind, gain in rules if re.search(pattern, name))
    if kind == "const":
        return np.full(shape, gain)
    seed = np.frombuffer(hashlib.sha256((salt + name).encode()).digest(), dtype="<u4")
    count = int(np.prod(shape)) if shape else 1
    noise = ((np.random.RandomState(seed).random_sample(count) * 2 - 1) * 3**0.5).reshape(shape)
    return {
        "norm": 1 + gain * noise, "bias": gain * noise, "table": gain * noise,
        "matrix": gain / float(np.prod(shape[1:])) ** 0.5 * noise,
    }[kind]  # fmt: skip


def shapes(sizes: Mapping[str, int], vocabulary: int = len(WORDS)) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors that an answer is made of, in the official file."""
    width, inner, seen = sizes["h"], sizes["inter"], sizes["vw"]
    found: dict[str, tuple[int, ...]] = {}

    def layer(name: str, into: int, out: int) -> None:
        found.update({f"{name}.weight": (out, into), f"{name}.bias": (out,)})

    def norm(name: str, size: int = width) -> None:
        found.update({f"{name}.weight": (size,), f"{name}.bias": (size,)})

    def bert(name: str, kinds: Sequence[str]) -> None:
        for kind in kinds:
            for part in ("query", "key", "value"):
                layer(f"{name}.{kind}.self.{part}", width, width)
            layer(f"{name}.{kind}.output.dense", width, width)
            norm(f"{name}.{kind}.output.LayerNorm")
        layer(f"{name}.intermediate.dense", width, inner)
        layer(f"{name}.output.dense", inner, width)
        norm(f"{name}.output.LayerNorm")

    vision = "visual_encoder.visual"
    found |= {
        f"{vision}.class_embedding": (seen,), f"{vision}.conv1.weight": (seen, 3, 14, 14),
        f"{vision}.positional_embedding": ((sizes["res"] // 14) ** 2 + 1, seen),
    }  # fmt: skip
    norm(f"{vision}.ln_pre", seen)
    norm(f"{vision}.ln_post", seen)
    for number in range(sizes["vl"]):
        block = f"{vision}.transformer.resblocks.{number}"
        found |= {f"{block}.attn.in_proj_weight": (3 * seen, seen), f"{block}.attn.in_proj_bias": (3 * seen,)}
        layer(f"{block}.attn.out_proj", seen, seen)
        norm(f"{block}.ln_1", seen)
        norm(f"{block}.ln_2", seen)
        layer(f"{block}.mlp.c_fc", seen, 4 * seen)
        layer(f"{block}.mlp.c_proj", 4 * seen, seen)
    if seen != width:
        layer("visn_fc", seen, width)
        norm("visn_layer_norm")
    for tower in ("text_encoder", "text_decoder.bert"):
        found[f"{tower}.embeddings.word_embeddings.weight"] = (vocabulary, width)
        found[f"{tower}.embeddings.position_embeddings.weight"] = (64, width)
        found[f"{tower}.embeddings.token_type_embeddings.weight"] = (2, width)
        norm(f"{tower}.embeddings.LayerNorm")
    for number in range(sizes["te"]):
        bert(f"text_encoder.encoder.layer.{number}", ["attention"])
    for number in range(sizes["layers"]):
        bert(f"fusion_encoder.encoder.layer.{number}", ["attention", "crossattention"])
    for number in range(sizes["de"]):
        bert(f"text_decoder.bert.encoder.layer.{number}", ["attention", "crossattention"])
    head = "text_decoder.cls.predictions"
    layer(f"{head}.transform.dense", width, width)
    norm(f"{head}.transform.LayerNorm")
    found[f"{head}.bias"] = (vocabulary,)
    return found


SIZES = {"res": 28, "vw": 64, "vl": 1, "h": 32, "heads": 2, "inter": 48, "layers": 3, "te": 1, "fu": 2, "de": 2,
         "stride": 6}  # fmt: skip
_RULES = [(r"(LayerNorm|ln_\w+)\.weight$", "norm", 0.2), (r"bias$", "bias", 0.3), (r"word_emb", "table", 0.4),
          (r"embedding", "table", 0.8), ("", "matrix", 1.5)]  # fmt: skip


def draw_weights(sizes: Mapping[str, int] = SIZES, salt: str = "g") -> Tensors:
    """Random weights that end their answers now and then."""
    tensors = {
        name: torch.from_numpy(recipe(salt, name, shape, _RULES)).float() for name, shape in shapes(sizes).items()
    }
    bias = tensors["text_decoder.cls.predictions.bias"]
    bias[WORDS.index("[SEP]")] += 4.5
    bias[WORDS.index("yes") :] += 2
    return tensors


def write_folder(
    folder: Path, tensors: Tensors, sizes: Mapping[str, int] = SIZES, words: Sequence[str] = WORDS
) -> Path:
    """ModelScope's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": tensors}, folder / "pytorch_model.bin")
    config = {
        "hidden_size": sizes["h"], "num_attention_heads": sizes["heads"], "intermediate_size": sizes["inter"],
        "num_hidden_layers": sizes["layers"], "text_encoder_layers": sizes["te"], "fusion_layers": sizes["fu"],
        "text_decode_layers": sizes["de"], "stride_layer": sizes["stride"],
    }  # fmt: skip
    (folder / "config_bert.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


def mplug_vqa(folder: Path, **settings: Any) -> MplugVqa:
    return MplugVqa(Settings(model=folder, **{"device": "cpu"} | settings))
