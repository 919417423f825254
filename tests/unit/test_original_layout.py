"""DeepSeek's original layout: every way its weights are stored, and every way they can be wrong."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.models.janus.converting import convert
from gotr1_eval.models.janus.loading import load_checkpoint, read_config
from tests.tiny_models import TOKENS, original_checkpoint, random_checkpoint, random_model, random_tokenizer


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return original_checkpoint(tmp_path_factory.mktemp("original"))


@pytest.fixture
def folder(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "copy")


def read(folder):
    return load_checkpoint(folder, device=torch.device("cpu"), dtype=torch.float32)


def tensors(folder):
    return load_file(folder / "model.safetensors")


def halves(weights):
    names = sorted(weights)
    return [{name: weights[name] for name in names[part::2]} for part in (0, 1)]


def write_index(folder, kind, parts):
    names = [f"{kind[0]}-0000{number}-of-00002.{kind[1]}" for number in (1, 2)]
    content = {"weight_map": {key: name for name, part in zip(names, parts, strict=True) for key in part}}
    (folder / f"{kind[0]}.{kind[1]}.index.json").write_text(json.dumps(content))
    return [folder / name for name in names]


def stored_as(folder, way):
    weights = tensors(folder)
    (folder / "model.safetensors").unlink()
    if way == "one .bin":
        torch.save(weights, folder / "pytorch_model.bin")
    elif way == "an old .bin":
        torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    elif way == "sharded .bin":
        parts = halves(weights)
        for path, part in zip(write_index(folder, ("pytorch_model", "bin"), parts), parts, strict=True):
            torch.save(part, path)
    else:
        parts = halves(weights)
        for path, part in zip(write_index(folder, ("model", "safetensors"), parts), parts, strict=True):
            save_file(part, path)


@pytest.mark.parametrize("way", ["one .bin", "an old .bin", "sharded .bin", "sharded safetensors"])
def test_every_way_of_storing_gives_the_same_model(folder, way):
    stored_as(folder, way)
    wanted = random_model(random_tokenizer()).state_dict()
    found = read(folder).model.state_dict()
    assert set(found) == set(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_embeddings_and_head_stay_apart(folder):
    model = read(folder).model
    assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)


def test_the_configuration_is_read_without_the_weights(folder):
    assert read_config(folder).vision_config.num_image_tokens == TOKENS


def fails(folder, error, *words):
    with pytest.raises(error) as caught:
        read(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights: weights.pop("gen_head.vision_head.bias"), ["1 missing", "gen_head.vision_head.bias"]),
        (lambda weights: weights.update(stranger=torch.zeros(1)), ["1 unexpected", "stranger"]),
        (lambda weights: weights.update({"gen_head.vision_head.bias": torch.zeros(2)}), ["of another shape"]),
        (lambda weights: weights.pop("language_model.model.embed_tokens.weight"), ["config.json", "embed_tokens"]),
    ],
)
def test_tensors_that_do_not_fit_are_named(folder, change, words):
    weights = tensors(folder)
    change(weights)
    save_file(weights, folder / "model.safetensors")
    fails(folder, DataError, *words)


def test_a_missing_shard_is_named(folder):
    stored_as(folder, "sharded .bin")
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    fails(folder, DataError, "pytorch_model.bin.index.json", "pytorch_model-00002-of-00002.bin", "missing")


def test_an_index_cannot_point_out_of_its_folder(folder):
    stored_as(folder, "sharded .bin")
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"x": "../copy/config.json"}}))
    fails(folder, DataError, "../copy/config.json")


class Evil:
    """A pickle that would make a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_holds_more_than_tensors_runs_nothing(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Evil(tmp_path / "made")}, protocol=2))
    fails(folder, DataError, "pytorch_model.bin", "more than tensors")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_damaged_file(folder, name):
    (folder / name).write_bytes(b"\x05not what it was")
    fails(folder, DataError, name)


def test_no_weights_at_all(folder):
    (folder / "model.safetensors").unlink()
    fails(folder, UsageError, "no weights")


def test_an_unknown_vision_encoder(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["gotr1_eval_test_overrides"]
    (folder / "config.json").write_text(json.dumps(config))
    fails(folder, DataError, "config.json", "made for tests")


def test_conversion_keeps_the_stored_type_and_refuses_what_it_cannot_do(folder, tmp_path):
    save_file({name: tensor.half() for name, tensor in tensors(folder).items()}, folder / "model.safetensors")
    convert(folder, tmp_path / "out/native")
    written = load_file(tmp_path / "out/native/model.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {torch.float16}
    assert not list((tmp_path / "out").glob(".*"))
    with pytest.raises(UsageError, match="not an empty folder"):
        convert(folder, tmp_path / "out/native")
    with pytest.raises(UsageError, match="already"):
        convert(random_checkpoint(tmp_path / "there"), tmp_path / "again")
