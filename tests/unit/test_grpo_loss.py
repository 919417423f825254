"""Advantages and the token loss: by hand, against numpy, and against finite differences in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from training import loss as objectives
from training.advantage import group_advantages
from training.loss import Clip, exact_kl, sampled_kl, weighted_sum

ALL = torch.ones(1, 4, dtype=torch.bool)


def clipped_loss(log_probs, old, advantages, clip):
    return objectives.clipped_loss((log_probs - old).exp(), advantages, clip)


def clipped_share(log_probs, old, advantages, clip):
    return objectives.clipped_share((log_probs - old).exp(), advantages, clip)


def test_a_group_by_hand():
    found = group_advantages(torch.tensor([[1.0, 0.0, 1.0, 0.0]]), ALL)
    spread = math.sqrt(4 * 0.25 / 3) + 1e-4
    assert found.values_PG[0].tolist() == pytest.approx([0.5 / spread, -0.5 / spread, 0.5 / spread, -0.5 / spread])
    assert (found.too_few, found.too_even) == (0, 0)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_against_numpy(scale):
    rewards = torch.rand(5, 6, generator=torch.Generator().manual_seed(1))
    scored = torch.rand(5, 6, generator=torch.Generator().manual_seed(2)) < 0.7
    found = group_advantages(rewards, scored, scale=scale)
    groups = [row[mask].numpy() for row, mask in zip(rewards, scored, strict=True)]
    centred = [group - group.mean() for group in groups]
    everything = np.concatenate(centred)
    for row, mask, group, values in zip(found.values_PG, scored, groups, centred, strict=True):
        spread = {
            "group": group.std(ddof=1) + 1e-4,
            "batch": np.sqrt((everything**2).sum() / (len(everything) - 1)) + 1e-4,
            "none": 1.0,
        }[scale]
        assert row[mask].numpy() == pytest.approx(values / spread, rel=1e-5)
        assert not row[~mask].any()


def test_the_unscored_leave_their_group_whatever_stands_there():
    scored = torch.tensor([[True, True, False, False]])
    one = group_advantages(torch.tensor([[0.2, 0.4, math.nan, 7.0]]), scored)
    two = group_advantages(torch.tensor([[0.2, 0.4]]), torch.ones(1, 2, dtype=torch.bool))
    assert torch.equal(one.values_PG[:, :2], two.values_PG)
    assert one.learned_PG.tolist() == [[True, True, False, False]]


def test_groups_that_teach_nothing_are_dropped_and_counted():
    rewards = torch.tensor([[0.5, 0.5000001, 0.5, 0.5], [0.1, 0.9, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4]])
    scored = torch.tensor([[True] * 4, [True, False, False, False], [True] * 4])
    found = group_advantages(rewards, scored)
    assert (found.too_few, found.too_even) == (1, 1)
    assert found.learned_PG.any(dim=1).tolist() == [False, False, True]
    assert not found.values_PG[:2].any()


@pytest.mark.parametrize("factor", [1.0, 0.28, 1e-4, -50.0])
def test_what_is_even_does_not_depend_on_the_scale_of_the_rewards(factor):
    """A spread of 0.0009 beside a largest reward of 1 is none, one of 0.0011 is."""
    rewards = factor * torch.tensor([[0.2, 0.2009], [0.2, 0.2011], [0.5, 1.0]])
    found = group_advantages(rewards, torch.ones(3, 2, dtype=torch.bool))
    assert found.learned_PG.any(dim=1).tolist() == [False, True, True]


def test_rewards_of_0_are_even():
    found = group_advantages(torch.zeros(2, 4), torch.ones(2, 4, dtype=torch.bool))
    assert (found.too_even, found.learned_PG.any().item()) == (2, False)


def test_clipping_by_hand():
    clip = Clip(low=0.2, high=0.3)
    log_ratio = torch.tensor([[2.0, 1.1, 0.5], [2.0, 0.9, 0.5]]).log()
    advantages = torch.tensor([1.0, -1.0])
    losses = clipped_loss(log_ratio, torch.zeros(2, 3), advantages, clip)
    assert losses.tolist() == [pytest.approx([-1.3, -1.1, -0.5]), pytest.approx([2.0, 0.9, 0.8])]
    cut = clipped_share(log_ratio, torch.zeros(2, 3), advantages, clip)
    assert cut.tolist() == [[True, False, False], [False, False, True]]


def test_the_clipped_share_is_where_the_gradient_is_zero():
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(4, 50, generator=generator, requires_grad=True)
    advantages = torch.tensor([1.0, -0.5, 2.0, -1.0])
    clipped_loss(log_probs, torch.zeros(4, 50), advantages, Clip()).sum().backward()
    assert log_probs.grad is not None
    assert torch.equal(log_probs.grad == 0, clipped_share(log_probs, torch.zeros(4, 50), advantages, Clip()))


def test_gradient_against_finite_differences():
    generator = torch.Generator().manual_seed(0)
    shape = (3, 5)
    old, reference = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    log_probs = (old + 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
    advantages = torch.tensor([0.7, -1.2, 0.1], dtype=torch.float64)
    actions = torch.rand(shape, generator=generator) < 0.8

    def loss(values):
        clipped = clipped_loss(values, old, advantages, Clip(0.2, 0.28))
        return weighted_sum(clipped + 0.05 * sampled_kl(values, reference), actions)

    assert torch.autograd.gradcheck(loss, (log_probs,), eps=1e-6, atol=1e-8)


def test_the_sampled_kl_is_unbiased_and_never_negative():
    generator = torch.Generator().manual_seed(0)
    policy = torch.randn(1, 12, generator=generator, dtype=torch.float64).log_softmax(dim=-1)
    reference = torch.randn(1, 12, generator=generator, dtype=torch.float64).log_softmax(dim=-1)
    each = sampled_kl(policy, reference)
    assert (each >= 0).all()
    assert (policy.exp() * each).sum().item() == pytest.approx(exact_kl(policy, reference).item())
    assert exact_kl(policy, policy).item() == pytest.approx(0.0, abs=1e-12)


def test_what_is_no_action_does_not_count():
    losses = torch.tensor([[1.0, math.inf, math.nan]], requires_grad=True)
    total = weighted_sum(losses, torch.tensor([[True, False, False]]))
    total.backward()
    assert total.item() == 1.0
    assert losses.grad is not None
    assert losses.grad.tolist() == [[1.0, 0.0, 0.0]]


def test_the_clip_of_the_paper():
    assert Clip() == Clip(low=0.2, high=0.2)


def test_what_lies_on_the_clips_edge_or_teaches_nothing_is_not_cut():
    advantages = torch.tensor([1.0, -1.0, 0.0])
    on_the_edge = clipped_share(torch.zeros(3, 1), torch.zeros(3, 1), advantages, Clip(0.0, 0.0))
    assert not on_the_edge.any()
    far = torch.tensor([[3.0, -3.0]]).expand(3, 2)
    assert clipped_share(far, torch.zeros(3, 2), advantages, Clip()).tolist() == [
        [True, False], [False, True], [False, False],
    ]  # fmt: skip


def test_the_exact_kl_by_hand():
    policy, reference = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[0.25, 0.75], [0.9, 0.1]])
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert exact_kl(policy.log(), reference.log()).tolist() == pytest.approx([expected, 0.0], abs=1e-6)


@pytest.mark.parametrize("scale", ["group", "batch"])
def test_a_single_pair_by_hand(scale):
    """The only group of two: a standard deviation of one degree of freedom, whichever spread is asked for."""
    found = group_advantages(torch.tensor([[0.0, 1.0]]), torch.ones(1, 2, dtype=torch.bool), scale=scale)
    assert found.values_PG[0].tolist() == pytest.approx([-0.5 / (0.5**0.5 + 1e-4), 0.5 / (0.5**0.5 + 1e-4)], rel=1e-6)


def test_a_spread_of_just_the_least_counts_and_0_drops_no_group():
    rewards, scored = torch.tensor([[0.25, 0.75], [0.0, 1.0], [0.5, 0.5]]), torch.ones(3, 2, dtype=torch.bool)
    assert group_advantages(rewards, scored, min_spread=0.5).learned_PG[:, 0].tolist() == [True, True, False]
    assert group_advantages(rewards, scored, min_spread=0.0).learned_PG.all()


@pytest.mark.parametrize("reward", [10.0, -10.0])
def test_an_unscored_sample_does_not_widen_its_group(reward):
    found = group_advantages(torch.tensor([[reward, reward, 0.0]]), torch.tensor([[True, True, False]]))
    assert (found.too_few, found.too_even) == (0, 1)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_a_step_that_teaches_nothing_is_0_and_no_error(scale):
    found = group_advantages(torch.rand(2, 3), torch.zeros(2, 3, dtype=torch.bool), scale=scale)
    assert (found.too_few, found.too_even) == (2, 0)
    assert torch.equal(found.values_PG, torch.zeros(2, 3))


def test_the_ratio_is_of_new_to_old():
    new, old = torch.tensor([[0.5]]).log(), torch.tensor([[0.25]]).log()
    assert clipped_loss(new, old, torch.tensor([-1.0]), Clip()).item() == pytest.approx(2.0)
    assert clipped_share(new, old, torch.tensor([1.0]), Clip()).item() is True
    assert clipped_share(old, new, torch.tensor([1.0]), Clip()).item() is False
