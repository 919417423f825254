"""Cascades: who is asked, who decides, and what a threshold of 0 or 1 makes of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.outcome import QuestionVerdict, Reply, Score, Unscored, Why
from gotr1_eval.core.types import AskedCalls, Sample
from rewards.cascade import ASKED_STRONG, DOUBT, CascadeJudge
from rewards.geometric import GeometricJudge
from rewards.light.doubt import believed, doubt
from tests.unit.test_distilled import plans


class Told:
    """A judge that says what it was told to, and remembers whom it was asked about."""

    range, may_not_apply, looks_at, needs, model_calls = (0.0, 1.0), False, "plan", frozenset(), 0

    def __init__(self, name, say, **fields):
        self.name, self.say, self.fingerprint, self.asked = name, say, f"{name}-1", []
        self.__dict__.update(fields)

    def judge(self, samples):
        self.asked += [sample.id for sample in samples]
        return [self.say(sample) for sample in samples]


SAMPLES = [Sample(id=str(place), prompt="p", seed=place) for place in range(21)]


def cheap():
    """Sure at the ends of the list, unsure in the middle."""
    return Told("cheap", lambda sample: Score(value=sample.seed / 20, parts={"own": 1.0}, note="c"))


def strong():
    return Told("strong", lambda sample: Score(value=1 - sample.seed / 20, parts={"other": 2.0}, note="s"))


def plainly(outcome):
    """An outcome without what the cascade says of itself."""
    kept = {name: part for name, part in outcome.parts.items() if name not in (ASKED_STRONG, DOUBT)}
    return replace(outcome, parts=kept)


@pytest.mark.parametrize(("threshold", "decides"), [(0.0, strong), (1.0, cheap)])
def test_at_the_ends_it_is_one_of_both_bit_for_bit(threshold, decides):
    found = CascadeJudge(cheap(), strong(), threshold).judge(SAMPLES)
    assert [plainly(outcome) for outcome in found] == decides().judge(SAMPLES)
    assert {outcome.parts[ASKED_STRONG] for outcome in found} == {1.0 if decides is strong else 0.0}


def test_the_ends_on_real_judges_bit_for_bit():
    """Half of the plans are wrong, so that both judges give ends and middles."""
    samples = plans(40)
    other = Told("other", lambda sample: Score(value=0.3))
    for threshold, decides in ((0.0, other), (1.0, GeometricJudge())):
        for evidence in ("value", "components", "questions", "spread"):
            found = CascadeJudge(GeometricJudge(), other, threshold, evidence).judge(samples)
            assert [plainly(outcome) for outcome in found] == decides.judge(samples)


def test_between_the_ends_the_unsure_go_to_the_strong_judge_alone():
    first, second = cheap(), strong()
    found = CascadeJudge(first, second, 0.5).judge(SAMPLES)
    unsure = [sample.id for sample in SAMPLES if 1 - abs(2 * sample.seed / 20 - 1) >= 0.5]
    assert first.asked == [sample.id for sample in SAMPLES]
    assert second.asked == unsure
    assert 0 < len(unsure) < len(SAMPLES)
    for sample, outcome in zip(SAMPLES, found, strict=True):
        assert outcome.parts[ASKED_STRONG] == float(sample.id in unsure)
        assert outcome.parts[DOUBT] == pytest.approx(1 - abs(sample.seed / 10 - 1))
        assert outcome.note == ("s" if sample.id in unsure else "c")


@pytest.mark.parametrize("why", [why for why in Why if why is not Why.BACKEND])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_what_the_cheap_judge_did_not_score_goes_to_the_strong_one(why, threshold):
    said = Reply(text="hm", model="m")
    mute = Told("mute", lambda sample: Unscored(why=why, detail="no", replies=(said,)))
    (outcome,) = CascadeJudge(mute, strong(), threshold).judge(SAMPLES[:1])
    assert plainly(outcome) == replace(strong().judge(SAMPLES[:1])[0], replies=(said,))
    assert DOUBT not in outcome.parts


def test_a_failed_server_is_no_verdict_and_is_asked_again():
    def fail(sample):
        raise BackendError("down")

    second = strong()
    (outcome,) = CascadeJudge(Told("down", fail), second, 0.5).judge(SAMPLES[:1])
    assert outcome.why is Why.BACKEND
    assert second.asked == []
    found = CascadeJudge(cheap(), Told("down", fail), 0.5).judge(SAMPLES)
    assert {outcome.why for outcome in found if isinstance(outcome, Unscored)} == {Why.BACKEND}
    assert sum(isinstance(outcome, Score) for outcome in found) == 10  # the sure ones stand


def test_what_the_strong_judge_cannot_score_stays_unscored_with_both_replies():
    one, two = Reply(text="1", model="m"), Reply(text="2", model="n")
    first = Told("first", lambda sample: Score(value=0.5, replies=(one,)))
    second = Told("second", lambda sample: Unscored(why=Why.REFUSED, detail="no", replies=(two,)))
    (outcome,) = CascadeJudge(first, second, 0.5).judge(SAMPLES[:1])
    assert outcome == Unscored(why=Why.REFUSED, detail="no", replies=(one, two))


def test_name_and_fingerprint_state_both_judges_the_threshold_and_the_evidence():
    judge = CascadeJudge(cheap(), strong(), 0.25, "components")
    assert judge.name == "cascade[cheap, strong from doubt 0.25 of its components]"
    others = [
        CascadeJudge(cheap(), strong(), 0.26, "components"),
        CascadeJudge(cheap(), strong(), 0.25, "value"),
        CascadeJudge(Told("cheap", None, fingerprint="cheap-2"), strong(), 0.25, "components"),
        CascadeJudge(cheap(), Told("strong", None, fingerprint="strong-2"), 0.25, "components"),
    ]
    assert len({one.fingerprint for one in [judge, *others]}) == 5


def test_what_it_declares_follows_from_both():
    first = Told("a", None, needs=frozenset({"x", "y"}), may_not_apply=True, model_calls=1)
    second = Told("b", None, needs=frozenset({"y"}), looks_at="picture", model_calls=3)
    judge = CascadeJudge(first, second, 0.5)
    assert (judge.needs, judge.may_not_apply, judge.looks_at, judge.model_calls) == (frozenset("y"), False, None, 1)
    assert judge.calls(SAMPLES[0]) == AskedCalls(calls=4)
    assert CascadeJudge(Told("a", None), Told("b", None), 0.5).looks_at == "plan"
    refused = Told("c", None, refused_as_reward="its audit says no")
    assert CascadeJudge(refused, second, 0.5).refused_as_reward == "its audit says no"


def test_judges_on_two_scales_and_one_judge_twice_are_refused():
    with pytest.raises(UsageError, match=r"cheap scores in \[0.0, 1.0\] and b in \[0.0, 10.0\]"):
        CascadeJudge(cheap(), Told("b", None, range=(0.0, 10.0)), 0.5)
    with pytest.raises(UsageError, match="the same judge"):
        CascadeJudge(cheap(), cheap(), 0.5)


def test_it_is_named_like_any_judge_and_a_common_model_fills_the_strong_one():
    vlm = {"use": "tests.plugins.scripted_vlm"}
    spec = "cascade,cheap=geometric,strong=spatial,threshold=0.4,evidence=components"
    rewards = Builder().reward_set(spec, vlm)
    judge = rewards.judges["cascade"]
    assert judge.name.startswith("cascade[geometric, spatial[")
    with pytest.raises(UsageError, match="judge 'spatial' asks a language-vision model"):
        Builder().reward_set(spec)
    with pytest.raises(UsageError, match="no judge of"):
        Builder().reward_set("cascade,cheap=geometric,strong=shapes_semantic,threshold=0.4", vlm)
    with pytest.raises(UsageError, match="setting 'threshold'"):
        Builder().reward_set("cascade,cheap=geometric,strong=shapes_semantic,threshold=2")


def test_doubt_by_hand():
    ends = (0.0, 10.0)
    assert [doubt(Score(value=value), "value", ends) for value in (0, 2.5, 5, 9, 10)] == pytest.approx(
        [0, 0.5, 1, 0.2, 0]
    )
    halves = Score(value=5, parts={"one": 10, "two": 0})
    assert doubt(halves, "components", ends) == 0
    assert doubt(replace(halves, parts={"one": 10, "two": 4}), "components", ends) == pytest.approx(0.8)
    assert doubt(Score(value=5), "components", ends) == 1
    with pytest.raises(UsageError, match=r"got one = 11"):
        doubt(replace(halves, parts={"one": 11}), "components", ends)
    assert doubt(Score(value=5, parts={"spread": 2.5}), "spread", ends) == 0.5
    assert doubt(Score(value=5, parts={"spread": 7}), "spread", ends) == 1
    assert doubt(Score(value=5), "spread", ends) == 1


def test_doubt_of_questions_and_of_marks_by_hand():
    def asked(verdict):
        return QuestionVerdict(question="q", text="q", verdict=verdict, counted=verdict)

    score = Score(value=5, questions=(asked(1.0), asked(0.9)))
    assert doubt(score, "questions", (0, 10)) == pytest.approx(0.2)
    assert doubt(replace(score, questions=(*score.questions, asked(None))), "questions", (0, 10)) == 1
    assert doubt(Score(value=5), "questions", (0, 10)) == 1

    def said(*chances):
        logs = tuple(math.log(chance) if chance else -math.inf for chance in chances)
        return Reply(text="", model="m", choice_log_probs=logs)

    marks = Score(value=5, replies=(said(0.5, 0, 0.5),))
    assert doubt(marks, "spread", (0, 10)) == pytest.approx(1)
    assert doubt(replace(marks, replies=(said(0, 0.8, 0),)), "spread", (0, 10)) == pytest.approx(0)
    assert doubt(replace(marks, replies=(said(0.1, 0.3, 0),)), "spread", (0, 10)) == pytest.approx(
        2 * 0.75**0.5 * 0.5 / 2
    )
    assert doubt(replace(marks, replies=(said(0, 0, 0),)), "spread", (0, 10)) == 1


def test_no_doubt_is_below_a_threshold_of_0_and_every_one_below_1():
    assert [believed(unsure, 0.0) for unsure in (0.0, 0.5, 1.0)] == [False] * 3
    assert [believed(unsure, 1.0) for unsure in (0.0, 0.5, 1.0)] == [True] * 3
    assert [believed(unsure, 0.5) for unsure in (0.0, 0.5, 1.0)] == [True, False, False]


def test_remarks_are_those_of_both():
    first = Told("a", None, remarks=lambda samples: [f"a sees {len(list(samples))}"])
    second = Told("b", None, remarks=lambda samples: [f"b sees {len(list(samples))}"])
    assert CascadeJudge(first, second, 0.5).remarks(iter(SAMPLES)) == ["a sees 21", "b sees 21"]
