"""Janus-Pro and GoT-R1: writes a reasoning chain and generates its picture, by a checkpoint on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal

import torch
from PIL import Image
from pydantic import Field

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Generated, TokenBudget, Workshop
from gotr1_eval.models.autoregressive.checkpoints import SHIPPED, checkpoint_and_base, checkpoint_folder
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.memory import LONGEST_PROMPT, fitting_samples
from gotr1_eval.models.autoregressive.stages import Stages
from gotr1_eval.models.checkpoint import folder_digest
from gotr1_eval.models.janus.loading import Checkpoint, load_checkpoint, read_config
from gotr1_eval.models.janus.sampling import decode_images, sample_chains, sample_images
from gotr1_eval.models.janus.sequence import encode_prompt
from gotr1_eval.models.local_model import choose_device, fitting_threads, ieee_float32, in_batches
from gotr1_eval.models.sampled_sequences import SampledChain
from gotr1_eval.settings import Settings as StrictSettings

CAN = ("writes chains", "gives log-probabilities", "trains", "batches", "takes seeds")
VERSION, HALF_VERSION = 2, 4
"""Of what is sampled in float32, and in half precision."""

Share = Annotated[float, Field(gt=0, le=1)]
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(StrictSettings):
    """Which checkpoint, and how to sample from it; the defaults are the released script's.

    Attributes:
        ckpt: a folder or hub repository in transformers' or DeepSeek's layout, or `tiny-janus` for the shipped one.
        guidance: weight of classifier-free guidance on the picture; 1 or less turns it off.
        text_temperature: of the chain; 0 takes the likeliest token.
        image_temperature: of the picture; 0 takes the likeliest token.
        text_top_k, image_top_k: only so many of the likeliest tokens; 0, as released, for all.
        text_top_p, image_top_p: only the likeliest tokens that together have this probability.
        chain_cap: after so many tokens a chain is cut off and the picture begun.
        device: `auto` is the first GPU if there is one.
        dtype: `auto` is float32 on the CPU and float16 on a GPU. The released script samples in float16 throughout;
            here the heads' results are float32, which the name of a generator of half precision says.
    """

    undeciding = frozenset({"ckpt", "device"})

    ckpt: str
    guidance: float = Field(5.0, ge=0, allow_inf_nan=False)
    text_temperature: Temperature = 1.0
    image_temperature: Temperature = 1.0
    text_top_k: int = Field(0, ge=0)
    image_top_k: int = Field(0, ge=0)
    text_top_p: Share = 1.0
    image_top_p: Share = 1.0
    chain_cap: int = Field(600, ge=1)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


class JanusGenerator:
    """Generates with a Janus checkpoint, which is read when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such folder or device."""
        self._settings = settings
        self._folder = checkpoint_folder(settings.ckpt)
        self._device = choose_device(settings.device)
        name = settings.ckpt if settings.ckpt in SHIPPED else self._folder.resolve().name
        half = "" if self._dtype == torch.float32 else f"[{str(self._dtype).removeprefix('torch.')}, float32 heads]"
        self.name = name + half

    @cached_property
    def fingerprint(self) -> str:
        """Of the checkpoint's files, the sampling settings and the sampler's version."""
        sampling = self._settings.model_dump_json(exclude={"ckpt", "device"})
        digests = [folder_digest(folder) for folder in checkpoint_and_base(self._folder)]
        # In half precision the heads' results are float32 since version 4; float32 has not changed since version 2.
        version = VERSION if self._dtype == torch.float32 else HALF_VERSION
        text = f"{version}\n{digests}\n{self._dtype}\n{sampling}"
        return f"janus-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The loaded model; see `gotr1_eval.models.janus.loading` for its errors."""
        return load_checkpoint(self._folder, device=self._device, dtype=self._dtype)

    @cached_property
    def _stages(self) -> Stages:
        """The weights never change here: every tile uses the same KV cache and captured steps."""
        return Stages(self.checkpoint.model.model.language_model)

    @property
    def _dtype(self) -> torch.dtype:
        if self._settings.dtype == "auto":
            return torch.float32 if self._device.type == "cpu" else torch.float16
        dtype: torch.dtype = getattr(torch, self._settings.dtype)
        return dtype

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """One chain and one picture a prompt, all in one batch; see `gotr1_eval.core.protocols.Generator`.

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
        model = self.checkpoint.model
        tokens = LONGEST_PROMPT + self._settings.chain_cap + model.config.vision_config.num_image_tokens
        rows = 2 if self._settings.guidance > 1 else 1
        return fitting_samples(model, rows * tokens, most)

    def _generate(self, pairs: Sequence[tuple[str, int]]) -> list[Generated]:
        settings, loaded = self._settings, self.checkpoint
        seeds = [seed for _, seed in pairs]
        rows = [encode_prompt(loaded.tokenizer, prompt, loaded.special) for prompt, _ in pairs]
        written = Choice(settings.text_temperature, settings.text_top_k, settings.text_top_p)
        picked = Choice(settings.image_temperature, settings.image_top_k, settings.image_top_p)
        shared, cap = self._stages, settings.chain_cap
        chains = sample_chains(loaded.model, rows, seeds, loaded.special, cap=cap, choice=written, stages=shared)
        texts = [[*row, *chain.ids] for row, chain in zip(rows, chains, strict=True)]
        images = sample_images(
            loaded.model, texts, seeds, loaded.special, guidance=settings.guidance, choice=picked, stages=shared
        )
        pictures = decode_images(loaded.model, images.ids_BT).numpy()
        facts = {"image_tokens": images.ids_BT.shape[1], "sampled_together": len(pairs)}
        return [
            Generated(
                image=Image.fromarray(picture),
                chain=self._text(chain),
                truncated=chain.truncated,
                meta={"chain_tokens": len(chain.ids), **facts},
            )
            for chain, picture in zip(chains, pictures, strict=True)
        ]

    def _text(self, chain: SampledChain) -> str:
        """What the model wrote, special tokens kept; an appended `<begin_of_image>` it did not write."""
        ids = chain.ids[:-1] if chain.truncated else chain.ids
        text: str = self.checkpoint.tokenizer.decode(list(ids), skip_special_tokens=False)
        return text


def token_budget(settings: Settings) -> TokenBudget:
    """Tokens a sample takes, from the checkpoint's configuration alone; raises what loading it would."""
    folder = checkpoint_folder(settings.ckpt)
    return TokenBudget(settings.chain_cap, read_config(folder).vision_config.num_image_tokens)


def build(settings: Settings, workshop: Workshop) -> JanusGenerator:
    """The generator; needs nothing from the workshop."""
    return JanusGenerator(settings)
