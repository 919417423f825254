"""Scores declared in prose instead of JSON.

Exactly these shapes count, and no other number in prose does:

- a label at the start of a line or sentence: ``Score: 8``, ``**Final score:** 8/10``, ``The answer is 8.``;
- one sentence that gives its verdict: ``I would rate this 8 out of 10.``, ``I give it a score of 8.``;
- a tag or box: ``<score>8</score>``, ``<answer>8</answer>``, ``\\boxed{8}``;
- a table with a header, whose row or column is named by the score;
- an answer that is nothing but a number, fences and markup aside: ``8``, ``8/10``, ``7 points``.

A label followed by digits that do not read as one number (``Score: 8-9``) is a declaration that cannot be read; it is
not passed over in favour of another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gotr1_eval.core.reading.context import Standing, announces_correction, is_revised, name_of, standing
from gotr1_eval.core.reading.literals import Structure
from gotr1_eval.core.reading.numbers import NUMBER, SCALED, checked, is_remark
from gotr1_eval.core.reading.reply import UnreadableReply

SYNONYMS = (
    *("rating", "grade", "评分", "得分", "分数", "打分", "总分", "評分", "スコア", "評価", "점수", "평점", "Bewertung"),
    *("Punktzahl", "Puntuación", "Pontuação", "Punteggio", "оценка"),
)
"""Other names of the score, where one score was asked for under that very name."""

MOST_DECLARATIONS = 100
"""More of them are a runaway repetition."""

_UNIT = r"(?:[ \t]*(?:points?|pts\.?|分|点|점)(?![^\W_])(?!\s{1,3}[0-9]))?"
_REMARK = (
    r"(?:[ \t]*\((?P<paren>[^()\n]{0,160})\)[.!]?|(?:,|[ \t]+[-–—])[ \t]*(?P<dash>[^\W\d][^\n0-9]{0,400})"
    r"|[ \t]*\((?P<open>[^\W\d][^()\n0-9]{0,400}))"
)
_TAIL = (
    rf"[*_`\"')}}\]$]{{0,4}}{_UNIT}[*_`\"')}}\]$]{{0,4}}"
    rf"(?:{_REMARK}(?=[ \t]*(?:\n|\Z|[.!;]?\s))|(?=\s*\Z|[ \t]*\n|[.!;](?:\s|\Z)|\s*</|<\||[ \t]+(?:because|since|as it"
    rf"|as the|as there)\b))"
)
_DECLARED = re.compile(SCALED + _TAIL, re.I)
_DIGIT = re.compile(r"[-+~≈]?\s?[0-9]")
_WHOLE = re.compile(rf"[\s`*_#\"'(]{{0,12}}(?:json|text)?\s*{SCALED}{_UNIT}[\s`*_\"').]*", re.I)
_TAG = re.compile(r"</?(?:answer|score|rating|result|final|output|response|conclusion)>|<\|[a-z_]+\|>|=", re.I)
_VERDICT = re.compile(
    r"\bI(?:['’]d| would| will|['’]ll| can| am going to)?\s+(?:rate|give|score|assign|award)\b"
    r"(?P<middle>[^.!?\n0-9]{0,80}?)(?<![0-9./])(?=[0-9])",
    re.I,
)
_NEUTRAL = re.compile(
    r"(?:\b(?:an?|as|at|with|of|this|that|the|it|its?|overall|final|total|generated|image|picture|result|plan|layout"
    r"|chain|text"
    r"|description|answer|score|rating|mark)\b|[\s*_`:,\"'])*+",
    re.I,
)
"""A verdict on anything more special, the colours say, is not the score; nor is one with a condition or a negation."""
_LANGUAGE = re.compile(r"^[ \t]*```[ \t]*(?P<language>\w*)[^\n]*$", re.M)
_DATA = {
    "",
    "json",
    "json5",
    "jsonc",
    "text",
    "txt",
    "markdown",
    "md",
    "yaml",
    "plaintext",
    "xml",
    "html",
    "answer",
    "output",
}
_FINAL = {"final", "corrected", "revised", "updated", "adjusted", "new", "overall", "total", "最终"}


@dataclass(frozen=True, slots=True)
class Declared:
    """A number declared in prose, at [start, end); without a number it cannot be read.

    Attributes:
        end: of the number with its scale, before any remark.
        final: its own label says that it replaces an earlier one.
    """

    start: int
    end: int
    number: str | None = None
    scale: str | None = None
    final: bool = False

    def value(self, *, low: float, high: float) -> float:
        """The number, checked against its scale.

        Raises:
            UnreadableReply: there is none, or it is not on the scale.
        """
        if self.number is None:
            raise UnreadableReply(f"The score is not one plain number from {low:g} to {high:g}.")
        return checked(self.number, self.scale, low=low, high=high)


def declared_in_prose(text: str, names: Sequence[str], *, verdicts: bool = True) -> list[Declared]:
    """Every declaration of a score in prose, in order.

    Args:
        text: the answer, with its structures blanked out.
        names: what the score is called.
        verdicts: also take the shapes that do not name it (a verdict with its scale, a lone number, ``\\boxed{8}``).
    """
    labels = (*names, "answer") if verdicts else tuple(names)
    found: list[Declared | None] = []
    marks = list(_label(labels, verdicts).finditer(text))
    if len(marks) > MOST_DECLARATIONS:
        raise UnreadableReply("The answer repeats itself without an end.")
    end, meant = -1, Standing.MEANT
    for label in marks:
        # Lines that follow each other directly share the words before the first.
        if not (meant is Standing.QUOTED and text.count("\n", end, label.end()) == 1):
            meant = _standing(text, label)
        end = label.end()
        if meant is not Standing.QUOTED:
            found.append(_declaration(text, label.start(), label.end(), label, clear=meant is Standing.MEANT))
    if verdicts:
        found += _verdicts(text, names[0])
        if whole := _WHOLE.fullmatch(_TAG.sub("", text[:200])) if len(text) <= 200 else None:
            found.append(Declared(0, len(text), whole["number"], whole["scale"]))
    known = [one for one in found if one is not None and not _in_code(text, one.start)]
    return sorted(known, key=lambda one: (one.end, one.start))


def agreed_in_prose(text: str, found: Sequence[Declared], *, low: float, high: float) -> float:
    """The one value of all declarations, or the last one where its words announce that it replaces the others.

    Raises:
        UnreadableReply: they differ, or one cannot be read.
    """
    values = [one.value(low=low, high=high) for one in found]
    first = next(place for place in range(len(values)) if all(value == values[-1] for value in values[place:]))
    if first:
        # "</final> or <final>" announces nothing: what a tag is called is no word of the answer.
        between = _TAG.sub(" ", text[found[first - 1].end : found[first].start])
        if not (found[first].final or announces_correction(between)):
            raise UnreadableReply(f"The answer gives several different scores: {sorted(set(values))[:5]}.")
    return values[-1]


def _standing(text: str, label: re.Match[str]) -> Standing:
    """How a label is meant; a tag says of itself that it is an answer, unless somebody else does."""
    found = standing(text, label.start() + len(label["before"] or ""))
    return Standing.MEANT if label["tag"] and found is Standing.UNCLEAR else found


def _declaration(
    text: str, start: int, position: int, label: re.Match[str] | None = None, *, clear: bool = True
) -> Declared | None:
    """What the digits at `position` declare; None when no digits stand there.

    Args:
        clear: the words before it say that it is meant; else it cannot be read.
    """
    if not _DIGIT.match(text, position):
        return None
    match = _DECLARED.match(text, position)
    remark = "" if match is None else next((match[name] for name in ("paren", "dash", "open") if match[name]), "")
    if match is None or not clear or not is_remark(remark):
        return Declared(start, position)
    end = match.end("scale") if match["scale"] else match.end("number")
    if is_revised(text[end : text.find("\n", end) % (len(text) + 1)], {"score": float(match["number"])}):
        return Declared(start, position)
    top = label["top"].strip(".") if label and label["top"] else None
    final = label is not None and bool(_FINAL & set((label["which"] or "").lower().split()))
    return Declared(start, end, match["number"], match["scale"] or top, final)


def _verdicts(text: str, key: str) -> Iterator[Declared | None]:
    named = _words(key)
    for match in _VERDICT.finditer(text):
        if not _NEUTRAL.fullmatch(match["middle"]) or standing(text, match.start(), strict=False) is Standing.QUOTED:
            continue
        one = _declaration(text, match.start(), match.end())
        if one is not None and (one.scale or re.search(rf"\b{named}\s+of\s*[*_`]*$", match["middle"], re.I)):
            yield one


def _in_code(text: str, position: int) -> bool:
    """Whether the position lies in a fence of a programming language."""
    fences = [fence["language"].lower() for fence in _LANGUAGE.finditer(text, 0, position)]
    return len(fences) % 2 == 1 and fences[-1] not in _DATA


def in_code(text: str, structure: Structure) -> bool:
    """Whether a structure is only a part of sample code: in such a fence, among other words."""
    if not _in_code(text, structure.start):
        return False
    opening, closing = text.rfind("```", 0, structure.start), text.find("```", structure.end)
    before = re.sub(r"\A```\w*", "", text[opening : structure.start])
    return bool(before.strip() or text[structure.end : closing if closing >= 0 else None].strip())


@lru_cache(maxsize=256)
def _label(names: tuple[str, ...], boxed: bool) -> re.Pattern[str]:
    """The label of a score, up to where its number must begin."""
    named = "(?:" + "|".join(_words(name) for name in names) + ")"
    return re.compile(
        r"(?P<before>(?:^|(?<=[.!?;]\s)|(?<=<answer>)"
        r"|(?<=<output>))[ \t*#_`\"'{(•|✅⭐★→➡▶👉📊🏆\ufe0f-]{0,12}(?:[0-9]{1,2}[.)][ \t]+[*_`]{0,3})?"
        r"(?:(?:so|thus|therefore|hence|overall|in conclusion|answer)[,:]?[ \t]+)?)"
        r"(?P<which>(?:(?:my|the|your|final|overall|total|corrected|revised|updated|adjusted|new|最终|综合|总体)"
        r"[ \t]*){0,3})"
        rf"{named}(?:[ _]score)?[*_`\"')]{{0,4}}[ \t]{{0,3}}"
        r"(?:[(\[][^()\n0-9]{0,20}(?:[0-9.]{1,5}[^()\n0-9]{1,6})?(?P<top>[0-9.]{1,6})[)\]][*_`]{0,3}[ \t]{0,3})?"
        r"(?::|=|\bis\b|是|为)\s{0,4}[*_`\"'(]{0,4}[ \t]{0,3}"
        r"|^[ \t]{0,3}(?:#{1,6}[ \t]{0,3}|\*\*|__)[*_]{0,3}(?:(?:final|overall|total|my)[ \t])?"
        rf"{named}(?:[ _]score)?"
        r"[*_]{0,3}[ \t]{0,3}\n{1,2}[ \t*_]{0,4}(?=[0-9])"
        rf"|(?P<tag><(?:parameter=)?(?:(?:(?:final|overall)[ _-])?{named}|rating|result|final|output|response"
        rf"|conclusion)>)\s{{0,4}}(?=[^<>\n]{{1,20}}</)"
        r"|(?P<boxed>" + (r"\\boxed\{|<\|begin_of_box\|>\s{0,4}" if boxed else "(?!)") + ")",
        re.I | re.M,
    )


def _words(key: str) -> str:
    return r"[ _\\-]{1,2}".join(re.escape(word) for word in re.split(r"[ _-]+", key) if word)


def tables_in(text: str) -> list[list[list[str]]]:
    """The cells of every table with a header, row by row, the header first."""
    tables: list[list[list[str]]] = []
    rows: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        if "|" in line and len(line) < 2000:
            rows.append([cell.strip(" \t*_`") for cell in line.strip().strip("|").split("|")])
            continue
        if len(rows) > 2 and all(re.fullmatch(r":?-+:?", cell) for cell in rows[1]):
            tables.append([rows[0], *rows[2:]])
        rows = []
    return tables


def read_table(
    table: Sequence[Sequence[str]], names: Collection[str], columns: Collection[str], others: Callable[[str], bool]
) -> list[str]:
    """The cells of a table that give the score of a name: its row's under a score, or its column's in the only row.

    Args:
        names: the score's names, as `name_of` writes them.
        columns: of what other columns hold scores; one without a heading does.
        others: whether a row's heading tells that its numbers are no scores.
    """
    header, rows = [_heading(cell) for cell in table[0]], table[1:]
    if {"meaning", "description", "definition", "label"} & set(header):
        return []
    if any(len(row) != len(header) for row in rows):
        return []  # without the odd row another would seem to be the only one
    named = [row for row in rows if _heading(row[0]) in names]
    if not named and len(rows) == 1:
        if header[0] not in names and others(_heading(rows[0][0])):
            return []
        return [cell for title, cell in zip(header, rows[0], strict=True) if title in names]
    cells: list[str] = []
    for row in named or [row for row in rows if _heading(row[0]) in {"overall", "total", "final", "final_score"}]:
        titled = list(zip(header[1:], row[1:], strict=True))
        scored = [cell for title, cell in titled if title in columns]
        judged = [cell for title, cell in titled if title in _JUDGED and re.match(NUMBER, cell)]
        cells += scored or judged
    return cells


_JUDGED = {"", "verdict", "result", "evaluation", "assessment", "judgement", "judgment", "answer", "final", "overall"}
"""Headings of columns that may hold a score, where none is called so."""


def cells_under(table: Sequence[Sequence[str]], names_it: Callable[[str], bool]) -> list[str]:
    """The numbers of a table in the columns and rows of such headings."""
    places = [place for place, title in enumerate(table[0]) if names_it(_heading(title))]
    cells = [row[place] for row in table[1:] for place in places if place < len(row)]
    cells += [cell for row in table[1:] if names_it(_heading(row[0])) for cell in row[1:]]
    return [cell for cell in cells if re.match(NUMBER, cell)]


def _heading(cell: str) -> str:
    return name_of(re.sub(r"[(\[].*", "", cell))
