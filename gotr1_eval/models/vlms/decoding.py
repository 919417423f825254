"""Reads rows into a cache once, then decodes answers or scores choices from it.

The loop is our own and not transformers' `generate`, for four reasons: rows that begin alike are read once, every row
has its own seed, choices are scored from the same cache, and a checkpoint's repetition penalty does not touch scores.

Axes: B rows, C groups of rows with a common beginning, P pairs of a row and a choice, L and S tokens, A axes of a
position (1 or 3), V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from gotr1_eval.models.vlms.constrained_decoding import Walk
from gotr1_eval.models.vlms.picture_features import Picture, embedded
from gotr1_eval.models.vlms.rows import Row, pad_left, shared_beginnings


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one row's answer is decoded; temperature 0 takes the likeliest token.

    Attributes:
        walk: the answer's way through its form, which alone ends it; None for free text.
    """

    max_tokens: int
    temperature: float
    seed: int
    walk: Walk | None = None


@dataclass(slots=True)
class ReadRows:
    """Rows that the model has read: its cache, and its prediction of what follows.

    Attributes:
        mask_BL: int64, 1 where the cache holds a token of the row.
        next_B: int64, position of the next token.
        axes: of a position.
        log_probs_BV: float32, of the next token.
        broken: places of rows that met logits with NaN or infinity; known once the rows were decoded or scored.
    """

    cache: Any
    mask_BL: torch.Tensor
    next_B: torch.Tensor
    axes: int
    log_probs_BV: torch.Tensor
    broken: set[int] = field(default_factory=set)


def read_rows(model: Any, rows: Sequence[Row], pictures: Mapping[str, Picture], *, share: bool = True) -> ReadRows:  # noqa: ANN401
    """Run the model over all rows, common beginnings once.

    Args:
        pictures: features for every key that the rows name.
        share: whether to look for common beginnings.
    """
    device = model.device
    groups = shared_beginnings(rows) if share else []
    if not share or len(groups) == len(rows):
        whole = pad_left([(row.ids, row.positions_AL) for row in rows], device)
        seen = [pictures[key] for row in rows for key in row.pictures]
        output = _forward(model, whole.ids_BL, whole.mask_BL, whole.positions_ABL, pictures=seen)
        mask_BL, axes = whole.mask_BL, whole.positions_ABL.shape[0]
    else:
        leaders = [(rows[group.members[0]], group.length) for group in groups]
        begun = pad_left([(row.ids[:end], row.positions_AL[:, :end]) for row, end in leaders], device)
        seen = [pictures[key] for row, _ in leaders for key in row.pictures]
        cache = _forward(model, begun.ids_BL, begun.mask_BL, begun.positions_ABL, pictures=seen).past_key_values
        group_of = {member: place for place, group in enumerate(groups) for member in group.members}
        group_B = torch.tensor([group_of[place] for place in range(len(rows))], device=device)
        cache.batch_select_indices(group_B)
        ends = [groups[group_of[place]].length for place in range(len(rows))]
        rest = pad_left(
            [(row.ids[end:], row.positions_AL[:, end:]) for row, end in zip(rows, ends, strict=True)], device
        )
        mask_BL = torch.cat([begun.mask_BL[group_B], rest.mask_BL], dim=1)
        axes = rest.positions_ABL.shape[0]
        output = _forward(model, rest.ids_BL, mask_BL, rest.positions_ABL, cache=cache)
    next_B = torch.tensor([row.next_position for row in rows], device=device)
    return ReadRows(output.past_key_values, mask_BL, next_B, axes, _log_probs(output.logits[:, -1]))


def decode(
    model: Any,  # noqa: ANN401
    read: ReadRows,
    sampling: Sequence[Sampling],
    stops: Sequence[int],
    watch: Callable[[torch.Tensor], None] = lambda log_probs_BV: None,
) -> list[tuple[int, ...]]:
    """The answers' tokens, each ending with a stop token, at its own `max_tokens`, or where its form is complete.

    Uses up `read`.

    Args:
        watch: is shown the predictions of every step, before anything is chosen.

    Raises:
        BackendError: an answer has a form, and the model predicts nothing that it allows.
    """
    device = read.mask_BL.device
    generators = [torch.Generator().manual_seed(row.seed % 2**63) for row in sampling]
    answers: list[list[int]] = [[] for _ in sampling]
    log_probs_BV, stop = read.log_probs_BV, set(stops)
    broken_SB: list[torch.Tensor] = []

    def ended(place: int) -> bool:
        return place in read.broken or _ended(answers[place], sampling[place], stop)

    while True:
        # One NaN or infinity among the logits makes all log-probabilities of its row NaN.
        broken_SB.append(log_probs_BV[:, 0].isnan())
        watch(log_probs_BV)
        held_BV = _in_form(log_probs_BV, sampling)
        chosen = _choose(held_BV, sampling, generators)
        for place, (answer, token, row) in enumerate(zip(answers, chosen, sampling, strict=True)):
            if not ended(place):
                answer.append(token)
                if row.walk is not None:
                    log_prob = float(held_BV[place, token])
                    if math.isnan(log_prob):
                        read.broken.add(place)
                    else:
                        row.walk.take(token, log_prob)
        if all(map(ended, range(len(answers)))):
            steps = torch.stack(broken_SB).T.tolist()
            read.broken |= {place for place, answer in enumerate(answers) if any(steps[place][: len(answer)])}
            return [tuple(answer) for answer in answers]
        ids_BL = torch.tensor(chosen, device=device).unsqueeze(1)
        read.mask_BL = torch.cat([read.mask_BL, torch.ones_like(ids_BL)], dim=1)
        positions_ABL = read.next_B.view(1, -1, 1).expand(read.axes, -1, -1)
        output = _forward(model, ids_BL, read.mask_BL, positions_ABL, cache=read.cache)
        read.next_B = read.next_B + 1
        log_probs_BV = _log_probs(output.logits[:, -1])


def score_choices(model: Any, read: ReadRows, choices: Sequence[Sequence[Sequence[int]]]) -> list[tuple[float, ...]]:  # noqa: ANN401
    """Log-probability of each row's choices, sequences of one or more tokens. Uses up `read`.

    The first tokens are read off the rows' predictions; choices of more tokens go through the model together, on
    copies of their rows' cache.
    """
    scores = [[float(read.log_probs_BV[place, ids[0]]) for ids in row] for place, row in enumerate(choices)]
    longer = [(place, index) for place, row in enumerate(choices) for index, ids in enumerate(row) if len(ids) > 1]
    if longer:
        pairs = [tuple(choices[place][index]) for place, index in longer]
        rows_P = torch.tensor([place for place, _ in longer], device=read.mask_BL.device)
        for (place, index), rest in zip(longer, _score_rest(model, read, pairs, rows_P), strict=True):
            scores[place][index] += rest
    read.broken = {place for place, row in enumerate(scores) if any(math.isnan(score) for score in row)}
    return [tuple(row) for row in scores]


def _score_rest(model: Any, read: ReadRows, pairs: Sequence[tuple[int, ...]], rows_P: torch.Tensor) -> list[float]:  # noqa: ANN401
    """Log-probability of each choice's tokens after its first one."""
    width = max(len(ids) for ids in pairs) - 1
    # Padded on the right, where the mask of causality hides the padding already.
    ids_PS = torch.zeros(len(pairs), width, dtype=torch.long)
    for place, ids in enumerate(pairs):
        ids_PS[place, : len(ids) - 1] = torch.tensor(ids[:-1])
    ids_PS = ids_PS.to(rows_P.device)
    read.cache.batch_select_indices(rows_P)
    mask_PL = torch.cat([read.mask_BL[rows_P], torch.ones_like(ids_PS)], dim=1)
    positions_PS = read.next_B[rows_P].unsqueeze(1) + torch.arange(width, device=rows_P.device)
    positions_APS = positions_PS.unsqueeze(0).expand(read.axes, -1, -1)
    output = _forward(model, ids_PS, mask_PL, positions_APS, cache=read.cache, every_logit=True)
    log_probs_PSV = _log_probs(output.logits)
    return [
        sum(float(log_probs_PSV[place, step, token]) for step, token in enumerate(ids[1:]))
        for place, ids in enumerate(pairs)
    ]


def _forward(
    model: Any,  # noqa: ANN401
    ids_BL: torch.Tensor,
    mask_BL: torch.Tensor,
    positions_ABL: torch.Tensor,
    *,
    cache: Any = None,  # noqa: ANN401
    pictures: Sequence[Picture] = (),
    every_logit: bool = False,
) -> Any:  # noqa: ANN401
    given = {
        "attention_mask": mask_BL,
        "position_ids": positions_ABL if positions_ABL.shape[0] > 1 else positions_ABL[0],
        "past_key_values": cache,
        "use_cache": True,
    }
    kept = 0 if every_logit else 1
    if not pictures:
        return model(input_ids=ids_BL, logits_to_keep=kept, **given)
    embeds_BLD, seen_BL, deep = embedded(model, ids_BL, pictures)
    if not deep:
        return model(inputs_embeds=embeds_BLD, logits_to_keep=kept, **given)
    # The whole class would take features for several layers together with the picture's pixels only.
    output = model.model.language_model(
        inputs_embeds=embeds_BLD, visual_pos_masks=seen_BL, deepstack_visual_embeds=deep, **given
    )
    output.logits = model.lm_head(output.last_hidden_state[:, -kept:])
    return output


def _log_probs(logits: torch.Tensor) -> torch.Tensor:
    return logits.float().log_softmax(dim=-1)


def _ended(answer: Sequence[int], row: Sampling, stops: set[int]) -> bool:
    if row.walk is not None:
        return row.walk.complete or len(answer) >= row.walk.most_tokens
    return len(answer) >= row.max_tokens or bool(answer and answer[-1] in stops)


def _in_form(log_probs_BV: torch.Tensor, sampling: Sequence[Sampling]) -> torch.Tensor:
    """The predictions without the tokens that the rows' forms rule out; untouched where no row has a form."""
    walks = {place: row.walk for place, row in enumerate(sampling) if row.walk is not None and not row.walk.complete}
    if not walks:
        return log_probs_BV
    held_BV = log_probs_BV.clone()
    for place, walk in walks.items():
        allowed_V = walk.allowed(held_BV.shape[1]).to(held_BV.device)
        held_BV[place].masked_fill_(~allowed_V, -torch.inf)
    return held_BV


def _choose(
    log_probs_BV: torch.Tensor, sampling: Sequence[Sampling], generators: Sequence[torch.Generator]
) -> list[int]:
    chosen: list[int] = log_probs_BV.argmax(dim=-1).tolist()
    for place, row in enumerate(sampling):
        if row.temperature > 0:
            chosen[place] = _draw(log_probs_BV[place], row.temperature, generators[place])
    return chosen


def _draw(log_probs_V: torch.Tensor, temperature: float, generator: torch.Generator) -> int:
    # By hand on the processor, so that a seed draws alike on every device and beside any neighbours.
    heights_V = (log_probs_V.double().cpu() / temperature).softmax(dim=-1).cumsum(dim=-1)
    drawn = torch.rand((), generator=generator, dtype=torch.float64) * heights_V[-1]
    return min(int(torch.searchsorted(heights_V, drawn, right=True)), len(heights_V) - 1)
