"""Every family of policies through the same tests: sampling, scoring, learning, checkpoints, supervised data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Prompt
from gotr1_eval.models.generators import emu3 as emu3_generator
from gotr1_eval.models.generators import janus as janus_generator
from gotr1_eval.models.sampled_sequences import unconditional_row
from tests import sft_runs, tiny_emu3, tiny_models
from tests.grpo_runs import gradients, trainer
from training.accelerating import computing
from training.policies import Policy, Sampling
from training.policies.emu3 import Emu3Policy
from training.policies.janus import JanusPolicy
from training.policies.reading import read_policy
from training.rollout import PolicyGenerator, generate
from training.sft import SftOptions, train_sft
from training.sft_data import read_examples

TEXTS = ["a red circle", "a blue square on the left of a green circle", "a dotted triangle", "two red circles"]
PROMPTS = [Prompt(text) for text in TEXTS]
SAMPLING = Sampling(guidance=3.0, text_temperature=1.1, image_temperature=0.9)
CODES = tiny_models.CODES
assert (tiny_models.TOKENS, CODES) == (tiny_emu3.ROWS**2, tiny_emu3.CODES), "the families' tests share their data"


def janus_logits(policy: Any, text: list[int], image: list[int]) -> torch.Tensor:
    """The plain logits of image tokens behind a text, [T, codes], by transformers alone."""
    model = policy.model
    embedded = torch.cat(
        [
            model.get_input_embeddings()(torch.tensor([text])),
            model.prepare_embeddings_for_image_generation(torch.tensor([image[:-1]])),
        ],
        dim=1,
    )
    states = model.model.language_model(inputs_embeds=embedded).last_hidden_state
    return model.model.generation_head(states[0, len(text) - 1 :])


def emu3_logits(policy: Any, text: list[int], image: list[int]) -> torch.Tensor:
    """Likewise: one sequence of ids, in which row ends stand, and of every row's logits the image tokens'."""
    first, columns = policy.codes.first, policy.layout.columns
    body = [token + first for token in image]
    for end in reversed(range(columns, len(body), columns)):
        body.insert(end, policy.special.end_of_row)
    ids = [*text, *policy.layout.header, *body]
    logits = policy.model(torch.tensor([ids])).logits[0, len(text) + len(policy.layout.header) - 1 : -1]
    sampled = [place for place, token in enumerate(body) if token != policy.special.end_of_row]
    return logits[sampled, first:]


@dataclass(frozen=True)
class Family:
    """What the tests need of a family."""

    checkpoint: Callable[[Path], Path]
    kind: type[Policy]
    generator: ModuleType
    plain_logits: Callable[[Any, list[int], list[int]], torch.Tensor]


FAMILIES = {
    "janus": Family(tiny_models.random_checkpoint, JanusPolicy, janus_generator, janus_logits),
    "emu3": Family(tiny_emu3.random_checkpoint, Emu3Policy, emu3_generator, emu3_logits),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory):
    return family.checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def read(folder):
    """From sampling to the policy of the checkpoint, read anew."""
    return partial(read_policy, str(folder), "cpu", "float32")


@pytest.fixture(scope="module")
def rollout(read):
    found = generate(read(SAMPLING), PROMPTS, [1, 2, 3, 4], chain_cap=30, tile=3)
    assert any(found.truncated)
    return found


def scores(read, actions, **changes):
    policy = read(replace(SAMPLING, **changes))
    policy.chunk = 37
    with torch.no_grad():
        return policy(actions)


def worst(one, two):
    return (one - two).abs().max().item()


def test_the_checkpoint_names_its_family(family, read):
    assert type(read(SAMPLING)) is family.kind


def test_another_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UsageError, match=r"is of model_type 'llama'; training knows 'janus', .*'emu3'"):
        read_policy(str(tmp_path), "cpu", "float32", SAMPLING)


@pytest.mark.parametrize("how", ["guided", "guided_detached"])
def test_trainer_and_sampler_agree(read, rollout, how):
    found = scores(read, rollout.actions, image_logprob=how)
    assert worst(found.text.log_probs_BS, rollout.actions.sampled_text_BL) <= 1e-4
    assert worst(found.image.log_probs_BS, rollout.actions.sampled_image_BT) <= 1e-4


def test_trainer_and_sampler_agree_while_layers_are_run_again(read, rollout):
    """For that the language model is in training mode, where a class with dropout would drop something."""
    policy = read(SAMPLING)
    policy.language_model.train()
    found = policy(rollout.actions)
    assert worst(found.image.log_probs_BS, rollout.actions.sampled_image_BT) <= 1e-4
    assert worst(found.text.log_probs_BS, rollout.actions.sampled_text_BL) <= 1e-4


def test_pictures_are_scored_as_transformers_has_them(family, read, rollout):
    """Row by row without padding, guidance and temperature by hand."""
    policy, actions = read(SAMPLING), rollout.actions
    for row in range(len(actions)):
        text = actions.text.ids_BL[row][actions.text.mask_BL[row].bool()].tolist()
        image = actions.image_BT[row].tolist()
        with torch.no_grad():
            c, u = (family.plain_logits(policy, ids, image) for ids in (text, unconditional_row(text, policy.pad)))
        guided = (u + SAMPLING.guidance * (c - u)) / SAMPLING.image_temperature
        expected = guided.log_softmax(-1).gather(1, actions.image_BT[row][:, None])[:, 0]
        assert worst(actions.sampled_image_BT[row], expected) <= 1e-4


def test_heads_and_scores_are_float32_over_weights_of_half_precision(folder, rollout):
    policy = read_policy(str(folder), "cpu", "bfloat16", SAMPLING)
    states = torch.randn(3, 32, dtype=torch.bfloat16)
    assert policy.text_head()(states).dtype == policy.image_head()(states).dtype == torch.float32
    with torch.no_grad(), computing(False, torch.device("cpu")):
        assert policy(rollout.actions).image.log_probs_BS.dtype == torch.float32


def test_micro_batches_change_nothing(read, rollout):
    whole = scores(read, rollout.actions)
    for rows in ([0], [1, 3], [2, 1, 0]):
        index = torch.tensor(rows)
        part = scores(read, rollout.actions.select(index))
        assert worst((part.image.log_probs_BS - whole.image.log_probs_BS[index]).exp(), torch.ones(1)) <= 1e-5
        length = part.text.log_probs_BS.shape[1]
        assert worst((part.text.log_probs_BS - whole.text.log_probs_BS[index, -length:]).exp(), torch.ones(1)) <= 1e-5


@pytest.mark.parametrize("planted", ["temperature", "pad row", "shift by one"])
def test_a_planted_error_is_seen(read, rollout, planted, monkeypatch):
    actions, changes = rollout.actions, {}
    if planted == "temperature":
        changes = {"image_temperature": 1.0}
    elif planted == "pad row":
        monkeypatch.setattr("training.policies.scoring.unconditional", lambda text, pad: text.ids_BL.clone())
    else:
        actions = replace(actions, image_BT=actions.image_BT.roll(1, dims=1))
    found = scores(read, actions, **changes)
    assert worst(found.image.log_probs_BS, rollout.actions.sampled_image_BT) > 1e-2


def test_only_sampled_tokens_are_actions(read, rollout):
    policy, actions = read(SAMPLING), rollout.actions
    end = policy.encode_chain("")[-1]
    for row, sample in enumerate(rollout.samples):
        ids = actions.text.ids_BL[row][actions.chain_BL[row]].tolist()
        assert (ids[-1] == end) == (not rollout.truncated[row]) == sample.chain.endswith(BEGIN_OF_IMAGE)
        words = policy.tokenizer.decode([token for token in ids if token != end], skip_special_tokens=False)
        assert words == sample.chain.removesuffix(BEGIN_OF_IMAGE)
    found = scores(read, actions)
    assert not found.text.log_probs_BS[~actions.chain_BL].any()
    assert (found.text.log_probs_BS[actions.chain_BL] < 0).all()
    assert found.image.log_probs_BS.shape == (4, policy.grid.tokens)


def test_the_policy_as_a_generator_is_the_family_s(family, folder, read):
    """The same pictures and chains as the generator's of the same name, and the same word on cut chains."""
    asked = {"ckpt": str(folder), "guidance": 3, "chain_cap": 9, "image_temperature": 0.9, "text_temperature": 1.1}
    theirs = family.generator.build(family.generator.Settings(**asked), workshop=None).generate(TEXTS, [1, 2, 3, 4])
    ours = PolicyGenerator(read(SAMPLING), 9, "policy").generate(TEXTS, [1, 2, 3, 4])
    for one, other in zip(ours, theirs, strict=True):
        assert (one.chain, one.truncated) == (other.chain, other.truncated)
        assert one.image.tobytes() == other.image.tobytes()


def test_pictures_become_the_tokens_of_the_class(family, read):
    policy = read(SAMPLING)
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8))
    pixels = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        if family.kind is Emu3Policy:
            sizes = torch.tensor([[8, 8]] * 3)
            rows = policy.model.model.get_image_tokens(pixels, sizes).view(3, tiny_emu3.ROWS, -1)
            assert (rows[:, :, -1] == policy.special.end_of_row).all()
            expected = (rows[:, :, :-1] - policy.codes.first).flatten(1)
        else:
            # Janus's class compares latents that nobody normalised; unit codes make that the same choice.
            codebook = policy.model.model.vqmodel.quantize.embedding.weight
            codebook.copy_(torch.nn.functional.normalize(codebook, dim=-1))
            expected = policy.model.model.vqmodel.encode(pixels).image_tokens.view(3, -1)
        found = policy.picture_encoder()(pictures)
    assert torch.equal(found, expected)
    assert (policy.grid.width, policy.grid.height) == (8, 8)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3])
def test_micro_batches_give_the_same_gradients(tmp_path, read, size):
    one = gradients(trainer(tmp_path / "one", read=read, max_grad_norm=1e9))
    other = gradients(trainer(tmp_path / "other", read=read, micro_batch=size, max_grad_norm=1e9))
    assert one.keys() == other.keys() != set()
    for name, gradient in one.items():
        assert worst(other[name], gradient) <= 1e-5 * max(gradient.abs().max().item(), 1e-8), name


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"updates": 2, "kl": "exact"}, {"lora": {"rank": 4, "alpha": 4}}])
def test_a_resumed_run_is_an_unbroken_one(tmp_path, read, changes):
    trainer(tmp_path / "unbroken", read=read, steps=3, **changes).train()
    broken = trainer(tmp_path / "broken", read=read, steps=3, **changes)
    broken.log.report = lambda metrics: setattr(broken, "stopping", True)
    assert broken.train() == 1
    assert trainer(tmp_path / "broken", read=read, steps=3, **changes).train() == 3
    one, two = (
        torch.load(tmp_path / name / "checkpoints/step-000003/trainer.pt", weights_only=True)["weights"]
        for name in ("broken", "unbroken")
    )
    assert two
    assert all(torch.equal(one[name], two[name]) for name in two)


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, {"rank": 4, "alpha": 8}])
def test_what_is_saved_is_a_checkpoint(tmp_path, folder, read, lora):
    trained = trainer(tmp_path, read=read, ckpt=str(folder), steps=1, learning_rate=1e-2, lora=lora, beta=0.0)
    trained.train()
    actions = trained.collector.sample(0).rollout.actions
    saved = read_policy(str(tmp_path / "checkpoints/step-000001"), "cpu", "float32", trained.learner.policy.sampling)
    with torch.no_grad():
        before, after, again = (
            policy(actions).image.log_probs_BS for policy in (read(saved.sampling), trained.learner.policy, saved)
        )
    assert torch.allclose(again, after, atol=1e-5)
    assert not torch.allclose(again, before, atol=1e-3)


@pytest.mark.slow
def test_adapters_off_is_the_model_before(tmp_path, read):
    adapted = trainer(tmp_path, read=read, lora={"rank": 4, "alpha": 8}, learning_rate=1e-2)
    actions = adapted.collector.sample(0).rollout.actions
    policy = adapted.learner.policy
    with torch.no_grad():
        before = policy(actions).image.log_probs_BS
    adapted.train()
    with torch.no_grad():
        with adapted.learner.reference() as first:
            off = first(actions).image.log_probs_BS
        on = policy(actions).image.log_probs_BS
    assert torch.equal(off, before)
    assert not torch.equal(on, before)
    trained = [name for name, each in adapted.learner.policy.named_parameters() if each.requires_grad]
    assert trained
    assert all("lora" in name and ".layers." in name for name in trained)


def test_an_update_raises_what_was_rewarded(read, rollout):
    """A step of gradient ascent on one sequence's log-probabilities; nothing that is fed and not sampled learns."""
    policy = read(SAMPLING)
    for part in policy.never_trained:
        part.requires_grad_(False)
    actions = rollout.actions.select(torch.tensor([1]))
    before = policy(actions)
    total = before.text.log_probs_BS.sum() + before.image.log_probs_BS.sum()
    torch.autograd.backward(total)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=1e-4)
        after = policy(actions)
    assert after.text.log_probs_BS.sum() + after.image.log_probs_BS.sum() > total
    assert not any(each.grad is not None for part in policy.never_trained for each in part.parameters())


def test_supervised_examples_are_learned_by_heart(tmp_path, read):
    policy = read(Sampling(guidance=1.0))
    examples = list(read_examples([sft_runs.write_data(tmp_path)], policy, tmp_path / "kept"))
    assert policy.chain_text(replace_chain(examples[0].chain)) == f" A red circle.{BEGIN_OF_IMAGE}"
    for part in policy.never_trained:
        part.requires_grad_(False)
    options = SftOptions(steps=50, batch_size=3, learning_rate=1e-2, warmup_steps=5, prompt_dropout=0.0)
    history = train_sft(policy, examples[:3], options)
    assert history[-1][0] < history[0][0] / 5
    assert history[-1][1] < history[0][1] / 2


def replace_chain(ids):
    """Ids as if they had been sampled."""
    from gotr1_eval.models.sampled_sequences import SampledChain

    return SampledChain(tuple(ids), (0.0,) * len(ids), truncated=False)


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, {"rank": 4, "alpha": 4}])
def test_a_resumed_supervised_run_is_an_unbroken_one(tmp_path, read, lora):
    data = sft_runs.write_data(tmp_path)

    def run(name):
        return sft_runs.run(tmp_path / name, data, 5, read(Sampling(guidance=1.0)), lora=lora)

    assert run("unbroken").train() == 5
    broken = run("broken")
    broken.report = lambda metrics: setattr(broken, "stopping", metrics["step"] == 3)
    assert broken.train() == 3
    assert run("broken").train() == 5
    rows = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("broken", "unbroken")]
    assert rows[0] == rows[1]
