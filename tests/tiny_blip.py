"""Tiny BLIP-VQA models: the authors' file with random weights, and what it computes, written out in plain torch.

The second is the yardstick: it shares no code with what reads the file, and asks one question at a time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch.nn.functional import conv2d, gelu, layer_norm, linear

from gotr1_eval.models.vqa import blip
from gotr1_eval.models.vqa._blip_files import load_original

Tensors = dict[str, torch.Tensor]
WORDS = ["a", "red", "green", "blue", "bench", "bowl", "cat", "the", "##s", "?", ",", "yes", "no", "is"]
SIDE, HEADS = 32, 4


def shapes(
    *, side: int = SIDE, patch: int = 8, width: int = 16, layers: int = 2, vocabulary: int = len(WORDS) + 7
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the authors' file, the buffers included."""

    def layer(name: str, into: int, out: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}

    def norm(name: str) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

    found: dict[str, tuple[int, ...]] = {
        "visual_encoder.cls_token": (1, 1, width), "visual_encoder.pos_embed": (1, (side // patch) ** 2 + 1, width),
        "visual_encoder.patch_embed.proj.weight": (width, 3, patch, patch),
        "visual_encoder.patch_embed.proj.bias": (width,), **norm("visual_encoder.norm"),
    }  # fmt: skip
    for number in range(layers):
        block = f"visual_encoder.blocks.{number}"
        found |= norm(f"{block}.norm1") | norm(f"{block}.norm2")
        found |= layer(f"{block}.attn.qkv", width, 3 * width) | layer(f"{block}.attn.proj", width, width)
        found |= layer(f"{block}.mlp.fc1", width, 4 * width) | layer(f"{block}.mlp.fc2", 4 * width, width)
    for tower in ("text_encoder", "text_decoder.bert"):
        found |= {f"{tower}.embeddings.word_embeddings.weight": (vocabulary, width),
                  f"{tower}.embeddings.position_embeddings.weight": (64, width),
                  f"{tower}.embeddings.position_ids": (1, 64), **norm(f"{tower}.embeddings.LayerNorm")}  # fmt: skip
        for number in range(layers):
            block = f"{tower}.encoder.layer.{number}"
            for kind in ("attention", "crossattention"):
                for part in ("query", "key", "value"):
                    found |= layer(f"{block}.{kind}.self.{part}", width, width)
                found |= layer(f"{block}.{kind}.output.dense", width, width) | norm(f"{block}.{kind}.output.LayerNorm")
            found |= layer(f"{block}.intermediate.dense", width, 2 * width)
            found |= layer(f"{block}.output.dense", 2 * width, width) | norm(f"{block}.output.LayerNorm")
    head = "text_decoder.cls.predictions"
    found |= layer(f"{head}.transform.dense", width, width) | norm(f"{head}.transform.LayerNorm")
    return found | {f"{head}.bias": (vocabulary,)} | layer(f"{head}.decoder", width, vocabulary)


def draw_weights(sizes: Mapping[str, Sequence[int]], noise: np.random.Generator, spread: float = 0.4) -> Tensors:
    """Large enough that answers differ clearly; with a spread of 0.15 the recipe behind the golden vectors."""
    tensors: Tensors = {}
    for name in sorted(sizes):
        if name.endswith("position_ids"):
            tensors[name] = torch.arange(sizes[name][-1])[None]
            continue
        drawn = torch.from_numpy(noise.standard_normal(tuple(sizes[name])).astype(np.float32))
        is_norm = any(part in name for part in ("LayerNorm", "norm1", "norm2", "visual_encoder.norm"))
        if is_norm and name.endswith("weight"):
            tensors[name] = 1 + 0.1 * drawn
        else:
            position = any(part in name for part in ("embeddings", "pos_embed", "cls_token"))
            tensors[name] = (0.5 if position else spread) * drawn
    head = "text_decoder.cls.predictions"
    tensors[f"{head}.decoder.weight"] = tensors["text_decoder.bert.embeddings.word_embeddings.weight"]
    tensors[f"{head}.decoder.bias"] = tensors[f"{head}.bias"]
    return tensors


def write_tokenizer(folder: Path, words: Mapping[str, int] | None = None) -> None:
    """Lower-cased word pieces; by default five marks, then `WORDS`."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = dict(words or {})
    if words is None:
        vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))


def write_original(folder: Path, seed: int = 0, tensors: Tensors | None = None, **sizes: int) -> Path:
    """The authors' file with random weights, and a tokenizer beside it."""
    write_tokenizer(folder)
    drawn = draw_weights(shapes(**sizes), np.random.default_rng(seed)) if tensors is None else tensors
    torch.save({"model": drawn}, folder / "tiny.pth")
    return folder / "tiny.pth"


def write_folder(folder: Path, original: Path) -> Path:
    """The same weights in transformers' layout, with its default epsilon in the configuration."""
    model = load_original(original, torch.float32, image_heads=HEADS, text_heads=HEADS)
    model.config.vision_config.layer_norm_eps = 1e-5
    model.save_pretrained(folder)
    write_tokenizer(folder)
    content = json.loads((folder / "config.json").read_text())
    assert content["vision_config"]["layer_norm_eps"] == 1e-5
    return folder


def blip_vqa(weights: Path, **settings: Any) -> blip.BlipVqa:
    chosen = {"device": "cpu", "image_size": SIDE, "image_heads": HEADS, "text_heads": HEADS} | settings
    return blip.BlipVqa(blip.Settings(model=str(weights), **chosen))


class PlainBlip:
    """BLIP-VQA from the authors' tensors; one picture and one question at a time."""

    def __init__(self, tensors: Tensors, heads: int = HEADS, epsilon: float = 1e-6) -> None:
        self.tensors, self.heads, self.epsilon = tensors, heads, epsilon

    def probability(self, pixels: torch.Tensor, ids: Sequence[int], *, start: int, yes: int, no: int) -> float:
        """P(yes) / (P(yes) + P(no)) of the softmax over all tokens; `ids` with its marks."""
        read = self._bert("text_encoder", torch.tensor(ids), self._see(pixels))
        state = self._bert("text_decoder.bert", torch.tensor([start]), read)[0]
        head = "text_decoder.cls.predictions"
        state = self._norm(f"{head}.transform.LayerNorm", gelu(self._linear(f"{head}.transform.dense", state)), 1e-12)
        chances = self._linear(f"{head}.decoder", state).softmax(dim=-1)
        return float(chances[yes] / (chances[yes] + chances[no]))

    def _see(self, pixels: torch.Tensor) -> torch.Tensor:
        kernel = self.tensors["visual_encoder.patch_embed.proj.weight"]
        patches = conv2d(pixels[None], kernel, self.tensors["visual_encoder.patch_embed.proj.bias"], kernel.shape[-1])
        x = torch.cat([self.tensors["visual_encoder.cls_token"][0], patches[0].flatten(1).T])
        x = x + self.tensors["visual_encoder.pos_embed"][0]
        for number in range(sum(name.endswith("norm1.bias") for name in self.tensors)):
            block = f"visual_encoder.blocks.{number}"
            q, k, v = self._linear(f"{block}.attn.qkv", self._norm(f"{block}.norm1", x, self.epsilon)).chunk(3, dim=-1)
            x = x + self._linear(f"{block}.attn.proj", self._attend(q, k, v))
            inner = gelu(self._linear(f"{block}.mlp.fc1", self._norm(f"{block}.norm2", x, self.epsilon)))
            x = x + self._linear(f"{block}.mlp.fc2", inner)
        return self._norm("visual_encoder.norm", x, self.epsilon)

    def _bert(self, tower: str, ids: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        words = self.tensors[f"{tower}.embeddings.word_embeddings.weight"][ids]
        places = self.tensors[f"{tower}.embeddings.position_embeddings.weight"][: len(ids)]
        x = self._norm(f"{tower}.embeddings.LayerNorm", words + places, 1e-12)
        count = sum(name.startswith(tower) and name.endswith("intermediate.dense.bias") for name in self.tensors)
        for number in range(count):
            block = f"{tower}.encoder.layer.{number}"
            for kind, source in (("attention", None), ("crossattention", seen)):
                from_ = x if source is None else source
                q = self._linear(f"{block}.{kind}.self.query", x)
                k, v = (self._linear(f"{block}.{kind}.self.{part}", from_) for part in ("key", "value"))
                made = self._linear(f"{block}.{kind}.output.dense", self._attend(q, k, v))
                x = self._norm(f"{block}.{kind}.output.LayerNorm", made + x, 1e-12)
            inner = gelu(self._linear(f"{block}.intermediate.dense", x))
            x = self._norm(f"{block}.output.LayerNorm", self._linear(f"{block}.output.dense", inner) + x, 1e-12)
        return x

    def _attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        parts = []
        for one, two, three in zip(*(part.chunk(self.heads, dim=-1) for part in (q, k, v)), strict=True):
            parts.append((one @ two.T / one.shape[-1] ** 0.5).softmax(dim=-1) @ three)
        return torch.cat(parts, dim=-1)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor, epsilon: float) -> torch.Tensor:
        weight = self.tensors[f"{name}.weight"]
        return layer_norm(x, weight.shape, weight, self.tensors[f"{name}.bias"], epsilon)
