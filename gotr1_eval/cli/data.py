"""gotr1-eval data: the benchmarks' prompt lists and metadata, fetched once and checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson

if TYPE_CHECKING:
    from gotr1_eval.files.public_data import PublicData

data = typer.Typer(help="The benchmarks' prompt lists: fetch them once, or list what is there.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Suites, as `data list` names them; all by default.")]


@data.command("fetch")
def fetch(names: Names = None) -> None:
    """Fetch prompt lists and metadata at their pinned commits and check every file; what is there is not asked for."""
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.files.public_data import fetch_data

    for chosen in _chosen(names or []):
        brought = fetch_data(chosen)
        line = f"{chosen.key}: {len(chosen.files)} files in {chosen.folder} ({len(brought)} fetched)"
        out.print(line, markup=False, soft_wrap=True)


@data.command("list")
def list_data(as_json: AsJson = False) -> None:
    """What there is to fetch, from where, and what is on this machine."""
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.files.public_data import known_data

    there = known_data()
    rows = [_row(known) for known in there]
    if as_json:
        out.print(json.dumps(rows, indent=2), markup=False, soft_wrap=True)
        return
    for known, row in zip(there, rows, strict=True):
        state = "here" if row["complete"] else f"MISSING  gotr1-eval data fetch {known.key}"
        out.print(f"{known.key}: {known.what}", markup=False, soft_wrap=True)
        out.print(f"  from    {row['source']} ({known.licence})", markup=False, soft_wrap=True)
        out.print(f"  folder  {row['folder']}", markup=False, soft_wrap=True)
        out.print(f"  {row['there']} of {row['files']} files  {state}", markup=False, soft_wrap=True)


def _chosen(names: Sequence[str]) -> list[PublicData]:
    from gotr1_eval.files.public_data import known_data, public_data

    return [public_data(name) for name in names] or list(known_data())


def _row(known: PublicData) -> dict[str, str | int | bool]:
    missing = len(known.missing)
    return {
        "name": known.key,
        "source": f"https://github.com/{known.repository}/tree/{known.commit}",
        "folder": str(known.folder),
        "files": len(known.files),
        "there": len(known.files) - missing,
        "complete": not missing,
    }
