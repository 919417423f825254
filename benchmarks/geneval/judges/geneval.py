"""GenEval's verdict: does the picture show the prompt's objects, as many, in these colours and places? 1 or 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from benchmarks.detection_source import DetectionSource, counted, open_all
from benchmarks.geneval.objects import CountedObject, select_objects
from benchmarks.geneval.prompts import CLASSES, Task, read_task, row_of
from benchmarks.geneval.verdict import ColourNamer, coloured_clauses, cut_out, judge_picture
from benchmarks.pixels import to_pixels
from benchmarks.semantics import Semantics, UndefinedScoreError, metric_name, undefined, where_it_applies
from gotr1_eval.core.coco import full_name
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.perception import PictureDetections
from gotr1_eval.core.protocols import Detector, Encoder, LooksAt, Workshop
from gotr1_eval.core.types import Box, Detection, Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 2


class Settings(StrictSettings):
    """The detector, the encoder that names colours (the benchmark's own is CLIP ViT-L/14), and whose semantics.

    Without an encoder prompts that ask for a colour are left unscored once their objects are there.
    """

    detector: Component
    encoder: Component | None = None
    semantics: Semantics = "reference"


@dataclass(frozen=True, slots=True)
class Case:
    """A picture on its way to the verdict: its objects, and the cut-out ones whose colours decide, clause by clause."""

    task: Task
    size: tuple[int, int]
    objects: Mapping[str, Sequence[CountedObject]]
    cuts: Mapping[int, Sequence[Image.Image]]
    unmasked: int


class GenEvalJudge:
    """1 for a picture that is right, 0 with the official reason as the note for one that is not.

    `Score.seen` holds the objects that counted; the part ``colours without mask`` says how many colours were told from
    a whole box, because the detector gave no mask.
    """

    range = (0.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    needs = frozenset({"geneval"})
    model_calls = 0

    def __init__(self, detector: Detector, encoder: Encoder | None, semantics: Semantics) -> None:
        self.source = DetectionSource(detector)
        self.encoder = encoder
        self.namer = ColourNamer(encoder) if encoder is not None else None
        self.semantics: Semantics = semantics
        self.name = metric_name("geneval", [detector.name, encoder.name if encoder else "no colours"], semantics)

    @property
    def fingerprint(self) -> str:
        """Of the models' and the settings."""
        parts = [self.source.fingerprint, self.encoder.fingerprint if self.encoder else ""]
        return fingerprint({"judge": self.name, "version": VERSION, "of": [*parts]})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` without a row of GenEval's metadata."""
        return where_it_applies(
            lambda sample: row_of(sample) is not None, samples, self._judge, "a metric of GenEval's prompts"
        )

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """Objects of prompts and labels of a file of detections that are none of GenEval's classes.

        Besides what is odd about the file itself; see `gotr1_eval.core.protocols.Remarking`.
        """
        whole = list(samples)
        asked = Counter(name for task in map(_task, filter(row_of, whole)) for name in _names(task))
        lines = self.source.file_remarks(whole)
        labels = Counter[str]()
        for label, count in self.source.labels.items():
            labels[full_name(label)] += count
        if foreign := {name: n for name, n in asked.items() if name not in CLASSES and name not in labels}:
            lines.append(
                f"{self.source.name}: prompts ask for what is none of GenEval's 80 classes: {counted(foreign)}"
            )
        if foreign := {label: n for label, n in labels.items() if label not in CLASSES and label not in asked}:
            told = counted(foreign)
            lines.append(f"{self.source.name}: labels that are none of GenEval's 80 classes count for nothing: {told}")
        return lines

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        tasks = [_task(sample) for sample in samples]
        needed = [not self.source.knows_files or self._may_ask_colours(task) for task in tasks]
        # GenEval's own reader drops transparency.
        opened = iter(open_all([s for s, need in zip(samples, needed, strict=True) if need], transparency="dropped"))
        pictures = [next(opened) if need else None for need in needed]
        live = [picture for picture in pictures if picture is not None]
        per_picture = self.source.detections(samples, [_names(task) for task in tasks], live)
        cases = [self._case(*row) for row in zip(tasks, per_picture, pictures, strict=True)]
        colours = iter(self._colours([case for case in cases if not isinstance(case, Unscored)]))
        return [case if isinstance(case, Unscored) else self.outcome(case, next(colours)) for case in cases]

    def _may_ask_colours(self, task: Task | Unscored) -> bool:
        asks = not isinstance(task, Unscored) and any(clause.colour for clause in task.include)
        return asks and self.namer is not None

    def _case(
        self, task: Task | Unscored, in_picture: PictureDetections | Unscored, picture: Image.Image | Unscored | None
    ) -> Case | Unscored:
        if isinstance(task, Unscored):
            return task
        if isinstance(in_picture, Unscored):
            return in_picture
        if isinstance(picture, Unscored):
            return picture
        seen = to_pixels(in_picture.detections, in_picture.size)
        objects = select_objects(seen, counting=task.tag == "counting", semantics=self.semantics)
        found = {
            index: objects[task.include[index].name][: task.include[index].count]
            for index in coloured_clauses(task, objects)
        }
        cuts = self._cut(found, picture, in_picture.size) if found else {}
        unmasked = sum(one.mask is None for group in found.values() for one in group)
        return cuts if isinstance(cuts, Unscored) else Case(task, in_picture.size, objects, cuts, unmasked)

    def _cut(
        self, found: Mapping[int, Sequence[CountedObject]], picture: Image.Image | None, size: tuple[int, int]
    ) -> Mapping[int, Sequence[Image.Image]] | Unscored:
        """The objects of each clause, cut out of the picture."""
        if picture is None or self.namer is None:
            return Unscored(why=Why.NO_INPUT, detail="the prompt asks for a colour, and no encoder was named")
        if picture.size != size:
            seen, own = ("x".join(map(str, pair)) for pair in (size, picture.size))
            return Unscored(why=Why.NO_INPUT, detail=f"detections of a picture of {seen} pixels, this one has {own}")
        try:
            return {index: [cut_out(picture, one, self.semantics) for one in group] for index, group in found.items()}
        except UndefinedScoreError as error:
            return undefined(error)

    def _colours(self, cases: Sequence[Case]) -> list[dict[int, list[str]]]:
        """For each picture and clause the names of the colours; the encoder is asked once for all."""
        cuts = [
            (case.task.include[index].name, cut)
            for case in cases
            for index, group in case.cuts.items()
            for cut in group
        ]
        names = iter(self.namer.name_colours(cuts) if self.namer is not None else ())
        return [{index: [next(names) for _ in group] for index, group in case.cuts.items()} for case in cases]

    def outcome(self, case: Case, colours: Mapping[int, Sequence[str]]) -> Score:
        """The verdict on a picture, with the objects that counted.

        Args:
            colours: for each clause of `case.cuts` the colours of the objects that were cut out.
        """
        verdict = judge_picture(case.task, case.objects, colours)
        width, height = case.size
        seen = tuple(
            Detection(name, Box.clipped(x1 / width, y1 / height, x2 / width, y2 / height), one.score)
            for name, found in case.objects.items()
            for one in found
            for x1, y1, x2, y2 in [one.box.tolist()]
        )
        parts = {"colours without mask": float(case.unmasked)} if case.unmasked else {}
        return Score(value=float(verdict.correct), parts=parts, seen=seen, note=verdict.reason)


def _task(sample: Sample) -> Task | Unscored:
    try:
        return read_task(row_of(sample) or {})
    except (KeyError, TypeError, ValueError) as error:
        return Unscored(why=Why.NO_INPUT, detail=f"the sample's metadata is no prompt of GenEval ({error!r})")


def _names(task: Task | Unscored) -> list[str]:
    """What a detector that must be told is asked for."""
    if isinstance(task, Unscored):
        return []
    return list(dict.fromkeys(clause.name for clause in (*task.include, *task.exclude)))


def build(settings: Settings, workshop: Workshop) -> GenEvalJudge:
    """The judge; its models load when first asked."""
    encoder = None if settings.encoder is None else workshop.encoder(settings.encoder)
    return GenEvalJudge(workshop.detector(settings.detector), encoder, settings.semantics)
