"""A language-vision model that is asked to read: ``--ocr vlm,model=Qwen/Qwen2.5-VL-7B-Instruct``, or a server's model.

Benchmarks whose judge reads in this way bring the request of their script; a metric's name says whose request it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.perception import TextLine, Transcript
from gotr1_eval.core.protocols import Request, Vlm, Workshop
from gotr1_eval.core.types import AskedCalls
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
NOTHING = "[no text]"
"""What the model is told to answer about a picture without text; no line is made of it."""
REQUEST = (
    "Write down all the text that stands in this picture, word for word and line by line. Add nothing of your own, "
    f"and write no line twice. If there is no text, answer {NOTHING}"
)


class Settings(StrictSettings):
    """Who is asked, and how.

    Attributes:
        vlm: the model; on the command line ``model=`` and what ``--judge-model`` takes.
        request: the text that follows the picture.
        wording: whose request it is, for the name of a metric.
        max_tokens: of the answer.
    """

    vlm: Component
    request: str = REQUEST
    wording: str = "own"
    max_tokens: int = Field(1024, ge=1)


class VlmReader:
    """An `Ocr` (see `gotr1_eval.core.perception`) that asks one question a picture, decoded greedily."""

    model_calls = 1

    def __init__(self, vlm: Vlm, settings: Settings) -> None:
        self._vlm = vlm
        self._settings = settings

    @property
    def name(self) -> str:
        """``<model> <wording> request``."""
        return f"{self._vlm.name} {self._settings.wording} request"

    @property
    def fingerprint(self) -> str:
        """Of the model and the question."""
        settings = self._settings
        return identifiers.fingerprint(
            {
                "ocr": "vlm", "version": VERSION, "model": self._vlm.fingerprint, "request": settings.request,
                "max_tokens": settings.max_tokens,
            }
        )  # fmt: skip

    @property
    def asks(self) -> AskedCalls:
        """One question a picture."""
        settings = self._settings
        return AskedCalls(calls=1, characters=len(settings.request), answer_tokens_at_most=settings.max_tokens)

    def read(self, images: Sequence[Image.Image]) -> list[Transcript | Unscored]:
        """One transcript a picture: the lines of the answer, to the character."""
        settings = self._settings
        requests = [
            Request(prompt=settings.request, images=(image,), max_tokens=settings.max_tokens) for image in images
        ]
        return [one if isinstance(one, Unscored) else _transcript(one) for one in self._vlm.reply(requests)]


def _transcript(reply: Reply) -> Transcript:
    if reply.text.strip() in ("", NOTHING):
        return Transcript((), (reply,))
    return Transcript(tuple(TextLine(line) for line in reply.text.split("\n")), (reply,))


def build(settings: Settings, workshop: Workshop) -> VlmReader:
    """The reader; its model loads when it is first asked."""
    return VlmReader(workshop.vlm(settings.vlm), settings)
