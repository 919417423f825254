"""Qwen2.5-VL in this process (also Qwen2-VL and Qwen3-VL), by a checkpoint folder or a repository on the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from pydantic import Field
from transformers import (
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLForConditionalGeneration,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.models.checkpoint import load_whole, read_model_type, read_tokenizer
from gotr1_eval.models.vlms.in_process import Loaded, LocalSettings, LocalVlm, stop_tokens
from gotr1_eval.models.vlms.picture_features import Picture, picture_key, pictures_end, read_features, token_positions
from gotr1_eval.models.vlms.rows import Row


@dataclass(frozen=True, slots=True)
class Family:
    """What the generations of Qwen-VL differ in.

    Attributes:
        model_class: of transformers.
        system: what the family's chat template says where no system prompt is given.
        counts_pixels: boxes are answered in pixels of the resized picture; otherwise in thousandths.
    """

    model_class: Any
    system: str
    counts_pixels: bool


FAMILIES: Mapping[str, Family] = {
    "qwen2_vl": Family(Qwen2VLForConditionalGeneration, "You are a helpful assistant.", False),
    "qwen2_5_vl": Family(Qwen2_5_VLForConditionalGeneration, "You are a helpful assistant.", True),
    "qwen3_vl": Family(Qwen3VLForConditionalGeneration, "", False),
}
"""By `model_type` of config.json."""


PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_STRUCTURE = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def chat_text(request: Request, default_system: str) -> str:
    """The conversation in the family's format, up to where the assistant's answer begins.

    An empty system prompt is what the family's chat template makes of none: `default_system`.
    """
    system = unmarked(request.system) or default_system
    turns = [("system", system)] if system else []
    pictures, text = PICTURE * len(request.images), unmarked(request.prompt)
    turns.append(("user", text + pictures if request.pictures_last else pictures + text))
    for answer, question in request.followups:
        turns += [("assistant", unmarked(answer)), ("user", unmarked(question))]
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"


def unmarked(text: str) -> str:
    """The text with the conversation's marks broken up (`<|im_end|>` becomes `< |im_end|>`).

    A chain to be judged may hold them by accident or on purpose; they must not end the question.
    """
    for mark in _STRUCTURE:
        text = text.replace(mark, f"< {mark[1:]}")
    return text


class Settings(LocalSettings):
    """Which checkpoint, and how to run it.

    Attributes:
        min_pixels: smaller pictures are enlarged to this area, in pixels; None is what the checkpoint says.
        max_pixels: larger pictures are reduced to this area.
    """

    min_pixels: int | None = Field(None, ge=1)
    max_pixels: int | None = Field(None, ge=1)


class QwenVlm(LocalVlm):
    """Qwen-VL, with its prompts written out and its pictures prepared by the processor that needs PIL only.

    Texts that the model uses as marks of the conversation are broken up where they occur in a prompt. A repetition
    penalty in the checkpoint's generation settings is not applied: it would distort scores.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(settings)
        self._pixels = {"min_pixels": settings.min_pixels, "max_pixels": settings.max_pixels}

    @cached_property
    def family(self) -> Family:
        """By config.json; raises UsageError when the checkpoint is no Qwen-VL."""
        kind = read_model_type(self.folder)
        if kind not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise UsageError(f"{self.folder / 'config.json'}: expected model_type {known}, got {kind!r}")
        return FAMILIES[kind]

    @cached_property
    def processor(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """The picture processor, by class: which one is found by name depends on unrelated packages."""
        given = {key: value for key, value in self._pixels.items() if value is not None}
        try:
            return Qwen2VLImageProcessorPil.from_pretrained(self.folder, local_files_only=True, **given)
        except OSError as error:
            raise UsageError(f"{self.folder} has no settings for pictures: {one_line(error, 120)}") from None

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """The resized picture's size for Qwen2.5-VL (384x384 becomes 392x392), thousandths for the others."""
        if not self.family.counts_pixels:
            return (1000.0, 1000.0)
        area = self.processor.size
        height, width = smart_resize(
            size[1],
            size[0],
            factor=self.processor.patch_size * self.processor.merge_size,
            min_pixels=area["shortest_edge"],
            max_pixels=area["longest_edge"],
        )
        return (float(width), float(height))

    def _facts(self) -> Mapping[str, Json]:
        area = self.processor.size
        return {"shortest": area["shortest_edge"], "longest": area["longest_edge"]}

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401
        """Of tokenizer.json; raises UsageError when there is none, DataError when it is none of the family's."""
        path = self.folder / "tokenizer.json"
        tokenizer = read_tokenizer(self.folder)
        known = tokenizer.get_vocab()
        missing = [token for token in ("<|im_start|>", "<|im_end|>", "<|image_pad|>") if token not in known]
        if missing:
            raise DataError(f"the tokenizer lacks {', '.join(missing)}; use the checkpoint's own one", path=path)
        return tokenizer

    def _load(self) -> Loaded:
        model_class, known = self.family.model_class, self.tokenizer.get_vocab()
        model = load_whole(model_class, self.folder, device=self._device, dtype=self._dtype)
        if known["<|image_pad|>"] != model.config.image_token_id:
            ids = f"{known['<|image_pad|>']} in the tokenizer, {model.config.image_token_id} in config.json"
            raise DataError(f"the token of pictures differs: {ids}", path=self.folder / "tokenizer.json")
        return Loaded(model, self.tokenizer, stop_tokens(model, known["<|im_end|>"], known.get("<|endoftext|>")))

    def _read(self, request: Request) -> tuple[Row, Mapping[str, Picture]] | Unscored:
        model, token = self.loaded.model, self.loaded.model.config.image_token_id
        try:
            grids = [self._grid(image) for image in request.images]
        except ValueError as error:
            return Unscored(why=Why.NO_INPUT, detail=f"the picture cannot be prepared: {one_line(error)}")
        keys = tuple(picture_key(image) for image in request.images)
        pictures = {
            key: self._picture(key, lambda image=image: self._encode(image))  # type: ignore[misc]
            for key, image in zip(keys, request.images, strict=True)
        }
        counts = iter([sum(len(part) for part in pictures[key].tokens) for key in keys])
        prompt: list[int] = []
        for each in self._tokens(chat_text(request, self.family.system)):
            prompt += [token] * next(counts) if each == token else [each]
        prefix, choices = self._answer_tokens(request)
        ids = (*prompt, *prefix)
        positions_AL = token_positions(model, ids, torch.tensor(grids) if grids else None)
        return Row(ids, positions_AL, keys, pictures_end(ids, token), choices), pictures

    def _grid(self, image: Image.Image) -> list[int]:
        """(time, height, width) of the picture in patches."""
        patch, area = self.processor.patch_size, self.processor.size
        height, width = smart_resize(
            image.height,
            image.width,
            factor=patch * self.processor.merge_size,
            min_pixels=area["shortest_edge"],
            max_pixels=area["longest_edge"],
        )
        return [1, height // patch, width // patch]

    def _encode(self, image: Image.Image) -> Picture:
        prepared = self.processor(images=[image.convert("RGB")], return_tensors="pt").to(self._device)
        seen = self.loaded.model.get_image_features(
            prepared["pixel_values"], prepared["image_grid_thw"], return_dict=True
        )
        return read_features(seen)


def build(settings: Settings, workshop: Workshop) -> QwenVlm:
    """The model; needs nothing from the workshop."""
    return QwenVlm(settings)
