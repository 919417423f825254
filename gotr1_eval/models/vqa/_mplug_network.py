"""mPLUG-large's visual question answering in plain torch, with keys and values shared wherever they are the same.

Shapes: Q questions about one picture, R rows of a memory (1 or Q), B rows that ask it (Q, or Q times the beams), N
places of the picture, T tokens of a question, L tokens of an answer so far, E width, H heads, D width of a head, V
vocabulary.

CLIP's picture tower (quick GELU, `ln_post` on every token), BERT's layers on the question, a fusion of both, and a
decoder that looks at the picture's tokens and the fused question's. In the fusion every `stride`-th layer, the first
aside, looks at picture and question jointly and adds its picture part to the picture's tokens; all others let the
question look at the picture. Source: modelscope/modelscope @ 2905da1, ``models/multi_modal/mplug/modeling_mplug.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

BERT_EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a checkpoint's tensors and its config_bert.json say.

    Attributes:
        side: of the picture in pixels.
        narrowed: whether the picture's tokens are brought to the text's width by a layer and a norm.
        stride: every so many layers of the fusion look at picture and question jointly.
    """

    side: int
    patch: int
    picture_width: int
    picture_layers: int
    narrowed: bool
    width: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    text_layers: int
    fusion_layers: int
    decoder_layers: int
    stride: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Keys and values that are looked at; consecutive rows of a batch share a row where there are fewer here.

    Attributes:
        hidden_RN: True where nothing may look; None where everything may.
    """

    keys_RHND: Tensor
    values_RHND: Tensor
    hidden_RN: Tensor | None = None

    def select(self, rows: Tensor) -> Memory:
        """The memory of some of the rows; of one that all rows share, itself."""
        if len(self.keys_RHND) == 1:
            return self
        hidden = None if self.hidden_RN is None else self.hidden_RN[rows]
        return Memory(self.keys_RHND[rows], self.values_RHND[rows], hidden)


def attend(queries_BHTD: Tensor, memories: Sequence[Memory]) -> Tensor:
    """[B, H, T, D]: attention over all memories together, as if they stood in one row behind one another."""
    scores = [_scores(queries_BHTD, memory) for memory in memories]
    weights = torch.cat(scores, dim=-1).softmax(dim=-1)
    parts = torch.split(weights, [score.shape[-1] for score in scores], dim=-1)
    return reduce(torch.add, map(_by_row, parts, [memory.values_RHND for memory in memories]))


def _scores(queries_BHTD: Tensor, memory: Memory) -> Tensor:
    """[B, H, T, N], minus infinity where nothing may look."""
    keys_RHND = memory.keys_RHND / math.sqrt(queries_BHTD.shape[-1])
    scores_BHTN = _by_row(queries_BHTD, keys_RHND.transpose(-1, -2))
    if memory.hidden_RN is None:
        return scores_BHTN
    hidden_BN = memory.hidden_RN.repeat_interleave(len(queries_BHTD) // len(memory.hidden_RN), dim=0)
    return scores_BHTN.masked_fill(hidden_BN[:, None, None], -math.inf)


def _by_row(left_BHTX: Tensor, right_RHXY: Tensor) -> Tensor:
    """[B, H, T, Y]: the product, where B / R consecutive rows share each row of the right side without a copy of it."""
    (rows, heads, tokens, inner), kept = left_BHTX.shape, len(right_RHXY)
    shared = rows // kept
    gathered = left_BHTX.reshape(kept, shared, heads, tokens, inner).transpose(1, 2)
    made = gathered.reshape(kept, heads, shared * tokens, inner) @ right_RHXY
    return made.reshape(kept, heads, shared, tokens, -1).transpose(1, 2).reshape(rows, heads, tokens, -1)


class Attention(nn.Module):
    """BERT's attention with its output layer, residual and norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm = nn.LayerNorm(width, eps=BERT_EPSILON)

    def remember(self, states_RNE: Tensor, hidden_RN: Tensor | None = None) -> Memory:
        """The keys and values of what is looked at."""
        return Memory(self._split(self.key(states_RNE)), self._split(self.value(states_RNE)), hidden_RN)

    def forward(self, states_BTE: Tensor, memories: Sequence[Memory]) -> Tensor:
        """[B, T, E]."""
        mixed_BHTD = attend(self._split(self.query(states_BTE)), memories)
        made: Tensor = self.norm(self.out(mixed_BHTD.transpose(1, 2).flatten(2)) + states_BTE)
        return made

    def _split(self, states_BTE: Tensor) -> Tensor:
        return states_BTE.reshape(*states_BTE.shape[:2], self.heads, -1).transpose(1, 2)


class BertLayer(nn.Module):
    """Self-attention, attention to something else where the layer has it, and the feed-forward part."""

    def __init__(self, sizes: Sizes, *, looks: bool) -> None:
        super().__init__()
        self.attention = Attention(sizes.width, sizes.heads)
        if looks:
            self.cross = Attention(sizes.width, sizes.heads)
        self.widen = nn.Linear(sizes.width, sizes.inner)
        self.narrow = nn.Linear(sizes.inner, sizes.width)
        self.norm = nn.LayerNorm(sizes.width, eps=BERT_EPSILON)

    def forward(self, states_BTE: Tensor, own: Memory, seen: Sequence[Memory] = ()) -> Tensor:
        """[B, T, E]; `own` is what its self-attention sees, `seen` what else it looks at, if anything."""
        states_BTE = self.attention(states_BTE, [own])
        if seen:
            states_BTE = self.cross(states_BTE, seen)
        made: Tensor = self.norm(self.narrow(gelu(self.widen(states_BTE))) + states_BTE)
        return made


class BertStack(nn.ModuleList):
    """Layers of one kind."""

    def __init__(self, count: int, sizes: Sizes, *, looks: bool) -> None:
        super().__init__(BertLayer(sizes, looks=looks) for _ in range(count))

    def __iter__(self) -> Iterator[BertLayer]:
        """Each as what it is."""
        return cast(Iterator[BertLayer], super().__iter__())


class Embeddings(nn.Module):
    """Words, positions and the first token type."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.words = nn.Embedding(sizes.vocabulary, sizes.width)
        self.positions = nn.Embedding(sizes.positions, sizes.width)
        self.types = nn.Embedding(2, sizes.width)
        self.norm = nn.LayerNorm(sizes.width, eps=BERT_EPSILON)

    def forward(self, ids_BT: Tensor, first: int = 0) -> Tensor:
        """[B, T, E]; the first token stands at position `first`."""
        positions_TE = self.positions.weight[first : first + ids_BT.shape[1]]
        made: Tensor = self.norm(self.words(ids_BT) + positions_TE + self.types.weight[0])
        return made


class VisionBlock(nn.Module):
    """A block of CLIP's picture tower."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, states_PNE: Tensor) -> Tensor:
        """[P, N, E] of P pictures; 64 channels a head."""
        qkv_PN3HD = self.qkv(self.before(states_PNE)).reshape(*states_PNE.shape[:2], 3, -1, 64)
        mixed_PHND = scaled_dot_product_attention(*qkv_PN3HD.permute(2, 0, 3, 1, 4))
        states_PNE = states_PNE + self.out(mixed_PHND.transpose(1, 2).flatten(2))
        wide = self.widen(self.between(states_PNE))
        made: Tensor = states_PNE + self.narrow(wide * torch.sigmoid(1.702 * wide))
        return made


class VisionTower(nn.Module):
    """CLIP's picture tower without its projection, and what brings its tokens to the text's width."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, places = sizes.picture_width, (sizes.side // sizes.patch) ** 2 + 1
        self.patches = nn.Conv2d(3, width, sizes.patch, stride=sizes.patch, bias=False)
        self.first = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(places, width))
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(VisionBlock(width) for _ in range(sizes.picture_layers))
        self.narrow = nn.Linear(width, sizes.width) if sizes.narrowed else None
        self.norm = nn.LayerNorm(sizes.width, eps=BERT_EPSILON) if sizes.narrowed else None

    def forward(self, pixels_P3SS: Tensor) -> Tensor:
        """[P, N, E]: every place of each picture, its class token first."""
        patches = self.patches(pixels_P3SS).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(patches), 1, -1), patches], dim=1)
        states: Tensor = self.before(tokens + self.positions)
        for block in self.blocks:
            states = block(states)
        states = self.after(states)
        if self.narrow is None or self.norm is None:
            return states
        made: Tensor = self.norm(self.narrow(states))
        return made


class Decoder(nn.Module):
    """BERT with attention to picture and question, and the head that tells the next token."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embeddings = Embeddings(sizes)
        self.layers = BertStack(sizes.decoder_layers, sizes, looks=True)
        self.transform = nn.Linear(sizes.width, sizes.width)
        self.norm = nn.LayerNorm(sizes.width, eps=BERT_EPSILON)
        self.bias = nn.Parameter(torch.empty(sizes.vocabulary))

    def head(self, states_BE: Tensor) -> Tensor:
        """Logits [B, V]; the words' table is the output layer's."""
        made: Tensor = self.norm(gelu(self.transform(states_BE))) @ self.embeddings.words.weight.T + self.bias
        return made


class AnswerState:
    """The answers so far: what the decoder looks at, computed once, and the keys and values of its own tokens."""

    def __init__(self, decoder: Decoder, seen: list[tuple[Memory, ...]]) -> None:
        self._decoder = decoder
        self._seen = seen
        self._own: list[Memory] = []
        self._length = 0

    def advance(self, ids_B: Tensor) -> Tensor:
        """Logits [B, V] of the token that follows each row's newest one; B is Q or a multiple of it."""
        states: Tensor = self._decoder.embeddings(ids_B[:, None], self._length)
        earlier, self._own = self._own, []
        for place, layer in enumerate(self._decoder.layers):
            new = layer.attention.remember(states)
            own = _joined(earlier[place], new) if earlier else new
            self._own.append(own)
            states = layer(states, own, self._seen[place])
        self._length += 1
        return self._decoder.head(states[:, 0])

    def select(self, rows_B: Tensor, questions_Q: Tensor) -> None:
        """Go on with these rows, in this order and as often as they are named, of these questions."""
        self._own = [Memory(own.keys_RHND[rows_B], own.values_RHND[rows_B]) for own in self._own]
        self._seen = [tuple(memory.select(questions_Q) for memory in layer) for layer in self._seen]


def _joined(earlier: Memory, new: Memory) -> Memory:
    keys = torch.cat([earlier.keys_RHND, new.keys_RHND], dim=2)
    return Memory(keys, torch.cat([earlier.values_RHND, new.values_RHND], dim=2))


class MplugNetwork(nn.Module):
    """The whole model: `see` a picture once, `fuse` it with its questions, `answer`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.vision = VisionTower(sizes)
        self.embeddings = Embeddings(sizes)
        self.text = BertStack(sizes.text_layers, sizes, looks=False)
        self.fusion = BertStack(sizes.fusion_layers, sizes, looks=True)
        self.decoder = Decoder(sizes)

    def see(self, pixels_P3SS: Tensor) -> Tensor:
        """[P, N, E]: the tokens of pictures."""
        made: Tensor = self.vision(pixels_P3SS)
        return made

    def read(self, ids_QT: Tensor, hidden_QT: Tensor) -> Tensor:
        """[Q, T, E]: the questions, before they meet a picture; `hidden_QT` is True on padding."""
        text_QTE: Tensor = self.embeddings(ids_QT)
        for layer in self.text:
            text_QTE = layer(text_QTE, layer.attention.remember(text_QTE, hidden_QT))
        return text_QTE

    def fuse(self, picture_RNE: Tensor, text_QTE: Tensor, hidden_QT: Tensor) -> tuple[Tensor, Tensor]:
        """The picture's tokens [R, N, E], one row until a joint layer makes them a question's own, and the text."""
        for place, layer in enumerate(self.fusion):
            if place == 0 or place % self.sizes.stride:
                seen = layer.cross.remember(picture_RNE)
                text_QTE = layer(text_QTE, layer.attention.remember(text_QTE, hidden_QT), [seen])
                continue
            places = picture_RNE.shape[1]
            picture_RNE = picture_RNE.expand(len(text_QTE), -1, -1)
            hidden = torch.cat([hidden_QT.new_zeros(len(text_QTE), places), hidden_QT], dim=1)
            both = torch.cat([picture_RNE, text_QTE], dim=1)
            both = layer(both, layer.attention.remember(both, hidden))
            picture_RNE, text_QTE = picture_RNE + both[:, :places], both[:, places:]
        return picture_RNE, text_QTE

    def answer(self, picture_RNE: Tensor, text_QTE: Tensor, hidden_QT: Tensor) -> AnswerState:
        """The state before the first token, of fused tokens."""
        return AnswerState(
            self.decoder,
            [
                (layer.cross.remember(picture_RNE), layer.cross.remember(text_QTE, hidden_QT))
                for layer in self.decoder.layers
            ],
        )
