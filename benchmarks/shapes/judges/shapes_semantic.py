"""R_sem for the shapes world: four dimensions of the chain, computed from prompt and chain.

The dimensions of the paper's rubric (section 3.1), each 0 to 10 in `parts`, the value their mean over 10:
    completeness   share of the stated objects that the chain names
    faithfulness   share of the named objects that the prompt states, halved when the stated relation is contradicted
    consistency    how much of the chain reads as a statement of this world
    clarity        share of the objects without a defect, halved when the chain does not close itself, and lowered to
                   the share of sentences that are not said twice

A sentence that is said again word for word costs clarity and nothing else; a sentence without a word of this world's
shapes is neither held against the chain nor counted for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gotr1_eval.core.chain import BEGIN_OF_IMAGE, Chain, parse_chain
from gotr1_eval.core.geometry import Relation
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.names import name_words
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Settings as StrictSettings
from gotr1_eval.shapes.scene import SHAPES, Kind, read_kind
from gotr1_eval.shapes.statements import RELATION_PHRASES, Statement, read_prompt

VERSION = 3
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Settings(StrictSettings):
    """Nothing to set."""


class ShapesSemanticJudge:
    """Scores the words of a chain against a prompt of the shapes world."""

    name = "shapes_semantic"
    range = (0.0, 1.0)
    fingerprint = fingerprint({"judge": "shapes_semantic", "version": VERSION})
    may_not_apply = False
    looks_at: LooksAt = "prose"
    needs = frozenset[str]()
    model_calls = 0

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NO_INPUT` for a missing chain or a prompt that is not of this world."""
        return [_judge(sample) for sample in samples]


def build(settings: Settings, workshop: Workshop) -> ShapesSemanticJudge:
    """The judge; needs no settings and no model."""
    return ShapesSemanticJudge()


def _judge(sample: Sample) -> Outcome:
    statement = read_prompt(sample.prompt)
    if statement is None:
        return Unscored(why=Why.NO_INPUT, detail="the prompt is not a sentence of the shapes world")
    if sample.chain is None:
        return Unscored(why=Why.NO_INPUT, detail="the sample has no chain")
    chain, unique = _without_repetition(parse_chain(sample.chain))
    named = [read_kind(planned.name) for planned in chain.objects]
    shared = _shared(statement.kinds, named)
    said = read_prompt(_as_prompt(_about_shapes(chain.prose)))
    parts = {
        "completeness": 10 * shared / len(statement.kinds),
        "faithfulness": 10 * _share(shared, len(named)) * (0.5 if _contradicts(said, statement) else 1.0),
        "consistency": 10.0 if said else 5 * _share(sum(kind is not None for kind in named), len(named)),
        "clarity": 10 * _clarity(chain) * unique,
    }
    return Score(value=sum(parts.values()) / 40, parts=parts)


def _without_repetition(chain: Chain) -> tuple[Chain, float]:
    """The chain without sentences that stand there again word for word, and the share of those that are left."""
    sentences = _SENTENCE_END.split(chain.text.strip())
    unique = list(dict.fromkeys(sentences))
    if len(unique) == len(sentences):
        return chain, 1.0
    return parse_chain(" ".join(unique) + (BEGIN_OF_IMAGE if chain.ended else "")), len(unique) / len(sentences)


def _about_shapes(prose: str) -> str:
    """The sentences that name a shape; all of them when none does."""
    sentences = _SENTENCE_END.split(prose)
    kept = [sentence for sentence in sentences if any(word in SHAPES for word in name_words(sentence))]
    return " ".join(kept or sentences)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _shared(stated: Sequence[Kind], named: Sequence[Kind | None]) -> int:
    """How many stated objects are named, each name used once. A plain name may mean a solid one."""
    left = list(named)
    count = 0
    for kind in stated:
        match = next((index for index, other in enumerate(left) if other and _solid(kind) == _solid(other)), None)
        if match is not None:
            del left[match]
            count += 1
    return count


def _solid(kind: Kind) -> Kind:
    return Kind(kind.shape, kind.colour, kind.texture or "solid")


def _as_prompt(prose: str) -> str:
    """The chain's sentence in the words of a prompt: "a red circle is above ..." -> "a red circle above ..."."""
    text = prose.lower()
    for phrase in RELATION_PHRASES.values():
        text = text.replace(f" is {phrase} ", f" {phrase} ")
    return text


_OPPOSITE = {
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}


def _contradicts(said: Statement | None, stated: Statement) -> bool:
    """Whether the chain's own words put the two objects in another relation than the prompt does."""
    if said is None or said.relation is None or stated.relation is None:
        return False
    subject, other = (_solid(group.kind) for group in stated.groups[:2])
    first, second = (_solid(group.kind) for group in said.groups[:2])
    if (first, second) == (subject, other):
        return said.relation is not stated.relation
    if (first, second) == (other, subject):
        return said.relation is not _OPPOSITE[stated.relation]
    return False


def _clarity(chain: Chain) -> float:
    sound = sum(not planned.defects for planned in chain.objects)
    return _share(sound, len(chain.objects) + len(chain.defects)) * (1.0 if chain.ended else 0.5)
