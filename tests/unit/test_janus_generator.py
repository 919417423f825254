"""The Janus generator as a plug-in: what it gives, and what it says when a checkpoint is no good."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.plugins import GENERATORS
from gotr1_eval.models.generators.janus import JanusGenerator, Settings, build
from gotr1_eval.settings import read_settings
from gotr1_eval.shapes.detecting import find_objects
from gotr1_eval.shapes.prompts import prompts
from tests.tiny_models import random_checkpoint

PROMPTS = ("a red circle", "two striped blue squares on the left of a green cross", "")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return random_checkpoint(tmp_path_factory.mktemp("janus"))


@pytest.fixture
def folder(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "copy")


def generator(folder, **settings):
    return build(Settings(ckpt=str(folder), chain_cap=12, **settings), workshop=None)


def pixels(generated):
    return [np.asarray(one.image) for one in generated]


def test_it_is_listed_as_a_generator():
    assert "janus" in GENERATORS.list()


def test_the_same_call_gives_the_same_bits(pristine):
    first, second = (generator(pristine).generate(PROMPTS, [1, 2, 3]) for _ in range(2))
    assert [one.chain for one in first] == [one.chain for one in second]
    assert all(np.array_equal(one, other) for one, other in zip(pixels(first), pixels(second), strict=True))
    assert first[0].image.size == (8, 8)


def test_a_batch_equals_single_runs(pristine):
    loaded = generator(pristine, text_temperature=0.0, image_temperature=0.0)
    batch = loaded.generate(PROMPTS, [1, 2, 3])
    for prompt, together in zip(PROMPTS, batch, strict=True):
        alone = loaded.generate([prompt], [9])[0]
        assert alone.chain == together.chain
        assert np.abs(np.asarray(alone.image, dtype=int) - np.asarray(together.image, dtype=int)).max() <= 1


def test_another_seed_gives_another_sample(pristine):
    one, other = generator(pristine).generate(["a red circle"] * 2, [1, 2])
    assert one.chain != other.chain


def test_truncation_is_told(pristine):
    sample = generator(pristine, text_temperature=0.0).generate(["a red circle"], [1])[0]
    assert sample.truncated
    assert not parse_chain(sample.chain).ended


def test_nothing_in_nothing_out(pristine):
    assert generator(pristine).generate([], []) == []


def test_the_fingerprint_follows_settings_and_weights(pristine, folder):
    same = generator(folder).fingerprint
    assert generator(pristine).fingerprint == same
    assert generator(pristine, guidance=2.0).fingerprint != same
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"][0, 0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert generator(folder).fingerprint != same


def test_the_heads_keep_their_own_weights(pristine):
    model = generator(pristine).checkpoint.model
    assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)
    assert torch.equal(model.lm_head.weight, load_file(pristine / "model.safetensors")["lm_head.weight"])


def test_a_missing_folder():
    with pytest.raises(UsageError, match="no checkpoint folder"):
        build(Settings(ckpt="nowhere"), workshop=None)


@pytest.mark.parametrize("setting", [{"guidence": 2}, {"text_temperature": -1}, {"chain_cap": 0}])
def test_bad_settings(setting):
    with pytest.raises(UsageError):
        read_settings(Settings, {"ckpt": "x", **setting}, where="test")


def fails(folder, error, *words):
    with pytest.raises(error) as caught:
        _ = generator(folder).checkpoint
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    fails(folder, UsageError, name)


def test_missing_weights(folder):
    (folder / "model.safetensors").unlink()
    fails(folder, UsageError, "model.safetensors")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_damaged_file(folder, name):
    (folder / name).write_bytes(b"\x05not what it was")
    fails(folder, DataError, name)


def test_a_setting_of_the_wrong_type_in_the_configuration(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "text_config": "none"}))
    fails(folder, DataError, "config.json", "text_config")


def test_another_model(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    fails(folder, UsageError, "config.json", "llama", "janus")
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "multi_modality"}))
    fails(folder, DataError, "config.json", "language_config")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights: weights.pop("lm_head.weight"), ["missing", "lm_head.weight"]),
        (lambda weights: weights.update(stranger=torch.zeros(1)), ["unexpected", "stranger"]),
        (lambda weights: weights.update({"lm_head.weight": torch.zeros(2, 2)}), ["shape", "lm_head.weight"]),
    ],
)
def test_weights_that_do_not_fit(folder, change, words):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    fails(folder, DataError, "model.safetensors", *words)


def test_a_tokenizer_without_the_tokens(folder):
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    (folder / "tokenizer.json").write_text(text.replace("<begin_of_image>", "<begun_of_image>"), encoding="utf-8")
    fails(folder, DataError, "tokenizer.json", "<begin_of_image>")


@pytest.mark.slow
def test_the_shipped_checkpoint_plans_and_paints():
    asked = prompts("spatial", "val")[:16]
    samples = JanusGenerator(Settings(ckpt="tiny-janus", guidance=2.0)).generate(asked, range(16))
    parsed = [parse_chain(sample.chain) for sample in samples]
    assert sum(len(chain.boxed) >= 1 and not chain.defects for chain in parsed) >= 14
    assert sum(bool(find_objects(sample.image)) for sample in samples) >= 14
