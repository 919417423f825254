"""The sizes of a CLIP model, read from a checkpoint with open_clip's names, and the tensors that such a model has.

The picture's tower has the prefix ``visual.``, the text's none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from gotr1_eval.models.encoders._clip_folder import check_complete

Tensors = Mapping[str, torch.Tensor]
Shape = tuple[int, ...]

BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.")
"""The start of a block's names: the prefix and the block's number."""
_ANCHORS = {
    "visual.conv1.weight": 4, "visual.positional_embedding": 2, "visual.proj": 2,
    "visual.transformer.resblocks.0.mlp.c_fc.weight": 2, "token_embedding.weight": 2, "positional_embedding": 2,
    "transformer.resblocks.0.mlp.c_fc.weight": 2,
}  # fmt: skip
"""The tensors that the sizes are read from, with their numbers of axes."""


@dataclass(frozen=True, slots=True)
class Tower:
    """The sizes of one of the two transformers: W, H and the number of blocks."""

    width: int
    hidden: int
    layers: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a CLIP model, read from its tensors; a picture is cut into grid x grid patches of patch x patch."""

    image: Tower
    text: Tower
    common: int
    patch: int
    grid: int
    context: int
    vocabulary: int

    @classmethod
    def of(cls, tensors: Tensors, path: Path) -> Sizes:
        """Raises DataError when a tensor that tells a size is missing or has another number of axes."""
        missing = [name for name in _ANCHORS if name not in tensors]
        misshapen = [name for name, axes in _ANCHORS.items() if name in tensors and tensors[name].dim() != axes]
        check_complete(path, missing, [], misshapen)
        image_width, _, patch, _ = tensors["visual.conv1.weight"].shape
        vocabulary, text_width = tensors["token_embedding.weight"].shape
        return cls(
            image=_tower(tensors, "visual.", image_width),
            text=_tower(tensors, "", text_width),
            common=tensors["visual.proj"].shape[1],
            patch=patch,
            grid=math.isqrt(max(tensors["visual.positional_embedding"].shape[0] - 1, 0)),
            context=tensors["positional_embedding"].shape[0],
            vocabulary=vocabulary,
        )

    def shapes(self) -> dict[str, Shape]:
        """The name and shape of every tensor that such a model has."""
        image, text = self.image, self.text
        shapes: dict[str, Shape] = {
            "logit_scale": (), "token_embedding.weight": (self.vocabulary, text.width),
            "positional_embedding": (self.context, text.width), "text_projection": (text.width, self.common),
            "visual.class_embedding": (image.width,), "visual.conv1.weight": (image.width, 3, self.patch, self.patch),
            "visual.positional_embedding": (self.grid**2 + 1, image.width), "visual.proj": (image.width, self.common),
        }  # fmt: skip
        norms = {"ln_final": text, "visual.ln_pre": image, "visual.ln_post": image}
        shapes |= {f"{norm}.{kind}": (tower.width,) for norm, tower in norms.items() for kind in ("weight", "bias")}
        for prefix, tower in (("visual.", image), ("", text)):
            for layer in range(tower.layers):
                block = f"{prefix}transformer.resblocks.{layer}."
                shapes |= {block + name: shape for name, shape in _block_shapes(tower).items()}
        return shapes


def _tower(tensors: Tensors, prefix: str, width: int) -> Tower:
    blocks = [match for name in tensors if (match := BLOCK.match(name)) and (match[1] or "") == prefix]
    hidden = tensors[f"{prefix}transformer.resblocks.0.mlp.c_fc.weight"].shape[0]
    return Tower(width, hidden, 1 + max(int(match[2]) for match in blocks))


def _block_shapes(tower: Tower) -> dict[str, Shape]:
    width, hidden = tower.width, tower.hidden
    weights = {
        "attn.in_proj_": (3 * width, width), "attn.out_proj.": (width, width), "mlp.c_fc.": (hidden, width),
        "mlp.c_proj.": (width, hidden), "ln_1.": (width,), "ln_2.": (width,),
    }  # fmt: skip
    shapes: dict[str, Shape] = {}
    for name, shape in weights.items():
        shapes |= {f"{name}weight": shape, f"{name}bias": shape[:1]}
    return shapes
