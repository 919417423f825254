"""A source of noun phrases, asked about sentences whose nouns nobody disputes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.doctor.checks import Check, sound
from gotr1_eval.core.perception import Parse, Phrases

KNOWN: dict[str, tuple[str, ...]] = {
    "a red apple and a green bench": ("a red apple", "a green bench"),
    "a wooden chair and a metal table": ("a wooden chair", "a metal table"),
    "a round clock and a square window": ("a round clock", "a square window"),
    "a dog on the left of a cat": ("a dog", "a cat"),
    "a boat next to a bird": ("a boat", "a bird"),
    "a man in front of a tree": ("a man", "a tree"),
    "three bananas and two cups": ("three bananas", "two cups"),
    "The black camera is next to the white tripod.": ("The black camera", "the white tripod"),
}
"""Sentence -> the first and the last noun phrase that name a thing; each ends in its noun."""


def phrase_checks(source: Phrases) -> Iterator[Check]:
    """Known phrases and nouns, every word in its place, repetition and batches."""
    prompts = list(KNOWN)
    parses = source.parse(prompts)
    if len(parses) == len(prompts):
        wrong = [prompt for prompt, parse in zip(prompts, parses, strict=True) if not _is_right(prompt, parse)]
        detail = f"the phrases of {len(prompts) - len(wrong)} of {len(prompts)} sentences"
        yield Check("reads sentences", not wrong, f"{detail}; not of {wrong[0]!r}" if wrong else detail)
    yield sound(_faults(prompts, parses), f"{len(prompts)} sentences")
    yield Check("same twice", list(parses) == list(source.parse(prompts)), f"{len(prompts)} parses")
    singles = [source.parse([prompt])[0] for prompt in prompts]
    yield Check("batch equals single", list(parses) == singles, f"{len(prompts)} parses, to the word")


def _is_right(prompt: str, parse: Parse) -> bool:
    first, last = KNOWN[prompt]
    nouns = [token.text for token in parse.tokens if token.pos == "NOUN"]
    ends = (first.split()[-1], last.split()[-1])
    return {first, last} <= set(parse.noun_chunks) and bool(nouns) and (nouns[0], nouns[-1]) == ends


def _faults(prompts: Sequence[str], parses: Sequence[Parse]) -> list[str]:
    if len(parses) != len(prompts):
        return [f"{len(parses)} parses of {len(prompts)} sentences"]
    faults = []
    for prompt, parse in zip(prompts, parses, strict=True):
        if "".join(token.text for token in parse.tokens).split() != ["".join(prompt.split())]:
            faults.append(f"the words of {prompt!r} are not its tokens")
        if foreign := [chunk for chunk in parse.noun_chunks if chunk not in prompt]:
            faults.append(f"{foreign[0]!r} does not stand in {prompt!r}")
    return faults
