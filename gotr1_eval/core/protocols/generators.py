"""What a generator must offer, and what it may offer beside that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from PIL import Image

from gotr1_eval.core.outcome import Unscored
from gotr1_eval.core.types import Json

UNREAD = "unread_tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What a generator made of one prompt.

    Attributes:
        image: the picture; None where there is none, and never a black one in its place.
        chain: the reasoning text, None when the generator writes none.
        truncated: the chain hit its cap and `<begin_of_image>` was forced.
        meta: what else is worth keeping (token counts, ...); JSON values only. Under `UNREAD` stands how many tokens
            at the end of the text no text encoder has read, where the generator knows.
        missing: why there is no picture: `NOT_GENERATED` is final, `BACKEND` is tried again when the run resumes.

    Raises:
        ValueError: neither a picture nor why there is none, or both.
    """

    image: Image.Image | None
    chain: str | None = None
    truncated: bool = False
    meta: Mapping[str, Json] = field(default_factory=dict)
    missing: Unscored | None = None

    def __post_init__(self) -> None:
        if (self.image is None) == (self.missing is None):
            raise ValueError("what was generated has a picture, or the reason why it has none")


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """Tokens that one sample takes: at most so many for the chain, exactly so many for the picture."""

    chain_at_most: int
    image: int


ABILITIES = ("writes chains", "gives log-probabilities", "trains", "batches", "takes seeds")
"""What a generator may be able to do beside painting; its module says which in a tuple CAN, which listing reads."""


class Generator(Protocol):
    """Makes pictures from prompts."""

    @property
    def name(self) -> str:
        """What the generator is called in tables."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a picture could: checkpoint, sampling settings."""
        ...

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """One picture a prompt, or why there is none. The same prompts and seeds in one call give the same pictures,
        bit for bit."""
        ...


@runtime_checkable
class Independent(Protocol):
    """What a generator offers beside its protocol that may not need whole tiles."""

    @property
    def independent(self) -> bool:
        """Whether a picture depends on its own prompt and seed only, and on nothing that is made in the same call.

        A tile that was made in part is then completed; otherwise all of it is made again.
        """
        ...


@runtime_checkable
class PlansMemory(Protocol):
    """A generator that knows how many samples fit into its device's memory."""

    def fitting_tile(self, most: int) -> int:
        """At least 1, at most `most`."""
        ...
