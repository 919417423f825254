"""What the trainer says of sampled tokens, against what the sampler said when it drew them."""

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


@pytest.mark.parametrize("how", ["guided", "guided_detached"])
def test_trainer_and_sampler_agree(checkpoint, rollout, how):
    found = scores(checkpoint, rollout.actions, image_logprob=how)
    assert worst(found.text.log_probs_BS, rollout.actions.sampled_text_BL) <= 1e-4
    assert worst(found.image.log_probs_BS, rollout.actions.sampled_image_BT) <= 1e-4


def test_conditional_is_the_conditional_rows_own(checkpoint, rollout):
    found = scores(checkpoint, rollout.actions, image_logprob="conditional")
    alone = scores(checkpoint, rollout.actions, guidance=1.0)
    assert torch.equal(found.image.log_probs_BS, alone.image.log_probs_BS)
    assert worst(found.image.log_probs_BS, rollout.actions.sampled_image_BT) > 0.1


def test_micro_batches_change_nothing(checkpoint, rollout):
    whole = scores(checkpoint, rollout.actions)
    for rows in ([0], [1, 3], [2, 1, 0]):
        index = torch.tensor(rows)
        part = scores(checkpoint, rollout.actions.select(index))
        assert worst((part.image.log_probs_BS - whole.image.log_probs_BS[index]).exp(), torch.ones(1)) <= 1e-5
        length = part.text.log_probs_BS.shape[1]
        assert worst((part.text.log_probs_BS - whole.text.log_probs_BS[index, -length:]).exp(), torch.ones(1)) <= 1e-5


@pytest.mark.parametrize("planted", ["temperature", "pad row", "shift by one"])
def test_a_planted_error_is_seen(checkpoint, rollout, planted, monkeypatch):
    actions, changes = rollout.actions, {}
    if planted == "temperature":
        changes = {"image_temperature": 1.0}
    elif planted == "pad row":
        monkeypatch.setattr("training.policies.scoring.unconditional", lambda text, pad: text.ids_BL.clone())
    else:
        actions = replace(actions, image_BT=actions.image_BT.roll(1, dims=1))
    found = scores(checkpoint, actions, **changes)
    assert worst(found.image.log_probs_BS, rollout.actions.sampled_image_BT) > 1e-2


def test_only_sampled_tokens_are_actions(checkpoint, rollout):
    actions = rollout.actions
    begin = checkpoint.special.begin_of_image
    for row, sample in enumerate(rollout.samples):
        ids = actions.text.ids_BL[row][actions.chain_BL[row]].tolist()
        assert checkpoint.tokenizer.decode(ids, skip_special_tokens=False) == sample.chain
        assert (ids[-1] == begin) == (len(ids) < 30 or ids.count(begin) == 1)
    found = scores(checkpoint, actions)
    assert not found.text.log_probs_BS[~actions.chain_BL].any()
    assert (found.text.log_probs_BS[actions.chain_BL] < 0).all()


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
