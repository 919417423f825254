"""WISE's prompts, each with the explanation by which its pictures are judged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.wise.protocols import Protocol
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.facts import object_fact
from gotr1_eval.core.types import Json, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A prompt of either protocol; `id` is 1 to 1,000, and what its picture is called."""

    id: int
    prompt: str
    explanation: str
    subcategory: str

    def fact(self) -> dict[str, Json]:
        """What a sample's `meta` holds of it, under `fact_name`."""
        return {"prompt_id": self.id, "explanation": self.explanation, "subcategory": self.subcategory}


def fact_name(protocol: Protocol) -> str:
    """The key of `Sample.meta` that holds a prompt's explanation: another one for each protocol."""
    return f"wise_{protocol.name}"


def fact_of(sample: Sample, protocol: Protocol) -> Mapping[str, Any] | None:
    """The fact of a sample; None for prompts of other benchmarks."""
    fact = object_fact(sample, fact_name(protocol)) or {}
    return fact if {"prompt_id", "explanation"} <= fact.keys() else None


def read_items(folder: Path, protocol: Protocol) -> dict[str, list[Item]]:
    """Category -> its prompts in the order of their ids, of a folder with the protocol's files.

    Raises:
        DataError: a file is missing or holds something else, an id stands there twice or belongs to no category.
    """
    items: dict[int, Item] = {}
    for name in protocol.prompt_files:
        for item in _read(folder / name):
            if protocol.subject_of(item.id) is None:
                raise DataError(
                    f"prompt_id {item.id} belongs to no category of WISE {protocol.name}", path=folder / name
                )
            if items.setdefault(item.id, item) is not item:
                raise DataError(f"prompt_id {item.id} stands there twice", path=folder / name)
    ordered = [items[prompt_id] for prompt_id in sorted(items)]
    return {
        protocol.category(subject): [item for item in ordered if item.id in ids]
        for subject, ids in protocol.ids.items()
    }


def _read(path: Path) -> Sequence[Item]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [
            Item(
                id=int(row["prompt_id"]),
                prompt=str(row["Prompt"]),
                explanation=str(row["Explanation"]),
                subcategory=str(row.get("Subcategory", "")),
            )
            for row in rows
        ]
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"expected a list of objects with prompt_id, Prompt and Explanation ({error!r})", path=path
        ) from None
