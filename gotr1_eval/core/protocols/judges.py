"""What a judge must offer, and what it may offer beside that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, runtime_checkable

from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.types import AskedCalls, Sample

LooksAt = Literal["prose", "plan", "grounding", "picture"]
"""What a judge reads of a sample: the chain's words, the chain's boxes, the picture against the boxes, or the picture
against the prompt."""
READS_CHAIN: frozenset[LooksAt | None] = frozenset({"prose", "plan", "grounding"})
READS_PICTURE: frozenset[LooksAt | None] = frozenset({"grounding", "picture"})
"""What a judge looks at that says nothing about a sample without a chain, or without a picture."""


class Judge(Protocol):
    """Answers a batch of samples with scores, or says why it cannot."""

    @property
    def name(self) -> str:
        """What the number is called; states detector, model and semantics (``reasoning_image[shapes]``)."""
        ...

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value a score may take."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a score could: version, prompt file, model, settings."""
        ...

    @property
    def may_not_apply(self) -> bool:
        """Whether the judge answers `NOT_APPLICABLE` to some prompts; a total must be told what then."""
        ...

    @property
    def looks_at(self) -> LooksAt | None:
        """What the judge reads of a sample; None where it is none of these, and a user must say what comes nearest."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """Keys of `Sample.meta` without any of which the judge scores nothing (``{"geneval"}``); mostly none."""
        ...

    @property
    def model_calls(self) -> int:
        """Questions to a language-vision model that one sample takes, re-asks aside; 0 for computed judges."""
        ...

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample, in order. Raises only what is a bug or the user's error."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A judge with something to tell about what it judges by, such as a file that somebody else made."""

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """What a reader of its numbers should know, a line each.

        Args:
            samples: all of the run; their pictures may not be made yet.
        """
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """A judge that asks some samples more than others, and says how much before it does."""

    def calls(self, sample: Sample) -> AskedCalls:
        """What the sample will take; `model_calls` of such a judge is the least."""
        ...


@runtime_checkable
class Refusable(Protocol):
    """A judge that may score anything, and of which something may be known that speaks against training on it."""

    @property
    def refused_as_reward(self) -> str:
        """Why it may be no reward, and what to do; empty where it may."""
        ...
