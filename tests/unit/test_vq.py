"""Training of the picture tokenizer: losses by hand, and agreement with transformers' own encode and decode."""

from __future__ import annotations

import pytest
import torch
from transformers.models.janus.modeling_janus import JanusVQVAE

from tests.tiny_models import random_config, random_tokenizer
from training.vq import (
    VqOptions,
    codebook_loss,
    encode_pictures,
    nearest_codes,
    quantise,
    reconstruction_loss,
    revive_unused,
    straight_through,
    tint_loss,
    to_pixels,
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


def test_codebook_loss_by_hand():
    latents = torch.tensor([[1.0, 0.0]], requires_grad=True)
    codes = torch.tensor([[0.0, 1.0]], requires_grad=True)
    loss = codebook_loss(latents, codes, 0.25)
    loss.backward()
    assert loss.item() == pytest.approx(1.25)
    assert codes.grad.tolist() == [[-1.0, 1.0]]
    assert latents.grad.tolist() == [[0.25, -0.25]]


def test_reconstruction_loss_by_hand():
    pixels = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # |e| 1/4, e^2 1/4, one of two differences down and one of two across are 1: 1/2 each.
    assert reconstruction_loss(pixels, torch.zeros_like(pixels)).item() == pytest.approx(1.5)


def test_the_gradient_passes_the_codebook():
    latents = torch.tensor([[0.3, 0.4]], requires_grad=True)
    out = straight_through(latents, torch.tensor([[1.0, 2.0]]))
    (out * torch.tensor([[2.0, 3.0]])).sum().backward()
    assert out.tolist() == [[1.0, 2.0]]
    assert latents.grad.tolist() == [[2.0, 3.0]]


def test_unused_codes_move_to_latents():
    codebook, latents = torch.zeros(3, 2), torch.tensor([[1.0, 2.0]])
    moved = revive_unused(codebook, torch.tensor([True, False, True]), latents, torch.Generator().manual_seed(0))
    assert moved == 1
    assert codebook.tolist() == [[0, 0], [1, 2], [0, 0]]


@pytest.mark.slow
def test_training_learns_and_agrees_with_transformers(config, pictures):
    model = fresh(config)
    losses = train_vq(model, pictures, VqOptions(steps=60, batch_size=6, learning_rate=5e-3, warmup_steps=5))
    assert sum(losses[-5:]) < sum(losses[:5]) / 2
    model.eval()
    codebook = model.quantize.embedding.weight
    torch.testing.assert_close(codebook.norm(dim=-1), torch.ones(len(codebook)))
    ids = encode_pictures(model, pictures)
    with torch.no_grad():
        pixels = to_pixels(pictures)
        assert torch.equal(model.encode(pixels).image_tokens.view(6, -1), ids)
        torch.testing.assert_close(model.decode(ids), quantise(model, pixels).pixels_BCHW, atol=1e-5, rtol=1e-5)


def test_tuning_the_decoder_keeps_every_picture_its_codes(config, pictures):
    model = fresh(config)
    before = encode_pictures(model, pictures)
    losses = tune_decoder(model, pictures, VqOptions(steps=30, batch_size=6, learning_rate=5e-3, warmup_steps=3))
    assert sum(losses[-5:]) < sum(losses[:5])
    assert torch.equal(encode_pictures(model, pictures), before)


def test_tint_by_hand():
    grey, red = torch.full((1, 3, 1, 1), 0.3), torch.tensor([0.6, 0.0, 0.0]).view(1, 3, 1, 1)
    assert tint_loss(grey, torch.zeros_like(grey)).item() == pytest.approx(0.0, abs=1e-6)
    assert tint_loss(red, torch.zeros_like(red)).item() == pytest.approx(0.4)


def test_training_is_deterministic(config, pictures):
    options = VqOptions(steps=5, batch_size=3, warmup_steps=2, revive_every=2)
    first, second = (fresh(config) for _ in range(2))
    assert train_vq(first, pictures, options) == train_vq(second, pictures, options)
    assert torch.equal(first.quantize.embedding.weight, second.quantize.embedding.weight)
