"""One GRPO step against a loop that works as T2I-R1's trainer does; prints a Markdown table.

    python -m tests.perf.training [--model tiny-janus|random] [--prompts 4] [--group 8] [--cap 120]

The loop takes one prompt's group after the other, samples with a growing cache, asks the judges for one sample at a
time, and scores chain and picture in two passes, each with its head over all positions and all logits held at once.
Both train the same model in full on the same prompts, each in a process of its own; the first step does not count.

--model  tiny-janus: the shipped one, whose time goes into sums; random: two layers of width 32, whose time goes into
         calls. The judges take no time with either.
"""

from __future__ import annotations

import argparse
import resource
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache

from gotr1_eval.build import Builder
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample
from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.janus.loading import Checkpoint, load_checkpoint
from gotr1_eval.models.janus.sequence import encode_prompt
from rewards.reward_set import RewardSet
from tests.grpo_runs import ChecksumJudge
from tests.tiny_models import loaded_random
from training.advantage import group_advantages
from training.grpo import GrpoTrainer
from training.policies.janus import JanusPolicy
from training.prompt_sets import PromptMix
from training.rollout import rewards_of
from training.settings import GrpoSettings, PromptSource

GUIDANCE = 2.0


@dataclass(frozen=True, slots=True)
class Work:
    """What both loops have to do."""

    model: str
    prompts: int
    group: int
    cap: int
    micro_batch: int

    def checkpoint(self) -> Checkpoint:
        """The policy as it begins."""
        if self.model == "tiny-janus":
            return load_checkpoint(checkpoint_folder(self.model), device=torch.device("cpu"), dtype=torch.float32)
        return loaded_random()

    def rewards(self) -> RewardSet:
        """The judges of shapes; a random model's chains have no plan for them to read."""
        if self.model == "tiny-janus":
            return Builder().reward_set("shapes")
        return RewardSet({"checksum": PictureChecksum()})


class PictureChecksum(ChecksumJudge):
    """A reward that looks random and scores every sample, so that both loops learn from as many."""

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        pictures = [sample.image for sample in samples if isinstance(sample.image, Image.Image)]
        return [Score(value=zlib.crc32(picture.tobytes()) % 1000 / 1000) for picture in pictures]


def ours(work: Work, folder: Path) -> Callable[[int], object]:
    """A step of this project's trainer."""
    settings = GrpoSettings.model_validate({
        "ckpt": work.model, "rewards": "shapes", "prompts": [{"shapes": []}], "prompts_per_step": work.prompts,
        "samples_per_prompt": work.group, "micro_batch": work.micro_batch, "lora": "none", "beta": 0.0,
        "evaluation": "none", "min_spread": 0.0, "image_logprob": "conditional",
        "sampling": {"guidance": GUIDANCE, "chain_cap": work.cap}, "device": "cpu",
    })  # fmt: skip
    mix = PromptMix(settings.prompts, settings.seed, Builder().suite)
    trainer = GrpoTrainer(
        settings, folder, JanusPolicy(work.checkpoint(), settings.policy_sampling), work.rewards(), mix
    )

    def step(number: int) -> None:
        assert trainer.step(number)["groups/too_few"] == 0, "groups were dropped, and nothing learned from them"

    return step


class GroupByGroup:
    """The other loop."""

    def __init__(self, work: Work) -> None:
        loaded = work.checkpoint()
        self.model, self.tokenizer, self.special = loaded.model, loaded.tokenizer, loaded.special
        for part in ("vqmodel", "vision_model", "aligner"):
            getattr(self.model.model, part).requires_grad_(False)
        learned = [each for each in self.model.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(learned, lr=1e-5)
        self.rewards, self.work = work.rewards(), work
        self.source = PromptMix([PromptSource(shapes=())], 0, Builder().suite)

    def step(self, number: int) -> None:
        """One prompt after the other; one optimizer step at the end."""
        self.optimizer.zero_grad()
        for prompt in self.source.step(number, self.work.prompts):
            chains, images = self._sample(prompt.text)
            self._learn(prompt.text, chains, images)
        self.optimizer.step()

    @torch.no_grad()
    def _sample(self, prompt: str) -> tuple[Tensor, Tensor]:
        ids_BL = torch.tensor([encode_prompt(self.tokenizer, prompt, self.special)] * self.work.group)
        embed, language = self.model.get_input_embeddings(), self.model.model.language_model
        cache, fed, written = DynamicCache(), embed(ids_BL), []
        for _ in range(self.work.cap):
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
        rewards_1G, scored_1G = rewards_of([row[self.rewards.headline] for row in outcomes], self.work.group)
        assert scored_1G.sum() > 1, "a group would have been dropped"
        found = group_advantages(rewards_1G, scored_1G, min_spread=0.0)
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


def measure(kind: str, work: Work, steps: int) -> tuple[float, float]:
    """(samples a second, peak memory in MiB) of one kind, in a process of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        step = ours(work, Path(folder)) if kind == "ours" else GroupByGroup(work).step
        step(0)
        start = time.perf_counter()
        for number in range(1, steps + 1):
            step(number)
        seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return steps * work.prompts * work.group / seconds, memory


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["tiny-janus", "random"], default="tiny-janus")
    for name, default in (("prompts", 4), ("group", 8), ("cap", 120), ("micro-batch", 8), ("steps", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    work = Work(asked.model, asked.prompts, asked.group, asked.cap, asked.micro_batch)
    found = {}
    for kind in ("group by group", "ours"):
        with get_context("spawn").Pool(1) as pool:
            found[kind] = pool.apply(measure, (kind, work, asked.steps))
    print("| loop | samples a second | peak memory, MiB |\n|---|---|---|")
    for kind, (rate, memory) in found.items():
        print(f"| {kind} | {rate:.2f} | {memory:.0f} |")
    print(f"\nratio: {found['ours'][0] / found['group by group'][0]:.1f}")


if __name__ == "__main__":
    main()
