"""What the official evaluators look with besides live detectors: known detections, a yes-no answerer, a depth map, a
parse of the prompt, a reader of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.types import AskedCalls, Box, Detection


@dataclass(frozen=True, slots=True)
class PictureDetections:
    """What was found in a picture, in the detector's order, and the (width, height) in pixels that it answered in."""

    detections: tuple[Detection, ...]
    size: tuple[int, int]


@runtime_checkable
class FileDetector(Protocol):
    """A detector that knows files by name, without opening them."""

    @property
    def labels(self) -> Mapping[str, int]:
        """Every label that it ever answers, and how often."""
        ...

    def remarks(self, files: Sequence[Path]) -> list[str]:
        """What a reader of its numbers should know, a line each: what was set right in it, rows of no such file.

        Args:
            files: all that it will be asked about; empty where they are not known yet.
        """
        ...

    def look_up(self, file: Path) -> PictureDetections | None:
        """What was found in the file; None where that is not known."""
        ...


@runtime_checkable
class SwapsChannels(Protocol):
    """A detector that may be shown red as blue on purpose, where an official script does so."""

    @property
    def swaps_channels(self) -> bool:
        """Whether it is."""
        ...


@dataclass(frozen=True, slots=True)
class TensorCount:
    """What became of the tensors of a weights file: so many are in it, so many are weights of the model.

    The others hold nothing that a picture could change: tables of constants, counters of the training. A file with any
    further tensor, or without a weight, is not loaded.
    """

    in_file: int
    weights: int


@runtime_checkable
class FromFile(Protocol):
    """A model that was read from one file of somebody else's, tensor by tensor."""

    def count_tensors(self) -> TensorCount:
        """Loads the model, and counts; raises what loading does."""
        ...


@runtime_checkable
class FileDepth(Protocol):
    """A depth model that knows files by name, without opening them."""

    def remarks(self, files: Sequence[Path]) -> list[str]:
        """What a reader of its numbers should know, a line each."""
        ...

    def look_up(self, file: Path, size: tuple[int, int]) -> NDArray[np.float32] | None:
        """The map of a picture of (width, height) pixels, as `Depth.depth` gives it; None where there is none.

        Raises:
            PictureError: the map cannot be used.
        """
        ...


class YesNo(Protocol):
    """Answers questions about pictures with the probability of "yes"."""

    @property
    def name(self) -> str:
        """What the model is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever an answer could."""
        ...

    def probability(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        """For each picture the probability of "yes" against "no", in [0, 1], of each of its questions.

        A picture is encoded once, however many questions it has.
        """
        ...


@runtime_checkable
class Answering(Protocol):
    """What a yes-no model that answers in words of its own offers beside a `YesNo`."""

    def answer(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[str]]:
        """For each picture the answer to each of its questions; a picture is encoded once."""
        ...


class Depth(Protocol):
    """Estimates how far away each pixel is."""

    @property
    def name(self) -> str:
        """What the model is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a map could."""
        ...

    def depth(self, images: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
        """A map a picture, float32 [height, width] in [0, 1] and in the picture's own size; larger is nearer.

        The model's own map is stretched to [0, 1] before it is brought to that size; one without any difference is 0.
        """
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a prompt and its universal part of speech ("NOUN", "PROPN", "ADJ", ...)."""

    text: str
    pos: str


@dataclass(frozen=True, slots=True)
class Parse:
    """A prompt's words in order, and its noun chunks as they stand in it."""

    tokens: tuple[Token, ...]
    noun_chunks: tuple[str, ...]


class Phrases(Protocol):
    """Finds the nouns and noun chunks of prompts."""

    @property
    def name(self) -> str:
        """What the source is called in the names of metrics ("spacy", "builtin", ...)."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a parse could."""
        ...

    def parse(self, prompts: Sequence[str]) -> list[Parse]:
        """One parse a prompt."""
        ...


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in a picture.

    Attributes:
        score: how sure the reader is, in [0, 1]; None where it does not say.
        box: where it stands; None where the reader does not say.
    """

    text: str
    score: float | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text that was read in a picture, in reading order; no line where there is none.

    Attributes:
        replies: what a language-vision model said, verbatim; empty for an OCR engine.
    """

    lines: tuple[TextLine, ...]
    replies: tuple[Reply, ...] = ()

    @property
    def text(self) -> str:
        """The lines with line breaks between them."""
        return "\n".join(line.text for line in self.lines)


class Ocr(Protocol):
    """Reads the text in pictures: an OCR engine, or a language-vision model that is asked to."""

    @property
    def name(self) -> str:
        """What engine and model are called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a transcript could."""
        ...

    @property
    def model_calls(self) -> int:
        """Questions to a language-vision model that a picture takes; 0 for an engine."""
        ...

    @property
    def asks(self) -> AskedCalls:
        """What a picture takes of a language-vision model, in calls, characters and tokens; nothing for an engine."""
        ...

    def read(self, images: Sequence[Image.Image]) -> list[Transcript | Unscored]:
        """One transcript a picture, in order; `Unscored(BACKEND)` for those that failed while others did not."""
        ...
