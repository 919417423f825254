"""Sampling chains and pictures from an Emu3.

    chain   as a Janus's: until each has written `<|image start|>` or the cap is hit; of the text's tokens alone
    image   a fresh prefill of text and header, with guidance beside an unconditional row; of the image tokens alone,
            with the end of a row fed where transformers' `prefix_allowed_tokens_fn` for this model forces it

A token is sampled among those that may stand there and its log-probability is of that distribution; what can be no
other is not sampled and has none.

Shape suffixes: B samples, C channels, H W pixels, T image tokens, D width of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.heads import Head, float32_head
from gotr1_eval.models.autoregressive.sampling import RowEnd, decode_in_batches, draw_chains, draw_images
from gotr1_eval.models.autoregressive.stages import Stages
from gotr1_eval.models.emu3.loading import Pixels
from gotr1_eval.models.emu3.sequence import Codes, Layout
from gotr1_eval.models.sampled_sequences import SampledChain, SampledImages


def text_head(model: Any, codes: Codes) -> Head:  # noqa: ANN401 - transformers is untyped
    """Logits of the text's tokens."""
    return float32_head(model.lm_head, slice(codes.first))


def image_head(model: Any, codes: Codes) -> Head:  # noqa: ANN401
    """Logits of the image tokens, by code."""
    return float32_head(model.lm_head, slice(codes.first, codes.first + codes.count))


@torch.inference_mode()
def sample_chains(
    model: Any,  # noqa: ANN401
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    layout: Layout,
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
    head, end = text_head(model, layout.codes), layout.special.image_start
    stages = stages or Stages(model.model.text_model)
    return draw_chains(stages, head, prompts, seeds, end, cap=cap, choice=choice, rows=rows)


@torch.inference_mode()
def sample_images(
    model: Any,  # noqa: ANN401
    texts: Sequence[Sequence[int]],
    unconditional: Sequence[Sequence[int]],
    seeds: Sequence[int],
    layout: Layout,
    *,
    guidance: float,
    choice: Choice,
    stages: Stages | None = None,
) -> SampledImages:
    """The codes of a picture for each text, all together.

    Args:
        texts: each ends with `<|image start|>`.
        unconditional: as many; read with a guidance above 1 alone.
        stages: see `sample_chains`.

    Raises:
        BackendError: a logit is not finite.
    """
    both = [*texts, *unconditional] if guidance > 1 else texts
    embed = model.get_input_embeddings()
    end = embed(torch.tensor(layout.special.end_of_row, device=model.device))
    return draw_images(
        stages or Stages(model.model.text_model),
        image_head(model, layout.codes),
        lambda chosen_B: embed(layout.codes.first + chosen_B),
        [[*text, *layout.header] for text in both],
        seeds,
        layout.tokens,
        guidance=guidance,
        choice=choice,
        row_end=RowEnd(layout.columns, end),
    )


@torch.inference_mode()
def decode_images(model: Any, ids_BT: Tensor, layout: Layout, pixels: Pixels, batch_size: int = 16) -> Tensor:  # noqa: ANN401
    """Codes to pixels, uint8 [B, H, W, 3] on the CPU.

    Raises:
        BackendError: what is decoded is no code, or a pixel is not finite.
    """
    layout.codes.check(ids_BT)
    mean_C, std_C = (torch.tensor(values, device=ids_BT.device) for values in (pixels.mean, pixels.std))

    def decode(codes_BT: Tensor) -> Tensor:
        decoded_BCHW = model.model.vqmodel.decode(codes_BT.view(-1, layout.rows, layout.columns))
        shown_BHWC: Tensor = decoded_BCHW.float().permute(0, 2, 3, 1) * std_C + mean_C
        return 2 * shown_BHWC - 1

    return decode_in_batches(decode, ids_BT, batch_size, model.dtype)
