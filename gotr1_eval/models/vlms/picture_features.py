"""Pictures as the language model takes them in: their features, keys and places among the tokens.

Axes: A axes of a token's position (1, or 3 for models that count time, height and width apart), L tokens, B rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from PIL import Image


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's features, as the language model takes them in.

    Attributes:
        tokens: [tokens, width] for each part of the picture.
        deep: for models that add features to several layers, the same for each of these layers.
    """

    tokens: tuple[torch.Tensor, ...]
    deep: tuple[tuple[torch.Tensor, ...], ...] = ()


def read_features(encoded: Any) -> Picture:  # noqa: ANN401
    """What a model's `get_image_features` returned; up to release 5.17 a layer's features are one tensor."""
    deep = getattr(encoded, "deepstack_features", None) or ()
    layers = ((layer,) if isinstance(layer, torch.Tensor) else tuple(layer) for layer in deep)
    return Picture(tuple(encoded.pooler_output), tuple(layers))


def embedded(
    model: Any,  # noqa: ANN401
    ids_BL: torch.Tensor,
    pictures: Sequence[Picture],
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Tokens with the pictures' features in their places, as transformers' classes put them there.

    By hand, since the classes take features that were encoded before under a name that came after release 5.17; earlier
    ones swallow the name, and the model answers without having seen anything.

    Returns:
        (embeddings [B, L, width], bool [B, L] where a picture's token stands, features [such tokens, width] for each
        of the layers that get some besides).
    """
    seen_BL = ids_BL == model.config.image_token_id
    embeds_BLD: torch.Tensor = model.get_input_embeddings()(ids_BL)
    features = torch.cat([part for picture in pictures for part in picture.tokens]).to(embeds_BLD)
    if len(features) != (places := int(seen_BL.sum())):
        raise ValueError(f"{len(features)} features of pictures for {places} places")  # masked_scatter would not tell
    layers = zip(*(picture.deep for picture in pictures), strict=True)
    deep = [torch.cat([part for parts in layer for part in parts]).to(embeds_BLD) for layer in layers]
    return embeds_BLD.masked_scatter(seen_BL.unsqueeze(-1), features), seen_BL, deep


def picture_key(image: Image.Image) -> str:
    """The same for pictures of the same size and pixels."""
    digest = sha256(f"{image.mode} {image.size}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def token_positions(model: Any, ids: Sequence[int], grids: torch.Tensor | None) -> torch.Tensor:  # noqa: ANN401
    """positions_AL: counted up, or by time, height and width where the model has such positions for pictures."""
    if grids is None or not hasattr(model.model, "get_rope_index"):
        return torch.arange(len(ids)).unsqueeze(0)
    ids_BL = torch.tensor([list(ids)])
    kinds_BL = (ids_BL == model.config.image_token_id).int()
    positions_ABL, _ = model.model.get_rope_index(ids_BL, mm_token_type_ids=kinds_BL, image_grid_thw=grids.cpu())
    positions_AL: torch.Tensor = positions_ABL[:, 0]
    return positions_AL


def pictures_end(ids: Sequence[int], picture_token: int) -> int:
    """The place after the last token of a picture; 0 without pictures."""
    return max((place + 1 for place, token in enumerate(ids) if token == picture_token), default=0)
