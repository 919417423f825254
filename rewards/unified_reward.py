"""UnifiedReward (arXiv 2503.05236): what a language-vision model that was trained to rate says of picture and prompt.

Version 2.0 gives three marks from 1 to 5, with decimals: does the picture match the prompt, is it free of flaws, does
it look good; the value is their mean. Version 1 gives one final score from 1 to 5. Any of its sizes is asked, in this
process or behind a server; the request is that of its authors, word by word, and temperature 0.

The request's words are read out of the authors' script (CodeGoat24/UnifiedReward@ff6f520, MIT), which
``gotr1-eval weights unified_reward --download`` fetches. As in the script the picture is RGB without its alpha and, for
2.0, goes through JPEG 95. Other projects ask in other words (UniRL) or take unreadable answers as 0 (flow_grpo): theirs
are other numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from PIL import Image

from gotr1_eval.core import identifiers
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored
from gotr1_eval.core.protocols import Answers, LooksAt, Request, Vlm, Workshop
from gotr1_eval.core.reading import READER_VERSION, UnreadableReply, read_scores
from gotr1_eval.core.types import Sample
from gotr1_eval.files.authors_wording import SourceFile, Template
from gotr1_eval.files.official_files import official_file, require_file
from gotr1_eval.files.pictures import through_jpeg
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.inputs import require_stored_picture

VERSION = 1
AXES = ("alignment", "coherence", "style")
LOWEST, HIGHEST = 1.0, 5.0
_NEXT_MARK = re.compile(
    rf"(?<=[0-9*)])[.,;]?[ \t]{{1,9}}(?=\*{{0,3}}(?:{'|'.join(AXES)})(?: score)?[ \t*]{{0,4}}"
    r"(?:\([^()\n]{1,9}\))?[ \t*]{0,4}:)",
    re.I,
)
"""Before a mark on the line of another."""
MOST_TOKENS = {"2.0": 4096, "1": 512}


class Settings(StrictSettings):
    """Which model, and which of the two requests.

    Attributes:
        vlm: UnifiedReward itself; any language-vision model answers, under its own name.
        version: of the request and of its answers.
        request: the authors' script; None looks for it in the folder of `gotr1-eval weights`.
    """

    vlm: Component
    version: Literal["2.0", "1"] = "2.0"
    request: Path | None = None


class UnifiedRewardJudge:
    """The mean of the marks, from 1 to 5; an answer without every mark is `Unscored`, with what was said."""

    range = (LOWEST, HIGHEST)
    may_not_apply = False
    looks_at: LooksAt = "picture"
    needs = frozenset[str]()
    model_calls = 1
    answers: Answers = "free"

    def __init__(self, vlm: Vlm, settings: Settings) -> None:
        self.vlm = vlm
        self.version = settings.version
        self._given = settings.request
        self.name = f"unified_reward[{vlm.name}, {'three marks' if self.version == '2.0' else 'final score'}]"

    @cached_property
    def request(self) -> Template:
        """The authors' request; its only slot is the prompt.

        Raises:
            MissingWeightsError: their script was not fetched.
            DataError: the file is another one.
        """
        key = "unified-reward-request" if self.version == "2.0" else "unified-reward-1-request"
        source = SourceFile(require_file(official_file(key), "unified_reward: the request", self._given))
        return source.template("problem") if self.version == "2.0" else source.templates()[0]

    @cached_property
    def fingerprint(self) -> str:
        """Of the request, the reader and the model."""
        request, vlm = self.request.fill({"prompt": "{}"}), self.vlm.fingerprint
        reader = {"version": VERSION, "reader": READER_VERSION}
        return identifiers.fingerprint({"judge": self.name, **reader, "request": request, "vlm": vlm})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample, with the marks as parts; raises what the model does."""
        pictures = [require_stored_picture(sample) for sample in samples]
        requests = [
            self._ask(sample.prompt, picture)
            for sample, picture in zip(samples, pictures, strict=True)
            if not isinstance(picture, Unscored)
        ]
        replies = iter(self.vlm.reply(requests) if requests else ())
        return [each if isinstance(each, Unscored) else self._outcome(next(replies)) for each in pictures]

    def _ask(self, prompt: str, picture: Image.Image) -> Request:
        rgb = picture.convert("RGB")
        shown = through_jpeg(rgb, 95) if self.version == "2.0" else rgb
        text = self.request.fill({"prompt": prompt})
        return Request(prompt=text, images=(shown,), max_tokens=MOST_TOKENS[self.version])

    def _outcome(self, reply: Reply | Unscored) -> Outcome:
        if isinstance(reply, Unscored):
            return reply
        read = read_marks if self.version == "2.0" else read_final_score
        try:
            marks = read(reply.text, finish=reply.finish)
        except UnreadableReply as fault:
            return Unscored(why=fault.why, detail=str(fault), replies=(reply,))
        return Score(value=sum(marks.values()) / len(marks), parts=marks, replies=(reply,))


def read_marks(text: str, *, finish: str | None = None) -> dict[str, float]:
    """The three marks of version 2.0, each in 1 to 5.

    Lines such as ``Alignment Score (1-5): 2.69``, in bold, any case and order, with a full-width colon, or all on one
    line, by the rules of every other score (`gotr1_eval.core.reading`).

    Raises:
        UnreadableReply: a mark is missing, off the scale, on another one, given twice and differently, taken back, or
            goes on strangely.
    """
    apart = _NEXT_MARK.sub("\n", text.replace("：", ":"))
    return read_scores(apart, names=AXES, low=LOWEST, high=HIGHEST, finish=finish, labelled=True)


def read_final_score(text: str, *, finish: str | None = None) -> dict[str, float]:
    """The mark of version 1 behind ``Final Score:``, in 1 to 5; raises as `read_marks`."""
    return read_scores(text, names=("final",), low=LOWEST, high=HIGHEST, finish=finish, labelled=True)


def build(settings: Settings, workshop: Workshop) -> UnifiedRewardJudge:
    """The judge with its model."""
    return UnifiedRewardJudge(workshop.vlm(settings.vlm), settings)
