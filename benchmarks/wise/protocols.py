"""WISE's protocols: two benchmarks under one name, with other prompts, other judges, other marks and other totals.

Their numbers never share a column: the categories of the legacy protocol are named after it. BAGEL's evaluation is the
legacy protocol with another total (and another judge and reader), and is named apart as well.

Sources: PKU-YuanGroup/WISE@eb51174 (calculate_verified.py, WISE_legacy/Calculate.py); ByteDance-Seed/Bagel@056b5fd
(eval/gen/wise/cal_score.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.wise.reading import Marks, read_legacy, read_verified
from gotr1_eval.core.checklist import Question

Name = Literal["verified", "legacy"]
SUBJECTS = ("culture", "time", "space", "biology", "physics", "chemistry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How one of them asks and counts.

    Attributes:
        ids: subject -> its prompts' ids, of 1 to 1,000.
        weights: subject -> its share of the overall score; its share of the prompts, too.
        questions: one a mark that a reply gives, with the mark's name as id and its weight in WiScore.
        highest: of a mark; marks are whole numbers from 0.
        read: the official reading of a reply; a mark that it does not find is absent.
        prompt_files: names of the fetched files of prompts; `source`: of the script with the wording.
        max_tokens: of a reply.
    """

    name: Name
    ids: Mapping[str, range]
    weights: Mapping[str, float]
    questions: tuple[Question, ...]
    highest: int
    read: Callable[[str], Marks]
    prompt_files: tuple[str, ...]
    source: str
    max_tokens: int

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of a reply's marks."""
        return tuple(question.id for question in self.questions)

    @property
    def categories(self) -> tuple[str, ...]:
        """The subjects as columns are called."""
        return tuple(map(self.category, SUBJECTS))

    def category(self, subject: str) -> str:
        """The column of a subject."""
        return subject if self.name == "verified" else f"{self.name}_{subject}"

    def subject_of(self, prompt_id: int) -> str | None:
        """The subject of a prompt; None for an id that the benchmark does not have."""
        return next((subject for subject, ids in self.ids.items() if prompt_id in ids), None)

    def value(self, marks: Mapping[str, float]) -> float:
        """WiScore of one picture, in [0, 1] for marks from 0 to `highest`."""
        return sum(one.weight * marks[one.id] for one in self.questions) / self.highest


VERIFIED = Protocol(
    name="verified",
    ids=dict(zip(SUBJECTS, (range(1, 401), *(range(at, at + 120) for at in range(401, 1001, 120))), strict=True)),
    weights=dict(zip(SUBJECTS, (0.4, 0.12, 0.12, 0.12, 0.12, 0.12), strict=True)),
    questions=(Question(id="score", text="Does the picture show what the prompt means?"),),
    highest=1,
    read=read_verified,
    prompt_files=("merge.json",),
    source="vllm_eval.py",
    max_tokens=500,
)
LEGACY = Protocol(
    name="legacy",
    ids=dict(
        zip(
            SUBJECTS,
            (range(1, 401), range(401, 568), range(568, 701), range(701, 801), range(801, 901), range(901, 1001)),
            strict=True,
        )
    ),
    weights=dict(zip(SUBJECTS, (0.4, 0.167, 0.133, 0.1, 0.1, 0.1), strict=True)),
    questions=(
        Question(id="consistency", text="How far does the picture show what the prompt means?", weight=0.7),
        Question(id="realism", text="How real does it look?", weight=0.2),
        Question(id="aesthetic_quality", text="How well does it look?", weight=0.1),
    ),
    highest=2,
    read=read_legacy,
    prompt_files=("cultural_common_sense.json", "spatio-temporal_reasoning.json", "natural_science.json"),
    source="gpt_eval.py",
    max_tokens=2000,
)
PROTOCOLS: Mapping[Name, Protocol] = {"verified": VERIFIED, "legacy": LEGACY}
