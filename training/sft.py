"""Supervised training of chain and picture in one sequence (GoT-R1's first stage, paper section 4).

An example is `[bos] prompt | chain <begin_of_image> | image tokens`. The language head learns the chain, the image
head the image tokens; the prompt itself is not learned. Some rows lose prompt and chain, exactly as the sampler
builds the unconditional row of guidance, and teach the image head alone.

Shape suffixes: B rows, L text positions (left-padded), T image tokens, N chosen positions, V text vocabulary,
K codes, D width of the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from gotr1_eval.core.errors import RunError
from gotr1_eval.models.sampled_sequences import Padded, left_pad, unconditional
from training.policies import Policy
from training.prefetch import one_ahead
from training.schedule import cosine_factor
from training.settings import SftSettings
from training.sft_examples import ExampleShards, SftExample
from training.sharding import norm_value


@dataclass(frozen=True, slots=True, kw_only=True)
class SftOptions:
    """How to train.

    Attributes:
        micro_batch: rows of one forward pass; None takes the batch at once.
        prompt_dropout: share of rows turned into the sampler's unconditional row.
        text_weight: weight of the chain's loss (mean over its tokens).
        image_weight: weight of the picture's loss (mean over its tokens).
    """

    steps: int
    batch_size: int = 32
    micro_batch: int | None = None
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    prompt_dropout: float = 0.1
    text_weight: float = 1.0
    image_weight: float = 1.0
    bfloat16: bool = False
    seed: int = 0

    @classmethod
    def of(cls, settings: SftSettings) -> SftOptions:
        """As a run's settings ask for."""
        same = {each.name: getattr(settings, each.name) for each in fields(cls) if each.name != "bfloat16"}
        return cls(**same, bfloat16=settings.autocast)


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side.

    Attributes:
        text: prompt and chain; the unconditional form in dropped rows.
        chain_BL: bool, where a token of the chain stands; False all along in dropped rows.
        image_BT: int64 codes.
    """

    text: Padded
    chain_BL: Tensor
    image_BT: Tensor


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean cross-entropies in nats a token: over the chain's tokens, and over the image's.

    Attributes:
        grad_norm: of a step's gradient, before it was clipped; 0 of a batch that nothing was learned from yet.
    """

    text: Tensor
    image: Tensor
    grad_norm: float = 0.0


AfterStep = Callable[[int, Losses], bool]


class SftModel(nn.Module):
    """A policy whose forward pass ends in the losses of a batch: one module, which may be sharded as a whole.

    Args:
        policy: on its device, with gradients where it is to learn.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, batch: Batch, text_tokens: int, image_tokens: int) -> tuple[Tensor, Tensor]:
        """Both losses; see `batch_losses`."""
        losses = batch_losses(self.policy, batch, text_tokens, image_tokens)
        return losses.text, losses.image


def collate(examples: Sequence[SftExample], dropped_B: Tensor, pad: int) -> Batch:
    """Pad examples to one batch and strip the rows in `dropped_B` (bool) of prompt and chain."""
    full = left_pad([example.prompt + example.chain for example in examples], pad)
    ids_BL = torch.where(dropped_B[:, None], unconditional(full, pad), full.ids_BL)
    lengths_B = torch.tensor([len(example.chain) for example in examples])
    from_right_L = torch.arange(full.ids_BL.shape[1], 0, -1)
    chain_BL = (from_right_L[None, :] <= lengths_B[:, None]) & ~dropped_B[:, None]
    return Batch(Padded(ids_BL, full.mask_BL), chain_BL, torch.tensor([example.image for example in examples]))


def token_loss(head: Callable[[Tensor], Tensor], states_ND: Tensor, targets_N: Tensor, chunk: int = 2048) -> Tensor:
    """Summed cross-entropy in nats.

    Args:
        head: from states to float32 logits.
        chunk: positions whose logits are held at once, and made again in the backward pass; 102,400 words times a
            batch would not fit.
    """

    def summed(states_nD: Tensor, targets_n: Tensor) -> Tensor:
        return functional.cross_entropy(head(states_nD), targets_n, reduction="sum")

    pieces = zip(torch.split(states_ND, chunk), torch.split(targets_N, chunk), strict=True)
    return torch.stack([checkpoint(summed, *piece, use_reentrant=False) for piece in pieces]).sum()


def batch_losses(policy: Policy, batch: Batch, text_tokens: int, image_tokens: int) -> Losses:
    """Both losses of a batch. Each state predicts the token after it; the last text state the first code.

    Args:
        text_tokens, image_tokens: what the sums are divided by: tokens of the whole step, of which this batch may be
            a part. A step of dropped rows alone has no chain, and no loss of one.
    """
    states_BSD = policy.hidden_states(batch.text, batch.image_BT)
    length = batch.text.ids_BL.shape[1]
    targeted = batch.chain_BL[:, 1:]
    text_ND, image_ND = states_BSD[:, : length - 1][targeted], states_BSD[:, length - 1 :].flatten(0, 1)
    text = token_loss(policy.text_head(), text_ND, batch.text.ids_BL[:, 1:][targeted])
    image = token_loss(policy.image_head(), image_ND, batch.image_BT.flatten())
    return Losses(text / max(text_tokens, 1), image / max(image_tokens, 1))


def example_order(
    lengths: Sequence[int] | NDArray[np.int32], batch_size: int, generator: torch.Generator
) -> Iterator[list[int]]:
    """Endless batches of example indices, each epoch anew; examples of a batch are of like length, to pad little."""
    pool = 16 * batch_size
    while True:
        # Stays a tensor: of millions of examples a list would take a hundred times what a pool takes.
        shuffled_N = torch.randperm(len(lengths), generator=generator)
        for start in range(0, len(shuffled_N), pool):
            near = sorted(shuffled_N[start : start + pool].tolist(), key=lambda index: lengths[index])
            batches = [near[at : at + batch_size] for at in range(0, len(near), batch_size)]
            for at in torch.randperm(len(batches), generator=generator).tolist():
                yield batches[at]


def steps_from(start: int, examples: Sequence[SftExample], pad: int, options: SftOptions) -> Iterator[list[Batch]]:
    """The micro-batches of step `start`, `start` + 1, ...; a step's are the same wherever a run begins."""
    lengths = (
        examples.lengths
        if isinstance(examples, ExampleShards)
        else [len(example.prompt) + len(example.chain) for example in examples]
    )
    order = example_order(lengths, options.batch_size, torch.Generator().manual_seed(options.seed))
    for step, chosen in zip(range(options.steps), order, strict=False):
        if step < start:
            continue
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        dropped_B = torch.rand(len(chosen), generator=generator) < options.prompt_dropout
        size = options.micro_batch or len(chosen)
        yield [
            collate([examples[index] for index in chosen[at : at + size]], dropped_B[at : at + size], pad)
            for at in range(0, len(chosen), size)
        ]


def learn(
    model: SftModel,
    parts: Sequence[Batch],
    optimizer: torch.optim.Optimizer,
    options: SftOptions,
    share: slice = slice(None),
) -> Losses:
    """One step of the optimizer from the micro-batches of a step; returns its losses.

    Args:
        model: whole, or with a shard of its weights on each process.
        parts: of the whole step, whoever learns from them: the losses are divided by its tokens.
        share: those that are this process's; the gradients of all processes are added.

    Raises:
        RunError: the gradient is not finite; the step is not made.
    """
    text_tokens = sum(int(part.chain_BL.sum()) for part in parts)
    image_tokens = sum(part.image_BT.numel() for part in parts)
    device = model.policy.model.device
    optimizer.zero_grad()
    sharded, summed_2 = isinstance(model, FSDPModule), torch.zeros(2)
    for part, weight in _passes(parts, share, sharded=sharded):
        batch = Batch(part.text.to(device), part.chain_BL.to(device), part.image_BT.to(device))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.bfloat16):
            text, image = model(batch, text_tokens, image_tokens)
        torch.autograd.backward(weight * (options.text_weight * text + options.image_weight * image))
        if weight:
            summed_2 += torch.stack([text, image]).detach().cpu()
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        summed_2 = add_over_processes([] if sharded else trained, summed_2.to(device))
    text, image = summed_2.unbind()
    norm = norm_value(torch.nn.utils.clip_grad_norm_(trained, 1.0))
    if not math.isfinite(norm):
        raise RunError(
            f"the gradient is {norm} (losses {text.item():.4g} of the chains, {image.item():.4g} of the pictures), and "
            "was not followed: go on from the last checkpoint with a lower learning_rate"
        )
    optimizer.step()
    return Losses(text, image, norm)


def _passes(parts: Sequence[Batch], share: slice, *, sharded: bool) -> list[tuple[Batch, float]]:
    """This process's micro-batches, and what their losses are multiplied by.

    With shards every process makes as many passes as the others, the last one perhaps for nothing, and gradients are
    averaged over the processes, where their sum is meant.
    """
    mine = list(parts[share])
    if not sharded:
        return [(part, 1.0) for part in mine]
    processes = share.step or 1
    idle = -(-len(parts) // processes) - len(mine)
    return [(part, float(processes)) for part in mine] + [(parts[0], 0.0)] * idle


def add_over_processes(trained: Sequence[torch.nn.Parameter], losses_2: Tensor) -> Tensor:
    """Sum the gradients of all processes into every one, those of a process that had nothing to learn as zeros.

    Args:
        trained: whole on each process; none where they are sharded, whose gradients have been added already.
        losses_2: this process's share of both losses, on its device; their sums come back.
    """
    waiting = []
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        waiting.append(torch.distributed.all_reduce(parameter.grad, async_op=True))
    waiting.append(torch.distributed.all_reduce(losses_2, async_op=True))
    for handle in waiting:
        handle.wait()
    return losses_2.cpu()


def adamw(parameters: Iterable[torch.nn.Parameter], options: SftOptions) -> torch.optim.AdamW:
    """The optimizer of this stage."""
    rate, decay = options.learning_rate, options.weight_decay
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.95), weight_decay=decay)


def train_sft(
    policy: Policy,
    examples: Sequence[SftExample],
    options: SftOptions,
    *,
    start: int = 0,
    share: slice = slice(None),
    optimizer: torch.optim.Optimizer | None = None,
    model: SftModel | None = None,
    after_step: AfterStep = lambda step, losses: True,
) -> list[tuple[float, float]]:
    """Train whatever parameters require gradients, in place; returns (text, image) loss of every step.

    The same policy, examples, options and number of threads give the same weights, also when a run is cut in two.

    Args:
        start: steps that are done already, with `optimizer` as they left it.
        share: of a step's micro-batches that are this process's.
        model: of the policy, where it is sharded.
        after_step: told the number of steps done and the losses; answers whether to go on.
    """
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    optimizer, model = optimizer or adamw(trained, options), model or SftModel(policy)
    history = []
    for step, parts in enumerate(one_ahead(steps_from(start, examples, policy.pad, options)), start=start):
        rate = options.learning_rate * cosine_factor(step, options.steps, options.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = learn(model, parts, optimizer, options, share)
        history.append((losses.text.item(), losses.image.item()))
        if not after_step(step + 1, losses):
            break
    return history
