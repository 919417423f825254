"""Scoring arbitrary pictures: from Python in three lines, or a folder or manifest from the command line.

from gotr1_eval import score_images
table = score_images(["cat.png"], ["a cat on the left of a dog"], judges=["geometric"], chains=[chain])
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.identifiers import sample_id
from gotr1_eval.core.jsonl import read_rows
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.parquet import read_parquet
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Json, Sample

if TYPE_CHECKING:
    import pandas as pd

_PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"))
_COLUMNS = ("prompt", "image", "chain", "category")


def score_samples(samples: Sequence[Sample], judges: Sequence[Judge]) -> dict[str, list[Outcome]]:
    """Judge name -> one outcome a sample, in order.

    Raises:
        UsageError: two judges of one name.
    """
    names = [judge.name for judge in judges]
    if len(set(names)) < len(names):
        raise UsageError(f"every judge must be asked once, got {', '.join(names)}")
    return {judge.name: judge_batch(judge, samples) for judge in judges}


def score_images(
    images: Sequence[str | Path | None],
    prompts: Sequence[str],
    judges: Sequence[str | Judge],
    chains: Sequence[str | None] | None = None,
) -> pd.DataFrame:
    """Score pictures, and their chains where there are any.

    Args:
        images: files, None where there is only a chain.
        prompts: one an image.
        judges: by name (see ``gotr1-eval list judges``) or live objects.
        chains: one an image, None where there is none.

    Returns:
        A row an image: prompt, image, and for each judge its value under its name (NaN where it is unscored) and the
        reason under ``<name>/why`` (empty where it is scored).

    Raises:
        UsageError: unequal lengths, or an unknown judge.
    """
    import pandas as pd

    chains = chains if chains is not None else [None] * len(prompts)
    if not len(images) == len(prompts) == len(chains):
        raise UsageError(
            f"needed as many images as prompts and chains, got {len(images)}, {len(prompts)}, {len(chains)}"
        )
    builder = Builder()
    live = [builder.judge({"use": judge}) if isinstance(judge, str) else judge for judge in judges]
    samples = [
        Sample(id=str(index), prompt=prompt, chain=chain, image=Path(image) if image is not None else None)
        for index, (image, prompt, chain) in enumerate(zip(images, prompts, chains, strict=True))
    ]
    columns: dict[str, list[Any]] = {"prompt": list(prompts), "image": [None if i is None else str(i) for i in images]}
    for name, outcomes in score_samples(samples, live).items():
        columns[name] = [outcome.value if isinstance(outcome, Score) else float("nan") for outcome in outcomes]
        columns[f"{name}/why"] = ["" if isinstance(outcome, Score) else outcome.why.value for outcome in outcomes]
    return pd.DataFrame(columns)


def read_manifest(source: Path) -> list[Sample]:
    """The samples that a folder or a manifest names.

    A folder gives a sample a picture, its prompt being the file name, up to a ``_`` followed by six digits where there
    is one. A CSV, JSONL or Parquet file needs a column ``prompt`` and at least one of ``image`` (relative to the
    manifest) and ``chain``; ``category`` groups the table, other columns are kept with the sample.

    Raises:
        UsageError: nothing is there, or of an unknown kind.
        DataError: the manifest lacks a column, or a row lacks its prompt.
    """
    if source.is_dir():
        samples = _folder_samples(source)
    elif source.is_file():
        samples = _manifest_samples(source)
    else:
        raise UsageError(f"{source}: no such folder or manifest")
    if not samples:
        raise UsageError(f"{source}: holds nothing to score")
    return samples


def _folder_samples(folder: Path) -> list[Sample]:
    from benchmarks.layouts import prompt_of

    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES and path.is_file())
    numbering = _Numbering(folder.name)
    return [
        Sample(id=numbering.next("all", prompt_of(path)), prompt=prompt_of(path), image=path.absolute())
        for path in files
    ]


class _Numbering:
    """Ids of samples as benchmarks have them: pictures of one prompt differ in the last part only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.prompts: dict[tuple[str, str], int] = {}
        self.images: Counter[tuple[str, str]] = Counter()

    def next(self, category: str, prompt: str) -> str:
        key = (category, prompt)
        index = self.prompts.setdefault(key, len(self.prompts))
        self.images[key] += 1
        return sample_id(self.name, category, index, self.images[key] - 1)


def _manifest_samples(manifest: Path) -> list[Sample]:
    rows = _read_table(manifest)
    grouped = any(row.get("category") for _, row in rows)
    numbering = _Numbering(manifest.stem)
    samples: list[Sample] = []
    for line, row in rows:
        prompt = row.get("prompt")
        if not isinstance(prompt, str):
            raise DataError(f"expected a text under 'prompt', got {prompt!r}", path=manifest, line=line)
        chain, image = row.get("chain"), row.get("image")
        for column, value in (("chain", chain), ("image", image)):
            if value is not None and not isinstance(value, str):
                raise DataError(f"expected a text or nothing under {column!r}, got {value!r}", path=manifest, line=line)
        if image is None and chain is None:
            raise DataError("the row has neither 'image' nor 'chain'", path=manifest, line=line)
        category = str(row.get("category") or ("no category" if grouped else "all"))
        if grouped and category == "all":
            raise DataError(
                "a category cannot be called 'all', which is the row of the whole table", path=manifest, line=line
            )
        meta = {str(key): _plain(value) for key, value in row.items() if key not in _COLUMNS} | {"category": category}
        path = (manifest.parent / image).absolute() if image is not None else None
        name = numbering.next(category, prompt)
        samples.append(Sample(id=name, prompt=prompt, chain=chain, image=path, meta=meta))
    return samples


def _plain(value: object) -> Json:
    """A column's value as strict JSON: what JSON has no form for (dates, NaN, arrays) as text."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        return str(value)


def _read_table(manifest: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line, row) of a manifest; empty cells are None."""
    if manifest.suffix == ".jsonl":
        return list(read_rows(manifest, ours=False))
    import pandas as pd

    try:
        if manifest.suffix == ".csv":
            table = pd.read_csv(manifest, dtype=str, keep_default_na=False, na_values=[""])
        elif manifest.suffix == ".parquet":
            table = read_parquet(manifest)
        else:
            raise UsageError(f"{manifest}: expected a folder or a .csv, .jsonl or .parquet file")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read as {manifest.suffix}: {one_line(error)}", path=manifest) from None
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [(line, {str(key): value for key, value in row.items()}) for line, row in enumerate(rows, start=2)]
