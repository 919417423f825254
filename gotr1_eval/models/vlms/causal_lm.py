"""Any language model of transformers that reads text alone (Qwen3, Llama and their like), in this process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.models.checkpoint import load_whole, quiet, read_model_type
from gotr1_eval.models.vlms.in_process import Loaded, LocalSettings, LocalVlm, stop_tokens
from gotr1_eval.models.vlms.picture_features import Picture
from gotr1_eval.models.vlms.rows import Row


class Settings(LocalSettings):
    """Which checkpoint, and how to run it.

    Attributes:
        thinks: whether a model that can think first does so (`enable_thinking` of its chat template); what it thinks
            counts as part of its answer's length.
    """

    thinks: bool = False


class TextModel(LocalVlm):
    """A model by the Auto classes and its own chat template; a question with pictures is never answered."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(settings)
        self._may_think = settings.thinks

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """The checkpoint's own one; raises UsageError when it cannot be built or has no chat template."""
        read_model_type(self.folder)
        try:
            with quiet():
                tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        except (ImportError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"the tokenizer of {self.folder} cannot be built: {one_line(error, 160)}") from None
        if not tokenizer.chat_template:
            raise UsageError(f"{self.folder} has no chat template; add the model's chat_template.jinja")
        return tokenizer

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """Raises UsageError: the model sees no pictures."""
        raise UsageError(f"{self.name} reads text alone, and finds nothing in pictures")

    def _facts(self) -> Mapping[str, Json]:
        return {"thinks": self._may_think}

    def _load(self) -> Loaded:
        tokenizer = self.tokenizer
        model = load_whole(AutoModelForCausalLM, self.folder, device=self._device, dtype=self._dtype)
        return Loaded(model, tokenizer, stop_tokens(model, tokenizer.eos_token_id))

    def _read(self, request: Request) -> tuple[Row, Mapping[str, Picture]] | Unscored:
        if request.images:
            return Unscored(why=Why.NO_INPUT, detail=f"{self.name} reads text alone, and was shown a picture")
        turns = [("system", request.system)] if request.system else []
        turns.append(("user", request.prompt))
        for answer, question in request.followups:
            turns += [("assistant", answer), ("user", question)]
        text: str = self.tokenizer.apply_chat_template(
            [{"role": role, "content": self._harmless(content)} for role, content in turns],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=self._may_think,
        )
        prefix, choices = self._answer_tokens(request)
        ids = (*self._tokens(text), *prefix)
        return Row(ids, torch.arange(len(ids)).unsqueeze(0), choices=choices), {}

    def _harmless(self, text: str) -> str:
        """The text with the tokenizer's special tokens broken up, so that they cannot end the question."""
        for mark in sorted(self.tokenizer.all_special_tokens, key=len, reverse=True):
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return text


def build(settings: Settings, workshop: Workshop) -> TextModel:
    """The model; needs nothing from the workshop."""
    return TextModel(settings)
