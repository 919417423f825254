"""Calls of one decode step at Janus-Pro's sizes, counted on the meta device.

    python -m tests.perf.decode_calls [--rows 16]

A call is an operation that computes something; views are none, and attention is one, as on a GPU. The step is that of a
picture with guidance: embedding, all layers, both rows' head, guidance, noise, choice and log-probability.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import JanusConfig, JanusForConditionalGeneration
from transformers.initialization import no_init_weights

from gotr1_eval.models.autoregressive import stages
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.fused import prepare_language_model
from gotr1_eval.models.checkpoint import quiet
from gotr1_eval.models.janus.sampling import sample_images
from gotr1_eval.models.janus.sequence import SpecialIds

SIZES = {"1b": (2048, 5632, 24, 16), "7b": (4096, 11008, 30, 32)}
"""Width of the model and of its MLP, layers, heads."""
SPECIAL = SpecialIds(bos=0, pad=1, begin_of_image=2)


def meta_model(size: str, dtype: torch.dtype = torch.bfloat16) -> Any:
    """A Janus of that size without any memory."""
    width, inner, layers, heads = SIZES[size]
    config = JanusConfig(
        text_config={
            "model_type": "llama", "vocab_size": 102_400, "hidden_size": width, "intermediate_size": inner,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads,
            "tie_word_embeddings": False, "pad_token_id": 1,
        },
        vision_config={"num_image_tokens": 576, "image_size": 384, "patch_size": 16, "projection_dim": width},
        vq_config={"num_embeddings": 16_384, "projection_dim": width, "image_token_embed_dim": width},
        tie_word_embeddings=False,
    )  # fmt: skip
    with no_init_weights(), torch.device("meta"):
        model = JanusForConditionalGeneration._from_config(config, dtype=dtype).eval()
    prepare_language_model(model.model.language_model)

    return model


def add_adapters(model: Any) -> None:
    """peft's adapters beside all linear layers of the language model, as training has them."""
    targets = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"
    with quiet(), torch.device("meta"):
        get_peft_model(model, LoraConfig(r=32, lora_alpha=32, target_modules=targets))


class _Calls(TorchDispatchMode):
    """Counts what is dispatched and computes."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        views = any(each.alias_info is not None and not each.alias_info.is_write for each in func._schema.returns)
        if not views:
            self.found[str(func)] += 1
        return func(*args, **(kwargs or {}))


class _OneCallEach(TorchFunctionMode):
    """What is one kernel on a GPU and several operations on the meta device counts once."""

    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self._calls = calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name not in {"scaled_dot_product_attention", "rms_norm"}:
            return func(*args, **(kwargs or {}))
        before = self._calls.found.copy()
        result = func(*args, **(kwargs or {}))
        self._calls.found.clear()
        self._calls.found.update(before)
        self._calls.found[name] += 1
        return result


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Calls made inside, by operation."""
    with _Calls() as calls, _OneCallEach(calls):
        yield calls.found


def calls_of_a_step(model: Any, rows: int = 16) -> Counter[str]:
    """Calls of one step of a picture with guidance, of so many samples."""
    found = Counter[str]()
    original = stages.Drawing.next

    def counting(self: Any, longest: int, *, forced: bool = False) -> None:
        with counted_calls() as calls:
            original(self, longest, forced=forced)
        found.update(calls)
        raise StopIteration

    stages.Drawing.next = counting  # type: ignore[method-assign]
    try:
        sample_images(model, [[0, 5, 2]] * rows, range(rows), SPECIAL, guidance=5.0, choice=Choice())
    except StopIteration:
        pass
    finally:
        stages.Drawing.next = original  # type: ignore[method-assign]
    return found


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=16)
    rows = parser.parse_args().rows
    for size in SIZES:
        model = meta_model(size)
        found = calls_of_a_step(model, rows)
        add_adapters(model)
        print(f"{size}: {found.total()} calls, {calls_of_a_step(model, rows).total()} with adapters of bfloat16")
        print("   ", ", ".join(f"{name} {count}" for name, count in found.most_common()))


if __name__ == "__main__":
    main()
