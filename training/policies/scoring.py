"""Scoring for every policy that reads one pass over prompt, chain and picture with two heads (paper sections 1 and 4).

The language head reads the states before the chain's tokens, the image head those before the picture's, and neither is
run anywhere else. A chain is scored at the temperature it was sampled with; a picture after guidance, since the
distribution that it was sampled from is softmax((u + s (c - u)) / temperature).

Shape suffixes: B sequences, L text positions (left-padded), T image tokens, S positions of a pass, N chosen positions,
V vocabulary or codebook, D width of the model.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gotr1_eval.models.autoregressive.choosing import guide
from gotr1_eval.models.sampled_sequences import Padded, unconditional
from training.loss import exact_kl
from training.policies import Actions, Policy, SegmentScores, States, TokenScores

Logits = Callable[..., Tensor]
CHUNK = 1024
"""Positions whose logits are held at once; 102,400 words times a batch would not fit."""


class TwoHeadPolicy(Policy, ABC):
    """A policy whose scores come of `hidden_states` and two heads.

    Attributes:
        chunk: positions whose logits are held at once, `CHUNK` of them unless said otherwise.
    """

    chunk: int

    def forward(self, actions: Actions, reference: tuple[Any, States] | None = None) -> TokenScores:
        """See `training.policies.Policy`, also for the other methods."""
        return self.read(self.states(actions), actions, reference)

    def states(self, actions: Actions) -> States:
        """One pass of the language model over conditional and unconditional rows."""
        how = self.sampling
        length, rows = actions.text.ids_BL.shape[1], len(actions)
        before_BL = actions.chain_BL.roll(-1, dims=1)  # position 0 holds bos, which is never an action
        if not how.guided:
            states_BSD = self.hidden_states(actions.text, actions.image_BT)
            return States(states_BSD[:, :length][before_BL], states_BSD[:, length - 1 :], None)
        empty = Padded(unconditional(actions.text, self.pad), actions.text.mask_BL)
        if how.image_logprob == "guided_detached":
            states_BSD = self.hidden_states(actions.text, actions.image_BT)
            with torch.no_grad():
                empty_BSD = self.hidden_states(empty, actions.image_BT)
        else:
            both = Padded(torch.cat([actions.text.ids_BL, empty.ids_BL]), torch.cat([empty.mask_BL, empty.mask_BL]))
            both_RSD = self.hidden_states(both, torch.cat([actions.image_BT, actions.image_BT]))
            states_BSD, empty_BSD = both_RSD[:rows], both_RSD[rows:]
        return States(states_BSD[:, :length][before_BL], states_BSD[:, length - 1 :], empty_BSD[:, length - 1 :])

    def read(self, states: States, actions: Actions, reference: tuple[Any, States] | None = None) -> TokenScores:
        """The heads' share of `forward`."""
        text = self._segment(
            self.text_logits(),
            (states.text_ND,),
            actions.text.ids_BL[actions.chain_BL],
            None if reference is None else (reference[0].text_logits(), (reference[1].text_ND,)),
        )
        image = self._segment(
            self.image_logits(),
            _flat(states),
            actions.image_BT.flatten(),
            None if reference is None else (reference[0].image_logits(), _flat(reference[1])),
        )
        return TokenScores(
            SegmentScores(*(_scatter(values_N, actions.chain_BL) for values_N in text)),
            SegmentScores(*(values_N.view_as(actions.image_BT) for values_N in image)),
        )

    def text_logits(self) -> Logits:
        """From states [N, D] to float32 [N, V], divided by the temperature."""
        head = self.text_head()
        return lambda states_ND: head(states_ND) / self.sampling.text_temperature

    def image_logits(self) -> Logits:
        """From states, and the unconditional row's where there is one, to float32 [N, V] as the tokens were sampled."""
        head, how = self.image_head(), self.sampling

        def logits(states_ND: Tensor, unconditional_ND: Tensor | None = None) -> Tensor:
            logits_NV = head(states_ND)
            if unconditional_ND is not None:
                empty_NV = head(unconditional_ND)
                if how.image_logprob == "guided_detached":
                    empty_NV = empty_NV.detach()
                logits_NV = guide(logits_NV, empty_NV, how.guidance)
            return logits_NV / how.image_temperature

        return logits

    def _segment(
        self,
        logits: Logits,
        states: tuple[Tensor, ...],
        targets_N: Tensor,
        reference: tuple[Logits, tuple[Tensor, ...]] | None,
    ) -> list[Tensor]:
        """Log-probability, entropy and (with a reference) KL of so many positions, a chunk of logits at a time."""

        def score(targets_n: Tensor, *states_n: Tensor) -> tuple[Tensor, ...]:
            mine = states_n[: len(states)]
            log_probs_nV = logits(*mine).log_softmax(dim=-1)
            chosen_n = log_probs_nV.gather(1, targets_n[:, None])[:, 0]
            known_nV = log_probs_nV if self.sampling.entropy_gradient else log_probs_nV.detach()
            entropy_n = -(known_nV.exp() * known_nV).sum(dim=-1)
            if reference is None:
                return chosen_n, entropy_n
            with torch.no_grad():
                reference_nV = reference[0](*states_n[len(states) :]).log_softmax(dim=-1)
            return chosen_n, entropy_n, exact_kl(log_probs_nV, reference_nV)

        given = (targets_N, *states, *(reference[1] if reference is not None else ()))
        parts: list[tuple[Tensor, ...]] = []
        for piece in zip(*(torch.split(tensor, self.chunk) for tensor in given), strict=True):
            # Recomputed in the backward pass: only one chunk's logits exist at any time.
            parts.append(checkpoint(score, *piece, use_reentrant=False) if torch.is_grad_enabled() else score(*piece))
        return [torch.cat(column) for column in zip(*parts, strict=True)]


def _flat(states: States) -> tuple[Tensor, ...]:
    """The image states as rows of positions."""
    both = (states.image_BTD, states.unconditional_BTD)
    return tuple(each.flatten(0, 1) for each in both if each is not None)


def _scatter(values_N: Tensor, where_BL: Tensor) -> Tensor:
    """Values put back where they belong, 0 elsewhere."""
    return torch.zeros(where_BL.shape, device=values_N.device).masked_scatter(where_BL, values_N)


def flush_left_states(language_model: Any, embedded_BSD: Tensor, pads_B1: Tensor) -> Tensor:  # noqa: ANN401
    """The language model's last states over left-padded rows, [B, S, D].

    Inside, rows lie flush left as the sampler's do, and causal attention never looks at what is behind a row's end:
    with a mask in place of that, half precision would be rounded in another order than while sampling.

    Args:
        pads_B1: how many positions of each row are padding.
    """
    length = embedded_BSD.shape[1]
    place_S = torch.arange(length, device=embedded_BSD.device)
    out = language_model(
        inputs_embeds=_rows(embedded_BSD, (place_S + pads_B1) % length),
        position_ids=place_S[None],
        use_cache=False,
    )
    return _rows(out.last_hidden_state, (place_S - pads_B1) % length)


def _rows(states_BSD: Tensor, places_BS: Tensor) -> Tensor:
    """Of each row the states at these places, in this order."""
    return states_BSD.gather(1, places_BS[:, :, None].expand(-1, -1, states_BSD.shape[2]))
