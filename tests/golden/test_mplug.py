"""mPLUG-large VQA against golden vectors: what ModelScope's own model answers on random weights, state by state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.models.vqa import mplug
from gotr1_eval.models.vqa.mplug import MplugVqa, padded
from tests.conftest import shared_files, shared_parameters
from tests.tiny_mplug import mplug_vqa, recipe, write_folder

pytestmark = pytest.mark.slow

VOCABULARY = "golden/models/extra/bert-base-uncased-vocab.txt"
CONFIGS = ("tiny_s6", "tiny_s3", "tiny_same", "mid_s3")
HALVES = shared_parameters("golden/models/mplug/meta*.json")


class Half:
    """One half of the vectors, and its models as official folders."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.folder, self.path, self.meta = folder, path, json.loads(path.read_text(encoding="utf-8"))
        self.vectors = np.load(path.parent / "vectors.npz")
        self.words = shared_files(VOCABULARY)[0].read_text(encoding="utf-8").split("\n")
        self.built: dict[str, MplugVqa] = {}

    def model(self, config: str) -> MplugVqa:
        if config not in self.built:
            sizes = self.meta["configs"][config]
            manifest = json.loads(shared_files("golden/models/mplug/meta.json")[0].read_text())["configs"][config]
            state = {
                name: recipe(sizes["salt"], name, shape, self.meta["rules"])
                for name, shape in manifest["manifest"].items()
            }
            head, embedded = "text_decoder.cls.predictions", "text_decoder.bert.embeddings.word_embeddings.weight"
            state[f"{head}.decoder.weight"] = state[embedded].copy()
            bias = state[f"{head}.bias"]
            bias[[self.words.index(word) for word in self.meta["logit_bias_added"]["words"]]] += 14
            bias[102] += 22
            bias[[self.words.index("yes"), self.words.index("no")]] += 5
            state[f"{head}.decoder.bias"] = bias.copy()
            tensors = {name: torch.from_numpy(value.astype(np.float32)) for name, value in state.items()}
            folder = write_folder(self.folder / config, tensors, sizes, self.words[:-1])
            self.built[config] = mplug_vqa(folder)
        return self.built[config]

    def pictures(self) -> list[Image.Image]:
        """As they lie in their files, of every mode and not turned by EXIF."""
        opened = []
        for one in self.meta["pictures"]:
            with Image.open(self.path.parent / one["file"]) as picture:
                opened.append(picture.copy())
        return opened

    def vector(self, *names: object) -> np.ndarray:
        return self.vectors["__".join(map(str, names))]


@pytest.fixture(scope="module")
def half(request: Any, tmp_path_factory: Any) -> Half:
    return Half(request.param, tmp_path_factory.mktemp("mplug"))


@pytest.mark.parametrize("half", HALVES, indirect=True)
def test_pictures_are_squashed_as_the_pipeline_does(half: Half, count_shared: Callable[[Path], Path]):
    count_shared(half.path)
    for one, picture in zip(half.meta["pictures"], half.pictures(), strict=True):
        prepared = mplug.prepare(picture, 504).numpy()
        np.testing.assert_allclose(
            prepared[:, ::24, ::24], half.vector("px504_sub", Path(one["file"]).stem), atol=1e-6, err_msg=one["file"]
        )
        assert prepared.mean() == pytest.approx(one["pixel504_mean"], abs=1e-5)


@pytest.mark.parametrize("half", HALVES, indirect=True)
def test_questions_are_cut_to_25_tokens(half: Half):
    tokenizer = half.model("tiny_s6").loaded.tokenizer
    for asked in half.meta["questions"]:
        ids, hidden = padded([tokenizer.ids(asked["text"])])
        assert ids[0].tolist() == asked["input_ids"], asked["text"]
        assert (~hidden[0]).int().tolist() == asked["attention_mask"]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("half", HALVES, indirect=True)
def test_all_hypotheses_are_the_reference_s(half: Half, config: str):
    """Ids and texts equal, scores to 5e-4; every question about a picture in one call."""
    model, texts = half.model(config), [one["text"] for one in half.meta["questions"]]
    results = half.meta["configs"][config]["results"]
    by_picture: dict[int, list[int]] = {}
    for one in results:
        by_picture.setdefault(one["picture"], []).append(one["question"])
    pictures, asked = half.pictures(), [[texts[place] for place in each] for each in by_picture.values()]
    shown = [pictures[place] for place in by_picture]
    found = [each for one in model.hypotheses(shown, asked) for each in one]
    chances = [each for one in model.probability(shown, asked) for each in one]
    for one, hypotheses, chance in zip(results, found, chances, strict=True):
        told = (config, one["picture"], one["question"])
        assert [list(each.ids) for each in hypotheses[:5]] == [beam["ids"] for beam in one["beams"]], told
        assert [each.score for each in hypotheses[:5]] == pytest.approx([b["score"] for b in one["beams"]], abs=5e-4)
        assert [model.loaded.tokenizer.text(each.ids) for each in hypotheses[:5]] == [b["text"] for b in one["beams"]]
        assert chance == pytest.approx(1 / (1 + np.exp(-one["p_yes_minus_no"])), abs=5e-4)
    assert [text for one in model.answer(shown, asked) for text in one] == [one["text"] for one in results]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("half", HALVES, indirect=True)
def test_states_and_logits_are_the_reference_s(half: Half, config: str):
    """States to 1e-4, logits to 5e-4; the decoder keeps its keys, the reference runs the whole prefix again."""
    model, ids = half.model(config), half.meta["fixed_logit_ids"]
    network, thinned = model.loaded.network, 6 if config.startswith("mid") else 1
    for picture, question in half.meta["configs"][config]["state_pairs"]:
        pair = f"{picture}_{question}"
        pixels = mplug.prepare(half.pictures()[picture], network.sizes.side)
        asked = [model.loaded.tokenizer.ids(half.meta["questions"][question]["text"])]
        with torch.inference_mode():
            seen = network.see(pixels[None])
            ids_QT, hidden_QT = padded(asked)
            read = network.read(ids_QT, hidden_QT)
            fused = network.fuse(seen, read, hidden_QT)
        expected = half.vector(config, pair, "visn" if network.sizes.narrowed else "vis_ln_post")
        np.testing.assert_allclose(seen[:, ::thinned], expected, atol=1e-4)
        np.testing.assert_allclose(
            read, half.vector(config, pair, f"txt_layer{network.sizes.text_layers - 1}"), atol=1e-4
        )
        both = torch.cat([fused[0].expand(1, -1, -1), fused[1]], dim=1)[:, ::thinned]
        np.testing.assert_allclose(both, half.vector(config, pair, "fused"), atol=1e-4)
        step = 0
        while f"{config}__{pair}__step{step}_seq" in half.vectors:
            sequences = torch.from_numpy(half.vector(config, pair, f"step{step}_seq").astype(np.int64))
            with torch.inference_mode():
                state = network.answer(*fused, hidden_QT)
                for token in sequences.T:
                    logits = state.advance(token)
            named = half.vector(config, pair, f"step{step}_logits_fixed")
            np.testing.assert_allclose(logits[:, ids], named, atol=5e-4)
            total = half.vector(config, pair, f"step{step}_logsumexp")
            np.testing.assert_allclose(logits.logsumexp(dim=-1), total, atol=5e-4)
            step += 1
        assert step >= 2


@pytest.mark.parametrize("half", HALVES, indirect=True)
def test_greedy_takes_the_likeliest_token_and_answers_otherwise(half: Half):
    """The first token is the reference's likeliest; on these weights about half of the answers change."""
    results = half.meta["configs"]["tiny_s6"]["results"]
    greedy = mplug_vqa(half.model("tiny_s6")._folder, decoding="greedy")
    texts = [one["text"] for one in half.meta["questions"]]
    pictures = half.pictures()
    found = [greedy.hypotheses([pictures[one["picture"]]], [[texts[one["question"]]]])[0][0][0] for one in results[:9]]
    assert [one.ids[1] for one in found] == [one["greedy_first"] for one in results[:9]]
    assert [list(one.ids) for one in found] != [one["beams"][0]["ids"] for one in results[:9]]
