"""Our rewards in other trainers: TRL for real, verl's and flow_grpo's calling conventions by hand."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from rewards.adapters.flow_grpo import make_reward
from rewards.adapters.trl import TrlReward
from rewards.adapters.verl import make_compute_score
from rewards.reward_set import RewardSet
from tests.fakes import ScriptedJudge

CHAIN = write_chain([("red circle", Box(0, 0, 0.5, 0.5))])


def by_length(sample: Sample) -> Outcome:
    """Longer chains score more; every third is unscored."""
    length = len(sample.chain or "")
    return Unscored(why=Why.UNREADABLE, detail="third") if length % 3 == 0 else Score(value=min(length / 100, 1.0))


def test_trl_rewards_with_factors_and_none():
    rewards = Builder().reward_set("shapes")
    logged: dict[str, float] = {}
    reward = TrlReward(rewards)
    picture = Image.new("RGB", (16, 16), "white")
    values = reward(
        ["a red circle and a blue square"] * 2,
        [CHAIN, CHAIN],
        image=[picture, None],
        log_metric=logged.__setitem__,
        completion_ids=[[1], [2]],
    )
    assert values == [0.0, None]
    assert logged["gotr1_total/semantic"] > 0.5
    assert logged["gotr1_total/reasoning_image"] == 0.0
    assert reward.__name__ == "gotr1_total"


def test_trl_chat_messages():
    judge = ScriptedJudge(lambda sample: Score(value=len(sample.prompt + (sample.chain or "")) / 100))
    turns = [[{"role": "user", "content": "ab"}]]
    assert TrlReward(RewardSet({"x": judge}))(turns, [[{"role": "assistant", "content": "cde"}]]) == [0.05]


def test_several_judges_without_a_total_are_no_reward():
    judges = {"x": ScriptedJudge(by_length), "y": ScriptedJudge(by_length, "other")}
    with pytest.raises(UsageError, match="needs a total to be one reward"):
        TrlReward(RewardSet(judges))(["p"], ["c"])


@pytest.mark.slow
def test_a_real_trl_trainer_takes_two_steps(tmp_path: Path):
    pytest.importorskip("trl", reason="TRL is a test dependency")
    with warnings.catch_warnings():
        # TRL and the packages it pulls in warn of their own deprecations on import.
        warnings.simplefilter("ignore")
        trainer = tiny_trainer(tmp_path, ScriptedJudge(by_length))
        result = trainer.train()
    assert result.global_step == 2
    metrics = {key for entry in trainer.state.log_history for key in entry}
    assert "rewards/gotr1_total/mean" in metrics
    assert np.isfinite(result.training_loss)


def tiny_trainer(folder: Path, judge: ScriptedJudge) -> Any:
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    from training.shapes_corpus import examples
    from training.tiny_tokenizer import train_tokenizer

    tokenizer = train_tokenizer(examples(50, 0))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    options = GRPOConfig(
        output_dir=str(folder), max_steps=2, per_device_train_batch_size=4, num_generations=4,
        max_completion_length=12, use_cpu=True, report_to=[], logging_steps=1, save_strategy="no", bf16=False,
    )  # fmt: skip
    return GRPOTrainer(
        model=LlamaForCausalLM(config),
        reward_funcs=[TrlReward(RewardSet({"x": judge}))],
        args=options,
        train_dataset=Dataset.from_dict({"prompt": ["a red circle", "a blue square"] * 4}),
        processing_class=tokenizer,
    )


def test_verl_scores_one_solution():
    compute = make_compute_score(Builder().reward_set("shapes"))
    picture = Image.new("RGB", (16, 16), "white")
    extra = {"prompt": "a red circle and a blue square", "image": picture}
    answer = compute(data_source="shapes", solution_str=CHAIN, ground_truth=None, extra_info=extra)
    assert answer["score"] == answer["total"] == 0.0
    assert answer["scored"] == 1.0
    assert answer["semantic"] > 0.5


def test_what_cannot_be_left_out_is_decided_by_the_user():
    rewards = Builder().reward_set("shapes")
    call = {"data_source": "", "solution_str": CHAIN, "ground_truth": None, "extra_info": {"prompt": "a cat"}}
    with pytest.raises(BackendError, match=r"unscored \(no_input: .*choose a stand-in with unscored="):
        make_compute_score(rewards)(**call)
    answer = make_compute_score(rewards, unscored=-1.0)(**call)
    assert (answer["score"], answer["scored"]) == (-1.0, 0.0)


@pytest.mark.parametrize("kind", ["float", "uint8", "pil"])
def test_flow_grpo_takes_pictures_as_it_makes_them(kind: str):
    red = np.zeros((2, 8, 8, 3), np.uint8)
    red[..., 0] = 255
    images: Any = {
        "uint8": red,
        "float": red.transpose(0, 3, 1, 2).astype(np.float32) / 255,
        "pil": [Image.fromarray(picture) for picture in red],
    }[kind]

    def redness(sample: Sample) -> Outcome:
        assert isinstance(sample.image, Image.Image)
        return Score(value=float(sample.image.getpixel((0, 0)) == (255, 0, 0)))

    reward = make_reward(RewardSet({"x": ScriptedJudge(redness)}))
    scores, details = reward(images, ["a", "b"], [{"chain": CHAIN}, {}])
    assert scores == [1.0, 1.0]
    assert len(details["outcomes"]) == 2
