"""BLIP-VQA with random weights, against the same sums in plain torch; what real weights say is not tested."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BackendError, DataError, GotR1Error, UsageError
from gotr1_eval.models.vqa import blip
from gotr1_eval.models.vqa._blip_files import clean_question, load_tokenizer
from tests.tiny_blip import (
    HEADS,
    SIDE,
    WORDS,
    PlainBlip,
    Tensors,
    blip_vqa,
    draw_weights,
    shapes,
    write_folder,
    write_original,
    write_tokenizer,
)

PLACES = {word: 5 + place for place, word in enumerate(WORDS)}
DEC, ENC, SEP = 5 + len(WORDS), 6 + len(WORDS), 3
QUESTIONS = [["a red bench?", "a blue bowl?"], ["the cat?"], [], ["a cats is red?", "a green bowl, a cat?", "the cat?"]]


def noise(size: tuple[int, int], seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


IMAGES = [noise((40, 30), 0), noise((32, 32), 1), noise((8, 8), 2), noise((20, 50), 3)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_original(tmp_path_factory.mktemp("blip"))


def plain_ids(question: str) -> list[int]:
    words = question.replace("cats", "cat ##s").replace("?", " ?").replace(",", " ,").split()
    return [ENC, *(PLACES[word] for word in words), SEP]


def plain_answers() -> list[list[float]]:
    model = PlainBlip(draw_weights(shapes(), np.random.default_rng(0)))
    marks = {"start": DEC, "yes": PLACES["yes"], "no": PLACES["no"]}
    return [
        [model.probability(blip.prepare(picture, SIDE), plain_ids(question), **marks) for question in questions]
        for picture, questions in zip(IMAGES, QUESTIONS, strict=True)
    ]


def flat(rows: list[list[float]]) -> list[float]:
    return list(itertools.chain(*rows))


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_answers_are_those_of_plain_torch(weights: Path, batch_size: int):
    """One question at a time there, questions of several lengths together here."""
    found = blip_vqa(weights, batch_size=batch_size).probability(IMAGES, QUESTIONS)
    assert [len(row) for row in found] == [2, 1, 0, 3]
    expected = flat(plain_answers())
    assert flat(found) == pytest.approx(expected, rel=5e-5)
    assert max(expected) > 1.3 * min(expected)


def test_a_folder_answers_like_the_authors_file(weights: Path, tmp_path: Path):
    """Although its configuration carries transformers' epsilon."""
    folder = write_folder(tmp_path / "converted", weights)
    model = blip_vqa(folder)
    assert model.loaded.model.config.vision_config.layer_norm_eps == 1e-6
    assert model.loaded.model.vision_model.post_layernorm.eps == 1e-6
    assert flat(model.probability(IMAGES, QUESTIONS)) == pytest.approx(flat(plain_answers()), abs=1e-6)


def test_what_the_four_fixes_mend_changes_answers(weights: Path):
    """[CLS] instead of [ENC], or padding in the decoder's sight, would show in these tests."""
    model = blip_vqa(weights)
    right = model.probability(IMAGES[:1], QUESTIONS[:1])[0]
    tokenizer = model.loaded.tokenizer
    seen = model.loaded.model.vision_model(blip.prepare(IMAGES[0], SIDE)[None]).last_hidden_state
    with torch.inference_mode():
        ids = tokenizer.ids(QUESTIONS[0][0])
        assert model._chances(seen, [(0, ids)])[0] == pytest.approx(right[0], abs=1e-6)
        assert abs(model._chances(seen, [(0, (2, *ids[1:]))])[0] - right[0]) > 1e-4
        assert abs(model._chances(seen, [(0, (*ids, 0, 0))])[0] - right[0]) > 1e-4


def test_a_picture_is_encoded_once_and_only_real_questions_are_asked(weights: Path):
    model = blip_vqa(weights)
    pictures: list[int] = []
    questions: list[tuple[int, ...]] = []
    vision, text = model.loaded.model.vision_model, model.loaded.model.text_encoder
    vision.register_forward_pre_hook(lambda m, a, k: pictures.append(len(k["pixel_values"])), with_kwargs=True)
    text.register_forward_pre_hook(lambda m, a, k: questions.append(tuple(k["input_ids"].shape)), with_kwargs=True)
    twice = [*QUESTIONS[:3], [*QUESTIONS[3], "The Cat?"]]
    found = model.probability(IMAGES, twice)
    assert pictures == [3]  # the one without questions is not looked at
    assert sorted(questions) == [(1, 8), (1, 9), (2, 5), (2, 6)]
    assert found[3][2] == found[3][3]
    questions.clear()
    assert model.probability(IMAGES[:2], [[], []]) == [[], []]
    assert not questions
    assert pictures == [3]
    with pytest.raises(ValueError, match="empty question"):
        model.probability(IMAGES[:1], [[""]])


def test_nothing_asked_loads_nothing(tmp_path: Path):
    assert blip_vqa(tmp_path / "none.pth").probability(IMAGES[:2], [[], []]) == [[], []]


def test_memory_that_runs_out_halves_the_batch(weights: Path, monkeypatch: pytest.MonkeyPatch):
    model = blip_vqa(weights, batch_size=4)
    expected = model.probability(IMAGES, QUESTIONS)
    inner, sizes = model.loaded.model.vision_model.forward, []

    def scarce(pixel_values: torch.Tensor) -> Any:
        sizes.append(len(pixel_values))
        if len(pixel_values) > most:
            raise torch.OutOfMemoryError
        return inner(pixel_values=pixel_values)

    monkeypatch.setattr(model.loaded.model.vision_model, "forward", scarce)
    most = 1
    assert flat(model.probability(IMAGES, QUESTIONS)) == pytest.approx(flat(expected), abs=1e-6)
    assert sizes == [3, 2, 1, 1, 1]
    most = 0
    with pytest.raises(BackendError, match="out of memory for a single input"):
        model.probability(IMAGES, QUESTIONS)


@pytest.mark.parametrize(
    ("asked", "cleaned"),
    [
        ("A Red Bench?", "a red bench?"),
        ('The "old" (T-shirt): #1; ~two*!.?', "the old t-shirt 1 two?"),
        ("two  spaces  ", "two  spaces"),
        (" leading", " leading"),
        ("tab\t", "tab\t"),
        ("...", ""),
        (" ".join(["w"] * 50), " ".join(["w"] * 50)),
        (" ".join(["w"] * 51), " ".join(["w"] * 50)),
        ("w " * 49 + " w", "w " * 49),
        ("?", "?"),
    ],
)
def test_by_hand_cleaning(asked: str, cleaned: str):
    assert clean_question(asked) == cleaned


def test_by_hand_ids(weights: Path):
    tokenizer = load_tokenizer(weights.parent / "tokenizer.json", len(WORDS) + 7)
    red, mark = PLACES["red"], PLACES["?"]
    assert (tokenizer.start, tokenizer.enc) == (DEC, ENC)
    assert tokenizer.ids("A red, RED?") == (ENC, PLACES["a"], red, PLACES[","], red, mark, SEP)
    assert tokenizer.ids("red " * 40 + "?") == (ENC, *[red] * 33, SEP)  # 35 tokens with the marks
    assert tokenizer.ids("\ud800?")[-2:] == (mark, SEP)


def test_the_two_forms_of_the_vocabulary_agree(tmp_path: Path):
    write_tokenizer(tmp_path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    one, other = (load_tokenizer(tmp_path / name, len(words) + 2) for name in ("tokenizer.json", "vocab.txt"))
    for question in ("A red, bench?", "cats", "what"):
        assert one.ids(question) == other.ids(question)
    (tmp_path / "vocab.txt").write_text("\n".join([*words, "[DEC]", "[ENC]"]) + "\n")
    assert load_tokenizer(tmp_path / "vocab.txt", len(words) + 2).ids("a?") == one.ids("a?")


def test_by_hand_a_picture_is_squashed(weights: Path):
    """Left half black, right half white, whatever the sides: columns far from the edge keep their colour."""
    picture = Image.new("RGB", (64, 10), "white")
    picture.paste((0, 0, 0), (0, 0, 32, 10))
    prepared = blip.prepare(picture, 8)
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    for channel in range(3):
        black, white = -mean[channel] / deviation[channel], (1 - mean[channel]) / deviation[channel]
        for row in prepared[channel].tolist():
            assert row[:2] == pytest.approx([black] * 2, abs=1e-5)
            assert row[-2:] == pytest.approx([white] * 2, abs=1e-5)


def test_names_and_fingerprints(weights: Path, tmp_path: Path):
    built = Builder().yes_no({"use": "blip", "model": str(weights), "device": "cpu"})
    assert built.name == "blip-vqa"
    model = blip_vqa(weights)
    assert model.name == f"blip-vqa-{SIDE}px"
    same = write_original(tmp_path / "same")
    (tmp_path / "same" / "tiny.pth").write_bytes(weights.read_bytes())
    assert blip_vqa(same).fingerprint == model.fingerprint
    others = [
        blip_vqa(write_original(tmp_path / "other", seed=1)), blip_vqa(weights, dtype="bfloat16"),
        blip_vqa(weights, text_heads=2), blip_vqa(weights, batch_size=3),
    ]  # fmt: skip
    assert [one.fingerprint == model.fingerprint for one in others] == [False, False, False, True]


def one_line_error(kind: type[GotR1Error], ask: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        ask()
    assert "\n" not in str(caught.value)
    return str(caught.value)


BLOCK = "visual_encoder.blocks.1.attn.qkv.weight"
TIED = "text_decoder.cls.predictions.decoder.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("visual_encoder.norm.bias"), "1 missing (vision_model.post_layernorm.bias)"),
        (lambda t: t.pop("visual_encoder.pos_embed"), "1 missing (visual_encoder.pos_embed)"),
        (lambda t: t.update(extra=torch.zeros(1)), "1 surplus (extra)"),
        (lambda t: t.update({BLOCK: torch.zeros(3, 3)}), "1 misshapen (vision_model.encoder.layers.1.self_attn.qkv"),
        (lambda t: t.update({"visual_encoder.pos_embed": torch.zeros(3)}), "1 misshapen (visual_encoder.pos_embed)"),
        (lambda t: t.update({TIED: torch.zeros_like(t[TIED])}), "to be equal, as in training; they differ"),
        (lambda t: t.clear(), "6 missing"),
        (lambda t: t.update(x="text"), "expected tensors by name under 'model'"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path: Path, change: Callable[[Tensors], object], message: str):
    tensors = draw_weights(shapes(), np.random.default_rng(0))
    change(tensors)
    path = write_original(tmp_path, tensors=tensors)
    assert message in one_line_error(DataError, lambda: blip_vqa(path).loaded)


def test_what_is_no_checkpoint_is_said_in_one_line(weights: Path, tmp_path: Path):
    assert "capfilt_large" in one_line_error(UsageError, lambda: blip_vqa(tmp_path / "none.pth").loaded)
    assert "no model files at" in one_line_error(UsageError, lambda: blip_vqa(tmp_path / "none").loaded)
    (tmp_path / "torn.pth").write_bytes(b"not a checkpoint")
    assert "not a checkpoint" in one_line_error(DataError, lambda: blip_vqa(tmp_path / "torn.pth").loaded)
    assert "no multiple of its 5 heads" in one_line_error(UsageError, lambda: blip_vqa(weights, text_heads=5).loaded)
    folder = write_folder(tmp_path / "folder", weights)
    (folder / "config.json").write_text('{"model_type": "clip"}')
    assert "expected model_type 'blip', got 'clip'" in one_line_error(UsageError, lambda: blip_vqa(folder).loaded)
    (folder / "config.json").write_text('{"model_type": "blip", "vision_config": 3}')
    assert "cannot be read" in one_line_error(DataError, lambda: blip_vqa(folder).loaded)


def test_weights_for_another_size_are_refused_or_named(weights: Path):
    message = one_line_error(UsageError, lambda: blip_vqa(weights, image_size=480).loaded)
    assert f"for pictures of {SIDE} pixels" in message
    assert f"image_size = {SIDE}" in message


def test_what_is_not_there_is_said_in_one_line(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def model() -> blip.BlipVqa:
        return blip_vqa(weights, tokenizer=str(tmp_path))

    assert "tokenizer.json or vocab.txt" in one_line_error(UsageError, lambda: model().fingerprint)
    alone = tmp_path / "alone.pth"
    shutil.copy(weights, alone)
    message = one_line_error(UsageError, lambda: blip_vqa(alone).fingerprint)
    assert "the hub's 'google-bert/bert-base-uncased' cannot be fetched" in message
    monkeypatch.setenv("GOTR1_EVAL_WEIGHTS", str(tmp_path))
    missing = one_line_error(UsageError, lambda: blip.BlipVqa(blip.Settings()).fingerprint)
    assert "gotr1-eval weights blip-vqa --download" in missing
    (tmp_path / "tokenizer.json").write_text("[]")
    assert "not a tokenizer file" in one_line_error(DataError, lambda: model().loaded)
    write_tokenizer(tmp_path, {"[UNK]": 0, "yes": 1})
    assert "lacks [SEP], no" in one_line_error(DataError, lambda: model().loaded)
    write_tokenizer(tmp_path, {"[UNK]": 0, "[SEP]": 1, "yes": 2, "no": 3})
    assert f"6 ids, the model embeds {len(WORDS) + 7}" in one_line_error(DataError, lambda: model().loaded)


def test_an_answer_that_is_not_finite_is_no_answer(tmp_path: Path):
    tensors = draw_weights(shapes(), np.random.default_rng(0))
    tensors["visual_encoder.norm.bias"][0] = torch.nan
    model = blip_vqa(write_original(tmp_path, tensors=tensors))
    with pytest.raises(BackendError, match="not finite"):
        model.probability(IMAGES, QUESTIONS)


def test_heads_are_those_of_the_settings(weights: Path):
    config = blip_vqa(weights).loaded.model.config
    assert config.vision_config.num_attention_heads == config.text_config.num_attention_heads == HEADS
