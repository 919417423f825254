"""Sampling chains and pictures from a native Janus, as GoT-R1's released script does (paper section 1).

    chain   one left-padded batch, temperature only, until every row has written `<begin_of_image>` or the cap is hit;
            the end-of-sentence token stops nothing
    image   a fresh prefill of prompt and chain, with guidance beside an unconditional row, and exactly as many steps
            as the picture has tokens

Differences from the script: many prompts at once, noise by the sample's own seed (`noise`), logits in float32.

Shape suffixes: B samples, R rows (B, or 2B with guidance: all conditional rows, then all unconditional ones),
L text positions, T image tokens, V vocabulary or codebook, D width of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from gotr1_eval.models.janus.noise import Stage, gumbel, stream_keys
from gotr1_eval.models.janus.sequence import Padded, SpecialIds, left_pad, positions, unconditional


@dataclass(frozen=True, slots=True)
class SampledChain:
    """A chain as it was sampled.

    Attributes:
        ids: what follows the prompt; the last one is `<begin_of_image>`.
        log_probs: log-probability of each sampled id under softmax(logits / temperature); an appended
            `<begin_of_image>` was not sampled and has none.
        truncated: the cap was hit and `<begin_of_image>` appended.
    """

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class SampledImages:
    """Image tokens, int64 [B, T], and their log-probabilities under the guided distribution, float32 [B, T]."""

    ids_BT: Tensor
    log_probs_BT: Tensor


class _Decoder:
    """The language model, its cache and its mask: each `feed` goes on where the last one stopped."""

    def __init__(self, model: Any, text: Padded, steps: int) -> None:  # noqa: ANN401 - transformers is untyped
        self._language_model = model.model.language_model
        self._cache = DynamicCache(config=model.config.text_config)
        self._fed = 0
        device = text.mask_BL.device
        after = torch.ones(len(text.mask_BL), steps, dtype=torch.int64, device=device)
        self._mask_RS = torch.cat([text.mask_BL, after], dim=1)
        self._positions_RS = positions(self._mask_RS)

    def feed(self, embedded_RLD: Tensor) -> Tensor:
        """Embeddings of the next positions in, the state of the last of them out, [R, D]."""
        start, self._fed = self._fed, self._fed + embedded_RLD.shape[1]
        out = self._language_model(
            inputs_embeds=embedded_RLD,
            attention_mask=self._mask_RS[:, : self._fed],
            position_ids=self._positions_RS[:, start : self._fed],
            past_key_values=self._cache,
            use_cache=True,
        )
        states_RD: Tensor = out.last_hidden_state[:, -1]
        return states_RD


def guide(conditional_BV: Tensor, unconditional_BV: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance on logits: u + guidance * (c - u)."""
    return unconditional_BV + guidance * (conditional_BV - unconditional_BV)


def choose(logits_BV: Tensor, keys_B: Tensor, step: int, temperature: float) -> tuple[Tensor, Tensor]:
    """One token a row from the whole vocabulary, and its log-probability; int64 [B], float32 [B].

    Temperature 0 takes the likeliest token; the log-probability is then the one at temperature 1.
    """
    scaled_BV = logits_BV.float() / (temperature or 1.0)
    noisy_BV = scaled_BV + gumbel(keys_B, step, scaled_BV.shape[1]) if temperature else scaled_BV
    chosen_B = noisy_BV.argmax(dim=-1)
    log_probs_B = scaled_BV.log_softmax(dim=-1).gather(1, chosen_B[:, None])[:, 0]
    return chosen_B, log_probs_B


@torch.inference_mode()
def sample_chains(
    model: Any,  # noqa: ANN401
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    special: SpecialIds,
    *,
    cap: int,
    temperature: float,
) -> list[SampledChain]:
    """One chain a prompt (ids with bos), in one batch."""
    device = model.device
    text = left_pad(prompts, special.pad).to(device)
    decoder = _Decoder(model, text, cap)
    keys_B = stream_keys(seeds, Stage.CHAIN, device)
    embed = model.get_input_embeddings()
    ended_B = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    next_BL, ids, log_probs = text.ids_BL, [], []
    for step in range(cap):
        chosen_B, log_probs_B = choose(model.lm_head(decoder.feed(embed(next_BL))), keys_B, step, temperature)
        ids.append(chosen_B)
        log_probs.append(log_probs_B)
        ended_B |= chosen_B == special.begin_of_image
        if ended_B.all():
            break
        next_BL = chosen_B[:, None]
    return [
        _cut(row, row_log_probs, special.begin_of_image)
        for row, row_log_probs in zip(_columns(ids), _columns(log_probs), strict=True)
    ]


def _columns(steps: list[Tensor]) -> list[list[Any]]:
    """Per-step tensors [B] as one list a sample."""
    columns: list[list[Any]] = torch.stack(steps, dim=1).tolist()
    return columns


def _cut(ids: list[int], log_probs: list[float], begin_of_image: int) -> SampledChain:
    """What a row wrote up to its first `<begin_of_image>`: the batch went on until its slowest row."""
    if begin_of_image not in ids:
        return SampledChain((*ids, begin_of_image), tuple(log_probs), truncated=True)
    length = ids.index(begin_of_image) + 1
    return SampledChain(tuple(ids[:length]), tuple(log_probs[:length]), truncated=False)


@torch.inference_mode()
def sample_images(
    model: Any,  # noqa: ANN401
    texts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    special: SpecialIds,
    *,
    guidance: float,
    temperature: float,
) -> SampledImages:
    """The image tokens for each text (prompt and chain, ending with `<begin_of_image>`), in one batch.

    With guidance of 1 or less there are no unconditional rows at all.
    """
    device = model.device
    text = guidance_rows(left_pad(texts, special.pad).to(device), special.pad, guidance)
    steps = model.config.vision_config.num_image_tokens
    decoder = _Decoder(model, text, steps)
    keys_B = stream_keys(seeds, Stage.IMAGE, device)
    embedded_RLD = model.get_input_embeddings()(text.ids_BL)
    ids, log_probs = [], []
    for step in range(steps):
        logits_RV = model.model.generation_head(decoder.feed(embedded_RLD)).float()
        logits_BV = guide(logits_RV[: len(texts)], logits_RV[len(texts) :], guidance) if guidance > 1 else logits_RV
        chosen_B, log_probs_B = choose(logits_BV, keys_B, step, temperature)
        ids.append(chosen_B)
        log_probs.append(log_probs_B)
        chosen_R = torch.cat([chosen_B, chosen_B]) if guidance > 1 else chosen_B
        embedded_RLD = model.prepare_embeddings_for_image_generation(chosen_R[:, None])
    return SampledImages(torch.stack(ids, dim=1), torch.stack(log_probs, dim=1))


def guidance_rows(text: Padded, pad: int, guidance: float) -> Padded:
    """The rows to feed: the text's, and below them its unconditional ones if there is guidance."""
    if guidance <= 1:
        return text
    return Padded(torch.cat([text.ids_BL, unconditional(text, pad)]), torch.cat([text.mask_BL, text.mask_BL]))


@torch.inference_mode()
def decode_images(model: Any, ids_BT: Tensor, batch_size: int = 16) -> Tensor:  # noqa: ANN401
    """Image tokens to pixels, uint8 [B, H, W, 3] on the CPU; values are cut off, not rounded, as in the release."""
    pictures = []
    for batch_BT in torch.split(ids_BT, batch_size):
        pixels_BHWC = model.decode_image_tokens(batch_BT).float()
        pictures.append(((pixels_BHWC + 1) / 2 * 255).clamp(0, 255).to(torch.uint8).cpu())
    return torch.cat(pictures)
