"""Our rewards in other people's trainers: each is called as its source calls, see `tests.trainer_calls`."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import random
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from benchmarks.shapes import ShapesSuite
from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import scene_for
from gotr1_eval.shapes.statements import read_prompt
from gotr1_eval.web.reward_server import create_app
from rewards.adapters import flow_grpo, verl, verl_omni
from rewards.adapters.ms_swift import make_orm
from rewards.adapters.trainer_reward import Gathering, TrainerReward
from rewards.adapters.trl import TrlReward, factor_rewards
from rewards.reward_set import RewardSet, RewardSetSettings, assemble
from rewards.total import TotalSettings
from tests.fakes import ScriptedJudge
from tests.trainer_calls import (
    Row,
    call_flow_grpo,
    call_ms_swift,
    call_trl,
    call_verl,
    call_verl_omni,
    collate_verl,
    in_parts,
    pixels,
    read_by_unirl,
    unirl_payload,
    verl_arguments,
)
from tests.trainers.run_trl import by_length, steps, tiny_trainer

PROMPT = "a cat on the left of a dog"
CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])
SCORED, UNSCORED, INAPPLICABLE = Row(PROMPT, CHAIN), Row("unscored", CHAIN), Row("a cat", CHAIN)
Scored = Callable[[RewardSet, Sequence[Row]], list[float]]
ASYNC_ORM = partial(make_orm, asynchronous=True)
MAKERS: dict[str, Callable[..., Any]] = {
    "TRL": TrlReward, "verl": verl.make_async_compute_score, "verl, blocking": verl.make_compute_score,
    "verl-omni": verl_omni.make_async_compute_score, "ms-swift": make_orm, "ms-swift, async": ASYNC_ORM,
    "flow_grpo": flow_grpo.make_reward,
}  # fmt: skip
TRAINERS: dict[str, Scored] = {
    "TRL": lambda rewards, rows: call_trl(TrlReward(rewards, picture="picture", unscored=-1), rows),
    "verl": lambda rewards, rows: call_verl(
        verl.make_async_compute_score(rewards, picture="picture", unscored=-1), rows),
    "verl, blocking": lambda rewards, rows: call_verl(
        verl.make_compute_score(rewards, picture="picture", unscored=-1), rows),
    "verl-omni": lambda rewards, rows: call_verl_omni(
        verl_omni.make_async_compute_score(rewards, chain="chain", unscored=-1), rows),
    "ms-swift": lambda rewards, rows: call_ms_swift(
        make_orm(rewards, picture="rollout_infos.picture", unscored=-1), rows),
    "ms-swift, async": lambda rewards, rows: call_ms_swift(
        ASYNC_ORM(rewards, picture="rollout_infos.picture", unscored=-1), rows),
    "flow_grpo": lambda rewards, rows: call_flow_grpo(
        flow_grpo.make_reward(rewards, unscored=-1), rows),
}  # fmt: skip
every_trainer = pytest.mark.parametrize("trainer", list(TRAINERS))


def by_prompt(sample: Sample) -> Outcome:
    """One sample is scored, one cannot be read, and the others have nothing to say."""
    if sample.prompt == PROMPT:
        return Score(value=0.25)
    why = Why.UNREADABLE if sample.prompt == "unscored" else Why.NOT_APPLICABLE
    return Unscored(why=why, detail=sample.prompt)


def scripted(answer: Callable[[Sample], Outcome] = by_prompt) -> RewardSet:
    return RewardSet({"scripted": ScriptedJudge(answer)})


@every_trainer
def test_scored_unscored_and_inapplicable_samples(trainer: str):
    assert TRAINERS[trainer](scripted(), [SCORED, UNSCORED, INAPPLICABLE]) == [0.25, -1.0, -1.0]


@every_trainer
def test_geometric_is_a_reward_without_a_model(trainer: str):
    backwards = write_chain([("dog", Box(0, 0.4, 0.2, 0.6)), ("cat", Box(0.8, 0.4, 1, 0.6))])
    rows = [SCORED, Row(PROMPT, backwards), Row(PROMPT, "no plan"), INAPPLICABLE]
    assert TRAINERS[trainer](Builder().reward_set("geometric"), rows) == [1.0, 0.0, 0.0, -1.0]


def geneval_rows() -> list[Row]:
    """A prompt that the detector's one dog fulfils, one that it does not, and one that is none of GenEval's."""
    asked = [
        {"tag": "single_object", "include": [{"class": name, "count": 1}], "prompt": name} for name in ("dog", "cat")
    ]
    return [*(Row(f"a photo of a {row['prompt']}", facts={"geneval": row}) for row in asked), Row("a poem")]


def geneval() -> RewardSet:
    detector = {"use": "tests.plugins.fake_eyes", "finds": [["dog", 0.1, 0.1, 0.9, 0.9, 0.9]]}
    return RewardSet({"geneval": Builder().judge({"use": "geneval", "detector": detector})})


@every_trainer
def test_geneval_is_a_reward_by_the_facts_of_the_row(trainer: str):
    assert TRAINERS[trainer](geneval(), geneval_rows()) == [1.0, 0.0, -1.0]


@every_trainer
def test_a_fact_may_be_json_text_as_arrow_needs_it(trainer: str):
    rows = [Row(row.prompt, facts={"geneval": json.dumps(row.facts.get("geneval"))}) for row in geneval_rows()[:2]]
    assert TRAINERS[trainer](geneval(), rows) == [1.0, 0.0]


def checklist_rows() -> list[Row]:
    """A prompt of the shapes world with its questions, drawn rightly, and an empty picture."""
    suite = ShapesSuite("test")
    category = suite.categories[0]
    prompt, facts = suite.prompts(category)[0], dict(suite.facts(category, 0))
    statement = read_prompt(prompt)
    assert statement is not None
    right = draw_scene(scene_for(statement, random.Random(0)))
    return [Row(prompt, picture=right, facts=facts), Row(prompt, picture=Image.new("RGB", right.size), facts=facts)]


@every_trainer
def test_a_checklist_is_a_reward_by_the_questions_of_the_row(trainer: str):
    right, empty = TRAINERS[trainer](Builder().reward_set("soft_tifa", {"use": "shapes"}), checklist_rows())
    assert right == 1.0
    assert empty < 1.0


@every_trainer
def test_equal_samples_are_judged_once(trainer: str):
    judge = ScriptedJudge(lambda sample: Score(value=len(sample.prompt) / 100))
    other = Row(PROMPT, CHAIN, Image.new("RGB", (8, 8), "red"))
    facts = Row(PROMPT, CHAIN, facts={"geneval": "another"})
    rows = [SCORED, Row(PROMPT, CHAIN, SCORED.picture.copy()), other, other, facts, Row("b", CHAIN)]
    assert TRAINERS[trainer](RewardSet({"x": judge}), rows) == [0.26, 0.26, 0.26, 0.26, 0.26, 0.01]
    assert len(judge.asked) == (6 if trainer == "verl, blocking" else 4)  # which asks about one sample at a time


@every_trainer
def test_a_step_without_samples(trainer: str):
    if not trainer.startswith("verl"):
        assert TRAINERS[trainer](scripted(), []) == []


@pytest.mark.parametrize("trainer", list(MAKERS))
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unscored": "skip"}, r"unscored='skip': expected a number(,| or) 'error'"),
        ({"unscored": math.nan}, "unscored=nan: expected a number"),
        ({"unscored": True}, "unscored=True: expected a number"),
    ],
)
def test_what_an_unscored_sample_is_must_be_something_a_trainer_can_take(trainer: str, options: Any, words: str):
    with pytest.raises(UsageError, match=words):
        MAKERS[trainer](scripted(), **options)


def looking_at(what: str) -> RewardSet:
    judge = ScriptedJudge(by_prompt)
    judge.looks_at = what  # type: ignore[assignment]
    return RewardSet({"mine": judge})


@pytest.mark.parametrize("trainer", list(MAKERS))
@pytest.mark.parametrize("what", ["prose", "plan", "grounding", "picture"])
def test_a_judge_of_what_does_not_come_is_refused_in_one_line(trainer: str, what: str):
    make = partial(MAKERS[trainer], chain=None) if trainer == "flow_grpo" else MAKERS[trainer]
    comes, missing = ("picture", "chain") if trainer in ("verl-omni", "flow_grpo") else ("chain", "picture")
    reads = {"prose": ["chain"], "plan": ["chain"], "grounding": ["chain", "picture"], "picture": ["picture"]}[what]
    if reads == [comes]:
        make(looking_at(what))
        return
    name = trainer.partition(",")[0]
    with pytest.raises(UsageError, match=f"{name}: mine needs a {missing} of every sample") as refused:
        make(looking_at(what))
    assert f"({missing}=)" in str(refused.value)
    assert "\n" not in str(refused.value)
    make(looking_at(what), **{missing: "there"})


@pytest.mark.parametrize("trainer", list(MAKERS))
def test_several_judges_without_a_total_are_refused(trainer: str):
    two = RewardSet({"x": ScriptedJudge(by_prompt), "y": ScriptedJudge(by_prompt, "other")})
    with pytest.raises(UsageError, match="needs a total to be one reward"):
        MAKERS[trainer](two)


@pytest.mark.parametrize("trainer", ["verl", "verl-omni", "flow_grpo"])
def test_who_can_leave_no_sample_out_says_so(trainer: str):
    with pytest.raises(UsageError, match=f"{trainer}: unscored='omit': .* leaves no sample out of its group"):
        MAKERS[trainer](scripted(), unscored="omit")


@pytest.mark.parametrize("make", [make_orm, ASYNC_ORM])
def test_ms_swift_leaves_samples_out_with_gdpo_alone(make: Callable[..., Any]):
    orm = make(scripted(), unscored="omit")
    with pytest.raises(UsageError, match="needs --scale_rewards gdpo"):
        orm(args=SimpleNamespace(scale_rewards="group"))
    with pytest.raises(UsageError, match="needs --scale_rewards gdpo"):
        orm()
    reward = orm(args=SimpleNamespace(scale_rewards="gdpo"))
    assert reward.__name__ == "gotr1_total"
    assert math.isnan(call_ms_swift(lambda args: reward, [UNSCORED])[0])


@every_trainer
def test_an_error_is_an_error_where_it_was_chosen(trainer: str):
    maker, options = MAKERS[trainer], {"unscored": "error"}
    calls = {"TRL": call_trl, "verl": call_verl, "verl-omni": call_verl_omni, "ms-swift": call_ms_swift}
    call = calls.get(trainer.partition(",")[0], call_flow_grpo)
    with pytest.raises(BackendError, match=r"a sample is unscored \(unreadable: unscored\).*unscored='error'"):
        call(maker(scripted(), **options), [SCORED, UNSCORED])


def test_trl_leaves_unscored_samples_out_and_logs_each_judge():
    logged: dict[str, float] = {}
    told: dict[str, Any] = {}
    reward = TrlReward(scripted())
    rows = [SCORED, UNSCORED, INAPPLICABLE, SCORED]
    prompts, chains = [in_parts(row.prompt) for row in rows], [row.chain for row in rows]
    values = reward(prompts, chains, log_metric=logged.__setitem__, log_extra=told.__setitem__)
    assert values == [0.25, None, None, 0.25]
    assert logged == {"gotr1_total/scripted": 0.25, "gotr1_total/scripted/scored": 0.5}
    assert told == {"gotr1_total/why": ["", "unreadable: unscored", "not_applicable: a cat", ""]}


def test_trl_has_a_reward_for_each_judge():
    judges = {name: ScriptedJudge(by_prompt, name) for name in ("x", "y")}
    functions = factor_rewards(RewardSet(judges))
    assert [function.__name__ for function in functions] == ["x", "y"]
    assert [call_trl(function, [SCORED]) for function in functions] == [[0.25], [0.25]]


def test_the_prompt_may_be_another_column_than_what_the_policy_was_asked():
    asked = Row("Plan a picture of: " + PROMPT, CHAIN, facts={"caption": PROMPT})
    assert call_trl(TrlReward(scripted(), prompt="caption"), [asked]) == [0.25]
    assert call_verl(verl.make_async_compute_score(scripted(), prompt="caption", unscored=0), [asked]) == [0.25]
    assert call_ms_swift(make_orm(scripted(), prompt="caption", unscored=0), [asked]) == [0.25]


def test_a_fact_may_have_another_name_in_the_row():
    (row, *_) = geneval_rows()
    renamed = Row(row.prompt, facts={"row": {"inner": row.facts["geneval"]}})
    named = {"geneval": "row.inner"}
    assert call_trl(TrlReward(geneval(), picture="picture", facts=named), [renamed]) == [1.0]
    assert call_ms_swift(make_orm(geneval(), picture="rollout_infos.picture", facts=named, unscored=0), [renamed]) == [
        1.0
    ]
    compute = verl_omni.make_async_compute_score(geneval(), facts={"geneval": "ground_truth"}, unscored=0)
    given = verl_arguments(row, 0) | {"ground_truth": row.facts["geneval"], "solution_image": pixels([row])[0]}
    assert asyncio.run(compute(**given))["score"] == 1.0


def test_flow_grpos_own_geneval_entries_are_the_fact_as_they_stand():
    entries = [row.facts.get("geneval") for row in geneval_rows()]
    reward = flow_grpo.make_reward(geneval(), metadata_is="geneval", unscored=-10)
    scores, details = reward(torch.rand(3, 3, 8, 8), ["dog", "cat", "poem"], entries, only_strict=True)
    assert scores == [1.0, 0.0, -10.0]
    assert len(details["outcomes"]) == 3


@pytest.mark.parametrize("metadata", [None, {}, [{}], [None], {"chain": [None]}])
def test_flow_grpos_metadata_may_say_nothing(metadata: Any):
    reward = flow_grpo.make_reward(Builder().reward_set("geometric"), unscored=-1)
    scores, details = reward(torch.rand(1, 3, 8, 8), [PROMPT], metadata, None, only_strict=True)
    assert scores == [-1.0]
    assert details["outcomes"][0]["geometric"].why is Why.NO_INPUT


def test_flow_grpos_metadata_must_fit_the_prompts():
    reward = flow_grpo.make_reward(scripted(), unscored=0)
    for wrong in ([CHAIN], [{}, {}]):
        with pytest.raises(UsageError, match="metadata as a list of 1 dicts"):
            reward(torch.rand(1, 3, 8, 8), [PROMPT], wrong)


def test_flow_grpo_calls_from_many_threads_and_the_judges_are_asked_by_one():
    at_work: list[str] = []

    def alone(sample: Sample) -> Outcome:
        at_work.append(threading.current_thread().name)
        assert len(at_work) == 1
        at_work.clear()
        return Score(value=1.0)

    reward = flow_grpo.make_reward(scripted(alone), unscored=0)
    calls = [threading.Thread(target=reward, args=(pixels([SCORED]), [f"{n}"], {})) for n in range(8)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()


def test_verls_columns_are_the_same_for_every_sample():
    columns = collate_verl(verl.make_async_compute_score(scripted(), unscored=-1), [UNSCORED, SCORED, INAPPLICABLE])
    assert {name: list(column) for name, column in columns.items()} == {
        "score": [-1.0, 0.25, -1.0], "scored": [0.0, 1.0, 0.0],
        "scripted": [-1.0, 0.25, -1.0], "scripted/scored": [0.0, 1.0, 0.0],
    }  # fmt: skip
    assert all(column.dtype.kind == "f" for column in columns.values())


@pytest.mark.parametrize(("unscored", "stand_in"), [(-1, -1.0), ("error", math.nan)])
def test_a_total_without_a_factor_that_does_not_apply_is_scored(unscored: Any, stand_in: float):
    names = ("semantic", "spatial", "reasoning_image", "prompt_image")
    judges = {name: ScriptedJudge(lambda sample: Score(value=0.5), name) for name in names}
    judges["spatial"] = ScriptedJudge(by_prompt, "spatial")
    judges["spatial"].may_not_apply = True
    total = TotalSettings(rule="paper_without_hps", when_applicable=("spatial",))
    rewards = assemble(RewardSetSettings(judges={name: {"use": name} for name in names}, total=total), judges)
    columns = collate_verl(verl.make_compute_score(rewards, unscored=unscored), [SCORED, INAPPLICABLE])
    assert list(columns["score"]) == pytest.approx([0.25 * (0.5 + 0.25) / 2, 0.25 * 0.5])
    assert list(columns["scored"]) == [1.0, 1.0]
    assert list(columns["spatial"]) == pytest.approx([0.25, stand_in], nan_ok=True)
    assert list(columns["spatial/scored"]) == [1.0, 0.0]


def test_what_verl_asks_one_by_one_is_judged_together():
    sizes: list[int] = []
    judge = ScriptedJudge(lambda sample: Score(value=1.0))

    def counted(samples: Sequence[Sample]) -> list[Outcome]:
        sizes.append(len(samples))
        return [Score(value=1.0) for _ in samples]

    judge.judge = counted  # type: ignore[method-assign]
    rows = [Row(f"prompt {n}") for n in range(20)]
    assert call_verl(verl.make_async_compute_score(RewardSet({"x": judge}), unscored=0), rows) == [1.0] * 20
    assert sizes == [20]


def test_what_comes_while_a_batch_is_judged_makes_the_next():
    sizes: list[int] = []
    first_begun, go_on = threading.Event(), threading.Event()

    def judge(samples: Sequence[Sample]) -> list[dict[str, Outcome]]:
        sizes.append(len(samples))
        first_begun.set()
        assert go_on.wait(10)
        return [{"x": Score(value=float(sample.prompt))} for sample in samples]

    async def asked() -> list[float]:
        gathering = Gathering(judge)
        ask = lambda n: asyncio.ensure_future(gathering.judge(Sample(id=str(n), prompt=str(n))))  # noqa: E731
        answers = [ask(0)]
        await asyncio.to_thread(first_begun.wait)
        answers += [ask(1), ask(2)]
        await asyncio.sleep(0)
        go_on.set()
        rows = await asyncio.gather(*answers)
        return [row["x"].value for row in rows if isinstance(row["x"], Score)]

    assert asyncio.run(asked()) == [0.0, 1.0, 2.0]
    assert sizes == [1, 2]


def test_what_a_batch_fails_of_reaches_everyone_in_it_and_the_next_goes_on():
    def judge(samples: Sequence[Sample]) -> list[dict[str, Outcome]]:
        if samples[0].prompt == "bad":
            raise UsageError("no such thing")
        return [{"x": Score(value=1.0)} for _ in samples]

    async def asked() -> list[object]:
        gathering = Gathering(judge)
        bad = [gathering.judge(Sample(id=str(n), prompt="bad")) for n in range(2)]
        failed = await asyncio.gather(*bad, return_exceptions=True)
        return [*failed, await gathering.judge(Sample(id="2", prompt="good"))]

    one, two, good = asyncio.run(asked())
    assert isinstance(one, UsageError)
    assert isinstance(two, UsageError)
    assert good == {"x": Score(value=1.0)}


def test_a_reward_travels_to_the_processes_of_verls_remote_manager():
    there = pickle.loads(pickle.dumps(TrainerReward(Builder().reward_set("geometric"), "verl", "error")))
    (outcomes,) = there.judge([Sample(id="0", prompt=PROMPT, chain=CHAIN)])
    assert there.value(outcomes["geometric"]) == 1.0


@pytest.mark.parametrize("extra", [None, {}, {"prompt": None}])
def test_verl_without_a_prompt_is_told_where_it_belongs(extra: Any):
    compute = verl.make_compute_score(Builder().reward_set("geometric"), unscored=0)
    with pytest.raises(UsageError, match="extra_info has neither 'prompt' nor 'raw_prompt'"):
        compute("s", CHAIN, None, extra)


def test_verl_omnis_videos_and_latents_are_refused_in_one_line():
    compute = verl_omni.make_async_compute_score(looking_at("picture"), unscored=0)
    call = partial(compute, ground_truth="", extra_info={"prompt": "a cat"})
    with pytest.raises(UsageError, match="got a video"):
        asyncio.run(call(solution_image=torch.zeros(2, 3, 8, 8, dtype=torch.uint8)))
    with pytest.raises(UsageError, match="channels first or last"):
        asyncio.run(call(solution_image=torch.zeros(16, 8, 8)))


def test_coroutine_functions_are_known_as_such():
    """verl and ms-swift look for one with `inspect.iscoroutinefunction`, which an object with `__call__` is not."""
    for make in (verl.make_async_compute_score, verl_omni.make_async_compute_score):
        assert asyncio.iscoroutinefunction(make(scripted(), unscored=0))
    assert asyncio.iscoroutinefunction(ASYNC_ORM(scripted(), unscored=0)())
    assert not asyncio.iscoroutinefunction(make_orm(scripted(), unscored=0)())


@pytest.mark.parametrize(("unscored", "last"), [("error", None), ("omit", None), (-1.0, -1.0)])
def test_unirls_calls_are_answered_by_the_server_in_its_form(unscored: Any, last: float | None):
    sent = unirl_payload(geneval_rows(), ["geneval"])
    with TestClient(create_app(geneval(), unscored=unscored), base_url="http://127.0.0.1:8780") as client:
        assert "geneval" in client.get("/health").json()["rewards"]
        answer = client.post("/score", json=sent)
    assert answer.status_code == 200, answer.text
    assert read_by_unirl(sent, answer.json()) == [1.0, 0.0, last]


@pytest.mark.parametrize("form", ["list", "columns", "array"])
def test_flow_grpo_reads_chains_from_dicts_and_columns(form: str):
    metadata = {"list": [{"chain": CHAIN}], "columns": {"chain": [CHAIN]}, "array": np.array([{"chain": CHAIN}])}[form]
    reward = flow_grpo.make_reward(Builder().reward_set("geometric"))
    assert reward(torch.rand(1, 3, 8, 8).bfloat16(), np.array([PROMPT]), metadata)[0] == [1.0]
    assert reward(torch.zeros(0, 3, 8, 8), [], {"chain": []})[0] == []


@pytest.mark.slow
def test_trls_own_trainer_takes_three_steps_with_messages_in_parts(tmp_path: Path):
    """With an own environment, `tests.trainers.run_trl` does the same, and with pictures."""
    pytest.importorskip("trl", reason="TRL is a test dependency")
    with warnings.catch_warnings():
        # TRL and the packages it pulls in warn of their own deprecations on import.
        warnings.simplefilter("ignore")
        shown = steps(tiny_trainer(tmp_path, [TrlReward(RewardSet({"length": ScriptedJudge(by_length)}))]))
    assert len(shown) == 3
    assert all(math.isfinite(entry["loss"]) and "gotr1_total/length/scored" in entry for entry in shown)
