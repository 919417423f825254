"""What both ways of asking UniGenBench++'s judge have in common: one call a picture, with all of its test points.

The open judges (vLLM) see the picture as JPEG of quality 95, before the text; Gemini sees its own pixels, behind it. A
reply that cannot be read is asked for again, 11 times in all, as officially.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from benchmarks.checklist.asking import AllAtOnce, Case
from benchmarks.checklist.encoding import AsItIs, Jpeg
from benchmarks.checklist.judge import ChecklistJudge, Procedure, model_label
from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.unigenbench.prompts import LANGUAGES
from benchmarks.unigenbench.reading import official_verdicts, read_verdicts
from benchmarks.unigenbench.results import FEW_PROMPTS
from benchmarks.unigenbench.wording import Wording, read_wording
from gotr1_eval.core.checklist import ChecklistError, Question
from gotr1_eval.core.facts import object_fact
from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

FACT = "unigenbench"
"""The fact of a prompt that holds its language, kinds and descriptions."""
SOURCE = "eval_common.py"
VERSION = 2
ATTEMPTS = 11
CERTAIN_ATTEMPTS = 3
"""At temperature 0 a fourth answer is mostly the first one."""
MAX_TOKENS = 4096
OfficialPath = Literal["vllm", "gemini"]


class UniGenBenchSettings(StrictSettings):
    """The judge's model, the folder with the fetched script (None for the fetched one), and the semantics.

    `corrected` reads replies with certainty or not at all, and shows open judges the picture's own pixels.
    """

    vlm: Component
    data: Path | None = None
    semantics: Semantics = "reference"


def fact_of(sample: Sample) -> Mapping[str, Any] | None:
    """A sample's fact; None for prompts of other benchmarks."""
    fact = object_fact(sample, FACT) or {}
    return fact if {"index", "language", "kinds", "descriptions"} <= fact.keys() else None


def questions_of(sample: Sample) -> list[Question]:
    """A question a test point, its kind as the tag.

    Raises:
        ChecklistError: the sample's fact is none of this benchmark's.
    """
    fact = fact_of(sample) or {}
    kinds, descriptions = fact.get("kinds"), fact.get("descriptions")
    lists = isinstance(kinds, list) and isinstance(descriptions, list) and len(kinds) == len(descriptions) > 0
    if fact.get("language") not in LANGUAGES or not lists:
        raise ChecklistError(f"the sample's {FACT!r} has no index, language, kinds and as many descriptions")
    pairs = zip(fact["kinds"], fact["descriptions"], strict=True)
    return [
        Question(id=str(at), text=str(description), tag=str(kind))
        for at, (kind, description) in enumerate(pairs, start=1)
    ]


def build_judge(path: OfficialPath, settings: UniGenBenchSettings, workshop: Workshop) -> ChecklistJudge:
    """The judge as it asks on either official path.

    Raises:
        UsageError: the script with the wording was not fetched.
        DataError: it is another file.
    """
    source = require_data("unigenbench", settings.data) / SOURCE
    wordings = {language: read_wording(source, language) for language in LANGUAGES}
    reference = settings.semantics == "reference"
    vlm = workshop.vlm(settings.vlm)

    def questions(sample: Sample) -> Sequence[Question]:
        found = questions_of(sample)
        _question_text(sample, wordings)
        return found

    def write(case: Case) -> Request:
        return Request(
            prompt=_question_text(case.sample, wordings), max_tokens=MAX_TOKENS, pictures_last=path == "gemini"
        )

    procedure = Procedure(
        metric="unigenbench" if path == "vllm" else f"unigenbench_{path}",
        asking=AllAtOnce(
            write=write,
            read=_read_officially if reference else _read_certainly,
            reader="official reader" if reference else "certain reader",
            attempts=ATTEMPTS if reference else CERTAIN_ATTEMPTS,
        ),
        fact=FACT,
        questions=questions,
        encoding=Jpeg(95) if reference and path == "vllm" else AsItIs(),
        semantics=settings.semantics,
        facts={"version": VERSION, "wording": {name: wording.digest for name, wording in wordings.items()}},
        remarks=remarks_on,
    )
    return ChecklistJudge(vlm, procedure, model_label(vlm, settings.vlm))


def remarks_on(samples: Iterable[Sample]) -> list[str]:
    """Which prompts were mended, and how many kinds of test points stand on few prompts."""
    prompts: dict[str, set[str]] = {}
    mended: set[str] = set()
    for sample in samples:
        if (fact := fact_of(sample)) is not None:
            prompt = sample.id.rpartition("/")[0]
            mended |= {str(fact["index"])} if fact.get("mended") else set()
            for kind in fact["kinds"] if isinstance(fact["kinds"], list) else ():
                prompts.setdefault(f"{fact['language']} {kind}", set()).add(prompt)
    thin = [len(found) for found in prompts.values() if len(found) < FEW_PROMPTS]
    lines = [f"prompt {index} is read with a comma that the authors' file lacks" for index in sorted(mended)]
    if thin:
        lines.append(
            f"{len(thin)} of {len(prompts)} kinds of test points stand on fewer than {FEW_PROMPTS} prompts (the fewest "
            f"on {min(thin)}): their shares reach 0.14 and more to either side"
        )
    return lines


def _question_text(sample: Sample, wordings: Mapping[str, Wording]) -> str:
    fact = fact_of(sample)
    assert fact is not None  # `questions_of` has refused it otherwise
    try:
        return wordings[str(fact["language"])].text(sample.prompt, fact["kinds"], fact["descriptions"])
    except ValueError as error:
        raise ChecklistError(str(error)) from None


def _read_officially(reply: Reply, questions: Sequence[Question]) -> list[float | None]:
    """The official verdicts; none on any test point where the script loses the row, or ends: it does not ask again."""
    try:
        verdicts = official_verdicts(reply.text, len(questions))
    except UndefinedScoreError:
        return [None] * len(questions)
    if verdicts is None:
        raise UnreadableReply("the official reader finds no two lists of the right length")
    return [*map(float, verdicts)]


def _read_certainly(reply: Reply, questions: Sequence[Question]) -> list[float | None]:
    return [*map(float, read_verdicts(reply.text, len(questions), reply.finish))]
