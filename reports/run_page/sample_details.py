"""What a page shows of one sample: the chain in pieces, boxes over the picture, every outcome with its reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gotr1_eval.core.chain import Chain, parse_chain
from gotr1_eval.core.outcome import Outcome, QuestionVerdict, Reply, Score, Why
from gotr1_eval.core.types import Box, Sample
from reports.run_data import RunData

_MARKER = re.compile(r"<\|(?:obj|box)_(?:start|end)\|>")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the chain's text; an object's has the object's place in the plan, and its defects in words."""

    text: str
    place: int | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A box over a picture, in percent of it.

    Attributes:
        place: of the planned object it belongs to, which decides its colour; None where it belongs to none.
    """

    name: str
    x: float
    y: float
    width: float
    height: float
    place: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a checklist: its words and kind, and what was answered.

    Attributes:
        said: yes, no, or a number in between; what a parent's answer made of it; why there is no answer.
        counted: what entered the value; None without an answer.
    """

    text: str
    tag: str
    said: str
    counted: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judge's outcome in words; `headline` is the value, or the word that stands for its absence.

    Attributes:
        questions: of a checklist, as they were answered, and those that were not.
    """

    factor: str
    judge: str
    headline: str
    scored: bool
    parts: tuple[tuple[str, float], ...]
    note: str
    replies: tuple[Reply, ...]
    questions: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleDetails:
    """One sample.

    Attributes:
        defects: of the chain and of its objects, each once.
        found: judge name -> the boxes it found in the picture.
    """

    sample: Sample
    pieces: tuple[Piece, ...]
    defects: tuple[str, ...]
    planned: tuple[Frame, ...]
    found: Mapping[str, tuple[Frame, ...]]
    verdicts: tuple[Verdict, ...]


def sample_details(run: RunData, sample: Sample) -> SampleDetails:
    """Everything about a sample but its picture."""
    chain = parse_chain(sample.chain) if sample.chain is not None else None
    places = {planned.name: place for place, planned in reversed(list(enumerate(chain.objects)))} if chain else {}
    outcomes = {column.name: run.outcomes[column.name].get(sample.id) for column in run.judges}
    return SampleDetails(
        sample=sample,
        pieces=tuple(_pieces(chain)) if chain else (),
        defects=chain_defects(chain) if chain else (),
        planned=tuple(_frame(o.name, o.box, i) for i, o in enumerate(chain.objects) if o.box) if chain else (),
        found={
            name: tuple(_frame(seen.label, seen.box, places.get(seen.label)) for seen in outcome.seen)
            for name, outcome in outcomes.items()
            if isinstance(outcome, Score) and outcome.seen
        },
        verdicts=tuple(_verdict(column.factor, column.name, outcomes[column.name]) for column in run.judges),
    )


def chain_defects(chain: Chain) -> tuple[str, ...]:
    """What is wrong with a chain and its objects, each defect once."""
    of_objects = (defect for planned in chain.objects for defect in planned.defects)
    return tuple(dict.fromkeys(defect.value for defect in (*chain.defects, *of_objects)))


def _pieces(chain: Chain) -> Iterator[Piece]:
    position = 0
    for place, planned in enumerate(chain.objects):
        # One more box of the same name starts at the same name, which has been shown already.
        start, end = max(planned.span[0], position), max(planned.span[1], position)
        yield from _piece(chain.text[position:start])
        yield from _piece(chain.text[start:end], place, ", ".join(defect.value for defect in planned.defects))
        position = end
    yield from _piece(chain.text[position:])


def _piece(text: str, place: int | None = None, fault: str = "") -> Sequence[Piece]:
    shown = _MARKER.sub("", text)
    return [Piece(shown, place, fault)] if shown else []


def _frame(name: str, box: Box, place: int | None) -> Frame:
    x, y, width, height = (round(100 * value, 2) for value in (box.x1, box.y1, box.width, box.height))
    return Frame(name, x, y, width, height, place)


def _verdict(factor: str, judge: str, outcome: Outcome | None) -> Verdict:
    if outcome is None:
        return Verdict(factor, judge, "not judged yet", False, (), "", ())
    asked = tuple(map(_asked, outcome.questions))
    if isinstance(outcome, Score):
        headline = f"{outcome.value:.3f}"
        return Verdict(
            factor, judge, headline, True, tuple(outcome.parts.items()), outcome.note, outcome.replies, asked
        )
    return Verdict(factor, judge, why_in_words(outcome.why), False, (), outcome.detail, outcome.replies, asked)


def _asked(one: QuestionVerdict) -> Asked:
    place = f"picture {one.picture + 1}: " if one.picture else ""
    if one.counted is None or one.verdict is None:
        return Asked(f"{place}{one.text}", one.tag, f"not answered: {one.why}" if one.why else "not answered", None)
    said = {0.0: "no", 1.0: "yes"}.get(one.verdict, f"{one.verdict:.2f}")
    denied = f"{said}, counts {one.counted:.2g}: a parent was denied" if one.counted != one.verdict else said
    return Asked(f"{place}{one.text}", one.tag, denied, one.counted)


def why_in_words(why: Why) -> str:
    """A reason as pages print it."""
    words = why.value.replace("_", " ")
    return words if why is Why.NOT_APPLICABLE else f"unscored: {words}"
