"""Weights in the layouts in which the models are published."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import load_file, save_file

from gotr1_eval.core.protocols import Request
from gotr1_eval.models.vlms import qwen
from tests.tiny_vlms import save_tiny_qwen


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl"])
def test_the_layout_of_the_published_weights_is_read(tmp_path, kind):
    """The hub's files name the vision part `visual` and the language part `model`, without the prefix of today."""
    save_tiny_qwen(tmp_path, kind)
    request = Request(prompt="?", choices=("1", "2"))
    expected = qwen.QwenVlm(qwen.Settings(model=str(tmp_path))).reply([request])
    path = tmp_path / "model.safetensors"
    renamed = {
        name.replace("model.visual.", "visual.").replace("model.language_model.", "model."): weight
        for name, weight in load_file(path).items()
    }
    save_file(renamed, path, metadata={"format": "pt"})
    assert qwen.QwenVlm(qwen.Settings(model=str(tmp_path))).reply([request]) == expected


@pytest.mark.parametrize("place", ["top", "text_config"])
def test_a_head_tied_to_the_embeddings_is_not_missing(tmp_path, place):
    """As in the smaller published models, whose files hold no head."""
    save_tiny_qwen(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["lm_head.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    (config if place == "top" else config["text_config"])["tie_word_embeddings"] = True
    (tmp_path / "config.json").write_text(json.dumps(config))
    vlm = qwen.QwenVlm(qwen.Settings(model=str(tmp_path)))
    vlm.reply([Request(prompt="?", max_tokens=1)])
    assert vlm.loaded.model.lm_head.weight is vlm.loaded.model.get_input_embeddings().weight
