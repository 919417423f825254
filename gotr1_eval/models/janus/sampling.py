"""Sampling chains and pictures from a Janus, as GoT-R1's released script does (paper section 1).

    chain   many prompts at once, temperature only, until each has written `<begin_of_image>` or the cap is hit; the
            end-of-sentence token stops nothing
    image   a fresh prefill of prompt and chain, with guidance beside an unconditional row, and exactly as many steps
            as the picture has tokens

Differences from the script are those of `gotr1_eval.models.autoregressive.sampling`.

Shape suffixes: B samples, H W pixels, T image tokens, D width of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.heads import float32_head
from gotr1_eval.models.autoregressive.sampling import decode_in_batches, draw_chains, draw_images
from gotr1_eval.models.autoregressive.stages import Stages
from gotr1_eval.models.janus.sequence import SpecialIds
from gotr1_eval.models.sampled_sequences import SampledChain, SampledImages, unconditional_row


@torch.inference_mode()
def sample_chains(
    model: Any,  # noqa: ANN401 - transformers is untyped
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    special: SpecialIds,
    *,
    cap: int,
    choice: Choice,
    rows: int | None = None,
    stages: Stages | None = None,
) -> list[SampledChain]:
    """One chain a prompt (ids with bos), so many rows at a time; raises BackendError where a logit is not finite.

    Args:
        stages: what the calls share while the weights stay what they are; nothing by default.
    """
    head, end = float32_head(model.lm_head), special.begin_of_image
    stages = stages or Stages(model.model.language_model)
    return draw_chains(stages, head, prompts, seeds, end, cap=cap, choice=choice, rows=rows)


@torch.inference_mode()
def sample_images(
    model: Any,  # noqa: ANN401
    texts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    special: SpecialIds,
    *,
    guidance: float,
    choice: Choice,
    stages: Stages | None = None,
) -> SampledImages:
    """The image tokens for each text (prompt and chain, ending with `<begin_of_image>`), all together.

    With guidance of 1 or less there are no unconditional rows at all.

    Args:
        stages: see `sample_chains`.

    Raises:
        BackendError: a logit is not finite.
    """
    rows = list(texts)
    if guidance > 1:
        rows += [unconditional_row(text, special.pad) for text in texts]

    def embed_image(chosen_B: Tensor) -> Tensor:
        embedded_B1D: Tensor = model.prepare_embeddings_for_image_generation(chosen_B[:, None])
        return embedded_B1D[:, 0]

    head, steps = float32_head(model.model.generation_head), model.config.vision_config.num_image_tokens
    stages = stages or Stages(model.model.language_model)
    return draw_images(stages, head, embed_image, rows, seeds, steps, guidance=guidance, choice=choice)


@torch.inference_mode()
def decode_images(model: Any, ids_BT: Tensor, batch_size: int = 16) -> Tensor:  # noqa: ANN401
    """Image tokens to pixels, uint8 [B, H, W, 3] on the CPU; raises BackendError where a pixel is not finite."""
    return decode_in_batches(model.decode_image_tokens, ids_BT, batch_size, model.dtype)
