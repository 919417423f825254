"""LongText-Bench's ``results.jsonl``: a row a picture, with what was wanted and what was read.

The official summary overwrites the file it has read: the wanted list becomes one text, and counts are added. On a
second run it would be taken for a list and joined letter by letter; here such a row's counts are taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.longtext.texts import Language, clean, compare
from benchmarks.rendered_text import Match
from benchmarks.semantics import UndefinedScoreError
from gotr1_eval.core.errors import DataError
from gotr1_eval.files.jsonl import read_rows

_CHINESE = re.compile("[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class ReadResults:
    """The compared pictures of a file, their language, and a line for each kind of what is odd about it."""

    language: Language
    pictures: tuple[Match, ...]
    remarks: tuple[str, ...]


def read_results(path: Path) -> ReadResults:
    """A file of results, before or after the official summary; its language is that of the wanted texts.

    Raises:
        DataError: a row is of another kind, or no picture has a text that counts.
    """
    rows = list(read_rows(path, ours=False))
    language: Language = "zh" if any(_CHINESE.search("".join(row.get("ocr_gt") or "")) for _, row in rows) else "en"
    pictures, summed, undefined = [], 0, 0
    for line, row in rows:
        gold, read = row.get("ocr_gt"), row.get("ocr_results")
        if isinstance(gold, str) and type(row.get("gt_word_count")) is int:
            pictures.append(_counted(row))
            summed += 1
        elif isinstance(gold, list) and isinstance(read, str) and all(isinstance(one, str) for one in gold):
            try:
                pictures.append(compare(gold, clean(read, "reference"), language, "reference"))
            except UndefinedScoreError:
                undefined += 1
        else:
            raise DataError("expected ocr_gt, a list of texts, and ocr_results, a text", path=path, line=line)
    if not pictures:
        raise DataError("expected results.jsonl of LongText-Bench's script, a row a picture", path=path)
    return ReadResults(language, tuple(pictures), tuple(_remarks(summed, undefined)))


def _counted(row: dict[str, Any]) -> Match:
    return Match(int(row["match_word_count"]), int(row["gt_word_count"]), ())


def _remarks(summed: int, undefined: int) -> Sequence[str]:
    lines = []
    if summed:
        lines.append(f"{summed} rows were summed up by the official script already; their counts are taken as they are")
    if undefined:
        lines.append(f"{undefined} pictures have no wanted text that counts: the official script ends there")
    return lines
