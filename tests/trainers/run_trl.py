"""TRL's own trainer takes steps on our rewards: ``python -m tests.trainers.run_trl``, in an environment that has TRL.

A tiny text model is asked with messages in parts. In the first run it writes the chains itself; in the second a
``rollout_func`` returns chains of the shapes world with pictures beside them, and every judge is a reward of its own.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.shapes import ShapesSuite
from gotr1_eval.build import Builder
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import scene_for, write_scene_chain
from gotr1_eval.shapes.statements import read_prompt
from rewards.adapters.trl import TrlReward, factor_rewards
from rewards.reward_set import RewardSet
from tests.fakes import ScriptedJudge

STEPS = 3
TEMPLATE = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %} {% endfor %}"
)
"""A chat template that reads content in parts."""


def by_length(sample: Sample) -> Outcome:
    """Longer chains score more; every third is unscored."""
    length = len(sample.chain or "")
    return Unscored(why=Why.UNREADABLE, detail="third") if length % 3 == 0 else Score(value=min(length / 100, 1.0))


def tiny_trainer(folder: Path, rewards: Sequence[TrlReward], **options: Any) -> Any:
    """A GRPOTrainer with a Llama of one layer and 32 dimensions, on the CPU."""
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM, PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    from training.tiny.janus import train_tokenizer
    from training.tiny.shapes_corpus import examples

    tokenizer = train_tokenizer(examples(50, 0))
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    given = {name: options.pop(name) for name in ("rollout_func",) if name in options}
    settings = GRPOConfig(
        output_dir=str(folder), max_steps=STEPS, per_device_train_batch_size=4, num_generations=4,
        max_completion_length=12, use_cpu=True, report_to=[], logging_steps=1, save_strategy="no", bf16=False,
        disable_tqdm=True, **options,
    )  # fmt: skip
    prompts = [[{"role": "user", "content": [{"type": "text", "text": prompt}]}] for prompt in shapes_prompts()]
    trainer = GRPOTrainer(
        model=LlamaForCausalLM(config), reward_funcs=list(rewards), args=settings,
        train_dataset=Dataset.from_dict({"prompt": prompts}), processing_class=tokenizer, **given,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer


def shapes_prompts() -> list[str]:
    suite = ShapesSuite("test")
    return [prompt for category in suite.categories for prompt in suite.prompts(category)[:4]]


def painted(text: str, seed: int) -> tuple[str, Image.Image]:
    """A chain of the shapes world for the prompt, and its picture; every fourth is of another prompt."""
    other = shapes_prompts()[seed % 16] if seed % 4 == 3 else text
    statement = read_prompt(other)
    assert statement is not None, other
    scene = scene_for(statement, random.Random(seed))
    return write_scene_chain(scene, statement), draw_scene(scene)


def rollouts() -> Callable[..., dict[str, list[Any]]]:
    """What TRL asks for completions, instead of the model: tokens, and beside them the pictures."""

    def rollout_func(prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        tokenizer = trainer.processing_class
        texts = ["".join(part["text"] for part in prompt[-1]["content"]) for prompt in prompts]
        made = [painted(text, seed) for seed, text in enumerate(texts)]
        completions = [tokenizer(chain, add_special_tokens=False)["input_ids"] for chain, _ in made]
        return {
            "prompt_ids": [tokenizer(text)["input_ids"] for text in texts],
            "completion_ids": completions,
            "logprobs": [[0.0] * len(tokens) for tokens in completions],
            "picture": [picture for _, picture in made],
        }

    return rollout_func


def steps(trainer: Any) -> list[dict[str, float]]:
    """Train, and return the reward of every step and what TRL logged of our judges."""
    result = trainer.train()
    assert result.global_step == STEPS, result
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    ours = ("reward", "gotr1_total", "loss", "semantic", "spatial")
    return [
        {name: value if value is None else round(value, 4) for name, value in entry.items() if name.startswith(ours)}
        for entry in logged
    ]


def main() -> None:
    import trl

    print(f"TRL {trl.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        own = steps(tiny_trainer(Path(folder), [TrlReward(RewardSet({"length": ScriptedJudge(by_length)}))]))
        print("chains of the policy's own, messages in parts:", *own, sep="\n  ")
        each = factor_rewards(Builder().reward_set("shapes"), picture="picture")
        trainer = tiny_trainer(
            Path(folder), each, rollout_func=rollouts(), multi_objective_aggregation="normalize_then_sum"
        )
        shown = steps(trainer)
        print("pictures from rollout_func, a reward for each judge:", *shown, sep="\n  ")
    for name in ("semantic", "reasoning_image", "prompt_image"):
        assert all(entry[f"rewards/{name}/mean"] > 0 for entry in shown), name


if __name__ == "__main__":
    main()
