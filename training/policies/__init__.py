"""The policy that training asks for: what it must do, and the tokens and scores it deals in; a family is one file.

Shape suffixes: B sequences, L text positions (left-padded), T image tokens, N chosen positions, D width of the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gotr1_eval.models.autoregressive.stages import Stages
from gotr1_eval.models.sampled_sequences import Padded, SampledChain, SampledImages, left_pad

ImageLogProb = Literal["guided", "guided_detached", "conditional"]
"""Whose log-probability an image token has: of the guided distribution that sampled it (exact); of the same with no
gradient through the unconditional row; of the conditional row alone (as T2I-R1 trains, which scales the gradient by
1/s and distils guidance into that row; paper section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the tokens were sampled, and so how they must be scored.

    Attributes:
        entropy_gradient: whether entropies are wanted with a gradient.
    """

    guidance: float
    text_temperature: float = 1.0
    image_temperature: float = 1.0
    image_logprob: ImageLogProb = "guided"
    entropy_gradient: bool = False

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
        sampled_text_BL, sampled_image_BT: log-probabilities as the sampler saw them, 0 where no action is; by them the
            trainer's drift is measured and weighed, and nothing else.
    """

    text: Padded
    chain_BL: Tensor
    image_BT: Tensor
    sampled_text_BL: Tensor
    sampled_image_BT: Tensor

    @classmethod
    def of(
        cls,
        prompts: Sequence[Sequence[int]],
        chains: Sequence[SampledChain],
        image_BT: Tensor,
        sampled_image_BT: Tensor,
        pad: int,
    ) -> Actions:
        """Sequences as they were sampled; all tensors go where the image tokens are."""
        text = left_pad([[*prompt, *chain.ids] for prompt, chain in zip(prompts, chains, strict=True)], pad)
        length = text.ids_BL.shape[1]
        starts_B1 = torch.tensor([[length - len(chain.ids)] for chain in chains])
        counts_B1 = torch.tensor([[len(chain.log_probs)] for chain in chains])
        place_L = torch.arange(length)[None, :]
        chain_BL = (place_L >= starts_B1) & (place_L < starts_B1 + counts_B1)
        sampled_N = torch.tensor([value for chain in chains for value in chain.log_probs])
        sampled_BL = torch.zeros(chain_BL.shape).masked_scatter(chain_BL, sampled_N)
        device = image_BT.device
        return cls(text.to(device), chain_BL.to(device), image_BT, sampled_BL.to(device), sampled_image_BT)

    @classmethod
    def join(cls, parts: Sequence[Actions], pad: int) -> Actions:
        """The sequences of several, in order, padded to the longest of all."""
        longest = max(part.text.ids_BL.shape[1] for part in parts)

        def joined(tensors: Iterable[Tensor], fill: float) -> Tensor:
            return torch.cat([nn.functional.pad(each, (longest - each.shape[1], 0), value=fill) for each in tensors])

        return cls(
            Padded(joined((part.text.ids_BL for part in parts), pad), joined((part.text.mask_BL for part in parts), 0)),
            joined((part.chain_BL for part in parts), False),
            torch.cat([part.image_BT for part in parts]),
            joined((part.sampled_text_BL for part in parts), 0.0),
            torch.cat([part.sampled_image_BT for part in parts]),
        )

    def packed(self) -> dict[str, Tensor]:
        """As a file holds them, on the CPU."""
        tensors = {
            "ids": self.text.ids_BL, "mask": self.text.mask_BL, "chain": self.chain_BL, "image": self.image_BT,
            "sampled_text": self.sampled_text_BL, "sampled_image": self.sampled_image_BT,
        }  # fmt: skip
        return {name: each.cpu() for name, each in tensors.items()}

    @classmethod
    def unpacked(cls, packed: Mapping[str, Tensor], device: torch.device) -> Actions:
        """What `packed` gave."""
        on_device = {name: each.to(device) for name, each in packed.items()}
        return cls(
            Padded(on_device["ids"], on_device["mask"]), on_device["chain"], on_device["image"],
            on_device["sampled_text"], on_device["sampled_image"],
        )  # fmt: skip

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
            self.sampled_text_BL[rows, -longest:],
            self.sampled_image_BT[rows],
        )


@dataclass(frozen=True, slots=True)
class SegmentScores:
    """What the model says of a segment's tokens; float32 [B, L] for the chain, 0 where no action is, [B, T] for images.

    Attributes:
        log_probs_BS: of the sampled tokens.
        entropy_BS: of the distributions they were sampled from, in nats; with a gradient where the sampling says so.
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


@dataclass(frozen=True, slots=True)
class PictureGrid:
    """The pictures that a policy makes: width and height in pixels, image tokens of each, and how many codes there are.

    An image token is a code: a number from 0 up.
    """

    width: int
    height: int
    tokens: int
    codes: int


class Policy(nn.Module, ABC):
    """A model that writes a chain and generates a picture, and scores such sequences with gradients.

    It is one module, so that data parallelism sees one forward pass, and its parameters are the model's.

    Attributes:
        model: in transformers' layout, with its configuration and its weights.
        tokenizer: of the chains.
        sampling: how tokens are sampled, and so how they are scored.
        pad: id that fills up text on the left.
        stages: what calls of the sampler share within `same_weights`.
    """

    model: Any
    tokenizer: Any
    sampling: Sampling
    pad: int
    stages: Stages | None = None

    @contextmanager
    def same_weights(self) -> Iterator[None]:
        """The weights stay what they are inside: KV cache and captured steps are shared by what is sampled there.

        Within another one it adds nothing.
        """
        outer = self.stages
        self.stages = outer or Stages(self.language_model)
        try:
            yield
        finally:
            self.stages = outer

    @abstractmethod
    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """The ids that stand before the chains of these prompts."""

    @abstractmethod
    def encode_chain(self, chain: str) -> list[int]:
        """The ids of a written chain, up to the one that begins the picture, whether or not it ends with a mark."""

    @property
    @abstractmethod
    def grid(self) -> PictureGrid:
        """What its pictures are made of."""

    @abstractmethod
    def picture_encoder(self) -> Callable[[Tensor], Tensor]:
        """From pictures, uint8 [B, height, width, 3], to their image tokens, int64 [B, T].

        By a copy of the weights as they are now, in float32 whatever the training runs in: a code is the nearest of
        thousands, and half precision takes others.
        """

    @abstractmethod
    def picture_digest(self) -> list[float]:
        """Numbers that change where pictures would get other image tokens."""

    @abstractmethod
    def sample_chains(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], cap: int, rows: int
    ) -> list[SampledChain]:
        """A chain of at most `cap` tokens for each encoded prompt, `rows` of them at a time.

        The same seeds, prompts and rows give the same chains.
        """

    @abstractmethod
    def chain_text(self, chain: SampledChain) -> str:
        """What the policy wrote, without what was appended to it."""

    @abstractmethod
    def sample_images(self, texts: Sequence[Sequence[int]], seeds: Sequence[int]) -> SampledImages:
        """Image tokens after each encoded prompt and chain."""

    @abstractmethod
    def decode(self, ids_BT: Tensor) -> Tensor:
        """The pictures of image tokens; uint8 [B, height, width, 3], on the CPU."""

    @abstractmethod
    def forward(self, actions: Actions, reference: tuple[Any, States] | None = None) -> TokenScores:
        """Scores of every action, with gradients; with the reference policy and its states also the exact KL to it."""

    @abstractmethod
    def states(self, actions: Actions) -> States:
        """One pass of the language model over all sequences: the costly part of `forward`."""

    @abstractmethod
    def read(self, states: States, actions: Actions, reference: tuple[Any, States] | None = None) -> TokenScores:
        """The heads' share of `forward`."""

    @abstractmethod
    def hidden_states(self, text: Padded, image_BT: Tensor) -> Tensor:
        """The language model's last states that the heads read, [B, L + T - 1, D].

        Those before the second and every further text token, and those before every image token.
        """

    @abstractmethod
    def text_head(self) -> Callable[[Tensor], Tensor]:
        """From states [N, D] to float32 logits of words, by the weights as they are now."""

    @abstractmethod
    def image_head(self) -> Callable[[Tensor], Tensor]:
        """From states [N, D] to float32 logits of image tokens, by the weights as they are now."""

    @property
    @abstractmethod
    def language_model(self) -> nn.Module:
        """The stack of `layers` between embeddings and heads."""

    @property
    @abstractmethod
    def never_trained(self) -> Sequence[nn.Module]:
        """Parts that stay as they are when the model is trained in full."""

    @abstractmethod
    def adapted_layers(self, targets: Sequence[str]) -> str:
        """Pattern of the full names of the linear layers that adapters of these `targets` go beside."""

    def save(self, folder: Path, weights: dict[str, Tensor]) -> None:
        """Write a whole checkpoint, of these weights, that the family reads."""
        self.model.save_pretrained(folder, state_dict=weights)
        self.tokenizer.save_pretrained(folder)
