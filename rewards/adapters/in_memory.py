"""What the adapters share: samples from what a trainer holds, and what to hand it for an unscored one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from gotr1_eval.core.errors import BackendError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample

Picture = str | Path | Image.Image | None


def make_samples(prompts: Sequence[str], chains: Sequence[str | None], pictures: Sequence[Picture]) -> list[Sample]:
    """Samples of one training step, numbered."""
    return [
        Sample(id=str(index), prompt=prompt, chain=chain, image=Path(picture) if isinstance(picture, str) else picture)
        for index, (prompt, chain, picture) in enumerate(zip(prompts, chains, pictures, strict=True))
    ]


def value_or(outcome: Outcome, unscored: float | None) -> float:
    """The value, or for an unscored sample the stand-in that the user chose.

    Raises:
        BackendError: the sample is unscored and no stand-in was chosen. A trainer that cannot leave a sample out of
            its group must not be fed a number nobody decided on.
    """
    if isinstance(outcome, Score):
        return outcome.value
    if unscored is None:
        raise BackendError(
            f"a sample is unscored ({outcome.why.value}: {outcome.detail}) and this trainer cannot leave it out; "
            "choose a stand-in with unscored=..."
        )
    return unscored
