"""A detector in front of drawings: does it see at all, and does it answer the same whatever else is in the batch?

A thing counts as found when the surest of the detections that overlap it (IoU of a half or more), among the names of
all things of that world, bears its name. Random weights do not get half of ten things right that way; a detector whose
weights or operators are broken sees nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from PIL import Image

from benchmarks.doctor.checks import Check, clear_beats_spoilt, sound, spoil
from benchmarks.doctor.drawings import Thing, World, everyday, shapes
from gotr1_eval.core.errors import BackendError, LabelError
from gotr1_eval.core.geometry import iou
from gotr1_eval.core.perception import SwapsChannels
from gotr1_eval.core.protocols import Detector
from gotr1_eval.core.types import Detection

OVERLAP = 0.5
"""IoU from which a detection is of a drawn thing."""
LEAST_FOUND = 0.5
"""Share of a world's things; a healthy detector of that world finds nearly all."""
BOX_TOLERANCE, SCORE_TOLERANCE = 0.005, 0.005
"""In fractions of the picture, and of probability; float32 stays a hundred times below."""
MARGIN = 0.02
"""Mean score of the things by which clear drawings must be ahead of spoilt ones."""
MOST_STRAYS = 0.05
"""Share of the detections that may lie at a threshold and fall to either side of it."""
Answers = list[list[Detection]]


@dataclass(frozen=True, slots=True)
class WorldAnswers:
    """What a detector made of a world: its answers, or why there are none, and which things it found."""

    world: World
    answers: Answers
    found: tuple[Thing, ...]
    unknown: str = ""

    @property
    def seen(self) -> int:
        """Detections in all drawings."""
        return sum(map(len, self.answers))

    @property
    def drawn(self) -> int:
        """Things there were to find."""
        return sum(len(drawing.things) for drawing in self.world.drawings)

    @property
    def share(self) -> float:
        """Of the things that were found, in [0, 1]."""
        return len(self.found) / self.drawn

    def __str__(self) -> str:
        counts = f"{self.world.name} {len(self.found)} of {self.drawn}"
        return f"{counts} ({self.unknown})" if self.unknown else f"{counts} ({self.seen} detections)"


def detect(detector: Detector, pictures: Sequence[Image.Image], names: Sequence[str] | None = None) -> Answers:
    """What it finds in each picture: of the names, or of everything.

    Raises:
        BackendError: not one answer a picture.
        UsageError, LabelError: as detectors do.
    """
    found = detector.detect(pictures, None if names is None else [names] * len(pictures))
    if len(found) != len(pictures):
        raise BackendError(f"{len(found)} answers to {len(pictures)} pictures")
    return found


def look(detector: Detector, world: World) -> WorldAnswers:
    """Ask a detector for all of a world's names in each of its drawings."""
    pictures = [drawing.picture for drawing in world.drawings]
    try:
        return match_answers(world, detect(detector, pictures, world.names))
    except LabelError:
        return WorldAnswers(world, [[] for _ in pictures], (), "names it does not know")


def match_answers(world: World, answers: Answers) -> WorldAnswers:
    """Which things were found, by a detector that was asked for their names or for everything."""
    found = tuple(
        thing
        for drawing, detections in zip(world.drawings, answers, strict=True)
        for thing in drawing.things
        if _is_found(thing, [one for one in detections if one.label in world.names])
    )
    return WorldAnswers(world, answers, found)


def _is_found(thing: Thing, detections: Sequence[Detection]) -> bool:
    overlapping = [one for one in detections if iou(one.box, thing.box) >= OVERLAP]
    return bool(overlapping) and max(overlapping, key=lambda one: one.score).label == thing.name


def detector_checks(detector: Detector) -> Iterator[Check]:
    """Drawings of both worlds, one of which must be half found, and found better than spoilt ones; then the form."""
    looks = [look(detector, world) for world in (everyday(), shapes())]
    best = max(looks, key=lambda world_answers: world_answers.share)
    yield from with_clearness(
        detector, best.world, [seen(looks)], answer_checks(detector, best.world, _strangers(best))
    )


def with_clearness(
    detector: Detector, world: World, first: Sequence[Check], others: Iterable[Check]
) -> Iterator[Check]:
    """These checks, and where all of them are passed that clear drawings are found better than spoilt ones."""
    sound_so_far = True
    for check in chain(first, others):
        sound_so_far &= check.passed
        yield check
    if sound_so_far:
        yield prefers_clear(detector, world)


def prefers_clear(detector: Detector, world: World) -> Check:
    """That it is surer of the things as they are drawn than of spoilt ones.

    A detector that is shown red as blue on purpose, as an official script does, gets the drawings swapped beforehand.
    """
    swapped = isinstance(detector, SwapsChannels) and detector.swaps_channels
    pictures = [drawing.picture for drawing in world.drawings]
    pictures = [spoil(picture, "red and blue swapped") for picture in pictures] if swapped else pictures
    return clear_beats_spoilt(pictures, lambda shown: _sureness(world, detect(detector, shown, world.names)), MARGIN)


def _sureness(world: World, answers: Answers) -> float:
    """Mean score of the surest right detection of each thing, 0 for one that is not found."""
    scores = [
        max((one.score for one in seen if one.label == thing.name and iou(one.box, thing.box) >= OVERLAP), default=0.0)
        for drawing, seen in zip(world.drawings, answers, strict=True)
        for thing in drawing.things
    ]
    return sum(scores) / len(scores)


def seen(looks: Sequence[WorldAnswers]) -> Check:
    """That it finds half of one world at least."""
    best = max(looks, key=lambda world_answers: world_answers.share)
    detail = ", ".join(map(str, looks))
    if best.share >= LEAST_FOUND:
        return Check("sees drawings", True, detail)
    if all(world_answers.unknown for world_answers in looks):
        told = "its names are of neither world"
    else:
        told = "under half of either world" if any(world_answers.seen for world_answers in looks) else "it sees nothing"
    return Check("sees drawings", False, f"{told}: {detail}")


def answer_checks(detector: Detector, world: World, faults: Sequence[str] = ()) -> Iterator[Check]:
    """Numbers, repetition and batches, on three drawings of which two have one size.

    Args:
        faults: what was wrong with its answers before.
    """
    pictures = [drawing.picture for drawing in world.drawings][:3]
    ask = _question(detector, pictures[0], world)
    batch, again = ask(pictures), ask(pictures)
    count = sum(map(len, batch))
    yield sound([*faults, *_faults(batch, pictures)], f"{count} detections in {len(pictures)} pictures")
    yield Check("same twice", batch == again, f"{count} detections{'' if batch == again else ', then others'}")
    yield _batch(batch, [ask([picture])[0] for picture in pictures])


def _question(detector: Detector, picture: Image.Image, world: World) -> Callable[[Sequence[Image.Image]], Answers]:
    """How to ask for everything; those that must be told are asked for the world's names."""
    if detector.open_vocabulary:
        return lambda pictures: detect(detector, pictures, world.names)
    return lambda pictures: detect(detector, pictures)


def _faults(found: Answers, pictures: Sequence[Image.Image]) -> list[str]:
    faults = []
    for detections, picture in zip(found, pictures, strict=True):
        scores = np.array([one.score for one in detections])
        if not (np.isfinite(scores).all() and ((scores >= 0) & (scores <= 1)).all()):
            faults.append(f"a score outside [0, 1]: {scores[~((scores >= 0) & (scores <= 1))][0]}")
        if (np.diff(scores) > 0).any():
            faults.append("detections are not sorted, best first")
        shape = picture.size[::-1]
        if any(one.mask is not None and (one.mask.shape != shape or one.mask.dtype != bool) for one in detections):
            faults.append(f"a mask that is not bool {list(shape)}")
    return faults


def _strangers(world_answers: WorldAnswers) -> list[str]:
    """Labels that nobody asked for."""
    strange = {one.label for found in world_answers.answers for one in found} - set(world_answers.world.names)
    return [f"labels that were not asked for: {', '.join(sorted(strange)[:3])}"] if strange else []


def _batch(batch: Answers, singles: Answers) -> Check:
    """Nearly every detection of the one has its like in the other."""
    pairs = list(zip(batch, singles, strict=True))
    strays = sum(
        not any(_alike(one, other) for other in others)
        for together, alone in pairs
        for mine, others in ((together, alone), (alone, together))
        for one in mine
    )
    count = sum(len(together) + len(alone) for together, alone in pairs)
    if not count:
        return Check("batch equals single", False, "nothing was found that could be compared")
    tolerance = f"tolerance {BOX_TOLERANCE:g} of the picture, {SCORE_TOLERANCE:g} in score"
    detail = f"{strays} of {count} detections without their like ({tolerance}; at most {MOST_STRAYS:.0%} may be)"
    return Check("batch equals single", strays <= MOST_STRAYS * count, detail)


def _alike(one: Detection, other: Detection) -> bool:
    corners = zip(one.box.corners, other.box.corners, strict=True)
    near = max(abs(mine - theirs) for mine, theirs in corners) <= BOX_TOLERANCE
    return one.label == other.label and near and abs(one.score - other.score) <= SCORE_TOLERANCE
