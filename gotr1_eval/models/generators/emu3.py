"""Emu3, on this machine: writes a chain first where it was taught to (no released one was), or paints from the prompt.

No released Emu3 writes chains: that is learned by `gotr1-eval train sft`. With `chains=false` a released checkpoint
paints from the prompt, as it was trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from pydantic import Field, model_validator

from gotr1_eval.core.protocols import Generated, TokenBudget, Workshop
from gotr1_eval.models.autoregressive.checkpoints import checkpoint_and_base, checkpoint_folder
from gotr1_eval.models.autoregressive.generator import CheckpointGenerator, SamplingSettings
from gotr1_eval.models.autoregressive.prompts import prompt_text
from gotr1_eval.models.emu3.loading import Checkpoint, load_checkpoint, read_config, read_pixels
from gotr1_eval.models.emu3.sampling import decode_images, sample_chains, sample_images
from gotr1_eval.models.emu3.sequence import Layout, chain_from_ids, encode_text, grid_size
from gotr1_eval.models.sampled_sequences import SampledChain, unconditional_row

CAN = ("writes chains", "gives log-probabilities", "trains", "batches", "takes seeds")
VERSION = 1
"""Of what is sampled."""
PROMPT = "{prompt}"


class Settings(SamplingSettings):
    """How to sample; the released script has a guidance of 3 and `image_top_k` 2048.

    Attributes:
        ckpt: in transformers' layout; `tiny-emu3` is the shipped one.
        chains: write a chain first; a checkpoint that was not taught to wants false.
        text: what is painted from where no chain is written, with {prompt} in it. The released script adds
            " masterpiece, film grained, best quality.".
        negative: text of guidance's unconditional row where no chain is written. Where one is, that row is
            the first and the last token with pads between, as GoT-R1's is.
        ratio: width to height of the picture.
        image_area: its pixels; None for 720 * 720, or the nearest that the checkpoint's image processor takes.
    """

    chains: bool = True
    text: str = Field(PROMPT, pattern=r"\{prompt\}")
    negative: str = ""
    ratio: str = Field("1:1", pattern=r"^[1-9]\d{0,3}:[1-9]\d{0,3}$")
    image_area: int | None = Field(None, ge=64)
    guidance: float = Field(3.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _used(self) -> Settings:
        if self.chains and (self.text != PROMPT or self.negative):
            raise ValueError("text and negative are read where no chain is written: set chains to false")
        return self


class Emu3Generator(CheckpointGenerator[Settings]):
    """Generates with an Emu3 checkpoint."""

    family, half, version = "emu3", torch.bfloat16, VERSION

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such folder or device."""
        super().__init__(settings, "" if settings.chains else "[no chain]")

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The loaded model; see `gotr1_eval.models.emu3.loading` for its errors."""
        return load_checkpoint(self._folder, device=self._device, dtype=self._dtype)

    @cached_property
    def layout(self) -> Layout:
        """Of the pictures that are asked for."""
        return self.checkpoint.layout(self._settings.image_area, self._settings.ratio)

    @property
    def _language_model(self) -> Any:  # noqa: ANN401 - transformers is untyped
        return self.checkpoint.model.model.text_model

    @property
    def _positions(self) -> int:
        return (self._settings.chain_cap if self._settings.chains else 0) + self.layout.positions

    def _generate(self, pairs: Sequence[tuple[str, int]]) -> list[Generated]:
        asked, loaded, layout = self._settings, self.checkpoint, self.layout
        seeds = [seed for _, seed in pairs]
        chains = self._chains(pairs) if asked.chains else [None] * len(pairs)
        texts = [self._text(prompt, chain) for (prompt, _), chain in zip(pairs, chains, strict=True)]
        images = sample_images(
            loaded.model,
            texts,
            [self._unconditional(text) for text in texts],
            seeds,
            layout,
            guidance=asked.guidance,
            choice=asked.image_choice,
            stages=self._stages,
        )
        pictures = decode_images(loaded.model, images.ids_BT, layout, loaded.pixels).numpy()
        return [
            self._sample(picture, chain, self._written(chain), layout.tokens, len(pairs))
            for chain, picture in zip(chains, pictures, strict=True)
        ]

    def _chains(self, pairs: Sequence[tuple[str, int]]) -> list[SampledChain]:
        asked = self._settings
        rows, seeds = [self._prompt(prompt) for prompt, _ in pairs], [seed for _, seed in pairs]
        return sample_chains(
            self.checkpoint.model, rows, seeds, self.layout,
            cap=asked.chain_cap, choice=asked.text_choice, stages=self._stages,
        )  # fmt: skip

    def _prompt(self, prompt: str) -> list[int]:
        """What stands before the chain, or before the picture where no chain is written."""
        text = prompt_text(prompt) if self._settings.chains else self._settings.text.replace(PROMPT, prompt)
        return encode_text(self.checkpoint.tokenizer, text, self.checkpoint.special)

    def _text(self, prompt: str, chain: SampledChain | None) -> list[int]:
        """All that stands before the picture's header."""
        ids = (self.checkpoint.special.image_start,) if chain is None else chain.ids
        return [*self._prompt(prompt), *ids]

    def _unconditional(self, text: Sequence[int]) -> list[int]:
        loaded = self.checkpoint
        if self._settings.chains:
            return unconditional_row(text, loaded.special.pad)
        return [*encode_text(loaded.tokenizer, self._settings.negative, loaded.special), loaded.special.image_start]

    def _written(self, chain: SampledChain | None) -> str | None:
        if chain is None:
            return None
        return chain_from_ids(self.checkpoint.tokenizer, chain.written, self.checkpoint.special)


def token_budget(settings: Settings) -> TokenBudget:
    """Tokens a sample takes, from the checkpoint's configuration alone; raises what loading it would."""
    folder = checkpoint_folder(settings.ckpt)
    factor = 2 ** (len(read_config(folder).vq_config.channel_multiplier) - 1)
    area = settings.image_area or read_pixels(checkpoint_and_base(folder)[-1]).area
    rows, columns = grid_size(area, settings.ratio, factor)
    return TokenBudget(settings.chain_cap if settings.chains else 0, rows * columns)


def build(settings: Settings, workshop: Workshop) -> Emu3Generator:
    """The generator; needs nothing from the workshop."""
    return Emu3Generator(settings)
