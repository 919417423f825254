"""One GRPO step against a loop that works as T2I-R1's trainer does; prints a Markdown table.

    python -m tests.perf.training [--prompts 4] [--group 8] [--steps 2]

The loop takes one prompt's group after the other, samples with a growing cache, asks the judges for one sample at a
time, and scores chain and picture in two passes, each with its head over all positions and all logits held at once.
Both train the shipped tiny Janus in full on the same prompts, in one process; the first step of each is not counted.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache

from gotr1_eval.build import Builder
from gotr1_eval.core.types import Sample
from gotr1_eval.models.janus.loading import checkpoint_folder, load_checkpoint
from gotr1_eval.models.janus.sequence import encode_prompt
from training.advantage import group_advantages
from training.grpo import GrpoTrainer
from training.rollout import rewards_of
from training.settings import GrpoSettings

GUIDANCE, CAP = 2.0, 120


def ours(prompts: int, group: int) -> Callable[[int], int]:
    """A step of this project's trainer; answers how many samples it made."""
    settings = GrpoSettings.model_validate({
        "ckpt": "tiny-janus", "rewards": "shapes", "prompts": [{"shapes": []}], "prompts_per_step": prompts,
        "samples_per_prompt": group, "micro_batch": 32, "lora": "none", "beta": 0.0, "evaluation": "none",
        "image_logprob": "conditional", "sampling": {"guidance": GUIDANCE, "chain_cap": CAP}, "device": "cpu",
    })  # fmt: skip
    checkpoint = load_checkpoint(checkpoint_folder("tiny-janus"), device=torch.device("cpu"), dtype=torch.float32)
    trainer = GrpoTrainer(settings, Path(TemporaryDirectory().name), checkpoint, Builder().reward_set("shapes"))

    def step(number: int) -> int:
        trainer.step(number)
        return prompts * group

    return step


class GroupByGroup:
    """The other loop."""

    def __init__(self, prompts: int, group: int) -> None:
        device = torch.device("cpu")
        loaded = load_checkpoint(checkpoint_folder("tiny-janus"), device=device, dtype=torch.float32)
        self.model, self.tokenizer, self.special = loaded.model, loaded.tokenizer, loaded.special
        for part in ("vqmodel", "vision_model", "aligner"):
            getattr(self.model.model, part).requires_grad_(False)
        learned = [each for each in self.model.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(learned, lr=1e-5)
        self.rewards = Builder().reward_set("shapes")
        self.prompts, self.group = prompts, group
        self.source = shapes_prompts()

    def step(self, number: int) -> int:
        """One prompt after the other; one optimizer step at the end."""
        self.optimizer.zero_grad()
        for prompt in self.source.step(number, self.prompts):
            chains, images = self._sample(prompt)
            self._learn(prompt, chains, images)
        self.optimizer.step()
        return self.prompts * self.group

    @torch.no_grad()
    def _sample(self, prompt: str) -> tuple[Tensor, Tensor]:
        ids_BL = torch.tensor([encode_prompt(self.tokenizer, prompt, self.special)] * self.group)
        embed, language = self.model.get_input_embeddings(), self.model.model.language_model
        cache, fed, written = DynamicCache(), embed(ids_BL), []
        for _ in range(CAP):
            out = language(inputs_embeds=fed, past_key_values=cache, use_cache=True)
            # The head runs over every position that was fed, though only the last one is sampled.
            chosen_B1 = torch.multinomial(self.model.lm_head(out.last_hidden_state)[:, -1].softmax(-1), 1)
            written.append(chosen_B1)
            if (torch.cat(written, 1) == self.special.begin_of_image).any(1).all():
                break
            fed = embed(chosen_B1)
        chains_BL = torch.cat([ids_BL, *written], dim=1)
        chains_BL[:, -1] = self.special.begin_of_image
        empty_BL = torch.full_like(chains_BL, self.special.pad)
        empty_BL[:, 0], empty_BL[:, -1] = chains_BL[:, 0], chains_BL[:, -1]
        cache, fed, painted = DynamicCache(), embed(torch.cat([chains_BL, empty_BL])), []
        for _ in range(self.model.config.vision_config.num_image_tokens):
            out = language(inputs_embeds=fed, past_key_values=cache, use_cache=True)
            c_BV, u_BV = self.model.model.generation_head(out.last_hidden_state)[:, -1].chunk(2)
            chosen_B1 = torch.multinomial((u_BV + GUIDANCE * (c_BV - u_BV)).softmax(-1), 1)
            painted.append(chosen_B1)
            fed = self.model.prepare_embeddings_for_image_generation(torch.cat([chosen_B1, chosen_B1]))
        return chains_BL, torch.cat(painted, dim=1)

    def _learn(self, prompt: str, chains_BL: Tensor, images_BT: Tensor) -> None:
        start = len(encode_prompt(self.tokenizer, prompt, self.special))
        outcomes = []
        for chain_L, image_T in zip(chains_BL, images_BT, strict=True):
            with torch.no_grad():
                pixels = self.model.decode_image_tokens(image_T[None])[0]
            picture = Image.fromarray(((pixels + 1) / 2 * 255).clamp(0, 255).to(torch.uint8).numpy())
            text = self.tokenizer.decode(chain_L[start:].tolist(), skip_special_tokens=False)
            outcomes += self.rewards.judge([Sample(id="0", prompt=prompt, chain=text, image=picture)])
        found = group_advantages(*rewards_of([row["total"] for row in outcomes], self.group))
        advantages_B1 = found.values_PG[0][:, None]
        embed, language = self.model.get_input_embeddings(), self.model.model.language_model
        text_BLV = self.model.lm_head(language(inputs_embeds=embed(chains_BL), use_cache=False).last_hidden_state)
        text_BL = text_BLV[:, start - 1 : -1].log_softmax(-1).gather(2, chains_BL[:, start:, None])[:, :, 0]
        (-(advantages_B1 * text_BL).mean()).backward()
        painted_BTD = self.model.prepare_embeddings_for_image_generation(images_BT)
        whole = language(inputs_embeds=torch.cat([embed(chains_BL), painted_BTD], dim=1), use_cache=False)
        image_BSV = self.model.model.generation_head(whole.last_hidden_state)
        image_BTV = image_BSV[:, chains_BL.shape[1] - 1 : -1]
        image_BT = image_BTV.log_softmax(-1).gather(2, images_BT[:, :, None])[:, :, 0]
        (-(advantages_B1 * image_BT).mean()).backward()


def shapes_prompts() -> Any:
    """The prompts of both loops."""
    from training.prompt_sets import PromptMix
    from training.settings import PromptSource

    return PromptMix([PromptSource(shapes=())], 0)


def measure(kind: str, prompts: int, group: int, steps: int) -> tuple[float, float]:
    """(samples a second, peak memory in MiB) of one kind, in a process of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    step = ours(prompts, group) if kind == "ours" else GroupByGroup(prompts, group).step
    step(0)
    start = time.perf_counter()
    made = sum(step(number) for number in range(1, steps + 1))
    seconds = time.perf_counter() - start
    return made / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("prompts", 4), ("group", 8), ("steps", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    found = {}
    for kind in ("group by group", "ours"):
        with get_context("spawn").Pool(1) as pool:
            found[kind] = pool.apply(measure, (kind, asked.prompts, asked.group, asked.steps))
    print("| loop | samples a second | peak memory, MiB |\n|---|---|---|")
    for kind, (rate, memory) in found.items():
        print(f"| {kind} | {rate:.2f} | {memory:.0f} |")
    print(f"\nratio: {found['ours'][0] / found['group by group'][0]:.1f}")


if __name__ == "__main__":
    main()
