"""Supervised training of chain and picture in one sequence (GoT-R1's first stage, paper section 4).

A lesson is `[bos] prompt | chain <begin_of_image> | image tokens`. The language head learns the chain, the image
head the image tokens; the prompt itself is not learned. Some rows lose prompt and chain, exactly as the sampler
builds the unconditional row of guidance, and teach the image head alone.

Shape suffixes: B rows, L text positions (left-padded), T image tokens, N chosen positions, V text vocabulary,
K codes, D width of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gotr1_eval.models.janus.sequence import Padded, left_pad, positions, unconditional
from training.schedule import cosine_schedule

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SftOptions:
    """How to train.

    Attributes:
        prompt_dropout: share of rows turned into the sampler's unconditional row.
        text_weight: weight of the chain's loss (mean over its tokens).
        image_weight: weight of the picture's loss (mean over its tokens).
    """

    steps: int
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    prompt_dropout: float = 0.1
    text_weight: float = 1.0
    image_weight: float = 1.0
    bfloat16: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """One training sequence as ids; the chain ends with `<begin_of_image>`, the image holds T codes."""

    prompt: tuple[int, ...]
    chain: tuple[int, ...]
    image: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons side by side.

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
    """Mean cross-entropies in nats a token: over the chain's tokens, and over the image's."""

    text: Tensor
    image: Tensor


def collate(lessons: Sequence[Lesson], dropped_B: Tensor, pad: int) -> Batch:
    """Pad lessons to one batch and strip the rows in `dropped_B` (bool) of prompt and chain."""
    full = left_pad([lesson.prompt + lesson.chain for lesson in lessons], pad)
    ids_BL = torch.where(dropped_B[:, None], unconditional(full, pad), full.ids_BL)
    lengths_B = torch.tensor([len(lesson.chain) for lesson in lessons])
    from_right_L = torch.arange(full.ids_BL.shape[1], 0, -1)
    chain_BL = (from_right_L[None, :] <= lengths_B[:, None]) & ~dropped_B[:, None]
    return Batch(Padded(ids_BL, full.mask_BL), chain_BL, torch.tensor([lesson.image for lesson in lessons]))


def hidden_states(model: Any, text: Padded, image_BT: Tensor) -> Tensor:  # noqa: ANN401
    """The language model's last states over text and all image tokens but the last, [B, L + T - 1, D]."""
    text_BLD = model.get_input_embeddings()(text.ids_BL)
    image_BTD = model.prepare_embeddings_for_image_generation(image_BT[:, :-1])
    mask = torch.cat([text.mask_BL, torch.ones_like(image_BT[:, :-1])], dim=1)
    out = model.model.language_model(
        inputs_embeds=torch.cat([text_BLD, image_BTD], dim=1),
        attention_mask=mask,
        position_ids=positions(mask),
        use_cache=False,
    )
    states: Tensor = out.last_hidden_state
    return states


def token_loss(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Mean cross-entropy in nats; 0 for no tokens at all (a batch of dropped rows has no chain)."""
    return functional.cross_entropy(logits_NV.float(), targets_N, reduction="sum") / max(len(targets_N), 1)


def batch_losses(model: Any, batch: Batch) -> Losses:  # noqa: ANN401
    """Both losses of a batch. Each state predicts the token after it; the last text state the first code."""
    states_BSD = hidden_states(model, batch.text, batch.image_BT)
    length = batch.text.ids_BL.shape[1]
    targeted = batch.chain_BL[:, 1:]
    text_logits_NV = model.lm_head(states_BSD[:, : length - 1][targeted])
    image_logits_BTK = model.model.generation_head(states_BSD[:, length - 1 :])
    return Losses(
        token_loss(text_logits_NV, batch.text.ids_BL[:, 1:][targeted]),
        token_loss(image_logits_BTK.flatten(0, 1), batch.image_BT.flatten()),
    )


def lesson_order(lengths: Sequence[int], batch_size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Endless batches of lesson indices, each epoch anew; lessons of a batch are of like length, to pad little."""
    pool = 16 * batch_size
    while True:
        shuffled = torch.randperm(len(lengths), generator=generator).tolist()
        for start in range(0, len(shuffled), pool):
            near = sorted(shuffled[start : start + pool], key=lambda index: lengths[index])
            batches = [near[at : at + batch_size] for at in range(0, len(near), batch_size)]
            for at in torch.randperm(len(batches), generator=generator).tolist():
                yield batches[at]


def train_sft(
    model: Any,  # noqa: ANN401
    lessons: Sequence[Lesson],
    pad: int,
    options: SftOptions,
    progress: Progress = lambda line: None,
) -> list[tuple[float, float]]:
    """Train whatever parameters require gradients, in place; returns (text, image) loss of every step.

    The same model, lessons, options and number of threads give the same weights.
    """
    generator = torch.Generator().manual_seed(options.seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=options.weight_decay
    )
    scheduler = cosine_schedule(optimizer, options.steps, options.warmup_steps)
    order = lesson_order([len(lesson.prompt) + len(lesson.chain) for lesson in lessons], options.batch_size, generator)
    history = []
    for step, chosen in zip(range(options.steps), order, strict=False):
        dropped_B = torch.rand(len(chosen), generator=generator) < options.prompt_dropout
        batch = collate([lessons[index] for index in chosen], dropped_B, pad)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            losses = batch_losses(model, batch)
        optimizer.zero_grad()
        torch.autograd.backward(options.text_weight * losses.text + options.image_weight * losses.image)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        scheduler.step()
        history.append((losses.text.item(), losses.image.item()))
        if step % 50 == 0:
            progress(f"sft step {step}: chain {history[-1][0]:.3f}, image {history[-1][1]:.3f} nats a token")
    return history
