"""mPLUG's beam search, with its own ways: they decide answers, so they are kept.

- Scores are sums of log-probabilities over a length penalty, ((5 + tokens) / 6) ** 0.6, by which the beams are ranked
  at every step (the configuration's 0.4 is another path's).
- A hypothesis that ends is noted and all the same continued, unless it ranks first.
- The search stops when the first-ranked one ends, or after ten tokens; then all current ones are noted, ended or not.

Source: modelscope/modelscope @ 2905da1, ``models/multi_modal/mplug/predictor.py`` lines 140-330.
Shapes as in `_mplug_network`, and W beams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

BEAMS = 5
MOST_TOKENS = 10
LEAST_TOKENS = 1
"""Tokens before which an answer may not end."""
ALPHA = 0.6
START, END = 101, 102
"""[CLS] and [SEP] of bert-base-uncased."""
_NEVER = -1e20


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An answer's ids, [CLS] first, and its score: the log-probability over the length penalty."""

    ids: tuple[int, ...]
    score: float


class Continuing(Protocol):
    """What a search asks of a decoder; see `_mplug_network.AnswerState`."""

    def advance(self, ids_B: Tensor) -> Tensor:
        """Logits [B, V] of the token that follows each row's newest one."""
        ...

    def select(self, rows_B: Tensor, questions_Q: Tensor) -> None:
        """Go on with these rows of these questions."""
        ...


def search(state: Continuing, questions: int, device: torch.device, beams: int = BEAMS) -> list[list[Hypothesis]]:
    """For each question its hypotheses, the best first; there are at least as many as beams.

    Args:
        beams: 1 decodes greedily.
    """
    found: list[list[Hypothesis]] = [[] for _ in range(questions)]
    asked = list(range(questions))
    alive_QWL = torch.full((questions, 1, 1), START, device=device)
    sums_QW = torch.zeros((questions, 1), device=device)
    for step in range(MOST_TOKENS):
        penalty = ((5.0 + (step + 1)) / 6.0) ** ALPHA
        chances_QWV = _log_chances(state, alive_QWL, may_end=step >= LEAST_TOKENS)
        scores_QW, parents_QW, tokens_QW = _best((chances_QWV + sums_QW[..., None]) / penalty, beams)
        earlier_QWL = alive_QWL.gather(1, parents_QW[..., None].expand(-1, -1, alive_QWL.shape[-1]))
        alive_QWL = torch.cat([earlier_QWL, tokens_QW[..., None]], dim=-1)
        stops_Q = tokens_QW[:, 0] == END
        if step + 1 == MOST_TOKENS:
            stops_Q = torch.ones_like(stops_Q)
        _note(found, asked, alive_QWL, scores_QW, (tokens_QW == END) | stops_Q[:, None])
        goes_Q = (~stops_Q).nonzero()[:, 0]
        if not len(goes_Q):
            break
        width = chances_QWV.shape[1]
        state.select((goes_Q[:, None] * width + parents_QW[goes_Q]).flatten(), goes_Q)
        asked = [asked[place] for place in goes_Q.tolist()]
        alive_QWL, sums_QW = alive_QWL[goes_Q], scores_QW[goes_Q] * penalty
    return [sorted(each, key=lambda one: -one.score) for each in found]


def _log_chances(state: Continuing, alive_QWL: Tensor, *, may_end: bool) -> Tensor:
    logits_BV = state.advance(alive_QWL[..., -1].flatten())
    chances_QWV = logits_BV.float().log_softmax(dim=-1).reshape(*alive_QWL.shape[:2], -1)
    if not may_end:
        chances_QWV[..., END] = _NEVER
    return chances_QWV


def _best(scores_QWV: Tensor, beams: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations of all beams of a question, each [Q, beams]: score, beam that it continues, token."""
    vocabulary = scores_QWV.shape[-1]
    best_QW, places_QW = scores_QWV.flatten(1).topk(beams)
    return best_QW, places_QW // vocabulary, places_QW % vocabulary


def _note(
    found: list[list[Hypothesis]], asked: list[int], alive_QWL: Tensor, scores_QW: Tensor, ends_QW: Tensor
) -> None:
    """Keep what ended at this step, in the order of the beams."""
    for place, question in enumerate(asked):
        for beam in ends_QW[place].nonzero()[:, 0].tolist():
            ids = tuple(alive_QWL[place, beam].tolist())
            found[question].append(Hypothesis(ids, float(scores_QW[place, beam])))
