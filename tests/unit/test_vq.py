"""Training of the picture tokenizer: losses by hand, and agreement with transformers' own encode and decode."""

from __future__ import annotations

import math

import pytest
import torch
from transformers.models.janus.modeling_janus import JanusVQVAE

from gotr1_eval.models.janus.encoding import encode_pictures, nearest_codes, to_pixels
from tests.tiny_models import random_config, random_tokenizer
from training.tiny.vq import (
    SHARPNESS,
    VqOptions,
    decode_latents,
    finish_codebook,
    patch_codes,
    recognition_loss,
    reconstruction_loss,
    tint_loss,
    train_vq,
    tune_decoder,
)


@pytest.fixture(scope="module")
def config():
    return random_config(random_tokenizer()).vq_config


def fresh(config):
    torch.manual_seed(0)
    return JanusVQVAE(config).train()


@pytest.fixture(scope="module")
def pictures():
    generator = torch.Generator().manual_seed(1)
    corners = torch.randint(0, 256, (6, 2, 2, 3), dtype=torch.uint8, generator=generator)
    return corners.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)


def test_pixels_span_minus_one_to_one():
    pixels = to_pixels(torch.tensor([[[[0, 255, 51]]]], dtype=torch.uint8))
    assert pixels.flatten().tolist() == pytest.approx([-1.0, 1.0, -0.6])


def test_nearest_is_by_angle():
    codebook = torch.tensor([[10.0, 0.0], [0.0, 0.1]])
    latents = torch.nn.functional.normalize(torch.tensor([[1.0, 2.0], [2.0, 1.0]]), dim=-1)
    assert nearest_codes(latents, codebook).tolist() == [1, 0]


def test_equal_patches_have_equal_codes_and_the_commonest_is_code_nought():
    black, white, grey = 0, 255, 128
    rows = torch.tensor([[[white, white], [black, white]], [[grey, white], [white, black]]], dtype=torch.uint8)
    pictures = rows[..., None].expand(-1, -1, -1, 3).repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    assert patch_codes(pictures, side=2, codes=3).tolist() == [[0, 0, 1, 0], [2, 0, 0, 1]]
    with pytest.raises(ValueError, match="3 distinct patches, and only 2 codes"):
        patch_codes(pictures, side=2, codes=2)


def test_patches_lie_row_after_row():
    picture = torch.arange(2 * 4 * 3, dtype=torch.uint8).view(1, 2, 4, 3)
    codes = patch_codes(torch.cat([picture, picture]), side=2, codes=9).view(2, 2, 2)
    assert torch.equal(codes[0], codes[1])
    assert codes.unique().numel() == 4


def test_recognition_loss_by_hand():
    codebook = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    loss = recognition_loss(torch.tensor([[1.0, 0.0]]), codebook, torch.tensor([1]))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(SHARPNESS)))


def test_reconstruction_loss_by_hand():
    pixels = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # |e| 1/4, e^2 1/4, one of two differences down and one of two across are 1: 1/2 each.
    assert reconstruction_loss(pixels, torch.zeros_like(pixels)).item() == pytest.approx(1.5)


def test_codes_nobody_uses_are_never_chosen(config):
    model = fresh(config)
    finish_codebook(model, used=2)
    codebook = model.quantize.embedding.weight
    torch.testing.assert_close(codebook.norm(dim=-1), torch.ones(len(codebook)))
    latents = torch.nn.functional.normalize(torch.randn(50, codebook.shape[1]), dim=-1)
    assert set(nearest_codes(latents, codebook).tolist()) == {0, 1}


@pytest.mark.slow
def test_training_learns_and_agrees_with_transformers(config, pictures):
    model = fresh(config)
    losses = train_vq(model, pictures, VqOptions(steps=60, batch_size=6, learning_rate=5e-3, warmup_steps=5))
    for first, last in zip(losses[0], losses[-1], strict=True):
        assert last < first / 2
    model.eval()
    codebook = model.quantize.embedding.weight
    ids = encode_pictures(model, pictures)
    with torch.no_grad():
        pixels = to_pixels(pictures)
        assert torch.equal(model.encode(pixels).image_tokens.view(6, -1), ids)
        torch.testing.assert_close(model.decode(ids), decode_latents(model, codebook[ids.flatten()]), atol=1e-5, rtol=0)


def test_tuning_the_decoder_keeps_every_picture_its_codes(config, pictures):
    model = fresh(config)
    before = encode_pictures(model, pictures)
    losses = tune_decoder(model, pictures, VqOptions(steps=30, batch_size=6, learning_rate=5e-3, warmup_steps=3))
    assert sum(loss for (loss,) in losses[-5:]) < sum(loss for (loss,) in losses[:5])
    assert torch.equal(encode_pictures(model, pictures), before)


def test_tint_by_hand():
    grey, red = torch.full((1, 3, 1, 1), 0.3), torch.tensor([0.6, 0.0, 0.0]).view(1, 3, 1, 1)
    assert tint_loss(grey, torch.zeros_like(grey)).item() == pytest.approx(0.0, abs=1e-6)
    assert tint_loss(red, torch.zeros_like(red)).item() == pytest.approx(0.4)


def test_training_is_deterministic(config, pictures):
    options = VqOptions(steps=5, batch_size=3, warmup_steps=2)
    first, second = (fresh(config) for _ in range(2))
    assert train_vq(first, pictures, options) == train_vq(second, pictures, options)
    assert torch.equal(first.quantize.embedding.weight, second.quantize.embedding.weight)
