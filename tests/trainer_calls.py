"""How trainers call a reward and what they make of its answer, written after their sources.

The version and the place stand at each function. `tests/trainers` calls the packages themselves.
"""

from __future__ import annotations

import asyncio
import base64
import io
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from gotr1_eval.core.types import Json


@dataclass(frozen=True)
class Row:
    """A row of a data set, and what the policy made of it."""

    prompt: str
    chain: str = ""
    picture: Image.Image = field(default_factory=lambda: Image.new("RGB", (8, 8), "white"))
    facts: dict[str, Json] = field(default_factory=dict)


def in_parts(prompt: str) -> list[dict[str, Any]]:
    """Messages whose content comes in parts, as data sets for models with eyes have them."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]


def pixels(rows: Sequence[Row]) -> torch.Tensor:
    """uint8, [B, 3, height, width]."""
    arrays = [np.asarray(row.picture).transpose(2, 0, 1) for row in rows]
    return torch.from_numpy(np.stack(arrays).copy()) if arrays else torch.zeros(0, 3, 8, 8, dtype=torch.uint8)


def columns_of(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The rows' facts as a table's columns, None where a row has none."""
    names = {name for row in rows for name in row.facts}
    return {name: [row.facts.get(name) for row in rows] for name in names}


def call_trl(reward: Callable[..., Any], rows: Sequence[Row]) -> list[float]:
    """TRL 1.16.0, `trl/trainer/grpo_trainer.py:_calculate_rewards`; ``picture`` is a list of rollout_func's output."""
    answers = reward(
        prompts=[in_parts(row.prompt) for row in rows],
        completions=[[{"role": "assistant", "content": row.chain}] for row in rows],
        completion_ids=[[1, 2]] * len(rows),
        trainer_state=SimpleNamespace(global_step=1),
        log_extra=lambda column, values: None,
        log_metric=lambda name, value: None,
        image=[Image.new("RGB", (4, 4), "pink")] * len(rows),
        picture=[row.picture for row in rows],
        **columns_of(rows),
    )
    assert len(answers) == len(rows)
    return [math.nan if answer is None else answer for answer in answers]


def collate_verl(compute_score: Callable[..., Any], rows: Sequence[Row]) -> dict[str, Any]:
    """verl 0.9.1, `verl/experimental/reward_loop`: `NaiveRewardManager.run_single`, then `compute_rm_score`."""

    async def one_of_them(arguments: dict[str, Any]) -> dict[str, Any]:
        if asyncio.iscoroutinefunction(compute_score):
            return await compute_score(**arguments)
        return await asyncio.get_running_loop().run_in_executor(None, lambda: compute_score(**arguments))

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(*(one_of_them(verl_arguments(row, at)) for at, row in enumerate(rows)))

    infos = asyncio.run(all_of_them())
    return {key: np.array([info[key] for info in infos]) for key in infos[0]}


def verl_arguments(row: Row, at: int) -> dict[str, Any]:
    """What the manager hands over; the agent loop's extra fields lie in extra_info."""
    fields = {"raw_prompt": in_parts(row.prompt), "turn_scores": [], "picture": row.picture, "chain": row.chain}
    own = {"index": at, "split": "train", "num_turns": 2, "rollout_reward_scores": {}}
    return {
        "data_source": "made",
        "solution_str": row.chain,
        "ground_truth": row.facts.get("ground_truth", ""),
        "extra_info": {name: fact for name, fact in row.facts.items() if name != "ground_truth"} | own | fields,
        "reward_router_address": "10.0.0.1:8000",
        "reward_model_tokenizer": None,
    }


def call_verl(compute_score: Callable[..., Any], rows: Sequence[Row]) -> list[float]:
    """The rewards of `collate_verl`."""
    return list(collate_verl(compute_score, rows)["score"])


def call_verl_omni(compute_score: Callable[..., Any], rows: Sequence[Row]) -> list[float]:
    """verl-project/verl-omni at a1139baf, `verl_omni/reward_loop/reward_manager/visual.py:run_single`."""

    async def all_of_them() -> list[dict[str, Any]]:
        calls = []
        for at, (row, picture) in enumerate(zip(rows, pixels(rows), strict=True)):
            given = verl_arguments(row, at) | {"solution_image": picture, "model_name": None}
            given.pop("solution_str")
            calls.append(compute_score(**given))
        return await asyncio.gather(*calls)

    return [float(answer["score"]) for answer in asyncio.run(all_of_them())]


def call_ms_swift(orm: Callable[..., Any], rows: Sequence[Row]) -> list[float]:
    """ms-swift 4.6.0, `swift/rl_core/grpo_algorithm.py:compute_rewards_per_func` on rows of `data.py:to_reward_row`."""
    reward = orm(args=SimpleNamespace(scale_rewards="group"))
    columns: dict[str, list[Any]] = {
        "messages": [[*in_parts(row.prompt), {"role": "assistant", "content": row.chain}] for row in rows],
        "prompt_id": ["prompt_0"] * len(rows),
        "request_id": [f"chatcmpl-{at}" for at in range(len(rows))],
        "finish_reason": ["stop"] * len(rows),
        "is_truncated": [False] * len(rows),
        "rollout_infos": [{"picture": row.picture} for row in rows],
        "response_token_ids": [[[at]] for at in range(len(rows))],
        **columns_of(rows),
    }
    answers = reward([row.chain for row in rows], trainer_state=SimpleNamespace(global_step=1), **columns)
    if asyncio.iscoroutine(answers):
        answers = asyncio.run(answers)
    return [math.nan if answer is None else answer for answer in answers]


def call_flow_grpo(reward: Callable[..., Any], rows: Sequence[Row]) -> list[float]:
    """yifan123/flow_grpo at ac4c86e, `flow_grpo/rewards.py:multi_score` under `scripts/train_sd3.py`'s executor.

    A factory without the argument ``device`` is called without one; the pictures are the pipeline's, [0, 1] in the
    policy's precision, here still with their gradient.
    """

    def factory() -> Callable[..., Any]:
        return reward

    assert "device" not in factory.__code__.co_varnames
    images = (pixels(rows).float() / 255).bfloat16().requires_grad_()
    metadata = tuple({**row.facts, "chain": row.chain} for row in rows)
    with ThreadPoolExecutor(8) as executor:
        scores, _ = executor.submit(factory(), images, tuple(row.prompt for row in rows), metadata).result()
    return [1.0 * score for score in scores]


def unirl_payload(rows: Sequence[Row], rewards: Sequence[str]) -> dict[str, Any]:
    """Tencent-Hunyuan/UniRL at 0e713d6, `unirl/reward/remote.py:_build_score_payload`: JPEG 95, metadata or None."""
    requests = []
    for at, row in enumerate(rows):
        buffer = io.BytesIO()
        row.picture.save(buffer, "JPEG", quality=95)
        turn = {"text": row.prompt, "image_b64": base64.b64encode(buffer.getvalue()).decode("ascii")}
        asked = {"history": [turn], "required_rewards": list(rewards), "metadata": row.facts or None}
        ids = {"request_id": f"s{at}", "sample_id": f"s{at}", "group_id": "g", "source_rank": 0, "policy_version": None}
        requests.append(asked | ids | {"scorer_version": None, "idempotency_key": f"{at:064x}"})
    return {"protocol_version": "1", "requests": requests}


def read_by_unirl(sent: dict[str, Any], answer: dict[str, Any]) -> list[float | None]:
    """`_post_score_requests` and `_parse_score_response` of the same file, whose defaults take a result's first number.

    None is a sample that `RewardService.score_and_attach` ends the step over: a reward without a value.
    """
    assert answer.get("protocol_version") == "1"
    echoed = ("request_id", "sample_id", "group_id", "source_rank", "policy_version", "idempotency_key")
    values: list[float | None] = []
    for asked, identity, result in zip(sent["requests"], answer["identities"], answer["results"], strict=True):
        assert all(identity[name] == asked[name] for name in echoed)
        found = [list(result[name].values()) for name in asked["required_rewards"] if name in result]
        finite = all(isinstance(value, float) and math.isfinite(value) for numbers in found for value in numbers)
        whole = len(found) == len(asked["required_rewards"]) and finite
        values.append(sum(numbers[0] for numbers in found) / len(found) if whole else None)
    return values
