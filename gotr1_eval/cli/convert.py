"""gotr1-eval convert: DeepSeek's original layout to transformers'."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Dtype(StrEnum):
    """Types that weights can be written in."""

    STORED = "stored"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def convert(
    source: Annotated[Path, typer.Argument(help="A Janus or GoT-R1 folder in DeepSeek's layout.")],
    target: Annotated[Path, typer.Argument(help="A new folder; it appears only when it is complete.")],
    dtype: Annotated[Dtype, typer.Option(help="Of the written weights.")] = Dtype.STORED,
    shard_size: Annotated[str, typer.Option(help="Weights above it are written in several files.")] = "5GB",
) -> None:
    """Write a checkpoint of DeepSeek's original layout as a folder that transformers reads."""
    import torch

    from gotr1_eval.cli.terminal import err
    from gotr1_eval.models.janus.converting import convert as write

    kind = None if dtype is Dtype.STORED else getattr(torch, dtype.value)
    write(source, target, dtype=kind, shard_size=shard_size)
    err.print(f"written: {target}", markup=False, soft_wrap=True)
