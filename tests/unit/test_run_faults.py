"""What goes wrong around a run costs one line or one sample, and nothing that was done before."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gotr1_eval.core.errors import BackendError, RunError, UsageError, writing
from gotr1_eval.core.geometry import Box
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Detection, Sample
from gotr1_eval.files.jsonl import append_rows, dump, read_rows
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.judgments import Judgment, judgment_row
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.sources import GivenPictures
from gotr1_eval.runs.store import read_judgments
from reports.run_data import load_run
from reports.score_export import write_scores
from rewards.reward_set import RewardSet
from tests.fakes import ScriptedJudge
from tests.faulty_server import faulty_server


def samples(count: int) -> list[Sample]:
    return [Sample(id=f"s/all/{place:05d}/0", prompt=f"{place}", chain="c") for place in range(count)]


def run(folder: Path, judge: ScriptedJudge, count: int, ready: Callable[[], None] = lambda: None) -> None:
    rewards = RewardSet({"scripted": judge})
    run_job(
        Job(
            folder=folder, samples=samples(count), pictures=GivenPictures("here"), rewards=rewards, settings={}, tile=8
        ),
        ready=ready,
    )


def outcome_of(answer: Callable[[Sample], object]) -> Outcome:
    (outcome,) = judge_batch(ScriptedJudge(answer), samples(1))  # type: ignore[arg-type]
    return outcome


def test_a_judge_that_fails_costs_only_the_samples_it_fails_on():
    def answer(sample: Sample) -> Outcome:
        return Score(value=1 / (int(sample.prompt) - 2) ** 2)

    outcomes = judge_batch(ScriptedJudge(answer), samples(4))
    assert [outcome.value for outcome in outcomes if isinstance(outcome, Score)] == [0.25, 1.0, 1.0]
    failed = outcomes[2]
    assert isinstance(failed, Unscored)
    assert failed.why is Why.BACKEND, "asked again once the judge is mended"
    assert failed.detail.startswith("the judge failed: ZeroDivisionError: division by zero (test_run_faults.py:")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda sample: Score(value=float("nan")), "a score needs finite numbers, got value = nan"),
        (lambda sample: Score(value=0.5, parts={"a": np.float32("inf")}), "got a = "),
        (lambda sample: Score(value="8"), "a score needs numbers"),  # type: ignore[arg-type]
        (lambda sample: Score(value=8), "declares the range"),
        (lambda sample: 0.5, "must answer Score or Unscored, got 0.5"),
        (lambda sample: None, "must answer Score or Unscored, got None"),
    ],
)
def test_what_is_no_score_is_unscored(answer, told):
    outcome = outcome_of(answer)
    assert isinstance(outcome, Unscored)
    assert told in outcome.detail


def test_too_few_answers_and_the_user_s_errors():
    class Short(ScriptedJudge):
        def judge(self, asked: Sequence[Sample]) -> list[Outcome]:
            return super().judge(asked)[: len(asked) // 2]

    outcomes = judge_batch(Short(lambda sample: Score(value=1)), samples(2))
    assert all(
        isinstance(outcome, Unscored) and "gave 0 outcomes for 1 samples" in outcome.detail for outcome in outcomes
    )

    def refuse(sample: Sample) -> Outcome:
        raise UsageError("no such thing")

    with pytest.raises(UsageError):
        judge_batch(ScriptedJudge(refuse), samples(1))


def test_numbers_of_numpy_are_written_as_python_s():
    box = Box(*np.array([0, 0.25, 0.5, 1], dtype=np.float32))
    seen = (Detection("cat", box, np.float32(0.5)),)  # type: ignore[arg-type]
    outcome = outcome_of(lambda sample: Score(value=np.float32(0.5), parts={"a": np.int64(3)}, seen=seen))
    row = judgment_row(Judgment(sample="s", judge="j", fingerprint="f", outcome=outcome))
    assert '"value": 0.5, "parts": {"a": 3.0}' in dump(row)
    assert dump({"a": np.float64(1), "b": np.arange(2), "c": Path("p")}) == '{"a": 1.0, "b": [0, 1], "c": "p"}'


def test_a_run_whose_judge_is_gone_is_stopped_and_goes_on_later(tmp_path: Path):
    gone = True

    def answer(sample: Sample) -> Outcome:
        if gone and sample.prompt not in "01234567":
            raise BackendError("no answer (Connection refused)")
        return Score(value=0.5)

    judge = ScriptedJudge(answer)
    with pytest.raises(RunError, match=r"8 samples in a row.*Connection refused.*the same command goes on"):
        run(tmp_path, judge, 40)
    assert len(judge.asked) == 16, "one tile with answers, one without"
    gone = False
    run(tmp_path, judge, 40)
    assert len(judge.asked) == 16 + 32
    assert all(isinstance(judgment.outcome, Score) for judgment in read_judgments(tmp_path).values())


def test_the_last_tile_without_an_answer_ends_a_run_as_any_other(tmp_path: Path):
    run(tmp_path, ScriptedJudge(lambda sample: Unscored(why=Why.BACKEND)), 8)


def test_servers_are_asked_before_anything_is_made_and_not_where_all_is_judged(tmp_path: Path):
    def absent() -> None:
        raise BackendError("no answer")

    judge = ScriptedJudge(lambda sample: Score(value=0.5))
    with pytest.raises(BackendError):
        run(tmp_path, judge, 8, ready=absent)
    assert not (tmp_path / "samples.jsonl").exists()
    run(tmp_path, judge, 8)
    run(tmp_path, judge, 8, ready=absent)


def test_an_interruption_keeps_what_was_judged_in_its_tile(tmp_path: Path):
    def stop(sample: Sample) -> Outcome:
        raise KeyboardInterrupt

    first = ScriptedJudge(lambda sample: Score(value=0.5), "first")
    rewards = RewardSet({"first": first, "second": ScriptedJudge(stop, "second")})
    with pytest.raises(KeyboardInterrupt):
        run_job(
            Job(
                folder=tmp_path,
                samples=samples(8),
                pictures=GivenPictures("here"),
                rewards=rewards,
                settings={},
                tile=8,
            )
        )
    assert len(read_judgments(tmp_path)) == 8


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"a": 1}])
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(RunError, match=r"rows\.jsonl: cannot be written: .*the same command goes on"):
            append_rows(path, [{"a": "x" * 200}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    with pytest.raises(RunError, match="cannot be written: No space left"), writing(path):
        Path("/dev/full").write_text("x")


def test_halves_of_characters_in_ids_prompts_and_replies(tmp_path: Path):
    odd = Sample(id="s/\udcff/00000/0", prompt="a \ud83d cat", chain="\udcff", meta={"category": "\udcff"})
    rewards = RewardSet({"scripted": ScriptedJudge(lambda sample: Score(value=0.5, note="\ud800"))})
    for _ in range(2):
        run_job(
            Job(folder=tmp_path, samples=[odd], pictures=GivenPictures("here"), rewards=rewards, settings={}, tile=8)
        )
    assert write_scores(load_run(tmp_path)).exists()
    assert next(read_rows(tmp_path / "samples.jsonl"))[1]["prompt"] == "a \ud83d cat"


@pytest.mark.slow
def test_ctrl_c_ends_at_once_and_says_what_was_kept(tmp_path: Path):
    from PIL import Image

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for place in range(20):
        Image.new("RGB", (16, 16), (place, 9, 9)).save(pictures / f"a cat {place:02}.png")
    with faulty_server() as server:
        server.text = lambda question: '{"score": 8}'
        server.faults["Answer with one digit."] = [""]
        command = [sys.executable, "-m", "gotr1_eval", "score", str(pictures), "--judges", "prompt_image",
                   "--tile", "8", "--judge-model", f"{server.url}#m", "--out", str(tmp_path / "run")]  # fmt: skip
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
        # A shell that started the tests in the background makes them, and what they start, deaf to Ctrl-C.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=environment, stdout=subprocess.DEVNULL
        )
        signal.signal(signal.SIGINT, before)
        with process:
            while len(server.bodies) < 9:
                time.sleep(0.01)
            server.mood = "hang"
            until = time.monotonic() + 60
            while server.under_way == 0 and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            told = process.communicate(timeout=60)[1]
            server.mood = ""
    assert process.returncode == 130, told
    assert time.monotonic() - started < 20
    assert "of 20 samples; what was made of them is kept" in told
    assert "gotr1-eval: interrupted; the same command goes on where it stopped" in told
    assert "Traceback" not in told
