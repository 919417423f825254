"""What generators of this package's own sampler share, whatever the family of their checkpoint."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import torch
from PIL import Image
from pydantic import Field

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Generated
from gotr1_eval.models.autoregressive.checkpoints import SHIPPED, checkpoint_and_base, checkpoint_folder
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.memory import LONGEST_PROMPT, fitting_samples
from gotr1_eval.models.autoregressive.stages import Stages
from gotr1_eval.models.checkpoint import folder_digest
from gotr1_eval.models.local_model import choose_device, fitting_threads, ieee_float32, in_batches
from gotr1_eval.models.sampled_sequences import SampledChain
from gotr1_eval.settings import Settings

Share = Annotated[float, Field(gt=0, le=1)]
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SamplingSettings(Settings):
    """Which checkpoint, and how to sample from it.

    Attributes:
        ckpt: a folder, a hub repository, or the name of one shipped with the package.
        guidance: weight of classifier-free guidance on the picture; 1 or less turns it off.
        text_temperature: of the chain; 0 takes the likeliest token.
        image_temperature: of the picture; 0 takes the likeliest token.
        text_top_k, image_top_k: only so many of the likeliest tokens; 0 for all.
        text_top_p, image_top_p: only the likeliest tokens that together have this probability.
        chain_cap: after so many tokens a chain is cut off and the picture begun.
        device: `auto` is the first GPU if there is one.
        dtype: `auto` is float32 on the CPU, and on a GPU the half precision that the family is released in. The heads'
            results are float32, which the name of a generator of half precision says.
    """

    undeciding = frozenset({"ckpt", "device"})

    ckpt: str
    guidance: float = Field(1.0, ge=0, allow_inf_nan=False)
    text_temperature: Temperature = 1.0
    image_temperature: Temperature = 1.0
    text_top_k: int = Field(0, ge=0)
    image_top_k: int = Field(0, ge=0)
    text_top_p: Share = 1.0
    image_top_p: Share = 1.0
    chain_cap: int = Field(600, ge=1)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @property
    def rows(self) -> int:
        """Rows of a picture: with guidance the unconditional one, too."""
        return 2 if self.guidance > 1 else 1

    @property
    def text_choice(self) -> Choice:
        """How a chain's tokens are chosen."""
        return Choice(self.text_temperature, self.text_top_k, self.text_top_p)

    @property
    def image_choice(self) -> Choice:
        """How a picture's tokens are chosen."""
        return Choice(self.image_temperature, self.image_top_k, self.image_top_p)


Asked = TypeVar("Asked", bound=SamplingSettings)


class CheckpointGenerator(ABC, Generic[Asked]):
    """Generates with a checkpoint, which is read when it is first needed.

    Attributes:
        name: of the checkpoint; in half precision it says so.
    """

    family: ClassVar[str]
    half: ClassVar[torch.dtype]

    def __init__(self, settings: Asked, remark: str = "") -> None:
        """Raises UsageError when there is no such folder or device.

        Args:
            remark: what the name says behind the checkpoint's.
        """
        self._settings = settings
        self._folder = checkpoint_folder(settings.ckpt)
        self._device = choose_device(settings.device)
        name = settings.ckpt if settings.ckpt in SHIPPED else self._folder.resolve().name
        half = "" if self._dtype == torch.float32 else f"[{str(self._dtype).removeprefix('torch.')}, float32 heads]"
        self.name = name + remark + half

    @property
    @abstractmethod
    def version(self) -> int:
        """Of what is sampled by these settings; a number of earlier samples that were others."""

    @cached_property
    @abstractmethod
    def checkpoint(self) -> Any:  # noqa: ANN401 - each family has its own
        """The loaded model with its tokenizer."""

    @property
    @abstractmethod
    def _language_model(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """The stack that the sampler steps through."""

    @property
    @abstractmethod
    def _positions(self) -> int:
        """Of a sample, beside those of its prompt."""

    @abstractmethod
    def _generate(self, pairs: Sequence[tuple[str, int]]) -> list[Generated]:
        """A sample for each prompt and seed, all together."""

    @cached_property
    def fingerprint(self) -> str:
        """Of the checkpoint's files, the sampling settings and the sampler's version."""
        sampling = self._settings.model_dump_json(exclude={"ckpt", "device"})
        digests = [folder_digest(folder) for folder in checkpoint_and_base(self._folder)]
        text = f"{self.version}\n{digests}\n{self._dtype}\n{sampling}"
        return f"{self.family}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    @cached_property
    def _stages(self) -> Stages:
        """The weights never change here: every tile uses the same KV cache and captured steps."""
        return Stages(self._language_model)

    @property
    def _dtype(self) -> torch.dtype:
        if self._settings.dtype == "auto":
            return torch.float32 if self._device.type == "cpu" else self.half
        dtype: torch.dtype = getattr(torch, self._settings.dtype)
        return dtype

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """One sample a prompt, all in one batch; see `gotr1_eval.core.protocols.Generator`.

        The same prompts and seeds in one call give the same chains and pictures, bit for bit. A sample's noise
        depends on its own seed only; in another batch its logits differ in the last digits, and with them, very
        rarely, a token.
        """
        if len(prompts) != len(seeds):
            raise UsageError(f"as many seeds as prompts are needed, got {len(seeds)} for {len(prompts)}")
        if not prompts:
            return []
        with fitting_threads(self.checkpoint.model.num_parameters()), ieee_float32():
            parts = in_batches(list(zip(prompts, seeds, strict=True)), len(prompts), self._generate, self.name)
        return [sample for part in parts for sample in part]

    def fitting_tile(self, most: int) -> int:
        """Samples that fit into the device's free memory at once, at most so many; see `autoregressive.memory`."""
        tokens = self._settings.rows * (LONGEST_PROMPT + self._positions)
        return fitting_samples(self.checkpoint.model, tokens, most)

    @staticmethod
    def _sample(image: Any, chain: SampledChain | None, text: str | None, tokens: int, together: int) -> Generated:  # noqa: ANN401
        """A sample as it is stored.

        Args:
            image: pixels, uint8 [H, W, 3].
            text: the chain as the model wrote it.
            tokens: image tokens of a picture.
            together: samples of the batch.
        """
        facts = {"image_tokens": tokens, "sampled_together": together}
        if chain is not None:
            facts = {"chain_tokens": len(chain.ids), **facts}
        truncated = chain is not None and chain.truncated
        return Generated(image=Image.fromarray(image), chain=text, truncated=truncated, meta=facts)
