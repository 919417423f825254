"""Reads a Janus checkpoint, in transformers' layout or DeepSeek's, or says in one line why it cannot be read.

transformers is lenient where an evaluation must not be: weights that are missing, or that belong to DeepSeek's original
layout, are replaced by random ones with a warning only. Here each of these is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import JanusConfig, JanusForConditionalGeneration

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.autoregressive.adapters import base_of, is_adapter, with_adapters
from gotr1_eval.models.autoregressive.checkpoints import check_ids, checkpoint_folder
from gotr1_eval.models.autoregressive.fused import prepare_language_model
from gotr1_eval.models.autoregressive.weight_files import stored_tensors, weight_files, weights_entry
from gotr1_eval.models.checkpoint import check_finite, quiet, read_config_json, weight_faults
from gotr1_eval.models.janus.original import ORIGINAL, load_original
from gotr1_eval.models.janus.original_config import native_config
from gotr1_eval.models.janus.original_names import NAMINGS
from gotr1_eval.models.janus.sequence import SpecialIds, load_tokenizer

NATIVE = "janus"
"""`model_type` of transformers' layout."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model in evaluation mode, its tokenizer, and the ids that every sequence needs."""

    model: Any
    tokenizer: Any
    special: SpecialIds


def load_checkpoint(folder: Path, *, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    """Load model and tokenizer; of a folder of LoRA adapters also the checkpoint that it names.

    Raises:
        UsageError: the folder is no Janus checkpoint, or lacks a file.
        DataError: a file is damaged or does not fit the others, or a weight is not finite.
    """
    if is_adapter(folder):
        base = load_checkpoint(checkpoint_folder(base_of(folder)), device=device, dtype=dtype)
        adapted = replace(base, model=with_adapters(base.model, folder, NAMINGS).eval())
        check_finite(adapted.model, folder)
        prepare_language_model(adapted.model.model.language_model)
        return adapted
    raw = read_raw_config(folder)
    tokenizer = load_tokenizer(folder)
    if raw["model_type"] == ORIGINAL:
        model = load_original(folder, raw, device=device, dtype=dtype)
    else:
        model = load_native(folder, dtype).to(device).eval()
    check_finite(model, weights_entry(folder))
    prepare_language_model(model.model.language_model)
    check_ids(folder, tokenizer, model.get_input_embeddings().num_embeddings)
    check_grid(folder, model)
    return Checkpoint(model, tokenizer, SpecialIds.of(tokenizer))


def read_raw_config(folder: Path) -> dict[str, Any]:
    """The content of config.json, of either layout.

    Checked first of all: transformers fills a model of another kind with random weights and goes on.

    Raises:
        UsageError: there is no config.json, or it is another model's.
        DataError: it is not JSON.
    """
    config = read_config_json(folder, "a checkpoint folder of Janus or GoT-R1")
    kind = config.get("model_type")
    if kind == "emu3":
        raise UsageError(f"{folder.name} is an Emu3: ask for it by --generator emu3,ckpt=... in place of --ckpt")
    if kind not in (NATIVE, ORIGINAL):
        raise UsageError(
            f"{folder / 'config.json'}: expected model_type {NATIVE!r} (transformers' layout) or {ORIGINAL!r} "
            f"(DeepSeek's), got {kind!r}; give a Janus or GoT-R1 checkpoint folder"
        )
    return config


def load_native(folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401 - transformers is untyped
    """The model in transformers' layout, with every weight from the file."""
    weights = weights_entry(folder)
    weight_files(folder)
    config = _native_config(folder)
    try:
        with quiet():
            model, info = JanusForConditionalGeneration.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (OSError, SafetensorError, ValueError, RuntimeError, EOFError, KeyError) as error:
        raise DataError(f"the checkpoint cannot be read: {one_line(error)}", path=weights) from None
    if faults := weight_faults(info):
        raise DataError(f"the weights do not fit the configuration: {faults}", path=weights)
    return model


def read_config(folder: Path) -> JanusConfig:
    """The configuration of a checkpoint in either layout; reads no weights, only their sizes."""
    if is_adapter(folder):
        return read_config(checkpoint_folder(base_of(folder)))
    raw = read_raw_config(folder)
    if raw["model_type"] == NATIVE:
        return _native_config(folder)
    shapes = {stored.name: stored.shape for stored in stored_tensors(folder)}
    return native_config(raw, shapes, folder / "config.json")


def _native_config(folder: Path) -> JanusConfig:
    """The configuration, with embeddings and language head apart.

    The class ties them by default, which would let the embeddings stand in for a missing head in silence.
    """
    try:
        config = JanusConfig.from_pretrained(folder)
    except (OSError, StrictDataclassError, ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"not a configuration of Janus: {one_line(error)}"
        raise DataError(message, path=folder / "config.json") from None
    config.tie_word_embeddings = False
    return config


def check_grid(folder: Path, model: Any) -> None:  # noqa: ANN401
    """The number of image tokens must fill the picture's grid."""
    vision = model.config.vision_config
    tokens = (vision.image_size // vision.patch_size) ** 2
    if vision.num_image_tokens != tokens:
        message = f"num_image_tokens is {vision.num_image_tokens}, but image and patch size make {tokens}"
        raise DataError(message, path=folder / "config.json")
