"""Planned boxes against found ones: which found thing belongs to which planned object, and what is one thing twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PIL import Image

from gotr1_eval.core.chain import OBJ_END, OBJ_START
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Grounding
from gotr1_eval.core.types import Box, Detection, Sample
from rewards.reasoning_image import Matching, ReasoningImageJudge
from tests.fakes import ScriptedGrounder

PICTURE = Image.effect_noise((8, 8), 9).convert("RGB")
LEFT, RIGHT = Box(0, 0, 0.4, 1), Box(0.6, 0, 1, 1)
DOGS = "A dog (0,0),(400,1000) beside a brown dog (600,0),(1000,1000)."


class AskingGrounder(ScriptedGrounder):
    """One that asks a model under a form."""

    answers = "constrained"


class FileReader(ScriptedGrounder):
    """One that knows picture files."""

    def ground_files(self, samples: Sequence[Sample], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        self.asked += [list(wanted) for wanted in names]
        return [Grounding((Detection("dog", LEFT),)) for _ in samples]

    def remarks(self, samples: Sequence[Sample]) -> list[str]:
        return [f"{len(samples)} samples"]


def judged(chain: str, *found: Detection, matching: Matching = "assigned") -> Score:
    judge = ReasoningImageJudge(ScriptedGrounder(found), matching)
    (outcome,) = judge.judge([Sample(id="s", prompt="p", chain=chain, image=PICTURE)])
    assert isinstance(outcome, Score)
    return outcome


def of_width(share: float) -> Box:
    """A box whose IoU with the left half of the picture is that share."""
    return Box(0, 0, 0.5 * share, 1)


def test_what_makes_it_another_judge():
    other = ScriptedGrounder(())
    other.fingerprint = "scripted-2"
    plain, paper = ReasoningImageJudge(ScriptedGrounder(())), ReasoningImageJudge(ScriptedGrounder(()), "paper")
    assert len({plain.fingerprint, paper.fingerprint, ReasoningImageJudge(other).fingerprint}) == 3
    assert (plain.name, paper.name) == ("reasoning_image[scripted]", "reasoning_image[scripted,paper]")
    assert (plain.model_calls, plain.range, plain.may_not_apply) == (5, (0.0, 1.0), False)
    assert (plain.answers, ReasoningImageJudge(AskingGrounder(())).answers) == ("none", "constrained")


def test_a_grounder_of_files_is_given_samples_and_needs_no_picture():
    reader = FileReader(())
    judge = ReasoningImageJudge(reader)
    chains = ("A dog (0,0),(400,1000).", None, "A dog (600,0),(1000,1000).")
    found: list[Outcome] = judge.judge([Sample(id="s", prompt="p", chain=chain) for chain in chains])
    assert [one.value if isinstance(one, Score) else one.why for one in found] == [1.0, Why.NO_INPUT, 0.0]
    assert reader.asked == [["dog"], ["dog"]]
    assert judge.remarks(iter([Sample(id="s", prompt="p")] * 2)) == ["2 samples"]
    assert ReasoningImageJudge(ScriptedGrounder(())).remarks([]) == []


def test_things_of_one_head_noun_are_shared_out_for_the_greatest_sum():
    both = judged(DOGS, Detection("brown dog", RIGHT), Detection("dog", LEFT))
    assert both.parts == {"1: dog": 1.0, "2: brown dog": 1.0}
    swapped = judged(DOGS, Detection("brown dog", LEFT), Detection("dog", RIGHT))
    assert swapped.parts == {"1: dog": 0.0, "2: brown dog": 0.0}
    one = judged(DOGS, Detection("dog", LEFT), Detection("brown dog", LEFT), Detection("dog", RIGHT))
    assert one.parts == {"1: dog": 1.0, "2: brown dog": 0.0}, "the left one is one thing under two names"


@pytest.mark.parametrize(("share", "things"), [(0.49, 2), (0.5, 1), (0.51, 1)])
def test_boxes_of_two_names_show_one_thing_from_half_their_union_on(share: float, things: int):
    chain = "A dog (0,0),(500,1000) and a brown dog (0,0),(500,1000)."
    found = judged(chain, Detection("dog", Box(0, 0, 0.5, 1)), Detection("brown dog", of_width(share)))
    assert sum(part > 0 for part in found.parts.values()) == things


@pytest.mark.parametrize(("share", "things"), [(0.89, 2), (0.9, 1), (0.95, 1)])
def test_boxes_of_one_name_show_one_thing_from_nine_tenths_on(share: float, things: int):
    chain = "A dog (0,0),(500,1000) and a dog (0,0),(500,1000)."
    found = judged(chain, Detection("dog", Box(0, 0, 0.5, 1)), Detection("dog", of_width(share)))
    assert sum(part > 0 for part in found.parts.values()) == things


def test_a_box_is_of_the_thing_whose_nearest_box_it_is_like():
    chain = "A dog (0,0),(400,1000), a brown dog (0,0),(500,1000) and a big dog (0,0),(1000,1000)."
    found = [Detection("dog", LEFT), Detection("brown dog", Box(0, 0, 0.55, 1)), Detection("big dog", Box(0, 0, 1, 1))]
    assert judged(chain, *found).parts == {"1: dog": 1.0, "2: brown dog": 0.0, "3: big dog": 0.0}


def test_a_box_is_of_the_thing_that_it_is_most_like():
    chain = "A dog (0,0),(400,1000), a brown dog (600,0),(1000,1000) and a big dog (600,0),(1000,1000)."
    found = [Detection("dog", LEFT), Detection("brown dog", RIGHT), Detection("big dog", RIGHT)]
    values = judged(chain, *found).parts
    assert values["1: dog"] == 1.0
    assert {values["2: brown dog"], values["3: big dog"]} == {0.0, 1.0}


@pytest.mark.parametrize("matching", ["assigned", "paper"])
def test_a_planned_object_without_a_box_counts_0_and_is_told(matching: Matching):
    chain = f"A dog (0,0),(400,1000) and {OBJ_START}cat{OBJ_END}."
    outcome = judged(chain, Detection("dog", LEFT), Detection("cat", LEFT), matching=matching)
    assert (outcome.value, list(outcome.parts.values())) == (0.5, [1.0, 0.0])
    assert outcome.note == "1 of 2 planned objects without a readable box"


def test_the_paper_s_way_takes_the_surest_box_of_each_name():
    found = [Detection("dog", LEFT, 0.6), Detection("dog", RIGHT, 0.7)]
    assert judged(DOGS, *found, matching="paper").parts == {"1: dog": 0.0, "2: brown dog": 0.0}
    assert judged(DOGS, *found[::-1], Detection("dog", LEFT, 0.8), matching="paper").parts["1: dog"] == 1.0


@pytest.mark.parametrize("matching", ["assigned", "paper"])
def test_a_name_that_was_not_found_counts_0(matching: Matching):
    outcome = judged(
        "A cat (0,0),(400,1000) and a bird (600,0),(1000,1000).", Detection("cat", LEFT), matching=matching
    )
    assert (outcome.value, outcome.parts, outcome.note) == (0.5, {"1: cat": 1.0, "2: bird": 0.0}, "")
    assert outcome.seen == (Detection("cat", LEFT),)
