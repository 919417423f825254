"""CLIP from OpenAI's and open_clip's files, against tiny models that share no code with what reads them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.models.encoders.clip import ClipModelEncoder, fit_and_crop
from tests.conftest import shared_parameters
from tests.tiny_clip import OpenClip, clip_encoder, random_open_clip, write_tokenizer


class QuickGelu(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


class Program(nn.Module):
    """What OpenAI publishes: the model as a program with its tensors, in half precision, and three numbers."""

    def __init__(self, model: OpenClip) -> None:
        super().__init__()
        for name, part in model.named_children():
            self.add_module(name, part)
        for name, parameter in model.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, number in (("input_resolution", 32), ("context_length", 77), ("vocab_size", 514)):
            self.register_buffer(name, torch.tensor(number))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.visual(pixels)


def with_quick_gelu(model: OpenClip) -> OpenClip:
    for tower in (model.visual.transformer, model.transformer):
        for block in tower.resblocks:
            block.mlp.gelu = QuickGelu()
    return model


def as_safetensors(model: OpenClip, folder: Path) -> Path:
    save_file(dict(model.state_dict()), folder / "open_clip_model.safetensors")
    return folder / "open_clip_model.safetensors"


def as_tensors(model: OpenClip, folder: Path) -> Path:
    torch.save({"state_dict": model.state_dict()}, folder / "ViT-B-32.pt")
    return folder / "ViT-B-32.pt"


def as_program(model: OpenClip, folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Program(model).eval(), torch.zeros(1, 3, 32, 32), check_trace=False)
        torch.jit.save(traced, folder / "ViT-B-32.pt")
    return folder / "ViT-B-32.pt"


def encoder(path: Path, **settings: Any) -> ClipModelEncoder:
    return clip_encoder(path, **{"head_width": 8} | settings)


def pictures() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    return [
        Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for height, width in ((40, 40), (32, 50), (9, 33))
    ]


def units(rows: torch.Tensor) -> np.ndarray:
    made: np.ndarray = (rows / rows.norm(dim=-1, keepdim=True)).detach().numpy()
    return made


@pytest.mark.parametrize("write", [as_safetensors, as_tensors, as_program])
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_files_embed_as_the_model_that_wrote_them(
    tmp_path: Path, write: Callable[[OpenClip, Path], Path], activation: str
):
    model = random_open_clip()
    if activation == "quick_gelu":
        with_quick_gelu(model)
    write_tokenizer(tmp_path)
    clip = encoder(write(model, tmp_path), activation=activation)
    expected = units(model.visual(torch.stack([fit_and_crop(one, 32) for one in pictures()])))
    np.testing.assert_allclose(clip.embed_images(pictures()), expected, atol=1e-5)
    ids = clip.loaded.tokenizer(["a red"], padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
    np.testing.assert_allclose(clip.embed_texts(["a red"]), units(model.encode_text(ids)), atol=1e-5)
    other = encoder(clip._weights, activation="gelu" if activation == "quick_gelu" else "quick_gelu")
    assert np.abs(other.embed_images(pictures()) - expected).max() > 1e-4
    assert other.fingerprint != clip.fingerprint


def test_half_precision_files_are_computed_in_float32(tmp_path: Path):
    write_tokenizer(tmp_path)
    path = as_tensors(random_open_clip().half(), tmp_path)
    clip = encoder(path)
    assert clip.name == "ViT-B-32"
    assert clip.loaded.model.dtype == torch.float32
    assert clip.embed_images(pictures()).dtype == np.float32


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path):
    path = as_tensors(random_open_clip(), tmp_path)
    with pytest.raises(UsageError, match="no CLIP tokenizer at"):
        _ = encoder(path).fingerprint
    write_tokenizer(tmp_path)
    with pytest.raises(UsageError, match="image_heads = 0"):
        encoder(path, head_width=64).embed_texts(["a"])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="not a checkpoint"):
        encoder(path).embed_texts(["a"])


def test_a_text_that_is_too_long_is_cut(tmp_path: Path):
    """75 tokens between the markers, one a letter here; what follows changes nothing."""
    write_tokenizer(tmp_path)
    clip = encoder(as_tensors(random_open_clip(), tmp_path))
    most, longer, shorter = clip.embed_texts(["x" * 75, "x" * 75 + " and more", "x" * 74])
    np.testing.assert_array_equal(most, longer)
    assert np.abs(most - shorter).max() > 1e-4


def by_transformers(picture: Image.Image) -> np.ndarray:
    prepared: np.ndarray = CLIPImageProcessorPil()(picture, return_tensors="np")["pixel_values"][0]
    return prepared


@pytest.mark.parametrize("path", shared_parameters("golden/geneval_crops/crops.npz"))
def test_crops_are_prepared_as_another_implementation_does(path: Path, count_shared: Callable[[Path], Path]):
    """The reference's crops of objects, of all sides; of the empty one it says so."""
    prepared = 0
    for name, crop in np.load(count_shared(path)).items():
        if not name.endswith("crop"):
            continue
        picture = Image.fromarray(crop)
        if not all(picture.size):
            with pytest.raises(ValueError, match="needs pixels"):
                fit_and_crop(picture, 224)
            continue
        np.testing.assert_allclose(fit_and_crop(picture, 224), by_transformers(picture), atol=1e-5, err_msg=name)
        prepared += 1
    assert prepared > 20


def test_by_hand_an_empty_crop_and_a_thin_one():
    with pytest.raises(ValueError, match="0x6"):
        fit_and_crop(Image.new("RGB", (0, 6)), 224)
    thin = Image.new("RGB", (1, 3), (255, 0, 51))
    np.testing.assert_allclose(fit_and_crop(thin, 224), by_transformers(thin), atol=1e-5)
    assert json.dumps(list(fit_and_crop(thin, 8).shape)) == "[3, 8, 8]"
