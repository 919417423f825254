"""Emu3, on this machine: writes a chain first where it was taught to (no released one was), or paints from the prompt.

No released Emu3 writes chains: that is learned by `gotr1-eval train sft`. With `chains=false` a released checkpoint
paints from the prompt, as it was trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal

import torch
from PIL import Image
from pydantic import Field, model_validator

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Generated, TokenBudget, Workshop
from gotr1_eval.models.autoregressive.checkpoints import SHIPPED, checkpoint_and_base, checkpoint_folder
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.memory import LONGEST_PROMPT, fitting_samples
from gotr1_eval.models.autoregressive.prompts import prompt_text
from gotr1_eval.models.autoregressive.stages import Stages
from gotr1_eval.models.checkpoint import folder_digest
from gotr1_eval.models.emu3.loading import Checkpoint, load_checkpoint, read_config, read_pixels
from gotr1_eval.models.emu3.sampling import decode_images, sample_chains, sample_images
from gotr1_eval.models.emu3.sequence import Layout, chain_from_ids, encode_text, grid_size
from gotr1_eval.models.local_model import choose_device, fitting_threads, ieee_float32, in_batches
from gotr1_eval.models.sampled_sequences import SampledChain, unconditional_row
from gotr1_eval.settings import Settings as StrictSettings

CAN = ("writes chains", "gives log-probabilities", "trains", "batches", "takes seeds")
VERSION = 1
"""Of what is sampled."""
PROMPT = "{prompt}"

Share = Annotated[float, Field(gt=0, le=1)]
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(StrictSettings):
    """Which checkpoint, and how to sample from it.

    Attributes:
        ckpt: a folder or hub repository in transformers' layout.
        chains: write a chain first; a checkpoint that was not taught to wants false.
        text: what is painted from where no chain is written, with {prompt} in it. The released script adds
            " masterpiece, film grained, best quality.".
        negative: text of guidance's unconditional row where no chain is written. Where one is, that row is
            the first and the last token with pads between, as GoT-R1's is.
        ratio: width to height of the picture.
        image_area: its pixels; None for 720 * 720, or the nearest that the checkpoint's image processor takes.
        guidance: weight of classifier-free guidance on the picture; 1 or less turns it off. 3 is the released script's.
        text_temperature: of the chain; 0 takes the likeliest token.
        image_temperature: of the picture; 0 takes the likeliest token.
        text_top_k, image_top_k: only so many of the likeliest tokens; 0 for all. The released script has 2048.
        text_top_p, image_top_p: only the likeliest tokens that together have this probability.
        chain_cap: after so many tokens a chain is cut off and the picture begun.
        device: `auto` is the first GPU if there is one.
        dtype: `auto` is float32 on the CPU and bfloat16, which the released weights are in, on a GPU. The heads'
            results are float32, which the name of a generator of half precision says.
    """

    undeciding = frozenset({"ckpt", "device"})

    ckpt: str
    chains: bool = True
    text: str = Field(PROMPT, pattern=r"\{prompt\}")
    negative: str = ""
    ratio: str = Field("1:1", pattern=r"^[1-9]\d{0,3}:[1-9]\d{0,3}$")
    image_area: int | None = Field(None, ge=64)
    guidance: float = Field(3.0, ge=0, allow_inf_nan=False)
    text_temperature: Temperature = 1.0
    image_temperature: Temperature = 1.0
    text_top_k: int = Field(0, ge=0)
    image_top_k: int = Field(0, ge=0)
    text_top_p: Share = 1.0
    image_top_p: Share = 1.0
    chain_cap: int = Field(600, ge=1)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @model_validator(mode="after")
    def _used(self) -> Settings:
        if self.chains and (self.text != PROMPT or self.negative):
            raise ValueError("text and negative are read where no chain is written: set chains to false")
        return self


class Emu3Generator:
    """Generates with an Emu3 checkpoint, which is read when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such folder or device."""
        self._settings = settings
        self._folder = checkpoint_folder(settings.ckpt)
        self._device = choose_device(settings.device)
        name = settings.ckpt if settings.ckpt in SHIPPED else self._folder.resolve().name
        half = "" if self._dtype == torch.float32 else f"[{str(self._dtype).removeprefix('torch.')}, float32 heads]"
        self.name = name + ("" if settings.chains else "[no chain]") + half

    @cached_property
    def fingerprint(self) -> str:
        """Of the checkpoint's files, the sampling settings and the sampler's version."""
        sampling = self._settings.model_dump_json(exclude={"ckpt", "device"})
        digests = [folder_digest(folder) for folder in checkpoint_and_base(self._folder)]
        text = f"{VERSION}\n{digests}\n{self._dtype}\n{sampling}"
        return f"emu3-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The loaded model; see `gotr1_eval.models.emu3.loading` for its errors."""
        return load_checkpoint(self._folder, device=self._device, dtype=self._dtype)

    @cached_property
    def layout(self) -> Layout:
        """Of the pictures that are asked for."""
        return self.checkpoint.layout(self._settings.image_area, self._settings.ratio)

    @cached_property
    def _stages(self) -> Stages:
        """The weights never change here: every tile uses the same KV cache and captured steps."""
        return Stages(self.checkpoint.model.model.text_model)

    @property
    def _dtype(self) -> torch.dtype:
        if self._settings.dtype == "auto":
            return torch.float32 if self._device.type == "cpu" else torch.bfloat16
        dtype: torch.dtype = getattr(torch, self._settings.dtype)
        return dtype

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """One picture a prompt, and unless `chains` is off its chain, all in one batch; see `core.protocols.Generator`.

        The same prompts and seeds in one call give the same chains and pictures, bit for bit.
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
        cap = self._settings.chain_cap if self._settings.chains else 0
        rows = 2 if self._settings.guidance > 1 else 1
        return fitting_samples(self.checkpoint.model, rows * (LONGEST_PROMPT + cap + self.layout.positions), most)

    def _generate(self, pairs: Sequence[tuple[str, int]]) -> list[Generated]:
        settings, loaded, layout = self._settings, self.checkpoint, self.layout
        seeds = [seed for _, seed in pairs]
        chains = self._chains(pairs) if settings.chains else [None] * len(pairs)
        texts = [self._text(prompt, chain) for (prompt, _), chain in zip(pairs, chains, strict=True)]
        images = sample_images(
            loaded.model,
            texts,
            [self._unconditional(text) for text in texts],
            seeds,
            layout,
            guidance=settings.guidance,
            choice=Choice(settings.image_temperature, settings.image_top_k, settings.image_top_p),
            stages=self._stages,
        )
        pictures = decode_images(loaded.model, images.ids_BT, layout, loaded.pixels).numpy()
        return [
            self._generated(Image.fromarray(picture), chain, len(pairs))
            for chain, picture in zip(chains, pictures, strict=True)
        ]

    def _chains(self, pairs: Sequence[tuple[str, int]]) -> list[SampledChain]:
        settings, loaded = self._settings, self.checkpoint
        rows = [self._prompt(prompt) for prompt, _ in pairs]
        choice = Choice(settings.text_temperature, settings.text_top_k, settings.text_top_p)
        seeds, cap = [seed for _, seed in pairs], settings.chain_cap
        return sample_chains(loaded.model, rows, seeds, self.layout, cap=cap, choice=choice, stages=self._stages)

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

    def _generated(self, image: Image.Image, chain: SampledChain | None, together: int) -> Generated:
        facts = {"image_tokens": self.layout.tokens, "sampled_together": together}
        if chain is None:
            return Generated(image=image, chain=None, meta=facts)
        ids = chain.ids[:-1] if chain.truncated else chain.ids
        text = chain_from_ids(self.checkpoint.tokenizer, ids, self.checkpoint.special)
        return Generated(
            image=image, chain=text, truncated=chain.truncated, meta={"chain_tokens": len(chain.ids), **facts}
        )


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
