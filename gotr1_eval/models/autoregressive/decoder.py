"""The language model of a generator with a cache of fixed size: rows of different lengths go on together.

Each row lies flush left in its own part of the KV cache and is masked behind its last token, so that on a processor a
row's sums run over the same positions whatever its neighbours' lengths are. Equal to left-padded rows of transformers'
own model, position for position (tests compare them); written out here because a CUDA graph needs a step without a
growing cache, and because a step of a small model costs what its calls cost.

Shape suffixes: R rows, K rows that are filled anew, L positions of a prefill, S of the KV cache, H heads, G heads of
keys and values, J heads that share one of these, D width, E width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.emu3.modeling_emu3 import Emu3TextModel
from transformers.models.llama.modeling_llama import LlamaModel

from gotr1_eval.core.errors import UsageError
from gotr1_eval.models.autoregressive.fused import FusedLayer, fused_layer
from gotr1_eval.models.local_model import compute_dtype

SPAN, CPU_SPAN = 64, 16
"""Attention reads the cache up to the longest row, rounded up to this many: few on the CPU, which waits for memory;
more on a GPU, which captures a graph for every span. Below 16 the CPU's sums run in another order, and last digits
change."""
PREFILL_TOKENS = 16_384
"""Tokens that a GPU prefills at once; bounds the memory of the activations."""

LAYERS = (LlamaModel, Emu3TextModel)
"""Classes whose layers are the same: norms before attention and MLP, rotary positions, gated MLPs."""

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]


def rounded(positions: int, device: torch.device) -> int:
    """The next multiple of the device's span."""
    span = CPU_SPAN if device.type == "cpu" else SPAN
    return -(-positions // span) * span


class KVCache:
    """The KV cache: keys and values of every layer, [R, G, S, E] each, allocated once a stage.

    Raises:
        UsageError: the language model is none of those whose layers are written out here.
    """

    def __init__(self, language_model: Any, rows: int, positions: int) -> None:  # noqa: ANN401 - transformers is untyped
        if not isinstance(_bare(language_model), LAYERS):
            known = " and ".join(each.__name__ for each in LAYERS)
            raise UsageError(f"the sampler knows language models of {known}, got {type(language_model).__name__}")
        config, weight = language_model.config, language_model.embed_tokens.weight
        shape = (rows, config.num_key_value_heads, rounded(positions, weight.device), head_width(config))
        dtype = compute_dtype(weight)
        self.keys, self.values = (
            [torch.zeros(shape, dtype=dtype, device=weight.device) for _ in range(config.num_hidden_layers)]
            for _ in range(2)
        )
        self.rows, self.positions = rows, shape[2]


def _bare(language_model: Any) -> Any:  # noqa: ANN401
    """The model inside an adapter's wrapper."""
    return language_model.get_base_model() if hasattr(language_model, "get_base_model") else language_model


def head_width(config: Any) -> int:  # noqa: ANN401
    """Width of an attention head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


class Decoder:
    """The first rows of a KV cache, and how far each of them is filled."""

    def __init__(self, language_model: Any, cache: KVCache, rows: int) -> None:  # noqa: ANN401
        self._model = language_model
        self._cache = cache
        dtype = compute_dtype(language_model.embed_tokens.weight)
        self._layers = [fused_layer(layer, dtype) for layer in language_model.layers]
        self._device = language_model.embed_tokens.weight.device
        self._rows_R = torch.arange(rows, device=self._device)
        self._places_S = torch.arange(cache.positions, device=self._device)
        self.lengths_R = torch.zeros(rows, dtype=torch.int64, device=self._device)

    def prefill(self, embedded: Sequence[Tensor], rows: Sequence[int] | None = None) -> Tensor:
        """Fill rows anew from embeddings [L, D], all of them by default; the state of each one's last token, [K, D].

        On the CPU every row is computed alone, so that its last digits do not depend on its neighbours; a GPU takes
        several, padded behind their ends, where causal attention never looks. Rows that are the same tensor are
        computed once.
        """
        rows = range(len(embedded)) if rows is None else rows
        first = {id(row): index for index, row in reversed(list(enumerate(embedded)))}
        distinct = sorted(first.values(), key=lambda index: len(embedded[index]))
        states_KD = torch.empty(len(embedded), embedded[0].shape[1], dtype=embedded[0].dtype, device=self._device)
        for part in _passes([len(embedded[index]) for index in distinct], self._device.type):
            places = [distinct[index] for index in part]
            together = [embedded[index] for index in places]
            states_KD[places] = self._prefill_together(together, [rows[index] for index in places])
        source_K = torch.tensor([first[id(row)] for row in embedded], device=self._device)
        rows_K = torch.tensor(rows, device=self._device)
        if len(distinct) < len(embedded):
            for cached_RGSE in (*self._cache.keys, *self._cache.values):
                cached_RGSE[rows_K] = cached_RGSE[rows_K[source_K]]
        self.lengths_R[rows_K] = torch.tensor([len(row) for row in embedded], device=self._device)
        return states_KD[source_K]

    def _prefill_together(self, rows: Sequence[Tensor], places: Sequence[int]) -> Tensor:
        """Rows of similar lengths in one pass, padded at their ends."""
        batch_RLD = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        length = batch_RLD.shape[1]
        to_R = torch.tensor(places, device=self._device)

        def attend(layer: int, query_RHLE: Tensor, key_RGLE: Tensor, value_RGLE: Tensor) -> Tensor:
            self._cache.keys[layer][to_R, :, :length] = key_RGLE
            self._cache.values[layer][to_R, :, :length] = value_RGLE
            return scaled_dot_product_attention(
                query_RHLE, key_RGLE, value_RGLE, is_causal=True, enable_gqa=_grouped(query_RHLE, key_RGLE)
            )

        states_RLD = self._forward(batch_RLD, self._places_S[None, :length], attend)
        last_R = torch.tensor([len(row) - 1 for row in rows], device=self._device)
        return states_RLD[torch.arange(len(rows), device=self._device), last_R]

    def step(self, embedded_RD: Tensor, span: int) -> Tensor:
        """One more token in every row, and its state, [R, D].

        Nothing here depends on the host, and no tensor changes its place: the step can be captured as a CUDA graph.

        Args:
            span: positions that attention reads; more than the longest row has tokens.
        """
        rows = len(self._rows_R)
        hidden_RS = self._places_S[None, :span] > self.lengths_R[:, None]
        # What attention adds: as a bool mask every layer would make it anew.
        mask_RS = torch.zeros(rows, span, dtype=self._cache.keys[0].dtype, device=self._device)
        mask_R11S = mask_RS.masked_fill_(hidden_RS, float("-inf"))[:, None, None, :]

        def attend(layer: int, query_RHLE: Tensor, key_RGLE: Tensor, value_RGLE: Tensor) -> Tensor:
            keys_RGSE, values_RGSE = self._cache.keys[layer][:rows], self._cache.values[layer][:rows]
            keys_RGSE[self._rows_R, :, self.lengths_R] = key_RGLE[:, :, 0]
            values_RGSE[self._rows_R, :, self.lengths_R] = value_RGLE[:, :, 0]
            # Query heads that share keys stand as positions of one head: with a mask, a GPU's kernels know no groups.
            query_RGJE = query_RHLE.view(rows, key_RGLE.shape[1], -1, query_RHLE.shape[-1])
            mixed_RGJE = scaled_dot_product_attention(
                query_RGJE, keys_RGSE[:, :, :span], values_RGSE[:, :, :span], attn_mask=mask_R11S
            )
            return mixed_RGJE.view(query_RHLE.shape)

        states_RD = self._forward(embedded_RD[:, None], self.lengths_R[:, None], attend)[:, 0]
        self.lengths_R += 1
        return states_RD

    def _forward(self, hidden_RLD: Tensor, positions_RL: Tensor, attend: Attend) -> Tensor:
        """All layers, with attention to what `attend` says."""
        # Under autocast embeddings may come rounded; what layers add to is of the weights' own type, as in training.
        hidden_RLD = hidden_RLD.to(self._model.embed_tokens.weight.dtype)
        cos_RLE, sin_RLE = self._model.rotary_emb(hidden_RLD, positions_RL)
        # Half a turn of the width brings a number's partner to it; the sign goes into the sine, which is exact.
        cos_RL1E, sin_RL1E = cos_RLE[:, :, None], sin_RLE[:, :, None].clone()
        sin_RL1E[..., : sin_RL1E.shape[-1] // 2].neg_()
        for index, (layer, fused) in enumerate(zip(self._model.layers, self._layers, strict=True)):
            normed_RLD = layer.input_layernorm(hidden_RLD)
            hidden_RLD = hidden_RLD + _attention(layer, fused, index, normed_RLD, (cos_RL1E, sin_RL1E), attend)
            gate, up = fused.gate_up(layer.post_attention_layernorm(hidden_RLD)).chunk(2, dim=-1)
            hidden_RLD = hidden_RLD + fused.down(layer.mlp.act_fn(gate) * up)
        states_RLD: Tensor = self._model.norm(hidden_RLD)
        return states_RLD


def _attention(
    layer: Any,  # noqa: ANN401
    fused: FusedLayer,
    index: int,
    hidden_RLD: Tensor,
    rotation: tuple[Tensor, Tensor],
    attend: Attend,
) -> Tensor:
    rows, length, _ = hidden_RLD.shape
    width, config = layer.self_attn.head_dim, layer.self_attn.config
    query_heads, key_heads = config.num_attention_heads, config.num_key_value_heads
    together_RLHE = fused.qkv(hidden_RLD).view(rows, length, query_heads + 2 * key_heads, width)
    turning_RLHE, value_RLGE = torch.split(together_RLHE, [query_heads + key_heads, key_heads], dim=2)
    cos_RL1E, sin_RL1E = rotation
    turned_RLHE = turning_RLHE * cos_RL1E + turning_RLHE.roll(width // 2, dims=-1) * sin_RL1E
    # Under autocast the rotation is in float32, and what attention multiplies is not.
    turned_RHLE = turned_RLHE.to(value_RLGE.dtype).transpose(1, 2)
    query_RHLE, key_RGLE = torch.split(turned_RHLE, [query_heads, key_heads], dim=1)
    mixed_RHLE = attend(index, query_RHLE, key_RGLE, value_RLGE.transpose(1, 2))
    return fused.out(mixed_RHLE.transpose(1, 2).reshape(rows, length, -1))


def _grouped(query_RHLE: Tensor, key_RGLE: Tensor) -> bool:
    """Whether several query heads share keys and values."""
    return query_RHLE.shape[1] != key_RGLE.shape[1]


def _passes(lengths: Sequence[int], device: str) -> list[list[int]]:
    """Indices of rows, sorted by length, that are prefilled together."""
    passes: list[list[int]] = []
    for index, length in enumerate(lengths):
        if device != "cpu" and passes and (len(passes[-1]) + 1) * length <= PREFILL_TOKENS:
            passes[-1].append(index)
        else:
            passes.append([index])
    return passes
