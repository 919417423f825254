"""Drawing tokens step by step from a language model, for chains and for pictures, whatever the family of the model.

Many prompts at once, noise by the sample's own seed (`noise`), logits in float32 (`heads`), each head where a token is
sampled and nowhere else. A row's KV cache lies flush left and its noise is its own, so that on a processor a sample's
tokens depend on its prompt, its seed, its row and the number of rows, to the bit, and not on who its neighbours are; on
a GPU last digits also depend on how long these are. What the calls of one checkpoint share is in `stages`.

Shape suffixes: B samples, R rows (B, or 2B with guidance: all conditional rows, then all unconditional ones),
L text positions, S steps, V vocabulary or codebook, D width of the model, T image tokens.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gotr1_eval.core.errors import BackendError
from gotr1_eval.models.autoregressive.choosing import Choice, guide
from gotr1_eval.models.autoregressive.heads import Head
from gotr1_eval.models.autoregressive.noise import Stage, stream_keys
from gotr1_eval.models.autoregressive.stages import Drawing, Stages
from gotr1_eval.models.sampled_sequences import SampledChain, SampledImages

LOOK = 8
"""Steps of chains on a GPU between two looks at which rows have ended: each look waits for it."""


@dataclass(frozen=True, slots=True)
class RowEnd:
    """What stands behind every row of a picture but the last, and is sampled by nobody.

    Attributes:
        columns: image tokens of a row.
        embedded_D: the embedding of the token that ends one.
    """

    columns: int
    embedded_D: Tensor


@torch.inference_mode()
def draw_chains(
    stages: Stages,
    head: Head,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    end: int,
    *,
    cap: int,
    choice: Choice,
    rows: int | None = None,
) -> list[SampledChain]:
    """One chain a prompt, until each has written `end` or as many tokens as the cap allows.

    Args:
        head: gives the language head's logits.
        prompts: ids, bos included.
        rows: chains that are written at a time, all of them by default; a row whose chain has ended begins the next.

    Raises:
        BackendError: a logit is not finite.
    """
    embed, rows = stages.language_model.embed_tokens, min(rows or len(prompts), len(prompts))
    device, dtype = embed.weight.device, embed.weight.dtype
    known = {prompt: embed(torch.tensor(prompt, device=device)) for prompt in set(map(tuple, prompts))}
    embedded = [known[tuple(prompt)] for prompt in prompts]
    drawing = stages.drawing(
        (Stage.CHAIN, rows, cap, choice),
        rows,
        max(map(len, prompts)) + cap,
        lambda decoder: Drawing(decoder, head, embed, rows, cap, choice),
    )
    writing = _Writing(drawing, embedded, stream_keys(seeds, Stage.CHAIN, device), end)
    look = 1 if device.type == "cpu" else LOOK
    for step in itertools.count(1):
        writing.collect(look=step % look == 0)
        if len(writing.chains) == len(prompts):
            break
        writing.next()
    chains = [writing.chains[index] for index in range(len(prompts))]
    broken = sum(not all(map(math.isfinite, chain.log_probs)) for chain in chains)
    check_finite(broken, len(chains), "the language head's logits", "chains", dtype, stages)
    return chains


class _Writing:
    """Rows that write one chain after the other.

    Args:
        embedded: the chains' prompts, [L, D] each.
        keys_N: the chains' noise.
        end: the token that ends a chain.

    Attributes:
        chains: those that are written, by their places.
    """

    def __init__(self, drawing: Drawing, embedded: Sequence[Tensor], keys_N: Tensor, end: int) -> None:
        rows, self._cap = drawing.ids_BS.shape
        self._drawing, self._embedded, self._keys_N, self._end = drawing, embedded, keys_N, end
        self.chains: dict[int, SampledChain] = {}
        self._chain_of: list[int | None] = list(range(rows))
        self._written = [1] * rows
        self._waiting = iter(range(rows, len(embedded)))
        drawing.begin(drawing.decoder.prefill(embedded[:rows]), keys_N[:rows])

    def collect(self, *, look: bool) -> None:
        """Take the chains that have ended, and let their rows begin others; without a look, those at the cap alone."""
        ended = (self._drawing.ids_BS == self._end).any(dim=1).tolist() if look else [False] * len(self._written)
        for row, chain in enumerate(self._chain_of):
            full = self._written[row] == self._cap
            if full or (ended[row] and chain is not None):
                if chain is not None:
                    self.chains[chain] = _cut(*self._drawing.row(row, self._written[row]), self._end)
                self._begin(row, next(self._waiting, None))

    def _begin(self, row: int, chain: int | None) -> None:
        """Begin a chain; without one the row rests, and goes on as an empty one whose tokens count for nothing."""
        drawing = self._drawing
        self._chain_of[row], self._written[row] = chain, 0 if chain is None else 1
        if chain is None:
            drawing.rest(row)
            return
        states_RD = drawing.decoder.prefill([self._embedded[chain]], [row]).expand(len(self._written), -1)
        drawing.begin_rows([row], states_RD, self._keys_N[chain : chain + 1])

    def next(self) -> None:
        """One more token in every row; none where a chain, of one token, has as many as the cap allows already."""
        if self._cap == 1 and any(chain is not None for chain in self._chain_of):
            return
        starts = [0 if chain is None else len(self._embedded[chain]) for chain in self._chain_of]
        self._drawing.next(max(start + written for start, written in zip(starts, self._written, strict=True)))
        self._written = [written + 1 for written in self._written]


def _cut(ids: list[int], log_probs: list[float], end: int) -> SampledChain:
    """What a row wrote up to its first `end`: the batch went on until its slowest row."""
    if end not in ids:
        return SampledChain((*ids, end), tuple(log_probs), truncated=True)
    length = ids.index(end) + 1
    return SampledChain(tuple(ids[:length]), tuple(log_probs[:length]), truncated=False)


@torch.inference_mode()
def draw_images(
    stages: Stages,
    head: Head,
    embed_image: Callable[[Tensor], Tensor],
    rows: Sequence[Sequence[int]],
    seeds: Sequence[int],
    steps: int,
    *,
    guidance: float,
    choice: Choice,
    row_end: RowEnd | None = None,
) -> SampledImages:
    """So many image tokens after each row of text, all together.

    Args:
        head: gives the image head's logits.
        embed_image: from chosen image tokens [B] to the embeddings of the next position [B, D].
        rows: with guidance (above 1) all conditional ones, then all unconditional ones; else as many as seeds.

    Raises:
        BackendError: a logit is not finite.
    """
    embed, count, guided = stages.language_model.embed_tokens, len(seeds), guidance > 1
    device, dtype, longest = embed.weight.device, embed.weight.dtype, max(map(len, rows))
    embedded = {row: embed(torch.tensor(row, device=device)) for row in set(map(tuple, rows))}
    ends, forced_D = (0, None) if row_end is None else ((steps - 1) // row_end.columns, row_end.embedded_D)

    def logits(states_RD: Tensor) -> Tensor:
        logits_RV = head(states_RD)
        return guide(logits_RV[:count], logits_RV[count:], guidance) if guided else logits_RV

    def embed_rows(chosen_B: Tensor) -> Tensor:
        embedded_BD = embed_image(chosen_B)
        return torch.cat([embedded_BD, embedded_BD]) if guided else embedded_BD

    drawing = stages.drawing(
        (Stage.IMAGE, count, steps, guidance, choice),
        len(rows),
        longest + steps + ends,
        lambda decoder: Drawing(decoder, logits, embed_rows, count, steps, choice, forced_D),
    )
    states_RD = drawing.decoder.prefill([embedded[tuple(row)] for row in rows])
    drawing.begin(states_RD, stream_keys(seeds, Stage.IMAGE, device))
    for sampled in range(1, steps):
        ended = 0 if row_end is None else sampled // row_end.columns
        forced = row_end is not None and sampled % row_end.columns == 0
        drawing.next(longest + sampled + ended, forced=forced)
    broken = int((~drawing.log_probs_BS.isfinite()).any(dim=1).sum())
    check_finite(broken, count, "the image head's logits", "pictures", dtype, stages)
    # The next drawing of these stages writes into the same tensors.
    return SampledImages(drawing.ids_BS.clone(), drawing.log_probs_BS.clone())


@torch.inference_mode()
def decode_in_batches(decode: Callable[[Tensor], Tensor], ids_BT: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Image tokens to pixels, uint8 [B, H, W, 3] on the CPU; values are cut off, not rounded, as in Janus's release.

    Every pass decodes the same number of pictures, the last one filled up with copies, so that a picture does not
    depend on where in the batch it stands.

    Args:
        decode: from image tokens [B, T] to pixels [B, H, W, 3] in [-1, 1].
        size: pictures a pass, at most.
        dtype: of the model, for the error.

    Raises:
        BackendError: a pixel is not finite.
    """
    size = min(size, len(ids_BT))
    pictures, sound = [], []
    for batch_BT in torch.split(ids_BT, size):
        filled_BT = torch.cat([batch_BT, batch_BT[-1:].expand(size - len(batch_BT), -1)])
        pixels_BHWC = decode(filled_BT)[: len(batch_BT)].float()
        sound.append(pixels_BHWC.isfinite().flatten(1).all(dim=1))
        pictures.append(((pixels_BHWC + 1) / 2 * 255).clamp(0, 255).to(torch.uint8).cpu())
    check_finite(int((~torch.cat(sound)).sum()), len(ids_BT), "the picture decoder's pixels", "pictures", dtype)
    return torch.cat(pictures)


def check_finite(broken: int, count: int, what: str, of: str, dtype: torch.dtype, stages: Stages | None = None) -> None:
    """Raises BackendError where a stage met NaN or infinity; its KV cache is not used again.

    Looked for once a stage, in what the stage leaves behind: a log-probability is NaN where any logit of its row is NaN
    or plus infinity. Minus infinity alone is a token that is never sampled.
    """
    if broken:
        if stages is not None:
            stages.release()
        raise BackendError(
            f"{what} are not finite (NaN or infinity) in {broken} of {count} {of} sampled together in "
            f"{str(dtype).removeprefix('torch.')}: the weights are damaged, or their numbers outgrow this precision "
            "(float32 and bfloat16 reach further than float16)"
        )
