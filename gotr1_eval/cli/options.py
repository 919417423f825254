"""Options that several commands share, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.types import Json
from gotr1_eval.files.prompts import is_prompt_file

if TYPE_CHECKING:
    from gotr1_eval.build import Builder
    from gotr1_eval.engines import Engine

Out = Annotated[
    Path | None, typer.Option("--out", help="The run folder; by default runs/ and a name made of the settings.")
]
Judges = Annotated[
    str | None,
    typer.Option("--judges", help="A reward set, a .toml file, or judges separated by commas (see `gotr1-eval list`)."),
]
JudgeModel = Annotated[
    str | None,
    typer.Option(
        "--judge-model",
        help="For judges that ask: a checkpoint folder, a hub repository, http://host:port/v1#model (several addresses "
        "with commas), or a .toml file of its settings.",
    ),
]
ReplyCache = Annotated[
    Path | None, typer.Option("--reply-cache", help="File in which the model's replies are kept; none by default.")
]
Tile = Annotated[
    int | None,
    typer.Option(
        "--tile", min=1, help="Samples made and judged together; what fits into memory, at most 32, if not given."
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", help="Only this part of the run, such as 1/4; `gotr1-eval merge` puts the parts together."),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        help="local (this process), or ray with its settings, such as ray,workers=8,worker_gpus=0.5 (docs/scaling.md).",
    ),
]
Guidance = Annotated[float | None, typer.Option(min=0.0, help="Guidance weight of the image tokens; 5 unless given.")]
ChainCap = Annotated[int | None, typer.Option(min=1, help="Most tokens of a chain; 600 unless given.")]
MinCoverage = Annotated[
    float, typer.Option("--min-coverage", min=0.0, max=1.0, help="Exit with an error when fewer are scored.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
Export = Annotated[
    list[Path] | None,
    typer.Option("--export", help="Also write to this file; its ending says how: .md, .tex, .csv, .json. Repeatable."),
]
Retry = Annotated[
    str | None,
    typer.Option("--retry", help=f"Judge unscored samples again, by reason: {', '.join(Why)}; separated by commas."),
]


def suite_spec(suite: str, data: Path | None) -> dict[str, Json]:
    """The settings of the suite that --suite and --data name; a prompt file is the suite `prompt_file`."""
    if is_prompt_file(suite):
        return {"use": "prompt_file", "file": suite}
    return {"use": suite} if data is None else {"use": suite, "data": str(data)}


def split_names(text: str | None) -> list[str]:
    """The names of a comma-separated option."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def retry_reasons(text: str | None) -> Sequence[Why]:
    """The reasons that --retry names.

    Raises:
        UsageError: an unknown one.
    """
    known = [why.value for why in Why]
    names = split_names(text)
    for name in names:
        if name not in known:
            hint = nearest_name(name, known)
            raise UsageError(f"--retry: no reason named {name!r}{hint} (known: {', '.join(known)})")
    return [Why(name) for name in names]


def read_engine(text: str, builder: Builder, shard: str | None = None) -> Engine:
    """The engine that --engine names, for the part that --shard names."""
    from gotr1_eval.cli.official import component_spec
    from gotr1_eval.engines import open_engine

    return open_engine(component_spec(text, "--engine"), builder, shard)


def judge_model_spec(text: str | None, reply_cache: Path | None, judges: str | None) -> dict[str, Json] | None:
    """The model that --judge-model and --reply-cache describe, None where none is named.

    Raises:
        UsageError: a model without --judges: which judges ask it is the user's choice, and no default asks any.
    """
    from gotr1_eval.build import read_judge_model

    if text is None and reply_cache is not None:
        raise UsageError("--reply-cache keeps the replies of the model that --judge-model names; name one")
    if text is not None and judges is None:
        raise UsageError(
            f"--judge-model {text}: say with --judges which judges ask it, for example --judges prompt_image or "
            "--judges paper_without_hps (see `gotr1-eval list judges` and `list rewards`)"
        )
    return None if text is None else read_judge_model(text, reply_cache)
