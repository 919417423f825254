"""Options that act on a whole step: what is averaged, who is learned from, what is refilled, what it is compared to."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.types import Prompt
from rewards.reward_set import RewardSet
from rewards.total import Total, TotalSettings
from tests.grpo_runs import ChecksumJudge, gradients, settings, trainer
from tests.tiny_models import loaded_random
from training import collector, grpo, step_credit, update
from training.advantage import Advantages
from training.policies import Actions, SegmentScores, TokenScores
from training.policies.janus import JanusPolicy
from training.rollout import generate
from training.trained_parts import Learner
from training.update import Work, denominator, everything_sampled, losses, micro_batches

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sampled():
    one = settings(samples_per_prompt=4)
    policy = JanusPolicy(loaded_random(), one.policy_sampling)
    prompts = trainer_prompts(4)
    actions = generate(policy, prompts, range(4), chain_cap=12, tile=4).actions
    # Chains of different lengths: of the first two only the end was sampled.
    chain_BL = actions.chain_BL.clone()
    chain_BL[0, :-3], chain_BL[1, :-6] = False, False
    actions = replace(actions, chain_BL=chain_BL)
    with torch.no_grad():
        return actions, policy(actions)


def trainer_prompts(count: int) -> list[Prompt]:
    return [Prompt(text) for text in ("a red circle", "two blue squares", "a green star", "a dotted triangle")[:count]]


def moved(scores: TokenScores, by: float, seed: int) -> TokenScores:
    """Scores as a policy some updates away would give them."""

    def one(segment: SegmentScores) -> SegmentScores:
        noise = torch.randn(segment.log_probs_BS.shape, generator=torch.Generator().manual_seed(seed))
        return replace(segment, log_probs_BS=(segment.log_probs_BS + by * noise).detach().requires_grad_())

    return TokenScores(one(scores.text), one(scores.image))


ADVANTAGES = torch.tensor([1.0, -0.5, 2.0, -1.5]).expand(2, 4)
EVERY = torch.ones(2, 4, dtype=torch.bool)


@pytest.mark.parametrize("kind", ["tokens", "sequences", "constant"])
def test_what_is_averaged_against_loops(sampled, kind):
    actions, old = sampled
    asked = settings(loss=kind, beta=0.0, text_weight=2.0, image_weight=0.5, scale="none", updates=2)
    new = moved(old, 0.3, 0)
    found, _ = losses(new, Work(actions, ADVANTAGES, EVERY, old), asked)
    total = found.item() / denominator([everything_sampled(actions)], asked)
    pairs = [
        (new.text.log_probs_BS, old.text.log_probs_BS, actions.chain_BL, 2.0),
        (new.image.log_probs_BS, old.image.log_probs_BS, torch.ones_like(actions.image_BT, dtype=torch.bool), 0.5),
    ]
    sums, counts = np.zeros(4), np.zeros(4)
    for row in range(4):
        for now, before, there, weight in pairs:
            for log_p, log_q in zip(now[row][there[row]].tolist(), before[row][there[row]].tolist(), strict=True):
                ratio, a = np.exp(log_p - log_q), float(ADVANTAGES[0, row])
                sums[row] -= weight * min(ratio * a, np.clip(ratio, 0.8, 1.2) * a)
                counts[row] += weight
    wanted = {
        "tokens": sums.sum() / counts.sum(),
        "sequences": (sums / counts).mean(),
        "constant": sums.sum() / (4 * (2.0 * 12 + 0.5 * actions.image_BT.shape[1])),
    }
    assert total == pytest.approx(wanted[kind], rel=1e-5)
    others = [value for name, value in wanted.items() if name != kind]
    assert all(abs(total - other) > 1e-3 * abs(total) for other in others), "the case tells them apart"


@pytest.mark.parametrize("kind", ["tokens", "sequences", "constant"])
def test_micro_batches_change_no_average(sampled, kind):
    actions, old = sampled
    asked = settings(loss=kind, updates=2, beta=0.0)

    def loss(size: int) -> float:
        work = micro_batches(actions, ADVANTAGES, EVERY, size)
        policy = JanusPolicy(loaded_random(), asked.policy_sampling)
        with torch.no_grad():
            parts = [losses(policy(part.actions), part, asked)[0].item() for part in work]
        return sum(parts) / denominator(work, asked)

    assert loss(1) == pytest.approx(loss(4), rel=1e-5)
    assert old is not None


@pytest.mark.parametrize("form", ["token", "sequence"])
def test_importance_weights_multiply_the_whole_token_loss(sampled, form):
    actions, scores = sampled
    noise = torch.randn(actions.sampled_image_BT.shape, generator=torch.Generator().manual_seed(1))
    drifted = replace(actions, sampled_image_BT=scores.image.log_probs_BS + 0.1 * noise)
    asked = settings(importance={"form": form, "cap": "none"}, image_weight=1.0, text_weight=0.0, beta=0.0)
    found, sums = losses(scores, Work(drifted, ADVANTAGES, EVERY), asked)
    gap = (scores.image.log_probs_BS - drifted.sampled_image_BT).double()
    text = torch.where(actions.chain_BL, scores.text.log_probs_BS - actions.sampled_text_BL, 0.0).sum(dim=1)
    weights = gap.exp() if form == "token" else (gap.sum(dim=1) + text).exp()[:, None].expand_as(gap)
    assert found.item() == pytest.approx(float(-(weights * ADVANTAGES[1, :, None]).sum()), rel=1e-4)
    assert sums["image/importance"] == pytest.approx(float(weights.sum()), rel=1e-4)
    far = float(((gap.exp() < 0.8) | (gap.exp() > 1.2)).sum())
    assert sums["image/drifted"] == far
    assert far > 0


def test_importance_is_on_unless_everything_is_float32():
    assert settings().importance_form == "none"
    assert settings(compute="bfloat16").importance_form == "token"
    assert settings(dtype="bfloat16", lora={"rank": 2, "alpha": 2}).importance_form == "token"
    assert settings(importance={"form": "sequence"}).importance_form == "sequence"


def test_an_entropy_bonus_has_the_entropys_gradient(tmp_path):
    plain = gradients(trainer(tmp_path / "plain", max_grad_norm=1e9, beta=0.0))
    found = gradients(trainer(tmp_path / "bonus", max_grad_norm=1e9, beta=0.0, text_entropy=0.3, image_entropy=0.1))
    one = trainer(tmp_path / "alone", max_grad_norm=1e9, beta=0.0)
    rollout = one.collector.sample(0).rollout
    policy = one.learner.policy
    policy.sampling = replace(policy.sampling, entropy_gradient=True)
    everyone = one.collector.judge(one.collector.sample(0))
    learned = one.collector.credit(everyone)[0].image.learned_PG.flatten()
    rows = learned.nonzero()[:, 0]
    actions = rollout.actions.select(rows)
    scores = policy(actions)
    count = actions.chain_BL.sum() + actions.image_BT.numel()
    chains = torch.where(actions.chain_BL, scores.text.entropy_BS, 0.0).sum()
    bonus = (0.3 * chains + 0.1 * scores.image.entropy_BS.sum()) / count
    names, parameters = zip(*[(n, p) for n, p in policy.named_parameters() if n in plain], strict=True)
    wanted = dict(zip(names, torch.autograd.grad(bonus, parameters), strict=True))
    for name, entropy in wanted.items():
        assert torch.allclose(plain[name] - found[name], entropy, atol=1e-4 * float(entropy.abs().max() + 1e-3)), name


@pytest.mark.parametrize("changes", [{"objective": "gspo"}, {"objective": "cispo"}, {"text_clip": {"two_sided": 1.3}}])
def test_with_one_update_ratios_do_nothing_and_with_two_they_do(tmp_path, changes):
    """The second update's gradients differ, the first one's do not."""
    assert len(settings(**changes).idle) == 1
    assert not settings(updates=2, **changes).idle
    clips = {"image_clip": {"low": 0.01, "high": 0.01}, "text_clip": {"low": 0.01, "high": 0.01}}
    given = {**clips, **changes}
    if "text_clip" in changes:
        given = {**given, "text_clip": {"low": 0.01, "high": 0.01, "two_sided": 1.02}}

    def norms(name: str, updates: int, **asked) -> list[float]:
        one = trainer(tmp_path / name, updates=updates, learning_rate=3e-2, beta=0.0, max_grad_norm=1e9, **asked)
        found: list[float] = []
        step = one.optimizer.step

        def noted() -> None:
            found.append(float(torch.cat([p.grad.flatten() for p in one.trained if p.grad is not None]).norm()))
            step()

        one.optimizer.step = noted
        one.step(0)
        return found

    assert norms("one", 1, **given) == pytest.approx(norms("plain", 1, **clips), rel=1e-4)
    given_two, plain_two = norms("two", 2, **given), norms("plain two", 2, **clips)
    assert given_two[0] == pytest.approx(plain_two[0], rel=1e-4)
    assert given_two[1] != pytest.approx(plain_two[1], rel=1e-3)


class EvenAtFirst(ChecksumJudge):
    """Scores the groups whose first sample is numbered below 4 all alike."""

    may_be_even = 4

    def judge(self, samples):
        found = super().judge(samples)
        return [
            Score(value=0.5) if int(sample.id) < self.may_be_even else outcome
            for sample, outcome in zip(samples, found, strict=True)
        ]


def test_more_groups_than_were_missing_end_the_refilling(tmp_path, monkeypatch):
    """Several processes take whole numbers of groups each."""
    one = trainer(tmp_path, refill=4)
    collector, asked = one.collector, list[range | None]()
    collector._processes = 2

    class Groups:
        def with_more(self, more, pad):
            return self

    def sample(step, places=None, clock=None):
        asked.append(places)
        return SimpleNamespace(clock=clock)

    def credit(collected):
        taught = [index > 0 for places in asked for index in places or range(2)]
        return SimpleNamespace(taught=torch.tensor(taught)), slice(None)

    monkeypatch.setattr(collector, "sample", sample)
    monkeypatch.setattr(collector, "judge", lambda sampled: Groups())
    monkeypatch.setattr(collector, "credit", credit)
    assert collector.collect(0).refilled == 2
    assert asked == [None, range(2, 4)]


def test_even_groups_are_refilled_from_the_steps_own_further_prompts(tmp_path):
    rewards = RewardSet({"checksum": EvenAtFirst()})
    plain = trainer(tmp_path / "plain", rewards).step(0)
    assert (plain["groups/learned"], plain["groups/too_even"]) == (1, 1)
    one = trainer(tmp_path / "refilled", rewards, refill=4)
    found = one.step(0)
    assert (found["groups/learned"], found["groups/too_even"], found["groups/refilled"]) == (2, 1, 1)
    # The step after has the prompts and seeds that it has whatever this one took.
    assert one.collector.prompts.step(1, 6) == trainer(tmp_path / "other", refill=4).collector.prompts.step(1, 6)
    bounded = EvenAtFirst()
    bounded.may_be_even = 1000
    nothing = trainer(tmp_path / "bounded", RewardSet({"checksum": bounded}), refill=3).step(0)
    assert (nothing["groups/learned"], nothing["groups/refilled"], nothing["updates"]) == (0, 3, 0)


def test_joined_rollouts_are_the_samples_of_both(sampled):
    actions, _ = sampled
    pad = loaded_random().special.pad
    short = actions.text.mask_BL.sum(dim=1).argsort()
    parts = [actions.select(short[:1]), actions.select(short[1:])]
    joined = Actions.join(parts, pad)
    whole = actions.select(short)
    assert torch.equal(joined.text.mask_BL, whole.text.mask_BL)
    for name in ("chain_BL", "image_BT", "sampled_text_BL", "sampled_image_BT"):
        assert torch.equal(getattr(joined, name), getattr(whole, name)), name
    assert torch.equal(joined.text.ids_BL * joined.text.mask_BL, whole.text.ids_BL * whole.text.mask_BL)
    assert (joined.text.ids_BL[joined.text.mask_BL == 0] == pad).all()


def test_all_that_was_sampled_in_the_denominator_makes_the_step_smaller(tmp_path):
    rewards = RewardSet({"checksum": EvenAtFirst()})
    changes = {"beta": 0.0, "max_grad_norm": 1e9}
    learned = gradients(trainer(tmp_path / "learned", rewards, **changes))
    one = trainer(tmp_path / "all", rewards, denominator="all", **changes)
    everything = gradients(one)
    actions = one.collector.sample(0).rollout.actions
    scored = EvenAtFirst().judge(one.collector.sample(0).rollout.samples)
    rows = [at for at, each in enumerate(scored) if at >= 4 and isinstance(each, Score)]
    counts = actions.chain_BL.sum(dim=1) + actions.image_BT.shape[1]
    share = float(counts[rows].sum() / counts.sum())
    assert 0.2 < share < 0.8
    for name, gradient in learned.items():
        assert torch.allclose(everything[name], share * gradient, rtol=1e-3, atol=1e-6), name


def test_truncated_chains_are_masked_or_punished(tmp_path):
    one = trainer(tmp_path / "masked", truncated={"learn": False})
    collected = one.collector.judge(one.collector.sample(0))
    truncated = torch.tensor(collected.rollout.truncated)
    assert truncated.any()
    masked = one.collector.credit(collected)[0].image
    assert not masked.learned_PG.flatten()[truncated].any()
    plain = trainer(tmp_path / "plain").collector.credit(collected)[0].image
    kept = masked.learned_PG
    assert torch.equal(masked.values_PG[kept], plain.values_PG[kept]), "they stay in their group's mean"
    punished = trainer(tmp_path / "soft", truncated={"soft": 12, "penalty": 0.5}).collector.credit(collected)[0].image
    tokens = collected.rollout.actions.chain_BL.sum(dim=1)
    values = torch.tensor(
        [each["checksum"].value if isinstance(each["checksum"], Score) else 0 for each in collected.rows]
    )
    scored = torch.tensor([isinstance(each["checksum"], Score) for each in collected.rows]).view(2, 4)
    less = (values - 0.5 * tokens / 12).view(2, 4)
    for row in range(2):
        there = less[row][scored[row]]
        if len(there) > 1:
            wanted = (there - there.mean()) / (there.std() + 1e-4)
            assert punished.values_PG[row][scored[row]] == pytest.approx(wanted, abs=1e-4)


class Reversed(ChecksumJudge):
    name, fingerprint = "reversed", "reversed-1"

    def judge(self, samples):
        return [
            Score(value=1 - each.value) if isinstance(each, Score) else Unscored(why=Why.NOT_APPLICABLE, detail="none")
            for each in super().judge(samples)
        ]


def two_judges() -> RewardSet:
    judges = {"one": ChecksumJudge(), "two": Reversed()}
    facts = {name: (judge.range, judge.may_not_apply) for name, judge in judges.items()}
    return RewardSet(judges, Total(TotalSettings(rule="weighted", weights={"one": 1.0, "two": 1.0}), facts, judges))


def test_gdpo_takes_the_place_of_the_total(tmp_path):
    """Two judges whose sum is always 1: nothing to learn of the total, and of GDPO as much as the weights differ."""
    plain = trainer(tmp_path / "plain", two_judges()).step(0)
    assert plain["groups/learned"] == 0
    found = trainer(tmp_path / "gdpo", two_judges(), gdpo={"weights": {"two": 0.5}}).step(0)
    assert found["groups/learned"] == 2
    with pytest.raises(UsageError, match="no judge three"):
        trainer(tmp_path / "unknown", two_judges(), gdpo={"weights": {"three": 1.0}})
    with pytest.raises(UsageError, match="has one"):
        trainer(tmp_path / "single", gdpo={})


@pytest.mark.parametrize("lora", [None, {"rank": 2, "alpha": 4}])
def test_a_reference_that_follows_is_the_policy_of_then(tmp_path, lora):
    changes = {"lora": lora, "reference": {"every": 2, "mix": 0.25}, "learning_rate": 1e-2, "steps": 4}
    one = trainer(tmp_path / "one", **changes)
    names = [name for name, each in one.learner.policy.named_parameters() if each.requires_grad]

    def values(policy) -> dict[str, torch.Tensor]:
        return {name: each.detach().clone() for name, each in policy.named_parameters() if name in names}

    def reference() -> dict[str, torch.Tensor]:
        with one.learner.reference() as first:
            return values(first)

    start, actions = values(one.learner.policy), one.collector.sample(0).rollout.actions
    with torch.no_grad(), one.learner.reference() as first:
        before = first(actions).image.log_probs_BS
    one.step(0)
    assert not one.learner.followed
    one.step(1)
    now = values(one.learner.policy)
    for name, each in reference().items():
        # Adapters begin as no change, by second factors of 0: the first ones may be today's.
        before_then = now[name] if "lora_A" in name else start[name]
        assert torch.allclose(each, before_then + 0.25 * (now[name] - before_then), atol=1e-7), name
    assert all(torch.equal(each, now[name]) for name, each in values(one.learner.policy).items())
    with torch.no_grad(), one.learner.reference() as first:
        assert not torch.allclose(first(actions).image.log_probs_BS, before, atol=1e-5)


@pytest.mark.parametrize("lora", [None, {"rank": 2, "alpha": 4}])
def test_a_run_whose_reference_follows_resumes_exactly(tmp_path, lora):
    changes = {"lora": lora, "reference": {"every": 1, "mix": 0.5}, "steps": 3, "learning_rate": 1e-2}
    trainer(tmp_path / "unbroken", **changes).train()
    broken = trainer(tmp_path / "broken", **changes)
    step = broken.step

    def stopped(number: int):
        broken.stopping = number == 1
        return step(number)

    broken.step = stopped
    assert broken.train() == 2
    trainer(tmp_path / "broken", **changes).train()
    one, two = (
        torch.load(tmp_path / name / "checkpoints" / "step-000003" / "trainer.pt", weights_only=True)
        for name in ("unbroken", "broken")
    )
    for part in ("weights", "reference"):
        assert one[part].keys() == two[part].keys()
        assert one[part]
        assert all(torch.equal(each, two[part][name]) for name, each in one[part].items()), part


def test_an_update_out_of_memory_is_made_again_in_halves(tmp_path, monkeypatch):
    whole = trainer(tmp_path / "whole", micro_batch=8)
    wanted = whole.step(0)
    losses_of = update.losses

    def short(scores, part, asked):
        if len(part.actions) > 2:
            raise torch.OutOfMemoryError("too large")
        return losses_of(scores, part, asked)

    monkeypatch.setattr(update, "losses", short)
    one = trainer(tmp_path / "halved", micro_batch=8)
    found = one.step(0)
    assert found["micro_batch"] == 2
    assert found["grad_norm"] == pytest.approx(wanted["grad_norm"], rel=1e-4)
    monkeypatch.setattr(update, "losses", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("never")))
    with pytest.raises(RunError, match="micro_batch = 1"):
        trainer(tmp_path / "never").step(0)


def test_a_tile_out_of_memory_is_sampled_in_halves(monkeypatch):
    asked = settings()
    policy = JanusPolicy(loaded_random(), asked.policy_sampling)
    prompts = trainer_prompts(4)
    whole = generate(policy, prompts, range(4), chain_cap=12, tile=2)
    begun: list[str] = []
    images = policy.sample_images

    def short(texts, seeds):
        if len(texts) > 2:
            raise torch.OutOfMemoryError("too large")
        return images(texts, seeds)

    monkeypatch.setattr(policy, "sample_images", short)
    found = generate(
        policy, prompts, range(4), chain_cap=12, tile=4, written=lambda samples: begun.extend(s.id for s in samples)
    )
    assert torch.equal(found.actions.image_BT, whole.actions.image_BT)
    assert begun == ["0", "1", "2", "3"], "judges that begin early are told once"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"compute": "float32", "dtype": "bfloat16", "lora": {"rank": 2}}, "rounded already"),
        ({"objective": "cispo", "image_clip": {"two_sided": 3.0}}, "bounded already"),
        ({"text_clip": {"two_sided": 1.1}}, "expected more than"),
        ({"beta": 0.0, "reference": {"every": 5}}, "beta = 0 reads none"),
        ({"gdpo": {}, "scale": "batch"}, "leave scale"),
        ({"truncated": {"soft": 50}}, "more than sampling.chain_cap"),
        ({"gdpo": {}, "truncated": {"soft": 5}}, "one reward"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(changes, word):
    with pytest.raises(ValueError, match=word):
        settings(**changes)


def planted_average(monkeypatch, sampled, tmp_path):
    monkeypatch.setattr(update, "_row_weights", lambda segments: torch.ones(len(segments[0].actions_BS)))
    test_what_is_averaged_against_loops(sampled, "sequences")


def planted_denominator(monkeypatch, sampled, tmp_path):
    whole = denominator
    monkeypatch.setitem(globals(), "denominator", lambda parts, asked: 2 * whole(parts, asked))
    test_what_is_averaged_against_loops(sampled, "constant")


def planted_importance(monkeypatch, sampled, tmp_path):
    wrong = lambda old, drawn, cap: (drawn - old).detach().exp()  # noqa: E731
    monkeypatch.setattr(update, "token_importance", wrong)
    test_importance_weights_multiply_the_whole_token_loss(sampled, "token")


def planted_bonus(monkeypatch, sampled, tmp_path):
    made = update._segments
    turned = lambda *given: tuple(replace(each, bonus=-each.bonus) for each in made(*given))  # noqa: E731
    monkeypatch.setattr(update, "_segments", turned)
    test_an_entropy_bonus_has_the_entropys_gradient(tmp_path)


def planted_share(monkeypatch, sampled, tmp_path):
    only = lambda self, work, rollout: (len(work), denominator(work, self.settings))  # noqa: E731
    monkeypatch.setattr(grpo.GrpoTrainer, "_over_all", only)
    test_all_that_was_sampled_in_the_denominator_makes_the_step_smaller(tmp_path)


def planted_mask(monkeypatch, sampled, tmp_path):
    monkeypatch.setattr(Advantages, "without", lambda self, left_out_PG: self)
    test_truncated_chains_are_masked_or_punished(tmp_path)


def planted_punishment(monkeypatch, sampled, tmp_path):
    upwards = lambda rewards, tokens, cap, soft, penalty: rewards + penalty * tokens / soft  # noqa: E731
    monkeypatch.setattr(step_credit, "punish_long_chains", upwards)
    test_truncated_chains_are_masked_or_punished(tmp_path)


def planted_reference(monkeypatch, sampled, tmp_path):
    follow = Learner.follow
    monkeypatch.setattr(Learner, "follow", lambda self, mix: follow(self, 1 - mix))
    test_a_reference_that_follows_is_the_policy_of_then(tmp_path, None)


def planted_refill(monkeypatch, sampled, tmp_path):
    monkeypatch.setattr(collector, "_learned", lambda credit: len(credit.taught))
    test_even_groups_are_refilled_from_the_steps_own_further_prompts(tmp_path)


@pytest.mark.parametrize(
    "planted",
    [
        planted_average, planted_denominator, planted_importance, planted_bonus, planted_share, planted_mask,
        planted_punishment, planted_reference, planted_refill,
    ],
)  # fmt: skip
def test_planted_errors_are_seen(planted, monkeypatch, sampled, tmp_path):
    """With a sign or a normaliser off, or an option without effect, the tests above fail."""
    with pytest.raises(AssertionError):
        planted(monkeypatch, sampled, tmp_path)
