"""Prompts composed by a seed, their questions, and Soft-TIFA on them as a reward."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.checklist.first_tokens import forms_of
from benchmarks.composed import CATEGORIES, ComposedSuite, Settings
from benchmarks.composed.templates import NOUNS, Group, Parts, compose
from gotr1_eval.build import Builder
from gotr1_eval.core.checklist import Question, read_questions
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Reply, Score, Unscored
from gotr1_eval.core.protocols import Judge, Request
from gotr1_eval.core.types import Sample
from rewards.reward_set import RewardSet
from tests.conftest import shared_parameters
from tests.fakes import ScriptedVlm
from training.prompt_sets import read_source
from training.settings import PromptSource

PICTURE = Image.new("RGB", (8, 8))


def test_a_prompt_and_its_questions_by_hand():
    (made,) = compose(CATEGORIES["mixed"], 1, "7/mixed", 3)
    again = compose(CATEGORIES["mixed"], 1, "7/mixed", 3)
    assert again == [made]
    first, second = [question for question in made.questions if question.tag == "object"][:2]
    (relation,) = [question for question in made.questions if question.tag == "relation"]
    assert relation.parents == (first.id, second.id)
    assert {question.tag for question in made.questions} == {"object", "count", "attribute", "relation"}
    owls = Group("owl", "orange", 1)
    assert (owls.phrase, replace(owls, count=2).phrase) == ("an orange owl", "two orange owls")


@pytest.mark.parametrize("category", CATEGORIES)
def test_prompts_are_different_and_say_what_is_asked(category: str):
    suite = ComposedSuite(Settings(prompts=60, seed=3))
    prompts = suite.prompts(category)
    assert len(set(prompts)) == 60
    other = ComposedSuite(Settings(prompts=60, seed=4)).prompts(category)
    assert len({*prompts, *other}) > 60
    for place, prompt in enumerate(prompts):
        questions = read_questions(suite.facts(category, place)["questions"])
        ids = {question.id for question in questions}
        for question in questions:
            assert set(question.parents) <= ids
            if question.tag == "object":
                assert question.id in prompt or NOUNS[question.id] in prompt
            if question.tag == "count":
                assert question.answers[0] in prompt or question.answers == ("one",)
            if question.tag == "attribute":
                assert question.text.rstrip("?").rpartition(" ")[2] in prompt


def test_more_prompts_than_there_are_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(CATEGORIES, "objects", Parts((1, 1)))
    with pytest.raises(UsageError, match=r"composed: 500 prompts of objects are too many \(only 2[0-9][0-9] different"):
        ComposedSuite(Settings(prompts=500)).prompts("objects")


@pytest.mark.parametrize("path", shared_parameters("data/geneval2/geneval2_data.jsonl"))
def test_no_prompt_is_a_published_benchmarks(path: Path, read_shared: Any):
    def bare(text: str) -> str:
        return " ".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())

    published = {bare(json.loads(line)["prompt"]) for line in read_shared(path).splitlines()}
    suite = ComposedSuite(Settings(prompts=1000))
    ours = {bare(prompt) for category in suite.categories for prompt in suite.prompts(category)}
    assert len(ours) == 1000 * len(CATEGORIES)
    assert not ours & published


def test_training_takes_them_with_their_questions():
    source = PromptSource(suite="composed,prompts=5,seed=2", categories=("counts",))  # type: ignore[arg-type]
    prompts = read_source(source, Builder().suite)
    assert len(prompts) == 5
    assert all(read_questions(prompt.facts["questions"]) for prompt in prompts)


def judge(answer: Any, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Judge:
    builder = Builder()
    monkeypatch.setattr(builder, "vlm", lambda spec: ScriptedVlm(answer))
    return builder.judge({"use": "checklist", "vlm": {"use": "any", "revision": "abc"}, **settings})


def sample() -> Sample:
    suite = ComposedSuite(Settings(prompts=1, seed=1))
    return Sample(id="s", prompt=suite.prompts("counts")[0], image=PICTURE, meta=dict(suite.facts("counts", 0)))


def test_soft_tifa_is_a_reward_set(monkeypatch: pytest.MonkeyPatch):
    """The reward is the mean probability over the prompt's own questions; the set has no other judge."""

    def answer(request: Request) -> Reply:
        chance = 0.5 if "How many" in request.prompt else 0.25
        return Reply(text="", model="m", first_tokens={request.first_tokens[0]: math.log(chance)})

    one = judge(answer, monkeypatch)
    asked = sample()
    questions = read_questions(asked.meta["questions"])
    ((outcome,),) = [tuple(row.values()) for row in RewardSet({"checklist": one}).judge([asked])]
    assert isinstance(outcome, Score)
    counts = sum(question.tag == "count" for question in questions)
    assert outcome.value == pytest.approx((0.5 * counts + 0.25 * (len(questions) - counts)) / len(questions))
    assert one.name == "checklist[scripted@abc, first tokens, mean, as it is]"
    assert list(Builder().judge_specs("soft_tifa", {"use": "any"})) == ["checklist"]


def test_a_sample_without_questions_gets_no_reward(monkeypatch: pytest.MonkeyPatch):
    (outcome,) = judge(lambda request: "yes", monkeypatch, mode="one_by_one").judge([replace(sample(), meta={})])
    assert isinstance(outcome, Unscored)
    assert outcome.detail == "needs the fact 'questions'"


def test_words_one_by_one_and_together(monkeypatch: pytest.MonkeyPatch):
    asked = replace(
        sample(), meta={"questions": [{"text": "A cup?"}, {"text": "How many?", "answers": "three"}], "category": "a"}
    )
    single = judge(lambda request: "3." if "How" in request.prompt else "No", monkeypatch, mode="one_by_one", jpeg=95)
    (outcome,) = single.judge([asked])
    assert isinstance(outcome, Score)
    assert [one.verdict for one in outcome.questions] == [0.0, 1.0]
    assert single.name == "checklist[scripted@abc, one question a call, lenient, mean, JPEG 95]"
    seen: list[str] = []

    def together(request: Request) -> str:
        seen.append(request.prompt)
        return '```json\n{"1": "no", "2": "yes"}\n```'

    (outcome,) = judge(together, monkeypatch, mode="all_at_once", within="all").judge([asked])
    assert isinstance(outcome, Score)
    assert outcome.value == 0.0
    assert "2: three" in seen[0]
    (unread,) = judge(together, monkeypatch, mode="all_at_once", reader="strict").judge([asked])
    assert isinstance(unread, Unscored)


def test_forms_of_answers():
    assert forms_of(("Yes",)) == ("yes", "Yes", " yes", " Yes")
    assert forms_of(("two",)) == ("two", "Two", " two", " Two", "2")
    assert Question(id="1", text="?").answers == ("yes",)
