"""GenEval's verdict as a reward: partly right pictures earn part of it, or exact counts are demanded.

flow_grpo   the number that flow_grpo and DiffusionNFT train on (its `score`): the mean over terms of each clause
            1 - |asked - found| / asked, where objects are as many as asked the same of their colour, and 1 for a place
            that is right. Negative where more than twice as many are found (three dogs for one: -1). A place that is
            wrong counts as a 0 *and* a 1, which is reproduced.
unirl       the same as UniRL copies it: a place that is wrong is a 0 alone.
strict      1 where as many objects as asked are found, no more, all of the colour and in the place asked for; else 0.
            The list of what must not be there plays no part.
lenient     1 where the benchmark's own rule holds, else 0: what the judge `geneval` says under `reference`.

Source: NVlabs/DiffusionNFT@24af555 flow_grpo/gen_eval.py, the server's code of flow_grpo; UniRL@1a7b501
unirl-reward-service, scorers/geneval.py. Detections count from a score above 0.3, for prompts that count 0.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.geneval.judges.geneval import Case, GenEvalJudge
from benchmarks.geneval.objects import DEFAULTS, CountedObject, relations
from benchmarks.geneval.prompts import Clause, Task
from benchmarks.geneval.verdict import Objects
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.protocols import Detector, Encoder, Workshop
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
Form = Literal["flow_grpo", "unirl", "strict", "lenient"]
Colours = Mapping[int, Sequence[str]]
"""Place of a clause -> the colours of its first `count` objects; there where it asks for one and they are enough."""


class Settings(StrictSettings):
    """Which reward, the detector, and the encoder that names colours.

    Without an encoder prompts that ask for a colour are left unscored once their objects are there.
    """

    form: Form = "flow_grpo"
    detector: Component
    encoder: Component | None = None


@dataclass(frozen=True, slots=True)
class Reward:
    """The terms of a picture's reward, and whether it is right to the letter."""

    terms: tuple[float, ...]
    strict: bool

    @property
    def mean(self) -> float:
        """Of the terms; 0 of none, as in the source."""
        return sum(self.terms) / len(self.terms) if self.terms else 0.0


class GenEvalReward(GenEvalJudge):
    """One of the four rewards; `Score.seen` holds the objects that counted."""

    def __init__(self, detector: Detector, encoder: Encoder | None, form: Form) -> None:
        super().__init__(detector, encoder, "reference")
        self.form: Form = form
        self.range = (1.0 - DEFAULTS.most, 1.0) if form in ("flow_grpo", "unirl") else (0.0, 1.0)
        models = [detector.name, encoder.name if encoder else "no colours"]
        self.name = f"geneval_reward[{', '.join(models)}, {form}]"

    @property
    def fingerprint(self) -> str:
        """Of the judge's that it builds on, and the form."""
        return fingerprint({"judge": self.name, "version": VERSION, "verdict": super().fingerprint})

    def outcome(self, case: Case, colours: Colours) -> Score:
        """The reward; the parts say what the other forms give."""
        verdict = super().outcome(case, colours)
        if self.form == "lenient":
            return verdict
        reward = reward_of(case.task, case.objects, colours, wrong_place_twice=self.form == "flow_grpo")
        value = float(reward.strict) if self.form == "strict" else reward.mean
        parts = {**verdict.parts, "strict": float(reward.strict), "lenient": verdict.value}
        return replace(verdict, value=value, parts=parts)


def reward_of(task: Task, objects: Objects, colours: Colours, *, wrong_place_twice: bool) -> Reward:
    """The reward of a picture.

    Args:
        objects: of the picture, by class, the most certain first.
        wrong_place_twice: a place that is wrong adds a 1 behind its 0.
    """
    terms: list[float] = []
    groups: list[Sequence[CountedObject] | None] = []
    for index, clause in enumerate(task.include):
        found = objects.get(clause.name, ())
        added, matched = _clause_terms(clause, found, colours.get(index, ()), groups, wrong_place_twice)
        terms += added
        groups.append(found if matched else None)
    return Reward(tuple(terms), all(group is not None for group in groups))


def _clause_terms(
    clause: Clause,
    found: Sequence[CountedObject],
    colours: Sequence[str],
    groups: Sequence[Sequence[CountedObject] | None],
    wrong_place_twice: bool,
) -> tuple[list[float], bool]:
    """What a clause adds to the terms, and whether its objects are as asked."""
    terms = [1 - abs(clause.count - len(found)) / clause.count]
    if len(found) != clause.count:
        return terms + [0.0] * (clause.colour is not None or clause.position is not None), False
    if clause.colour is not None:
        right = colours.count(clause.colour)
        terms.append(1 - abs(clause.count - right) / clause.count)
        if right != clause.count:
            return terms, False
    if clause.position is None:
        return terms, True
    relation, target = clause.position
    targets = groups[target] if target < len(groups) else None
    if targets is None:
        return [*terms, 0.0], False
    if all(relation in relations(one.box, other.box) for one in found for other in targets):
        return [*terms, 1.0], True
    return [*terms, 0.0, *([1.0] if wrong_place_twice else [])], False


def build(settings: Settings, workshop: Workshop) -> GenEvalReward:
    """The judge; its models load when first asked."""
    encoder = None if settings.encoder is None else workshop.encoder(settings.encoder)
    return GenEvalReward(workshop.detector(settings.detector), encoder, settings.form)
