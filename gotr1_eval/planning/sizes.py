"""Sizes of the models that plans are made for, as their released configurations state them.

Janus-Pro: deepseek-ai/Janus-Pro-1B and -7B, config.json. Qwen2.5-VL: Qwen/Qwen2.5-VL-*-Instruct, config.json, and its
technical report (arXiv:2502.13923, table 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from gotr1_eval.core.errors import UsageError, nearest_name

Size = TypeVar("Size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A LLaMA-like language model; `inner` is the width of its gated feed-forward layers."""

    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int

    @property
    def head_width(self) -> int:
        """Of one attention head."""
        return self.width // self.heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """Qwen2.5-VL's picture encoder.

    Attributes:
        full_layers: layers that attend to the whole picture; the others attend within windows.
        window: side of a window in patches.
        merge: side of the square of patches that becomes one token.
        patch: side of a patch in pixels; a picture is seen as two equal frames.
    """

    width: int
    inner: int
    layers: int
    full_layers: int
    window: int = 8
    merge: int = 2
    patch: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSize:
    """A Qwen2.5-VL."""

    language: Language
    tower: Tower


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorSize:
    """A Janus.

    Attributes:
        codes: of the picture tokenizer.
        code_width: of a code before it is widened to the model's embedding.
        align_layers: linear layers that widen it.
        tokens: of a picture.
        decode_flops: from tokens to pixels; counted by torch.utils.flop_counter on transformers' class at the released
            size, and a test counts again.
    """

    language: Language
    codes: int = 16_384
    code_width: int = 8
    align_layers: int = 2
    tokens: int = 576
    decode_flops: float = 0.0


def _qwen(width: int, inner: int, layers: int, heads: int, kv_heads: int, vocabulary: int, eyes: int) -> JudgeSize:
    language = Language(width=width, inner=inner, layers=layers, heads=heads, kv_heads=kv_heads, vocabulary=vocabulary)
    return JudgeSize(language=language, tower=Tower(width=1280, inner=eyes, layers=32, full_layers=4))


JUDGES = {
    "qwen2.5-vl-3b": _qwen(2048, 11_008, 36, 16, 2, 151_936, 3420),
    "qwen2.5-vl-7b": _qwen(3584, 18_944, 28, 28, 4, 152_064, 3420),
    "qwen2.5-vl-32b": _qwen(5120, 27_648, 64, 40, 8, 152_064, 3456),
    "qwen2.5-vl-72b": _qwen(8192, 29_568, 80, 64, 8, 152_064, 3456),
}


DECODE_FLOPS = 570_121_519_104
"""Of a picture of 384 x 384 from Janus-Pro's picture tokenizer, either size."""


def _janus(width: int, inner: int, layers: int, heads: int) -> GeneratorSize:
    language = Language(width=width, inner=inner, layers=layers, heads=heads, kv_heads=heads, vocabulary=102_400)
    return GeneratorSize(language=language, decode_flops=DECODE_FLOPS)


GENERATORS = {"janus-pro-1b": _janus(2048, 5632, 24, 16), "janus-pro-7b": _janus(4096, 11_008, 30, 32)}


def judge_size(name: str) -> JudgeSize:
    """Raises UsageError for an unknown name, with the nearest."""
    return _named(name, JUDGES, "--judge")


def generator_size(name: str) -> GeneratorSize:
    """Raises UsageError for an unknown name, with the nearest."""
    return _named(name, GENERATORS, "--train")


def _named(name: str, known: dict[str, Size], option: str) -> Size:
    found = known.get(name.lower().rpartition("/")[2].removesuffix("-instruct"))
    if found is None:
        raise UsageError(
            f"{option} {name}: sizes unknown{nearest_name(name.lower(), known)} (known: {', '.join(known)})"
        )
    return found
