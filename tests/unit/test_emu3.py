"""Emu3's sequences, sampling and pictures, held against transformers' own generation."""

from __future__ import annotations

import json
import re

import pytest
import torch
from transformers import Emu3Processor

from gotr1_eval.core.chain import BEGIN_OF_IMAGE, parse_chain
from gotr1_eval.core.errors import BackendError, DataError, UsageError
from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.autoregressive.choosing import Choice, guide
from gotr1_eval.models.autoregressive.decoder import Decoder, KVCache, rounded
from gotr1_eval.models.emu3.loading import load_checkpoint
from gotr1_eval.models.emu3.sampling import decode_images, image_head, sample_chains, sample_images
from gotr1_eval.models.emu3.sequence import chain_from_ids, chain_to_ids, encode_text, grid_size
from gotr1_eval.models.generators import janus
from gotr1_eval.models.generators.emu3 import Settings, build, token_budget
from tests.tiny_emu3 import CODES, FACTOR, ROWS, loaded_random, random_checkpoint

GREEDY = Choice(temperature=0.0)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return loaded_random(tmp_path_factory.mktemp("emu3"))


def allowed(checkpoint, rows, columns):
    """The grammar of a picture, as transformers' documentation of Emu3 has it, from the last header token on."""
    tokenizer = checkpoint.tokenizer
    visual = checkpoint.model.model.vocabulary_mapping.image_tokens
    ends = ["<|extra_200|>", "<|extra_201|>", "<|image end|>", "<|extra_204|>"]
    row, frame, end, eos = tokenizer.convert_tokens_to_ids(ends)

    def prefix_allowed_tokens(batch, ids):
        offset = len(ids) - int((ids == checkpoint.special.image_token).nonzero()[0])
        closing = {(columns + 1) * rows + 1: frame, (columns + 1) * rows + 2: end, (columns + 1) * rows + 3: eos}
        if offset in closing:
            return [closing[offset]]
        return [row] if offset % (columns + 1) == 0 else visual

    return prefix_allowed_tokens


def generated(checkpoint, text, layout, **options):
    """Greedy ids of transformers from the header on, and the logits that it chose from."""
    ids, length = torch.tensor([[*text, *layout.header]]), (layout.columns + 1) * layout.rows + 3
    out = checkpoint.model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=length,
        prefix_allowed_tokens_fn=allowed(checkpoint, layout.rows, layout.columns), return_dict_in_generate=True,
        output_scores=True, **options,
    )  # fmt: skip
    return out.sequences[0, ids.shape[1] :], torch.stack(out.scores)[:, 0]


@pytest.mark.parametrize("size", [(4, 4), (3, 5)])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_pictures_equal_transformers_own(checkpoint, size, guidance):
    rows, columns = size
    layout = checkpoint.layout(rows * columns * FACTOR**2, f"{columns}:{rows}")
    assert (layout.rows, layout.columns) == size
    text, empty = (
        [*encode_text(checkpoint.tokenizer, words, checkpoint.special), checkpoint.special.image_start]
        for words in ("a red circle on the left", "ugly")
    )
    negative = torch.tensor([[*empty, *layout.header]])
    options = {} if guidance == 1 else {"guidance_scale": guidance, "negative_prompt_ids": negative}
    expected, scores = generated(checkpoint, text, layout, **options)
    found = sample_images(checkpoint.model, [text], [empty], [0], layout, guidance=guidance, choice=GREEDY)
    grid = expected[:-3].view(rows, columns + 1)
    assert (grid[:, -1] == checkpoint.special.end_of_row).all()
    assert (found.ids_BT[0] + layout.codes.first == grid[:, :-1].flatten()).all()
    sampled = scores[:-3].view(rows, columns + 1, -1)[:, :-1].flatten(0, 1)
    chosen = sampled.log_softmax(-1).gather(1, grid[:, :-1].reshape(-1, 1))[:, 0]
    assert torch.allclose(found.log_probs_BT[0], chosen, atol=1e-4)


def test_logits_of_every_step_equal_transformers_forward(checkpoint):
    """Along a picture that nobody would have chosen, row ends and all."""
    layout, model = checkpoint.layout(), checkpoint.model
    text = [*encode_text(checkpoint.tokenizer, "two blue squares", checkpoint.special), checkpoint.special.image_start]
    codes = torch.randint(CODES, (ROWS, ROWS), generator=torch.Generator().manual_seed(0))
    grid = torch.nn.functional.pad(codes + layout.codes.first, (0, 1), value=checkpoint.special.end_of_row).flatten()
    whole = torch.cat([torch.tensor([*text, *layout.header]), grid])
    with torch.no_grad():
        expected = model(whole[None]).logits[0]
        decoder = Decoder(model.model.text_model, KVCache(model.model.text_model, 1, len(whole) + 1), 1)
        embed, start = model.get_input_embeddings(), len(text) + len(layout.header)
        states = [decoder.prefill([embed(whole[:start])])]
        states += [decoder.step(embed(whole[at][None]), span=rounded(at + 1, CPU)) for at in range(start, len(whole))]
        logits = model.lm_head(torch.cat(states))
        head = image_head(model, layout.codes)(torch.cat(states))
    assert torch.allclose(logits, expected[start - 1 :], atol=1e-5)
    assert torch.allclose(head, expected[start - 1 :, layout.codes.first :], atol=1e-5)


def test_greedy_chains_equal_transformers_own_over_the_texts_tokens(checkpoint):
    layout, model = checkpoint.layout(), checkpoint.model
    prompts = [encode_text(checkpoint.tokenizer, words, checkpoint.special) for words in ("a red circle", "blue")]
    found = sample_chains(model, prompts, [0, 1], layout, cap=12, choice=GREEDY)
    for prompt, chain in zip(prompts, found, strict=True):
        ids, end = torch.tensor([prompt]), layout.special.image_start
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, eos_token_id=end,
            prefix_allowed_tokens_fn=lambda batch, ids: list(range(layout.codes.first)),
        )[0, len(prompt) :].tolist()  # fmt: skip
        assert list(chain.ids[: len(chain.log_probs)]) == out
    assert max(index for chain in found for index in chain.ids) < layout.codes.first


def test_samples_follow_their_seeds_whoever_their_neighbours_are(checkpoint):
    layout = checkpoint.layout()
    texts = [
        [*encode_text(checkpoint.tokenizer, words, checkpoint.special), checkpoint.special.image_start]
        for words in ("a", "a long prompt of many words", "b")
    ]

    def sampled(order):
        empty = [texts[0]] * len(order)
        rows = [texts[at] for at in order]
        return sample_images(checkpoint.model, rows, empty, list(order), layout, guidance=2.0, choice=Choice()).ids_BT

    one, other = sampled([0, 1, 2]), sampled([2, 0, 1])
    assert torch.equal(one, other[[1, 2, 0]])
    assert len({tuple(row.tolist()) for row in one}) == 3


@pytest.mark.parametrize("frames", [1, 4])
def test_pictures_equal_the_classes_own(tmp_path, frames):
    """Also with four frames a picture, as the released picture tokenizer has them."""
    loaded = loaded_random(tmp_path, frames=frames)
    layout = loaded.layout()
    codes = torch.randint(CODES, (3, layout.tokens), generator=torch.Generator().manual_seed(0))
    found = decode_images(loaded.model, codes, layout, loaded.pixels, batch_size=2)
    grid = torch.nn.functional.pad(codes.view(3, ROWS, ROWS) + layout.codes.first, (0, 1), value=0).flatten(1)
    with torch.no_grad():
        whole = torch.nn.functional.pad(grid, (0, 3))
        pixels = loaded.model.decode_image_tokens(image_tokens=whole, height=ROWS, width=ROWS)
    expected = ((pixels.permute(0, 2, 3, 1) + 1) / 2 * 255).clamp(0, 255).to(torch.uint8)
    assert found.shape == (3, 8, 8, 3)
    assert (found.int() - expected.int()).abs().max() <= 1


def test_what_is_no_image_token_is_refused_where_the_class_shows_code_0(checkpoint):
    layout = checkpoint.layout()
    codes = torch.zeros(1, layout.tokens, dtype=torch.int64)
    mapping, first = checkpoint.model.model.vocabulary_mapping, layout.codes.first
    word = checkpoint.tokenizer.convert_tokens_to_ids("a")
    assert mapping.convert_bpe2img(torch.tensor([[[word, first, first + 5, 0]]])).tolist() == [[[0, 0, 5]]]
    for strange in (word - first, CODES):
        codes[0, 3] = strange
        with pytest.raises(BackendError, match=rf"1 of the 16 places .* got {strange}\)"):
            decode_images(checkpoint.model, codes, layout, checkpoint.pixels)


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "3:4"])
@pytest.mark.parametrize("area", [720 * 720, 4096])
def test_grids_are_those_of_transformers_processor(ratio, area):
    assert grid_size(area, ratio, 8) == Emu3Processor.calculate_generate_size(None, ratio, area, 8)


def test_the_header_is_that_of_transformers_processor(checkpoint):
    tokenizer, layout = checkpoint.tokenizer, checkpoint.layout()
    header = f"<|image start|>{layout.rows}*{layout.columns}<|image token|>"
    assert tokenizer.encode(header, add_special_tokens=False) == [checkpoint.special.image_start, *layout.header]


def test_chains_end_as_every_familys_do(checkpoint):
    for written in ("A red circle.", f" A red circle. {BEGIN_OF_IMAGE}"):
        ids = chain_to_ids(checkpoint.tokenizer, written, checkpoint.special)
        assert ids[-1] == checkpoint.special.image_start
        assert chain_from_ids(checkpoint.tokenizer, ids, checkpoint.special).strip().startswith("A red circle.")
        assert chain_from_ids(checkpoint.tokenizer, ids, checkpoint.special).endswith(BEGIN_OF_IMAGE)
    assert BEGIN_OF_IMAGE not in chain_from_ids(checkpoint.tokenizer, ids[:-1], checkpoint.special)


def test_the_generator_writes_chains_and_paints_without(tmp_path):
    folder = random_checkpoint(tmp_path / "emu")
    for chains, cap in ((True, 5), (False, 600)):
        asked = Settings(ckpt=str(folder), chains=chains, chain_cap=cap, guidance=2)
        generator = build(asked, workshop=None)
        one = generator.generate(["a red circle", "two blue squares"], [1, 2])
        again = build(asked, workshop=None).generate(["a red circle", "two blue squares"], [1, 2])
        assert [each.image.tobytes() for each in one] == [each.image.tobytes() for each in again]
        assert one[0].image.size == (8, 8)
        assert [each.chain is None for each in one] == [not chains] * 2
        assert one[0].meta["image_tokens"] == 16 == token_budget(asked).image
        assert token_budget(asked).chain_at_most == (cap if chains else 0)
        assert generator.fitting_tile(3) == 3
    assert generator.name == "emu[no chain]"


def test_settings_that_would_do_nothing_are_refused():
    for given in ({"text": "{prompt}, best quality"}, {"negative": "ugly"}):
        with pytest.raises(ValueError, match="set chains to false"):
            Settings(ckpt="x", **given)
        Settings(ckpt="x", chains=False, **given)


def damaged(folder, name, change):
    path = folder / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("config.json", lambda c: c.update(model_type="llama"), "expected model_type 'emu3'"),
        ("config.json", lambda c: c["vocabulary_map"].pop("<|visual token 000003|>"), "'<|visual token 000000|>' to"),
        ("config.json", lambda c: c["vocabulary_map"].update({"a": 3}), "vocabulary_map names other ids"),
        ("config.json", lambda c: c["vq_config"].update(embed_dim=8), "do not fit the configuration"),
        ("preprocessor_config.json", lambda c: c.update(image_mean="white"), "not an image processor's configuration"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(tmp_path, name, change, words):
    folder = random_checkpoint(tmp_path)
    damaged(folder, name, change)
    with pytest.raises((UsageError, DataError), match=re.escape(words)) as caught:
        load_checkpoint(folder, device=CPU, dtype=torch.float32)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_its_pixels_is_refused(tmp_path):
    folder = random_checkpoint(tmp_path)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match="has no preprocessor_config"):
        load_checkpoint(folder, device=CPU, dtype=torch.float32)


def test_guidance_of_log_probabilities_is_that_of_logits():
    """transformers guides log-probabilities of the whole vocabulary, we logits of the image tokens."""
    c, u = torch.randn(2, 1, 30)
    theirs = guide(c.log_softmax(-1), u.log_softmax(-1), 3.0)[:, 10:].log_softmax(-1)
    assert torch.allclose(guide(c[:, 10:], u[:, 10:], 3.0).log_softmax(-1), theirs, atol=1e-5)


def test_ckpt_is_januss_and_says_so(tmp_path):
    folder = random_checkpoint(tmp_path)
    with pytest.raises(UsageError, match=r"is an Emu3: ask for it by --generator emu3,ckpt="):
        janus.build(janus.Settings(ckpt=str(folder)), workshop=None).generate(["a"], [0])


@pytest.mark.slow
def test_the_shipped_checkpoint_writes_and_paints():
    """Small enough to ship; its chains end by themselves and hold boxes."""
    folder = checkpoint_folder("tiny-emu3")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    generator = build(Settings(ckpt="tiny-emu3", guidance=2, chain_cap=200), workshop=None)
    made = generator.generate(["a red circle", "a blue square on the left of a green circle"], [0, 1])
    assert generator.name == "tiny-emu3"
    for sample in made:
        assert sample.image.size == (64, 64)
        assert not sample.truncated
        assert parse_chain(sample.chain).objects
