"""T2I-CompBench++'s numeracy metric: is each counted object there, and exactly as often as the prompt says?

Each counted object weighs 1 / (number of objects): half of it for being there, half for the exact count
(UniDet_eval/numeracy_eval.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from pydantic import Field

from benchmarks.detection_source import DetectionSource
from benchmarks.pixels import PixelBox, PixelDetection
from benchmarks.semantics import Semantics, UndefinedScoreError, metric_name, undefined, within
from benchmarks.t2i_compbench.judges.spatial_2d import object_remarks
from benchmarks.t2i_compbench.labels import PEOPLE, find_all, fits_in_part, seen_in
from benchmarks.t2i_compbench.numeracy_prompts import Count, Vocabulary, read_counts, read_vocabulary
from gotr1_eval.core.frames import unidet_frame
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.perception import Phrases, PictureDetections
from gotr1_eval.core.protocols import Detector, LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

SAME = 0.9
"""IoU, or share of one box inside the other, above which two boxes of one label are one object."""
ALIASES = {**PEOPLE, "ship": "boat", "telivision": "tv", "goldfish": "fish", "painting": "picture"}
"""Names that the detector knows under another; the second is misspelt in the official script, so that televisions are
not found there."""
VERSION = 4
CATEGORIES = ("numeracy",)


@dataclass(frozen=True, slots=True)
class NumeracyScore:
    """A picture's score, and how many of each counted object were seen."""

    value: float
    counted: tuple[int, ...]


def same_object(one: PixelBox, other: PixelBox) -> bool:
    """Whether two boxes of one label are taken for one object. Sides count one pixel more, as in the script."""
    first, second = _area(one), _area(other)
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]) + 1)
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]) + 1)
    shared = width * height
    return shared / (first + second - shared) > SAME or shared / first > SAME or shared / second > SAME


def _area(box: PixelBox) -> float:
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


def without_duplicates(seen: Sequence[PixelDetection]) -> list[PixelDetection]:
    """The detections, in order, without those that repeat an earlier one of the same label."""
    kept: list[PixelDetection] = []
    for found in seen:
        if not any(found.label == other.label and same_object(other.box, found.box) for other in kept):
            kept.append(found)
    return kept


def score_numeracy(
    prompt: str, counts: Sequence[Count], seen: Sequence[PixelDetection], semantics: Semantics = "reference"
) -> NumeracyScore:
    """The score of one picture, in [0, 1].

    Args:
        counts: what the prompt asks for; see `numeracy_prompts.read_counts`.
        seen: the detections in the detector's order.

    Raises:
        UndefinedScoreError: no counted object; `reference`: a count that the script has lost, or a prompt with an
            underscore.
    """
    if not counts:
        raise UndefinedScoreError("the prompt counts no object of the benchmark's vocabulary", "ZeroDivisionError")
    kept = without_duplicates(seen)
    if semantics == "corrected":
        return _corrected(counts, kept)
    value, counted = _reference([found.label for found in kept], counts)
    if "_" in prompt:
        raise UndefinedScoreError("the script cannot number a picture whose prompt holds an underscore", "ValueError")
    return NumeracyScore(value, tuple(counted))


def _reference(labels: list[str], counts: Sequence[Count]) -> tuple[float, list[int]]:
    """Value and counts. An object that no label equals takes over every label that contains it, for good: later
    objects of the prompt do not find those again."""
    value, weight, counted = 0.0, 1 / len(counts), []
    # The script keeps its numbers in a list of its own, which a lost one shortens.
    numbers = [count.number for count in counts if count.number is not None]
    for place, count in enumerate(counts):
        name = ALIASES.get(count.name, count.name)
        if name not in labels:
            labels = [name if name in label else label for label in labels]
        counted.append(labels.count(name))
        if not counted[-1]:
            continue
        value += weight * 0.5
        if place >= len(numbers):
            raise UndefinedScoreError("the script has lost the number of an object", "IndexError")
        if counted[-1] == numbers[place]:
            value += weight * 0.5
    return value, counted


def _corrected(counts: Sequence[Count], kept: Sequence[PixelDetection]) -> NumeracyScore:
    """Labels are taken apart into names, and none is renamed."""
    weight = 1 / len(counts)
    counted = tuple(len(find_all(count.name, kept)) for count in counts)
    value = sum(
        weight * (0.5 * (found > 0) + 0.5 * (found == count.number))
        for found, count in zip(counted, counts, strict=True)
    )
    return NumeracyScore(min(value, 1.0), counted)


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
        self.source = DetectionSource(detector)
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
        parts = [self.source.fingerprint, self.phrases.fingerprint]
        return fingerprint({"judge": self.name, "version": VERSION, "of": [*parts], "words": [*words]})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` outside the category numeracy."""
        return within(CATEGORIES, samples, self._judge)

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`: objects that a file of detections never names."""
        return object_remarks(
            self.source, CATEGORIES, samples, self._names, partial(fits_in_part, semantics=self.semantics)
        )

    def _names(self, samples: Sequence[Sample]) -> list[list[str]]:
        return [_names(wanted) for wanted in self._wanted(samples)]

    def _wanted(self, samples: Sequence[Sample]) -> list[list[Count] | Unscored]:
        # Words are read up to an underscore, as the script takes them from the file's name, and it stops at one later.
        parses = self.phrases.parse([sample.prompt.partition("_")[0] for sample in samples])
        return [self._counts([token.text for token in parse.tokens]) for parse in parses]

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        counts = self._wanted(samples)
        per_picture = self.source.detections(samples, [_names(wanted) for wanted in counts])
        return [
            self._outcome(sample.prompt, wanted, in_picture)
            for sample, wanted, in_picture in zip(samples, counts, per_picture, strict=True)
        ]

    def _counts(self, words: Sequence[str]) -> list[Count] | Unscored:
        try:
            return read_counts(words, self.vocabulary, self.semantics)
        except UndefinedScoreError as error:
            return undefined(error)

    def _outcome(
        self, prompt: str, counts: list[Count] | Unscored, in_picture: PictureDetections | Unscored
    ) -> Outcome:
        if isinstance(in_picture, Unscored):
            return in_picture
        if isinstance(counts, Unscored):
            return counts
        seen = seen_in(in_picture, unidet_frame(*in_picture.size))
        try:
            scored = score_numeracy(prompt, counts, seen, self.semantics)
        except UndefinedScoreError as error:
            return undefined(error)
        parts: dict[str, float] = {}
        for count, found in zip(counts, scored.counted, strict=True):
            parts |= {f"{count.name}, wanted": float(count.number or 0), f"{count.name}, found": float(found)}
        return Score(value=min(scored.value, 1.0), parts=parts, seen=in_picture.detections)


def _names(counts: list[Count] | Unscored) -> list[str]:
    """What a detector that must be told is asked for."""
    if isinstance(counts, Unscored):
        return []
    return list(dict.fromkeys(ALIASES.get(count.name, count.name) for count in counts))


def build(settings: Settings, workshop: Workshop) -> NumeracyJudge:
    """The judge; the detector loads when first asked."""
    detector, phrases = workshop.detector(settings.detector), workshop.phrases(settings.phrases)
    return NumeracyJudge(detector, require_data("t2i-compbench", settings.data), phrases, settings.semantics)
