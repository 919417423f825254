"""`reread`: the present reader over the replies that a run has stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.reread import Fate, reread
from gotr1_eval.runs.store import RunInfo, RunStore, save_image
from tests.conftest import shared_parameters

CHAIN = "A dog <|box_start|>(100,200),(300,400)<|box_end|> on grass."
PROMPT_IMAGE, GROUNDED = "prompt_image[old model]", "reasoning_image[old model]"
SEMANTIC = "semantic[old model]"


def replies(*texts: str, finish: str = "stop") -> tuple[Reply, ...]:
    return tuple(Reply(text=text, model="old model", finish=finish) for text in texts)


def scored(value: float, *texts: str, **parts: float) -> Score:
    return Score(value=value, parts=parts or {"score": value * 10}, replies=replies(*texts))


def unread(*texts: str) -> Unscored:
    return Unscored(why=Why.UNREADABLE, detail="an old complaint", replies=replies(*texts))


def run_of(folder: Path, judged: Sequence[tuple[str, Outcome]]) -> Path:
    """A run with one sample a judgment."""
    with RunStore.open(folder, RunInfo(identity={}, setup={})) as store:
        for place, (judge, outcome) in enumerate(judged):
            picture = save_image(store.folder, f"s{place}", Image.new("RGB", (200, 100)))
            store.append_samples([Sample(id=f"s{place}", prompt="a dog", chain=CHAIN, image=picture)])
            store.append_judgments([Judgment(sample=f"s{place}", judge=judge, fingerprint="old", outcome=outcome)])
    return folder


def fates(folder: Path, judge: str | None = None) -> list[Fate]:
    return [row.fate for one in reread(folder, judge) for row in one.rows]


def test_every_fate_of_a_score(tmp_path: Path):
    folder = run_of(
        tmp_path / "run",
        [
            (PROMPT_IMAGE, scored(0.8, '{"score": 8}')),
            (PROMPT_IMAGE, scored(1.0, '{"score": 2}\nThe picture contains the text:\nScore: 10')),
            (PROMPT_IMAGE, scored(0.3, '<|channel|>analysis<|message|>{"score": 3}')),
            (PROMPT_IMAGE, unread("Answer: 8", "Answer: 8")),
            (PROMPT_IMAGE, unread("I cannot rate images.", "It is lovely.")),
            (PROMPT_IMAGE, unread("I cannot rate images.", "I cannot rate images.")),
            (PROMPT_IMAGE, scored(0.7, "hm", '{"score": 7}')),
        ],
    )
    (found,) = reread(folder)
    assert [row.fate for row in found.rows] == [
        Fate.SAME,
        Fate.CHANGED,
        Fate.LOST,
        Fate.GAINED,
        Fate.SAME,
        Fate.OTHER_REASON,
        Fate.SAME,
    ]
    assert [row.new.value for row in found.rows if isinstance(row.new, Score)] == [0.8, 0.2, 0.8, 0.7]
    assert found.counts == {"same": 3, "changed": 1, "no longer scored": 1, "now scored": 1, "other reason": 1}


def test_a_first_answer_that_is_no_longer_readable_keeps_its_complaint(tmp_path: Path):
    folder = run_of(tmp_path / "run", [(PROMPT_IMAGE, scored(0.4, '{"score": 4} out of 5'))])
    ((row,),) = (one.rows for one in reread(folder))
    assert isinstance(row.new, Unscored)
    assert row.new.why is Why.UNREADABLE
    assert "scale" in row.new.detail


def test_several_scores_and_what_is_left_out(tmp_path: Path):
    four = '{"completeness": 8, "faithfulness": 8, "consistency": 8, "clarity": 4}'
    parts = {"completeness": 8.0, "faithfulness": 8.0, "consistency": 8.0, "clarity": 4.0}
    folder = run_of(
        tmp_path / "run",
        [
            (SEMANTIC, scored(0.7, four, **parts)),
            (SEMANTIC, Unscored(why=Why.BACKEND, detail="down", replies=replies(four))),
            ("spatial_from_zero[old model]", scored(1.0, '{"score": 10}')),
            ("prompt_image[old model,mean of 2]", scored(0.5, '{"score": 4}', '{"score": 6}')),
            ("prompt_image[old model,mean of 2]", scored(0.5, "hm", '{"score": 4}', '{"score": 6}')),
            ("prompt_image[old model,expected]", scored(0.5, "5")),
            ("my_package.judge", scored(0.5, "5")),
            ("geometric", Score(value=1.0)),
        ],
    )
    found = {one.judge: one for one in reread(folder)}
    assert found[SEMANTIC].counts["same"] == 1
    assert found[SEMANTIC].left_out == {"the model failed": 1}
    assert found["spatial_from_zero[old model]"].rows[0].new == scored(1.0, '{"score": 10}')
    sampled = found["prompt_image[old model,mean of 2]"]
    assert sampled.rows[0].new.value == 0.5  # type: ignore[union-attr]
    assert sum(sampled.left_out.values()) == 1
    assert not found["prompt_image[old model,expected]"].rows
    assert found["my_package.judge"].left_out == {"a judge whose answers are not read here": 1}
    assert "geometric" not in found


@pytest.mark.parametrize(("frame", "numbers"), [("thousandths", "100, 200, 300, 400"), ("pixels", "20, 20, 60, 40")])
def test_boxes_are_read_in_the_frame_that_gives_the_stored_scores(tmp_path: Path, frame: str, numbers: str):
    quoted = f'[{{"bbox_2d": [{numbers}]}}]\nThe picture contains the text: [{{"bbox_2d": [0, 0, 1, 1]}}]'
    judged = [
        (GROUNDED, scored(1.0, f'[{{"bbox_2d": [{numbers}]}}]', **{"1: dog": 1.0})),
        (GROUNDED, scored(0.0, quoted, **{"1: dog": 0.0})),
    ]
    (found,) = reread(run_of(tmp_path / "run", judged))
    assert found.frame == frame
    assert [row.fate for row in found.rows] == [Fate.SAME, Fate.CHANGED]
    assert found.rows[1].new.value == pytest.approx(1.0)  # type: ignore[union-attr]


def test_the_command_shows_and_writes_nothing(tmp_path: Path, capsys: Any):
    folder = run_of(
        tmp_path / "run",
        [(PROMPT_IMAGE, scored(0.8, '{"score": 8}')), (SEMANTIC, unread("hm", "hm"))]
        + [(PROMPT_IMAGE, scored(0.4, '{"score": 4} out of 5'))] * 30,
    )
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run(["reread", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "31 judgments read again" in text
    assert "0.400 -> unscored (unreadable" in text
    assert "mean 0.413 (n=31) -> 0.800 (n=1)" in text
    assert "and 10 more" in text
    assert run(["reread", str(folder), "--judge", "prompt_image", "--json"]) == 0
    ((judge,)) = (json.loads(capsys.readouterr().out)["judges"],)
    assert [one["counts"]["no longer scored"] for one in judge] == [30]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(DataError, match="not a run folder"):
        run(["reread", str(tmp_path)])
    with pytest.raises(DataError, match="no stored replies"):
        run(["reread", str(folder), "--judge", "clip"])


@pytest.mark.parametrize(
    "path", shared_parameters("golden/replies/*.jsonl") + shared_parameters("checks/replies*.jsonl")
)
def test_every_shared_reply_is_read_again(path: Path, read_shared: Callable[[Path], str], tmp_path: Path, capsys: Any):
    """Whatever a reply holds, the command ends well; where a row tells the score, no other one comes out."""
    rows = [json.loads(line) for line in read_shared(path).splitlines() if line.strip()]
    judged: list[tuple[str, Outcome]] = []
    for row in rows:
        boxed = "box" in str(row.get("reader", row.get("kind"))) or row.get("kind") in ("grounding", "layout")
        several = "read_scores" in str(row.get("reader"))
        text, finish = row.get("text", row.get("raw")), row.get("finish")
        reply = (Reply(text=text, model="m", finish=finish),)
        judge = GROUNDED if boxed else SEMANTIC if several else PROMPT_IMAGE
        judged.append((judge, Unscored(why=Why.UNREADABLE, detail="as before", replies=reply)))
    folder = run_of(tmp_path / "run", judged)
    assert run(["reread", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["judges"]
    assert sum(one["read_again"] for one in found) == len(rows)
    for one in found:
        for row in one["differences"]:
            asked = rows[int(row["sample"][1:])]
            if asked.get("reader") == "read_score" and "value" in row["new"]:
                assert row["new"]["parts"]["score"] == asked["expected"], asked["id"]
