"""Where a plug-in gets the models that its settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gotr1_eval.core.perception import Depth, Ocr, Phrases, YesNo
from gotr1_eval.core.protocols.generators import Generator
from gotr1_eval.core.protocols.judges import Judge
from gotr1_eval.core.protocols.vision import Detector, Encoder, Grounder, RewardModel
from gotr1_eval.core.protocols.vlms import Vlm
from gotr1_eval.core.types import Json


class Workshop(Protocol):
    """Hands out live objects by settings, each built once; judges and benchmarks are built with its help."""

    def judge(self, spec: Mapping[str, Json]) -> Judge:
        """The judge that ``{"use": name, ...}`` describes, for judges that ask others."""
        ...

    def vlm(self, spec: Mapping[str, Json] | str) -> Vlm:
        """The language-vision model that ``{"use": name, ...}`` describes, or a text as ``--judge-model`` takes it."""
        ...

    def generator(self, spec: Mapping[str, Json]) -> Generator:
        """The generator that ``{"use": name, ...}`` describes."""
        ...

    def encoder(self, spec: Mapping[str, Json]) -> Encoder:
        """The encoder that ``{"use": name, ...}`` describes."""
        ...

    def reward_model(self, spec: Mapping[str, Json]) -> RewardModel:
        """The reward model that ``{"use": name, ...}`` describes."""
        ...

    def detector(self, spec: Mapping[str, Json]) -> Detector:
        """The detector that ``{"use": name, ...}`` describes."""
        ...

    def grounder(self, spec: Mapping[str, Json]) -> Grounder:
        """The grounder that ``{"use": name, ...}`` describes: a detector by name, wrapped."""
        ...

    def yes_no(self, spec: Mapping[str, Json]) -> YesNo:
        """The yes-no model that ``{"use": name, ...}`` describes."""
        ...

    def depth(self, spec: Mapping[str, Json]) -> Depth:
        """The depth model that ``{"use": name, ...}`` describes."""
        ...

    def phrases(self, spec: Mapping[str, Json]) -> Phrases:
        """The source of noun phrases that ``{"use": name, ...}`` describes."""
        ...

    def ocr(self, spec: Mapping[str, Json]) -> Ocr:
        """The reader of text that ``{"use": name, ...}`` describes."""
        ...
