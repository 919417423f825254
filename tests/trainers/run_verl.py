"""verl's own reward loop scores a batch with our rewards: ``python -m tests.trainers.run_verl``, where verl is.

`RewardLoopManager` starts its worker on Ray, which loads the reward function of a file as a training does; the batch
holds samples that are scored, one that cannot be and one to which the judge has nothing to say. verl's managers
`naive` (a coroutine and a function) and `remote` (a function, in processes of their own) ask.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

REWARDS = """
from gotr1_eval import Builder
from rewards.adapters.verl import make_async_compute_score, make_compute_score
from rewards.reward_set import RewardSet

eyes = {"use": "tests.plugins.fake_eyes", "finds": [["dog", 0.1, 0.1, 0.9, 0.9, 0.9]]}
geneval = RewardSet({"geneval": Builder().judge({"use": "geneval", "detector": eyes})})
geneval_score = make_async_compute_score(geneval, unscored=-1.0, picture="picture")
chain_score = make_compute_score(Builder().reward_set("geometric"), unscored=-1.0)
"""
CHAIN = "A cat (0,400),(200,600) and a dog (800,400),(1000,600)."
PROMPT = "a cat on the left of a dog"


def configured(folder: Path, name: str, manager: str) -> Any:
    """verl's own configuration of a training, with the lines of docs/trainers.md and a reward function of our file."""
    import verl
    from hydra import compose, initialize_config_dir

    file = folder / "my_rewards.py"
    file.write_text(REWARDS, encoding="utf-8")
    with initialize_config_dir(str(Path(verl.__file__).parent / "trainer" / "config"), version_base=None):
        return compose(
            "ppo_trainer",
            overrides=[
                *recipe(),
                f"reward.reward_manager.name={manager}",
                f"reward.custom_reward_function.path={file}",
                f"reward.custom_reward_function.name={name}",
                f"actor_rollout_ref.model.path={folder / 'tokenizer'}",
            ],
        )


def recipe() -> list[str]:
    """The settings of the recipe, which verl's configuration takes or refuses."""
    page = (Path(__file__).parents[2] / "docs" / "trainers.md").read_text("utf-8")
    lines = page.partition("verl.trainer.main_ppo")[2].partition("```")[0].splitlines()
    return [line.strip(" \\") for line in lines if line.strip(" \\")]


def batch_of(tokenizer: Any, solutions: list[str], extra: list[dict[str, Any]]) -> Any:
    """A batch as the trainer has it after the rollout."""
    import numpy as np
    import torch
    from verl import DataProto

    tokens = [tokenizer(text, add_special_tokens=False)["input_ids"] or [tokenizer.eos_token_id] for text in solutions]
    responses = torch.full((len(tokens), max(map(len, tokens))), tokenizer.pad_token_id)
    mask = torch.zeros_like(responses)
    for row, ids in enumerate(tokens):
        responses[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = 1
    prompts = torch.ones(len(tokens), 4, dtype=torch.long)
    return DataProto.from_dict(
        tensors={
            "prompts": prompts, "responses": responses,
            "attention_mask": torch.cat([torch.ones_like(prompts), mask], dim=1),
        },
        non_tensors={
            "data_source": np.array(["made"] * len(tokens), dtype=object),
            "reward_model": np.array([{"ground_truth": ""}] * len(tokens), dtype=object),
            "extra_info": np.array(extra, dtype=object),
        },
    )  # fmt: skip


def scored(
    folder: Path, name: str, solutions: list[str], extra: list[dict[str, Any]], manager: str = "naive"
) -> dict[str, list[float]]:
    """The columns of the batch after verl's reward loop, with the rewards that it put at the last tokens."""
    from transformers import AutoTokenizer
    from verl.experimental.reward_loop.reward_loop import RewardLoopManager

    loop = RewardLoopManager(configured(folder, name, manager))
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    collated = loop.compute_rm_score(batch_of(tokenizer, solutions, extra))
    columns = {key: collated.non_tensor_batch[key].tolist() for key in collated.meta_info["reward_extra_keys"]}
    assert collated.batch["rm_scores"].sum(dim=1).tolist() == columns["score"]
    return columns


def validated(columns: dict[str, list[float]]) -> dict[str, float]:
    """The means that verl's validation reports of the columns."""
    from verl.trainer.ppo.metric_utils import process_validation_metrics

    count = len(columns["score"])
    metrics = process_validation_metrics(["made"] * count, ["prompt"] * count, columns)["made"]
    return {name: values[f"mean@{count}"] for name, values in metrics.items()}


def main() -> None:
    import ray
    import verl

    from training.tiny.janus import train_tokenizer
    from training.tiny.shapes_corpus import examples

    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # else Ray warns that a later release changes it
    print(f"verl {verl.__version__}")
    rows = [{"class": name, "count": 1} for name in ("dog", "cat")]
    facts = [{"geneval": {"tag": "single_object", "include": [row], "prompt": row["class"]}} for row in rows]
    picture = {"picture": Image.new("RGB", (32, 32), "white")}
    asked = [{"prompt": "a dog", **facts[0]}, {"prompt": "a cat", **facts[1]}, {"prompt": "a dog", **facts[0]}]
    extra = [asked[0] | picture, asked[1] | picture, asked[2], {"prompt": "a poem"} | picture]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_tokenizer(examples(50, 0)).save_pretrained(folder / "tokenizer")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            columns = scored(folder, "geneval_score", [""] * 4, extra)
            print("GenEval: right, wrong, without a picture, without a row", columns, sep="\n  ")
            print("  validation:", validated(columns))
            prompts = [{"prompt": PROMPT}, {"prompt": "a dog on the left of a cat"}, {"prompt": "a cat"}]
            chains = scored(folder, "chain_score", [CHAIN] * 3, prompts)
            print("geometric: right, wrong, no relation asked for", chains, sep="\n  ")
            apart = scored(folder, "chain_score", [CHAIN] * 3, prompts, manager="remote")
            print("the same by the manager with processes of its own:", apart["score"])
        finally:
            ray.shutdown()
    assert columns["score"] == columns["geneval"] == [1.0, 0.0, -1.0, -1.0]
    assert columns["scored"] == columns["geneval/scored"] == [1.0, 1.0, 0.0, 0.0]
    assert apart == chains
    assert (chains["score"], chains["scored"]) == ([1.0, 0.0, -1.0], [1.0, 1.0, 0.0])


if __name__ == "__main__":
    main()
