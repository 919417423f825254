"""Credit by segment and shared chains: against enumerated trees and plain loops, and against planted errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score
from rewards.reward_set import RewardSet
from rewards.total import Total, TotalSettings
from tests.grpo_runs import ChecksumJudge, PictureJudge, gradients, segment_rewards, settings, trainer
from training import credit, step_credit
from training.advantage import group_advantages
from training.credit import segment_credit, total_credit
from training.loss import Clip, clipped_loss
from training.rollout import rewards_of
from training.update import denominator, losses, micro_batches

DOUBLE = torch.float64
TREE = {"pictures_per_chain": 2, "samples_per_prompt": 8}
SEGMENT = {**TREE, "credit": "segment"}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


class World:
    """Chains of one token out of three, pictures of one out of two that depend on the chain; and all trees of them.

    Attributes:
        trees: every tree of two chains with two pictures each: (chain, picture, picture) twice.
    """

    def __init__(self) -> None:
        chain, picture = range(3), range(2)
        self.trees = list(itertools.product(chain, picture, picture, chain, picture, picture))
        self.chains, self.pictures = random(3), random(3, 2, seed=1)
        self.of_chain, self.of_picture = random(3, seed=2), random(3, 2, seed=3)

    def exact(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradients of the mean of R_PR + R_picture, by the logits of chains and of pictures."""
        logits = [each.clone().requires_grad_() for each in (self.chains, self.pictures)]
        p, q = logits[0].softmax(0), logits[1].softmax(1)
        value = (p[:, None] * q * (self.of_chain[:, None] + self.of_picture)).sum()
        return torch.autograd.grad(value, logits)

    def trained(self, reward: Callable[..., credit.Credit]) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean over all trees of the gradients that the losses' lines give, with their sign turned."""
        totals, pictures, log_chains, log_pictures, chances = [], [], [], [], []
        logits = [each.clone().requires_grad_() for each in (self.chains, self.pictures)]
        p, q = logits[0].log_softmax(0), logits[1].log_softmax(1)
        for one, a, b, two, c, d in self.trees:
            leaves = [(one, a), (one, b), (two, c), (two, d)]
            totals.append([float(self.of_chain[x] + self.of_picture[x, y]) for x, y in leaves])
            pictures.append([float(self.of_picture[x, y]) for x, y in leaves])
            log_chains.append(torch.stack([p[x] for x, _ in leaves]))
            log_pictures.append(torch.stack([q[x, y] for x, y in leaves]))
            chances.append(p[one] + p[two] + q[one, a] + q[one, b] + q[two, c] + q[two, d])
        scored = torch.ones(len(self.trees), 4, dtype=torch.bool)
        found = reward((torch.tensor(totals), scored), (torch.tensor(pictures), scored))
        weight = torch.stack(chances).detach().exp()
        losses = []
        for log_p, part in ((torch.stack(log_chains), found.text), (torch.stack(log_pictures), found.image)):
            ratio = (log_p - log_p.detach()).exp()
            loss = clipped_loss(ratio.view(-1, 1), part.values_PG.flatten().double(), Clip()).view(-1, 4)
            losses.append((weight[:, None] * torch.where(part.learned_PG, loss, 0.0)).sum())
        return torch.autograd.grad(-(losses[0] + losses[1]), logits)


def by_segment(totals, pictures) -> credit.Credit:
    return credit.segment_credit(totals, pictures, 2, scale="none", min_spread=0.0)


def by_total(totals, pictures) -> credit.Credit:
    return credit.total_credit(group_advantages(*totals, scale="none", min_spread=0.0), 2)


def test_the_mean_gradient_over_all_trees_is_the_exact_one():
    """A group's mean holds the member itself: of two chains and two pictures half of the gradient is left."""
    world = World()
    chains, pictures = world.exact()
    found = world.trained(by_segment)
    # Two chains of a tree, with half of the gradient each; four pictures, with half of it each.
    assert torch.allclose(found[0], 2 * chains / 2, atol=1e-6)
    assert torch.allclose(found[1], 4 * pictures / 2, atol=1e-6)


def test_a_shared_chains_gradient_by_the_total_is_the_exact_one():
    """The baseline is over all four samples, two of them the chain's own: of its value half is left, too."""
    world = World()
    assert torch.allclose(world.trained(by_total)[0], 2 * world.exact()[0] / 2, atol=1e-6)


REWARDS = np.array([[0.1, 0.5, 0.9, 0.3, 0.8, 0.2], [0.4, 0.4, 0.6, 0.0, 0.0, 0.7], [0.2, 0.9, 0.2, 0.9, 0.2, 0.9]])
SCORED = np.array([[1, 1, 1, 0, 1, 1], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], bool)
PICTURES = np.array([[0.2, 0.5, 0.1, 0.3, 0.8, 0.2], [0.4, 0.9, 0.6, 0.1, 0.3, 0.7], [0.5, 0.9, 0.5, 0.9, 0.5, 0.9]])
THERE = np.array([[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], bool)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_credit_by_segment_against_loops(scale):
    """Three prompts, three chains each, two pictures a chain; some unscored, one chain without any score."""
    found = credit.segment_credit(
        (torch.tensor(REWARDS), torch.tensor(SCORED)), (torch.tensor(PICTURES), torch.tensor(THERE)), 2, scale=scale
    )

    def spread(kept: list[np.ndarray], mine: np.ndarray) -> float:
        if scale == "none":
            return 1.0
        if scale == "group":
            return mine.std(ddof=1) + 1e-4
        centred = np.concatenate([each - each.mean() for each in kept])
        return float(np.sqrt((centred**2).sum() / (len(centred) - 1)) + 1e-4)

    chains = [
        {at: row[at : at + 2][there[at : at + 2]].mean() for at in (0, 2, 4) if there[at : at + 2].any()}
        for row, there in zip(REWARDS, SCORED, strict=True)
    ]
    # The chains of the third prompt are worth the same.
    kept = [np.array([*each.values()]) for each in chains[:2]]
    for prompt in range(3):
        values = np.array([*chains[prompt].values()])
        for at in range(6):
            learned = prompt < 2 and at in chains[prompt]
            assert bool(found.text.learned_PG[prompt, at]) == learned, (prompt, at)
            if learned:
                wanted = (chains[prompt][at] - values.mean()) / spread(kept, values)
                assert float(found.text.values_PG[prompt, at]) == pytest.approx(wanted, rel=1e-4)
    pairs = [(prompt, at) for prompt in range(3) for at in (0, 2, 4) if THERE[prompt, at : at + 2].all()]
    kept = [PICTURES[prompt, at : at + 2] for prompt, at in pairs]
    for prompt, at in itertools.product(range(3), (0, 2, 4)):
        pair = PICTURES[prompt, at : at + 2]
        for place in (0, 1):
            assert bool(found.image.learned_PG[prompt, at + place]) == ((prompt, at) in pairs)
            if (prompt, at) in pairs:
                wanted = (pair[place] - pair.mean()) / spread(kept, pair)
                assert float(found.image.values_PG[prompt, at + place]) == pytest.approx(wanted, rel=1e-4)
    assert (found.text.too_even, found.image.too_few) == (1, 1)
    assert found.taught.tolist() == [True, True, True], "pictures teach where chains are even"


def test_with_a_chain_for_every_picture_both_segments_have_the_same_advantages():
    plain = group_advantages(torch.tensor(REWARDS), torch.tensor(SCORED))
    found = total_credit(plain, 1)
    assert found.text is found.image is plain
    values_2B, learned_2B = found.of(slice(1, 3))
    for segment in (0, 1):
        assert torch.equal(values_2B[segment], plain.values_PG[1:].flatten())
        assert torch.equal(learned_2B[segment], plain.learned_PG[1:].flatten())


@pytest.mark.slow
def test_off_it_is_the_objective_of_one_reward_bit_for_bit(tmp_path):
    """One advantage a sample, in both segments: the lines of the objective, written out, in their order."""
    one = trainer(tmp_path, beta=0.0, image_weight=0.4)
    collected = one.collector.judge(one.collector.sample(0))
    found, mine = one.collector.credit(collected)
    values = group_advantages(*rewards_of([row["checksum"] for row in collected.rows], 4))
    rows = values.learned_PG.flatten().nonzero()[:, 0]
    [part] = micro_batches(collected.rollout.actions, *found.of(mine), 8)
    lengths = collected.rollout.actions.text.mask_BL.sum(dim=1)[rows]
    rows = rows[lengths.argsort(stable=True)]
    actions, advantages = collected.rollout.actions.select(rows), values.values_PG.flatten()[rows]
    scores = one.learner.policy(actions)
    text = clipped_loss((scores.text.log_probs_BS - scores.text.log_probs_BS.detach()).exp(), advantages, Clip())
    image = clipped_loss((scores.image.log_probs_BS - scores.image.log_probs_BS.detach()).exp(), advantages, Clip())
    wanted = torch.zeros(()) + 1.0 * torch.where(actions.chain_BL, text, 0.0).sum() + 0.4 * image.sum()
    assert torch.equal(losses(one.learner.policy(part.actions), part, one.settings)[0], wanted)
    tokens = int(actions.chain_BL.sum()) + 0.4 * actions.image_BT.numel()
    assert denominator([part], one.settings) == tokens


@pytest.mark.slow
@pytest.mark.parametrize("form", ["total", "segment"])
def test_the_gradient_of_a_step_against_loops(tmp_path, form):
    """Token by token: a chain's once, whoever shares it; divided by the tokens that are learned from."""
    changes = {**SEGMENT, "credit": form, "beta": 0.0, "max_grad_norm": 1e9, "text_weight": 2.0}
    one = trainer(tmp_path / "one", **changes)
    rollout = one.collector.sample(0).rollout
    rows = segment_rewards().judge(rollout.samples)
    for at in range(0, 16, 2):
        assert rollout.samples[at].chain == rollout.samples[at + 1].chain
        assert rollout.tokens[at] == int(rollout.actions.chain_BL[at].sum()) > 0
        assert not rollout.actions.chain_BL[at + 1].any()
    assert len({sample.chain for sample in rollout.samples}) > 4
    policy = one.learner.policy
    scores = policy(rollout.actions)
    text_B = torch.where(rollout.actions.chain_BL, scores.text.log_probs_BS, 0.0).sum(dim=1)
    image_B = scores.image.log_probs_BS.sum(dim=1)
    totals = [row["total"].value if isinstance(row["total"], Score) else None for row in rows]
    pictures = [row["picture"].value if isinstance(row["picture"], Score) else None for row in rows]
    loss, count = torch.zeros(()), 0.0

    def add(log_prob: torch.Tensor, advantage: float, weight: float, tokens: int) -> None:
        nonlocal loss, count
        loss, count = loss - weight * advantage * log_prob, count + weight * tokens

    def normal(values: dict[int, float]) -> dict[int, float]:
        found = np.array([*values.values()])
        if len(found) < 2 or np.ptp(found) < 1e-3:
            return {}
        return dict(zip(values, (found - found.mean()) / (found.std(ddof=1) + 1e-4), strict=True))

    for start in (0, 8):
        group = range(start, start + 8)
        if form == "segment":
            means = {at: np.mean([totals[x] for x in (at, at + 1) if totals[x] is not None] or [np.nan])
                     for at in group[::2]}  # fmt: skip
            chains = normal({at: mean for at, mean in means.items() if not np.isnan(mean)})
            images = {}
            for at in group[::2]:
                images |= normal({x: pictures[x] for x in (at, at + 1) if pictures[x] is not None})
        else:
            images = normal({x: totals[x] for x in group if totals[x] is not None})
            kept = {at: [images[x] for x in (at, at + 1) if x in images] for at in group[::2]}
            chains = {at: np.mean(values) for at, values in kept.items() if values}
        for at, advantage in chains.items():
            add(text_B[at], float(advantage), 2.0, rollout.tokens[at])
        for at, advantage in images.items():
            add(image_B[at], float(advantage), 1.0, rollout.actions.image_BT.shape[1])
    names, parameters = zip(*[(n, p) for n, p in policy.named_parameters() if p.requires_grad], strict=True)
    wanted = torch.autograd.grad(loss / count, parameters, allow_unused=True)
    found = gradients(trainer(tmp_path / "two", **changes))
    for name, gradient in zip(names, wanted, strict=True):
        if gradient is not None:
            scale = float(gradient.abs().max()) + 1e-8
            assert torch.allclose(found[name], gradient, atol=2e-4 * scale), name


@pytest.mark.slow
def test_micro_batches_and_refills_change_no_gradient_of_a_tree(tmp_path):
    changes = {**SEGMENT, "max_grad_norm": 1e9}
    whole = gradients(trainer(tmp_path / "whole", **changes))
    apart = gradients(trainer(tmp_path / "apart", micro_batch=3, **changes))
    for name, gradient in whole.items():
        assert torch.allclose(apart[name], gradient, atol=1e-5 * float(gradient.abs().max()) + 1e-9), name

    class EvenAtFirst(PictureJudge):
        def judge(self, samples):
            return [
                Score(value=0.5) if int(sample.id) < 8 else outcome
                for sample, outcome in zip(samples, super().judge(samples), strict=True)
            ]

    even = RewardSet({"picture": EvenAtFirst()})
    found = trainer(tmp_path / "refilled", even, refill=2, **changes).step(0)
    assert (found["groups/learned"], found["groups/too_even"], found["groups/refilled"]) == (2, 1, 1)
    assert found["groups/pictures_learned"] + found["groups/pictures_too_few"] + found["groups/pictures_too_even"] == 12


@pytest.mark.slow
def test_a_resumed_tree_is_an_unbroken_one(tmp_path):
    trainer(tmp_path / "unbroken", steps=3, **SEGMENT).train()
    broken = trainer(tmp_path / "broken", steps=3, **SEGMENT)
    broken.log.report = lambda metrics: setattr(broken, "stopping", True)
    assert broken.train() == 1
    assert trainer(tmp_path / "broken", steps=3, **SEGMENT).train() == 3
    one, two = (
        torch.load(tmp_path / name / "checkpoints/step-000003/trainer.pt", weights_only=True)["weights"]
        for name in ("broken", "unbroken")
    )
    assert all(torch.equal(one[name], two[name]) for name in two)


@pytest.mark.slow
def test_a_shared_chain_is_judged_once(tmp_path):
    class Counting(ChecksumJudge):
        looks_at = "prose"

        def __init__(self) -> None:
            self.asked = 0

        def judge(self, samples):
            self.asked += len(samples)
            return super().judge(samples)

    judges = {"chain": Counting(), "picture": PictureJudge()}
    facts = {name: (judge.range, judge.may_not_apply) for name, judge in judges.items()}
    weights = {"chain": 1.0, "picture": 1.0}
    total = Total(TotalSettings(rule="weighted", weights=weights), facts, judges)
    one = trainer(tmp_path, RewardSet(judges, total), **SEGMENT)
    collected = one.collector.judge(one.collector.sample(0))
    assert judges["chain"].asked == 8
    assert [row["chain"] for row in collected.rows] == ChecksumJudge().judge(collected.rollout.samples)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"credit": "segment"}, "set pictures_per_chain to 2 or more"),
        ({"pictures_per_chain": 3}, "expected 2 or more chains of 3 pictures"),
        ({"pictures_per_chain": 4}, "expected 2 or more chains of 4 pictures"),
        ({**SEGMENT, "gdpo": {}}, "choose one"),
        ({**TREE, "loss": "sequences"}, "several share a chain"),
        ({**TREE, "importance": {"form": "sequence"}}, "several sequences share a chain"),
        ({**TREE, "sampling": {"tile": 1}}, "a chain's 2 pictures at least"),
    ],
)
def test_trees_that_do_not_fit_are_refused(changes, word):
    with pytest.raises(ValueError, match=word):
        settings(**changes)


def test_rewards_without_a_segment_are_refused():
    asked = settings(**SEGMENT)
    with pytest.raises(UsageError, match="judge 'checksum' does not say whether it looks at chain or picture"):
        step_credit.check_credit(asked, RewardSet({"checksum": ChecksumJudge()}))
    judge = ChecksumJudge()
    judge.looks_at = "plan"
    with pytest.raises(UsageError, match="no judge of the reward looks at the picture"):
        step_credit.check_credit(asked, RewardSet({"checksum": judge}))
    step_credit.check_credit(asked, segment_rewards())


def planted_sum(monkeypatch):
    monkeypatch.setattr(credit, "_mean", lambda values_CM, counted_CM: (values_CM * counted_CM).sum(dim=1))


def planted_group(monkeypatch):
    """Pictures against all of the prompt instead of their chain's."""
    whole = lambda totals, pictures, per_chain, **how: credit.Credit(  # noqa: E731
        segment_credit(totals, pictures, per_chain, **how).text, group_advantages(*pictures, **how)
    )
    monkeypatch.setattr(credit, "segment_credit", whole)


def planted_twice(monkeypatch):
    """A shared chain's advantage in each of its samples."""
    once = credit._at_first

    def everywhere(values_C, learned_C, pictures, like):
        found = once(values_C, learned_C, pictures, like)
        return credit.Advantages(
            values_C.repeat_interleave(pictures).view_as(found.values_PG),
            learned_C.repeat_interleave(pictures).view_as(found.learned_PG), 0, 0,
        )  # fmt: skip

    monkeypatch.setattr(credit, "_at_first", everywhere)


def planted_sign(monkeypatch):
    turned = lambda totals, pictures, per_chain, **how: segment_credit(  # noqa: E731
        (-totals[0], totals[1]), pictures, per_chain, **how
    )
    monkeypatch.setattr(credit, "segment_credit", turned)


@pytest.mark.parametrize("planted", [planted_sum, planted_group, planted_twice, planted_sign])
def test_planted_errors_are_seen(planted, monkeypatch):
    planted(monkeypatch)
    with pytest.raises(AssertionError):
        test_the_mean_gradient_over_all_trees_is_the_exact_one()
    with pytest.raises(AssertionError):
        test_credit_by_segment_against_loops("none")
