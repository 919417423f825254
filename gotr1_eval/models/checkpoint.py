"""Checkpoints on disk or on the hub: finding them, telling their files apart, and loading them whole or not at all.

transformers is lenient where an evaluation must not be: weights that are missing, or of another shape, are replaced by
random ones with a warning only. Here each of these is an error that names the weights.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

from gotr1_eval.core.errors import DataError, MissingWeightsError, UsageError, one_line
from gotr1_eval.files.downloading import may_download

_HASHED_END = 2**20
_DIGESTED = {".json", ".safetensors", ".bin", ".jinja", ".model", ".txt", ".gz"}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SMALL_FILES = ["*.json", "merges.txt"]


def find_folder(model: str, revision: str | None) -> Path:
    """The checkpoint's folder, fetched from the hub where `model` is no folder.

    Raises:
        MissingWeightsError: neither a folder nor a repository that can or may be fetched.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    try:
        unwanted, here = ["*.pth", "original/*"], not may_download()
        return Path(snapshot_download(model, revision=revision, ignore_patterns=unwanted, local_files_only=here))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        if not may_download():
            raise MissingWeightsError(_not_here(model)) from None
        raise MissingWeightsError(f"no checkpoint folder {folder}, and {hub_fault(error)}") from None


def hub_fault(error: Exception) -> str:
    """Why the hub gave nothing: it could not be asked, or it has no such repository."""
    if isinstance(error, LocalEntryNotFoundError):
        return "the hub cannot be reached from here (no network, or a firewall)"
    return f"the hub gives no repository of that name: {one_line(error, 120)}"


def resolve_folder(model: str, revision: str, *, weights: bool = True) -> Path:
    """The folder that a setting means: a path, or an id of the Hugging Face hub, which is then fetched and kept there.

    Args:
        weights: whether the weights are wanted too, or the tokenizer's files only.

    Raises:
        UsageError: it is neither a folder nor an id.
        MissingWeightsError: the hub has none either, cannot be reached, or may not be asked.
    """
    path = Path(model).expanduser()
    if path.exists():
        return path
    if not _HUB_ID.fullmatch(model):
        raise UsageError(f"no model files at {path}; give a folder, or an id of the Hugging Face hub (owner/name)")
    try:
        patterns = [*_SMALL_FILES, "*.safetensors"] if weights else _SMALL_FILES
        folder = Path(_snapshot(model, revision, patterns))
        if weights and not any(folder.glob("*.safetensors")):
            # Early checkpoints exist as pickled tensors only; asking for both at once would fetch most twice.
            _snapshot(model, revision, ["pytorch_model*.bin*"])
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        if not may_download():
            raise MissingWeightsError(_not_here(model)) from None
        reason = one_line(error, 160)
        raise MissingWeightsError(f"no folder {path}, and the hub's {model!r} cannot be fetched: {reason}") from None
    if weights and not may_download() and not (any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))):
        raise MissingWeightsError(_not_here(model))
    return folder


def _not_here(model: str) -> str:
    return f"{model} is not among the hub's repositories on this machine: hf download {model}"


def _snapshot(model: str, revision: str, patterns: Sequence[str]) -> str:
    """The repository's folder in the hub's cache; what is missing is fetched if it may be."""
    here = not may_download()
    return snapshot_download(model, revision=revision, allow_patterns=[*patterns], local_files_only=here)


def read_config_json(folder: Path, expected: str = "a checkpoint folder in transformers' layout") -> dict[str, Any]:
    """The content of config.json; empty where it is no object of JSON.

    Args:
        expected: what the folder should be, for the message.

    Raises:
        UsageError: there is no config.json.
        DataError: it is not JSON.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(f"{folder} has no config.json; expected {expected}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not JSON: {one_line(error)}", path=path) from None
    return dict(config) if isinstance(config, dict) else {}


def read_model_type(folder: Path) -> str:
    """`model_type` of config.json; raises as `read_config_json` does, and UsageError where it names no type."""
    kind = read_config_json(folder).get("model_type")
    if not isinstance(kind, str):
        raise UsageError(f"{folder / 'config.json'}: expected a model_type, got {kind!r}")
    return kind


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of tokenizer.json, by file and not by folder: the class that tokenizer_config.json names may split
    texts otherwise than the model was trained (Janus's does).

    Raises:
        UsageError: there is no tokenizer.json.
        DataError: it is damaged.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UsageError(f"{folder} has no tokenizer.json; copy it there from the model's repository")
    try:
        return PreTrainedTokenizerFast(tokenizer_file=str(path), clean_up_tokenization_spaces=False)
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception for a damaged file
        raise DataError(f"not a tokenizer file: {one_line(error)}", path=path) from None


def files_digest(paths: Iterable[Path]) -> str:
    """A digest of files: of their names, sizes and contents.

    Of files over 2 MiB only both ends are read: hashing a 7B model would take as long as loading it.
    """
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(_HASHED_END))
            file.seek(max(size - _HASHED_END, 0))
            digest.update(file.read(_HASHED_END))
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """The digest of a checkpoint folder's configuration, tokenizer and weights; see `files_digest`."""
    return files_digest(sorted(path for path in folder.iterdir() if path.suffix in _DIGESTED))


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
    # Up to release 5.17 a head that is tied by the text model's part of config.json counted as missing.
    text = read_config_json(folder).get("text_config")
    tied = {"tie_word_embeddings": True} if isinstance(text, dict) and text.get("tie_word_embeddings") else {}
    try:
        with quiet():
            model, info = model_class.from_pretrained(
                folder,
                **tied,
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


def weight_faults(info: Mapping[str, Any]) -> str:
    """What is wrong with loaded weights, in words; empty when every tensor is accounted for.

    Args:
        info: what transformers' `from_pretrained(..., output_loading_info=True)` tells.
    """
    found = {
        "missing": info["missing_keys"],
        "unexpected": info["unexpected_keys"],
        "of another shape than config.json says": [entry[0] for entry in info["mismatched_keys"]],
    }
    return "; ".join(f"{len(keys)} {kind} ({first_names(keys)})" for kind, keys in found.items() if keys)


def load_torch(path: Path) -> Any:  # noqa: ANN401 - whatever was saved
    """What a .pth, .pt or .bin file holds, tensors mapped into memory where it can be; no code in it is run.

    Raises:
        DataError: it cannot be read, or holds more than tensors and plain values.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise DataError(f"not a checkpoint that can be read: {one_line(error)}", path=path) from None


def shape_faults(
    expected: Mapping[str, Sequence[int]], found: Mapping[str, torch.Tensor]
) -> dict[str, Collection[str]]:
    """Names of the tensors that are missing, surplus and misshapen, by these words; see `in_words`."""
    both = expected.keys() & found.keys()
    return {
        "missing": expected.keys() - both,
        "surplus": found.keys() - both,
        "misshapen": [name for name in both if tuple(found[name].shape) != tuple(expected[name])],
    }


def in_words(faults: Mapping[str, Collection[str]]) -> str:
    """``2 missing (a, b); 1 misshapen (c)``; empty where there is no fault."""
    return "; ".join(f"{len(names)} {kind} ({first_names(names)})" for kind, names in faults.items() if names)


def first_names(keys: Iterable[str]) -> str:
    """The first names of a list that may be a thousand long."""
    names = sorted(keys)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def check_finite(model: Any, path: Path) -> None:  # noqa: ANN401 - transformers is untyped
    """See that every weight is a number: a training step that broke, or a conversion, may have left others.

    Least and greatest value of each weight are made in one pass, and a GPU is waited for once.

    Raises:
        DataError: names the weights with NaN or infinity; `path` is the file to blame.
    """
    names, ends = [], []
    for name, weight in model.named_parameters():
        if weight.is_floating_point() and weight.numel():
            names.append(name)
            ends.append(torch.stack(weight.detach().aminmax()).float())
    sound = torch.stack(ends).isfinite().all(dim=1).tolist()
    broken = [name for name, each in zip(names, sound, strict=True) if not each]
    if broken:
        raise DataError(
            f"{len(broken)} of {len(names)} weights are not finite (NaN or infinity): {first_names(broken)}", path=path
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bar and its report on missing weights, which the caller makes an error anyway.

    And without its warning about a name that peft still asks it for.
    """
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
