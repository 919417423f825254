"""Tiny CLIP models: one with open_clip's names, written out in plain torch, and one of transformers' true classes.

The first is the yardstick for renamed weights: it shares no code with what reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel
from transformers.convert_slow_tokenizer import bytes_to_unicode

from gotr1_eval.models.encoders import clip, hps

Tensors = dict[str, torch.Tensor]
START, END = "<|startoftext|>", "<|endoftext|>"
BYTE_VOCABULARY = 514
"""Each byte within a word, each byte at a word's end, and the two markers."""


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", nn.GELU())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Tower(nn.Module):
    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class Visual(nn.Module):
    def __init__(self, side: int, patch: int, width: int, layers: int, heads: int, common: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros((side // patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Tower(width, layers, heads)
        self.proj = nn.Parameter(torch.zeros(width, common))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pixels), 1, -1)
        x = self.ln_pre(torch.cat([first, patches], dim=1) + self.positional_embedding)
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


class OpenClip(nn.Module):
    """CLIP as open_clip builds it: exact gelu, query, key and value in one matrix, projections from the right."""

    def __init__(
        self, *, side: int = 32, patch: int = 8, image_width: int = 32, text_width: int = 16, layers: int = 2,
        image_heads: int = 4, text_heads: int = 2, common: int = 16, vocabulary: int = BYTE_VOCABULARY,
    ) -> None:  # fmt: skip
        super().__init__()
        self.visual = Visual(side, patch, image_width, layers, image_heads, common)
        self.transformer = Tower(text_width, layers, text_heads)
        self.token_embedding = nn.Embedding(vocabulary, text_width)
        self.positional_embedding = nn.Parameter(torch.zeros(77, text_width))
        self.ln_final = nn.LayerNorm(text_width)
        self.text_projection = nn.Parameter(torch.zeros(text_width, common))
        self.logit_scale = nn.Parameter(torch.tensor(2.6592600))

    def encode_text(self, ids: torch.Tensor) -> torch.Tensor:
        mask = torch.full((ids.shape[1], ids.shape[1]), -torch.inf).triu(1)
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        x = self.ln_final(self.transformer(x, mask))
        return x[torch.arange(len(ids)), ids.argmax(dim=-1)] @ self.text_projection


def random_open_clip(seed: int = 0, **sizes: int) -> OpenClip:
    """Weights large enough that embeddings of different inputs differ clearly."""
    torch.manual_seed(seed)
    model = OpenClip(**sizes).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim():
                parameter.copy_(torch.randn_like(parameter) * 0.2 + (".ln_" in name and name.endswith("weight")))
    return model


def random_clip_folder(folder: Path, seed: int = 0) -> Path:
    """A folder in transformers' layout: a random model of the true classes, and a tokenizer of bytes."""
    torch.manual_seed(seed)
    shared: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": 16}
    config = CLIPConfig(
        projection_dim=16,
        vision_config=shared | {"hidden_size": 32, "intermediate_size": 48, "image_size": 32, "patch_size": 8},
        text_config=shared
        | {"hidden_size": 16, "intermediate_size": 32, "vocab_size": BYTE_VOCABULARY, "eos_token_id": 513},
    )
    CLIPModel(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_tokenizer(
    folder: Path, tokens: Mapping[str, int] | None = None, markers: tuple[int, int] = (512, 513)
) -> Path:
    """``vocab.json`` and ``merges.txt`` in a folder: bytes, and these tokens with their ids.

    Every token is joined from its characters from left to right; longer ones first, so that they win.
    """
    characters = list(bytes_to_unicode().values())
    vocabulary = {token: index for index, token in enumerate([*characters, *(f"{one}</w>" for one in characters)])}
    vocabulary |= dict(zip((START, END), markers, strict=True)) | dict(tokens or {})
    free = iter(sorted(set(range(512, markers[0])) - set(vocabulary.values())))
    merges: dict[str, None] = {}
    for token in sorted(tokens or {}, key=len, reverse=True):
        pieces = list(token.removesuffix("</w>"))
        pieces[-1] += "</w>" if token.endswith("</w>") else ""
        joined = pieces[0]
        for piece in pieces[1:]:
            merges[f"{joined} {piece}"] = None
            joined += piece
            if joined not in vocabulary:
                vocabulary[joined] = next(free)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    return folder


def write_checkpoint(folder: Path, change: Callable[[Tensors], object] = lambda tensors: None) -> Path:
    """A random HPS-like checkpoint file, and a tokenizer beside it."""
    tensors = dict(random_open_clip().state_dict())
    change(tensors)
    write_tokenizer(folder)
    torch.save({"epoch": 1, "state_dict": tensors}, folder / "tiny.pt")
    return folder / "tiny.pt"


def hps_encoder(weights: Path, **settings: Any) -> hps.HpsEncoder:
    heads = {"image_heads": 4, "text_heads": 2, "device": "cpu"} | settings
    return hps.HpsEncoder(hps.Settings(weights=str(weights), **heads))


def clip_encoder(folder: Path, **settings: Any) -> clip.ClipModelEncoder:
    return clip.ClipModelEncoder(clip.Settings(model=str(folder), **{"device": "cpu"} | settings))
