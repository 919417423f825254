"""T2I-CoReBench's verdicts, scores and reuse of old results against what its own script answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.t2i_corebench.reading import (
    Verdict,
    dimension_mean,
    image_score,
    official_answer,
    official_verdict,
    read_verdict,
    thinks,
)
from benchmarks.t2i_corebench.results import kept_verdict, picture_id, prompt_key
from gotr1_eval.core.reading import UnreadableReply
from tests.conftest import rows, shared_parameters

Read = Callable[[Path], str]
Row = dict[str, Any]
GOLDEN = shared_parameters("golden/checklists/corebench_*.jsonl")
ROUNDS = 3


def answered(judge: str, replies: Sequence[str | None]) -> tuple[Verdict | None, int, bool]:
    """(verdict, calls, whether anything was said at all) of a question that is asked until an answer is not empty."""
    answer, calls = "", 0
    while not answer and calls < ROUNDS:
        reply = replies[min(calls, len(replies) - 1)]
        path = "gemini" if judge.startswith("Gemini") else "vllm"
        answer = "" if reply is None else official_answer(reply, path, thinking=thinks(judge))
        calls += 1
    return official_verdict(answer), calls, bool(answer)


def shown(verdict: Verdict | float | None) -> object:
    return "" if verdict is None else verdict


@pytest.mark.parametrize("path", GOLDEN)
def test_verdicts(path: Path, read_shared: Read):
    text = read_shared(path)
    by_judge: dict[str, list[Verdict | None]] = {}
    for row in rows(text, "verdict"):
        verdict, calls, said = answered(row["judge"], row["replies"])
        assert (shown(verdict), calls) == (row["verdict"], row["calls"]), row["id"]
        if said or not row["judge"].startswith("Gemini"):
            by_judge.setdefault(row["judge"], []).append(verdict)
    for row in rows(text, "verdict_mean"):
        assert image_score(by_judge[row["judge"]]) == pytest.approx(row["image_score"], abs=1e-9)


@pytest.mark.parametrize("path", GOLDEN)
def test_a_certain_verdict_is_the_last_word_of_the_reply(path: Path, read_shared: Read):
    """Where the certain reader reads, the reply's only word is that verdict; "Yes" is a yes."""
    read = 0
    for row in rows(read_shared(path), "verdict"):
        reply = row["replies"][0]
        if reply is None:
            continue
        try:
            verdict = read_verdict(reply)
        except UnreadableReply:
            continue
        read += 1
        words = [word for word in reply.lower().replace("</think>", " ").split() if "yes" in word or "no" in word]
        assert ("yes" in words[-1]) == bool(verdict), row["id"]
    assert read > 20
    assert read_verdict("Yes") == 1
    assert read_verdict("**No**.") == 0


def official_files(row: Row) -> dict[str, list[Verdict | None]]:
    """The verdicts by the name under which the script files them: names that are one up to their first dot overwrite
    each other question by question, the answer that came in the latest round last. The Gemini path files no question
    on which nothing was ever said, and no picture without a filed question."""
    latest: dict[tuple[str, int], tuple[int, Verdict | None]] = {}
    counts: dict[str, int] = {}
    for name in sorted(row["images"]):
        questions = row["questions"][prompt_key(name)]
        for at, question in enumerate(questions):
            verdict, calls, said = answered(row["judge"], row["replies"][f"{name}||{question}"])
            if said or not row["judge"].startswith("Gemini"):
                counts[picture_id(name)] = len(questions)
                key = picture_id(name), at
                if key not in latest or latest[key][0] <= calls:
                    latest[key] = calls, verdict
    return {name: [latest.get((name, at), (0, None))[1] for at in range(count)] for name, count in counts.items()}


@pytest.mark.parametrize("path", GOLDEN)
def test_runs(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "run"):
        unknown = [name for name in row["images"] if prompt_key(name) not in row["questions"]]
        assert (row["error"] == "ValueError") == bool(unknown), row["id"]
        if unknown:
            continue
        filed = official_files(row)
        verdicts = {name: [*map(shown, given)] for name, given in filed.items()}
        scores = {name: image_score(given) for name, given in filed.items()}
        assert verdicts == row["verdicts"], row["id"]
        assert {name: shown(score) for name, score in scores.items()} == row["image_score"], row["id"]
        mean = dimension_mean(scores)
        assert shown(mean) == (row["mean_score"] if mean is None else pytest.approx(row["mean_score"], abs=1e-9))


@pytest.mark.parametrize("path", GOLDEN)
def test_verdicts_of_an_earlier_file_are_kept_where_prompt_and_question_are_the_same(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "update"):
        asked, found = 0, {}
        for name, before in row["before"].items():
            place = [*row["prompts"]].index(prompt_key(name))
            verdicts = []
            for at, score in enumerate(before["verdicts"]):
                question = f"p{place}q{at}?"
                entry = {"question": question, "score": score}
                same = before["prompt"] == row["prompts"][prompt_key(name)]
                verdict = kept_verdict(entry, question) if same else None
                if verdict is None:
                    asked += 1
                    verdict, *_ = answered(row["judge"], row["replies"][f"{name}.png||{question}"])
                verdicts.append(verdict)
            found[name] = verdicts
        assert asked == row["asked"], row["id"]
        assert {name: [*map(shown, verdicts)] for name, verdicts in found.items()} == row["verdicts"], row["id"]
        assert dimension_mean({name: image_score(one) for name, one in found.items()}) == pytest.approx(
            row["mean_score"], abs=1e-9
        )
