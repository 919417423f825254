"""What every adapter needs when it loads a model: a device, a digest of the files, and silence."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from gotr1_eval.core.errors import DataError, UsageError

_HASHED_END = 2**20
_DIGESTED = {".json", ".safetensors", ".bin", ".jinja", ".model", ".txt", ".gz"}


def choose_device(name: str) -> torch.device:
    """The device that a setting names; `auto` is a GPU if there is one.

    The first, or of processes that accelerate or torchrun started on a machine (LOCAL_RANK) each another.

    Raises:
        UsageError: torch knows no such device, or there are fewer GPUs.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        rank = os.environ.get("LOCAL_RANK")
        return torch.device("cuda") if rank is None else torch.device("cuda", int(rank) % torch.cuda.device_count())
    problem = f"no such device: {name!r}; expected auto, cpu, or cuda:<number>"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(problem) from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"{problem} ({torch.cuda.device_count()} GPUs here)")
    return device


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


def some(keys: Iterable[str]) -> str:
    """The first names of a list that may be a thousand long."""
    names = sorted(keys)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


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
    return "; ".join(f"{len(keys)} {kind} ({some(keys)})" for kind, keys in found.items() if keys)


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
            f"{len(broken)} of {len(names)} weights are not finite (NaN or infinity): {some(broken)}", path=path
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
