"""Which folder a checkpoint's name means, and what lies under a folder of adapters; no weight is read here."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.models.autoregressive.adapters import base_of, is_adapter
from gotr1_eval.models.checkpoint import hub_fault, read_model_type

SHIPPED = {"tiny-janus": "tiny_janus", "tiny-emu3": "tiny_emu3"}
"""Names of the checkpoints that come with the shapes world, and their folders in it."""


def checkpoint_folder(ckpt: str) -> Path:
    """The folder that `ckpt` means: a path, a hub repository, or the name of one shipped with the package.

    Raises:
        UsageError: there is no such folder, and the hub gives none of that name.
    """
    folder = Path(str(files("gotr1_eval.shapes") / SHIPPED[ckpt])) if ckpt in SHIPPED else Path(ckpt).expanduser()
    if folder.is_dir():
        return folder
    known = " or ".join(map(repr, SHIPPED))
    problem = f"no checkpoint folder {folder}; give a checkpoint folder of Janus, GoT-R1 or Emu3, or {known}"
    if ckpt.count("/") != 1 or ckpt.startswith((".", "/", "~")):
        raise UsageError(problem)
    try:
        return Path(snapshot_download(ckpt, ignore_patterns=["*.pth", "*.gguf", "original/*"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UsageError(f"{problem}; {hub_fault(error)}") from None


def checkpoint_and_base(folder: Path) -> list[Path]:
    """The folder, and for adapters also the checkpoint under them: all whose files decide what is sampled."""
    return [folder, *checkpoint_and_base(checkpoint_folder(base_of(folder)))] if is_adapter(folder) else [folder]


def checkpoint_type(folder: Path) -> str:
    """`model_type` of config.json, for adapters of the checkpoint under them.

    Raises:
        UsageError, DataError: as `gotr1_eval.models.checkpoint.read_model_type`.
    """
    return read_model_type(checkpoint_and_base(folder)[-1])


def check_ids(folder: Path, tokenizer: Any, rows: int) -> None:  # noqa: ANN401
    """The model must embed every id; it may embed more.

    Raises:
        DataError: the highest id has no row.
    """
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise DataError(
            f"a token has id {highest}, but the model embeds {rows} only; use the checkpoint's own tokenizer",
            path=folder / "tokenizer.json",
        )
