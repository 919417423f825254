"""Questions about pictures of the shapes world: those that a statement asks for, and their answers, computed.

Is there a red circle in the picture?          Are there red circles in the picture?
Is a circle red?                               How many red circles are in the picture?
Is the red circle on the left of the blue square?
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from PIL import Image

from gotr1_eval.core.checklist import NUMBERS, Question
from gotr1_eval.core.geometry import Relation, relation_score
from gotr1_eval.core.types import Box
from gotr1_eval.shapes.detecting import find_objects
from gotr1_eval.shapes.scene import Kind, read_kind
from gotr1_eval.shapes.statements import RELATION_PHRASES, Stated, Statement

HOLDS = 0.5
"""Least `relation_score` of a relation that holds, as T2I-CompBench's verdict has it."""
_MANY = "many"
"""The answer to a count beyond ten."""
_PLACE = "|".join(re.escape(phrase) for phrase in RELATION_PHRASES.values())
_WITHIN = r" in the picture\?"
_COUNT = re.compile(rf"How many (?P<name>[a-z ]+?) are{_WITHIN}")
_PRESENCE = re.compile(rf"(?:Is there an? |Are there )(?P<name>[a-z ]+?){_WITHIN}")
_RELATION = re.compile(rf"Is the (?P<first>[a-z ]+?) (?P<place>{_PLACE}) the (?P<second>[a-z ]+?)\?")
_ATTRIBUTE = re.compile(r"Is an? (?P<name>[a-z ]+?) (?P<attribute>[a-z]+)\?")


def statement_questions(statement: Statement) -> tuple[Question, ...]:
    """The checklist of a statement: of each group its presence, attributes and number, and the relation."""
    return tuple(_questions(statement))


def _questions(statement: Statement) -> Iterator[Question]:
    counted = any(group.count > 1 for group in statement.groups)
    for place, group in enumerate(statement.groups, start=1):
        kind, shape = group.kind, Kind(group.kind.shape)
        yield Question(id=f"{place}", text=presence_question(shape), tag="object")
        if kind.colour is not None:
            text = attribute_question(shape, kind.colour)
            yield Question(id=f"{place} colour", text=text, parents=(f"{place}",), tag="attribute")
        if kind.texture is not None:
            coloured = Kind(kind.shape, kind.colour)
            text = attribute_question(coloured, kind.texture)
            yield Question(id=f"{place} texture", text=text, parents=(f"{place}",), tag="attribute")
        if counted:
            yield Question(
                id=f"{place} count",
                text=count_question(kind),
                answers=(count_word(group.count),),
                parents=(f"{place}",),
                tag="count",
            )
    if statement.relation is not None:
        first, second = statement.groups[:2]
        text = relation_question(first, statement.relation, second)
        yield Question(id="relation", text=text, parents=("1", "2"), tag="relation")


def presence_question(kind: Kind) -> str:
    """Whether there is such an object."""
    return f"Is there {_article(kind.name)} {kind.name} in the picture?"


def attribute_question(kind: Kind, attribute: str) -> str:
    """Whether one of the objects has the colour or texture."""
    return f"Is {_article(kind.name)} {kind.name} {attribute}?"


def count_question(kind: Kind) -> str:
    """How many there are."""
    plural = f"{kind.name}es" if kind.name.endswith("s") else f"{kind.name}s"
    return f"How many {plural} are in the picture?"


def relation_question(first: Stated, relation: Relation, second: Stated) -> str:
    """Whether the relation holds between two of them."""
    return f"Is the {first.kind.name} {RELATION_PHRASES[relation]} the {second.kind.name}?"


def count_word(count: int) -> str:
    """The word for a count; ``zero`` for none, ``many`` beyond ten."""
    return "zero" if count == 0 else (list(NUMBERS)[count - 1] if count <= len(NUMBERS) else _MANY)


def _article(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"


def answer_question(text: str, picture: Image.Image) -> str | None:
    """The answer (yes, no, or a word for a count) to the one question of this world in a text; None without one."""
    answers = []
    for pattern, answer in _READERS:
        answers += [answer(match, picture) for match in pattern.finditer(text)]
    return answers[0] if len(answers) == 1 else None


def _count(match: re.Match[str], picture: Image.Image) -> str | None:
    boxes = _boxes(match["name"], picture)
    return None if boxes is None else count_word(len(boxes))


def _presence(match: re.Match[str], picture: Image.Image) -> str | None:
    return _yes(_boxes(match["name"], picture))


def _attribute(match: re.Match[str], picture: Image.Image) -> str | None:
    """A kind that states the attribute, too, is the one that is asked for."""
    return _yes(_boxes(f"{match['attribute']} {match['name']}", picture))


def _relation(match: re.Match[str], picture: Image.Image) -> str | None:
    first, second = _boxes(match["first"], picture), _boxes(match["second"], picture)
    if first is None or second is None:
        return None
    relation = next(name for name, phrase in RELATION_PHRASES.items() if phrase == match["place"])
    pairs = [(one, other) for one in first for other in second if one != other]
    return _yes([one for one, other in pairs if relation_score(relation, one, other) >= HOLDS])


def _boxes(name: str, picture: Image.Image) -> list[Box] | None:
    """Where the objects of a name are; None for a name that is none of this world."""
    kind = read_kind(name)
    return None if kind is None else [box for seen, box, _ in find_objects(picture) if kind.fits(seen)]


def _yes(found: Sequence[Box] | None) -> str | None:
    return None if found is None else "yes" if found else "no"


_READERS = ((_COUNT, _count), (_PRESENCE, _presence), (_RELATION, _relation), (_ATTRIBUTE, _attribute))
