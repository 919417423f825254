"""Supervised training: losses against a plain computation, and rows exactly as the sampler builds them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gotr1_eval.models.janus.sequence import SpecialIds
from gotr1_eval.models.sampled_sequences import left_pad, unconditional_row
from tests.tiny_models import CODES, TOKENS, loaded_random, random_tokenizer
from training.policies import Sampling
from training.policies.janus import JanusPolicy
from training.schedule import cosine_schedule
from training.sft import SftOptions, batch_losses, collate, example_order, token_loss, train_sft
from training.sft_examples import SftExample


@pytest.fixture(scope="module")
def special():
    return SpecialIds.of(random_tokenizer())


def policy():
    return JanusPolicy(loaded_random(), Sampling(guidance=1.0))


@pytest.fixture
def examples(special):
    generator = torch.Generator().manual_seed(0)

    def example(prompt_length, chain_length):
        ids = torch.randint(5, 200, (prompt_length + chain_length,), generator=generator).tolist()
        image = torch.randint(0, CODES, (TOKENS,), generator=generator).tolist()
        prompt = (special.bos, *ids[:prompt_length])
        return SftExample(prompt, (*ids[prompt_length:], special.begin_of_image), tuple(image))

    return [example(4, 6), example(2, 3), example(5, 1)]


def test_token_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    assert token_loss(torch.nn.Identity(), logits, torch.tensor([0, 1])).item() == pytest.approx(2 * 0.6931, abs=1e-4)
    assert token_loss(torch.nn.Identity(), logits[:0], torch.tensor([], dtype=torch.int64)).item() == 0.0


def test_chunks_of_logits_change_no_loss_and_no_gradient():
    head, generator = torch.nn.Linear(8, 50), torch.Generator().manual_seed(0)
    states, targets = torch.randn(30, 8, generator=generator), torch.randint(50, (30,), generator=generator)
    plain = torch.nn.functional.cross_entropy(head(states), targets, reduction="sum")
    expected = torch.autograd.grad(plain, head.weight)[0]
    for chunk in (1, 7, 30, 99):
        loss = token_loss(head, states, targets, chunk)
        torch.testing.assert_close(loss, plain)
        torch.testing.assert_close(torch.autograd.grad(loss, head.weight)[0], expected)


def test_only_the_chain_is_learned(examples, special):
    batch = collate(examples, torch.zeros(3, dtype=torch.bool), special.pad)
    for row, example in zip(range(3), examples, strict=True):
        assert batch.text.ids_BL[row][batch.chain_BL[row]].tolist() == list(example.chain)


def test_a_dropped_row_is_the_samplers_unconditional_row(examples, special):
    batch = collate(examples, torch.tensor([False, True, True]), special.pad)
    rows = [one.prompt + one.chain for one in examples]
    sampled = left_pad([*rows, *(unconditional_row(row, special.pad) for row in rows)], special.pad)
    assert torch.equal(batch.text.ids_BL[1:], sampled.ids_BL[4:])
    assert torch.equal(batch.text.mask_BL[1:], sampled.mask_BL[4:])
    assert torch.equal(batch.text.ids_BL[0], sampled.ids_BL[0])
    assert not batch.chain_BL[1:].any()


def plain_losses(model, example):
    """Cross-entropies of one example by one unpadded forward pass, token by token."""
    text = torch.tensor([example.prompt + example.chain])
    image = torch.tensor([example.image])
    embedded = torch.cat(
        [model.get_input_embeddings()(text), model.prepare_embeddings_for_image_generation(image)], dim=1
    )
    states = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state[0]
    text_loss = image_loss = 0.0
    for place, target in enumerate(example.chain, start=len(example.prompt)):
        text_loss -= model.lm_head(states[place - 1]).log_softmax(-1)[target].item()
    for place, target in enumerate(example.image, start=text.shape[1]):
        image_loss -= model.model.generation_head(states[place - 1]).log_softmax(-1)[target].item()
    return text_loss, image_loss


@torch.no_grad()
def test_losses_equal_the_plain_ones(examples, special):
    learner = policy()
    tokens = sum(len(example.chain) for example in examples)
    losses = batch_losses(learner, collate(examples, torch.zeros(3, dtype=torch.bool), special.pad), tokens, 3 * TOKENS)
    texts, images = zip(*(plain_losses(learner.model, example) for example in examples), strict=True)
    assert losses.text.item() == pytest.approx(sum(texts) / sum(len(example.chain) for example in examples), rel=1e-4)
    assert losses.image.item() == pytest.approx(sum(images) / (3 * TOKENS), rel=1e-4)


def test_a_few_lessons_are_learned_by_heart(examples):
    options = SftOptions(steps=60, batch_size=3, learning_rate=1e-2, warmup_steps=5, prompt_dropout=0.0)
    history = train_sft(policy(), examples, options)
    assert history[-1][0] < history[0][0] / 5
    assert history[-1][1] < history[0][1] / 2


def test_training_is_deterministic(examples):
    options = SftOptions(steps=4, batch_size=2, warmup_steps=2, prompt_dropout=0.5)
    assert train_sft(policy(), examples, options) == train_sft(policy(), examples, options)


def test_micro_batches_give_the_same_losses(examples):
    options = SftOptions(steps=3, batch_size=3, warmup_steps=1, prompt_dropout=0.3)
    whole = train_sft(policy(), examples, options)
    for size in (1, 2):
        apart = train_sft(policy(), examples, replace(options, micro_batch=size))
        assert [loss for pair in apart for loss in pair] == pytest.approx(
            [loss for pair in whole for loss in pair], rel=1e-4
        )


def test_every_lesson_comes_once_an_epoch():
    order = example_order(list(range(50)), 4, torch.Generator().manual_seed(0))
    seen = []
    while len(seen) < 50:
        seen += next(order)
    assert sorted(seen) == list(range(50))


def test_the_learning_rate_warms_up_and_falls():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = cosine_schedule(optimizer, steps=20, warmup_steps=4)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0.05 <= rates[-1] < 0.07
