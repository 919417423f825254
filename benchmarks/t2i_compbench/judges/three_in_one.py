"""T2I-CompBench's 3-in-1 metric of complex prompts: the mean of those parts that the prompt is on a list for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from PIL import Image
from pydantic import Field

from benchmarks.detection_source import DetectionSource, open_all
from benchmarks.semantics import Semantics, metric_name, official_prompt, within
from benchmarks.t2i_compbench.complex_prompts import PARTS, ComplexKinds, Part, complex_score, cosine_text, read_kinds
from benchmarks.t2i_compbench.judges.blip_vqa import attribute_outcomes
from benchmarks.t2i_compbench.judges.non_spatial import cosine_outcomes
from benchmarks.t2i_compbench.judges.spatial_2d import names_to_find, object_remarks, spatial_outcome
from benchmarks.t2i_compbench.labels import fits_exactly
from benchmarks.t2i_compbench.spatial_prompts import objects_beside_prepositions
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.perception import Parse, Phrases, YesNo
from gotr1_eval.core.protocols import Detector, Encoder, LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 3
CATEGORIES = ("complex",)


class Settings(StrictSettings):
    """The three metrics' models, the folder with the benchmark's lists of kinds, and whose semantics.

    Without a folder the lists are those that `gotr1-eval data fetch` brought.
    """

    yes_no: Component
    detector: Component
    encoder: Component
    data: Path | None = None
    phrases: Component = Field(default={"use": "builtin"})
    semantics: Semantics = "reference"


class ThreeInOneJudge:
    """Only the parts that count for a prompt are computed; `Score.parts` holds them."""

    range = (-0.5, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    needs = frozenset({"category"})
    model_calls = 0

    def __init__(
        self,
        yes_no: YesNo,
        detector: Detector,
        encoder: Encoder,
        phrases: Phrases,
        *,
        data: Path,
        semantics: Semantics,
    ) -> None:
        self.yes_no = yes_no
        self.source = DetectionSource(detector)
        self.encoder = encoder
        self.phrases = phrases
        self.data = data
        self.semantics: Semantics = semantics
        self.name = metric_name("complex", [yes_no.name, detector.name, encoder.name, phrases.name], semantics)

    @cached_property
    def kinds(self) -> ComplexKinds:
        """Which prompts are spatial and which are actions; raises DataError where a list cannot be read."""
        return read_kinds(self.data)

    @property
    def fingerprint(self) -> str:
        """Of the models', the parser's, the lists and the settings."""
        makers = (self.yes_no, self.source, self.encoder, self.phrases)
        lists = [sorted(self.kinds.spatial), sorted(self.kinds.action)]
        of = [maker.fingerprint for maker in makers]
        return fingerprint({"judge": self.name, "version": VERSION, "of": [*of], "lists": [[*keys] for keys in lists]})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` outside the category complex."""
        return within(CATEGORIES, samples, self._judge)

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`: objects that a file of detections never names."""
        return object_remarks(
            self.source, CATEGORIES, samples, self._names, partial(fits_exactly, semantics=self.semantics)
        )

    def _names(self, samples: Sequence[Sample]) -> list[list[str]]:
        prompts = [official_prompt(sample.prompt, self.semantics) for sample in samples]
        spatial = [prompt for prompt in prompts if "spatial" in PARTS[self.kinds.kind(prompt)]]
        parses = self.phrases.parse(spatial)
        return [names_to_find(objects_beside_prepositions(parse.tokens, self.semantics)) for parse in parses]

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        prompts = [official_prompt(sample.prompt, self.semantics) for sample in samples]
        parses = self.phrases.parse(prompts)
        pictures = open_all(samples)
        kinds = [self.kinds.kind(prompt) for prompt in prompts]
        parts: list[dict[Part, Outcome]] = [{} for _ in samples]
        work = _Work(samples, prompts, parses, pictures)
        for part in PARTS["both"]:
            places = [place for place, kind in enumerate(kinds) if part in PARTS[kind]]
            for place, outcome in zip(places, self._part(part, work.at(places)), strict=True):
                parts[place][part] = outcome
        return [_mean(kind, found) for kind, found in zip(kinds, parts, strict=True)]

    def _part(self, part: Part, work: _Work) -> list[Outcome]:
        """One of the three metrics, of the samples that it counts for."""
        if part == "attribute":
            return attribute_outcomes(self.yes_no, work.pictures, work.parses, self.semantics)
        if part == "action":
            pairs = zip(work.prompts, work.parses, strict=True)
            texts = [cosine_text(prompt, parse.tokens, self.semantics) for prompt, parse in pairs]
            return cosine_outcomes(self.encoder, work.pictures, texts)
        objects = [objects_beside_prepositions(parse.tokens, self.semantics) for parse in work.parses]
        per_picture = self.source.detections(work.samples, [names_to_find(pair) for pair in objects], work.pictures)
        rows = zip(work.prompts, objects, per_picture, strict=True)
        return [spatial_outcome(*row, self.semantics) for row in rows]


class _Work:
    """Samples with everything that is known about them, row by row."""

    def __init__(
        self,
        samples: Sequence[Sample],
        prompts: Sequence[str],
        parses: Sequence[Parse],
        pictures: Sequence[Image.Image | Unscored],
    ) -> None:
        self.samples = samples
        self.prompts = prompts
        self.parses = parses
        self.pictures = pictures

    def at(self, places: Sequence[int]) -> _Work:
        """These rows only."""
        return _Work(
            [self.samples[place] for place in places],
            [self.prompts[place] for place in places],
            [self.parses[place] for place in places],
            [self.pictures[place] for place in places],
        )


def _mean(kind: str, parts: Mapping[Part, Outcome]) -> Outcome:
    """The prompt's score; without a value of any part that counts there is none."""
    values: dict[Part, float] = {}
    for part, outcome in parts.items():
        if isinstance(outcome, Unscored):
            return outcome
        values[part] = outcome.value
    return Score(value=complex_score(kind, values), parts={str(part): value for part, value in values.items()})


def build(settings: Settings, workshop: Workshop) -> ThreeInOneJudge:
    """The judge; its models load when first asked."""
    return ThreeInOneJudge(
        workshop.yes_no(settings.yes_no),
        workshop.detector(settings.detector),
        workshop.encoder(settings.encoder),
        workshop.phrases(settings.phrases),
        data=require_data("t2i-compbench", settings.data),
        semantics=settings.semantics,
    )
