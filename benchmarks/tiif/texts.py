"""TIIF-Bench's numbers for rendered text: how far the words that were read are from those asked for.

Source: A113N-W3I/TIIF-Bench@3aae750, eval/cal_gned_and_recall_models.py. Read pieces are cut at single blanks, so that
two blanks leave an empty word between them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.types import Json

MOST_APART = 0.3
"""Normalised edit distance up to which a word that was read is the word asked for."""


def edit_distance(one: str, other: str) -> float:
    """Levenshtein's distance over the longer length, in [0, 1]; 0 for two empty texts."""
    longest = max(len(one), len(other))
    if not longest:
        return 0.0
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, start=1):
        before, row = row, [at]
        for place, another in enumerate(other, start=1):
            row.append(min(before[place] + 1, row[-1] + 1, before[place - 1] + (char != another)))
    return row[-1] / longest


def words_of(pieces: Sequence[str]) -> list[str]:
    """The words of the pieces that a text reader gave."""
    return [word for piece in pieces for word in piece.split(" ")]


def gned(asked: Sequence[str], pieces: Sequence[str]) -> float:
    """Edit distance of the best matching of words, in [0, 1]; a word without a partner costs 1 (lower is better)."""
    from scipy.optimize import linear_sum_assignment  # takes a second to import

    read = words_of(pieces)
    if not asked and not read:
        return 0.0
    costs = np.array([[edit_distance(word, gold) for gold in asked] for word in read], dtype=np.float64)
    costs = costs.reshape(len(read), len(asked))
    matched = float(costs[linear_sum_assignment(costs)].sum())
    return (matched + abs(len(read) - len(asked))) / max(len(read), len(asked))


def recall(asked: Sequence[str], pieces: Sequence[str]) -> float | None:
    """The share of asked words that were read, each read word standing for one; None where none was asked for.

    Words are matched greedily in their order, so that an early word may take the partner of a later one.
    """
    if not asked:
        return None
    read, found = words_of(pieces), 0
    for gold in asked:
        place = next((at for at, word in enumerate(read) if edit_distance(gold, word) <= MOST_APART), None)
        if place is not None:
            del read[place]
            found += 1
    return found / len(asked)


@dataclass(frozen=True, slots=True)
class TextResults:
    """Means over the pictures of either prompt length: length -> (GNED, recall, number of pictures)."""

    means: Mapping[str, tuple[float, float | None, int]]

    def json(self) -> dict[str, Json]:
        """The numbers as JSON values."""
        return {
            length: {"gned": distance, "recall": share, "pictures": count}
            for length, (distance, share, count) in self.means.items()
        }

    def __str__(self) -> str:
        return "\n".join(
            f"{length}: GNED {distance:.4f} (lower is better), recall {'none' if share is None else f'{share:.4f}'}, "
            f"{count} pictures"
            for length, (distance, share, count) in self.means.items()
        )


def read_text_results(path: Path) -> TextResults:
    """The numbers of a file of read texts: rows with the asked words as ``text``, and PaddleOCR's results.

    Raises:
        DataError: it is no such file.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        pairs = {
            length: [
                ([word.lower() for word in row["text"]], _pieces(row[f"{length}_image_ocr_results"])) for row in rows
            ]
            for length in ("short", "long")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"expected rows with text, short_image_ocr_results and long_image_ocr_results ({error!r})", path=path
        ) from None
    if not pairs["short"]:
        raise DataError("no row in this file", path=path)
    return TextResults({length: _means(found) for length, found in pairs.items()})


def _pieces(results: Sequence[Any]) -> list[str]:
    """The texts of PaddleOCR's [box, [text, score]] entries; one empty text where nothing was read, as officially."""
    return [str(entry[1][0]).lower() for entry in results] if results else [""]


def _means(pairs: Sequence[tuple[list[str], list[str]]]) -> tuple[float, float | None, int]:
    distances = [gned(asked, pieces) for asked, pieces in pairs]
    shares = [share for asked, pieces in pairs if (share := recall(asked, pieces)) is not None]
    return sum(distances) / len(distances), sum(shares) / len(shares) if shares else None, len(pairs)
