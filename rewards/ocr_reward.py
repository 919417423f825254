"""The text reward of flow_grpo: is the text that the prompt quotes written in the picture?

Asked for is what stands between the prompt's first two straight double quotes. What a reader of text finds is joined
without blanks; both are without blanks (U+0020 alone) and in lower case. 1 where the asked text is part of it, else
1 - distance / length, with Levenshtein's distance cut off at the asked text's length.

Source: flow_grpo/ocr.py of yifan123/flow_grpo@ac4c86e (MIT), which reads with PaddleOCR, English, no angle classifier,
and keeps scores above 0; what reads here is in the name.

Where its code ends the whole batch with an exception (no quotes; nothing between them), only such a prompt is unscored
here; and where a failing reader earns 0 there, it is no verdict here.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.perception import Ocr, Transcript
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.inputs import require_picture

VERSION = 1


class Settings(StrictSettings):
    """What reads: ``"rapidocr"`` as flow_grpo sets its engine up, or another reader of text."""

    ocr: Component = Field(default_factory=lambda: {"use": "rapidocr", "least_score": 0, "turn": False})


class OcrRewardJudge:
    """How much of the quoted text is in the picture, in [0, 1]; `NOT_APPLICABLE` to prompts that quote none."""

    range = (0.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    needs = frozenset[str]()

    def __init__(self, ocr: Ocr) -> None:
        self.ocr = ocr
        self.name = f"ocr_reward[{ocr.name}]"

    @property
    def model_calls(self) -> int:
        """As many as the reader asks about a picture."""
        return self.ocr.model_calls

    @property
    def fingerprint(self) -> str:
        """Of the judge and the reader."""
        return identifiers.fingerprint({"judge": "ocr_reward", "version": VERSION, "ocr": self.ocr.fingerprint})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample, with what was read as its note; pictures of prompts without a quote are not read."""
        asked = [quoted(sample.prompt) for sample in samples]
        pictures = [
            text if isinstance(text, Unscored) else require_picture(sample)
            for sample, text in zip(samples, asked, strict=True)
        ]
        shown = [picture for picture in pictures if not isinstance(picture, Unscored)]
        read = iter(self.ocr.read(shown) if shown else ())
        return [
            picture if isinstance(picture, Unscored) else _outcome(text, next(read))
            for picture, text in zip(pictures, asked, strict=True)
        ]


def quoted(prompt: str) -> str | Unscored:
    """What stands between the first two straight double quotes, or behind a single one, without blanks, in lower case.

    `NOT_APPLICABLE` without a quote, `UNDEFINED` where nothing stands there.
    """
    parts = prompt.split('"')
    if len(parts) == 1:
        return Unscored(why=Why.NOT_APPLICABLE, detail="the prompt quotes no text in straight double quotes")
    text = _compared(parts[1])
    return text or Unscored(why=Why.UNDEFINED, detail="nothing stands between the prompt's quotes")


def text_reward(asked: str, pieces: Sequence[str]) -> float:
    """The reward, in [0, 1], of an asked text (as `quoted` gives it) and the pieces that were read, in their order."""
    found = _compared("".join(pieces))
    if asked in found:
        return 1.0
    return 1.0 - min(_distance(asked, found), len(asked)) / len(asked)


def _compared(text: str) -> str:
    return text.replace(" ", "").lower()


def _outcome(asked: str | Unscored, transcript: Transcript | Unscored) -> Outcome:
    if isinstance(asked, Unscored):
        return asked
    if isinstance(transcript, Unscored):
        return transcript
    pieces = [line.text for line in transcript.lines if line.score is None or line.score > 0]
    note = f"read: {' '.join(pieces)[:200]}" if pieces else "no text was found"
    return Score(value=text_reward(asked, pieces), note=note, replies=transcript.replies)


def _distance(one: str, other: str) -> int:
    """Levenshtein's: characters put in, left out or exchanged."""
    row = list(range(len(other) + 1))
    for place, character in enumerate(one, start=1):
        before, row[0] = row[0], place
        for column, match in enumerate(other, start=1):
            exchanged = before + (character != match)
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, exchanged)
    return row[-1]


def build(settings: Settings, workshop: Workshop) -> OcrRewardJudge:
    """The judge with its reader."""
    return OcrRewardJudge(workshop.ocr(settings.ocr))
