"""What the calls of a checkpoint's stages share: the KV cache, the state of a drawing, and captured decode steps.

On a GPU a decode step reads all weights once and computes little; it is replayed as a CUDA graph, else the GPU would
wait for Python. A graph belongs to the tensors it was captured with, so that it can serve the next tile only where
these stay.

Shape suffixes: B samples, R rows (B, or 2B with guidance), K rows that begin anew, S steps, V vocabulary or codebook,
D width of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from gotr1_eval.models.autoregressive.choosing import Choice, choose, log_probability, scaled
from gotr1_eval.models.autoregressive.decoder import Decoder, KVCache, rounded
from gotr1_eval.models.local_model import held_memory

WARM_UP = 2
"""Calls before the capture, in which libraries choose kernels and allocate workspaces."""
ROOM = 256
"""A GPU's KV cache is rounded up to so many positions, so that a tile of longer chains seldom needs a larger one."""


class MemoryPool:
    """Memory for what captured steps compute on the way; reserved when the first is captured."""

    def __init__(self) -> None:
        self._handle: Any = None

    def handle(self) -> Any:  # noqa: ANN401 - torch's
        """The same at every call."""
        self._handle = self._handle or torch.cuda.graph_pool_handle()
        return self._handle


class Replayed:
    """A step whose work is the same at every call but for what its tensors hold.

    The step is handed over at the call and not kept: a replayer that held a method of its own owner would close a
    cycle, and the caches behind it would lie in memory until Python's collector came by.

    Args:
        state: the tensors that a call changes and that the next one reads, all on one device. A cache of keys and
            values need not be among them: a call writes its own position of the cache, and the first real call writes
            it again.
        pool: memory that graphs share which are replayed one after the other and leave nothing behind in it.
    """

    def __init__(self, state: Sequence[Tensor], pool: MemoryPool | None = None) -> None:
        self._state = state
        self._pool = pool or MemoryPool()
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
        with torch.cuda.graph(graph, pool=self._pool.handle()):
            step(span)
        return graph


class Drawing:
    """One stage's tokens, sampled step by step; every row counts its own steps.

    Args:
        logits: from the states of the last tokens [R, D] to logits [B, V].
        embed: from the chosen tokens [B] to the embeddings of the next position [R, D].
        samples: B.
        steps: S, the most of any row.
        forced_D: the embedding of a token that some of the steps feed behind the chosen one.

    Attributes:
        ids_BS, log_probs_BS: what was sampled; -1 and 0 where nothing was yet. The next drawing overwrites both.
    """

    def __init__(
        self,
        decoder: Decoder,
        logits: Callable[[Tensor], Tensor],
        embed: Callable[[Tensor], Tensor],
        samples: int,
        steps: int,
        choice: Choice,
        forced_D: Tensor | None = None,
    ) -> None:
        self.decoder, self._logits, self._embed, self._choice = decoder, logits, embed, choice
        self._forced_RD = None if forced_D is None else forced_D.expand(len(decoder.lengths_R), -1)
        device = decoder.lengths_R.device
        self._keys_B, self._steps_B, self._chosen_B = torch.zeros(3, samples, dtype=torch.int64, device=device).unbind()
        self.ids_BS = torch.full((samples, steps), -1, dtype=torch.int64, device=device)
        self.log_probs_BS = torch.zeros(samples, steps, device=device)
        state = [self._steps_B, self._chosen_B, decoder.lengths_R]
        pool = MemoryPool()
        self._replayed, self._replayed_forced = Replayed(state, pool), Replayed(state, pool)

    def begin(self, states_RD: Tensor, keys_B: Tensor) -> None:
        """Draw every row's first token, from the prefill's states, with noise by these keys."""
        self.begin_rows(range(len(keys_B)), states_RD, keys_B)

    def begin_rows(self, rows: Sequence[int], states_RD: Tensor, keys_K: Tensor) -> None:
        """Draw the first token of some rows alone; the others' states are looked at and count for nothing."""
        rows_K = torch.tensor(rows, device=keys_K.device)
        self._keys_B[rows_K], self._steps_B[rows_K] = keys_K, 0
        self.ids_BS[rows_K], self.log_probs_BS[rows_K] = -1, 0.0
        # The head takes all rows: what a product gives a row may depend on how many it has.
        scaled_KV = scaled(self._logits(states_RD), self._choice)[rows_K]
        chosen_K = choose(scaled_KV, keys_K, self._steps_B[rows_K], self._choice)
        self._chosen_B[rows_K], self._steps_B[rows_K] = chosen_K, 1
        self.ids_BS[rows_K, 0], self.log_probs_BS[rows_K, 0] = chosen_K, log_probability(scaled_KV, chosen_K)

    def rest(self, row: int) -> None:
        """Make a row that is not needed an empty one."""
        self._steps_B[row] = self.decoder.lengths_R[row] = 0

    def row(self, row: int, steps: int) -> tuple[list[int], list[float]]:
        """The first tokens of a row, and their log-probabilities."""
        return self.ids_BS[row, :steps].tolist(), self.log_probs_BS[row, :steps].tolist()

    def next(self, longest: int, *, forced: bool = False) -> None:
        """Feed what was sampled last and sample again.

        Args:
            longest: length of the longest row with all that is fed.
            forced: feed the forced token behind what was sampled.
        """
        span = rounded(longest, self._steps_B.device)
        if forced:
            self._replayed_forced(self._go_on_behind, span)
        else:
            self._replayed(self._go_on, span)

    def _go_on(self, span: int) -> None:
        self._draw(self.decoder.step(self._embed(self._chosen_B), span))

    def _go_on_behind(self, span: int) -> None:
        if self._forced_RD is None:
            raise AssertionError("no forced token was given")
        self.decoder.step(self._embed(self._chosen_B), span)
        self._draw(self.decoder.step(self._forced_RD, span))

    def _draw(self, states_RD: Tensor) -> None:
        scaled_BV = scaled(self._logits(states_RD), self._choice)
        self._chosen_B.copy_(choose(scaled_BV, self._keys_B, self._steps_B, self._choice))
        at_B1 = self._steps_B[:, None]
        self.ids_BS.scatter_(1, at_B1, self._chosen_B[:, None])
        self.log_probs_BS.scatter_(1, at_B1, log_probability(scaled_BV, self._chosen_B)[:, None])
        self._steps_B += 1


class Stages:
    """The KV cache of a language model and the drawings on it, for as long as the weights stay what they are.

    Weights are read as they are at the first call: whoever changes them takes new stages. The memory is given back
    when something else in this process runs out of it (`local_model.held_memory`).
    """

    def __init__(self, language_model: Any) -> None:  # noqa: ANN401 - transformers is untyped
        self.language_model = language_model
        self._cache: KVCache | None = None
        self._drawings: dict[Hashable, Drawing] = {}
        held_memory.add(self)

    def release(self) -> bool:
        """Let go of cache, drawings and graphs; whether there were any."""
        held = self._cache is not None
        self._cache = None
        self._drawings.clear()
        return held

    def drawing(self, key: Hashable, rows: int, positions: int, make: Callable[[Decoder], Drawing]) -> Drawing:
        """The drawing of this key over a cache of at least so many rows and positions; made where new.

        What an earlier drawing left in the cache lies behind the rows' ends, where attention never looks.
        """
        rounding = 1 if self.language_model.embed_tokens.weight.device.type == "cpu" else ROOM
        positions = -(-positions // rounding) * rounding
        held = self._cache
        if held is None or rows > held.rows or positions > held.positions:
            size = (rows, positions) if held is None else (max(rows, held.rows), max(positions, held.positions))
            del held
            self.release()  # before the larger one is allocated
            self._cache = held = KVCache(self.language_model, *size)
        if key not in self._drawings:
            self._drawings[key] = make(Decoder(self.language_model, held, rows))
        return self._drawings[key]
