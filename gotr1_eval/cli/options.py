"""Options that several commands share, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.core.types import Json

Out = Annotated[
    Path | None, typer.Option("--out", help="The run folder; by default runs/ and suite, generator and seed.")
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
Tile = Annotated[
    int | None,
    typer.Option(
        "--tile", min=1, help="Samples made and judged together; what fits into memory, at most 32, if not given."
    ),
]
MinCoverage = Annotated[
    float, typer.Option("--min-coverage", min=0.0, max=1.0, help="Exit with an error when fewer are scored.")
]
Intervals = Annotated[
    bool, typer.Option("--intervals", help="Show both ends of every interval, over prompts and over seeds.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only the table; no progress, notes or reasons.")]
NoProgress = Annotated[bool, typer.Option("--quiet", help="No progress and no notes; errors are still told.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Name every odd and every unscored sample (up to 100).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
Export = Annotated[
    list[Path] | None,
    typer.Option("--export", help="Also write to this file; its ending says how: .md, .tex, .csv, .json. Repeatable."),
]


def split_names(text: str | None) -> list[str]:
    """The names of a comma-separated option."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def judge_model_spec(text: str | None, judges: str | None) -> dict[str, Json] | None:
    """The model that --judge-model describes, None where none is named.

    Raises:
        UsageError: a model without --judges: which judges ask it is the user's choice, and no default asks any.
    """
    from gotr1_eval.build import read_judge_model
    from gotr1_eval.runs.request import JudgingRequest

    JudgingRequest(judges=judges, judge_model=text)
    return None if text is None else read_judge_model(text)
