"""What the judges of both protocols have in common: how a picture is asked about, and how the reply is read.

One call a picture: a system turn, the protocol with prompt and explanation, and the picture *behind* the text, at
temperature 0; a reply that cannot be read is asked for again, three times in all, as officially. The wording is the
authors' and comes out of their fetched script.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.checklist.asking import AllAtOnce, Case
from benchmarks.checklist.judge import ChecklistJudge, Procedure, model_label
from benchmarks.semantics import Semantics
from benchmarks.wise.prompts import fact_name, fact_of
from benchmarks.wise.protocols import Protocol
from benchmarks.wise.reading import read_certainly
from gotr1_eval.core.checklist import ChecklistError, Question
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample
from gotr1_eval.files.authors_wording import SourceFile, Template
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
ATTEMPTS = 3
_PROMPT, _EXPLANATION = "prompt_data['Prompt']", "prompt_data['Explanation']"


class WiseSettings(StrictSettings):
    """The judge's model, the folder with the fetched script (None for the fetched one), and the semantics.

    `corrected` reads replies by the project's own reader; everything else is the same.
    """

    vlm: Component
    data: Path | None = None
    semantics: Semantics = "reference"


def build_judge(protocol: Protocol, settings: WiseSettings, workshop: Workshop) -> ChecklistJudge:
    """The judge of a protocol.

    Raises:
        UsageError: the script with the wording was not fetched.
        DataError: it is another file.
    """
    system, user = read_wording(require_data("wise", settings.data) / protocol.source)
    vlm = workshop.vlm(settings.vlm)

    def write(case: Case) -> Request:
        fact = fact_of(case.sample, protocol)
        assert fact is not None  # `questions` has refused the sample otherwise
        said = {_PROMPT: case.sample.prompt, _EXPLANATION: str(fact["explanation"])}
        return Request(system=system.fill(), prompt=user.fill(said), max_tokens=protocol.max_tokens, pictures_last=True)

    def questions(sample: Sample) -> Sequence[Question]:
        if fact_of(sample, protocol) is None:
            raise ChecklistError(f"the sample's {fact_name(protocol)} has no prompt_id and explanation")
        return protocol.questions

    certain = settings.semantics == "corrected"

    def read(reply: Reply, asked: Sequence[Question]) -> list[float | None]:
        marks = (
            read_certainly(reply.text, protocol.marks, protocol.highest, reply.finish)
            if certain
            else read_officially(reply.text, protocol)
        )
        return [marks[question.id] / protocol.highest for question in asked]

    procedure = Procedure(
        metric=f"wise_{protocol.name}",
        asking=AllAtOnce(
            write=write, read=read, reader="certain reader" if certain else "official reader", attempts=ATTEMPTS
        ),
        fact=fact_name(protocol),
        questions=questions,
        within="weighted" if len(protocol.questions) > 1 else "mean",
        unanswered="unscored",
        semantics=settings.semantics,
        facts={"version": VERSION, "wording": [system.digest, user.digest]},
    )
    return ChecklistJudge(vlm, procedure, model_label(vlm, settings.vlm))


def read_wording(path: Path) -> tuple[Template, Template]:
    """The system turn and the user's turn of a fetched script.

    Raises:
        DataError: the file has other turns.
    """
    turns = SourceFile(path).templates("build_evaluation_messages")
    if len(turns) != 2 or turns[0].slots or turns[1].slots != (_PROMPT, _EXPLANATION):
        raise DataError("expected a system turn and a user's turn with prompt and explanation", path=path)
    return turns[0], turns[1]


def read_officially(text: str, protocol: Protocol) -> dict[str, float]:
    """The marks by the official rules.

    Raises:
        UnreadableReply: one is missing; or it is above the scale, which the legacy script would count.
    """
    marks = protocol.read(text)
    if absent := [name for name in protocol.marks if name not in marks]:
        raise UnreadableReply(f"no mark for {', '.join(absent)} is found by the official rules")
    if beyond := {name: mark for name, mark in marks.items() if mark > protocol.highest}:
        told = ", ".join(f"{name} {mark:g}" for name, mark in beyond.items())
        raise UnreadableReply(f"a mark above {protocol.highest}: {told}")
    return {name: marks[name] for name in protocol.marks}
