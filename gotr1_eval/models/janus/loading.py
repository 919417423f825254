"""Reads a Janus checkpoint folder in transformers' native layout, or says in one line why it cannot be read.

transformers is lenient where an evaluation must not be: weights that are missing, or that belong to DeepSeek's original
layout, are replaced by random ones with a warning only. Here each of these is an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import JanusConfig, JanusForConditionalGeneration, PreTrainedTokenizerFast

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.janus.sequence import REQUIRED_TOKENS, SpecialIds
from gotr1_eval.models.loading import quiet, weight_faults

SHIPPED = "tiny-janus"
"""The name of the checkpoint that comes with the shapes world."""
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model in evaluation mode, its tokenizer, and the ids that every sequence needs."""

    model: Any
    tokenizer: Any
    special: SpecialIds


def checkpoint_folder(ckpt: str) -> Path:
    """The folder that `ckpt` means: a path, or `tiny-janus` for the one shipped with the package.

    Raises:
        UsageError: there is no such folder.
    """
    folder = Path(str(files("gotr1_eval.shapes") / "tiny_janus")) if ckpt == SHIPPED else Path(ckpt).expanduser()
    if not folder.is_dir():
        raise UsageError(f"no checkpoint folder {folder}; give a folder in transformers' Janus layout, or {SHIPPED!r}")
    return folder


def load_checkpoint(folder: Path, *, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    """Load model and tokenizer.

    Raises:
        UsageError: the folder is no native Janus checkpoint, or lacks a file.
        DataError: a file is damaged or does not fit the others.
    """
    check_model_type(folder)
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, dtype)
    check_fit(folder, model, tokenizer)
    return Checkpoint(model.to(device).eval(), tokenizer, SpecialIds.of(tokenizer))


def check_model_type(folder: Path) -> None:
    """Refuse what is not a native Janus before transformers can fill it with random weights."""
    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(f"{folder} has no config.json; expected a checkpoint folder in transformers' Janus layout")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not JSON: {one_line(error)}", path=path) from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind == "multi_modality":
        raise UsageError(
            f"{path}: model_type 'multi_modality' is DeepSeek's original layout, which has to be converted to "
            "transformers' Janus layout first; that conversion is not available yet"
        )
    if kind != "janus":
        raise UsageError(f"{path}: expected model_type 'janus', got {kind!r}; give a Janus checkpoint folder")


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    """The tokenizer, with GoT-R1's four tokens and the picture's among its own."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UsageError(f"{folder} has no tokenizer.json; copy it there from the model's repository")
    try:
        # By file and not by folder: the class named in tokenizer_config.json splits Janus's text wrongly.
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path), clean_up_tokenization_spaces=False)
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception for a damaged file
        raise DataError(f"not a tokenizer file: {one_line(error)}", path=path) from None
    known = tokenizer.get_vocab()
    missing = [token for token in REQUIRED_TOKENS if token not in known]
    if missing:
        raise DataError(
            f"the tokenizer lacks {', '.join(missing)}; use the GoT-R1 checkpoint's own tokenizer", path=path
        )
    return tokenizer


def load_model(folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """The model with every weight from the file."""
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise UsageError(f"{folder} has no weights; expected one of {', '.join(_WEIGHTS)}")
    config = read_config(folder)
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


def check_fit(folder: Path, model: Any, tokenizer: Any) -> None:  # noqa: ANN401
    """Tokenizer and picture grid must fit the model's sizes."""
    rows = model.get_input_embeddings().num_embeddings
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise DataError(f"a token has id {highest}, but the model embeds {rows} only", path=folder / "tokenizer.json")
    vision = model.config.vision_config
    tokens = (vision.image_size // vision.patch_size) ** 2
    if vision.num_image_tokens != tokens:
        message = f"num_image_tokens is {vision.num_image_tokens}, but image and patch size make {tokens}"
        raise DataError(message, path=folder / "config.json")
