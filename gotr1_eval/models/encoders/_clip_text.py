"""CLIP's tokenizer, from the files that its publishers ship.

Vocabulary and merges are read by file and handed to transformers' `CLIPTokenizer`; nothing is fetched here.
The original tokenizer first repairs and unescapes the text. Of this the parts that touch real prompts are done: HTML
entities, curly quotes, ligatures, full-width forms, control
characters, white space. Mis-decoded text ("naÃ¯ve") is not repaired.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTokenizer

from gotr1_eval.core.errors import DataError, UsageError, one_line

OPENAI_FILE = "bpe_simple_vocab_16e6.txt.gz"
"""The merges as OpenAI, open_clip and HPSv2 ship them."""
START, END = "<|startoftext|>", "<|endoftext|>"
_LAYOUTS = (("tokenizer.json",), ("vocab.json", "merges.txt"), (OPENAI_FILE,))
Pieces = tuple[dict[str, int], list[tuple[str, str]]]
"""Token -> id, and the pairs that are joined, first come first."""
_OPENAI_MERGES = 49152 - 256 - 2
_QUOTES = str.maketrans(dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("“”„‟", '"'))


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer that `load_tokenizer` reads."""
    return any(all((folder / name).is_file() for name in names) for names in _LAYOUTS)


def load_tokenizer(source: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    """The tokenizer.

    Args:
        source: a folder with ``tokenizer.json``, with ``vocab.json`` and ``merges.txt``, or with OpenAI's
            `OPENAI_FILE`; or that file itself.

    Raises:
        UsageError: none of these is there.
        DataError: a file is damaged, or lacks the two markers that every text stands between.
    """
    folder = source if source.is_dir() else source.parent
    fast, vocabulary, merges = (folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt"))
    openai = source if source.is_file() else folder / OPENAI_FILE
    if source.is_dir() and fast.is_file():
        return _build(fast, _read_fast)
    if source.is_dir() and vocabulary.is_file() and merges.is_file():
        return _build(vocabulary, _read_pair)
    if openai.is_file():
        return _build(openai, _read_openai)
    raise UsageError(
        f"no CLIP tokenizer at {source}; give a folder with tokenizer.json, or with vocab.json and merges.txt, or "
        f"{OPENAI_FILE} (setting 'tokenizer')"
    )


def _build(path: Path, read: Callable[[Path], Pieces]) -> Any:  # noqa: ANN401
    try:
        vocabulary, merges = read(path)
        tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges)
    # The tokenizers library raises bare Exception for merges that do not fit the vocabulary.
    except Exception as error:  # noqa: BLE001
        raise DataError(f"not a CLIP tokenizer file: {one_line(error)}", path=path) from None
    missing = [token for token in (START, END) if token not in vocabulary]
    if missing:
        raise DataError(f"the vocabulary lacks {' and '.join(missing)}; expected CLIP's", path=path)
    return tokenizer


def _read_fast(path: Path) -> Pieces:
    content = json.loads(path.read_text(encoding="utf-8"))
    added = {token["content"]: token["id"] for token in content.get("added_tokens", [])}
    return content["model"]["vocab"] | added, [_pair(merge) for merge in content["model"]["merges"]]


def _read_pair(path: Path) -> Pieces:
    lines = path.with_name("merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [_pair(line) for line in lines if line.strip() and not line.startswith("#version")]
    return json.loads(path.read_text(encoding="utf-8")), merges


def _read_openai(path: Path) -> Pieces:
    """OpenAI's file holds more merges than CLIP uses; the vocabulary follows from those it does."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        merges = [_pair(line) for line in file.read().split("\n")[1 : 1 + _OPENAI_MERGES]]
    characters = _byte_characters()
    tokens = [*characters, *(f"{one}</w>" for one in characters), *(a + b for a, b in merges), START, END]
    return {token: index for index, token in enumerate(tokens)}, merges


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    left, right = merge.split() if isinstance(merge, str) else merge
    return left, right


def _byte_characters() -> list[str]:
    """One visible character a byte, in the order of CLIP's vocabulary: printable Latin-1 first, then stand-ins."""
    printable = [byte for byte in range(256) if 0x21 <= byte <= 0x7E or (byte >= 0xA1 and byte != 0xAD)]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(256 - len(printable))]


def clean_text(text: str) -> str:
    """The text as CLIP's tokenizer wants it: entities resolved, plain quotes, single spaces."""
    encodable = text.encode("utf-8", "replace").decode("utf-8").translate(_QUOTES)
    plain = "".join(_plain(sign) for sign in encodable)
    return " ".join(html.unescape(html.unescape(plain)).split())


def _plain(sign: str) -> str:
    """Ligatures and full-width forms as the letters they stand for, control characters as nothing."""
    if "\ufb00" <= sign <= "\ufb06" or "\uff01" <= sign <= "\uffef":
        return unicodedata.normalize("NFKC", sign)
    return "" if unicodedata.category(sign) == "Cc" and not sign.isspace() else sign


def tokenizer_digest(tokenizer: Any) -> str:  # noqa: ANN401
    """A digest of everything the tokenizer does to a text."""
    facts = json.loads(tokenizer.backend_tokenizer.to_str())
    # Set by the last call, not by the files.
    facts |= {"truncation": None, "padding": None}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def token_ids(
    tokenizer: Any,  # noqa: ANN401
    texts: Sequence[str],
    length: int,
    clean: Callable[[str], str] = clean_text,
) -> torch.Tensor:
    """int64 [texts, length]: marker, text cut to fit, marker, and padding that the model never looks at."""
    encoded = tokenizer(
        [clean(text) for text in texts],
        padding="max_length",
        truncation=True,
        max_length=length,
        return_tensors="pt",
    )
    ids: torch.Tensor = encoded["input_ids"]
    return ids


def tokens_cut_off(
    tokenizer: Any,  # noqa: ANN401
    texts: Sequence[str],
    length: int,
    clean: Callable[[str], str] = clean_text,
) -> list[int]:
    """How many tokens of each text `token_ids` leaves out."""
    lengths = map(len, tokenizer([clean(text) for text in texts])["input_ids"]) if texts else ()
    return [max(each - length, 0) for each in lengths]


def encodable_text(text: str) -> str:
    """The text as transformers' own processors take it; halves of characters cannot be handed to a tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")
