"""Reads a CLIP model from a folder in transformers' layout, or says in one line why it cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import CLIPConfig, CLIPModel

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.models.checkpoint import in_words, quiet


def load_folder(folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401 - transformers is untyped
    """The model with every weight from the file.

    Raises:
        DataError: the folder holds no CLIP, or its weights are damaged, incomplete, too many or misshapen.
    """
    config = _read_config(folder)
    try:
        with quiet():
            model, info = CLIPModel.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (OSError, SafetensorError, ValueError, RuntimeError, EOFError, KeyError) as error:
        raise DataError(f"the CLIP weights cannot be read: {one_line(error)}", path=folder) from None
    # Checkpoints of old versions of transformers hold the constants 0, 1, 2, ... as if they were weights.
    surplus = [key for key in info["unexpected_keys"] if not key.endswith(".position_ids")]
    check_complete(folder, info["missing_keys"], surplus, [entry[0] for entry in info["mismatched_keys"]])
    return model


def check_complete(path: Path, missing: Any, surplus: Any, misshapen: Any) -> None:  # noqa: ANN401
    """Raises DataError, in one line, when any of the three collections of names has a member."""
    if faults := in_words({"missing": missing, "surplus": surplus, "misshapen": misshapen}):
        raise DataError(f"the weights do not make a CLIP model: {faults}", path=path)


def _read_config(folder: Path) -> CLIPConfig:
    path = folder / "config.json"
    if not path.is_file():
        raise DataError("no config.json; expected a folder in transformers' CLIP layout", path=folder)
    try:
        kind = CLIPConfig.get_config_dict(folder)[0].get("model_type")
        if kind != "clip":
            raise DataError(f"expected model_type 'clip', got {kind!r}", path=path)
        return CLIPConfig.from_pretrained(folder)
    except (OSError, StrictDataclassError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"not a configuration of CLIP: {one_line(error)}", path=path) from None
