"""Drawing tokens step by step from a language model, for chains and for pictures, whatever the family of the model.

Many prompts at once, noise by the sample's own seed (`noise`), logits in float32 (`heads`), each head where a token is
sampled and nowhere else. A row's KV cache lies flush left and its noise is its own, so that a sample's tokens depend on
its prompt, its seed and the number of rows, not on who its neighbours are. On a GPU a decode step reads all weights
once and computes little; it is replayed as a CUDA graph, else the GPU would wait for Python.

Shape suffixes: B samples, R rows (B, or 2B with guidance: all conditional rows, then all unconditional ones),
L text positions, S steps, V vocabulary or codebook, D width of the model, T image tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gotr1_eval.core.errors import BackendError
from gotr1_eval.models.autoregressive.choosing import Choice, choose, guide, log_probability, scaled
from gotr1_eval.models.autoregressive.decoder import Decoder, KVCache, rounded
from gotr1_eval.models.autoregressive.heads import Head
from gotr1_eval.models.autoregressive.noise import Stage, stream_keys
from gotr1_eval.models.sampled_sequences import SampledChain, SampledImages

WARM_UP = 2
"""Calls before the capture, in which libraries choose kernels and allocate workspaces."""
LOOK = 8
"""Steps of the chain on a GPU between two looks at whether all rows have ended: each look waits for it."""


class Replayed:
    """A step whose work is the same at every call but for what its tensors hold.

    The step is handed over at the call and not kept: a replayer that held a method of its own owner would close a
    cycle, and the caches behind it would lie in memory until Python's collector came by.

    Args:
        state: the tensors that a call changes and that the next one reads, all on one device. A cache of keys and
            values need not be among them: a call writes its own position of the cache, and the first real call writes
            it again.
    """

    def __init__(self, state: Sequence[Tensor]) -> None:
        self._state = state
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def __call__(self, step: Callable[[int], None], span: int) -> None:
        """One step; the first one of a span is captured.

        Args:
            step: takes the span that attention reads, changes tensors in place only, and is the same at every call.
        """
        if not self._state[0].is_cuda:
            step(span)
            return
        # Streams and graphs belong to the current device, which under torchrun is not the one of the tensors.
        with torch.cuda.device(self._state[0].device):
            if span not in self._graphs:
                self._graphs[span] = self._captured(step, span)
            self._graphs[span].replay()

    def _captured(self, step: Callable[[int], None], span: int) -> torch.cuda.CUDAGraph:
        before = [tensor.clone() for tensor in self._state]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                step(span)
                # Each warm-up call starts from the same state: a step further might leave the cache.
                for tensor, saved in zip(self._state, before, strict=True):
                    tensor.copy_(saved)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(span)
        return graph


@dataclass(frozen=True, slots=True)
class RowEnd:
    """What stands behind every row of a picture but the last, and is sampled by nobody.

    Attributes:
        columns: image tokens of a row.
        embedded_D: the embedding of the token that ends one.
    """

    columns: int
    embedded_D: Tensor


class Drawing:
    """One stage's tokens, sampled step by step.

    Args:
        logits: from the states of the last tokens [R, D] to logits [B, V].
        embed: from the chosen tokens [B] to the embeddings of the next position [R, D].
        forced_D: the embedding of a token that some of the steps feed behind the chosen one.
    """

    def __init__(
        self,
        decoder: Decoder,
        logits: Callable[[Tensor], Tensor],
        embed: Callable[[Tensor], Tensor],
        keys_B: Tensor,
        steps: int,
        choice: Choice,
        forced_D: Tensor | None = None,
    ) -> None:
        self._decoder, self._logits, self._embed, self._keys_B, self._choice = decoder, logits, embed, keys_B, choice
        self._forced_RD = None if forced_D is None else forced_D.expand(len(decoder.lengths_R), -1)
        device = keys_B.device
        self._step = torch.zeros((), dtype=torch.int64, device=device)
        self._chosen_B = torch.zeros(len(keys_B), dtype=torch.int64, device=device)
        self.ids_BS = torch.zeros(len(keys_B), steps, dtype=torch.int64, device=device)
        self.log_probs_BS = torch.zeros(len(keys_B), steps, device=device)
        state = [self._step, self._chosen_B, decoder.lengths_R]
        self._replayed, self._replayed_forced = Replayed(state), Replayed(state)

    def first(self, states_RD: Tensor) -> None:
        """Draw from the prefill's states."""
        scaled_BV = scaled(self._logits(states_RD), self._choice)
        self._chosen_B.copy_(choose(scaled_BV, self._keys_B, self._step, self._choice))
        at = self._step[None]
        self.ids_BS.index_copy_(1, at, self._chosen_B[:, None])
        self.log_probs_BS.index_copy_(1, at, log_probability(scaled_BV, self._chosen_B)[:, None])
        self._step += 1

    def next(self, longest: int, *, forced: bool = False) -> None:
        """Feed what was sampled last and sample again.

        Args:
            longest: length of the longest row with all that is fed.
            forced: feed the forced token behind what was sampled.
        """
        span = rounded(longest, self._step.device)
        if forced:
            self._replayed_forced(self._go_on_behind, span)
        else:
            self._replayed(self._go_on, span)

    def _go_on(self, span: int) -> None:
        self.first(self._decoder.step(self._embed(self._chosen_B), span))

    def _go_on_behind(self, span: int) -> None:
        if self._forced_RD is None:
            raise AssertionError("no forced token was given")
        self._decoder.step(self._embed(self._chosen_B), span)
        self.first(self._decoder.step(self._forced_RD, span))


@torch.inference_mode()
def draw_chains(
    language_model: Any,  # noqa: ANN401 - transformers is untyped
    head: Head,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    end: int,
    *,
    cap: int,
    choice: Choice,
) -> list[SampledChain]:
    """One chain a prompt, all together, until every row has written `end` or the cap is hit.

    Args:
        prompts: ids, bos included.
        head: gives the language head's logits.

    Raises:
        BackendError: a logit is not finite.
    """
    embed = language_model.embed_tokens
    device, longest = embed.weight.device, max(map(len, prompts))
    rows = {tuple(prompt): embed(torch.tensor(prompt, device=device)) for prompt in prompts}
    decoder = Decoder(language_model, KVCache(language_model, len(prompts), longest + cap), len(prompts))
    drawing = Drawing(decoder, head, embed, stream_keys(seeds, Stage.CHAIN, device), cap, choice)
    drawing.first(decoder.prefill([rows[tuple(prompt)] for prompt in prompts]))
    sampled, look = 1, 1 if device.type == "cpu" else LOOK
    while sampled < cap:
        if sampled % look == 0 and (drawing.ids_BS[:, :sampled] == end).any(dim=1).all():
            break
        drawing.next(longest + sampled)
        sampled += 1
    ids, log_probs = drawing.ids_BS[:, :sampled].tolist(), drawing.log_probs_BS[:, :sampled].tolist()
    chains = [_cut(row, told, end) for row, told in zip(ids, log_probs, strict=True)]
    broken = sum(not all(map(math.isfinite, chain.log_probs)) for chain in chains)
    check_finite(broken, len(chains), "the language head's logits", "chains", embed.weight.dtype)
    return chains


def _cut(ids: list[int], log_probs: list[float], end: int) -> SampledChain:
    """What a row wrote up to its first `end`: the batch went on until its slowest row."""
    if end not in ids:
        return SampledChain((*ids, end), tuple(log_probs), truncated=True)
    length = ids.index(end) + 1
    return SampledChain(tuple(ids[:length]), tuple(log_probs[:length]), truncated=False)


@torch.inference_mode()
def draw_images(
    language_model: Any,  # noqa: ANN401
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
    embed, count, guided = language_model.embed_tokens, len(seeds), guidance > 1
    device, longest = embed.weight.device, max(map(len, rows))
    embedded = {tuple(row): embed(torch.tensor(row, device=device)) for row in map(tuple, rows)}
    ends = 0 if row_end is None else (steps - 1) // row_end.columns
    decoder = Decoder(language_model, KVCache(language_model, len(rows), longest + steps + ends), len(rows))

    def logits(states_RD: Tensor) -> Tensor:
        logits_RV = head(states_RD)
        return guide(logits_RV[:count], logits_RV[count:], guidance) if guided else logits_RV

    def embed_rows(chosen_B: Tensor) -> Tensor:
        embedded_BD = embed_image(chosen_B)
        return torch.cat([embedded_BD, embedded_BD]) if guided else embedded_BD

    keys_B, forced_D = stream_keys(seeds, Stage.IMAGE, device), None if row_end is None else row_end.embedded_D
    drawing = Drawing(decoder, logits, embed_rows, keys_B, steps, choice, forced_D)
    drawing.first(decoder.prefill([embedded[tuple(row)] for row in rows]))
    for sampled in range(1, steps):
        ended = 0 if row_end is None else sampled // row_end.columns
        forced = row_end is not None and sampled % row_end.columns == 0
        drawing.next(longest + sampled + ended, forced=forced)
    broken = int((~drawing.log_probs_BS.isfinite()).any(dim=1).sum())
    check_finite(broken, count, "the image head's logits", "pictures", embed.weight.dtype)
    return SampledImages(drawing.ids_BS, drawing.log_probs_BS)


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


def check_finite(broken: int, count: int, what: str, of: str, dtype: torch.dtype) -> None:
    """Raises BackendError where a stage met NaN or infinity.

    Looked for once a stage, in what the stage leaves behind: a log-probability is NaN where any logit of its row is NaN
    or plus infinity. Minus infinity alone is a token that is never sampled.
    """
    if broken:
        raise BackendError(
            f"{what} are not finite (NaN or infinity) in {broken} of {count} {of} sampled together in "
            f"{str(dtype).removeprefix('torch.')}: the weights are damaged, or their numbers outgrow this precision "
            "(float32 and bfloat16 reach further than float16)"
        )
