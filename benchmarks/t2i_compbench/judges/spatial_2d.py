"""T2I-CompBench's 2D-spatial metric: a detector's confidences and boxes against the prompt's relation word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial

from pydantic import Field

from benchmarks.detection_source import DetectionSource
from benchmarks.semantics import Semantics, UndefinedScoreError, metric_name, official_prompt, undefined, within
from benchmarks.t2i_compbench.labels import PEOPLE, fits_exactly, seen_in
from benchmarks.t2i_compbench.spatial_2d import SpatialScore, score_2d
from benchmarks.t2i_compbench.spatial_prompts import WORDS_2D, Stated, find_word, first_and_last_noun, stated_2d
from gotr1_eval.core.frames import unidet_frame
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.perception import Phrases, PictureDetections, Token
from gotr1_eval.core.protocols import Detector, LooksAt, Workshop
from gotr1_eval.core.relations import parse_relations
from gotr1_eval.core.types import Box, Detection, Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 4
CATEGORIES = ("spatial",)
Objects = tuple[str, str]


class Settings(StrictSettings):
    """The detector, the source of the nouns, and whose semantics."""

    detector: Component
    phrases: Component = Field(default={"use": "builtin"})
    semantics: Semantics = "reference"


class Spatial2dJudge:
    """Parts are the two confidences (0 where an object was not found) and the relation's credit."""

    range = (0.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    needs = frozenset({"category"})
    model_calls = 0

    def __init__(self, detector: Detector, phrases: Phrases, semantics: Semantics) -> None:
        self.source = DetectionSource(detector)
        self.phrases = phrases
        self.semantics: Semantics = semantics
        self.name = metric_name("spatial", [detector.name, phrases.name], semantics)

    @property
    def fingerprint(self) -> str:
        """Of the detector's, the parser's and the settings."""
        parts = [self.source.fingerprint, self.phrases.fingerprint]
        return fingerprint({"judge": self.name, "version": VERSION, "of": [*parts]})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` outside the category spatial."""
        return within(CATEGORIES, samples, self._judge)

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`: objects that a file of detections never names."""
        return object_remarks(
            self.source, CATEGORIES, samples, self._names, partial(fits_exactly, semantics=self.semantics)
        )

    def _names(self, samples: Sequence[Sample]) -> list[list[str]]:
        return [names_to_find(pair) for _, pair in self._stated(samples)]

    def _stated(self, samples: Sequence[Sample]) -> list[tuple[str | None, Objects | Unscored]]:
        rows = prompts_and_tokens(self.phrases, samples, self.semantics)
        return [word_and_objects(*row, WORDS_2D, stated_2d, self.semantics) for row in rows]

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        stated = self._stated(samples)
        per_picture = self.source.detections(samples, [names_to_find(pair) for _, pair in stated])
        return [pair_outcome(*row, seen, self.semantics) for row, seen in zip(stated, per_picture, strict=True)]


def prompts_and_tokens(
    phrases: Phrases, samples: Sequence[Sample], semantics: Semantics
) -> Iterator[tuple[str, Sequence[Token]]]:
    """Each sample's prompt as the official script takes it, and its words."""
    prompts = [official_prompt(sample.prompt, semantics) for sample in samples]
    tokens = [parse.tokens for parse in phrases.parse(prompts)]
    return zip(prompts, tokens, strict=True)


def object_remarks(
    source: DetectionSource,
    categories: Collection[str],
    samples: Iterable[Sample],
    names: Callable[[Sequence[Sample]], Sequence[Sequence[str]]],
    fits: Callable[[str, str], bool],
) -> list[str]:
    """What is odd about a file of detections, and which objects of the categories' prompts it never names.

    Args:
        names: what each sample's prompt speaks of.
        fits: whether an object may be found under a label.
    """
    if not source.knows_files:
        return []
    whole = list(samples)
    # One sample a prompt is parsed.
    mine = list({one.prompt: one for one in whole if one.meta.get("category") in categories}.values())
    asked = Counter(name for found in names(mine) for name in dict.fromkeys(found))
    return [*source.file_remarks(whole), *source.unlabelled(asked, fits)]


def word_and_objects(
    prompt: str,
    tokens: Sequence[Token],
    words: Sequence[str],
    read: Callable[[str, Sequence[Token]], Stated | None],
    semantics: Semantics,
) -> tuple[str | None, Objects | Unscored]:
    """The relation word, and the first and the last noun; `UNDEFINED` without a noun.

    Under `corrected` what `read` reads of the prompt, `NOT_APPLICABLE` where that is nothing.
    """
    try:
        objects = first_and_last_noun(tokens)
    except UndefinedScoreError as error:
        return None, undefined(error)
    if semantics == "reference":
        return find_word(prompt, words), objects
    stated = read(prompt, tokens)
    if stated is not None:
        return stated
    unread = parse_relations(prompt).unread
    what = f": not read with certainty: '{unread[0]}'" if unread else ""
    detail = f"the prompt states no one relation between two of its nouns{what}"
    return None, Unscored(why=Why.NOT_APPLICABLE, detail=detail)


def names_to_find(objects: Objects | Unscored | None) -> list[str]:
    """What a detector that must be told is asked for."""
    if objects is None or isinstance(objects, Unscored):
        return []
    return list(dict.fromkeys(PEOPLE.get(name, name) for name in objects))


def spatial_outcome(
    prompt: str, objects: Objects | Unscored | None, in_picture: PictureDetections | Unscored, semantics: Semantics
) -> Outcome:
    """The score of one picture of a complex prompt; without a pair of objects (None) it is 0."""
    return pair_outcome(find_word(prompt, WORDS_2D), objects, in_picture, semantics)


def pair_outcome(
    word: str | None, objects: Objects | Unscored | None, in_picture: PictureDetections | Unscored, semantics: Semantics
) -> Outcome:
    """The score of one picture; without a pair of objects (None) it is 0."""
    if isinstance(in_picture, Unscored):
        return in_picture
    if isinstance(objects, Unscored):
        return objects
    frame = unidet_frame(*in_picture.size)
    try:
        scored = score_2d(word, objects, seen_in(in_picture, frame), semantics)
    except UndefinedScoreError as error:
        return undefined(error)
    return pair_score(scored, frame, "" if objects else "the prompt names no two objects beside a relation word")


def pair_score(scored: SpatialScore, frame: tuple[int, int], note: str = "") -> Score:
    """A score with the two detections that were compared."""
    pair = (scored.first, scored.second)
    parts = {name: found.score if found else 0.0 for name, found in zip(("first", "second"), pair, strict=True)}
    width, height = frame
    seen = tuple(
        Detection(found.label, Box.clipped(x1 / width, y1 / height, x2 / width, y2 / height), found.score)
        for found in pair
        if found is not None
        for x1, y1, x2, y2 in [found.box]
    )
    return Score(value=scored.value, parts={**parts, "relation": scored.relation}, seen=seen, note=note)


def build(settings: Settings, workshop: Workshop) -> Spatial2dJudge:
    """The judge; the detector loads when first asked."""
    detector, phrases = workshop.detector(settings.detector), workshop.phrases(settings.phrases)
    return Spatial2dJudge(detector, phrases, settings.semantics)
