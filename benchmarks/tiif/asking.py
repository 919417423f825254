"""How TIIF-Bench's judge is asked: all questions of a picture in one call, one line back for each.

The official script (A113N-W3I/TIIF-Bench@3aae750, eval/eval_with_vlm.py) sends text, then picture, at temperature 1,
draws one of three templates for every call, and asks for ever while the lines do not fit. Here the template and the
seed follow from the sample, and after ten calls a picture is unscored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.checklist.asking import AllAtOnce, Case
from benchmarks.checklist.judge import ChecklistJudge, Procedure, model_label
from benchmarks.semantics import Semantics
from benchmarks.tiif.reading import read_certainly, read_lines
from gotr1_eval.core.checklist import Question, Verdict
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.identifiers import fingerprint, sample_seed
from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.files.authors_wording import SourceFile, Template
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

FACT = "tiif_questions"
"""The fact of a prompt that holds its questions; `PLACE` is the one that says where its picture lies."""
PLACE = "tiif"
SOURCE = "eval_with_vlm.py"
VERSION = 2
ATTEMPTS = 10
MAX_TOKENS = 2048
"""Of a reply; the official script states no limit."""
_TEMPLATES = ("raw_prompt", "raw_prompt_1", "raw_prompt_2")
_SLOT = "##YNQuestions##"


class TiifSettings(StrictSettings):
    """The judge's model, the folder with the fetched script (None for the fetched one), and the semantics.

    `corrected` takes the first template at temperature 0, and reads numbered, bulleted and bold lines, too.
    """

    vlm: Component
    data: Path | None = None
    semantics: Semantics = "reference"


def build_judge(settings: TiifSettings, workshop: Workshop) -> ChecklistJudge:
    """The judge.

    Raises:
        UsageError: the script with the wording was not fetched.
        DataError: it is another file.
    """
    system, templates = read_wording(require_data("tiif", settings.data) / SOURCE)
    reference = settings.semantics == "reference"
    vlm = workshop.vlm(settings.vlm)

    def write(case: Case) -> Request:
        seed = case.sample.seed or sample_seed(0, case.sample.id)
        template = templates[seed % len(templates) if reference else 0]
        return Request(
            prompt=template.replace(_SLOT, "\n".join(question.text for question in case.questions)),
            system=system.fill(),
            max_tokens=MAX_TOKENS,
            temperature=1.0 if reference else 0.0,
            seed=seed,
            pictures_last=True,
        )

    def read(reply: Reply, questions: Sequence[Question]) -> list[Verdict]:
        said = (
            read_lines(reply.text, len(questions))
            if reference
            else read_certainly(reply.text, len(questions), reply.finish)
        )
        return [float(word in question.answers) for word, question in zip(said, questions, strict=True)]

    procedure = Procedure(
        metric="tiif",
        asking=AllAtOnce(
            write=write,
            read=read,
            reader="official reader" if reference else "certain reader",
            attempts=ATTEMPTS,
        ),
        fact=FACT,
        unanswered="unscored",
        semantics=settings.semantics,
        facts={"version": VERSION, "wording": fingerprint({"system": system.digest, "templates": [*templates]})},
    )
    return ChecklistJudge(vlm, procedure, model_label(vlm, settings.vlm))


def read_wording(path: Path) -> tuple[Template, tuple[str, ...]]:
    """The system turn and the three templates of the fetched script.

    Raises:
        DataError: the file has others.
    """
    source = SourceFile(path)
    templates = tuple(str(source.constant(name)) for name in _TEMPLATES)
    turns = source.templates("generate_with_prompt", key="content")
    if len(turns) != 1 or turns[0].slots or not all(text.count(_SLOT) == 1 for text in templates):
        raise DataError(f"expected a system turn and three templates with {_SLOT}", path=path)
    return turns[0], templates
