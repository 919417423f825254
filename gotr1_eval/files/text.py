"""Text files as people write them: which encoding a file has is read from its bytes, never guessed from a setting.

A byte order mark says UTF-8, UTF-16 or UTF-32; zeros beside the first letters say UTF-16; everything else is UTF-8.
What is not is Windows-1252 (Excel's "CSV" in the West) where its bytes make sense as such, and refused where they do
not: Russian, Polish and Chinese code pages hold other letters under the same bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import IO

from gotr1_eval.core.errors import DataError, one_line

BLOCK = 1 << 16
"""Bytes that are decoded at once."""

Remark = Callable[[str], None]
"""Is told what is worth knowing about a file that could be read all the same."""

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_UTF_8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_LETTER = r"[^\W\d_]"
_WESTERN = re.compile(r"\S*[^\x00-\x7f]\S*")
_PROOF = re.compile(r"[A-Za-z][À-ÖØ-öø-þœŒ’]|[À-ÖØ-öø-þœŒ‘][A-Za-z]|[“”–—…°½€]")
"""What speaks for a Western text: an accented letter beside a plain one, typographic marks."""
_FOREIGN = re.compile(
    # What no Western text holds: three accented letters in a row, a sign inside a word, two rare signs in a row.
    rf"[À-ÖØ-öø-ÿŒœŠšŽžŸ]{{3}}"
    rf"|{_LETTER}[‚„ƒ†‡ˆ‰‹›˜¤¦¨¬¯¸¹²³°±µ¶§«»¿¡¢£¥€™•“”×÷]{_LETTER}"
    r"|[‚ƒ†‡ˆ‰‹˜¤¦¨¬¯¸¹¢¥ªº±¶][^\x00-\x7f]"
)


def read_lines(file: IO[bytes], place: str, remark: Remark) -> Iterator[str]:
    """The lines of a text with their ends, read in blocks.

    Lines end with a line feed, and with a carriage return only in a text whose first block has no line feed.

    Raises:
        DataError: the bytes are in no encoding that can be told for sure; names the line.
    """
    end, rest = "", ""
    for text in _decoded(file, place, remark):
        end = end or ("\n" if "\n" in text or "\r" not in text else "\r")
        *lines, rest = (rest + text).split(end)
        for line in lines:
            yield line + end
    if rest:
        yield rest


def _decoded(file: IO[bytes], place: str, remark: Remark) -> Iterator[str]:
    first = file.read(BLOCK)
    name = next((name for mark, name in _MARKS.items() if first.startswith(mark)), None) or _by_zeros(first)
    decoder = codecs.getincrementaldecoder(name)()
    only_ascii, lines, block = True, 1, first
    while True:
        before = decoder.getstate()[0]
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            place_line = lines + before.count(b"\n") + block[: max(error.start - len(before), 0)].count(b"\n")
            if name != "utf-8" or not only_ascii or not error.object[: error.start].isascii():
                raise DataError(_unreadable(name), path=place, line=place_line) from None
            name, decoder = "cp1252", codecs.getincrementaldecoder("cp1252")()
            text = _western(before + block, place, place_line, remark)
        else:
            text = _western(block, place, lines, None) if name == "cp1252" else text
        yield text
        if not block:
            return
        only_ascii, lines = only_ascii and text.isascii(), lines + text.count("\n")
        block = file.read(BLOCK)


def _by_zeros(first: bytes) -> str:
    """UTF-16 without its mark, as some exports have it: every other of the first bytes is zero."""
    even, odd = first[:8:2], first[1:8:2]
    if len(first) >= 4 and not any(odd) and all(even):
        return "utf-16-le"
    return "utf-16-be" if len(first) >= 4 and not any(even) and all(odd) else "utf-8"


def _western(block: bytes, place: str, line: int, remark: Remark | None) -> str:
    """The text of a block of Windows-1252.

    Raises:
        DataError: it is another encoding, or a mixture.
    """
    if _UTF_8.search(block):
        raise DataError(f"{_unreadable('utf-8')} (some of it is UTF-8)", path=place, line=line)
    try:
        text = block.decode("cp1252")
    except UnicodeDecodeError:
        raise DataError(_unreadable("utf-8"), path=place, line=line) from None
    if _FOREIGN.search(text) or (remark is not None and not _PROOF.search(text)):
        raise DataError(_unreadable("utf-8"), path=place, line=line)
    if remark is not None and (found := _WESTERN.search(text)) is not None:
        remark(f"{place}: not UTF-8, read as Windows-1252, such as {one_line(found[0], 60)!r} in line {line}")
    return text


def _unreadable(name: str) -> str:
    return f"not a text in {name.removesuffix('-sig').upper()}; save it as UTF-8"
