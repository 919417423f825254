"""Sources of noun phrases: the built-in parser on hand-parsed captions, frozen parses, and no spaCy."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.t2i_compbench.prompt_lists import read_prompts
from benchmarks.t2i_compbench.spatial_prompts import WORDS_2D, WORDS_3D, first_and_last_noun
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.models.phrases._tagging import parse_prompt, split_words
from gotr1_eval.models.phrases.builtin import BuiltinPhrases
from gotr1_eval.models.phrases.frozen import freeze
from tests.conftest import shared_parameters

CHUNKS = {
    "a red backpack and a blue train": ["a red backpack", "a blue train"],
    "A wooden table.": ["A wooden table"],
    "two dogs and three small cats": ["two dogs", "three small cats"],
    "a black and white cat next to a dog": ["a black and white cat", "a dog"],
    "The soft, fluffy clouds drifted across the sky": ["The soft, fluffy clouds", "the sky"],
    "The fresh sushi rolled the sticky rice": ["The fresh sushi", "the sticky rice"],
    "a man is holding a chef's hat": ["a man", "a chef's hat"],
    "a cubic book and a cylindrical can of soup": ["a cubic book", "a cylindrical can", "soup"],
    "a spherical bowling ball and a soda can": ["a spherical bowling ball", "a soda can"],
    "a airplane on the right of a mouse": ["a airplane", "the right", "a mouse"],
    "a butterfly on side of a fish": ["a butterfly", "side", "a fish"],
    "A dog is licking its owner's face": ["A dog", "its owner's face"],
    "a girl hidden by a desk": ["a girl", "a desk"],
    "The red cat is next to the blue dog.": ["The red cat", "the blue dog"],
    "": [],
    "?!": [],
}


@pytest.mark.parametrize("prompt", CHUNKS)
def test_noun_chunks(prompt: str):
    assert list(parse_prompt(prompt).noun_chunks) == CHUNKS[prompt]


def test_parts_of_speech():
    tokens = parse_prompt("a red mouse was hidden by two dogs.").tokens
    assert [token.text for token in tokens] == ["a", "red", "mouse", "was", "hidden", "by", "two", "dogs", "."]
    assert [token.pos for token in tokens] == ["DET", "ADJ", "NOUN", "AUX", "VERB", "ADP", "NUM", "NOUN", "PUNCT"]


@pytest.mark.parametrize("path", shared_parameters("golden/compbench_spatial_*_*.jsonl"))
def test_words_are_split_as_spacy_splits_them(path: Path, read_shared: Callable[[Path], str]):
    for row in map(json.loads, read_shared(path).splitlines()):
        assert split_words(row["prompt"]) == row["tokens"]


@pytest.mark.parametrize("path", shared_parameters("data/t2i_compbench/*_val.txt"))
def test_templated_prompts(path: Path, count_shared: Callable[[Path], Path]):
    """Both objects of every "a X <relation> a Y", and both chunks of every "a X and a Y"."""
    category = path.stem.removesuffix("_val")
    relations = {"spatial": WORDS_2D, "3d_spatial": tuple(f"{word}(?: by)?" for word in WORDS_3D)}
    checked = 0
    for prompt in read_prompts(count_shared(path)):
        parse = parse_prompt(prompt)
        if category in relations:
            found = re.fullmatch(rf"an? (.+?) (?:{'|'.join(relations[category])}) an? (.+)", prompt)
            assert found, prompt
            assert first_and_last_noun(parse.tokens) == tuple(name.split()[-1] for name in found.groups())
            checked += 1
        elif category in ("color", "shape", "texture"):
            found = re.fullmatch(r"(an? (?:(?! of | with |,).)+?) and (an? (?:(?! of | with | and |,).)+?)\.?", prompt)
            if found and len(prompt.split()) <= 12 and "a black gold" not in prompt:
                assert parse.noun_chunks == found.groups(), prompt
                checked += 1
    assert checked >= 150 or category not in (*relations, "color", "shape", "texture")


def test_frozen_parses_are_the_parses(tmp_path: Path):
    prompts = ["a red cat", "two dogs", "a red cat"]
    assert freeze(BuiltinPhrases(), prompts, tmp_path / "parses.jsonl") == 2
    frozen = Builder().phrases({"use": "frozen", "path": str(tmp_path / "parses.jsonl")})
    assert frozen.name == "builtin, frozen"
    assert frozen.parse(prompts) == BuiltinPhrases().parse(prompts)
    freeze(BuiltinPhrases(), prompts[:1], tmp_path / "parses.jsonl")
    again = Builder().phrases({"use": "frozen", "path": str(tmp_path / "parses.jsonl")})
    assert again.fingerprint != frozen.fingerprint
    with pytest.raises(DataError, match="no parse of 'a blue cat'"):
        frozen.parse(["a blue cat"])


PARSE = {"prompt": "a cat", "source": "s", "tokens": [["a", "DET"], ["cat", "NOUN"]], "noun_chunks": ["a cat"]}


@pytest.mark.parametrize(
    "rows",
    [
        [{**PARSE, "tokens": ["a"]}],
        [{**PARSE, "noun_chunks": "a cat"}],
        [{"prompt": "a"}],
        [],
        [PARSE, {**PARSE, "source": "t"}],
    ],
)
def test_files_that_hold_no_parses(rows: list[dict[str, Any]], tmp_path: Path):
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="expected"):
        Builder().phrases({"use": "frozen", "path": str(tmp_path / "p.jsonl")})


@pytest.mark.skipif(importlib.util.find_spec("spacy") is not None, reason="spaCy is installed")
def test_without_spacy_the_extra_is_named():
    with pytest.raises(UsageError, match=r"gotr1-eval\[spacy\]"):
        Builder().phrases({"use": "spacy"}).parse(["a cat"])
