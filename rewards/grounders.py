"""Who finds named objects in a picture: a detector, or a language-vision model asked "where is ...?"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from PIL import Image

from gotr1_eval.core import identifiers
from gotr1_eval.core.coco import coco_name, full_name
from gotr1_eval.core.errors import LabelError, one_line
from gotr1_eval.core.forms import FORMS_VERSION, boxes_form, constrains, read_form
from gotr1_eval.core.names import Match, match_names, says_nothing, spelling
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.perception import FileDetector
from gotr1_eval.core.protocols import Answers, Detector, Grounding, Request, Vlm
from gotr1_eval.core.reading import READER_VERSION, UnreadableReply, read_boxes
from gotr1_eval.core.types import Box, Detection, Json, Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.asking import Answer, ask_all
from rewards.inputs import IN_MEMORY, picture_files, require_detections
from rewards.prompt_file import PromptFile

VERSION = 3


class DetectorGrounder:
    """Asks a detector where the names are. What it does not find is evidence, not a failure."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.name = detector.name
        self.fingerprint = detector.fingerprint

    def calls(self, names: int) -> int:
        """A detector is no language-vision model: none."""
        return 0

    def ground(self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        """See `gotr1_eval.core.protocols.Grounder`. A name that cannot be looked for leaves its picture unscored."""
        try:
            return [Grounding(tuple(found)) for found in self.detector.detect(images, names)]
        except LabelError as error:
            if len(images) == 1:
                return [Unscored(why=Why.UNREADABLE, detail=one_line(error))]
        # Only this batch pays for finding out whose name it was.
        pairs = zip(images, names, strict=True)
        return [answer for image, wanted in pairs for answer in self.ground([image], [wanted])]


class PrecomputedGrounder:
    """Says what a file says about pictures: detections made elsewhere, under the names of the plan.

    A label is an object's name as `match_names` tells: a "dog" is found for "brown dog", a "cat" never is.
    """

    def __init__(self, known: FileDetector, name: str, fingerprint: str) -> None:
        self.known = known
        self.name = name
        self.fingerprint = identifiers.fingerprint({"grounder": VERSION, "file": fingerprint})

    def calls(self, names: int) -> int:
        """No language-vision model is asked: none."""
        return 0

    def ground(self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        """`NO_INPUT` for every picture: what was found is known by file, see `ground_files`."""
        return [Unscored(why=Why.NO_INPUT, detail=IN_MEMORY) for _ in images]

    def ground_files(self, samples: Sequence[Sample], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        """As `gotr1_eval.core.protocols.Grounder.ground`, of the samples' picture files."""
        return [self._look_up(sample, wanted) for sample, wanted in zip(samples, names, strict=True)]

    def remarks(self, samples: Sequence[Sample]) -> list[str]:
        """What is odd about the file, and which rows are of none of the samples' pictures."""
        return self.known.remarks(picture_files(samples))

    def _look_up(self, sample: Sample, names: Sequence[str]) -> Grounding | Unscored:
        in_picture = require_detections(self.known, sample)
        if isinstance(in_picture, Unscored):
            return in_picture
        found: list[Detection] = []
        for name in names:
            matches = [(seen, _means(name, seen.label)) for seen in in_picture.detections]
            mine = [replace(seen, label=name) for seen, match in matches if match in _MEANT]
            unsure = next((seen.label for seen, match in matches if match is Match.UNSURE), None)
            if not mine and unsure is not None:
                detail = (
                    f"the label {one_line(repr(unsure), 60)} may or may not be the plan's {one_line(repr(name), 60)}"
                )
                return Unscored(why=Why.UNREADABLE, detail=detail)
            found += mine
        return Grounding(tuple(found))


_MEANT = (Match.SAME_WORDS, Match.SAME_OBJECT)


def _means(name: str, label: str) -> Match:
    """Whether one of a label's names ("table, desk") means an object, under COCO's or GenEval's name of it."""
    parts = {form(part.strip()) for part in label.split(",") for form in (str, coco_name, full_name)}
    matches = {match_names(name, part) for part in parts}
    return next((match for match in (*_MEANT, Match.UNSURE) if match in matches), Match.OTHER)


class VlmGrounderSettings(StrictSettings):
    """Of a grounder that asks a language-vision model; see `VlmGrounder`."""

    vlm: Component
    one_question: bool = False
    prompt_file: Path | None = None


class VlmGrounder:
    """Asks a language-vision model, one question an object as in the paper (section 3.3), or one for all.

    Args:
        one_question: ask for all objects of a picture at once: one prefill instead of many, another judge by name.
        prompt_file: the user's own question.
    """

    def __init__(self, vlm: Vlm, *, one_question: bool = False, prompt_file: Path | None = None) -> None:
        self.vlm = vlm
        self.one_question = one_question
        file, marker = ("grounding_all", "names") if one_question else ("grounding", "name")
        self.marker = marker
        self.prompt = PromptFile(file, prompt_file, frozenset({marker, "answer"}))
        variants = [",one question"] if one_question else []
        variants += [f",own prompt {self.prompt.digest}"] if prompt_file else []
        self.name = "".join([vlm.name, *variants])
        self._facts: dict[str, Json] = {"grounder": VERSION, "prompt": self.prompt.text, "vlm": vlm.fingerprint}

    @cached_property
    def answers(self) -> Answers:
        """Under a form wherever the model can be held to one."""
        return "constrained" if constrains(self.vlm) else "free"

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that an answer depends on; a server may have to be asked whether it holds answers to a form."""
        # The reader of boxes also tells which boxes of a form are none.
        forms: dict[str, Json] = {"forms": FORMS_VERSION} if self.answers == "constrained" else {}
        return identifiers.fingerprint({**self._facts, "reader": READER_VERSION, **forms})

    def calls(self, names: int) -> int:
        """Questions for a picture with so many names."""
        return 1 if self.one_question else names

    def ground(self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        """See `gotr1_eval.core.protocols.Grounder`. One unreadable answer leaves the whole picture unscored."""
        ask = self._ask_once if self.one_question else self._ask_each
        return ask(images, names)

    def _ask_each(self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        questions = [(image, name) for image, wanted in zip(images, names, strict=True) for name in wanted]
        look = 'Answer with JSON and nothing after it: [{"bbox_2d": [x1, y1, x2, y2]}, ...], or [] if it is not there.'
        if self.answers == "constrained":
            look = (
                'Answer with JSON and nothing after it: {"boxes": [{"bbox_2d": [x1, y1, x2, y2]}, ...]}, with an empty '
                "list if it is not there."
            )
        requests = [self._request(image, name, look) for image, name in questions]

        def read(index: int, reply: Reply) -> list[Detection]:
            image, name = questions[index]
            return _of_name(self._boxes(requests[index], reply, image, [name]), name)

        answers = iter(ask_all(self.vlm, requests, read))
        return [_joined([next(answers) for _ in wanted]) for wanted in names]

    def _ask_once(self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        look = '[{"bbox_2d": [x1, y1, x2, y2], "label": "<name as above>"}, ...]'
        look = f'{{"boxes": {look}}}' if self.answers == "constrained" else look
        look = f"Answer with JSON and nothing after it: {look}; leave out what is not there."
        requests = [
            self._request(image, "\n".join(wanted), look, labels=wanted)
            for image, wanted in zip(images, names, strict=True)
        ]

        def read(index: int, reply: Reply) -> list[Detection]:
            return _labelled(self._boxes(requests[index], reply, images[index], names[index]), names[index])

        return [_joined([answer]) for answer in ask_all(self.vlm, requests, read)]

    def _request(self, image: Image.Image, text: str, look: str, *, labels: Sequence[str] = ()) -> Request:
        prompt = self.prompt.fill({self.marker: text, "answer": look})
        form = boxes_form(self.vlm.box_frame(image.size), labels) if self.answers == "constrained" else None
        return Request(prompt=prompt, images=(image,), form=form)

    def _boxes(
        self, request: Request, reply: Reply, image: Image.Image, asked: Sequence[str]
    ) -> list[tuple[str | None, Box]]:
        """The boxes of an answer under their labels; of one held to a form only the numbers are left to read."""
        frame = self.vlm.box_frame(image.size)
        if request.form is None:
            return read_boxes(reply.text, frame=frame, finish=reply.finish, asked=asked)
        given = read_form(reply.text, request.form, finish=reply.finish)["boxes"]
        found = read_boxes(json.dumps([entry["bbox_2d"] for entry in given]), frame=frame, finish="stop")
        return [(entry.get("label"), box) for entry, (_, box) in zip(given, found, strict=True)]


def _joined(answers: Sequence[Answer[list[Detection]] | Unscored]) -> Grounding | Unscored:
    """The answers about one picture as one."""
    replies = tuple(reply for answer in answers for reply in answer.replies)
    found: list[Detection] = []
    for answer in answers:
        if isinstance(answer, Unscored):
            return Unscored(why=answer.why, detail=answer.detail, replies=replies)
        found += answer.value
    return Grounding(tuple(found), replies)


def _of_name(found: Sequence[tuple[str | None, Box]], name: str) -> list[Detection]:
    """The boxes of an answer about one name. A box under another name is another object, one without a name is meant.

    Raises:
        UnreadableReply: no box is under the name, and one is under words that might mean it.
    """
    matches = [None if label is None or says_nothing(label) else match_names(name, label) for label, _ in found]
    best = next((sort for sort in (Match.SAME_WORDS, Match.SAME_OBJECT) if sort in matches), None)
    meant = [Detection(name, box) for (_, box), match in zip(found, matches, strict=True) if match in (best, None)]
    if not meant and Match.UNSURE in matches:
        label = found[matches.index(Match.UNSURE)][0]
        raise UnreadableReply(
            f"a box is labelled {label!r}, asked was for {name!r}: it is not clear whether it is that"
        )
    return meant


def _labelled(found: Sequence[tuple[str | None, Box]], names: Sequence[str]) -> list[Detection]:
    """The boxes under the names that were asked for.

    Raises:
        UnreadableReply: a box without a label, or with one that was not asked for or may mean several names.
    """
    return [Detection(_asked_name(label, names), box) for label, box in found]


def _asked_name(label: str | None, names: Sequence[str]) -> str:
    if label is None:
        raise UnreadableReply("a box has no label; give it one of the names asked for")
    if same := [name for name in names if spelling(name) == spelling(label)]:
        return same[0]
    matches = {name: match_names(name, label) for name in names}
    for sort in (Match.SAME_WORDS, Match.SAME_OBJECT):
        meant = [name for name, match in matches.items() if match is sort]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise UnreadableReply(f"a box is labelled {label!r}, which may be any of {', '.join(map(repr, meant))}")
    raise UnreadableReply(f"a box is labelled {label!r}, which is none of the names asked for")
