"""The recipe of the shipped checkpoint, run for a few steps: what it writes can be loaded and sampled from."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import JanusForConditionalGeneration

from gotr1_eval.models.generators.janus import Settings, build
from gotr1_eval.models.janus.sequence import load_tokenizer
from training.sft import SftOptions
from training.tiny.janus import Recipe, build_tiny_janus, train_tokenizer
from training.tiny.shapes_corpus import examples
from training.tiny.tokenizer import GOT
from training.tiny.vq import VqOptions

FEW = VqOptions(steps=2, batch_size=2)
QUICK = Recipe(corpus=48, vq_pictures=16, vq=FEW, decoder=(FEW, FEW), sft=(SftOptions(steps=2, batch_size=4),) * 2)


def test_the_tokenizer_spells_digits_and_any_text():
    tokenizer = train_tokenizer(examples(50, 0))
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("(250", add_special_tokens=False))[1:] == ["2", "5", "0"]
    for text in ("a red circle", "naïve 日本 🎨\n", "x<|box_start|>(0,1),(2,3)<|box_end|>"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    first = tokenizer.convert_tokens_to_ids(GOT[0])
    assert tokenizer.convert_tokens_to_ids(list(GOT)) == [first, first + 1, first + 2, first + 3]


@pytest.mark.slow
def test_the_recipe_writes_a_native_checkpoint_and_the_same_one_twice(tmp_path):
    for name in ("one", "two"):
        build_tiny_janus(tmp_path / name, seed=1, recipe=QUICK)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    sample = build(Settings(ckpt=str(tmp_path / "one"), chain_cap=10), workshop=None).generate(["a red circle"], [0])[0]
    assert np.asarray(sample.image).shape == (64, 64, 3)
    assert load_tokenizer(tmp_path / "one").convert_tokens_to_ids(list(GOT))
    assert json.loads((tmp_path / "one" / "preprocessor_config.json").read_text())["image_mean"] == [0.5, 0.5, 0.5]
    _, info = JanusForConditionalGeneration.from_pretrained(tmp_path / "one", output_loading_info=True)
    assert not any(info.values())
