"""Noise and sampling of the Janus generator, against statistics and against a plain reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from gotr1_eval.models.autoregressive.choosing import Choice, choose, guide, log_probability, scaled
from gotr1_eval.models.autoregressive.decoder import Decoder
from gotr1_eval.models.autoregressive.heads import float32_head
from gotr1_eval.models.autoregressive.noise import Stage, gumbel, stream_keys, uniform
from gotr1_eval.models.autoregressive.prompts import prompt_text
from gotr1_eval.models.autoregressive.sampling import draw_chains
from gotr1_eval.models.autoregressive.stages import Stages
from gotr1_eval.models.janus.sampling import sample_chains, sample_images
from gotr1_eval.models.janus.sequence import SpecialIds, encode_prompt
from gotr1_eval.models.sampled_sequences import Padded, left_pad, positions, unconditional
from tests.tiny_models import TOKENS, random_model, random_tokenizer

PROMPTS = ("a red circle", "two striped blue squares on the left of a green cross", "x")


@pytest.fixture(scope="module")
def tokenizer():
    return random_tokenizer()


@pytest.fixture(scope="module")
def special(tokenizer):
    return SpecialIds.of(tokenizer)


@pytest.fixture(scope="module")
def model(tokenizer):
    return random_model(tokenizer)


@pytest.fixture(scope="module")
def rows(tokenizer, special):
    return [encode_prompt(tokenizer, prompt, special) for prompt in PROMPTS]


def test_noise_is_uniform_along_every_axis():
    keys = stream_keys(range(200), Stage.CHAIN)
    block = torch.stack([uniform(keys, step, 50) for step in range(20)])
    differences = [block.diff(dim=axis) % 1 for axis in range(3)]
    for values in (block, block[:, :, 7], block[3], block[:, 11], *differences):
        assert stats.kstest(values.flatten().numpy(), "uniform").pvalue > 1e-4
    assert len(block.flatten().unique()) == block.numel()


def test_noise_of_neighbours_is_uncorrelated():
    keys = stream_keys(range(2000), Stage.IMAGE)
    first, second = uniform(keys, 0, 3), uniform(keys, 1, 3)
    columns = np.corrcoef(torch.cat([first, second], dim=1).T.numpy())
    assert np.abs(columns - np.eye(6)).max() < 0.1


def test_noise_depends_on_seed_stage_step_and_token_only():
    alone = gumbel(stream_keys([5], Stage.CHAIN), 3, 40)
    among = gumbel(stream_keys([9, 5, 2**64 - 1], Stage.CHAIN), 3, 60)
    assert torch.equal(alone[0], among[1, :40])
    assert not torch.equal(alone, gumbel(stream_keys([5], Stage.IMAGE), 3, 40))
    assert torch.equal(stream_keys([-1], Stage.CHAIN), stream_keys([2**64 - 1], Stage.CHAIN))


def test_gumbel_is_finite_and_distributed_as_gumbel():
    noise = gumbel(stream_keys(range(300), Stage.CHAIN), 0, 200).flatten()
    assert noise.isfinite().all()
    assert stats.kstest(noise.double().numpy(), "gumbel_r").pvalue > 1e-4


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_choices_are_distributed_as_the_softmax(temperature):
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5])
    draws = 20_000
    drawn_from = scaled(logits.expand(draws, 5), Choice(temperature))
    chosen = choose(drawn_from, stream_keys(range(draws), Stage.IMAGE), 0, Choice(temperature))
    log_probs = log_probability(drawn_from, chosen)
    expected = (logits / temperature).softmax(0)
    counts = torch.bincount(chosen, minlength=5).numpy()
    assert stats.chisquare(counts, expected.double().numpy() / expected.double().sum().item() * draws).pvalue > 1e-4
    torch.testing.assert_close(log_probs, expected.log()[chosen])


def test_temperature_zero_takes_the_likeliest():
    logits = torch.randn(7, 30, generator=torch.Generator().manual_seed(0))
    chosen = choose(scaled(logits, Choice(0.0)), stream_keys(range(7), Stage.CHAIN), 0, Choice(0.0))
    assert torch.equal(chosen, logits.argmax(-1))


def test_guidance_by_hand():
    conditional, plain = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    assert guide(conditional, plain, 5.0).tolist() == [[5.0, -6.0]]


def test_prompt_text_is_the_released_one():
    start = "User: Follow the caption to generate an image through a chain of thought process:"
    assert prompt_text("a cat ") == f"{start} a cat\n\nAssistant:"
    assert prompt_text("") == f"{start}\n\nAssistant:"


def test_any_text_gets_exactly_one_bos(tokenizer, special):
    for prompt in ("a cat", "", "naïve 日本 🎨"):
        ids = encode_prompt(tokenizer, prompt, special)
        assert ids[0] == special.bos
        assert special.bos not in ids[1:]
        assert tokenizer.decode(ids[1:]) == prompt_text(prompt)


def test_unconditional_rows_keep_first_and_last_only():
    padded = left_pad([[7, 1, 2, 3, 9], [7, 4, 9]], pad=0)
    assert padded.mask_BL.tolist() == [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]
    assert unconditional(padded, 0).tolist() == [[7, 0, 0, 0, 9], [0, 0, 7, 0, 9]]
    assert positions(padded.mask_BL).tolist() == [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]]


def test_unconditional_row_keeps_a_token_by_place_and_not_by_name():
    padded = Padded(torch.tensor([[7, 9, 7, 9]]), torch.ones(1, 4, dtype=torch.int64))
    assert unconditional(padded, 0).tolist() == [[7, 0, 0, 9]]


def test_chains_of_a_batch_equal_single_ones(model, rows, special):
    batch = sample_chains(model, rows, [1, 2, 3], special, cap=30, choice=Choice(0.0))
    for row, chain in zip(rows, batch, strict=True):
        assert sample_chains(model, [row], [1], special, cap=30, choice=Choice(0.0))[0].ids == chain.ids


def test_sampled_chains_of_a_batch_equal_single_ones(model, rows, special):
    batch = sample_chains(model, rows, [1, 2, 3], special, cap=30, choice=Choice())
    for row, seed, chain in zip(rows, (1, 2, 3), batch, strict=True):
        alone = sample_chains(model, [row], [seed], special, cap=30, choice=Choice())[0]
        assert alone.ids == chain.ids
        assert alone.log_probs == pytest.approx(chain.log_probs, abs=1e-4)


def test_a_cut_off_chain_is_flagged_and_closed(model, rows, special):
    chain = sample_chains(model, rows[:1], [1], special, cap=2, choice=Choice(0.0))[0]
    assert chain.truncated
    assert len(chain.ids) == 3
    assert chain.ids[-1] == special.begin_of_image
    assert len(chain.log_probs) == 2


@pytest.fixture
def short_chains(model, special):
    """Chains that end after some ten tokens: the head of the random model would hardly ever end one."""
    head = float32_head(model.lm_head)

    def logits(states):
        logits_RV = head(states)
        logits_RV[:, special.begin_of_image] += 4
        return logits_RV

    def draw(prompts, seeds, rows=None):
        stages = Stages(model.model.language_model)
        end = special.begin_of_image
        return draw_chains(stages, logits, prompts, seeds, end, cap=40, choice=Choice(), rows=rows)

    return draw


@pytest.mark.parametrize("rows_at_a_time", [1, 2, 3])
def test_chains_that_take_over_rows_equal_those_of_a_batch_of_their_own(
    rows_at_a_time, short_chains, tokenizer, special
):
    """To the bit, in the row that it had: a row knows neither its neighbours nor what stood in it before."""
    prompts = [encode_prompt(tokenizer, prompt, special) for prompt in (*PROMPTS, "a red circle", *PROMPTS[::-1])]
    seeds = range(len(prompts))
    chains = short_chains(prompts, seeds, rows_at_a_time)
    assert len({len(chain.ids) for chain in chains}) > 3
    for prompt, seed, chain in zip(prompts, seeds, chains, strict=True):
        assert chain in short_chains([prompt] * rows_at_a_time, [seed] * rows_at_a_time)


def test_rows_are_refilled_as_soon_as_their_chains_have_ended(short_chains, tokenizer, special, monkeypatch):
    prompts = [encode_prompt(tokenizer, PROMPTS[0], special)] * 12
    calls = []
    step = Decoder.step
    monkeypatch.setattr(Decoder, "step", lambda self, *args: calls.append(1) or step(self, *args))
    lengths = [len(chain.log_probs) for chain in short_chains(prompts, range(12), 4)]
    busy = [0] * 4
    for length in lengths:
        busy[busy.index(min(busy))] += length - 1
    # A chain's first token comes from its prefill, which may fall into the step of another row.
    assert max(busy) <= len(calls) <= max(busy) + 3
    assert len(calls) < sum(max(lengths[start : start + 4]) - 1 for start in (0, 4, 8))


def test_chains_of_one_token_take_over_rows(model, rows, special):
    chains = sample_chains(model, rows, [1, 2, 3], special, cap=1, choice=Choice(), rows=2)
    assert [len(chain.log_probs) for chain in chains] == [1, 1, 1]
    whole = sample_chains(model, rows, [1, 2, 3], special, cap=9, choice=Choice())
    assert [chain.ids[0] for chain in chains] == [chain.ids[0] for chain in whole]


def test_stages_that_were_used_before_change_nothing(model, rows, special):
    texts = [[*row, 5, special.begin_of_image] for row in rows]
    shared = Stages(model.model.language_model)
    for seeds in ([1, 2, 3], [4, 5, 6]):
        shared_ones, own = (
            (sample_chains(model, rows, seeds, special, cap=20, choice=Choice(), stages=stages),
             sample_images(model, texts, seeds, special, guidance=2.0, choice=Choice(), stages=stages))
            for stages in (shared, None)
        )  # fmt: skip
        assert shared_ones[0] == own[0]
        assert torch.equal(shared_ones[1].ids_BT, own[1].ids_BT)
        assert torch.equal(shared_ones[1].log_probs_BT, own[1].log_probs_BT)


def test_a_chain_ends_at_begin_of_image_and_not_at_end_of_sentence(model, tokenizer, special, rows, monkeypatch):
    wanted = iter([tokenizer.eos_token_id, 5, special.begin_of_image])

    class Scripted(torch.nn.Module):
        def forward(self, hidden):
            return torch.nn.functional.one_hot(torch.tensor([next(wanted)]), 500).float()

    monkeypatch.setattr(model, "lm_head", Scripted())
    chain = sample_chains(model, rows[:1], [1], special, cap=30, choice=Choice(0.0))[0]
    assert chain.ids == (tokenizer.eos_token_id, 5, special.begin_of_image)
    assert not chain.truncated


@torch.no_grad()
def reference_image(model, text, pad, guidance):
    """Greedy image tokens by a full forward pass a step: no cache, no padding, one row at a time."""
    bare = [text[0], *[pad] * (len(text) - 2), text[-1]]
    ids = []
    for _ in range(TOKENS):
        logits = []
        for row in (text, bare):
            embedded = model.get_input_embeddings()(torch.tensor([row]))
            if ids:
                painted = model.model.generation_aligner(model.model.generation_embeddings(torch.tensor([ids])))
                embedded = torch.cat([embedded, painted], dim=1)
            out = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
            logits.append(model.model.generation_head(out[0, -1]))
        conditional, plain = logits
        ids.append(int((plain + guidance * (conditional - plain) if guidance > 1 else conditional).argmax()))
    return ids


@pytest.mark.parametrize("guidance", [5.0, 1.0, 0.0])
def test_image_tokens_equal_the_plain_reference(model, rows, special, guidance):
    texts = [[*row, 5, 6, special.begin_of_image] for row in rows]
    sampled = sample_images(model, texts, [1, 2, 3], special, guidance=guidance, choice=Choice(0.0))
    assert sampled.ids_BT.shape == (3, TOKENS)
    for text, ids in zip(texts, sampled.ids_BT.tolist(), strict=True):
        assert ids == reference_image(model, text, special.pad, guidance)
