"""Options of the objective: each against an independent computation, and against planted errors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from training import loss as objectives
from training.advantage import decoupled_advantages, group_advantages, punish_long_chains
from training.loss import (
    Clip,
    cispo_loss,
    clipped_loss,
    clipped_share,
    corrected_kl,
    ratios,
    sampled_kl,
    sequence_importance,
    token_importance,
)

DOUBLE = torch.float64
decoupled = decoupled_advantages


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def gradient(function: Callable[[torch.Tensor], torch.Tensor], at: torch.Tensor) -> torch.Tensor:
    point = at.clone().requires_grad_()
    [found] = torch.autograd.grad(function(point).sum(), point)
    return found


class Enumerated:
    """A policy over all sequences of two tokens out of three: the second token's distribution depends on the first.

    Attributes:
        sequences: all nine, [B, S].
        actions: everywhere.
    """

    def __init__(self) -> None:
        self.sequences = torch.tensor(list(itertools.product(range(3), repeat=2)))
        self.actions = torch.ones(9, 2, dtype=torch.bool)

    def log_probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Of every sequence's tokens, [B, S], from logits [4, 3]: row 0 of the first token, row 1 + t after token t."""
        table = logits.log_softmax(dim=-1)
        first, second = self.sequences.T
        return torch.stack([table[0, first], table[1 + first, second]], dim=1)


@pytest.fixture
def small() -> Enumerated:
    return Enumerated()


def expected_gradient(
    small: Enumerated,
    trainer: torch.Tensor,
    sampler: torch.Tensor,
    rewards: torch.Tensor,
    weigh: Callable[..., torch.Tensor],
) -> torch.Tensor:
    """The mean policy gradient over the sampler's own distribution, every sequence by its probability."""
    sampled = small.log_probs(sampler)
    chances = sampled.sum(dim=1).exp()

    def loss(logits: torch.Tensor) -> torch.Tensor:
        now = small.log_probs(logits)
        ratio = ratios(now, now.detach(), small.actions, "ppo")
        weights = weigh(now.detach(), sampled)
        return (chances[:, None] * weights * clipped_loss(ratio, rewards, Clip())).sum()

    return gradient(loss, trainer)


Weigh = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def mean_bias(small: Enumerated, weigh: Weigh, *, joined: bool) -> float:
    """How far the sampler's mean gradient is from the exact one, in its length: the mean over twenty random problems.

    Args:
        joined: the second token's distribution and the reward depend on both tokens, and not on each alone.
    """
    found = []
    for seed in range(0, 200, 10):
        trainer, noise = random(4, 3, seed=seed), random(4, 3, seed=seed + 1)
        first, second = random(3, seed=seed + 2), random(3, seed=seed + 3)
        rewards = first[small.sequences[:, 0]] + second[small.sequences[:, 1]]
        if joined:
            rewards = random(9, seed=seed + 4)
        else:
            trainer[2:], noise[2:] = trainer[1], noise[1]
        advantages = rewards - (small.log_probs(trainer).sum(dim=1).exp() * rewards).sum()

        def value(logits: torch.Tensor, advantages: torch.Tensor = advantages) -> torch.Tensor:
            return -(small.log_probs(logits).sum(dim=1).exp() * advantages).sum()

        exact = gradient(value, trainer)
        got = expected_gradient(small, trainer, trainer + 0.3 * noise, advantages, weigh)
        found.append(float((got - exact).norm() / exact.norm()))
    return float(np.mean(found))


def test_importance_weights_on_enumerable_problems(small: Enumerated):
    def whole(now: torch.Tensor, sampled: torch.Tensor) -> torch.Tensor:
        return sequence_importance([(now, sampled, small.actions)], None)[:, None]

    def token(now: torch.Tensor, sampled: torch.Tensor) -> torch.Tensor:
        return token_importance(now, sampled, None)

    for joined, most in ((False, 0.5), (True, 0.75)):
        nothing = mean_bias(small, lambda now, sampled: torch.ones_like(now), joined=joined)
        assert nothing > 0.2
        assert mean_bias(small, whole, joined=joined) < 1e-12, "untruncated, the trainer's own gradient"
        assert mean_bias(small, token, joined=joined) <= most * nothing


def test_token_weights_equal_their_enumerated_expectation(small: Enumerated):
    """The sampler's mean of w(token) f(token) is f's mean over the trainer's token after the sampler's prefix."""
    trainer, sampler = random(4, 3), random(4, 3, seed=1)
    now, sampled = small.log_probs(trainer), small.log_probs(sampler)
    values = random(9, 2, seed=3)
    found = (sampled.sum(dim=1).exp()[:, None] * token_importance(now, sampled, None) * values).sum()
    p, q = trainer.softmax(-1), sampler.softmax(-1)
    wanted = 0.0
    for at, (first, second) in enumerate(small.sequences.tolist()):
        wanted += p[0, first] * q[1 + first, second] * values[at, 0]
        wanted += q[0, first] * p[1 + first, second] * values[at, 1]
    assert found == pytest.approx(float(wanted))


def test_caps_hold_and_what_is_no_action_weighs_nothing():
    now, sampled = torch.tensor([[0.0, 3.0, 9.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    assert token_importance(now, sampled, 2.0)[0].tolist() == pytest.approx([math.exp(-1), 2.0, 2.0])
    actions = torch.tensor([[True, True, False]])
    assert sequence_importance([(now, sampled, actions)], None).tolist() == pytest.approx([math.exp(2)])
    both = sequence_importance([(now, sampled, actions), (now, sampled, actions)], None)
    assert both.tolist() == pytest.approx([math.exp(4)])
    assert sequence_importance([(now, sampled, actions)], 2.0).tolist() == [2.0]


def ppo_by_hand(ratio: float, advantage: float, clip: Clip) -> float:
    held = min(max(ratio, 1 - clip.low), 1 + clip.high)
    worst = min(ratio * advantage, held * advantage)
    if advantage < 0 and clip.two_sided is not None:
        worst = max(worst, clip.two_sided * advantage)  # as the dual clip is written
    return -worst


@pytest.mark.parametrize("two_sided", [None, 3.0])
def test_the_two_sided_clip_is_the_dual_clip(two_sided):
    clip = Clip(0.2, 0.28, two_sided)
    ratio = (1.5 * random(4, 50)).exp()
    advantages = torch.tensor([1.0, -0.5, 2.0, -1.0], dtype=DOUBLE)
    found = clipped_loss(ratio, advantages, clip)
    wanted = [
        [ppo_by_hand(r, a, clip) for r in row] for row, a in zip(ratio.tolist(), advantages.tolist(), strict=True)
    ]
    assert found.numpy() == pytest.approx(np.array(wanted))
    moved = gradient(lambda logs: clipped_loss(logs.exp(), advantages, clip), ratio.log())
    assert torch.equal(moved == 0, clipped_share(ratio, advantages, clip))
    assert (two_sided is None) == bool((found > 3.01).any())


def test_gspo_against_its_formula():
    now, old, actions = random(3, 6), random(3, 6, seed=1), random(3, 6, seed=2) > -0.5
    advantages = torch.tensor([1.0, -1.0, 0.5], dtype=DOUBLE)
    found = clipped_loss(ratios(now, old, actions, "gspo"), advantages, Clip(0.1, 0.1))
    for row in range(3):
        there = actions[row].numpy()
        gaps = (now - old)[row].numpy()[there]
        ratio = np.prod(np.exp(gaps)) ** (1 / there.sum())
        assert found[row].numpy() == pytest.approx(ppo_by_hand(ratio, float(advantages[row]), Clip(0.1, 0.1)))
    # Every token's gradient is the segment's ratio over the count, times how many tokens carry the loss.
    near = old + 0.01
    moved = gradient(
        lambda logs: torch.where(actions, clipped_loss(ratios(logs, old, actions, "gspo"), advantages, Clip()), 0.0),
        near,
    )
    wanted = torch.where(actions, -math.exp(0.01) * advantages[:, None], 0.0)
    assert torch.allclose(moved, wanted)


def test_cispo_against_its_formula():
    now, old = random(3, 40), random(3, 40, seed=1)
    advantages, clip = torch.tensor([1.0, -1.0, 0.5], dtype=DOUBLE), Clip(0.5, 0.3)
    actions = torch.ones(3, 40, dtype=torch.bool)
    moved = gradient(lambda logs: cispo_loss(logs, ratios(logs, old, actions, "cispo"), advantages, clip), now)
    wanted = -np.clip(np.exp((now - old).numpy()), 0.5, 1.3) * advantages.numpy()[:, None]
    assert moved.numpy() == pytest.approx(wanted)
    assert (moved != 0).all(), "no token stops pulling"


@pytest.mark.parametrize("objective", ["ppo", "gspo", "cispo"])
def test_at_a_ratio_of_1_all_objectives_have_the_same_gradient(objective):
    now, actions = random(3, 6), torch.ones(3, 6, dtype=torch.bool)
    advantages = torch.tensor([1.0, -1.0, 0.5], dtype=DOUBLE)

    def loss(logs: torch.Tensor) -> torch.Tensor:
        ratio = ratios(logs, now, actions, objective)
        if objective == "cispo":
            return cispo_loss(logs, ratio, advantages, Clip())
        return clipped_loss(ratio, advantages, Clip())

    assert torch.allclose(gradient(loss, now), -advantages[:, None].expand(3, 6))


def test_gradients_of_the_sampled_kl_and_of_the_corrected_one():
    """Averaged over the policy's own samples: the first is the gradient of KL(reference || policy), the second that of
    KL(policy || reference); detached, the ratio corrects nothing."""
    logits, reference = random(1, 7), random(1, 7, seed=1).log_softmax(-1)
    chances = logits.softmax(-1)

    def forward(logits: torch.Tensor) -> torch.Tensor:
        log_probs = logits.log_softmax(-1)
        return (log_probs.exp() * (log_probs - reference)).sum()

    def backward(logits: torch.Tensor) -> torch.Tensor:
        return (reference.exp() * (reference - logits.log_softmax(-1))).sum()

    def mean(estimate: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return gradient(lambda logits: chances * estimate(logits.log_softmax(-1)), logits)

    old = logits.log_softmax(-1)
    assert torch.allclose(mean(lambda logs: sampled_kl(logs, reference)), gradient(backward, logits))
    assert torch.allclose(mean(lambda logs: corrected_kl(logs, reference, old)), gradient(forward, logits))
    assert torch.allclose(mean(lambda logs: corrected_kl(logs, reference, logs.detach())), gradient(forward, logits))
    planted = mean(lambda logs: (logs - old).exp().detach() * sampled_kl(logs, reference))
    assert not torch.allclose(planted, gradient(forward, logits), atol=0.05)
    assert torch.allclose(corrected_kl(old, reference, old), sampled_kl(old, reference))


def gdpo_by_hand(rewards: dict[str, np.ndarray], weights: dict[str, float]) -> np.ndarray:
    """All scored: GDPO's three lines."""
    total = sum(
        weights.get(name, 1.0) * (r - r.mean(1, keepdims=True)) / (r.std(1, ddof=1, keepdims=True) + 1e-4)
        for name, r in rewards.items()
    )
    return (total - total.mean()) / (total.std(ddof=1) + 1e-4)


def test_gdpo_against_its_formula():
    rewards = {name: random(5, 6, seed=seed).float() for seed, name in enumerate(("text", "picture", "taste"))}
    everywhere = torch.ones(5, 6, dtype=torch.bool)
    weights = {"taste": 0.5}
    found = decoupled_advantages(
        {name: (values, everywhere) for name, values in rewards.items()}, dict.fromkeys(rewards, everywhere), weights
    )
    wanted = gdpo_by_hand({name: values.numpy() for name, values in rewards.items()}, weights)
    assert found.values_PG.numpy() == pytest.approx(wanted, abs=1e-5)
    assert found.learned_PG.all()


def test_gdpo_keeps_apart_what_a_product_makes_equal():
    text, picture = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.0, 1.0, 1.0]])
    everywhere = torch.ones(1, 3, dtype=torch.bool)
    product = group_advantages(text * picture, everywhere).values_PG[0]
    assert product[0] == product[1]
    found = decoupled_advantages(
        {"text": (text, everywhere), "picture": (picture, everywhere)}, {"text": everywhere, "picture": everywhere}, {}
    ).values_PG[0]
    assert found[0] < found[1] < found[2]


def test_gdpo_with_a_reward_unscored():
    values = torch.tensor([[0.0, 1.0, 0.5, 0.25]])
    everywhere = torch.ones(1, 4, dtype=torch.bool)
    partly = torch.tensor([[True, True, True, False]])
    rewards = {"text": (values, everywhere), "picture": (values, partly)}
    applies = {"text": everywhere, "picture": everywhere}
    out = decoupled_advantages(rewards, applies, {})
    assert out.learned_PG.tolist() == [[True, True, True, False]]
    alone = dict.fromkeys(rewards, (values[:, :3], everywhere[:, :3]))
    wanted = decoupled_advantages(alone, dict.fromkeys(rewards, everywhere[:, :3]), {})
    assert torch.allclose(out.values_PG[:, :3], wanted.values_PG)
    average = decoupled_advantages(rewards, applies, {}, missing="average")
    assert average.learned_PG.all()
    one = group_advantages(values, everywhere).values_PG + group_advantages(values, partly).values_PG
    centred = one - one.mean()
    assert torch.allclose(average.values_PG, centred / (centred.std() + 1e-4), atol=1e-6)
    # A judge that the sample is none of is no reason to leave it out.
    beside = decoupled_advantages(rewards, {"text": everywhere, "picture": partly}, {})
    assert beside.learned_PG.all()


def test_gdpo_drops_and_counts_groups():
    values = torch.tensor([[0.5, 0.5, 0.5], [0.1, 0.9, 0.2], [0.1, 0.9, 0.2]])
    scored = torch.tensor([[True] * 3, [True] * 3, [True, False, False]])
    found = decoupled_advantages(
        {"one": (values, scored), "two": (values, scored)}, dict.fromkeys(("one", "two"), torch.ones_like(scored)), {}
    )
    assert (found.too_few, found.too_even) == (1, 1)
    assert found.learned_PG.any(dim=1).tolist() == [False, True, False]
    assert not found.values_PG[[0, 2]].any()


def test_long_chains_are_punished_as_dapo_writes_it():
    tokens = torch.tensor([[10, 80, 90, 95, 100]])
    found = punish_long_chains(torch.ones(1, 5), tokens, cap=100, soft=20, penalty=0.5)

    def dapo(length: int, most: int = 100, cache: int = 20) -> float:
        if length <= most - cache:
            return 0.0
        return ((most - cache) - length) / cache

    assert found[0].tolist() == pytest.approx([1 + 0.5 * dapo(length) for length in tokens[0].tolist()])


def test_samples_left_out_stay_in_the_mean():
    found = group_advantages(torch.tensor([[0.0, 1.0, 0.5]]), torch.ones(1, 3, dtype=torch.bool))
    masked = found.without(torch.tensor([[True, False, False]]))
    assert masked.learned_PG.tolist() == [[False, True, True]]
    assert masked.values_PG[0].tolist() == [0.0, *found.values_PG[0, 1:].tolist()]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("sampled_kl", lambda now, reference: (now - reference).exp() - (now - reference) - 1),
        ("corrected_kl", lambda now, reference, old: (old - now).exp() * sampled_kl(now, reference)),
        ("token_importance", lambda old, sampled, cap: (sampled - old).detach().exp()),
        ("cispo_loss", lambda now, ratio, advantages, clip: ratio * advantages[:, None] * now),
        ("clipped_loss", lambda ratio, advantages, clip: -(ratio * advantages[:, None]) / 2),
        ("decoupled_advantages", lambda rewards, applies, weights, **given: decoupled(rewards, applies, {}, **given)),
        ("punish_long_chains", lambda rewards, tokens, cap, soft, penalty: rewards - penalty * tokens / cap),
        ("ratios", lambda now, old, actions, objective: (now - old).mean(dim=1, keepdim=True).exp().expand_as(now)),
    ],
)
def test_planted_errors_are_seen(monkeypatch, small, name, wrong):
    """With a sign or a normaliser off, the tests above fail."""
    if hasattr(objectives, name):
        monkeypatch.setattr(objectives, name, wrong)
    monkeypatch.setitem(globals(), name, wrong)
    checks = [
        lambda: test_importance_weights_on_enumerable_problems(small),
        test_gdpo_against_its_formula,
        test_long_chains_are_punished_as_dapo_writes_it,
        test_gspo_against_its_formula,
        test_cispo_against_its_formula,
        lambda: test_the_two_sided_clip_is_the_dual_clip(3.0),
        test_gradients_of_the_sampled_kl_and_of_the_corrected_one,
    ]
    failed = 0
    for check in checks:
        try:
            check()
        except AssertionError:
            failed += 1
    assert failed


def rising_instead(ratio: torch.Tensor, advantages: torch.Tensor, clip: Clip) -> torch.Tensor:
    """The bound on the wrong side: of tokens that are made likelier."""
    held = ratio.clamp(1 - clip.low, 1 + clip.high)
    bounded = ratio.clamp(max=clip.two_sided) if clip.two_sided is not None else ratio
    ratio = torch.where(advantages[:, None] > 0, bounded, ratio)
    return -torch.minimum(ratio * advantages[:, None], held * advantages[:, None])


def bound_above_1(ratio: torch.Tensor, advantages: torch.Tensor, clip: Clip) -> torch.Tensor:
    """The bound as a distance from 1, as the other two are, and not as a ratio."""
    far = None if clip.two_sided is None else 1 + clip.two_sided
    return right_clip(ratio, advantages, Clip(clip.low, clip.high, far))


right_clip = clipped_loss


@pytest.mark.parametrize("wrong", [rising_instead, bound_above_1])
def test_a_wrong_two_sided_clip_is_seen(monkeypatch, wrong):
    monkeypatch.setitem(globals(), "clipped_loss", wrong)
    with pytest.raises(AssertionError):
        test_the_two_sided_clip_is_the_dual_clip(3.0)
    test_the_two_sided_clip_is_the_dual_clip(None)


def missing_as_0(rewards, applies, weights, **given):
    """A missing score taken for a reward of 0 instead of an average one's advantage."""
    if given.get("missing") == "average":
        rewards = {
            name: (torch.where(scored, values, 0.0), torch.ones_like(scored))
            for name, (values, scored) in rewards.items()
        }
    return decoupled(rewards, applies, weights, **given)


def always_left_out(rewards, applies, weights, **given):
    return decoupled(rewards, applies, weights, **{**given, "missing": "leave_out"})


def divided_by_all(rewards, applies, weights, **given):
    """Every judge's advantages scaled by its share of scored samples."""
    if given.get("missing") == "average":
        weights = {name: float(scored.float().mean()) for name, (_, scored) in rewards.items()}
    return decoupled(rewards, applies, weights, **given)


def turned(rewards, applies, weights, **given):
    """The judge with a score missing pulls the other way."""
    if given.get("missing") == "average":
        rewards = {name: (values if bool(s.all()) else -values, s) for name, (values, s) in rewards.items()}
    return decoupled(rewards, applies, weights, **given)


@pytest.mark.parametrize("wrong", [missing_as_0, always_left_out, divided_by_all, turned])
def test_a_wrong_average_for_what_is_missing_is_seen(monkeypatch, wrong):
    monkeypatch.setitem(globals(), "decoupled_advantages", wrong)
    with pytest.raises(AssertionError):
        test_gdpo_with_a_reward_unscored()
    test_gdpo_against_its_formula()
