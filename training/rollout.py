"""A rollout: what the policy writes and generates for a step's prompts, and what the judges say of it.

Shape suffixes: B sequences (prompt by prompt, the samples of a prompt side by side), L text positions, T image tokens,
P prompts, G samples of a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gotr1_eval.core.identifiers import sample_seed
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import Generated
from gotr1_eval.core.types import Prompt, Sample
from gotr1_eval.models.local_model import in_batches, in_rows
from gotr1_eval.models.sampled_sequences import SampledChain, SampledImages
from training.policies import Actions, Policy
from training.reward_judging import Row


@dataclass(frozen=True, slots=True)
class Rollout:
    """What was sampled.

    Attributes:
        samples: prompt, chain and picture, as the judges take them.
        actions: the same as ids, on the model's device.
        truncated: of each sample, whether its chain hit the cap.
        tokens: of each sample, those of its chain that were sampled; where samples share a chain, in each of them.
    """

    samples: list[Sample]
    actions: Actions
    truncated: list[bool]
    tokens: list[int]

    @classmethod
    def join(cls, parts: Sequence[Rollout], pad: int) -> Rollout:
        """Several, one behind the other."""
        return cls(
            [sample for part in parts for sample in part.samples],
            Actions.join([part.actions for part in parts], pad),
            [cut for part in parts for cut in part.truncated],
            [count for part in parts for count in part.tokens],
        )

    def packed(self, group: int) -> list[dict[str, Any]]:
        """Each group as a file holds it: tensors on the CPU, texts and numbers; its prompt is known by its step."""
        found = []
        for start in range(0, len(self.samples), group):
            part, samples = slice(start, start + group), self.samples[start : start + group]
            rows = torch.arange(start, start + group, device=self.actions.image_BT.device)
            pictures = [torch.from_numpy(np.array(sample.image)) for sample in samples]
            found.append({
                "chains": [sample.chain for sample in samples], "seeds": [sample.seed for sample in samples],
                "pictures": torch.stack(pictures), "actions": self.actions.select(rows).packed(),
                "truncated": self.truncated[part], "tokens": self.tokens[part],
            })  # fmt: skip
        return found

    @classmethod
    def unpacked(
        cls, groups: Sequence[Mapping[str, Any]], prompts: Sequence[Prompt], pad: int, device: torch.device, first: int
    ) -> Rollout:
        """The same from a file.

        Args:
            prompts: of the groups.
            first: number of the first sample, which names it.
        """
        parts = [
            [
                Sample(
                    id="", prompt=prompt.text, chain=chain, seed=seed, meta=prompt.facts, image=Image.fromarray(each)
                )
                for chain, seed, each in zip(group["chains"], group["seeds"], group["pictures"].numpy(), strict=True)
            ]
            for group, prompt in zip(groups, prompts, strict=True)
        ]
        rollouts = [
            cls(samples, Actions.unpacked(group["actions"], device), group["truncated"], group["tokens"])
            for samples, group in zip(parts, groups, strict=True)
        ]
        whole = cls.join(rollouts, pad)
        return replace(whole, samples=[replace(each, id=str(at)) for at, each in enumerate(whole.samples, first)])


@dataclass(frozen=True, slots=True)
class JudgedRollout:
    """A process's samples of a step, group by group, and the outcomes of the reward's and the watched judges."""

    rollout: Rollout
    rows: list[Row]
    watched: list[Row]

    def with_more(self, more: JudgedRollout, pad: int) -> JudgedRollout:
        """These groups and then those."""
        rollout = Rollout.join([self.rollout, more.rollout], pad)
        return JudgedRollout(rollout, self.rows + more.rows, self.watched + more.watched)


@torch.no_grad()
def generate(
    policy: Policy,
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    *,
    chain_cap: int,
    tile: int,
    per_chain: int = 1,
    first: int = 0,
    written: Callable[[list[Sample]], None] = lambda samples: None,
    made: Callable[[list[Sample]], None] = lambda samples: None,
    clock: Callable[[str], AbstractContextManager[None]] = lambda name: nullcontext(),
) -> Rollout:
    """One sample for each prompt and seed: all chains, then the pictures, `tile` of them at a time.

    Fewer at a time from where memory does not suffice.

    Args:
        tile: at least `per_chain`; only whole chains are taken.
        per_chain: samples side by side that share a chain, whose prompts are equal. Its seed is the first one's, and in
            the first one its tokens are actions: so they count once.
        first: number of the first sample, which names it.
        written: is handed the first sample of every chain as soon as all are there, before the pictures.
        made: is handed the samples of a tile as soon as their pictures are there, before the next tile.
        clock: around the parts of the work, which it is told the names of: chain, image, decode.
    """
    rows, tile = policy.encode([prompt.text for prompt in prompts]), tile - tile % per_chain
    with policy.same_weights():
        with clock("chain"):
            chains = _chains(policy, rows[::per_chain], seeds[::per_chain], chain_cap, tile)
        chains = [chain for chain in chains for _ in range(per_chain)]
        begun = _samples(policy, prompts, chains, seeds, first)
        written(begun[::per_chain])
        texts = [[*row, *chain.ids] for row, chain in zip(rows, chains, strict=True)]
        images = _Pictures(policy, clock)
        for start in range(0, len(rows), tile):
            part = slice(start, start + tile)
            made(images.add(begun[part], texts[part]))
    once = [replace(chain, log_probs=()) if at % per_chain else chain for at, chain in enumerate(chains)]
    actions = Actions.of(rows, once, torch.cat(images.ids), torch.cat(images.log_probs), policy.pad)
    return Rollout(
        images.samples,
        actions,
        [chain.truncated for chain in chains],
        [len(chain.log_probs) for chain in chains],
    )


def _chains(
    policy: Policy, prompts: Sequence[Sequence[int]], seeds: Sequence[int], cap: int, rows: int
) -> list[SampledChain]:
    """A chain a prompt; a row whose chain has ended begins the next one."""
    return in_rows(
        min(rows, len(prompts)), lambda size: policy.sample_chains(prompts, seeds, cap, size), "the policy's chains"
    )


class _Pictures:
    """The pictures of a rollout, tile after tile.

    Attributes:
        samples: those that are complete.
        ids, log_probs: of their image tokens, [B, T] each.
    """

    def __init__(self, policy: Policy, clock: Callable[[str], AbstractContextManager[None]]) -> None:
        self._policy, self._clock = policy, clock
        self.samples: list[Sample] = []
        self.ids: list[Tensor] = []
        self.log_probs: list[Tensor] = []

    def add(self, samples: Sequence[Sample], texts: Sequence[Sequence[int]]) -> list[Sample]:
        """A tile's samples with their pictures, which come after prompt and chain."""
        pairs = [(text, sample.seed) for text, sample in zip(texts, samples, strict=True)]
        with self._clock("image"):
            generated = in_batches(pairs, len(pairs), partial(_images, self._policy), "the policy's pictures")
        self.ids += [each.ids_BT for each in generated]
        self.log_probs += [each.log_probs_BT for each in generated]
        with self._clock("decode"):
            decoded = self._policy.decode(torch.cat([each.ids_BT for each in generated])).numpy()
        complete = [
            replace(sample, image=Image.fromarray(picture)) for sample, picture in zip(samples, decoded, strict=True)
        ]
        self.samples += complete
        return complete


def _images(policy: Policy, pairs: Sequence[tuple[Sequence[int], int]]) -> SampledImages:
    return policy.sample_images([text for text, _ in pairs], [seed for _, seed in pairs])


def _samples(
    policy: Policy,
    prompts: Sequence[Prompt],
    chains: Sequence[SampledChain],
    seeds: Sequence[int],
    start: int,
) -> list[Sample]:
    """Prompts and chains as the judges take them, still without pictures; numbered from `start`."""
    rows = enumerate(zip(prompts, chains, seeds, strict=True), start=start)
    return [
        Sample(id=str(at), prompt=prompt.text, chain=policy.chain_text(chain), seed=seed, meta=prompt.facts)
        for at, (prompt, chain, seed) in rows
    ]


def group_seeds(run_seed: int, step: int, prompt_indices: Sequence[int], group: int) -> list[int]:
    """A seed for every member of every group; depends on the step and the prompt, not on who samples it."""
    return [
        sample_seed(run_seed, f"step {step}, prompt {prompt}, member {member}")
        for prompt in prompt_indices
        for member in range(group)
    ]


def rewards_of(outcomes: Sequence[Outcome], group: int) -> tuple[Tensor, Tensor]:
    """(rewards, scored), float32 and bool [P, G]; an unscored sample has no reward at all."""
    values = torch.tensor([outcome.value if isinstance(outcome, Score) else 0.0 for outcome in outcomes])
    scored = torch.tensor([isinstance(outcome, Score) for outcome in outcomes])
    return values.view(-1, group), scored.view(-1, group)


class PolicyGenerator:
    """The policy as it is now, as an ordinary generator: what a benchmark needs to measure it.

    Attributes:
        name, fingerprint: state the step, since the weights change under the same settings.
    """

    def __init__(self, policy: Policy, chain_cap: int, name: str) -> None:
        self._policy, self._cap = policy, chain_cap
        self.name = self.fingerprint = name

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """See `gotr1_eval.core.protocols.Generator`."""
        asked = [Prompt(prompt) for prompt in prompts]
        generated = generate(self._policy, asked, seeds, chain_cap=self._cap, tile=len(prompts))
        return [
            Generated(image=sample.image, chain=sample.chain, truncated=truncated)
            for sample, truncated in zip(generated.samples, generated.truncated, strict=True)
            if isinstance(sample.image, Image.Image) and sample.chain is not None
        ]


class Evaluation(Protocol):
    """Measures a policy on held-out prompts, which the processes share."""

    def judge(self, policy: PolicyGenerator, step: int, tile: int, place: int, count: int) -> None:
        """Generate and judge the share of process `place` of `count`, with the policy as it is after `step` steps.

        Args:
            tile: samples made and judged together.
        """
        ...

    def measure(self, step: int, count: int) -> dict[str, float]:
        """What comes of the shares of all; called on one process, once all have judged."""
        ...
