"""Our rewards in other trainers: TRL for real, verl's and flow_grpo's calling conventions by hand."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from rewards.adapters.flow_grpo import make_reward
from rewards.adapters.in_memory import make_samples
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
    from training.tiny_janus import train_tokenizer

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


PROMPT = "a cat on the left of a dog"
LAID_OUT = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


def test_trl_reads_content_in_parts_and_the_users_last_message():
    prompt = [
        {"role": "system", "content": "Plan first."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PROMPT}]},
    ]
    completion = [{"role": "assistant", "content": [{"type": "text", "text": LAID_OUT}]}]
    reward = TrlReward(Builder().reward_set("geometric"))
    prefilled = [*prompt, {"role": "assistant", "content": "<think>"}]
    assert reward([prompt, tuple(prefilled)], [completion, [{"role": "assistant", "content": None}]]) == [1.0, 0.0]
    assert reward([], [], image=[]) == []


@pytest.mark.parametrize("prompt", ["a cat", PROMPT, np.array([{"role": "user", "content": PROMPT}])])
def test_verl_answers_the_same_keys_whatever_is_scored(prompt: Any):
    compute = make_compute_score(Builder().reward_set("geometric"), unscored=0.0)
    answer = compute("s", LAID_OUT, None, {"prompt": prompt}, reward_router_address=None)
    scored = not (isinstance(prompt, str) and prompt == "a cat")
    assert list(answer) == ["geometric", "score", "scored"]
    assert (answer["score"], answer["scored"]) == (float(scored), float(scored))
    assert np.isnan(answer["geometric"]) == (not scored)


@pytest.mark.parametrize("extra", [None, {}, {"prompt": None}])
def test_verl_without_a_prompt_is_told_where_it_belongs(extra: Any):
    with pytest.raises(UsageError, match="extra_info has no 'prompt'"):
        make_compute_score(Builder().reward_set("geometric"))("s", LAID_OUT, None, extra)


def tensors() -> dict[str, Any]:
    """The same two pictures, orange and wider than high, as trainers hold them."""
    orange = np.tile(np.array([1.0, 0.5, 0.0], np.float32), (2, 4, 8, 1))
    planes = torch.from_numpy(orange.transpose(0, 3, 1, 2).copy())
    grades = (planes * 255).round().to(torch.uint8)
    return {
        "bfloat16": planes.bfloat16(),
        "float16": planes.half(),
        "float8": planes.to(torch.float8_e4m3fn),
        "float64": planes.double(),
        "gradient": planes.clone().requires_grad_(),
        "channels last in memory": planes.contiguous(memory_format=torch.channels_last),
        "floats, channels last": orange,
        "uint8, channels first": grades,
        "uint8, channels last": grades.permute(0, 2, 3, 1).numpy(),
        "list of tensors": list(planes.bfloat16()),
        "tuple of arrays": tuple(orange),
        "tuple of pictures": tuple(Image.fromarray(np.round(one * 255).astype(np.uint8)) for one in orange),
    }


@pytest.mark.parametrize("kind", list(tensors()))
def test_pictures_of_every_kind_are_the_same_picture(kind: str):
    for sample in make_samples(["a", "b"], [None, None], tensors()[kind]):
        assert isinstance(sample.image, Image.Image)
        assert sample.image.size == (8, 4)
        red, green, blue = np.asarray(sample.image)[2, 5]
        assert (red, abs(int(green) - 128) <= 1, blue) == (255, True, 0)


def test_grey_and_transparent_arrays_are_pictures():
    grey, clear = make_samples(["a", "b"], [None] * 2, [torch.zeros(1, 4, 8), np.zeros((4, 8, 4), np.uint8)])
    assert (getattr(grey.image, "mode", ""), getattr(clear.image, "mode", "")) == ("L", "RGBA")


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (torch.full((1, 3, 8, 8), float("nan")).bfloat16(), "picture 0: holds values that are no finite numbers"),
        (np.full((1, 3, 8, 8), np.inf), "no finite numbers"),
        ([torch.zeros(3, 8, 8), torch.full((3, 8, 8), -1.0)], r"picture 1: expected values in \[0, 1\], got -1 to -1"),
        (torch.full((1, 3, 8, 8), 255.0), r"got 255 to 255.*x / 255"),
        (np.zeros((1, 3, 8, 8), np.int64), "expected floats in .* or uint8, got int64"),
        (torch.zeros(1, 5, 8, 8), r"1, 3 or 4 channels .* got the shape \[5, 8, 8\]"),
        (torch.zeros(1, 3, 0, 8), r"got the shape \[3, 0, 8\]"),
        (torch.zeros(3, 8, 8), r"four dimensions, got the shape \[3, 8, 8\]"),
        ([b"\x89PNG"], "picture 0: expected a file, a PIL picture or an array, got bytes"),
        ("one.png", "expected a sequence or a batch of pictures, got str"),
        ([None, None], "got 1 prompts, 1 chains and 2 pictures"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(pictures: Any, words: str):
    with pytest.raises(UsageError, match=words) as refused:
        make_samples(["a"], [None], pictures)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "metadata", [None, {}, [None], [{}], ({},), [{"chain": None}], [{"chain": float("nan")}], {"chain": None}]
)
def test_flow_grpo_without_a_chain_has_no_score(metadata: Any):
    reward = make_reward(Builder().reward_set("geometric"), unscored=-1.0)
    scores, details = reward(torch.rand(1, 3, 8, 8), [PROMPT], metadata, None, only_strict=True)
    assert scores == [-1.0]
    assert details["outcomes"][0]["geometric"].why is Why.NO_INPUT


@pytest.mark.parametrize("metadata", [[{"chain": LAID_OUT}], {"chain": [LAID_OUT]}, np.array([{"chain": LAID_OUT}])])
def test_flow_grpo_reads_chains_from_dicts_and_columns(metadata: Any):
    reward = make_reward(Builder().reward_set("geometric"))
    assert reward(torch.rand(1, 3, 8, 8).bfloat16(), np.array([PROMPT]), metadata)[0] == [1.0]
    assert reward(torch.zeros(0, 3, 8, 8), [], [])[0] == []


def test_prompts_that_are_no_text_are_refused():
    with pytest.raises(UsageError, match="expected a text or chat messages, got None"):
        make_samples([None], [None], [None])
    with pytest.raises(UsageError, match="metadata as a list of dicts"):
        make_reward(Builder().reward_set("geometric"))(None, [PROMPT], [LAID_OUT])
