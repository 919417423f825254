"""Training Emu3's picture tokenizer, held against the class and gradients by hand; and how the tiny Emu3 begins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import Emu3ForConditionalGeneration
from transformers.models.emu3.modeling_emu3 import Emu3VQVAE

from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.generators.emu3 import Settings, build
from gotr1_eval.models.janus.encoding import encode_pictures as janus_codes
from gotr1_eval.models.janus.encoding import to_pixels
from gotr1_eval.models.janus.loading import load_checkpoint
from gotr1_eval.models.sampled_sequences import left_pad
from tests.tiny_emu3 import random_config, random_tokenizer
from training.policies import Sampling
from training.policies.emu3 import Emu3Policy
from training.policies.janus import JanusPolicy
from training.policies.reading import read_policy
from training.sft import SftOptions
from training.tiny.emu3 import Recipe, build_tiny_emu3, train_tokenizer
from training.tiny.emu3_start import transplanted, used_codes
from training.tiny.emu3_vq import (
    COMMITMENT,
    commitment_loss,
    decode_latents,
    encode_latents,
    encode_pictures,
    squared_distances,
    straight_through,
    train_emu3_vq,
    tune_emu3_decoder,
)
from training.tiny.shapes_corpus import examples, random_pictures
from training.tiny.vq import VqOptions, patch_codes


def tokenizer(frames: int = 1) -> Emu3VQVAE:
    torch.manual_seed(0)
    return Emu3VQVAE(random_config(random_tokenizer(), frames).vq_config)


def noise(count: int, side: int = 8) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize("frames", [1, 4])
@torch.no_grad()
def test_latents_are_what_the_class_compares_and_draws(frames):
    model, pixels = tokenizer(frames), to_pixels(noise(3))
    ids = model.encode(pixels, torch.tensor([[8, 8]] * 3)).image_tokens
    latents = encode_latents(model, pixels)
    nearest = squared_distances(latents.flatten(0, 1), model.quantize.embedding.weight).argmin(dim=1)
    assert torch.equal(nearest.view(3, 4, 4), torch.stack(ids))
    drawn = decode_latents(model, model.quantize.embedding.weight[nearest].view(3, 16, -1), height=4)
    assert torch.allclose(drawn, model.decode(torch.stack(ids)), atol=1e-5)


def test_gradients_go_straight_through_by_hand():
    latents, codes = (torch.randn(5, 4, requires_grad=True) for _ in range(2))
    quantised = straight_through(latents, codes)
    assert torch.allclose(quantised, codes)
    (quantised * torch.arange(20.0).view(5, 4)).sum().backward()
    assert torch.equal(latents.grad, torch.arange(20.0).view(5, 4))
    assert torch.equal(codes.grad, latents.grad)


def test_commitment_by_hand():
    latents, codes = (torch.randn(5, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    commitment_loss(latents, codes).backward()
    away = 2 * (latents - codes).detach() / 20
    assert torch.allclose(codes.grad, -away)
    assert torch.allclose(latents.grad, COMMITMENT * away)


def test_distances_are_those_of_torch():
    latents, codes = torch.randn(6, 4), torch.randn(9, 4)
    assert torch.allclose(squared_distances(latents, codes), torch.cdist(latents, codes).square(), atol=1e-4)


@pytest.mark.slow
def test_given_codes_are_recognised_and_found_ones_draw_better():
    """Two kinds of patches: with codes of their own the encoder tells them apart, whatever stands beside."""
    model = tokenizer()
    kinds = torch.randint(2, (24, 4, 4), generator=torch.Generator().manual_seed(0))
    shown = (kinds * 255).to(torch.uint8).repeat_interleave(2, 1).repeat_interleave(2, 2)[..., None].repeat(1, 1, 1, 3)
    options = VqOptions(steps=60, batch_size=8, warmup_steps=5)
    history = train_emu3_vq(model, shown, options)
    assert len(history[0]) == 3
    assert history[-1][0] < history[0][0] / 3, "it draws"
    assert (encode_pictures(model, shown) == patch_codes(shown, 4, 24)).float().mean() > 0.99
    before = history[-1][0]
    assert tune_emu3_decoder(model, shown, VqOptions(steps=20, batch_size=8, warmup_steps=2))[-1][0] < before
    found = train_emu3_vq(tokenizer(), shown, options, given=False)
    assert len(found[0]) == 2
    assert found[-1][0] < found[0][0]


@pytest.fixture(scope="module")
def pair():
    """The shipped tiny Janus, and the Emu3 that has its weights."""
    janus = load_checkpoint(checkpoint_folder("tiny-janus"), device=torch.device("cpu"), dtype=torch.float32)
    codes = used_codes(janus.model.model.vqmodel)
    words = train_tokenizer(examples(300, 0), codes)
    return janus, transplanted(janus, words, codes, seed=0, fitted_on=8), words


@pytest.mark.slow
@torch.no_grad()
def test_the_tiny_emu3_begins_with_the_tiny_januss_pictures(pair):
    janus, emu3, _ = pair
    pictures = torch.from_numpy(random_pictures(12, 3))
    ids = janus_codes(janus.model.model.vqmodel, pictures)
    assert torch.equal(encode_pictures(emu3.model.vqmodel, pictures), ids)
    theirs, ours = janus.model.model.vqmodel.decode(ids), emu3.model.vqmodel.decode(ids.view(-1, 8, 8))
    assert torch.allclose(ours, theirs, atol=5e-3)


@pytest.mark.slow
@torch.no_grad()
def test_the_tiny_emu3_begins_with_the_tiny_januss_chains(pair, tmp_path):
    """Where both know every token, the next one has the same logits; a code's embedding is what two layers gave."""
    from gotr1_eval.models.emu3.loading import Pixels, checkpoint_of, write_pixels

    janus, emu3, words = pair
    write_pixels(tmp_path, Pixels((0.5,) * 3, (0.5,) * 3, 4096, 4096))
    ours = Emu3Policy(checkpoint_of(emu3, words, emu3.config, tmp_path), Sampling(guidance=1.0))
    theirs = JanusPolicy(janus, Sampling(guidance=1.0))
    example = next(examples(1, 5))
    states = []
    for policy in (ours, theirs):
        row = [*policy.encode([example.prompt])[0], *policy.encode_chain(example.chain)]
        states.append(
            policy.text_head()(
                policy.hidden_states(left_pad([row], policy.pad), torch.zeros(1, 64, dtype=torch.int64))[
                    0, : len(row) - 1
                ]
            )
        )
    names = [token for token in words.get_vocab() if token in janus.tokenizer.get_vocab()]
    one, other = (
        logits[:, known.convert_tokens_to_ids(names)]
        for logits, known in zip(states, (words, janus.tokenizer), strict=True)
    )
    assert len(names) > 400
    assert torch.allclose(one, other, atol=1e-3)


@pytest.mark.slow
def test_the_recipe_writes_a_native_checkpoint_and_the_same_one_twice(tmp_path):
    few = Recipe(
        first=60, fitted_on=8, vq_pictures=8, vq=VqOptions(steps=2, batch_size=2), corpus=24,
        sft=(SftOptions(steps=2, batch_size=4),),
    )  # fmt: skip
    for name in ("one", "two"):
        build_tiny_emu3(tmp_path / name, seed=1, recipe=few)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    sample = build(Settings(ckpt=str(tmp_path / "one"), chain_cap=10), workshop=None).generate(["a red circle"], [0])[0]
    assert np.asarray(sample.image).shape == (64, 64, 3)
    assert read_policy(str(tmp_path / "one"), "cpu", "float32", Sampling(guidance=1.0)).grid.codes == 722
    _, info = Emu3ForConditionalGeneration.from_pretrained(tmp_path / "one", output_loading_info=True)
    assert not any(info.values())
