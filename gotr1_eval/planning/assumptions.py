"""Every constant of a plan, each with where it comes from; all of them can be set on the command line."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field, PositiveFloat, PositiveInt

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.settings import Settings


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a maker states: dense bfloat16 FLOPs a second, bytes of memory a second, bytes of memory."""

    flops: float
    bandwidth: float
    memory: float


GPUS = {
    "h200": Gpu(989e12, 4.8e12, 141e9),
    "h100": Gpu(989e12, 3.35e12, 80e9),
    "a100": Gpu(312e12, 2.04e12, 80e9),
    "l40s": Gpu(362e12, 0.864e12, 48e9),
}
"""NVIDIA's data sheets (SXM forms of the first three), without sparsity."""


class Assumptions(Settings):
    """What a plan takes for granted.

    Attributes:
        read_share: of the stated FLOPs that reading a prompt or a training pass reaches. Assumed: servers and trainers
            report 0.3 to 0.6 for models of this size.
        write_share: of the stated memory bandwidth that decoding reaches. Assumed, from the same reports.
        train_share: of the stated FLOPs that forward and backward passes reach, adapters included. Assumed.
        weight_bytes: of a weight and of a cached number: bfloat16.
        judge_batch: questions that a judge's copy of the model answers at a time.
        characters_per_token: of English text, to count our own prompt files.
        prompt_tokens: of an image prompt in its template.
        chain_tokens: of a chain; the paper's published chains hold 150 to 170 words and five boxes.
        objects: boxes of a plan; `reasoning_image` asks one question each. The two published chains hold five.
        score_tokens: of an answer with reasons and a score.
        box_tokens: of an answer with one box.
        image_side: of a generated picture, pixels.
        image_bytes: of a generated picture's file.
        row_bytes: of a judgment with its raw reply.
        tile: sequences that one GPU samples together.
        updates: passes over a rollout.
        backward: a backward pass in forward passes: 2 in full training, about 1 where only adapters learn (no gradient
            of the frozen weights), and one more forward pass with gradient checkpointing.
        reference: whether a KL term runs the first policy beside the new one.
        guided: whether an unconditional row stands beside every row.
    """

    read_share: PositiveFloat = Field(0.4, le=1)
    write_share: PositiveFloat = Field(0.6, le=1)
    train_share: PositiveFloat = Field(0.35, le=1)
    weight_bytes: PositiveFloat = 2
    judge_batch: PositiveInt = 64
    characters_per_token: PositiveFloat = 4
    prompt_tokens: PositiveInt = 40
    chain_tokens: PositiveInt = 300
    objects: PositiveInt = 5
    score_tokens: PositiveInt = 120
    box_tokens: PositiveInt = 40
    image_side: PositiveInt = 384
    image_bytes: PositiveFloat = 300e3
    row_bytes: PositiveFloat = 2e3
    tile: PositiveInt = 64
    updates: PositiveInt = 1
    backward: PositiveFloat = 2
    reference: bool = True
    guided: bool = True
    gpu_flops: PositiveFloat | None = None
    gpu_bandwidth: PositiveFloat | None = None
    gpu_memory: PositiveFloat | None = None

    def gpu(self, name: str) -> Gpu:
        """The GPU of that name with the numbers that were set over it.

        Raises:
            UsageError: an unknown name.
        """
        known = GPUS.get(name.lower())
        if known is None:
            raise UsageError(f"--gpu {name}: unknown{nearest_name(name.lower(), GPUS)} (known: {', '.join(GPUS)})")
        return Gpu(
            self.gpu_flops or known.flops, self.gpu_bandwidth or known.bandwidth, self.gpu_memory or known.memory
        )
