"""Rows of tokens, how rows of unequal length become one batch, and which requests go together.

Axes: B rows of a batch, C groups of rows with a common beginning, L tokens, A axes of a token's position (1, or 3 for
models that count time, height and width apart).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gotr1_eval.core.protocols import Request

SHORTEST_SHARED = 16
"""Common beginnings of fewer tokens cost more to handle apart than they save."""
MOST_TOGETHER = 4
"""Times the batch size: so many questions about one picture may go together where nothing is decoded."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One question as the model reads it.

    Attributes:
        ids: the tokens, those of pictures already repeated as often as the picture has patches.
        positions_AL: int64, the position of each token.
        pictures: keys of the pictures' features, in the order in which their tokens stand.
        pictures_end: the tokens of pictures lie before this place; 0 without pictures.
        choices: tokens of the texts whose probability is asked for; empty when an answer is decoded.
    """

    ids: tuple[int, ...]
    positions_AL: torch.Tensor
    pictures: tuple[str, ...] = ()
    pictures_end: int = 0
    choices: tuple[tuple[int, ...], ...] = ()

    @property
    def next_position(self) -> int:
        """Of the first token after the row."""
        return int(self.positions_AL.max()) + 1


@dataclass(frozen=True, slots=True)
class Shared:
    """Rows that begin alike: the places of the rows, and how many tokens they have in common."""

    members: tuple[int, ...]
    length: int


@dataclass(frozen=True, slots=True)
class Padded:
    """A batch, padded on the left so that every row ends in the last column.

    Attributes:
        ids_BL: int64.
        mask_BL: int64, 1 for tokens and 0 for padding.
        positions_ABL: int64, 0 under padding.
    """

    ids_BL: torch.Tensor
    mask_BL: torch.Tensor
    positions_ABL: torch.Tensor


def pad_left(rows: Sequence[tuple[Sequence[int], torch.Tensor]], device: torch.device) -> Padded:
    """A batch of (tokens, positions_AL); the padding is token 0, which the mask hides."""
    width = max(len(ids) for ids, _ in rows)
    axes = max(positions_AL.shape[0] for _, positions_AL in rows)
    ids_BL = torch.zeros(len(rows), width, dtype=torch.long)
    mask_BL = torch.zeros_like(ids_BL)
    positions_ABL = torch.zeros(axes, len(rows), width, dtype=torch.long)
    for place, (ids, positions_AL) in enumerate(rows):
        start = width - len(ids)
        ids_BL[place, start:] = torch.tensor(ids)
        mask_BL[place, start:] = 1
        positions_ABL[:, place, start:] = positions_AL
    return Padded(ids_BL.to(device), mask_BL.to(device), positions_ABL.to(device))


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    shorter = min(len(first), len(second))
    return next((place for place in range(shorter) if first[place] != second[place]), shorter)


def shared_beginnings(rows: Sequence[Row], shortest: int = SHORTEST_SHARED) -> list[Shared]:
    """Puts every row into exactly one group; a row alone shares all but its last token with itself.

    Neighbours in dictionary order are joined where they share the same pictures, all of these pictures' tokens, at
    least `shortest` tokens and at least half of the shorter row. At least one token of each row stays outside.
    """
    order = sorted(range(len(rows)), key=lambda place: (rows[place].pictures, rows[place].ids))
    groups: list[Shared] = []
    for place in order:
        joined = _join(rows, groups[-1], place, shortest) if groups else None
        if joined is not None:
            groups[-1] = joined
        else:
            groups.append(Shared((place,), len(rows[place].ids) - 1))
    return groups


def _join(rows: Sequence[Row], group: Shared, place: int, shortest: int) -> Shared | None:
    """The group with one more row, or None where they have too little in common."""
    first, row = rows[group.members[0]], rows[place]
    # Equal rows share everything but the last token, whose logits both need.
    length = min(common_length(first.ids, row.ids), len(row.ids) - 1, group.length)
    half = min(len(first.ids), len(row.ids)) // 2
    if first.pictures != row.pictures or length < max(shortest, half, row.pictures_end):
        return None
    return Shared((*group.members, place), length)


def batches(requests: Sequence[Request], size: int) -> list[list[int]]:
    """Places of the requests that go through the model together: about `size`, all of one kind.

    Questions whose answer is read off the first prediction (choices, first tokens) stay with the others about the same
    picture, so that it is read once for all of them; only more than `MOST_TOGETHER` times `size` of them are split.
    """
    kinds: dict[tuple[bool, bool], list[list[int]]] = {}
    for place, request in enumerate(requests):
        scored = bool(request.choices or request.first_tokens)
        groups = kinds.setdefault((scored, bool(request.first_tokens)), [])
        if scored and request.images and groups and _shows_the_same(requests[groups[-1][-1]], request):
            groups[-1].append(place)
        else:
            groups.append([place])
    made: list[list[int]] = []
    for groups in kinds.values():
        made.append([])
        for group in groups:
            for start in range(0, len(group), MOST_TOGETHER * size):
                part = group[start : start + MOST_TOGETHER * size]
                if made[-1] and len(made[-1]) + len(part) > size:
                    made.append([])
                made[-1] += part
    return made


def _shows_the_same(first: Request, second: Request) -> bool:
    return list(map(id, first.images)) == list(map(id, second.images))
