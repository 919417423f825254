"""What HPS and CLIP share: pictures and texts through the two towers of transformers' `CLIPModel`.

Shapes: N inputs, S side of the picture in pixels, T tokens of context, E width of the common space.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Json
from gotr1_eval.files.shared_pictures import once_each
from gotr1_eval.models.encoders._clip_text import clean_text, token_ids, tokens_cut_off
from gotr1_eval.models.local_model import LocalModel, in_batches
from gotr1_eval.settings import Settings as StrictSettings

CONTEXT = 77
"""Tokens of a text that every CLIP reads, its two markers among them."""


class ClipSettings(StrictSettings):
    """How a CLIP model is run.

    Attributes:
        device: `auto` is the first GPU if there is one.
        dtype: of the weights; embeddings are always float32.
        batch_size: pictures or texts in one forward pass; halved for the call when memory runs out.
    """

    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(32, ge=1)


@dataclass(frozen=True, slots=True)
class LoadedClip:
    """A `CLIPModel`, and the tokenizer that it reads texts with."""

    model: Any
    tokenizer: Any


class ClipEncoder(LocalModel[LoadedClip]):
    """An `Encoder` (see `gotr1_eval.core.protocols`) made of a CLIP model, which is read when it is first needed.

    Args:
        name: what the encoder is called in the names of metrics.
        settings: how to run the model.
    """

    def __init__(self, name: str, settings: ClipSettings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
        self._name = name
        self._settings = settings

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    clean = staticmethod(clean_text)
    """What is done to a text before it is cut into tokens."""

    @property
    @abstractmethod
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """The tokenizer, which needs no weights."""

    @abstractmethod
    def load(self) -> LoadedClip:
        """Model and tokenizer from their files; raises UsageError or DataError."""

    @abstractmethod
    def prepare(self, picture: Image.Image, side: int) -> torch.Tensor:
        """float32 [3, side, side]: the picture cut or padded to a square, and normalised."""

    @abstractmethod
    def identity(self) -> dict[str, Json]:
        """What an embedding depends on besides the dtype: version, weights, tokenizer."""

    @cached_property
    def fingerprint(self) -> str:
        """Of the files and the precision; not of the batch size or the device, which move last digits only."""
        return identifiers.fingerprint({**self.identity(), "dtype": self._settings.dtype})

    def _load(self) -> LoadedClip:
        loaded = self.load()
        rows = loaded.model.config.text_config.vocab_size
        highest = max(loaded.tokenizer.get_vocab().values())
        if highest >= rows:
            raise UsageError(
                f"{self.name}: the tokenizer has ids up to {highest}, the model embeds {rows}; use its own"
            )
        if (context := loaded.model.config.text_config.max_position_embeddings) != CONTEXT:
            raise UsageError(f"{self.name}: expected a CLIP that reads {CONTEXT} tokens of a text, got {context}")
        return LoadedClip(loaded.model.to(self._device).eval(), loaded.tokenizer)

    @property
    def _network(self) -> torch.nn.Module:
        network: torch.nn.Module = self.loaded.model
        return network

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Unit rows, float32 [N, E]; raises BackendError when memory does not suffice for a single picture.

        Judges that share pictures (`gotr1_eval.files.shared_pictures`) share their embeddings.
        """
        side, width = self.loaded.model.config.vision_config.image_size, self.loaded.model.config.projection_dim

        def embed(pictures: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
            return [*self._embed(pictures, lambda batch: self._image_rows(batch, side))]

        rows = once_each(images, ("embedding", id(self)), embed)
        return np.stack(rows) if rows else np.empty((0, width), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, float32 [N, E]; a text that comes several times is embedded once. Raises BackendError likewise."""
        distinct = list(dict.fromkeys(texts))
        rows = self._embed(distinct, self._text_rows)
        place = {text: index for index, text in enumerate(distinct)}
        return rows[[place[text] for text in texts]]

    def cut_off(self, texts: Sequence[str]) -> list[int]:
        """Tokens at the end of each text that are not read."""
        return tokens_cut_off(self.tokenizer, texts, CONTEXT, self.clean)

    def _embed(self, items: Sequence[Any], rows_of: Callable[[Sequence[Any]], torch.Tensor]) -> NDArray[np.float32]:
        width = self.loaded.model.config.projection_dim
        with self._running():
            batches = in_batches(items, self._batch_size, rows_of, self.name)
            rows_NE = torch.cat([torch.empty(0, width), *(batch.float().cpu() for batch in batches)])
            units: NDArray[np.float32] = (rows_NE / rows_NE.norm(dim=-1, keepdim=True)).numpy()
        self._require_finite(np.isfinite(units).all(), "an embedding")
        return units

    def _image_rows(self, pictures: Sequence[Image.Image], side: int) -> torch.Tensor:
        model = self.loaded.model
        pixels_N3SS = torch.stack([self.prepare(picture, side) for picture in pictures]).to(self._device, model.dtype)
        rows: torch.Tensor = model.visual_projection(model.vision_model(pixel_values=pixels_N3SS).pooler_output)
        return rows

    def _text_rows(self, texts: Sequence[str]) -> torch.Tensor:
        model = self.loaded.model
        ids_NT = token_ids(self.loaded.tokenizer, texts, CONTEXT, self.clean).to(self._device)
        rows: torch.Tensor = model.text_projection(model.text_model(input_ids=ids_NT).pooler_output)
        return rows
