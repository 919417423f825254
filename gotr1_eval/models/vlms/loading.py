"""Checkpoints of language-vision models: where they lie, and reading them whole or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from pydantic import Field
from safetensors import SafetensorError

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.loading import quiet, weight_faults
from gotr1_eval.settings import Settings


class LocalSettings(Settings):
    """What every model that runs in this process can be told.

    Attributes:
        model: a checkpoint folder, or a repository on the Hugging Face hub.
        revision: of the repository: a commit, tag or branch.
        device: `auto` is the first GPU if there is one.
        dtype: `auto` is float32 on the CPU and bfloat16 on a GPU.
        batch_size: questions that go through the model together; halved when the memory does not suffice.
        share_beginnings: read what the questions of a batch have in common once.
        pictures_kept: encoded pictures kept for later questions; 0 encodes every picture of every question anew.
        constrained: whether judges hold answers to a form while they are decoded; `auto` does so unless the tokenizer
            cannot be used for it, or the model thinks before it answers.
    """

    model: str
    revision: str | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = Field(8, ge=1)
    share_beginnings: bool = True
    pictures_kept: int = Field(32, ge=0)
    constrained: bool | Literal["auto"] = "auto"


def find_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format of that name; `auto` is float32 on the CPU and bfloat16 on a GPU."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def find_folder(model: str, revision: str | None) -> Path:
    """The checkpoint's folder, fetched from the hub where `model` is no folder.

    Raises:
        UsageError: neither a folder nor a repository that can be fetched.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(model, revision=revision, ignore_patterns=["*.pth", "original/*"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UsageError(
            f"no checkpoint folder {folder}, and the hub gives no repository of that name: {one_line(error, 120)}"
        ) from None


def read_model_type(folder: Path) -> str:
    """`model_type` of config.json.

    Raises:
        UsageError: there is no config.json, or it names no type.
        DataError: it is not JSON.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(f"{folder} has no config.json; expected a checkpoint folder in transformers' layout")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not JSON: {one_line(error)}", path=path) from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str):
        raise UsageError(f"{path}: expected a model_type, got {kind!r}")
    return kind


def load_whole(
    model_class: Any,  # noqa: ANN401
    folder: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    attention: str | dict[str, str] = "sdpa",
    unread: re.Pattern[str] | None = None,
) -> Any:  # noqa: ANN401
    """The model in evaluation mode, with every weight from the files.

    Args:
        attention: transformers' implementation, or one a part; "" is the part that is the model itself.
        unread: matches names of weights that no answer depends on, which may be missing or surplus.

    Raises:
        DataError: a weight is missing, is of another shape than config.json says, or belongs to no part of the model.
    """
    try:
        with quiet():
            model, info = model_class.from_pretrained(
                folder,
                dtype=dtype,
                attn_implementation=attention,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (OSError, SafetensorError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"the checkpoint cannot be read: {one_line(error)}", path=folder) from None
    if unread is not None:
        kinds = ("missing_keys", "unexpected_keys")
        info = {**info, **{kind: [key for key in info[kind] if not unread.match(key)] for kind in kinds}}
    if faults := weight_faults(info):
        raise DataError(f"the weights do not fit the configuration: {faults}", path=folder)
    return model.to(device).eval()


def stop_tokens(model: Any, *others: int | None) -> tuple[int, ...]:  # noqa: ANN401
    """Tokens after which an answer is complete: those of the generation configuration, and the others."""
    configured = model.generation_config.eos_token_id
    known = configured if isinstance(configured, list) else [configured]
    return tuple(sorted({token for token in (*known, *others) if token is not None}))
