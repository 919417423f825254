"""Scores from the answers of language-vision models that were asked for a JSON object."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading.claims import (
    REPLACED,
    Claim,
    agreed,
    claims_in,
    innermost,
    is_of_others,
    names_scale,
    refuse_declined,
    refuse_scale_texts,
    refuse_stated_scales,
    texts_behind,
    texts_of,
)
from gotr1_eval.core.reading.context import (
    Standing,
    announces_correction,
    blanked,
    is_cut,
    is_revised,
    name_of,
    refuse_other_scale,
    refuse_other_unit,
    refuse_revision,
    standing,
    stands_alone,
)
from gotr1_eval.core.reading.literals import Items, Leaf, Pairs, State, Structure, Value, find_structures
from gotr1_eval.core.reading.numbers import is_placeholder, plain_number, read_number
from gotr1_eval.core.reading.prose import (
    MOST_DECLARATIONS,
    SYNONYMS,
    agreed_in_prose,
    cells_under,
    declared_in_prose,
    in_code,
    read_table,
    tables_in,
)
from gotr1_eval.core.reading.reply import UnreadableReply, answer_part, nothing_found, own_turn

_COMMENT = re.compile(r"(?:/\*|//)\s*(?:(?:out\s+of|of|max(?:imum)?:?)\s*|/)([0-9]+(?:\.[0-9]+)?)", re.I)
_REPLACING = ("final_", "corrected_", "revised_", "updated_", "adjusted_", "amended_", "new_", "true_", "actual_")
_DESCRIBE = {"caption", "captions", "description", "descriptions", "prompt", "ocr"}
"""Fields that tell what is to be seen, where 8/12 is a time or a share and no score."""
_SCORE_NAMES = {name_of(name) for name in SYNONYMS}


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer as it is searched.

    Attributes:
        text: the answer.
        prose: the same with every object and list blanked out.
        structures: those objects and lists.
    """

    text: str
    prose: str
    structures: Sequence[Structure]
    finish: str | None
    low: float
    high: float

    def missing(self, name: str) -> UnreadableReply:
        """The error for a score that is not there."""
        return nothing_found(self.text, f'"{name}"', finish=self.finish, cut=is_cut(self.structures))


def read_score(text: str, *, low: float, high: float, key: str = "score", finish: str | None = None) -> float:
    """The score that an answer declares.

    Args:
        text: the answer, verbatim.
        low: lowest score that was asked for.
        high: highest; a stated scale ("8/10") must end here.
        key: the object's key that was asked for, in any letter case; also ``final_<key>``, ``overall_<key>``, and for
            "score" its synonyms.
        finish: why the model stopped ("stop", "length", ...), where known.

    Returns:
        A number in [low, high].

    Raises:
        UnreadableReply: none can be read with certainty; the rules stand at the top of the package.
    """
    return read_scores(text, names=(key,), low=low, high=high, finish=finish)[key]


def read_scores(
    text: str,
    *,
    names: Sequence[str],
    low: float,
    high: float,
    finish: str | None = None,
    labelled: bool | None = None,
) -> dict[str, float]:
    """Several named scores from one answer, all or none.

    Args:
        text: the answer, verbatim.
        names: what was asked for; also written ``<name>_score``; each may hold its number or an object with a
            "score", also one object deeper.
        low: lowest score that was asked for.
        high: highest.
        finish: why the model stopped, where known.
        labelled: a score counts only under its own name, and not as the only number, a verdict or an "answer"; by
            default where several were asked for.

    Returns:
        The names in the order given, each with a number in [low, high].

    Raises:
        UnreadableReply: one of them cannot be read with certainty.
    """
    answer = _searched(text, low=low, high=high, finish=finish)
    labelled = len(names) > 1 if labelled is None else labelled
    keys = _keys(names, labelled=labelled)
    declared = _declared_objects(answer, set().union(*keys.values()))
    if not declared and name_of(names[0]) == "score" and len(names) == 1:
        keys = {names[0]: _SCORE_NAMES | {f"{which}_rating" for which in ("final", "overall")}}
        declared = _declared_objects(answer, keys[names[0]])
    if declared:
        scores = {name: _in_objects(answer, declared, name, keys[name], alone=len(names) == 1) for name in names}
        end = declared[-1].end
        _refuse_other_words(answer, declared, scores, set().union(*keys.values()))
    elif not labelled:
        scores, end = _one_in_prose(answer, names[0])
    else:
        scores, end = _several_in_prose(answer, names)
    refuse_declined(own_turn(text, finish=finish), answer.structures)
    refuse_revision(answer.prose, end, scores, high=high)
    refuse_other_scale(answer.prose, high, scores.values())
    return scores


def read_score_list(
    text: str, *, count: int, low: float, high: float, key: str = "score", finish: str | None = None
) -> list[float]:
    """The scores of an object that holds a list of them: ``{"score": [8, 7]}``, as VIEScore asks for.

    Args:
        text: the answer, verbatim.
        count: how many were asked for.
        low: lowest score that was asked for.
        high: highest.
        key: the key of the list.
        finish: why the model stopped, where known.

    Returns:
        `count` numbers in [low, high]. Strings are no numbers here, and a single number stands for a list of one.

    Raises:
        UnreadableReply: they cannot be read with certainty.
    """
    answer = _searched(text, low=low, high=high, finish=finish)
    declared = _declared_objects(answer, {name_of(key)})
    if not declared:
        raise answer.missing(key)
    lists = [_one_list(one, key, count) for one in declared]
    if any(one != lists[-1] for one in lists):
        raise UnreadableReply("The answer gives several different lists of scores.")
    for one in declared:
        refuse_stated_scales(one.value, high=high, alone=count == 1)
    refuse_declined(own_turn(text, finish=finish), answer.structures)
    refuse_revision(answer.prose, declared[-1].end, {})
    return [read_number(value, low=low, high=high) for value in lists[-1]]


def _one_list(structure: Structure, key: str, count: int) -> list[Value]:
    claims = [claim.value for claim in claims_in(structure.value, {name_of(key)})]
    if len(claims) != 1 or (isinstance(claims[0], Items) and not claims[0].closed):
        raise UnreadableReply(f'One list of {count} numbers was asked for under "{key}".')
    values = claims[0].values if isinstance(claims[0], Items) else claims
    if len(values) != count or any(plain_number(value) is None for value in values):
        raise UnreadableReply(f'{count} numbers were asked for under "{key}", not these.')
    return values


def _searched(text: str, *, low: float, high: float, finish: str | None) -> _Answer:
    answer = answer_part(text, finish=finish)
    structures = find_structures(answer, ended=finish == "stop")
    return _Answer(answer, blanked(answer, structures), structures, finish, low, high)


def _keys(names: Sequence[str], *, labelled: bool) -> dict[str, set[str]]:
    """The keys under which each name is looked for; one that says "revised" is another declaration of the same."""
    keys = {name: {f"{which}{name_of(name)}" for which in ("", *_REPLACING)} for name in names}
    if not labelled:
        (own,), (name,) = keys.values(), keys
        own |= {f"overall_{name_of(name)}", *(f"{name_of(name)}_{which}".strip("_") for which in _REPLACING)}
        if name_of(name) == "score":
            own |= {f"{which}{other}" for which in _REPLACING for other in ("rating", "mark", "grade")}
            own |= REPLACED
        return keys
    return {name: own | {f"{one}_score" for one in own} for name, own in keys.items()}


def _declared_objects(answer: _Answer, keys: Collection[str]) -> list[Structure]:
    """The structures that give one of the keys a value and are the answer by the words around them, in order.

    One whose words are unclear is among them only beside others: it must not say anything else.

    Raises:
        UnreadableReply: a later answer was begun and cut off.
    """
    found: list[Structure] = []
    clear = False
    for structure in answer.structures:
        claims = [inner for claim in claims_in(structure.value, keys) for inner in innermost(claim)]
        if all(is_placeholder(claim.value) for claim in claims):
            continue
        if len(found) > MOST_DECLARATIONS:
            raise UnreadableReply("The answer repeats itself without an end.")
        meant = standing(answer.prose, structure.start)
        if meant is Standing.QUOTED or in_code(answer.text, structure):
            continue
        refuse_other_unit(answer.prose, structure.end, answer.high)
        if stands_alone(answer.prose, structure.end):
            found.append(structure)
            clear = clear or meant is Standing.MEANT
    if not clear:
        return []
    last = answer.structures[-1]
    if last is not found[-1] and is_cut([last]) and isinstance(last.value, Pairs):
        raise UnreadableReply("The answer was cut off inside its last object.", why=Why.TRUNCATED)
    return found


def _refuse_other_words(
    answer: _Answer, declared: Sequence[Structure], scores: Mapping[str, float], keys: Collection[str]
) -> None:
    """Refuse objects whose own texts state another scale or take the value before them back, and those after prose that
    declares one other score.

    Several different scores in the prose before are a rubric, and do not count.

    Raises:
        UnreadableReply: they do.
    """
    for structure in declared:
        refuse_stated_scales(structure.value, high=answer.high, alone=len(scores) == 1)
        for text in texts_of(structure.value):
            refuse_other_scale(text, answer.high, ())
        for text in texts_of(structure.value, but=_DESCRIBE):
            refuse_other_scale(text, answer.high, scores.values())
        behind = texts_behind(structure.value, keys)
        if any(is_revised(text, scores, high=answer.high, reasons=True) for text in behind):
            raise UnreadableReply("The answer revises its value after declaring it.")
        if any(float(top) != answer.high for top in _COMMENT.findall(answer.text, structure.start, structure.end)):
            raise UnreadableReply(f"The scale asked for ends at {answer.high:g}, a comment names another.")
    before = answer.prose[: declared[0].start]
    for name, value in scores.items():
        found = [one for one in declared_in_prose(before, (name,), verdicts=False) if one.number is not None]
        others = {one.value(low=answer.low, high=answer.high) for one in found}
        if len(others) == 1 and others != {value} and not announces_correction(before[found[-1].end :]):
            raise UnreadableReply(f"The answer gives several different scores: {sorted(others | {value})}.")


def _in_objects(
    answer: _Answer, declared: Sequence[Structure], name: str, keys: Collection[str], *, alone: bool
) -> float:
    """The one value that all objects give a name, or the last where the words before it announce a correction.

    Raises:
        UnreadableReply: they differ without such words, one cannot be read, or none holds the name.
    """
    values: list[tuple[Structure, float]] = []
    for structure in declared:
        claims = list(claims_in(structure.value, keys))
        if claims:
            value = agreed(claims, low=answer.low, high=answer.high, alone=alone)
            values.append((structure, value))
    if not values:
        raise answer.missing(name)
    for (earlier, one), (later, other) in pairwise(values):
        if one != other and not announces_correction(answer.prose[earlier.end : later.start]):
            raise UnreadableReply(f"The answer gives several different scores: {sorted({one, other})}.")
    return values[-1][1]


def _broken_parts(answer: str, structures: Sequence[Structure]) -> str:
    """The answer without the structures that could be read as they stand."""
    return blanked(answer, [one for one in structures if one.state is not State.BROKEN])


def _quoted_pairs(answer: str, key: str) -> list[Claim]:
    """``"score": 8`` in an object that other faults make unreadable, if it was closed at the very end."""
    if not re.search(r"[}\]][\s`]{0,12}\Z", answer[-16:]):
        return []
    pair = re.compile(
        rf"[\"']{re.escape(key)}[\"']\s{{0,4}}:\s{{0,4}}(?P<value>[^,}}\n:]{{0,80}}?)(?=[,}}\n]"
        rf"|\"\w{{1,40}}\"\s{{0,4}}:)",
        re.I,
    )
    return [Claim(Leaf(match["value"].strip("\"' \t\r")), True) for match in pair.finditer(answer)]


def _one_in_prose(answer: _Answer, name: str) -> tuple[dict[str, float], int]:
    """The score that prose, a table or a broken object gives, with the place where it ends."""
    names = (name, *SYNONYMS) if name_of(name) == "score" else (name,)
    found = declared_in_prose(answer.prose, names)
    values = _in_tables(answer, {name_of(each) for each in names})
    if found:
        values.add(agreed_in_prose(answer.prose, found, low=answer.low, high=answer.high))
    elif not values and (quoted := _quoted_pairs(_broken_parts(answer.text, answer.structures), name)):
        values.add(agreed(quoted, low=answer.low, high=answer.high, alone=True))
    if not values:
        raise answer.missing(name)
    if len(values) > 1:
        raise UnreadableReply(f"The answer gives several different scores: {sorted(values)[:5]}.")
    return {name: values.pop()}, found[-1].end if found else _end_of_last(answer)


def _end_of_last(answer: _Answer) -> int:
    """Where the last table or object ends."""
    return max(answer.prose.rfind("|") + 1, *(one.end for one in answer.structures), 0)


def _in_tables(answer: _Answer, names: Collection[str]) -> set[float]:
    """The values that tables give a score of the names."""
    columns = _SCORE_NAMES | {"score", "mark", "value", "points"}
    for table in tables_in(answer.prose):
        refuse_scale_texts(cells_under(table, names_scale), high=answer.high)
    cells = [cell for table in tables_in(answer.prose) for cell in read_table(table, names, columns, is_of_others)]
    return {read_number(Leaf(cell), low=answer.low, high=answer.high) for cell in cells}


def _several_in_prose(answer: _Answer, names: Sequence[str]) -> tuple[dict[str, float], int]:
    """The scores that labelled lines, a table or lines under headings give, with where the last ends."""
    found = {name: declared_in_prose(answer.prose, (name,), verdicts=False) for name in names}
    scores: dict[str, float] = {}
    sections = _sections(answer.prose, names)
    ends = [each[-1].end for each in found.values() if each]
    for name in names:
        values = _in_tables(answer, {name_of(name), f"{name_of(name)}_score"})
        if found[name]:
            values.add(agreed_in_prose(answer.prose, found[name], low=answer.low, high=answer.high))
        elif not values and name in sections:
            start, section = sections[name]
            if own := declared_in_prose(section, ("score", "rating"), verdicts=False):
                values.add(agreed_in_prose(section, own, low=answer.low, high=answer.high))
                ends.append(start + own[-1].end)
        if not values:
            raise answer.missing(name)
        if len(values) > 1:
            raise UnreadableReply(f"The answer gives several different scores for {name}: {sorted(values)[:5]}.")
        scores[name] = values.pop()
    return scores, max(ends, default=_end_of_last(answer))


def _sections(prose: str, names: Sequence[str]) -> Mapping[str, tuple[int, str]]:
    """The text under the heading of each name ("## Clarity"), and where it begins, where it has exactly one."""
    wanted = {name_of(name): name for name in names}
    heading = re.compile(r"^[ \t]*(?:#{1,6}|[0-9]{1,2}[.)]|\*\*)[ \t]*(?P<title>[^\n:]{1,60}?)[*:_ \t]*$", re.M)
    marks = list(heading.finditer(prose))
    ends = [*(mark.start() for mark in marks[1:]), len(prose)][: len(marks)]
    titles = [name_of(mark["title"]) for mark in marks]
    return {
        wanted[title]: (mark.end(), prose[mark.end() : end])
        for title, mark, end in zip(titles, marks, ends, strict=True)
        if title in wanted and titles.count(title) == 1
    }
