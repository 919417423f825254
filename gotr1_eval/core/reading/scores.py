"""Scores from the answers of language-vision models that were asked for a JSON object."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading.literals import Items, Leaf, Pairs, State, Structure, Value, find_structures
from gotr1_eval.core.reading.numbers import is_placeholder, plain_number, read_number
from gotr1_eval.core.reading.prose import declared_in_prose, refuse_other_mention
from gotr1_eval.core.reading.reply import UnreadableReply, answer_part, nothing_found
from gotr1_eval.core.reading.structures import blanked, is_cut, is_example, name_of, refuse_revision

_EXPLANATIONS = {"reason", "reasons", "reasoning", "explanation", "rationale", "analysis", "comment", "comments"}
_WRAPPERS = {
    "answer",
    "assessment",
    "evaluation",
    "final_answer",
    "judgement",
    "judgment",
    "output",
    "response",
    "result",
}
_SCALES = {"max", "max_score", "maximum", "maximum_score", "out_of", "scale"}
_INNER = {"score", "value", "rating"}


@dataclass(frozen=True, slots=True)
class _Claim:
    """A value that stands under an asked key.

    Attributes:
        plain: the key stands in the outermost object, or under names that say nothing ("result").
        scale: the sibling that states the scale, where there is one.
    """

    value: Value
    plain: bool
    scale: Value | None


def read_score(text: str, *, low: float, high: float, key: str = "score", finish: str | None = None) -> float:
    """The score that an answer declares.

    Args:
        text: the answer, verbatim.
        low: lowest score that was asked for.
        high: highest; a stated scale ("8/10") must end here.
        key: the object's key that was asked for, in any letter case; also ``final_<key>``, ``overall_<key>``.
        finish: why the model stopped ("stop", "length", ...), where known.

    Returns:
        A number in [low, high].

    Raises:
        UnreadableReply: none can be read with certainty; the rules stand at the top of the package.
    """
    answer = answer_part(text, finish=finish)
    structures = find_structures(answer, ended=finish == "stop")
    names = {name_of(key), f"final_{name_of(key)}", f"overall_{name_of(key)}"}
    last = _last_with_claims(answer, structures, names, finish=finish)
    prose = declared_in_prose(blanked(answer, structures), key) if finish != "length" else []
    if prose and (last is None or prose[-1].end > last.end):
        refuse_revision(answer, prose[-1].end)
        value = prose[-1].value(low=low, high=high)
        refuse_other_mention(answer, prose[-1].end, key, value)
        return value
    if last is not None:
        refuse_revision(answer, last.end)
        value = _agreed(_claims(last.value, names), low=low, high=high)
        refuse_other_mention(blanked(answer, structures), last.end, key, value)
        return value
    if finish != "length" and (quoted := _quoted_pairs(_broken_parts(answer, structures), key)):
        return _agreed(quoted, low=low, high=high)
    raise nothing_found(answer, f'"{key}"', finish=finish, cut=is_cut(structures))


def read_scores(
    text: str, *, names: Sequence[str], low: float, high: float, finish: str | None = None
) -> dict[str, float]:
    """Several named scores from one answer, all or none.

    Args:
        text: the answer, verbatim.
        names: what was asked for; also written ``<name>_score``; each may hold its number or an object with a
            "score", also one object deeper.
        low: lowest score that was asked for.
        high: highest.
        finish: why the model stopped, where known.

    Returns:
        The names in the order given, each with a number in [low, high].

    Raises:
        UnreadableReply: one of them cannot be read with certainty.
    """
    if len(names) == 1:
        return {names[0]: read_score(text, low=low, high=high, key=names[0], finish=finish)}
    answer = answer_part(text, finish=finish)
    structures = find_structures(answer, ended=finish == "stop")
    wanted = {name: name_of(name) for name in names}
    every = set(wanted.values()) | {f"{asked}_score" for asked in wanted.values()}
    last = _last_with_claims(answer, structures, every, finish=finish)
    if last is None:
        return _in_prose(blanked(answer, structures), names, low=low, high=high, finish=finish, cut=is_cut(structures))
    refuse_revision(answer, last.end)
    scores: dict[str, float] = {}
    for name, asked in wanted.items():
        claims = [inner for claim in _claims(last.value, {asked, f"{asked}_score"}) for inner in _inner(claim)]
        if not claims:
            raise nothing_found(answer, f'"{name}"', finish=finish, cut=is_cut([last]))
        scores[name] = _agreed(claims, low=low, high=high)
        refuse_other_mention(blanked(answer, structures), last.end, name, scores[name])
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
    answer = answer_part(text, finish=finish)
    structures = find_structures(answer, ended=finish == "stop")
    last = _last_with_claims(answer, structures, {name_of(key)}, finish=finish)
    if last is None:
        raise nothing_found(answer, f'"{key}"', finish=finish, cut=is_cut(structures))
    claims = [claim.value for claim in _claims(last.value, {name_of(key)})]
    refuse_revision(answer, last.end)
    if len(claims) != 1 or (isinstance(claims[0], Items) and not claims[0].closed):
        raise UnreadableReply(f'One list of {count} numbers was asked for under "{key}".')
    values = claims[0].values if isinstance(claims[0], Items) else claims
    if len(values) != count or any(plain_number(value) is None for value in values):
        raise UnreadableReply(f'{count} numbers were asked for under "{key}", not these.')
    return [read_number(value, low=low, high=high) for value in values]


def _last_with_claims(
    answer: str, structures: Sequence[Structure], names: Collection[str], *, finish: str | None
) -> Structure | None:
    """The last structure that gives one of the names a value, examples with placeholders aside.

    Raises:
        UnreadableReply: a later answer was begun and cut off.
    """
    for structure in reversed(structures):
        claims = [inner for claim in _claims(structure.value, names) for inner in _inner(claim)]
        if any(not is_placeholder(claim.value) for claim in claims) and not is_example(answer, structure):
            if is_cut(structures) and structure is not structures[-1] and isinstance(structures[-1].value, Pairs):
                raise UnreadableReply("The answer was cut off inside its last object.", why=Why.TRUNCATED)
            return structure
    return None


def _claims(value: Value, names: Collection[str], *, plain: bool = True) -> Iterator[_Claim]:
    """Whatever stands under one of the names, at any depth but inside explanations."""
    if isinstance(value, Items):
        for item in value.values:
            yield from _claims(item, names, plain=plain)
    if not isinstance(value, Pairs):
        return
    scale = next((inner for key, inner in value.pairs if name_of(key) in _SCALES), None)
    for key, inner in value.pairs:
        name = name_of(key)
        if name in names:
            yield _Claim(inner, plain, scale)
        elif name not in _EXPLANATIONS:
            yield from _claims(inner, names, plain=plain and name in _WRAPPERS)


def _inner(claim: _Claim) -> Iterator[_Claim]:
    """The claim itself, or those of the object it holds ("completeness": {"score": 8, "reason": ...})."""
    if isinstance(claim.value, Pairs):
        yield from (_Claim(inner.value, True, inner.scale) for inner in _claims(claim.value, _INNER))
    else:
        yield _Claim(claim.value, True, claim.scale)


def _agreed(claims: Iterable[_Claim], *, low: float, high: float) -> float:
    """The one number on which all claims of an answer agree.

    Raises:
        UnreadableReply: they differ, one cannot be read, or none of them stands where it was asked for.
    """
    known = list(claims)
    if not any(claim.plain for claim in known):
        raise UnreadableReply("The score stands only under other names, not in the answer's own object.")
    for claim in known:
        _check_scale(claim.scale, high=high)
    values = {read_number(claim.value, low=low, high=high) for claim in known}
    if len(values) != 1:
        raise UnreadableReply(f"The answer gives several different scores: {sorted(values)[:5]}.")
    return values.pop()


def _check_scale(scale: Value | None, *, high: float) -> None:
    """A sibling such as ``"out_of": 100`` must state the scale that was asked for."""
    numbers = re.findall(r"[0-9]+(?:\.[0-9]+)?", scale.text[:80]) if isinstance(scale, Leaf) else []
    if numbers and float(numbers[-1]) != high:
        raise UnreadableReply(f"The scale asked for ends at {high:g}, the answer's at {numbers[-1]}.")


def _broken_parts(answer: str, structures: Sequence[Structure]) -> str:
    """The answer without the structures that could be read as they stand."""
    return blanked(answer, [one for one in structures if one.state is not State.BROKEN])


def _quoted_pairs(answer: str, key: str) -> list[_Claim]:
    """``"score": 8`` in an object that other faults make unreadable, if it was closed at the very end."""
    if not re.search(r"[}\]][\s`]{0,12}\Z", answer[-16:]):
        return []
    pair = re.compile(
        rf"[\"']{re.escape(key)}[\"']\s{{0,4}}:\s{{0,4}}(?P<value>[^,}}\n:]{{0,80}}?)(?=[,}}\n]|\"\w{{1,40}}\"\s{{0,4}}:)",
        re.I,
    )
    return [_Claim(Leaf(match["value"].strip("\"' \t\r")), True, None) for match in pair.finditer(answer)]


def _in_prose(
    answer: str, names: Sequence[str], *, low: float, high: float, finish: str | None, cut: bool
) -> dict[str, float]:
    """The last labelled line of each name ("Completeness: 8/10")."""
    scores: dict[str, float] = {}
    for name in names:
        found = declared_in_prose(answer, name, verdicts=False) if finish != "length" else []
        if not found:
            raise nothing_found(answer, f'"{name}"', finish=finish, cut=cut)
        refuse_revision(answer, found[-1].end)
        scores[name] = found[-1].value(low=low, high=high)
        refuse_other_mention(answer, found[-1].end, name, scores[name])
    return scores
