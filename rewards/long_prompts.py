"""Prompts that are longer than a model reads: noted at every sample, and counted for the reader of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from gotr1_eval.core.protocols import CutsTexts
from gotr1_eval.core.types import Sample

_AT_ONCE = 1000
"""Prompts in memory while they are counted: a run may have millions."""


def cut_notes(model: object, prompts: Sequence[str]) -> list[str]:
    """What to note at each sample: empty, or how much of its prompt the model did not read."""
    if not isinstance(model, CutsTexts):
        return [""] * len(prompts)
    return [f"the prompt's last {lost} tokens were not read" if lost else "" for lost in model.cut_off(prompts)]


def cut_remarks(model: object, name: str, samples: Iterable[Sample]) -> list[str]:
    """A line where some of the samples' prompts are longer than the model reads.

    Args:
        name: of the model.
    """
    if not isinstance(model, CutsTexts):
        return []
    cut = total = 0
    for prompts in _in_parts(sample.prompt for sample in samples):
        total += len(prompts)
        cut += sum(lost > 0 for lost in model.cut_off(prompts))
    return [f"{name} does not read the end of {cut} of {total} prompts: they are longer than it takes"] if cut else []


def _in_parts(prompts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(prompts)
    while part := list(islice(remaining, _AT_ONCE)):
        yield part
