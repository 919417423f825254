"""gotr1-eval tiny-janus: rebuild the embedded checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tiny_janus(
    out: Annotated[Path, typer.Option("--out", help="Folder for the checkpoint.")],
    seed: Annotated[int, typer.Option(help="The shipped one was built from seed 0.")] = 0,
) -> None:
    """Rebuild the embedded tiny Janus from a seed: tokenizer, picture tokens, supervised chains and pictures."""
    from gotr1_eval.cli.terminal import err
    from training.tiny_janus import build_tiny_janus

    build_tiny_janus(out, seed=seed, progress=lambda line: err.print(line, markup=False))
