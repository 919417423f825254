"""The names of UniDet's 722 classes, read from the user's copy of T2I-CompBench.

The list is `UniDet_eval/dataset/detection_features.pt` of that repository, under "labels"; 677 of its names differ.
It is not the list in UniDet's own repository, which orders some classes otherwise.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gotr1_eval.core.errors import DataError, LabelError, nearest_name, one_line

FILE_NAME = "detection_features.pt"


def read_labels(path: Path, count: int) -> tuple[str, ...]:
    """The names by class.

    Args:
        path: ``detection_features.pt``, or a ``.json`` file with a list of names.
        count: how many names there must be.

    Raises:
        DataError: the file cannot be read or holds something else.
    """
    labels = _read_json(path) if path.suffix == ".json" else _read_torch(path)
    if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
        raise DataError("expected a list of names, or one under 'labels'", path=path)
    if len(labels) != count:
        raise DataError(f"expected the names of {count} classes, got {len(labels)}", path=path)
    return tuple(labels)


def _read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"not a JSON file that can be read: {one_line(error)}", path=path) from None
    return content.get("labels") if isinstance(content, dict) else content


def _read_torch(path: Path) -> Any:  # noqa: ANN401 - whatever was saved
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise DataError(f"not a file of labels that can be read: {one_line(error, 160)}", path=path) from None
    return content.get("labels") if isinstance(content, dict) else None


class Vocabulary:
    """Finds classes by name: a whole label, or one of the names that a label joins by commas ("table, desk").

    Case does not matter. A class of two names answers to both, and two classes may answer to one name.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._classes: dict[str, list[int]] = {}
        for number, label in enumerate(labels):
            for name in dict.fromkeys(_plain(name) for name in (label, *label.split(","))):
                self._classes.setdefault(name, []).append(number)

    def classes(self, name: str) -> list[int]:
        """The classes that answer to a name.

        Raises:
            LabelError: there is none.
        """
        found = self._classes.get(_plain(name))
        if found is None:
            hint = nearest_name(_plain(name), self._classes)
            raise LabelError(f"UniDet has no class named {one_line(repr(name), 80)}{hint}")
        return found


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
