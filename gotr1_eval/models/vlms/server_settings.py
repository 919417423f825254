"""Settings of a model behind one server or several, and the size at which a served Qwen looks at a picture."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from gotr1_eval.models.servers.settings import ServerSettings


class Settings(ServerSettings):
    """Which servers and model, how patiently to ask, and what it may cost; see also `ServerSettings`.

    Attributes:
        family: how the model answers boxes: `qwen2.5-vl` in pixels after its own resizing, `pixels` of the picture as
            sent, `thousand` in thousandths.
        min_pixels: of Qwen2.5-VL's resizing, as the server is set; the defaults are the released model's.
        max_pixels: the same.
        budget_tokens: tokens of questions and answers, as the servers count them, after which the run stops.
        price_in, price_out: of a million tokens of questions, and of answers.
        max_tokens: of an answer, what the model thinks before it included; unless given the judge says, mostly 512.
        length_field: the name under which they are sent. OpenAI's newer models take `max_completion_tokens` only, which
            is found out at the start.
        omit: parameters that the servers do not take; found out at the start where a server names them. Without the
            temperature the answers are sampled as the server likes.
        log_probs: whether the servers list log-probabilities (checked before the first request with choices).
        listed_tokens: how many of the likeliest tokens to ask for; vLLM allows 20 unless told otherwise.
        extensions: whether the servers know what vLLM and SGLang add to OpenAI's requests: going on with a begun
            answer, and switching off the penalties that a checkpoint's own settings may hold.
        constrained: whether judges have answers held to a form (`response_format`): `auto` asks every server once
            whether it does so; `true` insists on it; `false` reads free text.
    """

    family: Literal["qwen2.5-vl", "thousand", "pixels"] | None = None
    min_pixels: int = Field(56 * 56, ge=1)
    max_pixels: int = Field(28 * 28 * 16384, ge=1)
    budget_tokens: int | None = Field(None, ge=1)
    price_in: float = Field(0.0, ge=0)
    price_out: float = Field(0.0, ge=0)
    max_tokens: int | None = Field(None, ge=1)
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omit: tuple[Literal["temperature", "top_p", "seed", "repetition_penalty", "top_k"], ...] = ()
    log_probs: bool = True
    listed_tokens: int = Field(20, ge=1)
    extensions: bool = True
    constrained: bool | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _sound(self) -> Settings:
        if self.budget_cost is not None and self.price_in == self.price_out == 0:
            raise ValueError("budget_cost needs price_in and price_out, of a million tokens")
        return self


def smart_resized(size: tuple[int, int], *, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(width, height) after Qwen's resizing: multiples of `factor`, an area between the two limits, shape nearly kept.

    The rule of transformers' `smart_resize` (models/qwen2_vl), to which a test holds this one.

    Args:
        size: (width, height) in pixels.
        factor: side of what becomes one token, in pixels: 28 for Qwen2-VL and Qwen2.5-VL.
    """
    area = size[0] * size[1]
    # Python rounds halves to even, as does the original.
    width, height = (round(side / factor) * factor for side in size)
    if width * height > max_pixels:
        shrink = math.sqrt(area / max_pixels)
        width, height = (max(factor, math.floor(side / shrink / factor) * factor) for side in size)
    elif width * height < min_pixels:
        grow = math.sqrt(min_pixels / area)
        width, height = (math.ceil(side * grow / factor) * factor for side in size)
    return width, height
