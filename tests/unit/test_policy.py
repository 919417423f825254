"""What a Janus as a policy says of sampled tokens, by hand; what every family must do is in `test_families`."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from gotr1_eval.core.types import Prompt
from tests.tiny_models import CODES, loaded_random, random_model
from training.loss import exact_kl
from training.policies import Sampling, States
from training.policies.janus import JanusPolicy
from training.rollout import generate

TEXTS = ["a red circle", "a blue square on the left of a green circle", "a dotted triangle", "two red circles"]
PROMPTS = [Prompt(text) for text in TEXTS]
SAMPLING = Sampling(guidance=3.0, text_temperature=1.1, image_temperature=0.9)


@pytest.fixture(scope="module")
def checkpoint():
    return loaded_random()


@pytest.fixture(scope="module")
def rollout(checkpoint):
    found = generate(JanusPolicy(checkpoint, SAMPLING), PROMPTS, [1, 2, 3, 4], chain_cap=30, tile=3)
    assert any(found.truncated)
    return found


def scores(checkpoint, actions, **changes):
    policy = JanusPolicy(checkpoint, replace(SAMPLING, **changes), chunk=37)
    with torch.no_grad():
        return policy(actions)


def worst(one, two):
    return (one - two).abs().max().item()


def test_conditional_is_the_conditional_rows_own(checkpoint, rollout):
    found = scores(checkpoint, rollout.actions, image_logprob="conditional")
    alone = scores(checkpoint, rollout.actions, guidance=1.0)
    assert torch.equal(found.image.log_probs_BS, alone.image.log_probs_BS)
    assert worst(found.image.log_probs_BS, rollout.actions.sampled_image_BT) > 0.1


def test_entropy_and_exact_kl_against_the_plain_distributions(checkpoint, rollout):
    actions = rollout.actions.select(torch.tensor([1]))
    policy = JanusPolicy(checkpoint, SAMPLING)
    other = JanusPolicy(replace(checkpoint, model=random_model(checkpoint.tokenizer, seed=5)), SAMPLING)
    with torch.no_grad():
        found = policy(actions, reference=(other, other.states(actions)))
        mine, theirs = (
            p.image_logits()(*(s.flatten(0, 1) for s in (states.image_BTD, states.unconditional_BTD))).log_softmax(-1)
            for p, states in ((policy, policy.states(actions)), (other, other.states(actions)))
        )
    assert found.image.kl_BS is not None
    assert found.image.kl_BS[0] == pytest.approx(exact_kl(mine, theirs), abs=1e-5)
    assert found.image.entropy_BS[0] == pytest.approx(-(mine.exp() * mine).sum(-1), abs=1e-5)


def test_gradients_do_not_depend_on_the_chunk_and_detached_spares_the_unconditional_row(checkpoint, rollout):
    def gradient(how, chunk):
        model = random_model(checkpoint.tokenizer)
        policy = JanusPolicy(replace(checkpoint, model=model), replace(SAMPLING, image_logprob=how), chunk)
        found = policy(rollout.actions)
        torch.autograd.backward(found.image.log_probs_BS.sum() + found.text.log_probs_BS.sum())
        return model.model.generation_head.proj_out.weight.grad, model.lm_head.weight.grad

    exact, again = gradient("guided", 7), gradient("guided", 4096)
    for one, two in zip(exact, again, strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-5)
    detached = gradient("guided_detached", 7)
    assert not torch.allclose(detached[0], exact[0], rtol=1e-2)
    assert torch.allclose(detached[1], exact[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["guided", "guided_detached", "conditional"])
def test_gradients_of_guidance_by_hand(checkpoint, rollout, how):
    """With g = u + s (c - u), d log p_g / dc = s (1 - p_g) and d/du = (1 - s) (1 - p_g), one-hot 1."""
    model = copy.deepcopy(checkpoint.model)
    model.model.generation_head = torch.nn.Identity()
    changed = replace(SAMPLING, image_logprob=how, image_temperature=1.0)
    policy = JanusPolicy(replace(checkpoint, model=model), changed)
    actions = rollout.actions.select(torch.tensor([0]))
    shape = (1, actions.image_BT.shape[1], CODES)
    c, u = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_() for seed in (0, 1))
    text = torch.zeros(int(actions.chain_BL.sum()), model.config.text_config.hidden_size)
    policy.read(States(text, c, None if how == "conditional" else u), actions).image.log_probs_BS.sum().backward()
    scale = 1.0 if how == "conditional" else SAMPLING.guidance
    p = (c if how == "conditional" else u + scale * (c - u)).detach().softmax(dim=-1)
    away = torch.nn.functional.one_hot(actions.image_BT, CODES) - p
    assert torch.allclose(c.grad, scale * away, atol=1e-6)
    if how == "guided":
        assert torch.allclose(u.grad, (1 - scale) * away, atol=1e-6)
    else:
        assert u.grad is None
