"""T2I-CompBench++'s numeracy metric: is each counted object there, and exactly as often as the prompt says?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path

from pydantic import Field

from benchmarks.official import metric_name, undefined, within
from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.sight import Sight
from benchmarks.t2i_compbench.frame import unidet_frame
from benchmarks.t2i_compbench.judges.spatial_2d import object_remarks
from benchmarks.t2i_compbench.labels import fits_in_part, seen_in
from benchmarks.t2i_compbench.numeracy import ALIASES, score_numeracy
from benchmarks.t2i_compbench.numeracy_prompts import Count, Vocabulary, read_counts, read_vocabulary
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.perception import Phrases, Sighting
from gotr1_eval.core.protocols import Detector, LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 3
CATEGORIES = ("numeracy",)


class Settings(StrictSettings):
    """The detector, the folder with ``new_objects.txt``, the source of the words, and whose semantics.

    Without a folder the lists are those that `gotr1-eval data fetch` brought.
    """

    detector: Component
    data: Path | None = None
    phrases: Component = Field(default={"use": "builtin"})
    semantics: Semantics = "reference"


class NumeracyJudge:
    """Parts are ``<object>, wanted`` and ``<object>, found`` for every counted object."""

    range = (0.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    needs = frozenset({"category"})
    model_calls = 0

    def __init__(self, detector: Detector, data: Path, phrases: Phrases, semantics: Semantics) -> None:
        self.sight = Sight(detector)
        self.data = data
        self.phrases = phrases
        self.semantics: Semantics = semantics
        self.name = metric_name("numeracy", [detector.name, phrases.name], semantics)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The objects that prompts count; raises DataError where the file cannot be read."""
        return read_vocabulary(self.data / "new_objects.txt")

    @property
    def fingerprint(self) -> str:
        """Of the detector's, the parser's, the vocabulary and the settings."""
        words = [*self.vocabulary.singulars, *self.vocabulary.plurals]
        parts = [self.sight.fingerprint, self.phrases.fingerprint]
        return fingerprint({"judge": self.name, "version": VERSION, "of": [*parts], "words": [*words]})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` outside the category numeracy."""
        return within(CATEGORIES, samples, self._judge)

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`: objects that a file of detections never names."""
        return object_remarks(
            self.sight, CATEGORIES, samples, self._names, partial(fits_in_part, semantics=self.semantics)
        )

    def _names(self, samples: Sequence[Sample]) -> list[list[str]]:
        return [_names(wanted) for wanted in self._wanted(samples)]

    def _wanted(self, samples: Sequence[Sample]) -> list[list[Count] | Unscored]:
        # Words are read up to an underscore, as the script takes them from the file's name, and it stops at one later.
        parses = self.phrases.parse([sample.prompt.partition("_")[0] for sample in samples])
        return [self._counts([token.text for token in parse.tokens]) for parse in parses]

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        counts = self._wanted(samples)
        sightings = self.sight.see(samples, [_names(wanted) for wanted in counts])
        return [
            self._outcome(sample.prompt, wanted, sighting)
            for sample, wanted, sighting in zip(samples, counts, sightings, strict=True)
        ]

    def _counts(self, words: Sequence[str]) -> list[Count] | Unscored:
        try:
            return read_counts(words, self.vocabulary, self.semantics)
        except UndefinedScoreError as error:
            return undefined(error)

    def _outcome(self, prompt: str, counts: list[Count] | Unscored, sighting: Sighting | Unscored) -> Outcome:
        if isinstance(sighting, Unscored):
            return sighting
        if isinstance(counts, Unscored):
            return counts
        seen = seen_in(sighting, unidet_frame(*sighting.size))
        try:
            scored = score_numeracy(prompt, counts, seen, self.semantics)
        except UndefinedScoreError as error:
            return undefined(error)
        parts: dict[str, float] = {}
        for count, found in zip(counts, scored.counted, strict=True):
            parts |= {f"{count.name}, wanted": float(count.number or 0), f"{count.name}, found": float(found)}
        return Score(value=min(scored.value, 1.0), parts=parts, seen=sighting.detections)


def _names(counts: list[Count] | Unscored) -> list[str]:
    """What a detector that must be told is asked for."""
    if isinstance(counts, Unscored):
        return []
    return list(dict.fromkeys(ALIASES.get(count.name, count.name) for count in counts))


def build(settings: Settings, workshop: Workshop) -> NumeracyJudge:
    """The judge; the detector loads when first asked."""
    detector, phrases = workshop.detector(settings.detector), workshop.phrases(settings.phrases)
    return NumeracyJudge(detector, require_data("t2i-compbench", settings.data), phrases, settings.semantics)
