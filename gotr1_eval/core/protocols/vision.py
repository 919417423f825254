"""What the other models that look at pictures must offer: detectors, grounders, encoders, reward models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core.outcome import Outcome, Reply, Unscored
from gotr1_eval.core.types import Detection, Sample

Sees = Literal["upright", "stored"]
"""A picture upright and in RGB, as all judges see it; or as its file stores it: in its own mode, and not turned."""


class Detector(Protocol):
    """Finds things in pictures."""

    @property
    def name(self) -> str:
        """What the detector is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a detection could."""
        ...

    @property
    def open_vocabulary(self) -> bool:
        """Whether it finds only what it is asked for, by any name, and must therefore be told what to look for."""
        ...

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        """Detections per picture, best first.

        Args:
            images: RGB pictures.
            labels: for each picture the names to look for; a detection's label is then one of them.
                None asks for everything the detector knows.

        Raises:
            LabelError: a name that the detector cannot look for.
            UsageError: None, and the detector's vocabulary is open.
        """
        ...


@dataclass(frozen=True, slots=True)
class Grounding:
    """Where the named objects of one picture were found, and what the model said."""

    detections: tuple[Detection, ...]
    replies: tuple[Reply, ...] = ()


class Grounder(Protocol):
    """Answers "where is <name>?" for pictures; a detector, or a language-vision model."""

    @property
    def name(self) -> str:
        """What the grounder is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever an answer could."""
        ...

    def calls(self, names: int) -> int:
        """Questions to a language-vision model for a picture with so many names; 0 for a detector."""
        ...

    def ground(self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        """For each picture the instances of each of its names; `Unscored` where the answer cannot be read."""
        ...


@runtime_checkable
class FileGrounder(Protocol):
    """A grounder that knows picture files and looks at no pixels."""

    def ground_files(self, samples: Sequence[Sample], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        """As `Grounder.ground`, of the samples' files; `NO_INPUT` for one that is not there or not known."""
        ...

    def remarks(self, samples: Sequence[Sample]) -> list[str]:
        """What a reader of its numbers should know, a line each."""
        ...


class Encoder(Protocol):
    """Embeds pictures and texts into one space."""

    @property
    def name(self) -> str:
        """What the encoder is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever an embedding could."""
        ...

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Unit rows, float32 [pictures, width]."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, float32 [texts, width]; longer texts than the encoder reads are cut off."""
        ...


class Perceptual(Protocol):
    """Tells how different pictures look."""

    @property
    def name(self) -> str:
        """What the distance is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a distance could."""
        ...

    def features(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """float32 [pictures, width]: rows whose squared distances are the pictures' distances."""
        ...


class RewardModel(Protocol):
    """Rates pictures for their prompts on a scale of its own, as a network trained on what people chose does."""

    @property
    def name(self) -> str:
        """What the model is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a rating could."""
        ...

    @property
    def sees(self) -> Sees:
        """Which pictures it is to be given; what it does with them is its official preprocessing."""
        ...

    def rate(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[Outcome]:
        """One rating a picture and its prompt, in order; `Unscored` for a prompt that it cannot be asked about."""
        ...


@runtime_checkable
class CutsTexts(Protocol):
    """What an encoder or a reward model that reads texts up to some length offers beside its other protocol."""

    def cut_off(self, texts: Sequence[str]) -> list[int]:
        """How many tokens at the end of each text it does not read; needs the tokenizer, not the weights."""
        ...
