"""The models that official numbers stand on, benchmark by benchmark, as settings."""

from __future__ import annotations

from pathlib import Path

from gotr1_eval.cli.official import METRICS, WITHOUT_PHRASES
from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.types import Json

Models = list[tuple[str, dict[str, Json]]]
"""(kind of model, its settings)."""
_NEEDS = {
    category: (*needs, *(() if judge in WITHOUT_PHRASES else ("phrases",)))
    for judge, (_, categories, needs) in METRICS.items()
    for category in categories
}
BENCHMARKS = ("compbench", "geneval", "aesthetic", "shapes", *_NEEDS)


def parts_of(benchmark: str) -> tuple[str, ...]:
    """The categories of T2I-CompBench; of anything else the name itself. Raises UsageError for an unknown one."""
    if benchmark not in BENCHMARKS:
        hint = nearest_name(benchmark, BENCHMARKS)
        raise UsageError(f"--for {benchmark}: no such benchmark{hint} (known: {', '.join(BENCHMARKS)})")
    return tuple(_NEEDS) if benchmark == "compbench" else (benchmark,)


def official_models(benchmark: str, folder: Path) -> Models:
    """The models of a benchmark or of one category, with the files of a folder; each once.

    A file that is not there is named all the same, so that the model says what it lacks.

    Raises:
        UsageError: an unknown benchmark.
    """
    categories = parts_of(benchmark)
    if benchmark == "shapes":
        return [("detector", {"use": "shapes"})]
    if benchmark == "aesthetic":
        return [("encoder", {"use": "hps", "weights": _file("hps", folder)})]
    if benchmark == "geneval":
        mask2former: dict[str, Json] = {"use": "mask2former", "model": _file("mask2former", folder)}
        return [("detector", mask2former), ("encoder", {"use": "clip", "model": _hub("clip-l14")})]
    models: Models = []
    for category in categories:
        for kind in _NEEDS[category]:
            model = (kind, _compbench(kind, category, folder))
            models += [] if model in models else [model]
    return models


def _compbench(kind: str, category: str, folder: Path) -> dict[str, Json]:
    """T2I-CompBench's model of a kind; its detector depends on the category."""
    if kind == "detector":
        size = "rs200" if category in ("spatial", "complex") else "r50"
        files = {"weights": _file(f"unidet-{size}", folder), "labels": _file("unidet-labels", folder)}
        return {"use": "unidet", "size": size, **files}
    if kind == "yes_no":
        return {"use": "blip", "model": _file("blip-vqa", folder)}
    if kind == "encoder":
        return {"use": "clip", "model": _hub("clip-b32")}
    return {"use": "dpt"} if kind == "depth" else {"use": "builtin"}


def _file(key: str, folder: Path) -> str:
    from gotr1_eval.core.official_files import find_interchangeable, official_file

    file = official_file(key)
    return str(find_interchangeable(file, folder) or folder / file.name)


def _hub(key: str) -> str:
    from gotr1_eval.core.official_files import official_file

    return official_file(key).name
