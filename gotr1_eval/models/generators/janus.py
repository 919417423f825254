"""Janus-Pro and GoT-R1: writes a reasoning chain and generates its picture, by a checkpoint on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from pydantic import Field

from gotr1_eval.core.protocols import Generated, TokenBudget, Workshop
from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.autoregressive.generator import CheckpointGenerator, SamplingSettings
from gotr1_eval.models.janus.loading import Checkpoint, load_checkpoint, read_config
from gotr1_eval.models.janus.sampling import decode_images, sample_chains, sample_images
from gotr1_eval.models.janus.sequence import encode_prompt

CAN = ("writes chains", "gives log-probabilities", "trains", "batches", "takes seeds")
VERSION, HALF_VERSION = 2, 4
"""Of what is sampled in float32, and in half precision."""


class Settings(SamplingSettings):
    """The defaults are the released script's, which samples in float16 throughout.

    Attributes:
        ckpt: also in DeepSeek's layout; `tiny-janus` is the shipped one.
    """

    guidance: float = Field(5.0, ge=0, allow_inf_nan=False)


class JanusGenerator(CheckpointGenerator[Settings]):
    """Generates with a Janus checkpoint."""

    family, half = "janus", torch.float16

    @property
    def version(self) -> int:
        """In half precision the heads' results are float32 since 4; float32 has not changed since 2."""
        return VERSION if self._dtype == torch.float32 else HALF_VERSION

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The loaded model; see `gotr1_eval.models.janus.loading` for its errors."""
        return load_checkpoint(self._folder, device=self._device, dtype=self._dtype)

    @property
    def _language_model(self) -> Any:  # noqa: ANN401 - transformers is untyped
        return self.checkpoint.model.model.language_model

    @property
    def _positions(self) -> int:
        return self._settings.chain_cap + int(self.checkpoint.model.config.vision_config.num_image_tokens)

    def _generate(self, pairs: Sequence[tuple[str, int]]) -> list[Generated]:
        asked, model, tokenizer = self._settings, self.checkpoint.model, self.checkpoint.tokenizer
        special, shared = self.checkpoint.special, self._stages
        seeds = [seed for _, seed in pairs]
        rows = [encode_prompt(tokenizer, prompt, special) for prompt, _ in pairs]
        chains = sample_chains(
            model, rows, seeds, special, cap=asked.chain_cap, choice=asked.text_choice, stages=shared
        )
        texts = [[*row, *chain.ids] for row, chain in zip(rows, chains, strict=True)]
        images = sample_images(
            model, texts, seeds, special, guidance=asked.guidance, choice=asked.image_choice, stages=shared
        )
        pictures, tokens = decode_images(model, images.ids_BT).numpy(), images.ids_BT.shape[1]
        # Special tokens are kept: they are the plan.
        said = [tokenizer.decode(list(chain.written), skip_special_tokens=False) for chain in chains]
        return [
            self._sample(picture, chain, text, tokens, len(pairs))
            for picture, chain, text in zip(pictures, chains, said, strict=True)
        ]


def token_budget(settings: Settings) -> TokenBudget:
    """Tokens a sample takes, from the checkpoint's configuration alone; raises what loading it would."""
    folder = checkpoint_folder(settings.ckpt)
    return TokenBudget(settings.chain_cap, read_config(folder).vision_config.num_image_tokens)


def build(settings: Settings, workshop: Workshop) -> JanusGenerator:
    """The generator; needs nothing from the workshop."""
    return JanusGenerator(settings)
