"""Writes a checkpoint of DeepSeek's original layout as a folder that transformers reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.models.autoregressive.checkpoints import check_ids
from gotr1_eval.models.checkpoint import quiet
from gotr1_eval.models.janus.loading import check_grid, read_raw_config
from gotr1_eval.models.janus.original import ORIGINAL, load_original
from gotr1_eval.models.janus.sequence import SpecialIds, load_tokenizer

_IMAGE_PLACEHOLDER, _END_OF_SENTENCE = "<image_placeholder>", "<｜end▁of▁sentence｜>"


def convert(source: Path, target: Path, *, dtype: torch.dtype | None = None, shard_size: str = "5GB") -> None:
    """Read every tensor of `source` and write `target`; the memory holds the model once.

    Args:
        target: a folder that does not exist yet, or is empty; it appears only when it is complete.
        dtype: of the written weights; None keeps the stored one.
        shard_size: weights above it are written in several files.

    Raises:
        UsageError: `source` is in transformers' layout already, or `target` holds something.
        DataError: `source` is damaged; see `gotr1_eval.models.janus.original`.
    """
    raw = read_raw_config(source)
    if raw["model_type"] != ORIGINAL:
        raise UsageError(f"{source} is in transformers' layout already; nothing to convert")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target}: not an empty folder; choose another")
    tokenizer = load_tokenizer(source)
    model = load_original(source, raw, device=torch.device("cpu"), dtype=dtype)
    check_ids(source, tokenizer, model.get_input_embeddings().num_embeddings)
    check_grid(source, model)
    _complete(model, tokenizer)
    _write(model, tokenizer, source, target, shard_size)


def _complete(model: Any, tokenizer: Any) -> None:  # noqa: ANN401 - transformers is untyped
    """The ids that the original leaves to its code and transformers wants in its configuration."""
    special = SpecialIds.of(tokenizer)
    known = tokenizer.get_vocab()
    text = model.config.text_config
    text.bos_token_id, text.pad_token_id = special.bos, special.pad
    text.eos_token_id = known.get(_END_OF_SENTENCE)
    if _IMAGE_PLACEHOLDER in known:
        model.config.image_token_id = known[_IMAGE_PLACEHOLDER]
    model.generation_config = GenerationConfig(
        bos_token_id=special.bos,
        eos_token_id=text.eos_token_id,
        pad_token_id=special.pad,
        generation_kwargs={"boi_token_id": special.begin_of_image},
    )


def _write(model: Any, tokenizer: Any, source: Path, target: Path, shard_size: str) -> None:  # noqa: ANN401
    """Into a folder beside the target, which takes its name at the end."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with quiet():
            model.save_pretrained(partial, max_shard_size=shard_size)
            tokenizer.save_pretrained(partial)
        side = model.config.vision_config.image_size
        pictures = json.dumps(_picture_processing(source, side), indent=2)
        (partial / "preprocessor_config.json").write_text(pictures + "\n", encoding="utf-8")
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UsageError(f"{target}: cannot be written: {error.strerror or error}") from None


def _picture_processing(source: Path, side: int) -> dict[str, Any]:
    """How pictures are prepared for the vision encoder; transformers' own defaults are another model's."""
    path = source / "preprocessor_config.json"
    try:
        stated = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        kept = {key: stated[key] for key in ("image_mean", "image_std", "rescale_factor", "min_size") if key in stated}
    except (ValueError, TypeError) as error:
        raise DataError(f"not JSON: {error}", path=path) from None
    return {
        "image_processor_type": "JanusImageProcessor",
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "background_color": [127, 127, 127],
        "do_normalize": True,
        **kept,
        "size": {"height": side, "width": side},
    }
