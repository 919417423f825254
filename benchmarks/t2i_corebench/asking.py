"""What both ways of asking T2I-CoReBench's judge have in common: one question a call, one word back.

The open judges (vLLM) get the instruction as the system turn, and the picture before prompt and question; Gemini gets
picture, instruction, prompt and question in one turn. An empty answer is asked for again, three times in all, on the
first path with room for four times as many tokens each time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.checklist.asking import Case, OneByOne, again
from benchmarks.checklist.judge import ChecklistJudge, Procedure, model_label
from benchmarks.semantics import Semantics
from benchmarks.t2i_corebench.reading import OfficialPath, official_answer, official_verdict, read_verdict, thinks
from gotr1_eval.core.checklist import Question, Verdict
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample
from gotr1_eval.files.authors_wording import SourceFile
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

FACT = "t2i_corebench"
"""The fact of a prompt that holds its questions; `KEY` is the one that holds its key."""
KEY = "t2i_corebench_key"
SOURCE = "evaluate.py"
VERSION = 1
ATTEMPTS = 3
FIRST_TOKENS, MOST_TOKENS = 512, 8192


class CoReBenchSettings(StrictSettings):
    """The judge's model, the folder with the fetched script (None for the fetched one), and the semantics.

    `corrected` reads one word, yes or no, in any letter case, and refuses everything else.
    """

    vlm: Component
    data: Path | None = None
    semantics: Semantics = "reference"


def key_of(sample: Sample) -> str | None:
    """The prompt's key; None for prompts of other benchmarks."""
    key = sample.meta.get(KEY)
    return key if isinstance(key, str) else None


def read_wording(path: Path) -> str:
    """The instruction in the fetched script.

    Raises:
        DataError: the file is another one.
    """
    template = SourceFile(path).constant("TEMPLATE")
    if not isinstance(template, str):
        raise DataError("expected the judge's instruction as TEMPLATE", path=path)
    return template


def build_judge(path: OfficialPath, settings: CoReBenchSettings, workshop: Workshop) -> ChecklistJudge:
    """The judge as it asks on either official path.

    Raises:
        UsageError: the script with the wording was not fetched.
        DataError: it is another file.
    """
    template = read_wording(require_data("t2i-corebench", settings.data) / SOURCE)
    reference = settings.semantics == "reference"
    vlm = workshop.vlm(settings.vlm)

    def write(case: Case, question: Question) -> Request:
        asked = f'Prompt: "{case.sample.prompt}"\nQuestion: "{question.text}"'
        if path == "gemini":
            return Request(prompt=f"{template}\n{asked}", max_tokens=MOST_TOKENS)
        return Request(system=template, prompt=asked, max_tokens=FIRST_TOKENS)

    def read(reply: Reply, question: Question) -> Verdict:
        if not reference:
            return read_verdict(reply.text, reply.finish)
        answer = official_answer(reply.text, path, thinking=thinks(vlm.name) and not reply.thought)
        if not answer:
            raise UnreadableReply("an empty answer")
        return official_verdict(answer)

    procedure = Procedure(
        metric="t2i_corebench" if path == "vllm" else f"t2i_corebench_{path}",
        asking=OneByOne(
            write=write,
            read=read,
            reader="official reader" if reference else "certain reader",
            attempts=ATTEMPTS,
            retry=_with_more_room if path == "vllm" else again,
        ),
        fact=FACT,
        semantics=settings.semantics,
        facts={"version": VERSION, "wording": fingerprint({"template": template})},
    )
    return ChecklistJudge(vlm, procedure, model_label(vlm, settings.vlm))


def _with_more_room(request: Request, times: int) -> Request:
    return replace(again(request, times), max_tokens=min(FIRST_TOKENS * 4**times, MOST_TOKENS))
