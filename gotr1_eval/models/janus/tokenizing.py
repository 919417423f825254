"""The tokenizer of a Janus: read by file, with GoT-R1's four tokens, ids looked up by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gotr1_eval.core.chain import BEGIN_OF_IMAGE, BOX_END, BOX_START, OBJ_END, OBJ_START
from gotr1_eval.core.errors import DataError
from gotr1_eval.models.checkpoint import read_tokenizer
from gotr1_eval.models.janus.sequence import BOS, PAD

GOT_TOKENS = (BOX_START, BOX_END, OBJ_START, OBJ_END)
"""In the order in which the released GoT-R1 script adds them, which decides their ids."""
_NEEDED = (BOS, PAD, BEGIN_OF_IMAGE)


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    """The tokenizer; GoT-R1's tokens are added where the files do not have them, as its released script does.

    Raises:
        UsageError: there is no tokenizer.json.
        DataError: it is damaged, or lacks a token that every Janus has.
    """
    path = folder / "tokenizer.json"
    tokenizer = read_tokenizer(folder)
    known = tokenizer.get_vocab()
    missing = [token for token in _NEEDED if token not in known]
    if missing:
        raise DataError(f"the tokenizer lacks {', '.join(missing)}; use the checkpoint's own tokenizer", path=path)
    tokenizer.add_tokens(list(GOT_TOKENS))
    return tokenizer


def check_ids(folder: Path, tokenizer: Any, rows: int) -> None:  # noqa: ANN401
    """The model must embed every id; it may embed more.

    Raises:
        DataError: the highest id has no row.
    """
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise DataError(
            f"a token has id {highest}, but the model embeds {rows} only; use the checkpoint's own tokenizer",
            path=folder / "tokenizer.json",
        )
