"""The present reader over the raw replies that a run has stored: which scores would be others today?

A judge is set up anew by its name, with a model that answers what the run has stored, so that everything behind the
model (reading, second questions, the judge's arithmetic) is what runs today. Nothing is asked and nothing written.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import cast

from PIL import Image

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.plugins import JUDGES
from gotr1_eval.core.protocols import Judge, Request, Workshop
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.models.vlms.server_settings import smart_resized
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import read_info, read_judgments, read_samples
from gotr1_eval.settings import read_settings
from rewards.grounders import VlmGrounder

_NAME = re.compile(r"(?P<label>[a-z_]+)(?: [^\[]*)?\[(?P<model>.*)\]", re.S)
FRAMES = ("thousandths", "pixels", "qwen2.5-vl", "fractions")
"""Coordinates in which models answer boxes; the one that gives a run's stored boxes again is taken."""
Frame = str


class Fate(StrEnum):
    """What became of a judgment."""

    SAME = "same"
    CHANGED = "changed"
    LOST = "no longer scored"
    GAINED = "now scored"
    OTHER_REASON = "other reason"


@dataclass(frozen=True, slots=True)
class Reread:
    """One judgment read again."""

    sample: str
    judge: str
    old: Outcome
    new: Outcome

    @property
    def fate(self) -> Fate:
        """How the new outcome differs from the old."""
        if isinstance(self.old, Score) and isinstance(self.new, Score):
            alike = abs(self.old.value - self.new.value) < 1e-9 and _parts(self.old) == _parts(self.new)
            return Fate.SAME if alike else Fate.CHANGED
        if isinstance(self.old, Score) or isinstance(self.new, Score):
            return Fate.LOST if isinstance(self.old, Score) else Fate.GAINED
        return Fate.SAME if self.old.why is self.new.why else Fate.OTHER_REASON


@dataclass(frozen=True, slots=True)
class JudgeReread:
    """All judgments of one judge read again.

    Attributes:
        frame: of the judge's boxes, where it answers boxes.
        left_out: reason -> how many judgments were not read again.
    """

    judge: str
    rows: tuple[Reread, ...]
    left_out: Mapping[str, int]
    frame: Frame | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Fate -> number of judgments."""
        found = Counter(row.fate for row in self.rows)
        return {fate.value: found[fate] for fate in Fate}


class LeftOut(Exception):  # noqa: N818 - what becomes of the judgment
    """A judgment cannot be read again; the text says why."""


class StoredReplies:
    """A language-vision model that answers what one judgment has stored; satisfies `Vlm`."""

    name = "stored"
    fingerprint = "stored"
    scores_choices = True

    def __init__(self) -> None:
        self.frame: Frame = FRAMES[0]
        self._left: deque[Reply] = deque()

    def take(self, replies: Iterable[Reply]) -> None:
        """The replies of the next judgment."""
        self._left = deque(replies)

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """See `gotr1_eval.core.protocols.Vlm`."""
        if self.frame == "qwen2.5-vl":
            width, height = smart_resized(size, factor=28, min_pixels=3136, max_pixels=12845056)
            return (float(width), float(height))
        sides = {"thousandths": (1000.0, 1000.0), "fractions": (1.0, 1.0)}
        return sides.get(self.frame, (float(size[0]), float(size[1])))

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """The stored replies in order; for a second question that was not asked, the first one's complaint.

        Raises:
            LeftOut: the replies of several questions cannot be told apart.
        """
        if len(requests) > 1 and len(requests) != len(self._left) and not all(each.followups for each in requests):
            raise LeftOut("replies of several questions, which cannot be told apart")
        return [self._next(request) for request in requests]

    def _next(self, request: Request) -> Reply | Unscored:
        if self._left:
            return self._left.popleft()
        complaint = request.followups[-1][1] if request.followups else "no reply was stored"
        return Unscored(why=Why.UNREADABLE, detail=complaint)


class _StoredWorkshop:
    """Hands out the stored replies in place of every model."""

    def __init__(self, model: StoredReplies) -> None:
        self._model = model

    def vlm(self, spec: Mapping[str, Json]) -> StoredReplies:
        """The stored replies, whatever the settings."""
        return self._model

    def grounder(self, spec: Mapping[str, Json]) -> VlmGrounder:
        """A grounder that asks them."""
        return VlmGrounder(self._model, one_question=bool(spec.get("one_question")))


def reread(folder: Path, judge: str | None = None) -> list[JudgeReread]:
    """Read every stored reply of a run again.

    Args:
        folder: a run with judgments.jsonl; nothing in it is changed.
        judge: only judges whose name begins so; all by default.

    Returns:
        One entry a judge that keeps replies, in order of first appearance.

    Raises:
        DataError: the folder is no run, holds no judgments of its own, or none with replies by such a judge.
    """
    read_info(folder)
    if not (folder / "judgments.jsonl").is_file():
        raise DataError("no judgments here; name a run folder that was judged (or merge its shards)", path=folder)
    samples = read_samples(folder)
    stored: dict[str, list[Judgment]] = {}
    for judgment in read_judgments(folder).values():
        if judgment.outcome.replies and judgment.judge.startswith(judge or ""):
            stored.setdefault(judgment.judge, []).append(judgment)
    if not stored:
        raise DataError(f"no stored replies{f' of a judge named {judge}...' if judge else ''}", path=folder)
    return [_reread_judge(name, judgments, samples) for name, judgments in stored.items()]


def _reread_judge(name: str, judgments: Sequence[Judgment], samples: Mapping[str, Sample]) -> JudgeReread:
    model = StoredReplies()
    try:
        judge = _judge_named(name, model)
    except LeftOut as reason:
        return JudgeReread(name, (), {str(reason): len(judgments)})
    if not name.startswith("reasoning_image"):
        rows, left_out = _reread_all(judge, model, judgments, samples, pictures=False)
        return JudgeReread(name, tuple(rows), left_out)
    tried = {}
    for frame in FRAMES:
        model.frame = frame
        tried[frame] = _reread_all(judge, model, judgments, samples, pictures=True)
    # A box in a wrong frame overlaps nothing, so that only what was found tells frames apart.
    frame = max(FRAMES, key=lambda each: sum(_found_again(row) for row in tried[each][0]))
    return JudgeReread(name, tuple(tried[frame][0]), tried[frame][1], frame)


def _found_again(row: Reread) -> bool:
    return isinstance(row.old, Score) and row.old.value > 0 and row.fate is Fate.SAME


def _judge_named(name: str, model: StoredReplies) -> Judge:
    """The judge of a run's name, set up anew.

    Raises:
        LeftOut: the name is none of a judge whose answers are read here.
    """
    match = _NAME.fullmatch(name)
    label, rest = (match["label"], match["model"]) if match else ("", "")
    if rest.endswith(",expected") or ",expected," in rest:
        raise LeftOut("probabilities, which are not read from text")
    single, from_zero = label.endswith("_single"), label.endswith("_from_zero")
    base = label.removesuffix("_single").removesuffix("_from_zero").removesuffix("_text")
    values: dict[str, Json] = {"vlm": {"use": "stored"}}
    if base == "reasoning_image":
        values = {"grounder": {"use": "vlm", "one_question": ",one question" in rest}}
        values |= {"matching": "paper"} if rest.endswith(",paper") else {}
    elif base in ("semantic", "spatial", "prompt_image"):
        values |= {"single": True} if single else {}
        values |= {"from_zero": True} if from_zero else {}
        values |= {"text": True} if "spatial_text" in label else {}
        if several := re.search(r",mean of ([0-9]+)", rest):
            values |= {"mode": "sampled", "samples": int(several[1])}
    else:
        raise LeftOut("a judge whose answers are not read here")
    module = JUDGES.load(base)
    settings = read_settings(module.Settings, values, where=f"judge {base!r}")
    return cast(Judge, module.build(settings, cast(Workshop, _StoredWorkshop(model))))


def _reread_all(
    judge: Judge,
    model: StoredReplies,
    judgments: Sequence[Judgment],
    samples: Mapping[str, Sample],
    *,
    pictures: bool,
) -> tuple[list[Reread], dict[str, int]]:
    """Every judgment judged again from its replies, and how many were left out for which reason.

    Args:
        pictures: the judge needs the size of the picture; else a blank one stands for it.
    """
    rows: list[Reread] = []
    left_out: Counter[str] = Counter()
    for judgment in judgments:
        sample = samples.get(judgment.sample)
        if sample is None or (isinstance(judgment.outcome, Unscored) and judgment.outcome.why is Why.BACKEND):
            left_out["the sample is missing" if sample is None else "the model failed"] += 1
            continue
        model.take(judgment.outcome.replies)
        try:
            (outcome,) = judge.judge([sample if pictures else replace(sample, image=Image.new("RGB", (8, 8)))])
        except LeftOut as reason:
            left_out[str(reason)] += 1
            continue
        if isinstance(outcome, Unscored) and outcome.why is Why.NO_INPUT:
            left_out["the picture or chain is missing"] += 1
            continue
        rows.append(Reread(judgment.sample, judgment.judge, judgment.outcome, outcome))
    return rows, dict(left_out)


def _parts(score: Score) -> dict[str, float]:
    return {name: round(value, 9) for name, value in score.parts.items()}
