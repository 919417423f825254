"""The judge of checklists: asking modes, readers, encodings, and every verdict kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.checklist.asking import AllAtOnce, Case, DescribeFirst, OneByOne
from benchmarks.checklist.encoding import Grid, Jpeg
from benchmarks.checklist.first_tokens import FirstTokens
from benchmarks.checklist.judge import ChecklistJudge, Procedure
from benchmarks.checklist.reading import (
    lenient_json,
    lenient_lines,
    strict_json,
    strict_lines,
    strict_tagged_list,
)
from benchmarks.checklist.results import checked_pictures
from benchmarks.checklist.words import lenient_word, strict_word
from gotr1_eval.cli.app import run
from gotr1_eval.core.checklist import Question, macro
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, QuestionVerdict, Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.judgments import Judgment, judgment_row, read_judgment
from reports.agreement.mark_sources import read_run
from reports.agreement.marks import Unit
from reports.run_page.sample_details import sample_details
from tests.fakes import ScriptedVlm
from tests.made_runs import made_run

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
QUESTIONS: list[Json] = [
    {"text": "a cat?", "tag": "object"},
    {"text": "a red cat?", "parents": ["1"], "tag": "colour"},
    {"text": "two cats?", "tag": "count"},
]
SAMPLE = Sample(id="s/a/0/0", prompt="a red cat", image=PICTURE, meta={"questions": QUESTIONS, "category": "a"})


def write_one(case: Case, question: Question) -> Request:
    return Request(prompt=question.text)


def write_all(case: Case) -> Request:
    return Request(prompt="\n".join(question.text for question in case.questions), system="look")


ONE = OneByOne(write=write_one, read=strict_word, reader="strict")
ALL = AllAtOnce(write=write_all, read=strict_lines, reader="strict")
FIRST = FirstTokens(write=write_one, forms=lambda question: ("Yes", "yes"))


def judged(
    answer: Callable[[Request], Any], asking: Any = ONE, sample: Sample = SAMPLE, **rules: Any
) -> tuple[Outcome, ScriptedVlm]:
    vlm = ScriptedVlm(answer)
    (outcome,) = ChecklistJudge(vlm, Procedure(metric="test", asking=asking, **rules)).judge([sample])
    return outcome, vlm


def scored(outcome: Outcome) -> Score:
    assert isinstance(outcome, Score), outcome
    return outcome


def test_one_question_a_call_keeps_every_verdict_with_its_reply():
    answers = {"a cat?": "No", "a red cat?": "yes.", "two cats?": "I think so"}
    outcome = scored(judged(lambda request: answers[request.prompt], dependency="direct")[0])
    assert outcome.value == 0.0
    assert outcome.parts == {"questions": 3.0, "unanswered": 1.0}
    assert [(one.question, one.tag, one.verdict, one.counted) for one in outcome.questions] == [
        ("1", "object", 0.0, 0.0),
        ("2", "colour", 1.0, 0.0),
        ("3", "count", None, None),
    ]
    assert [outcome.replies[one.replies[0]].text for one in outcome.questions] == ["No", "yes.", "I think so"]
    assert outcome.questions[2].why == "Expected yes or no, and got 'I think so'."


def test_verdicts_survive_the_disk():
    outcome, _ = judged(lambda request: "yes" if "red" in request.prompt else "?")
    kept = Judgment(sample="s", judge="j", fingerprint="f", outcome=outcome)
    assert read_judgment(judgment_row(kept)) == kept
    (picture,) = checked_pictures([SAMPLE], {SAMPLE.id: outcome})
    assert picture.verdicts == (None, 1.0, None)
    mean = macro([picture])
    assert (mean.value, mean.questions, mean.unanswered) == (1.0, 3, 2)


def test_an_unanswered_question_is_a_no_only_where_the_name_says_so():
    vlm = ScriptedVlm(lambda request: "yes" if "red" in request.prompt else "?")
    for unanswered, expected, name in [
        ("left out", 1.0, "test[scripted, one question a call, strict, mean, as it is]"),
        ("no", 1 / 3, "test[scripted, one question a call, strict, mean, as it is, unanswered is no]"),
        ("unscored", None, "test[scripted, one question a call, strict, mean, as it is, all answered]"),
    ]:
        judge = ChecklistJudge(vlm, Procedure(metric="test", asking=ONE, unanswered=unanswered))  # type: ignore[arg-type]
        assert judge.name == name
        (outcome,) = judge.judge([SAMPLE])
        if expected is None:
            assert isinstance(outcome, Unscored)
            assert outcome.why is Why.UNREADABLE
            assert outcome.detail.startswith("2 of 3 questions were not answered")
            assert len(outcome.questions) == 3
        else:
            assert scored(outcome).value == pytest.approx(expected)


def test_no_answer_at_all_is_no_score():
    outcome, _ = judged(lambda request: "?")
    assert isinstance(outcome, Unscored)
    assert [reply.text for reply in outcome.replies] == ["?", "?", "?"]


def test_a_failing_model_leaves_the_picture_for_a_resume():
    gone = Unscored(why=Why.BACKEND, detail="gone")
    outcome, _ = judged(lambda request: gone if "two" in request.prompt else "yes")
    assert isinstance(outcome, Unscored)
    assert (outcome.why, len(outcome.replies)) == (Why.BACKEND, 2)
    refused, _ = judged(lambda request: Unscored(why=Why.REFUSED, detail="no") if "two" in request.prompt else "yes")
    assert scored(refused).questions[2].why == "refused: no"


def test_what_cannot_be_read_is_asked_again_as_often_as_the_mode_says():
    said = iter(["?", "yes", "yes", "??", "yes"])
    outcome, vlm = judged(lambda request: next(said), replace(ONE, attempts=3))
    first = scored(outcome)
    assert first.value == 1.0
    assert [request.repeat for request in vlm.requests] == [0, 0, 0, 1, 2]
    assert [[first.replies[place].text for place in one.replies] for one in first.questions] == [
        ["?", "??", "yes"],
        ["yes"],
        ["yes"],
    ]


def test_all_questions_in_one_call_share_a_reply():
    outcome, vlm = judged(lambda request: "yes\nno\nyes", ALL)
    assert scored(outcome).value == pytest.approx(2 / 3)
    assert len(vlm.requests) == len(outcome.replies) == 1
    assert [one.replies for one in outcome.questions] == [(0,), (0,), (0,)]


def test_the_description_stands_before_the_questions():
    def answer(request: Request) -> str:
        return "yes" if request.followups else "a red cat, alone"

    outcome, vlm = judged(
        answer, DescribeFirst(describe=lambda case: Request(prompt="Describe.", system="s"), then=ONE)
    )
    assert scored(outcome).value == 1.0
    first, *questions = vlm.requests
    assert first.followups == ()
    assert all((one.prompt, one.system) == ("Describe.", "s") for one in questions)
    assert questions[0].followups == (("a red cat, alone", "a cat?"),)
    assert [reply.text for reply in outcome.replies] == ["a red cat, alone", "yes", "yes", "yes"]
    assert [one.replies for one in outcome.questions] == [(0, 1), (0, 2), (0, 3)]


def test_without_a_description_nothing_is_answered():
    outcome, vlm = judged(
        lambda request: Unscored(why=Why.REFUSED, detail="no"), DescribeFirst(describe=write_all, then=ALL)
    )
    assert isinstance(outcome, Unscored)
    assert len(vlm.requests) == 1


def tokens(chances: Mapping[str, float | None], unlisted: float | None = None) -> Reply:
    logs = {token: None if chance is None else math.log(chance) for token, chance in chances.items()}
    return Reply(text="", model="m", first_tokens=logs, unlisted=None if unlisted is None else math.log(unlisted))


def test_first_tokens_are_summed():
    outcome, vlm = judged(lambda request: tokens({"Yes": 0.5, "yes": 0.25}), FIRST, within="geometric_mean")
    assert scored(outcome).value == pytest.approx(0.75)
    assert vlm.requests[0].first_tokens == ("Yes", "yes")
    assert "lowest" not in scored(outcome).parts


def test_a_form_that_is_listed_twice_counts_twice():
    asking = replace(FIRST, forms=lambda question: ("Yes", "yes", "Yes"))
    outcome, vlm = judged(lambda request: tokens({"Yes": 0.25, "yes": 0.125}), asking)
    assert scored(outcome).value == pytest.approx(0.625)
    assert vlm.requests[0].first_tokens == ("Yes", "yes")


def test_first_tokens_over_all_answers():
    asking = replace(FIRST, instead_of=lambda question: ("Yes", "No"))
    outcome, vlm = judged(lambda request: tokens({"Yes": 0.2, "yes": 0.1, "No": 0.1}), asking)
    assert scored(outcome).value == pytest.approx(0.75)
    assert vlm.requests[0].first_tokens == ("Yes", "yes", "No")


@pytest.mark.parametrize(("unlisted", "highest"), [(1e-4, 0.5001), (0.009, 0.509), (0.02, None)])
def test_what_a_server_does_not_list_bounds_the_value(unlisted: float, highest: float | None):
    outcome, _ = judged(lambda request: tokens({"Yes": 0.5, "yes": None}, unlisted), FIRST)
    if highest is None:
        assert isinstance(outcome, Unscored)
        assert "lies between 0.5000 and 0.5200" in outcome.detail
    else:
        assert scored(outcome).value == 0.5
        assert scored(outcome).parts["highest"] == pytest.approx(highest)


def test_a_geometric_mean_with_an_unlisted_answer_is_open():
    """The arithmetic mean is known to .0003 here; the geometric one lies between 0 and .09."""
    answers = {"a cat?": 1.0, "a red cat?": 0.7, "two cats?": None}
    replies = {text: tokens({"Yes": chance}, None if chance else 1e-3) for text, chance in answers.items()}
    asking = replace(FIRST, forms=lambda question: ("Yes",))
    assert scored(judged(lambda request: replies[request.prompt], asking)[0]).value == pytest.approx(1.7 / 3)
    outcome, _ = judged(lambda request: replies[request.prompt], asking, within="geometric_mean")
    assert isinstance(outcome, Unscored)
    assert "between 0.0000 and 0.0888" in outcome.detail


def test_a_model_without_probabilities_is_refused():
    with pytest.raises(UsageError, match="asks for probabilities, which scripted does not return"):
        ChecklistJudge(ScriptedVlm(lambda request: "", scores_choices=False), Procedure(metric="t", asking=FIRST))


def test_a_grid_is_judged_cell_by_cell():
    grid = Image.new("RGB", (61, 40))
    grid.paste((200, 30, 30), (0, 0, 30, 20))
    grid.paste((30, 160, 40), (30, 20, 60, 40))

    def answer(request: Request) -> str:
        red = request.images[0].getpixel((5, 5))[0] > 150
        return "yes" if red or "red" not in request.prompt else "no"

    sample = replace(SAMPLE, image=grid)
    outcome = scored(judged(answer, sample=sample, encoding=Grid(2, 2, quality=75, drop_black=True))[0])
    assert outcome.value == pytest.approx((1 + 2 / 3) / 2)
    assert [one.picture for one in outcome.questions] == [0, 0, 0, 1, 1, 1]
    black, _ = judged(
        answer, sample=replace(SAMPLE, image=Image.new("RGB", (8, 8))), encoding=Grid(2, 2, drop_black=True)
    )
    assert isinstance(black, Unscored)
    assert black.why is Why.UNDEFINED


def test_jpeg_changes_what_the_model_sees():
    _, plain = judged(lambda request: "yes")
    _, coded = judged(lambda request: "yes", encoding=Jpeg(75))
    _, finer = judged(lambda request: "yes", encoding=Jpeg(95))
    seen = [np.asarray(vlm.requests[0].images[0], dtype=int) for vlm in (plain, coded, finer)]
    assert np.array_equal(seen[0], np.asarray(PICTURE))
    assert np.abs(seen[1] - seen[0]).mean() > np.abs(seen[2] - seen[0]).mean() > 0


@pytest.mark.parametrize(
    ("meta", "why"),
    [({}, Why.NOT_APPLICABLE), ({"questions": "nonsense"}, Why.NO_INPUT), ({"questions": []}, Why.NO_INPUT)],
)
def test_prompts_without_questions_are_not_asked_about(meta: dict[str, Json], why: Why):
    outcome, vlm = judged(lambda request: "yes", sample=replace(SAMPLE, meta=meta))
    assert isinstance(outcome, Unscored)
    assert outcome.why is why
    assert vlm.requests == []


def test_calls_are_foreseen():
    judge = ChecklistJudge(ScriptedVlm(lambda request: ""), Procedure(metric="t", asking=ONE))
    foreseen = judge.calls(replace(SAMPLE, image=Path("none.png")))
    assert (foreseen.calls, foreseen.characters, foreseen.answer_tokens_at_most) == (3, 25, 3 * 512)
    assert judge.calls(replace(SAMPLE, meta={})).calls == 0


YES = Question(id="1", text="?")
THREE = Question(id="2", text="?", answers=("three", "3"))
RED = Question(id="3", text="?", answers=("red",))
UNREADABLE = None


@pytest.mark.parametrize(
    ("text", "question", "strict", "lenient"),
    [
        ("Yes", YES, 1.0, 1.0),
        (" no. ", YES, 0.0, 0.0),
        ("**Yes**", YES, UNREADABLE, 1.0),
        ("Yes, the cat is red.", YES, UNREADABLE, 1.0),
        ("<think>no?</think>\nYes", YES, UNREADABLE, 1.0),
        ("The cat is red.\n\nYes.", YES, UNREADABLE, 1.0),
        ("Yes\nno", YES, UNREADABLE, UNREADABLE),
        ("yes or no", YES, UNREADABLE, UNREADABLE),
        ("No.1 is red", YES, UNREADABLE, UNREADABLE),
        ("No cat is to be seen, yes", YES, UNREADABLE, UNREADABLE),
        ("maybe", YES, UNREADABLE, UNREADABLE),
        ("", YES, UNREADABLE, UNREADABLE),
        ("Yes, a cat and no dog.", YES, UNREADABLE, 1.0),
        ("Yes... wait, no.", YES, UNREADABLE, UNREADABLE),
        ("No. Or yes?", YES, UNREADABLE, UNREADABLE),
        ("Three", THREE, 1.0, 1.0),
        ("Three cups.", THREE, UNREADABLE, 1.0),
        ("Three or four", THREE, UNREADABLE, UNREADABLE),
        ("unsure", THREE, UNREADABLE, UNREADABLE),
        ("yes", THREE, UNREADABLE, UNREADABLE),
        ("red", RED, 1.0, 1.0),
        ("Blue.", RED, 0.0, 0.0),
        ("unclear", RED, UNREADABLE, UNREADABLE),
        ("3", THREE, 1.0, 1.0),
        ("four", THREE, 0.0, 0.0),
        ("I see four of them", THREE, UNREADABLE, UNREADABLE),
        ("<think>", THREE, UNREADABLE, UNREADABLE),
    ],
)
def test_readers_of_one_verdict(text: str, question: Question, strict: float | None, lenient: float | None):
    for read, expected in ((strict_word, strict), (lenient_word, lenient)):
        reply = Reply(text=text, model="m", finish="stop")
        if expected is None:
            with pytest.raises(UnreadableReply):
                read(reply, question)
        else:
            assert read(reply, question) == expected


TWO = (Question(id="a", text="?"), Question(id="b", text="?"))


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (strict_json, '{"a": true, "b": 0.5}', [1.0, 0.5]),
        (strict_json, '{"a": "yes"}', UNREADABLE),
        (strict_json, '{"a": 1, "b": 2}', UNREADABLE),
        (strict_json, '{"a": 1, "a": 0, "b": 1}', UNREADABLE),
        (strict_json, 'Sure: {"a": 1, "b": 1}', UNREADABLE),
        (lenient_json, 'Sure: {"a": 1, "b": null} - done', [1.0, None]),
        (lenient_json, '```json\n["yes", "no"]\n```', [1.0, 0.0]),
        (lenient_json, '{"a": 1}', [1.0, None]),
        (lenient_json, 'In the requested JSON format:\n```json\n{"a": 1, "b": 0}\n```\nThe cup is red.', [1.0, 0.0]),
        (lenient_json, 'For example, a cup is there.\n\n{"a": 1, "b": 0}', [1.0, 0.0]),
        (lenient_json, 'For example {"a": "yes", "b": "no"}', UNREADABLE),
        (lenient_json, 'Example:\n```json\n{"a": "yes", "b": "no"}\n```', UNREADABLE),
        (lenient_json, 'If all was right it would be {"a": 1, "b": 1}', UNREADABLE),
        (lenient_json, '{"a": "yes", "b": "no"}\nWait, b is yes.', UNREADABLE),
        (lenient_json, '{"a": "yes", "b": "no"}\n\nActually, b is yes.', UNREADABLE),
        (lenient_json, '{"a": 1} or {"a": 0}', UNREADABLE),
        (lenient_json, '{"c": 1}', UNREADABLE),
        (lenient_json, 'I cannot see the image. {"a": "no", "b": "no"}', UNREADABLE),
        (strict_lines, "yes\nno", [1.0, 0.0]),
        (strict_lines, "1. yes\n2. no", UNREADABLE),
        (lenient_lines, "1. **Yes**\n\n2) no", [1.0, 0.0]),
        (lenient_lines, "- yes\n- perhaps", UNREADABLE),
        (lenient_lines, "2. yes\n1. no", [0.0, 1.0]),
        (lenient_lines, "(2) yes\n(1) no", [0.0, 1.0]),
        (lenient_lines, "**2.** yes\n**1.** no", [0.0, 1.0]),
        (lenient_lines, "- 2. yes\n- 1. no", [0.0, 1.0]),
        (lenient_lines, "Answer 2: yes\nAnswer 1: no", [0.0, 1.0]),
        (lenient_lines, "1. yes\n1. no", UNREADABLE),
        (lenient_lines, "0. yes\n1. no", UNREADABLE),
        (lenient_lines, "2. yes\n3. no", UNREADABLE),
        (lenient_lines, "1. yes\nno", UNREADABLE),
        (lenient_lines, "yes", UNREADABLE),
        (lenient_lines, "There is no image attached.\nno\nno", UNREADABLE),
        (strict_tagged_list, "<analysis>['it''s']</analysis><score>[1, 0]</score>", [1.0, 0.0]),
        (strict_tagged_list, "<score>1</score>", UNREADABLE),
        (strict_tagged_list, "<score>[1, 0, 1]</score>", UNREADABLE),
        (strict_tagged_list, "[1, 0]", UNREADABLE),
        (strict_tagged_list, "<score>[1, __import__('os')]</score>", UNREADABLE),
    ],
)
def test_readers_of_all_verdicts(read: Callable[..., list[Any]], text: str, expected: list[Any] | None):
    reply = Reply(text=text, model="m", finish="stop")
    if expected is None:
        with pytest.raises(UnreadableReply):
            read(reply, TWO)
    else:
        assert read(reply, TWO) == expected


def sound(sample: Sample) -> Outcome:
    """Two questions of every sample: one answered by its place, one not at all."""
    chance = float(int(sample.meta["image_index"]) % 2)  # type: ignore[arg-type]
    questions = (
        QuestionVerdict(question="q", text="a cat?", tag="object", verdict=chance, counted=chance),
        QuestionVerdict(question="r", text="a dog?", verdict=None, counted=None, why="unreadable"),
    )
    return Score(value=chance, parts={"questions": 2, "unanswered": 1}, questions=questions)


def test_verdicts_reach_the_report_and_agreement(tmp_path: Path):
    """A question is an item of its own, `<sample>#<question>`, which a table of people's marks may name."""
    made = made_run(tmp_path / "run", {"checklist": sound}, prompts=2)
    sample = next(iter(made.samples.values()))
    (verdict,) = sample_details(made, sample).verdicts
    assert [(one.text, one.tag, one.said, one.counted) for one in verdict.questions] == [
        ("a cat?", "object", "no", 0.0),
        ("a dog?", "", "not answered: unreadable", None),
    ]
    assert dict(verdict.parts) == {"questions": 2, "unanswered": 1}, "a question is no part"
    marks = read_run(made.folder)
    assert marks.scores("question", "checklist")[Unit(f"{sample.id}#q")] == 0.0
    assert marks.unscored["question", "checklist"].keys() == {f"{name}#r" for name in made.samples}
    table = tmp_path / "people.csv"
    rows = [f"{name}#q,a,{one.meta['image_index']},question" for name, one in made.samples.items()]
    table.write_text("\n".join(["item,rater,value,dimension", *rows]))
    command = ["agreement", str(made.folder), str(table), "--out", str(tmp_path / "out"), "--draws", "0"]
    assert run(command) == 0
    (row,) = [
        row
        for row in json.loads((tmp_path / "out" / "agreement.json").read_text())["judges"]
        if row["dimension"] == "question" and row["category"] == "all"
    ]
    assert (row["n"], row["coefficients"]["pairwise_accuracy"]["value"]) == (8, 1.0)
