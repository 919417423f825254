"""gotr1-eval agreement: do judges agree with people, with each other, and with themselves?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from gotr1_eval.cli.options import AsJson
from gotr1_eval.core.errors import UsageError

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="JUDGED|RATINGS",
        help="A run or a table of scores, then a study or tables of ratings. A study alone, or a run alone, will do.",
    ),
]
Mapping = Annotated[Path | None, typer.Option("--mapping", help="A TOML file that says what the tables' columns mean.")]
Data = Annotated[
    Path | None, typer.Option("--data", help="What the mapping's paths are relative to; its own folder if not given.")
]
People = Annotated[
    Literal["mean", "majority"], typer.Option("--people", help="What is made of several people's marks of one item.")
]
Seed = Annotated[int, typer.Option(min=0, help="Decides the bootstrap's draws.")]


def agreement(
    sources: Sources = None,
    mapping: Mapping = None,
    data: Data = None,
    people: People = "mean",
    average: Annotated[
        Literal["fisher", "tanh_of_mean"],
        typer.Option(
            help="How correlations are averaged over categories: Fisher's transform, or as VIEScore's tables are."
        ),
    ] = "fisher",
    draws: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap; 0 gives no intervals.")] = 1000,
    seed: Seed = 0,
    units: Annotated[
        str | None,
        typer.Option(
            "--units",
            help="How many items' pairs Kendall's tau and the pairwise accuracy compare at most, or all; 5000 (1000 "
            "between judges) if not given. All other numbers are of all items.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for agreement.html, .json, .md and .tex; none by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold judges against people: coefficients with intervals, and what people's own agreement allows."""
    from gotr1_eval.cli.agreement_table import show_agreement
    from gotr1_eval.cli.terminal import err
    from reports.agreement.analysis import Options, analyse
    from reports.agreement.mark_sources import read_sources
    from reports.agreement.table_mapping import read_mapping_or_none

    read = read_sources(sources or [], *read_mapping_or_none(mapping, data))
    options = Options(people=people, average=average, draws=draws, seed=seed, units=_units(units))
    found = analyse(read.people, read.judges, options)
    show_agreement(found, as_json=as_json)
    if out is not None:
        from reports.agreement.page import write_agreement

        err.print(f"page: {write_agreement(found, out)}", markup=False, soft_wrap=True)


def _units(text: str | None) -> int | Literal["all"] | None:
    """What --units says.

    Raises:
        UsageError: neither ``all`` nor a whole number from 2.
    """
    if text is None or text == "all":
        return "all" if text else None
    if not text.isdecimal() or int(text) < 2:
        raise UsageError(f"--units {text}: expected all, or a whole number from 2")
    return int(text)
