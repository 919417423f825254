"""The policy: what the model now says of tokens that were sampled, with gradients (paper sections 1 and 4).

One forward pass over prompt, chain and picture gives both segments: the language head reads the states before the
chain's tokens, the image head those before the picture's, and neither is run anywhere else. A chain is scored at the
temperature it was sampled with; a picture after guidance, since the distribution that painted it is
softmax((u + s (c - u)) / temperature).

Shape suffixes: B sequences, L text positions (left-padded), T image tokens, N chosen positions, V vocabulary or
codebook, D width of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gotr1_eval.models.janus.choosing import guide
from gotr1_eval.models.janus.sampling import SampledChain
from gotr1_eval.models.janus.sequence import Padded, left_pad, unconditional
from training.loss import exact_kl
from training.sft import hidden_states

ImageLogProb = Literal["guided", "guided_detached", "conditional"]
"""Whose log-probability an image token has: of the guided distribution that sampled it (exact); of the same with no
gradient through the unconditional row; of the conditional row alone (as T2I-R1 trains, which scales the gradient by
1/s and distils guidance into that row; paper section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the tokens were drawn, and so how they must be scored."""

    guidance: float
    text_temperature: float = 1.0
    image_temperature: float = 1.0
    image_logprob: ImageLogProb = "guided"

    @property
    def guided(self) -> bool:
        """Whether an unconditional row takes part."""
        return self.guidance > 1 and self.image_logprob != "conditional"


@dataclass(frozen=True, slots=True)
class Actions:
    """Sampled sequences side by side.

    Attributes:
        text: prompt and chain, ending with `<begin_of_image>`.
        chain_BL: bool: a token of the chain that was sampled. An appended `<begin_of_image>` and pads are no actions.
        image_BT: int64 image tokens; every one was sampled.
        drawn_text_BL, drawn_image_BT: log-probabilities as the sampler saw them, 0 where no action is; by them the
            trainer's drift is measured, and nothing else.
    """

    text: Padded
    chain_BL: Tensor
    image_BT: Tensor
    drawn_text_BL: Tensor
    drawn_image_BT: Tensor

    @classmethod
    def of(
        cls,
        prompts: Sequence[Sequence[int]],
        chains: Sequence[SampledChain],
        image_BT: Tensor,
        drawn_image_BT: Tensor,
        pad: int,
    ) -> Actions:
        """Sequences as they were sampled; all tensors go where the image tokens are."""
        text = left_pad([[*prompt, *chain.ids] for prompt, chain in zip(prompts, chains, strict=True)], pad)
        length = text.ids_BL.shape[1]
        starts_B1 = torch.tensor([[length - len(chain.ids)] for chain in chains])
        counts_B1 = torch.tensor([[len(chain.log_probs)] for chain in chains])
        place_L = torch.arange(length)[None, :]
        chain_BL = (place_L >= starts_B1) & (place_L < starts_B1 + counts_B1)
        drawn_N = torch.tensor([value for chain in chains for value in chain.log_probs])
        drawn_BL = torch.zeros(chain_BL.shape).masked_scatter(chain_BL, drawn_N)
        device = image_BT.device
        return cls(text.to(device), chain_BL.to(device), image_BT, drawn_BL.to(device), drawn_image_BT)

    def __len__(self) -> int:
        return len(self.image_BT)

    def select(self, rows: Tensor) -> Actions:
        """Some of the sequences (int64 indices), with no more padding than they need."""
        mask_BL = self.text.mask_BL[rows]
        longest = int(mask_BL.sum(dim=1).max())
        text = Padded(self.text.ids_BL[rows, -longest:], mask_BL[:, -longest:])
        return Actions(
            text,
            self.chain_BL[rows, -longest:],
            self.image_BT[rows],
            self.drawn_text_BL[rows, -longest:],
            self.drawn_image_BT[rows],
        )


@dataclass(frozen=True, slots=True)
class SegmentScores:
    """What the model says of a segment's tokens; float32 [B, L] for the chain, 0 where no action is, [B, T] for images.

    Attributes:
        log_probs_BS: of the sampled tokens.
        entropy_BS: of the distributions they were drawn from, in nats, without gradient.
        kl_BS: exact KL to the reference, where its states were given.
    """

    log_probs_BS: Tensor
    entropy_BS: Tensor
    kl_BS: Tensor | None = None


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Both segments' scores."""

    text: SegmentScores
    image: SegmentScores


@dataclass(frozen=True, slots=True)
class States:
    """The language model's states where a head is to read them; the unconditional ones only with guidance."""

    text_ND: Tensor
    image_BTD: Tensor
    unconditional_BTD: Tensor | None


class Policy(nn.Module):
    """A Janus with a way to score actions; wrapped as one module, so that data parallelism sees one forward pass.

    Args:
        chunk: positions whose logits are held at once; 102,400 words times a batch would not fit.
    """

    def __init__(self, model: Any, sampling: Sampling, pad: int, chunk: int = 1024) -> None:  # noqa: ANN401
        super().__init__()
        self.model = model
        self.sampling = sampling
        self.pad = pad
        self.chunk = chunk

    def forward(self, actions: Actions, reference: tuple[Policy, States] | None = None) -> TokenScores:
        """Scores of every action; with the reference's states also the exact KL to it."""
        return self.read(self.states(actions), actions, reference)

    def states(self, actions: Actions) -> States:
        """One pass of the language model over conditional and unconditional rows."""
        how = self.sampling
        length, rows = actions.text.ids_BL.shape[1], len(actions)
        before_BL = actions.chain_BL.roll(-1, dims=1)  # position 0 holds bos, which is never an action
        if not how.guided:
            states_BSD = hidden_states(self.model, actions.text, actions.image_BT)
            return States(states_BSD[:, :length][before_BL], states_BSD[:, length - 1 :], None)
        empty = Padded(unconditional(actions.text, self.pad), actions.text.mask_BL)
        if how.image_logprob == "guided_detached":
            states_BSD = hidden_states(self.model, actions.text, actions.image_BT)
            with torch.no_grad():
                empty_BSD = hidden_states(self.model, empty, actions.image_BT)
        else:
            both = Padded(torch.cat([actions.text.ids_BL, empty.ids_BL]), torch.cat([empty.mask_BL, empty.mask_BL]))
            both_RSD = hidden_states(self.model, both, torch.cat([actions.image_BT, actions.image_BT]))
            states_BSD, empty_BSD = both_RSD[:rows], both_RSD[rows:]
        return States(states_BSD[:, :length][before_BL], states_BSD[:, length - 1 :], empty_BSD[:, length - 1 :])

    def read(self, states: States, actions: Actions, reference: tuple[Policy, States] | None = None) -> TokenScores:
        """The heads' share of `forward`."""
        text = self._segment(
            self.text_logits,
            (states.text_ND,),
            actions.text.ids_BL[actions.chain_BL],
            None if reference is None else (reference[0].text_logits, (reference[1].text_ND,)),
        )
        image = self._segment(
            self.image_logits,
            _flat(states),
            actions.image_BT.flatten(),
            None if reference is None else (reference[0].image_logits, _flat(reference[1])),
        )
        return TokenScores(
            SegmentScores(*(_scatter(values_N, actions.chain_BL) for values_N in text)),
            SegmentScores(*(values_N.view_as(actions.image_BT) for values_N in image)),
        )

    def text_logits(self, states_ND: Tensor) -> Tensor:
        """float32 [N, V], divided by the temperature."""
        logits_NV: Tensor = self.model.lm_head(states_ND).float()
        return logits_NV / self.sampling.text_temperature

    def image_logits(self, states_ND: Tensor, unconditional_ND: Tensor | None = None) -> Tensor:
        """float32 [N, V], guided where there is an unconditional row, and divided by the temperature."""
        head = self.model.model.generation_head
        logits_NV: Tensor = head(states_ND).float()
        if unconditional_ND is not None:
            empty_NV = head(unconditional_ND).float()
            if self.sampling.image_logprob == "guided_detached":
                empty_NV = empty_NV.detach()
            logits_NV = guide(logits_NV, empty_NV, self.sampling.guidance)
        return logits_NV / self.sampling.image_temperature

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
            frozen_nV = log_probs_nV.detach()
            entropy_n = -(frozen_nV.exp() * frozen_nV).sum(dim=-1)
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


Logits = Callable[..., Tensor]


def _flat(states: States) -> tuple[Tensor, ...]:
    """The image states as rows of positions."""
    both = (states.image_BTD, states.unconditional_BTD)
    return tuple(each.flatten(0, 1) for each in both if each is not None)


def _scatter(values_N: Tensor, where_BL: Tensor) -> Tensor:
    """Values put back where they belong, 0 elsewhere."""
    return torch.zeros(where_BL.shape, device=values_N.device).masked_scatter(where_BL, values_N)
