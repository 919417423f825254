"""Questions part: one question about a picture whose answer is computed; what it expects is true, or false in one way.

A judge that answers questions is asked with the expected answer that is right, and with one that is wrong: an object
that is not there, an attribute of its neighbour, a count off by one, the opposite relation. A judge that says yes to
everything fails the false ones, and one that says no to everything fails the true ones and the honest denial.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from benchmarks.audit.cases import Case, Check, Looks, Part, Variant, is_no, is_yes
from benchmarks.audit.scenes import PLAIN_COLOURS, WRITING_ROW, absent_name, painted, scenery
from gotr1_eval.core.checklist import QUESTIONS, Question, write_questions
from gotr1_eval.core.types import Json
from gotr1_eval.shapes.layout import place
from gotr1_eval.shapes.questions import (
    attribute_question,
    count_question,
    count_word,
    presence_question,
    relation_question,
)
from gotr1_eval.shapes.scene import SHAPES, Kind, Scene, read_kind
from gotr1_eval.shapes.statements import Stated, Statement, write_prompt

TRUE = ("object", "attribute", "count", "relation", "absent, expects no")
FALSE = ("absent object", "swapped attribute", "count off by one", "denied relation")
MOST = 4
"""Objects of a counted group."""


def asks(text: str, answer: str = "yes") -> Mapping[str, Json]:
    """The facts of a prompt with this one question."""
    return {QUESTIONS: [*write_questions([Question(id="1", text=text, answers=(answer,))])]}


def make(seed: str, count: int) -> list[Case]:
    """Cases with all the questions, about two pictures each: two objects in a relation, and a counted group."""
    rng = random.Random(seed)
    return [_case(rng) for _ in range(count)]


def _case(rng: random.Random) -> Case:
    base = scenery(rng)
    first, second = base.statement.groups
    absent = presence_question(read_kind(absent_name(rng, base.scene)) or first.kind)
    shape = Kind(first.kind.shape)
    about_pair = {
        "object": asks(presence_question(first.kind)),
        "attribute": asks(attribute_question(shape, first.kind.colour or "")),
        "relation": asks(relation_question(first, base.relation, second)),
        "absent, expects no": asks(absent, "no"),
        "absent object": asks(absent),
        "swapped attribute": asks(attribute_question(shape, second.kind.colour or "")),
        "denied relation": asks(relation_question(first, base.opposite().relation, second)),
    }
    draw = painted(base.scene)
    variants = {role: Variant(prompt=base.prompt, picture=draw, facts=facts) for role, facts in about_pair.items()}
    number, kind = rng.randint(2, MOST), Kind(rng.choice(SHAPES), rng.choice(PLAIN_COLOURS))
    group = _group(number, kind, rng)
    prompt, counted = write_prompt(Statement((Stated(kind, number),))), painted(group)
    wrong = number + rng.choice((-1, 1))
    for role, said in (("count", number), ("count off by one", wrong)):
        facts = asks(count_question(kind), count_word(said))
        variants[role] = Variant(prompt=prompt, picture=counted, facts=facts)
    return Case(Looks.QUESTIONS, variants, {"relation": base.relation.value, "number": number})


def _group(number: int, kind: Kind, rng: random.Random) -> Scene:
    while True:
        scene = place([Kind(kind.shape, kind.colour, "solid")] * number, rng)
        if all(placed.box.y2 <= WRITING_ROW for placed in scene.objects):
            return scene


PART = Part(
    name="questions",
    question="Does it answer what is in the picture, and deny what is not?",
    looks=(Looks.QUESTIONS,),
    checks=(
        *(Check(f"{role}: right", (role,), is_yes(role)) for role in TRUE),
        *(Check(f"{role}: wrong", (role,), is_no(role)) for role in FALSE),
    ),
    make=make,
)
