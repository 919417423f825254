"""Use a reward set as the reward of TRL's GRPO trainer.

Needs the extra `dev`. The model is of toy size with random weights, and the reward reads the chain that it writes:
noise, which earns nothing. Yours is a real model. For judges of the picture let a `rollout_func` of TRL's make it, and
return the pictures beside the tokens as a list `image`; then any reward set will do. An unscored sample gives None,
which TRL leaves out.
"""

import tempfile
import warnings

warnings.simplefilter("ignore")  # of TRL and what it imports, about their own deprecations

from datasets import Dataset  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

from gotr1_eval import Builder  # noqa: E402
from rewards.adapters.trl import TrlReward  # noqa: E402
from training.tiny.janus import train_tokenizer  # noqa: E402
from training.tiny.shapes_corpus import examples  # noqa: E402

tokenizer = train_tokenizer(examples(50, 0))
config = LlamaConfig(
    vocab_size=len(tokenizer),
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    pad_token_id=tokenizer.pad_token_id,
    bos_token_id=tokenizer.bos_token_id,
    eos_token_id=tokenizer.eos_token_id,
)
trainer = GRPOTrainer(
    model=LlamaForCausalLM(config),
    reward_funcs=TrlReward(Builder().reward_set("shapes_semantic")),
    train_dataset=Dataset.from_dict({"prompt": ["a red circle on the left of a blue square"] * 8}),
    processing_class=tokenizer,
    args=GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        max_steps=2,
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=12,
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
    ),
)
trainer.train()
print(f"{trainer.state.global_step} steps; rewards:", [r["reward"] for r in trainer.state.log_history if "reward" in r])
