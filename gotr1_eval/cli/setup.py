"""Commands that set things up: weights and data of benchmarks, the list of plug-ins, and convert for checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson
from gotr1_eval.core.errors import UsageError, nearest_name

if TYPE_CHECKING:
    from gotr1_eval.files.official_files import OfficialFile
    from gotr1_eval.files.public_data import PublicData


def weights(
    names: Annotated[
        list[str] | None, typer.Argument(help="Benchmarks or files, as the table names them; all by default.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--weights", help="The folder to look in; by default one of the user's cache.")
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--download", help="Fetch the named files that are missing and have a plain address.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the official weights that benchmarks need, find them in a folder, and download what can be."""
    from gotr1_eval.files.official_files import weights_folder

    if fetch and not names:
        raise UsageError("--download needs to know what: name benchmarks or files, as in `weights spatial --download`")
    folder = (folder or weights_folder()).expanduser()
    names = names or []
    files = _chosen(names)
    if fetch:
        for file in files:
            if file.key in (names or []) or not _is_dispensable(file, folder):
                _download(file, folder)
    _show(files, folder, as_json=as_json)


def _chosen(names: Sequence[str]) -> list[OfficialFile]:
    """The files of benchmarks and keys, each once; all of them where none is named."""
    from gotr1_eval.files.official_files import keys_of, known_files, known_uses

    others = [name for name in names if "." in name]
    wanted = {*names, *(key for name in others for key in keys_of(name))}
    files, uses = known_files(*others), known_uses()
    keys = [file.key for file in files]
    for name in names:
        if name not in (*uses, *keys, *others):
            hint = nearest_name(name, (*uses, *keys))
            raise UsageError(
                f"weights: no benchmark or file {name!r}{hint} (benchmarks: {', '.join(uses)}; "
                f"files: {', '.join(keys)})"
            )
    return [file for file in files if not names or wanted.intersection((file.key, *file.made_for))]


def _is_dispensable(file: OfficialFile, folder: Path) -> bool:
    """Whether another file does as well: the usual one, or one that is here."""
    from gotr1_eval.files.official_files import find_file, interchangeable

    return file.instead_of is not None or any(find_file(other, folder) for other in interchangeable(file))


def _download(file: OfficialFile, folder: Path) -> None:
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.files.downloading import download
    from gotr1_eval.files.official_files import file_fault, find_file

    if find_file(file, folder) is not None:
        return
    if file.on_hub:
        from gotr1_eval.models.checkpoint import resolve_folder

        err.print(f"{file.key}: https://huggingface.co/{file.name}", markup=False, soft_wrap=True)
        resolve_folder(file.name, "main", weights=not file.tokenizer_only)
    if file.url is None:
        return
    err.print(f"{file.key}: {file.url}", markup=False, soft_wrap=True)
    with err.status(file.name) as status:

        def report(done: int, total: int | None) -> None:
            whole = "" if total is None else f" of {total / 2**20:.0f}"
            status.update(f"{file.name}: {done / 2**20:.0f}{whole} MiB")

        download(file.url, folder / file.name, lambda path: file_fault(file, path), report)


def _show(files: Sequence[OfficialFile], folder: Path, *, as_json: bool) -> None:
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.files.official_files import find_file

    found = {file.key: find_file(file, folder) for file in files}
    if as_json:
        rows = [_row(file, found[file.key], folder) for file in files]
        out.print(json.dumps({"folder": str(folder), "files": rows}, indent=2), markup=False, soft_wrap=True)
        return
    out.print(f"looked in {folder}", markup=False, soft_wrap=True)
    for file in files:
        for line in _lines(file, found[file.key], folder):
            out.print(line, markup=False, soft_wrap=True)


def _row(file: OfficialFile, found: Path | None, folder: Path) -> dict[str, object]:
    from gotr1_eval.files.official_files import file_fault, how_to_get

    return {
        "key": file.key,
        "file": file.name,
        "made_for": dict(file.made_for),
        "host": file.host,
        "url": file.url,
        "sha256_begins": file.hash_start,
        "instead_of": file.instead_of,
        "found": None if found is None else str(found),
        "bytes": None if found is None or file.on_hub else found.stat().st_size,
        "fault": None if found is None else file_fault(file, found) or None,
        "how_to_get": how_to_get(file, folder),
    }


def _lines(file: OfficialFile, found: Path | None, folder: Path) -> list[str]:
    """What a person wants to know about a file: what for, whether it is here, and else how to get it."""
    from gotr1_eval.files.official_files import file_fault, find_file, how_to_get, interchangeable

    uses: dict[str, list[str]] = {}
    for benchmark, use in file.made_for.items():
        uses.setdefault(use, []).append(benchmark)
    made_for = "; ".join(f"{', '.join(benchmarks)}: {use}" for use, benchmarks in uses.items())
    lines = [f"{file.key}: {file.name}", f"  for    {made_for}", f"  from   {file.host}"]
    known = "sha256 unknown" if file.hash_start is None else f"sha256 begins with {file.hash_start}"
    if found is None:
        for other in interchangeable(file):
            if find_file(other, folder):
                return [*lines, f"  not needed: {other.key} is here, of the same weights"]
        return [*lines, f"  known  size unknown, {known}", f"  MISSING  {how_to_get(file, folder)}"]
    if fault := file_fault(file, found):
        return [*lines, f"  WRONG  {found}: {fault}"]
    return [
        *lines,
        f"  found  {found} ({'kept by the hub' if file.on_hub else f'{found.stat().st_size:,} bytes'}; {known})",
    ]


def list_plugins(
    kind: Annotated[
        str | None,
        typer.Argument(help="One kind, as in `list judges`; all by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List judges, models of every role, generators, benchmark suites and reward sets, each with a line."""
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.core.plugins import (
        BENCHMARKS,
        DEPTHS,
        DETECTORS,
        ENCODERS,
        GENERATORS,
        JUDGES,
        OCRS,
        PERCEPTUAL,
        PHRASES,
        REWARD_MODELS,
        VLMS,
        YES_NO,
    )
    from gotr1_eval.core.protocols import ABILITIES
    from rewards.reward_set import shipped_sets

    can = {name: [word for word in ABILITIES if word in stated] for name, stated in GENERATORS.stated("CAN").items()}
    listed: dict[str, Mapping[str, str]] = {
        "judges": JUDGES.list(),
        "models": VLMS.list(),
        "detectors": DETECTORS.list(),
        "encoders": ENCODERS.list(),
        "reward-models": REWARD_MODELS.list(),
        "yes-no": YES_NO.list(),
        "depth": DEPTHS.list(),
        "phrases": PHRASES.list(),
        "ocr": OCRS.list(),
        "perceptual": PERCEPTUAL.list(),
        "generators": GENERATORS.list(),
        "suites": {name.replace("_", "-"): line for name, line in BENCHMARKS.list().items()},
        "rewards": shipped_sets(),
    }
    if kind is not None:
        if kind not in listed:
            raise UsageError(f"list: no kind {kind!r}{nearest_name(kind, listed)} (known: {', '.join(listed)})")
        listed = {kind: listed[kind]}
    if as_json:
        content: dict[str, object] = {name: dict(entries) for name, entries in listed.items()}
        content |= {"generators-can": can} if "generators" in listed else {}
        out.print(json.dumps(content, indent=2), markup=False, soft_wrap=True)
        return
    for name, entries in listed.items():
        out.print(f"[bold]{name}[/bold]")
        for entry, line in entries.items():
            out.print(f"  {entry:<22}{line}", markup=False, soft_wrap=True)
            if name == "generators":
                out.print(f"  {'':<22}{', '.join(can[entry])}", markup=False, soft_wrap=True)


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


data = typer.Typer(help="The benchmarks' prompt lists: fetch them once, or list what is there.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Suites, as `list suites` names them; all by default.")]


@data.command("fetch")
def fetch(names: Names = None) -> None:
    """Fetch prompt lists and metadata at their pinned commits and check every file; what is there is not asked for."""
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.files.public_data import fetch_data

    for chosen in _suites(names or []):
        brought = fetch_data(chosen)
        line = f"{chosen.key}: {len(chosen.files)} files in {chosen.folder} ({len(brought)} fetched)"
        out.print(line, markup=False, soft_wrap=True)


@data.command("list")
def list_data(names: Names = None, as_json: AsJson = False) -> None:
    """What there is to fetch, from where, and what is on this machine."""
    from gotr1_eval.cli.terminal import out

    there = _suites(names or [])
    rows = [_suite_row(known) for known in there]
    if as_json:
        out.print(json.dumps(rows, indent=2), markup=False, soft_wrap=True)
        return
    for known, row in zip(there, rows, strict=True):
        state = "here" if row["complete"] else f"MISSING  gotr1-eval data fetch {known.key}"
        out.print(f"{known.key}: {known.what}", markup=False, soft_wrap=True)
        out.print(f"  from    {row['source']} ({known.licence})", markup=False, soft_wrap=True)
        out.print(f"  folder  {row['folder']}", markup=False, soft_wrap=True)
        out.print(f"  {row['there']} of {row['files']} files  {state}", markup=False, soft_wrap=True)


def _suites(names: Sequence[str]) -> list[PublicData]:
    from gotr1_eval.files.public_data import known_data, public_data

    return [public_data(name) for name in names] or list(known_data())


def _suite_row(known: PublicData) -> dict[str, str | int | bool]:
    missing = len(known.missing)
    return {
        "name": known.key,
        "source": f"https://github.com/{known.repository}/tree/{known.commit}",
        "folder": str(known.folder),
        "files": len(known.files),
        "there": len(known.files) - missing,
        "complete": not missing,
    }
