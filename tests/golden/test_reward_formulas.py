"""Rewards that are formulas, against what the code they come from gives on invented inputs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.geneval.judges.geneval_reward import reward_of
from benchmarks.geneval.objects import select_objects
from benchmarks.geneval.prompts import read_task
from benchmarks.geneval.verdict import coloured_clauses, judge_picture
from benchmarks.pixels import PixelDetection
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.perception import TextLine, Transcript
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.types import Sample
from rewards.ocr_reward import OcrRewardJudge, quoted, text_reward
from rewards.unified_reward import AXES, read_final_score, read_marks
from rewards.vqa_score import answer_probability
from tests.conftest import shared_parameters

Reading = Callable[[Path], str]


@pytest.mark.parametrize("path", shared_parameters("golden/models/formulas/geneval_reward.json"))
def test_geneval_s_rewards(path: Path, read_shared: Reading):
    for case in json.loads(read_shared(path)):
        task = read_task({"prompt": "", **case})
        seen = [
            PixelDetection(name, score, tuple(corners))
            for name, found in case["detections"].items()
            for *corners, score, _ in found
        ]
        colour_at = {
            tuple(map(float, corners)): colour for found in case["detections"].values() for *corners, _, colour in found
        }
        objects = select_objects(seen, counting=task.tag == "counting")
        colours = {
            index: [
                colour_at[tuple(one.box.tolist())]
                for one in objects[task.include[index].name][: task.include[index].count]
            ]
            for index in coloured_clauses(task, objects)
        }
        reward = reward_of(task, objects, colours, wrong_place_twice=True)
        assert reward.mean == pytest.approx(case["score"], abs=1e-12), case
        assert float(reward.strict) == case["strict"], case
        assert float(judge_picture(task, objects, colours).correct) == case["correct"], case
        once = reward_of(task, objects, colours, wrong_place_twice=False)
        assert once.strict == reward.strict
        assert once.mean <= reward.mean


@pytest.mark.parametrize("path", shared_parameters("golden/models/formulas/ocr_reward.json"))
def test_the_text_reward(path: Path, read_shared: Reading):
    """Where flow_grpo's code ends with an exception nothing is scored, and a reader that fails earns no 0."""
    for case in json.loads(read_shared(path)):
        asked = quoted(case["prompt"])
        if case["reader_fails"]:
            continue
        if isinstance(case["reward"], str):
            kind = {"raises IndexError": Why.NOT_APPLICABLE, "raises ZeroDivisionError": Why.UNDEFINED}[case["reward"]]
            assert isinstance(asked, Unscored), case
            assert asked.why is kind, case
            continue
        assert isinstance(asked, str)
        lines = tuple(TextLine(text, score) for text, score in case["pieces"] or ())
        judge = OcrRewardJudge(Reads(lines))
        (outcome,) = judge.judge([Sample(id="1", prompt=case["prompt"], image=Image.new("RGB", (4, 4)))])
        assert isinstance(outcome, Score), case
        assert outcome.value == case["reward"], case


class Reads:
    """A reader of text that always finds the same lines."""

    name, fingerprint, model_calls = "fixed", "fixed", 0

    def __init__(self, lines: tuple[TextLine, ...]) -> None:
        self.lines = lines

    def read(self, images: Sequence[Image.Image]) -> list[Transcript | Unscored]:
        return [Transcript(self.lines) for _ in images]


@pytest.mark.parametrize("path", shared_parameters("golden/models/formulas/vqascore.json"))
def test_vqa_score_s_probability(path: Path, read_shared: Reading):
    for case in json.loads(read_shared(path)):
        logits = np.array(case["logits"], np.float64) / case["temperature"]
        logits -= logits.max(axis=1, keepdims=True)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        ended = case["generated"][-1] in (case["eos"], case["pad"])
        rows = log_probs[:, case["answer_ids"]].tolist()
        if isinstance(case["score"], str):
            with pytest.raises(ValueError, match="nothing but the end"):
                answer_probability(rows, ended=ended)
        else:
            assert answer_probability(rows, ended=ended) == pytest.approx(case["score"], rel=1e-6), case


@pytest.mark.parametrize("path", shared_parameters("golden/models/formulas/unifiedreward_replies.json"))
def test_unified_reward_s_marks(path: Path, read_shared: Reading):
    """Whole official answers are read as their own numbers; what a foreign reader makes of others is no yardstick."""
    read = 0
    for case in json.loads(read_shared(path)):
        marks, theirs = marks_or_none(case["reply"]), case["verl_omni"]
        final = final_or_none(case["reply"])
        sound = set(theirs) == set(AXES) and all(1 <= value <= 5 for value in theirs.values())
        if marks is not None:
            read += 1
            assert all(1 <= value <= 5 for value in marks.values())
            # Bold lines and full-width colons send that reader into its fallback, the first three numbers.
            assert marks == theirs or "**" in case["reply"] or not case["reply"].isascii(), case
        elif sound:
            assert doubtful(case["reply"]), case
        if final is not None and case["flow_grpo_final_score"]:
            assert final == case["flow_grpo_final_score"], case
    assert read >= 5


def doubtful(reply: str) -> bool:
    """A mark twice, a number that goes on, a refusal: read by others as if nothing were."""
    twice = any(reply.lower().count(axis) > 1 for axis in AXES)
    goes_on = re.search(r"\d[^\s\d.;]", reply.replace("(1-5)", ""))
    return bool(twice or goes_on or re.search(r"\*\*|：|cannot|can't|unable|sorry", reply))


def marks_or_none(reply: str) -> dict[str, float] | None:
    try:
        return read_marks(reply)
    except UnreadableReply:
        return None


def final_or_none(reply: str) -> float | None:
    try:
        return read_final_score(reply)["final"]
    except UnreadableReply:
        return None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Alignment Score (1-5): 4.5\nCoherence Score (1-5): 3\nStyle Score (1-5): 2", (4.5, 3, 2)),
        ("**Alignment Score (1-5):** 4\n**Coherence Score (1-5)**: 3\nSTYLE SCORE (1-5): **2**", (4, 3, 2)),
        ("Alignment Score (1-5)：4\nCoherence Score (1-5)：3.\nStyle Score (1-5)：2/5", (4, 3, 2)),
        ("<think>Style Score (1-5): 1</think>Alignment Score: 4\nCoherence Score: 3\nStyle Score: 2", (4, 3, 2)),
        ("Alignment Score (1-5): 4\nCoherence Score (1-5): 3", None),
        ("Alignment Score (1-5): 4\nCoherence Score (1-5): 3\nStyle Score (1-5): 5.5", None),
        ("Alignment Score (1-5): 4\nCoherence Score (1-5): 3\nStyle Score (1-5): 3,5", None),
        ("Alignment Score (1-5): 4/10\nCoherence Score (1-5): 3\nStyle Score (1-5): 3", None),
        ("Alignment Score (1-5): 4\nCoherence Score (1-5): 3\nStyle Score (1-5): 3\nStyle Score (1-5): 2", None),
        ("4\n3\n2", None),
        ("alignment score (1-5): 4 coherence score (1-5): 3 style score (1-5): 2", (4, 3, 2)),
        ("Alignment Score (1-5): 4, Coherence Score (1-5): 3, Style Score (1-5): 2", (4, 3, 2)),
        ("1. Alignment Score (1-5): 4\n2. Coherence Score (1-5): 3\n3. Style Score (1-5): 2", (4, 3, 2)),
        ("Alignment Score: 4 - 5\nCoherence Score: 3\nStyle Score: 2", None),
        ("Alignment Score: 4 (or 5)\nCoherence Score: 3\nStyle Score: 2", None),
        ("Alignment Score: 4 out of 10\nCoherence Score: 3\nStyle Score: 2", None),
        ("On a scale of 1 to 10:\nAlignment Score: 4\nCoherence Score: 3\nStyle Score: 2", None),
        ("Alignment Score: 4\nCoherence Score: 3\nStyle Score: 2\nWait, the alignment should be 2.", None),
        ("No image was provided.\nAlignment Score: 1\nCoherence Score: 1\nStyle Score: 1", None),
    ],
)
def test_by_hand_marks_are_all_read_or_none(reply: str, expected: tuple[float, ...] | None):
    assert marks_or_none(reply) == (None if expected is None else dict(zip(AXES, expected, strict=True)))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Final Score: 4", 4), ("It matches.\n\n**Final Score**: 4.5", 4.5), ("Final Score: 4/5", 4),
        ("Final Score (1-5): **3**", 3), ("I think so. Final Score: 2.", 2), ("Final Score: 4 / 10", None),
        ("Final Score: 3 to 4", None), ("Final Score: 4 (out of 10)", None), ("Final Score: 4\n\nWait, 3.", None),
        ("Final Score: 4\nFinal Score: 3", None), ("4", None), ("The answer is 4.", None), ("Final Score: 6", None),
    ],
)  # fmt: skip
def test_by_hand_the_final_score_stands_under_its_name(reply: str, expected: float | None):
    assert final_or_none(reply) == expected


def test_by_hand_an_answer_is_aligned_to_the_end_of_what_was_written():
    half, tenth = math.log(0.5), math.log(0.1)
    assert answer_probability([[tenth], [half]], ended=False) == pytest.approx(0.5)
    assert answer_probability([[tenth], [half]], ended=True) == pytest.approx(0.1)
    assert answer_probability([[half, 0.0], [0.0, tenth]], ended=False) == pytest.approx(math.sqrt(0.05))
    assert answer_probability([[half, tenth]], ended=False) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="nothing but the end"):
        answer_probability([[half]], ended=True)


def clause(name: str, count: int, **more: Any) -> dict[str, Any]:
    return {"class": name, "count": count, **more}


def test_by_hand_a_wrong_place_costs_half_a_term_or_a_whole_one():
    """A dog asked for below a cat, and painted above it: 1 and 1 for the counts, then 0 and perhaps 1 for the place."""
    task = read_task(
        {"tag": "position", "prompt": "", "include": [clause("cat", 1), clause("dog", 1, position=["below", 0])]}
    )
    seen = [PixelDetection("cat", 0.9, (40.0, 60.0, 60.0, 80.0)), PixelDetection("dog", 0.9, (40.0, 0.0, 60.0, 20.0))]
    objects = select_objects(seen, counting=False)
    assert reward_of(task, objects, {}, wrong_place_twice=True).terms == (1, 1, 0, 1)
    assert reward_of(task, objects, {}, wrong_place_twice=False).terms == (1, 1, 0)
    assert not reward_of(task, objects, {}, wrong_place_twice=True).strict


def test_by_hand_text_rewards():
    assert text_reward("abc", []) == 0.0
    assert text_reward("abc", ["x abc y"]) == 1.0
    assert text_reward("abcd", ["AB", "CE"]) == 0.75
    assert text_reward("ab", ["something far longer"]) == 0.0
    assert text_reward("ab", ["a\tb"]) == 0.5
