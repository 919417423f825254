"""ImageReward's files: weights under its authors' names into transformers' BLIP classes, and its tokenizer.

The authors' file holds a BLIP (``blip.``, with two projections that no rating depends on) and the head (``mlp.``).
Their loader takes a file with missing tensors silently; here every tensor is accounted for. Layer norms have an epsilon
of 1e-6 in the picture's tower and 1e-12 in the text's; there are no token types and no pooler.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BlipTextConfig, BlipVisionConfig
from transformers.models.blip.modeling_blip import BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.models.checkpoint import first_names, quiet
from gotr1_eval.models.encoders._open_clip import read_tensors
from gotr1_eval.models.reward_models._affine_head import build_head, check_tensors, head_shapes
from gotr1_eval.models.vqa._bert_files import read_pieces
from gotr1_eval.models.vqa._blip_files import VISION_EPSILON, rename

Tensors = Mapping[str, torch.Tensor]
PROMPT_TOKENS = 35
"""Of a prompt that are read, [CLS] and [SEP] among them."""
_IMAGE, _TEXT, _HEAD = "blip.visual_encoder.", "blip.text_encoder.", "mlp.layers."
_PROJECTED = 256
_POSITIONS = f"{_TEXT}embeddings.position_ids"
"""The constants 0, 1, 2, ..., which the file holds as if they were weights."""
_ANCHORS = (
    f"{_IMAGE}pos_embed", f"{_IMAGE}patch_embed.proj.weight", f"{_IMAGE}blocks.0.mlp.fc1.weight",
    f"{_TEXT}embeddings.word_embeddings.weight", f"{_TEXT}embeddings.position_embeddings.weight",
    f"{_TEXT}encoder.layer.0.intermediate.dense.weight",
)  # fmt: skip
"""The tensors that the sizes are read from."""


class ImageRewardNetwork(nn.Module):
    """The two towers and the head."""

    def __init__(self, image: Any, text: Any, head: nn.Module) -> None:  # noqa: ANN401 - transformers is untyped
        super().__init__()
        self.image, self.text, self.head = image, text, head

    def forward(self, pixels_N3SS: torch.Tensor, ids_NT: torch.Tensor, mask_NT: torch.Tensor) -> torch.Tensor:
        """The head's numbers [N], of the text's first place, after it has looked at the picture."""
        seen_NPE = self.image(pixel_values=pixels_N3SS).last_hidden_state
        read_NTE = self.text(
            input_ids=ids_NT, attention_mask=mask_NT, encoder_hidden_states=seen_NPE, is_decoder=False
        ).last_hidden_state
        rated_N1: torch.Tensor = self.head(read_NTE[:, 0])
        return rated_N1[:, 0]


def load_network(path: Path, dtype: torch.dtype, *, image_heads: int, text_heads: int) -> ImageRewardNetwork:
    """The network of the authors' file (``ImageReward.pt``), on the CPU.

    Args:
        image_heads: attention heads of the picture's tower, which the tensors do not tell; `text_heads` likewise.

    Raises:
        DataError: the file is damaged, or a tensor is missing, surplus or misshapen.
        UsageError: a tower's width is no multiple of its number of heads.
    """
    tensors = read_tensors(path)
    if missing := [name for name in _ANCHORS if name not in tensors]:
        raise DataError(f"not ImageReward's weights: {len(missing)} missing ({first_names(missing)})", path=path)
    image, text = _configs(tensors, image_heads, text_heads)
    for tower, config in (("picture", image), ("text", text)):
        if config.hidden_size % config.num_attention_heads:
            heads = config.num_attention_heads
            raise UsageError(f"{path}: the {tower}'s width {config.hidden_size} is no multiple of its {heads} heads")
    check_tensors(path, "ImageReward", expected_shapes(image, text), tensors, unread=[_POSITIONS])
    with quiet():
        seeing = BlipVisionModel.from_pretrained(None, config=image, state_dict=vision_part(tensors), dtype=dtype)
        reading = BlipTextModel.from_pretrained(
            None, config=text, state_dict=text_part(tensors), dtype=dtype, add_pooling_layer=False
        )
    return ImageRewardNetwork(seeing, reading, build_head(tensors, _HEAD).to(dtype))


def vision_part(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The tensors of the picture's tower under transformers' names."""
    whole = {name.removeprefix("blip."): tensor for name, tensor in tensors.items() if name.startswith(_IMAGE)}
    return {rename(name).removeprefix("vision_model."): tensor for name, tensor in whole.items()}


def text_part(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The tensors of the text's tower under transformers' names, which are the same behind the prefix."""
    return {
        name.removeprefix(_TEXT): tensor
        for name, tensor in tensors.items()
        if name.startswith(_TEXT) and name != _POSITIONS
    }


def expected_shapes(image: Any, text: Any) -> dict[str, tuple[int, ...]]:  # noqa: ANN401
    """The name and shape of every weight that the authors' file has for such towers."""
    with torch.device("meta"):
        by_tower = {
            "vision_model.": BlipVisionModel(image).state_dict(),
            "": BlipTextModel(text, add_pooling_layer=False).state_dict(),
        }
    theirs = _names_of_authors(image.num_hidden_layers)
    shapes = {
        f"blip.{theirs[f'{prefix}{name}']}" if prefix else f"{_TEXT}{name}": tuple(tensor.shape)
        for prefix, tower in by_tower.items()
        for name, tensor in tower.items()
    }
    for part, width in (("vision_proj", image.hidden_size), ("text_proj", text.hidden_size)):
        shapes |= {f"blip.{part}.weight": (_PROJECTED, width), f"blip.{part}.bias": (_PROJECTED,)}
    return shapes | head_shapes(text.hidden_size, _HEAD)


def _names_of_authors(layers: int) -> dict[str, str]:
    """transformers' name -> the authors', of the picture's tower."""
    ends = ("weight", "bias")
    names = ["cls_token", "pos_embed", *(f"patch_embed.proj.{end}" for end in ends), *(f"norm.{end}" for end in ends)]
    parts = ("norm1", "norm2", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    names += [f"blocks.{layer}.{part}.{end}" for layer in range(layers) for part in parts for end in ends]
    return {rename(f"visual_encoder.{name}"): f"visual_encoder.{name}" for name in names}


def _configs(tensors: Tensors, image_heads: int, text_heads: int) -> tuple[Any, Any]:
    """The sizes that the tensors have; a picture is cut into grid x grid patches of patch x patch."""
    places, width = tensors[f"{_IMAGE}pos_embed"].shape[1:]
    vocabulary, text_width = tensors[f"{_TEXT}embeddings.word_embeddings.weight"].shape
    return tower_configs(
        image_width=width,
        image_layers=len({name.split(".")[3] for name in tensors if name.startswith(f"{_IMAGE}blocks.")}),
        image_hidden=tensors[f"{_IMAGE}blocks.0.mlp.fc1.weight"].shape[0],
        image_heads=image_heads,
        patch=tensors[f"{_IMAGE}patch_embed.proj.weight"].shape[-1],
        grid=math.isqrt(max(places - 1, 0)),
        text_width=text_width,
        text_layers=len({name.split(".")[4] for name in tensors if name.startswith(f"{_TEXT}encoder.layer.")}),
        text_hidden=tensors[f"{_TEXT}encoder.layer.0.intermediate.dense.weight"].shape[0],
        text_heads=text_heads,
        vocabulary=vocabulary,
        positions=tensors[f"{_TEXT}embeddings.position_embeddings.weight"].shape[0],
    )


def tower_configs(
    *,
    image_width: int,
    image_layers: int,
    image_hidden: int,
    image_heads: int,
    patch: int,
    grid: int,
    text_width: int,
    text_layers: int,
    text_hidden: int,
    text_heads: int,
    vocabulary: int,
    positions: int,
) -> tuple[Any, Any]:
    """transformers' configurations of the two towers, of these sizes."""
    image = BlipVisionConfig(
        hidden_size=image_width, intermediate_size=image_hidden, num_hidden_layers=image_layers,
        num_attention_heads=image_heads, patch_size=patch, image_size=patch * grid, layer_norm_eps=VISION_EPSILON,
    )  # fmt: skip
    text = BlipTextConfig(
        hidden_size=text_width, encoder_hidden_size=image_width, vocab_size=vocabulary,
        num_hidden_layers=text_layers, intermediate_size=text_hidden, num_attention_heads=text_heads,
        bos_token_id=None, eos_token_id=None, sep_token_id=None, max_position_embeddings=positions,
    )  # fmt: skip
    return image, text


@dataclass(frozen=True, slots=True)
class PromptTokenizer:
    """bert-base-uncased's word pieces with BLIP's [DEC] and [ENC]; a mark that a prompt spells out is that token."""

    pieces: Any

    def ids(self, prompt: str) -> list[int]:
        """[CLS], the prompt's pieces, [SEP]; as long as the prompt is."""
        # Halves of characters, which a damaged prompt may hold, cannot be handed to the tokenizer.
        text = prompt.encode("utf-8", "replace").decode("utf-8")
        inner = self.pieces(text, add_special_tokens=False)["input_ids"]
        return [self._id("[CLS]"), *inner, self._id("[SEP]")]

    def padded(self, prompt: str) -> tuple[list[int], list[int]]:
        """(ids, mask), `PROMPT_TOKENS` each: longer prompts are cut before [SEP], shorter ones filled up."""
        ids = self.ids(prompt)
        ids = ids if len(ids) <= PROMPT_TOKENS else [*ids[: PROMPT_TOKENS - 1], ids[-1]]
        empty = PROMPT_TOKENS - len(ids)
        return [*ids, *[self._id("[PAD]")] * empty], [*[1] * len(ids), *[0] * empty]

    def _id(self, token: str) -> int:
        number: int = self.pieces.convert_tokens_to_ids(token)
        return number


def load_tokenizer(path: Path) -> PromptTokenizer:
    """The tokenizer of a file, ``tokenizer.json`` or BERT's ``vocab.txt``.

    Raises:
        DataError: it is damaged, or not BERT's.
    """
    pieces = read_pieces(path)
    known = pieces.get_vocab()
    if missing := [token for token in ("[CLS]", "[SEP]", "[PAD]", "[UNK]") if token not in known]:
        raise DataError(f"the vocabulary lacks {', '.join(missing)}; expected bert-base-uncased's", path=path)
    pieces.add_special_tokens({"bos_token": "[DEC]"})
    pieces.add_special_tokens({"additional_special_tokens": ["[ENC]"]})
    return PromptTokenizer(pieces)
