"""The rubric's own rules one by one: how it asks, what makes it another judge, how several answers become one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.forms import marks_form
from gotr1_eval.core.outcome import Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Sample
from rewards import prompt_image, rubric, semantic
from rewards.prompt_image import PromptImageJudge
from rewards.semantic import DIMENSIONS, SemanticJudge
from tests.fakes import ScriptedVlm

PICTURE = Sample(id="a", prompt="a cat", image=Image.effect_noise((8, 8), 9).convert("RGB"))
CHAIN = Sample(id="b", prompt="a cat", chain="A cat (0,0),(500,500) sits.")
Say = Callable[[Request], str | Reply | Unscored]


class HeldVlm(ScriptedVlm):
    """A model whose answers follow a form."""

    def constrains(self) -> bool:
        return True


def picture_judge(vlm: ScriptedVlm, **settings: object) -> PromptImageJudge:
    return PromptImageJudge(vlm, prompt_image.Settings(vlm={}, **settings))


def chain_judge(vlm: ScriptedVlm, **settings: object) -> SemanticJudge:
    return SemanticJudge(vlm, semantic.Settings(vlm={}, **settings))


def spread_over(*chances: float) -> Say:
    """To 11 marks these probabilities, from mark 0 on."""
    logs = tuple(math.log(chance) if chance else -math.inf for chance in (*chances, *[0.0] * 11)[:11])
    return lambda request: Reply(text="", model="scripted", choice_log_probs=logs)


def test_what_is_asked_for_is_the_answers_form_wherever_the_model_can_be_held_to_it():
    reply = '{"description": "", "caption": "", "reasoning": "", "score": 7}'
    held, free = HeldVlm(lambda _: reply), ScriptedVlm(lambda _: reply)
    for vlm, answers in ((held, "constrained"), (free, "free")):
        judge = picture_judge(vlm)
        assert judge.answers == answers
        (outcome,) = judge.judge([PICTURE])
        assert isinstance(outcome, Score)
        assert (outcome.value, outcome.parts) == (0.7, {"score": 7})
        assert isinstance(outcome.parts["score"], float)
    assert held.requests[0].form == marks_form(("score",), range(11), ("description", "caption", "reasoning"))
    assert free.requests[0].form is None
    look = '{"description": "...", "caption": "...", "reasoning": "...", "score": <0 to 10>}'
    assert f"Answer with one JSON object and nothing after it: {look}" in free.requests[0].prompt
    marks = [half / 2 for half in range(21)]
    assert chain_judge(HeldVlm(str)).form == marks_form(DIMENSIONS, marks)
    expected = picture_judge(HeldVlm(str), mode="expected")
    assert (expected.answers, expected.form) == ("choices", None)


def test_the_judge_is_another_when_anything_changes_that_a_score_depends_on(tmp_path: Path):
    own = tmp_path / "own.txt"
    own.write_text("[[prompt]]? [[answer]]")
    judges = [
        picture_judge(ScriptedVlm(str)),
        picture_judge(HeldVlm(str)),
        picture_judge(ScriptedVlm(str), mode="expected"),
        picture_judge(ScriptedVlm(str), mode="sampled"),
        picture_judge(ScriptedVlm(str), mode="sampled", samples=3),
        picture_judge(ScriptedVlm(str), prompt_file=own),
        chain_judge(ScriptedVlm(str)),
        chain_judge(ScriptedVlm(str), single=True),
    ]
    other = ScriptedVlm(str)
    other.fingerprint = "scripted-2"
    assert len({judge.fingerprint for judge in (*judges, picture_judge(other))}) == 9
    assert judges[0].fingerprint == picture_judge(ScriptedVlm(str)).fingerprint
    assert [judge.name for judge in judges[:5]] == [
        "prompt_image[scripted]", "prompt_image[scripted]", "prompt_image[scripted,expected]",
        "prompt_image[scripted,mean of 4]", "prompt_image[scripted,mean of 3]",
    ]  # fmt: skip
    assert judges[5].name.startswith("prompt_image[scripted,own prompt ")
    assert [judge.model_calls for judge in (*judges[:5], chain_judge(ScriptedVlm(str), mode="expected"))] == [
        1, 1, 1, 4, 3, 4,
    ]  # fmt: skip
    assert (judges[0].range, judges[0].may_not_apply) == ((0.0, 1.0), False)
    with pytest.raises(ValidationError):
        prompt_image.Settings(vlm={}, samples=1)
    assert prompt_image.Settings(vlm={}, samples=2).samples == 2


def test_a_new_reader_or_form_is_another_judge_where_it_is_used(monkeypatch: pytest.MonkeyPatch):
    def fingerprints() -> tuple[str, str]:
        return picture_judge(ScriptedVlm(str)).fingerprint, picture_judge(HeldVlm(str)).fingerprint

    free, held = fingerprints()
    monkeypatch.setattr(rubric, "READER_VERSION", rubric.READER_VERSION + 1)
    read_anew, still_held = fingerprints()
    assert (read_anew != free, still_held == held) == (True, True)
    monkeypatch.setattr(rubric, "FORMS_VERSION", rubric.FORMS_VERSION + 1)
    assert fingerprints()[1] != held


def test_an_expectation_needs_a_model_that_tells_probabilities():
    mute = ScriptedVlm(str, scores_choices=False)
    assert picture_judge(mute, mode="sampled").answers == "free"
    with pytest.raises(UsageError, match=r"mode 'expected' needs log-probabilities, which scripted does not return"):
        picture_judge(mute, mode="expected")


def test_the_expectation_is_over_what_lies_on_the_scale():
    (outcome,) = picture_judge(ScriptedVlm(spread_over(0, 0.2, 0.4)), mode="expected").judge([PICTURE])
    assert isinstance(outcome, Score)
    assert outcome.parts == pytest.approx({"score": (0.2 + 2 * 0.4) / 0.6, "inside score": 0.6})
    assert outcome.value == pytest.approx(1 / 6)
    (half,) = picture_judge(ScriptedVlm(spread_over(0.5)), mode="expected").judge([PICTURE])
    assert isinstance(half, Score), "half of the probability is enough"
    (less,) = picture_judge(ScriptedVlm(spread_over(0.2, 0.29)), mode="expected").judge([PICTURE])
    assert isinstance(less, Unscored)
    assert less.why is Why.UNREADABLE
    assert "49% of the probability for 'score'" in less.detail
    assert len(less.replies) == 1
    (rounded,) = picture_judge(ScriptedVlm(spread_over(0.5000001, 0.5)), mode="expected").judge([PICTURE])
    assert isinstance(rounded, Score)
    assert rounded.parts["inside score"] == 1
    failed = Unscored(why=Why.BACKEND, detail="gone")
    say = spread_over(1)
    vlm = ScriptedVlm(lambda request: failed if "clarity" in request.answer_prefix else say(request))
    (lost,) = chain_judge(vlm, mode="expected").judge([CHAIN])
    assert isinstance(lost, Unscored)
    assert (lost.why, len(lost.replies)) == (Why.BACKEND, 3), "what was paid for is kept"


def test_each_dimension_is_asked_alone_behind_the_beginning_of_its_answer():
    vlm = ScriptedVlm(spread_over(0, 0, 0, 0, 0, 0, 1))
    (outcome,) = chain_judge(vlm, mode="expected").judge([CHAIN])
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx(0.6)
    assert [request.answer_prefix for request in vlm.requests] == [f'{{"{name}": ' for name in DIMENSIONS]
    assert all(f'the score for {name} alone: {{"{name}": <score>}}' in request.prompt
               for name, request in zip(DIMENSIONS, vlm.requests, strict=True))  # fmt: skip
    assert all(request.choices == tuple(map(str, range(11))) for request in vlm.requests)


def replies_in_turn(*texts: str) -> ScriptedVlm:
    """Says these, each to the request with its seed."""
    return ScriptedVlm(lambda request: texts[request.seed])


def test_the_mean_of_several_answers_tells_their_spread_and_how_many_could_be_read():
    vlm = replies_in_turn("Score: 2", "Score: 6", "Score: 7")
    (outcome,) = picture_judge(vlm, mode="sampled", samples=3).judge([PICTURE])
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx(0.5)
    spread = statistics.stdev((0.2, 0.6, 0.7))
    assert outcome.parts == pytest.approx({"score": 5, "spread": spread, "answers": 3})
    assert [(request.temperature, request.seed) for request in vlm.requests] == [(1.0, 0), (1.0, 1), (1.0, 2)]


@pytest.mark.parametrize(("read", "of", "scored"), [(2, 4, True), (1, 2, False), (2, 5, False), (3, 5, True)])
def test_half_of_the_answers_and_at_least_two_must_be_read(read: int, of: int, scored: bool):
    texts = ["Score: 4"] * read + ["nothing to say"] * (of - read)
    (outcome,) = picture_judge(replies_in_turn(*texts), mode="sampled", samples=of).judge([PICTURE])
    assert isinstance(outcome, Score) == scored
    if isinstance(outcome, Score):
        assert outcome.parts["answers"] == read
    else:
        assert outcome.why is Why.UNREADABLE
    assert len(outcome.replies) >= of


def test_where_the_model_failed_on_one_of_several_answers_there_is_no_verdict_yet():
    failed = Unscored(why=Why.BACKEND, detail="gone")
    vlm = ScriptedVlm(lambda request: failed if request.seed == 1 else "Score: 4")
    (outcome,) = picture_judge(vlm, mode="sampled", samples=4).judge([PICTURE])
    assert isinstance(outcome, Unscored)
    assert (outcome.why, outcome.detail, len(outcome.replies)) == (Why.BACKEND, "gone", 3)
