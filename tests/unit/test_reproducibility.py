"""The same sample whatever its neighbours, order and restarts; with another tile size, but for near ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gotr1_eval.core.errors import BackendError
from gotr1_eval.models.autoregressive.choosing import Choice, guide, scaled
from gotr1_eval.models.autoregressive.memory import cache_bytes_per_token, fitting_samples
from gotr1_eval.models.autoregressive.noise import Stage, gumbel, stream_keys
from gotr1_eval.models.generators.janus import Settings, build
from gotr1_eval.models.janus.sampling import decode_images, sample_chains, sample_images
from gotr1_eval.models.janus.sequence import SpecialIds, encode_prompt
from gotr1_eval.models.local_model import fitting_threads
from gotr1_eval.models.sampled_sequences import unconditional_row
from gotr1_eval.shapes.prompts import prompts
from tests.tiny_models import random_checkpoint, random_model, random_tokenizer

CAP, GUIDANCE, NEAR = 24, 3.0, 1e-4


@pytest.fixture(autouse=True)
def as_the_generator_samples(model):
    """On one thread: how several share a matrix out depends on where a row stands."""
    with fitting_threads(model.num_parameters()):
        yield


@pytest.fixture(scope="module")
def tokenizer():
    return random_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    return random_model(tokenizer)


@pytest.fixture(scope="module")
def special(tokenizer):
    return SpecialIds.of(tokenizer)


@pytest.fixture(scope="module")
def rows(tokenizer, special):
    asked = [*prompts("color", "val")[:200], *prompts("complex", "val")[:200]]
    return [encode_prompt(tokenizer, prompt, special) for prompt in asked]


def sample(model, rows, seeds, special):
    """(chains, image tokens, pixels) of one tile."""
    chains = sample_chains(model, rows, seeds, special, cap=CAP, choice=Choice())
    texts = [[*row, *chain.ids] for row, chain in zip(rows, chains, strict=True)]
    images = sample_images(model, texts, seeds, special, guidance=GUIDANCE, choice=Choice())
    return chains, images, decode_images(model, images.ids_BT)


@pytest.mark.parametrize("place", [0, 3, 7])
def test_neighbours_and_places_change_no_bit(model, rows, special, place):
    alone = sample(model, [rows[5]] * 8, [77] * 8, special)
    others = [rows[300], rows[1], rows[250], rows[9], rows[40], rows[399], rows[60], rows[7]]
    others[place] = rows[5]
    seeds = list(range(8))
    seeds[place] = 77
    among = sample(model, others, seeds, special)
    assert alone[0][0] == among[0][place]
    for one, other in ((alone[1].ids_BT, among[1].ids_BT), (alone[1].log_probs_BT, among[1].log_probs_BT)):
        assert torch.equal(one[0], other[place])
    assert torch.equal(alone[2][0], among[2][place])


def test_a_long_neighbour_changes_no_bit(model, rows, special):
    long = [*rows[0][:-1], *([rows[0][-1]] * 500)]
    short = sample(model, [rows[2], rows[3]], [1, 2], special)
    beside = sample(model, [rows[2], long], [1, 2], special)
    assert short[0][0] == beside[0][0]
    assert torch.equal(short[1].ids_BT[0], beside[1].ids_BT[0])


@torch.no_grad()
def gap(model, text, image, seed, special):
    """How far the two best noised logits of the next token are apart: of the chain, or with `image` of the picture."""
    embed = model.get_input_embeddings()

    def last(row):
        embedded = embed(torch.tensor([row]))
        if image:
            painted = model.prepare_embeddings_for_image_generation(torch.tensor([image]))
            embedded = torch.cat([embedded, painted], dim=1)
        return model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, -1]

    if image is None:
        logits, stage = model.lm_head(last(text[0])), Stage.CHAIN
    else:
        head = model.model.generation_head
        logits = guide(head(last(text[0])), head(last(unconditional_row(text[0], special.pad))), GUIDANCE)
        stage = Stage.IMAGE
    step = len(image) if image is not None else text[1]
    noised = scaled(logits, Choice()) + gumbel(stream_keys([seed], stage), step, logits.shape[1])
    best = noised[0].topk(2).values
    return (best[0] - best[1]).item()


def first_difference(one, other):
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)


@pytest.mark.slow
def test_another_tile_size_differs_at_near_ties_only(model, rows, special):
    seeds = list(range(len(rows)))
    whole = {}
    for size in (16, 25):
        parts = [
            sample(model, rows[at : at + size], seeds[at : at + size], special) for at in range(0, len(rows), size)
        ]
        chains = [chain for part in parts for chain in part[0]]
        images = [ids for part in parts for ids in part[1].ids_BT.tolist()]
        whole[size] = list(zip(chains, images, strict=True))
    changed = 0
    for row, seed, (chain, image), (other_chain, other_image) in zip(rows, seeds, whole[16], whole[25], strict=True):
        at = first_difference(chain.ids, other_chain.ids)
        if at is not None:
            changed += 1
            assert gap(model, ([*row, *chain.ids[:at]], at), None, seed, special) <= NEAR
            continue
        at = first_difference(image, other_image)
        if at is not None:
            changed += 1
            assert gap(model, ([*row, *chain.ids], 0), image[:at], seed, special) <= NEAR
    assert changed <= len(rows) // 50


def test_greedy_batch_of_sixteen_equals_single_runs(model, rows, special):
    chosen, greedy = rows[::25], Choice(temperature=0.0)
    assert len({len(row) for row in chosen}) >= 4
    together = sample_chains(model, chosen, range(16), special, cap=CAP, choice=greedy)
    texts = [[*row, *chain.ids] for row, chain in zip(chosen, together, strict=True)]
    images = sample_images(model, texts, range(16), special, guidance=5.0, choice=greedy).ids_BT
    for row, chain, text, image in zip(chosen, together, texts, images, strict=True):
        assert sample_chains(model, [row], [0], special, cap=CAP, choice=greedy)[0].ids == chain.ids
        alone = sample_images(model, [text], [0], special, guidance=5.0, choice=greedy)
        assert torch.equal(alone.ids_BT[0], image)


def test_top_k_and_top_p_by_hand():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    kept = scaled(logits, Choice(top_k=2)).isfinite()
    assert kept.tolist() == [[True, True, False, False]]
    shares = logits.softmax(-1)[0]
    nucleus = scaled(logits, Choice(top_p=float(shares[:2].sum()) - 1e-3)).isfinite()
    assert nucleus.tolist() == [[True, True, False, False]]
    assert scaled(logits, Choice(top_p=1e-6)).isfinite().tolist() == [[True, False, False, False]]
    assert torch.equal(scaled(logits, Choice()), logits)


def test_memory_is_planned_by_what_a_sample_keeps(model, monkeypatch):
    config = model.config.text_config
    width = (
        2 * config.num_hidden_layers * config.num_key_value_heads * (config.hidden_size // config.num_attention_heads)
    )
    assert cache_bytes_per_token(model) == width * 4
    monkeypatch.setattr("gotr1_eval.models.autoregressive.memory.free_bytes", lambda device: 100 * width * 4 * 10)
    assert fitting_samples(model, 100, 32) == 7
    assert fitting_samples(model, 100, 4) == 4
    assert fitting_samples(model, 10**9, 32) == 1


def test_out_of_memory_halves_the_tile_and_loses_nothing(tmp_path, monkeypatch):
    generator = build(Settings(ckpt=str(random_checkpoint(tmp_path)), chain_cap=5), workshop=None)
    whole = generator._generate
    sizes = []

    def small(pairs):
        sizes.append(len(pairs))
        if len(pairs) > 2:
            raise torch.OutOfMemoryError("too many")
        return whole(pairs)

    monkeypatch.setattr(generator, "_generate", small)
    made = generator.generate(["a red circle"] * 5, range(5))
    assert sizes == [5, 2, 2, 1]
    assert [sample.meta["sampled_together"] for sample in made] == [2, 2, 2, 2, 1]
    assert all(np.asarray(sample.image).shape == (8, 8, 3) for sample in made)

    def never(pairs):
        raise torch.OutOfMemoryError("never enough")

    monkeypatch.setattr(generator, "_generate", never)
    with pytest.raises(BackendError, match="out of memory"):
        generator.generate(["a red circle"], [0])
