"""What is known about a prompt reaches the judges: in training, in runs, through the server and the adapters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.facts import check_facts
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Box, Prompt, Sample
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.training_run import prepare_grpo
from gotr1_eval.web.admission import Limits
from gotr1_eval.web.reward_server import create_app
from rewards.adapters.flow_grpo import make_reward
from rewards.adapters.trl import TrlReward
from rewards.adapters.verl import make_compute_score
from rewards.reward_set import RewardSet
from tests.fakes import ScriptedJudge
from tests.grpo_runs import settings
from tests.tiny_models import loaded_random
from training.policies import Sampling
from training.policies.janus import JanusPolicy
from training.prompt_sets import PromptMix, read_source
from training.reward_judging import check_applies
from training.rollout import generate
from training.settings import GrpoSettings, PromptSource

CAT = {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a cat"}
DOG = {"tag": "single_object", "include": [{"class": "dog", "count": 1}], "prompt": "a dog"}
TILTED = {
    "tag": "position", "prompt": "a cat left of a dog",
    "include": [
        {"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["left of", 0]},
    ],
}  # fmt: skip
WHITE = Image.new("RGB", (64, 64), "white")


@pytest.fixture
def geneval(tmp_path: Path) -> RewardSet:
    """GenEval's verdict with a detector that finds a cat in every picture."""
    return Builder().reward_set(str(reward_file(tmp_path)))


def reward_file(folder: Path) -> Path:
    cat = [["cat", *Box(0.1, 0.1, 0.6, 0.6).corners, 0.9]]
    file = folder / "geneval.toml"
    detector = f'{{ use = "tests.plugins.fake_eyes", finds = {json.dumps(cat)} }}'
    file.write_text(f'[judges]\nverdict = {{ use = "geneval", detector = {detector} }}\n')
    return file


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(params=["suite", "jsonl", "csv", "parquet"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Two prompts of GenEval's, from wherever a training may have them."""
    if request.param == "suite":
        return {"suite": "geneval", "data": str(write_rows(tmp_path / "evaluation_metadata.jsonl", [CAT, DOG]))}
    rows = [{"prompt": row["prompt"], "geneval": row} for row in (CAT, DOG)]
    path = tmp_path / f"mine.{request.param}"
    if request.param == "jsonl":
        write_rows(path, rows)
    elif request.param == "csv":
        pd.DataFrame([{**row, "geneval": json.dumps(row["geneval"])} for row in rows]).to_csv(path, index=False)
    else:
        pd.DataFrame(rows).to_parquet(path)
    return {"file": str(path)}


def test_geneval_is_a_reward_of_training_prompts(source: dict[str, Any], geneval: RewardSet):
    mix = PromptMix([PromptSource(**source)], 0, Builder().suite)
    check_facts(geneval.judges.values(), mix.facts)
    prompts = mix.step(0, 8)
    check_applies(geneval, prompts)
    samples = [Sample(id=str(at), prompt=each.text, image=WHITE, meta=each.facts) for at, each in enumerate(prompts)]
    for sample, row in zip(samples, geneval.judge(samples), strict=True):
        outcome = row["verdict"]
        assert isinstance(outcome, Score)
        assert outcome.value == (sample.prompt == "a cat")


def test_a_rollout_hands_the_facts_to_its_judges_before_and_after_painting():
    told: list[Sample] = []
    prompts = [Prompt("a red circle", {"category": "color", "mine": [1, {"a": None}]}), Prompt("a blue square")]
    policy = JanusPolicy(loaded_random(), Sampling(guidance=1.0))
    rollout = generate(policy, prompts, [1, 2], chain_cap=6, tile=1, written=told.extend)
    assert [sample.meta for sample in rollout.samples] == [prompt.facts for prompt in prompts]
    assert [sample.meta for sample in told] == [prompt.facts for prompt in prompts]


def test_a_training_without_the_facts_is_refused_in_one_line(tmp_path: Path):
    asked = settings(rewards=str(reward_file(tmp_path))).model_dump()
    with pytest.raises(UsageError, match="needs the fact 'geneval' of a prompt, and no prompt has it") as caught:
        prepare_grpo(GrpoSettings.model_validate(asked), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_mixed_prompts_may_be_trained_on(tmp_path: Path, geneval: RewardSet):
    sources = [
        PromptSource(shapes=["color"]),
        PromptSource(file=write_rows(tmp_path / "mine.jsonl", [{"prompt": "a cat", "geneval": CAT}])),
    ]
    check_facts(geneval.judges.values(), PromptMix(sources, 0, Builder().suite).facts)


def test_the_columns_of_a_prompt_file_are_facts_in_runs_and_training(tmp_path: Path):
    rows = [{"prompt": "a cat", "category": "x", "note": 3, "image_index": 7, "image_url": "http://127.0.0.1:1/"}]
    file = write_rows(tmp_path / "mine.jsonl", rows)
    (prompt,) = read_source(PromptSource(file=file), Builder().suite)
    assert prompt == Prompt(
        "a cat", {"category": "x", "note": 3, "given image_index": 7, "given image_url": "http://127.0.0.1:1/"}
    )
    suite = Builder().suite({"use": "prompt_file", "file": str(file)})
    (sample,) = list_samples(suite, ["x"], images_per_prompt=1, limit=None, seed=0)
    assert sample.meta == {**prompt.facts, "prompt_index": 0, "image_index": 0}


@pytest.mark.parametrize(
    "short", [{"shapes": ["color", "spatial"]}, {"shapes": ["color", "spatial"], "t2i_compbench": None, "data": None}]
)
def test_an_earlier_way_to_name_a_suite_still_works(short: dict[str, Any]):
    now = PromptSource(suite="shapes", split="train", categories=("color", "spatial"))
    assert PromptSource.model_validate(short) == now
    prompts = read_source(now, Builder().suite)
    assert {prompt.facts["category"] for prompt in prompts} == {"color", "spatial"}


def seen_by_judge() -> tuple[RewardSet, list[dict[str, Any]]]:
    """A judge that notes the facts it is handed."""
    seen: list[dict[str, Any]] = []

    def note(sample: Sample) -> Outcome:
        seen.append(dict(sample.meta))
        return Score(value=1.0)

    return RewardSet({"x": ScriptedJudge(note)}), seen


@pytest.fixture
def server(geneval: RewardSet) -> Iterator[TestClient]:
    with TestClient(create_app(geneval, limits=Limits(facts_characters=400)), base_url="http://127.0.0.1:1") as client:
        yield client


@pytest.mark.parametrize("place", ["metadata", "facts"])
def test_the_server_takes_facts_with_a_row(server: TestClient, place: str):
    from tests.unit.test_reward_server import encoded, item, score

    rows = [{"geneval": CAT}, {"geneval": DOG}, {"geneval": "nothing"}, {"geneval": {"tag": 3}}, {"x": "y" * 400}]
    body = score(server, *(item("a cat", "verdict", image=encoded(), **{place: row}) for row in rows))
    assert [result.get("verdict", {}).get("value") for result in body["results"]] == [1.0, 0.0, None, None, None]
    reasons = [error.get("verdict", "") for error in body["errors"]]
    assert reasons[2].startswith("not_applicable: ")
    assert reasons[3].startswith("no_input: ")
    assert reasons[4].startswith("no_input: the metadata has 4")
    assert reasons[4].endswith("over the limit of 400")


def test_a_clients_facts_name_no_address():
    from tests.unit.test_reward_server import item, score

    rewards, seen = seen_by_judge()
    with TestClient(create_app(rewards), base_url="http://127.0.0.1:1") as client:
        score(client, item("a cat", "x", metadata={"chain": "c", "image_url": "file:///etc/passwd", "n": [1.5, None]}))
    assert seen == [{"n": [1.5, None]}]


def test_adapters_hand_over_what_they_get(geneval: RewardSet):
    rows = [CAT, DOG]
    columns = {"geneval": rows, "completion_ids": [[1], [2]], "drawn": [WHITE, WHITE]}
    assert TrlReward(geneval, picture="drawn")(["a cat", "a dog"], ["", ""], **columns) == [1.0, 0.0]
    compute = make_compute_score(geneval, picture="drawn")
    extra = {"prompt": "a cat", "drawn": WHITE, "geneval": json.dumps(CAT)}
    assert compute("d", "", None, extra)["score"] == 1.0
    pictures = [WHITE, WHITE]
    reward = make_reward(geneval)
    for metadata in ([{"geneval": row} for row in rows], {"geneval": rows}):
        assert reward(pictures, ["a cat", "a dog"], metadata)[0] == [1.0, 0.0]
    whole = make_reward(geneval, metadata_is="geneval")
    assert whole(pictures, ["a cat", "a dog"], rows)[0] == [1.0, 0.0]


def test_what_tables_fill_in_or_json_has_no_form_for_is_no_fact():
    rewards, seen = seen_by_judge()
    extra = {
        "prompt": "a cat", "index": np.int64(7), "number": np.int64(3), "gone": None, "nan": float("nan"),
        "picture": WHITE, "row": {"a": np.array([1, 2]), "b": None, "c": [{"d": None, "e": "f"}]}, "image_url": "http://x",
    }  # fmt: skip
    make_compute_score(rewards, unscored=0)("d", "c", None, extra)
    assert seen == [{"number": 3, "row": {"a": [1, 2], "c": [{"e": "f"}]}}]


def test_rows_from_arrow_are_read(geneval: RewardSet):
    """A struct column has the keys of all rows in every row."""
    filled = {**CAT, "exclude": None, "include": [{**CAT["include"][0], "color": None, "position": None}]}
    sample = Sample(id="", prompt="a cat", image=WHITE, meta={"geneval": filled})
    outcome = geneval.judge([sample])[0]["verdict"]
    assert isinstance(outcome, Score)
    assert outcome.value == 1.0
    tilted = Sample(id="", prompt="p", image=WHITE, meta={"geneval": json.dumps(TILTED)})
    outcome = geneval.judge([tilted])[0]["verdict"]
    assert isinstance(outcome, Score)
    assert outcome.value == 0.0


def test_an_adapter_tells_once_that_facts_are_lacking(geneval: RewardSet, caplog: pytest.LogCaptureFixture):
    reward = TrlReward(geneval, picture="drawn")
    for _ in range(2):
        assert reward(["a cat"], [""], drawn=[WHITE]) == [None]
    assert [record.message for record in caplog.records].count(caplog.records[0].message) == 1
    assert "needs the fact 'geneval'" in caplog.text
