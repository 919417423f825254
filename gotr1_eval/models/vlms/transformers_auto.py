"""Any image-text-to-text model of transformers in this process (LLaVA and its like), by its own processor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.models.checkpoint import load_whole, read_model_type
from gotr1_eval.models.vlms.in_process import Loaded, LocalSettings, LocalVlm, stop_tokens
from gotr1_eval.models.vlms.picture_features import Picture, picture_key, pictures_end, read_features, token_positions
from gotr1_eval.models.vlms.rows import Row

_TEXT = {"input_ids", "attention_mask", "mm_token_type_ids"}
_PICTURES = {"pixel_values", "image_sizes", "image_grid_thw"}


class Settings(LocalSettings):
    """Which checkpoint, and how to run it.

    Attributes:
        boxes: how the model answers boxes: in `pixels` of the picture as given, or in `thousand`ths.
    """

    boxes: Literal["pixels", "thousand"] | None = None


class AutoVlm(LocalVlm):
    """A model by the Auto classes; its processor has to work with PIL alone, and to have a chat template.

    All pictures of a request are encoded together. Models whose processor returns more than tokens and pictures are
    refused: what is not passed on would change their answers in silence.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(settings)
        self._boxes = settings.boxes

    @cached_property
    def processor(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """The checkpoint's own one; raises UsageError when it cannot be built or has no chat template."""
        read_model_type(self.folder)
        try:
            processor = AutoProcessor.from_pretrained(self.folder, local_files_only=True, backend="pil")
        except (ImportError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"the processor of {self.folder} cannot be built: {one_line(error, 160)}; "
                "where it needs torchvision, run the model behind a server ('openai_compatible')"
            ) from None
        if not hasattr(processor, "image_processor"):
            raise UsageError(f"{self.folder} has no processor for pictures; expected an image-text-to-text model")
        if not processor.chat_template:
            raise UsageError(f"{self.folder} has no chat template; add the model's chat_template.jinja")
        return processor

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """The picture's own size, or (1000, 1000), by the setting `boxes`."""
        if self._boxes is None:
            raise UsageError(f"{self.name}: how does the model answer boxes? set boxes = pixels or thousand")
        return (1000.0, 1000.0) if self._boxes == "thousand" else (float(size[0]), float(size[1]))

    def _facts(self) -> Mapping[str, Json]:
        return {"boxes": self._boxes, "pictures": type(self.processor.image_processor).__name__}

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401
        """The processor's own one."""
        return self.processor.tokenizer

    def _load(self) -> Loaded:
        tokenizer = self.tokenizer
        model = load_whole(AutoModelForImageTextToText, self.folder, device=self._device, dtype=self._dtype)
        return Loaded(model, tokenizer, stop_tokens(model, tokenizer.eos_token_id))

    def _read(self, request: Request) -> tuple[Row, Mapping[str, Picture]] | Unscored:
        try:
            prepared = self.processor.apply_chat_template(
                self._conversation(request),
                tokenize=True,
                add_generation_prompt=True,
                return_dict=True,
                return_tensors="pt",
            )
        except ValueError as error:
            return Unscored(why=Why.NO_INPUT, detail=f"the question cannot be prepared: {one_line(error)}")
        unknown = set(prepared) - _TEXT - _PICTURES
        if unknown:
            raise UsageError(
                f"{self.name}: its processor also makes {', '.join(sorted(unknown))}, which this adapter does not pass "
                "on; run the model behind a server ('openai_compatible')"
            )
        given = {name: prepared[name] for name in _PICTURES & set(prepared)}
        key = "+".join(picture_key(image) for image in request.images)
        pictures = {key: self._picture(key, lambda: self._encode(given))} if key else {}
        prefix, choices = self._answer_tokens(request)
        ids = (*prepared["input_ids"][0].tolist(), *prefix)
        model = self.loaded.model
        row = Row(
            ids,
            token_positions(model, ids, given.get("image_grid_thw")),
            tuple(pictures),
            pictures_end(ids, model.config.image_token_id),
            choices,
        )
        return row, pictures

    def _conversation(self, request: Request) -> list[dict[str, Any]]:
        """The request in the form that chat templates take."""
        images: list[dict[str, Any]] = [{"type": "image", "image": image.convert("RGB")} for image in request.images]
        turns = [("system", [self._text(request.system)])] if request.system else []
        text = self._text(request.prompt)
        turns.append(("user", [text, *images] if request.pictures_last else [*images, text]))
        for answer, question in request.followups:
            turns += [("assistant", [self._text(answer)]), ("user", [self._text(question)])]
        return [{"role": role, "content": content} for role, content in turns]

    def _text(self, text: str) -> dict[str, Any]:
        """A text part in which the tokenizer's special tokens are broken up, so that they cannot end the question."""
        for mark in sorted({*self.processor.tokenizer.all_special_tokens, self._picture_mark}, key=len, reverse=True):
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return {"type": "text", "text": text}

    @property
    def _picture_mark(self) -> str:
        mark: str = self.processor.tokenizer.convert_ids_to_tokens(self.loaded.model.config.image_token_id)
        return mark

    def _encode(self, given: Mapping[str, torch.Tensor]) -> Picture:
        ready = {
            name: tensor.to(self._device, self._dtype) if tensor.is_floating_point() else tensor.to(self._device)
            for name, tensor in given.items()
        }
        seen = self.loaded.model.get_image_features(**ready, return_dict=True)
        return read_features(seen)


def build(settings: Settings, workshop: Workshop) -> AutoVlm:
    """The model; needs nothing from the workshop."""
    return AutoVlm(settings)
