"""Reads a CLIP checkpoint with open_clip's names into transformers' `CLIPModel`.

The sizes of the model follow from its tensors; only the numbers of attention heads do not show. The picture's tower has
the prefix ``visual.``, the text's none.
Every tensor is accounted for: what is missing, surplus or misshapen is named in one line.
"""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPModel

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.checkpoint import load_torch, quiet
from gotr1_eval.models.encoders._clip_folder import check_complete

_TOP = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
_NUMBERS = ("input_resolution", "context_length", "vocab_size")
_TRANSPOSED = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}
_IN_BLOCK = {
    "attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}  # fmt: skip


def load_open_clip(
    path: Path,
    dtype: torch.dtype,
    *,
    heads: Callable[[Sizes], tuple[int, int]],
    end_token: int,
    activation: Literal["gelu", "quick_gelu"] = "gelu",
) -> Any:  # noqa: ANN401
    """The model, on the CPU.

    Args:
        path: a ``.pt`` file (the tensors, perhaps under ``state_dict``, or OpenAI's archive of a program with its
            tensors, of which the program is not used) or a ``.safetensors`` file.
        heads: attention heads of the image and of the text tower, which the tensors do not tell.
        end_token: id of the marker at whose place a text's features are taken.
        activation: OpenAI trained with ``quick_gelu``.

    Raises:
        DataError: the file is damaged, or a tensor is missing, surplus or misshapen.
        UsageError: a tower's width is no multiple of its number of heads.
    """
    tensors = read_tensors(path)
    sizes = Sizes.of(tensors, path)
    expected = sizes.shapes()
    both = expected.keys() & tensors.keys()
    misshapen = [name for name in both if tuple(tensors[name].shape) != expected[name]]
    check_complete(path, expected.keys() - both, tensors.keys() - both, misshapen)
    image_heads, text_heads = heads(sizes)
    for tower, width, count in (("image", sizes.image.width, image_heads), ("text", sizes.text.width, text_heads)):
        if count < 1 or width % count:
            raise UsageError(f"{path}: the {tower} tower's width {width} is no multiple of {tower}_heads = {count}")
    config = model_config(sizes, image_heads, text_heads, end_token, activation)
    renamed = to_transformers(tensors)
    with quiet():
        return CLIPModel.from_pretrained(None, config=config, state_dict=renamed, dtype=dtype)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file by name; raises DataError when it cannot be read or holds something else."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if _is_program(path):
            return _program_tensors(path)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"not a checkpoint that can be read: {one_line(error)}", path=path) from None
    content = load_torch(path)
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise DataError("expected tensors by name, or those under 'state_dict'", path=path)
    return dict(tensors)


def _is_program(path: Path) -> bool:
    """Whether it is an archive of TorchScript, which holds code beside its tensors."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _program_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of OpenAI's own files; the three numbers beside them follow from the shapes."""
    with warnings.catch_warnings():
        # torch discourages new programs of this kind; these are from 2021.
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return {name: tensor for name, tensor in program.state_dict().items() if name not in _NUMBERS}


def to_transformers(tensors: Tensors) -> dict[str, torch.Tensor]:
    """open_clip's tensors under transformers' names: query, key and value apart, projections as linear layers."""
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if name in _TOP:
            renamed[_TOP[name]] = tensor
        elif name in _TRANSPOSED:
            renamed[_TRANSPOSED[name]] = tensor.T.contiguous()
        else:
            renamed |= _in_block(name, tensor)
    return renamed


def _in_block(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    match = BLOCK.match(name)
    assert match is not None, name
    block = f"{'vision' if match[1] else 'text'}_model.encoder.layers.{match[2]}."
    inner = name[match.end() :]
    if inner.startswith("attn.in_proj_"):
        kind = inner.removeprefix("attn.in_proj_")
        parts = zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True)
        return {f"{block}self_attn.{part}.{kind}": piece.contiguous() for part, piece in parts}
    layer, _, kind = inner.rpartition(".")
    return {f"{block}{_IN_BLOCK[layer]}.{kind}": tensor}


def model_config(
    sizes: Sizes, image_heads: int, text_heads: int, end_token: int, activation: str = "gelu"
) -> CLIPConfig:
    """open_clip's standard architecture: one square grid of patches."""
    shared = {"hidden_act": activation, "layer_norm_eps": 1e-5, "projection_dim": sizes.common}

    def tower(part: Tower, heads: int) -> dict[str, Any]:
        return shared | {
            "hidden_size": part.width, "intermediate_size": part.hidden, "num_hidden_layers": part.layers,
            "num_attention_heads": heads,
        }  # fmt: skip

    image = tower(sizes.image, image_heads) | {"patch_size": sizes.patch, "image_size": sizes.patch * sizes.grid}
    text = tower(sizes.text, text_heads) | {
        "vocab_size": sizes.vocabulary, "max_position_embeddings": sizes.context, "eos_token_id": end_token,
        "bos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    return CLIPConfig(projection_dim=sizes.common, vision_config=image, text_config=text)


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
