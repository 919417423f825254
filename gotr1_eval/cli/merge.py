"""gotr1-eval merge: the shards of a run as one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge(
    out: Annotated[
        Path, typer.Argument(help="The whole run's folder; its shards lie beside it, as --shard wrote them.")
    ],
) -> None:
    """Put the shards of a run together; the command that made them, without --shard, then goes on in the whole run."""
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.runs.shards import merge as put_together

    count = put_together(out)
    err.print(f"{count} samples in {out}", markup=False, soft_wrap=True)
