"""A source of noun phrases, asked about sentences whose nouns nobody disputes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.doctor.checks import Check, sound
from gotr1_eval.core.perception import Parse, Phrases

KNOWN: dict[str, tuple[str, ...]] = {
    "a green apple and a brown elephant": ("a green apple", "a brown elephant"),
    "a wooden door and a fluffy blanket": ("a wooden door", "a fluffy blanket"),
    "a round muffin and a square napkin": ("a round muffin", "a square napkin"),
    "a bee on the right of a refrigerator": ("a bee", "a refrigerator"),
    "a rabbit near a bicycle": ("a rabbit", "a bicycle"),
    "a dog in front of a desk": ("a dog", "a desk"),
    "three lamps and two trains": ("three lamps", "two trains"),
    "The black chair is on top of the blue rug.": ("The black chair", "the blue rug"),
}
"""Sentence -> the first and the last noun phrase that name a thing; each ends in its noun.

All are prompts of T2I-CompBench, so that a file of frozen parses can be asked, and en_core_web_sm 3.6.0 and 3.8.0 agree
on each, although not on every other sentence.
"""
LEAST_RIGHT = 0.75
"""Share of the sentences: another version of a sound parser may read one of them in another way."""


def phrase_checks(source: Phrases) -> Iterator[Check]:
    """Known phrases and nouns, every word in its place, repetition and batches."""
    prompts = list(KNOWN)
    parses = source.parse(prompts)
    if len(parses) == len(prompts):
        wrong = [prompt for prompt, parse in zip(prompts, parses, strict=True) if not _is_right(prompt, parse)]
        detail = f"the phrases of {len(prompts) - len(wrong)} of {len(prompts)} sentences"
        enough = len(prompts) - len(wrong) >= LEAST_RIGHT * len(prompts)
        yield Check("reads sentences", enough, f"{detail}; not of {wrong[0]!r}" if wrong else detail)
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
