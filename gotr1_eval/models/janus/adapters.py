"""LoRA adapters in peft's layout on top of a Janus, as `gotr1-eval train` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.models.loading import quiet

CONFIG = "adapter_config.json"


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds adapters instead of a whole model."""
    return (folder / CONFIG).is_file()


def base_of(folder: Path) -> str:
    """The checkpoint that the adapters belong on: what `--ckpt` would name.

    Raises:
        DataError: the folder does not say.
    """
    path = folder / CONFIG
    try:
        base = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError) as error:
        raise DataError(f"not an adapter's configuration: {one_line(error)}", path=path) from None
    if not isinstance(base, str) or not base:
        raise DataError("it does not name the checkpoint under the adapters (base_model_name_or_path)", path=path)
    return base


def with_adapters(model: Any, folder: Path) -> Any:  # noqa: ANN401 - transformers and peft are untyped
    """The model with the adapters added into its weights.

    Raises:
        DataError: the adapters cannot be read, or belong on another model.
    """
    from peft import PeftModel

    try:
        with quiet():
            return PeftModel.from_pretrained(model, folder).merge_and_unload()
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        raise DataError(f"the adapters do not fit their checkpoint: {one_line(error)}", path=folder / CONFIG) from None
