"""Files of tiny reward models with random weights, in the layouts of their authors."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from gotr1_eval.models.reward_models import _hps_v3_files, hps_v3
from gotr1_eval.models.reward_models._affine_head import head_shapes
from gotr1_eval.models.reward_models._image_reward_files import expected_shapes, tower_configs
from tests.tiny_vlms import save_tiny_qwen


def image_reward_file(path: Path) -> dict[str, torch.Tensor]:
    towers = tower_configs(
        image_width=16, image_layers=1, image_hidden=32, image_heads=2, patch=16, grid=14, text_width=16, text_layers=1,
        text_hidden=32, text_heads=2, vocabulary=10, positions=40,
    )  # fmt: skip
    torch.manual_seed(0)
    tensors = {name: torch.randn(shape) * 0.1 for name, shape in expected_shapes(*towers).items()}
    torch.save(tensors, path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
    (path.parent / "vocab.txt").write_text("\n".join(words))
    return tensors


def head_file(path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    torch.save({name: torch.randn(shape) for name, shape in head_shapes(768).items()}, path)
    return path


WORDS = "INSTRUCTION = 'Rate {text_prompt} of 10.'\nprompt_with_special_token = ' Answer: <|Reward|> END'\n"


def hps_v3_model(folder: Path, change: Any = lambda tensors: None, **settings: Any) -> hps_v3.HpsV3:
    """A tiny HPSv3 of its true classes, with files as its authors keep them."""
    save_tiny_qwen(folder, "qwen2_vl")
    with zipfile.ZipFile(folder / "hpsv3.whl", "w") as wheel:
        wheel.writestr("hpsv3/dataset/data_collator_qwen.py", WORDS)
    config = _hps_v3_files.read_config(folder)
    config.text_config.vocab_size = len(_hps_v3_files.load_tokenizer(folder))
    torch.manual_seed(0)
    tensors = {name: torch.randn(shape) * 0.2 for name, shape in _hps_v3_files.expected_shapes(config).items()}
    change(tensors)
    save_file(tensors, folder / "HPSv3.safetensors")
    files = {"weights": folder / "HPSv3.safetensors", "base": str(folder), "package": folder / "hpsv3.whl"}
    model = hps_v3.HpsV3(hps_v3.Settings(**{**files, "device": "cpu"} | settings))
    model.pixels = 16 * 28 * 28
    return model
