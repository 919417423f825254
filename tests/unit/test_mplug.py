"""mPLUG-large VQA on tiny folders of the official layout: files, sharing, and the beam search worked by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BackendError, DataError, UsageError
from gotr1_eval.models.vqa._mplug_beams import END, START, search
from gotr1_eval.models.vqa._mplug_files import load_folder
from gotr1_eval.models.vqa.mplug import padded
from tests.tiny_mplug import SIZES, WORDS, draw_weights, mplug_vqa, write_folder

IMAGES = [Image.linear_gradient("L").convert("RGB"), Image.new("RGB", (20, 40), "red"), Image.new("RGB", (9, 9))]
QUESTIONS = [["is there a red cat?", "a dog", "the blue bench bench"], [], ["a dog", "is the cat two?", "a dog"]]
JOINT = SIZES | {"stride": 1}


@pytest.fixture(scope="module", params=[(SIZES, "g"), (JOINT, "b")], ids=["no joint layer", "a joint layer"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes, salt = request.param
    return write_folder(tmp_path_factory.mktemp("mplug"), draw_weights(sizes, salt), sizes)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_questions_asked_together_are_answered_as_one_at_a_time(folder: Path, batch_size: int):
    model = mplug_vqa(folder, batch_size=batch_size)
    together = model.hypotheses(IMAGES, QUESTIONS)
    assert [len(each) for each in together] == [3, 0, 3]
    for picture, questions, found in zip(IMAGES, QUESTIONS, together, strict=True):
        for question, hypotheses in zip(questions, found, strict=True):
            ((alone,),) = model.hypotheses([picture], [[question]])
            assert [one.ids for one in alone] == [one.ids for one in hypotheses]
            assert [one.score for one in alone] == pytest.approx([one.score for one in hypotheses], abs=1e-5)
    assert together[2][0] == together[2][2]
    ends = {len(one[0].ids) for each in together for one in each}
    assert len(ends) > 1, "the answers of these weights end at one step"


def test_a_picture_is_seen_once_and_only_where_something_is_asked(folder: Path):
    model, seen = mplug_vqa(folder), []
    model.loaded.network.vision.register_forward_hook(lambda module, given, made: seen.append(len(given[0])))
    model.answer(IMAGES, QUESTIONS)
    assert seen == [2]
    seen.clear()
    assert model.answer(IMAGES[:1], [[]]) == [[]]
    assert not seen


def test_kept_keys_give_what_the_whole_prefix_gives(folder: Path):
    """Each row of a step against the same row alone, decoded from its first token with nothing shared."""
    model = mplug_vqa(folder)
    network, tokenizer = model.loaded.network, model.loaded.tokenizer
    ids, hidden = padded([tokenizer.ids(question) for question in QUESTIONS[0]])
    with torch.inference_mode():
        seen = network.see(torch.rand(1, 3, 28, 28))
        fused = network.fuse(seen, network.read(ids, hidden), hidden)
        state = network.answer(*fused, hidden)
        state.advance(torch.full((3,), START))
        state.select(torch.tensor([1, 1, 2, 2]), torch.tensor([1, 2]))
        logits = state.advance(torch.tensor([104, 105, 106, 104]))
        for row, (question, token) in enumerate([(1, 104), (1, 105), (2, 106), (2, 104)]):
            own = [one[question : question + 1] for one in (ids, hidden)]
            alone = network.answer(*network.fuse(seen, network.read(*own), own[1]), own[1])
            alone.advance(torch.tensor([START]))
            assert logits[row].tolist() == pytest.approx(alone.advance(torch.tensor([token]))[0].tolist(), abs=1e-5)


class Table:
    """A decoder of three words, 3 and 4 and `END`, whose chances follow from the newest token alone."""

    def __init__(self, chances: dict[int, dict[int, float]]) -> None:
        self.chances, self.rows = chances, list[int]()

    def advance(self, ids_B: torch.Tensor) -> torch.Tensor:
        self.rows.append(len(ids_B))
        logits = torch.full((len(ids_B), END + 1), -1e9)
        for row, token in enumerate(ids_B.tolist()):
            for word, chance in self.chances[token].items():
                logits[row, word] = math.log(chance)
        return logits

    def select(self, rows_B: torch.Tensor, questions_Q: torch.Tensor) -> None:
        """Nothing is kept."""


def penalty(tokens: int) -> float:
    return ((5 + tokens) / 6) ** 0.6


def test_by_hand_a_search_stops_when_the_first_ranked_answer_ends():
    """Step 1: 3 (.6), 4 (.4). Step 2: 3 END (.6 * .9) ranks first, and with it 4 3 (.4 * .7) is noted, not ended."""
    table = Table({START: {3: 0.6, 4: 0.4}, 3: {END: 0.9, 4: 0.1}, 4: {END: 0.3, 3: 0.7}})
    (found,) = search(table, 1, torch.device("cpu"), beams=2)
    assert [one.ids for one in found] == [(START, 3, END), (START, 4, 3)]
    assert [one.score for one in found] == pytest.approx([math.log(p) / penalty(2) for p in (0.54, 0.28)], abs=1e-6)
    assert table.rows == [1, 2]


def test_by_hand_an_answer_that_ends_without_ranking_first_goes_on():
    """3 4 (.6 * .95) ranks above 4 END (.4 * 1), which is noted and all the same continued behind its end."""
    table = Table({START: {3: 0.6, 4: 0.4}, 3: {4: 0.95, END: 0.05}, 4: {END: 1.0}, END: {3: 1.0}})
    (found,) = search(table, 1, torch.device("cpu"), beams=2)
    assert [one.ids for one in found] == [(START, 3, 4, END), (START, 4, END, 3), (START, 4, END)]
    scores = [math.log(0.57) / penalty(3), math.log(0.4) / penalty(3), math.log(0.4) / penalty(2)]
    assert [one.score for one in found] == pytest.approx(scores, abs=1e-6)


def test_by_hand_an_answer_neither_ends_at_once_nor_goes_on_beyond_ten_tokens():
    table = Table({START: {END: 0.99, 3: 0.01}, 3: {3: 0.9, END: 0.1}})
    (found,) = search(table, 1, torch.device("cpu"), beams=1)
    assert found[0].ids == (START, *[3] * 10)


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [
        (lambda folder: (folder / "pytorch_model.bin").unlink(), UsageError, "no pytorch_model.bin in"),
        (lambda folder: (folder / "config_bert.json").write_text("{}"), DataError, "configuration of BERT"),
        (lambda folder: (folder / "vocab.txt").unlink(), UsageError, "no tokenizer at"),
        (
            lambda folder: (folder / "vocab.txt").write_text("[SEP]\n[CLS]\n[UNK]\n[PAD]\n[MASK]\nyes\nno\n"),
            DataError,
            r"with \[CLS\] at 101",
        ),
        (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"<html>"), DataError, "not a checkpoint"),
    ],
)
def test_a_folder_that_is_not_whole_is_told_in_one_line(tmp_path: Path, spoil, error, told: str):
    folder = write_folder(tmp_path, draw_weights())
    spoil(folder)
    with pytest.raises(error, match=told):
        mplug_vqa(folder).answer(IMAGES[:1], [["a dog"]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"text_encoder.encoder.layer.0.output.dense.bias": None}, r"1 missing \(text.0.narrow.bias\)"),
        ({"fusion_encoder.encoder.layer.2.output.dense.bias": torch.zeros(5)}, r"1 misshapen \(fusion.1.narrow.bias\)"),
        ({"text_decoder.cls.predictions.decoder.weight": torch.zeros(2)}, "to be equal"),
        ({"visual_encoder.visual.conv1.weight": None}, "not mPLUG's weights"),
    ],
)
def test_a_tensor_that_is_not_as_it_should_be_is_named(tmp_path: Path, change: dict, told: str):
    tensors = draw_weights() | change
    folder = write_folder(tmp_path, {name: value for name, value in tensors.items() if value is not None})
    with pytest.raises(DataError, match=told):
        load_folder(folder)


def test_what_the_official_code_does_not_use_is_left_out(tmp_path: Path):
    tensors = draw_weights()
    official = {f"model.{name}": value for name, value in tensors.items()}
    extra = {"visual_encoder_m.proj": torch.ones(2), "fusion_encoder.encoder.layer.0.output.dense.bias": torch.ones(3)}
    plain, full = (write_folder(tmp_path / name, one) for name, one in (("a", tensors), ("b", official | extra)))
    answers = [mplug_vqa(folder).answer(IMAGES, QUESTIONS) for folder in (plain, full)]
    assert answers[0] == answers[1]


def test_names_and_fingerprints_tell_what_decides_answers(folder: Path):
    built = Builder().yes_no({"use": "mplug", "model": str(folder), "device": "cpu"})
    greedy, half = mplug_vqa(folder, decoding="greedy"), mplug_vqa(folder, dtype="bfloat16")
    assert [one.name for one in (built, greedy, half)] == ["mplug-large", "mplug-large-greedy", "mplug-large-bfloat16"]
    assert len({one.fingerprint for one in (built, greedy, half)}) == 3
    with pytest.raises(UsageError, match="modelscope download"):
        Builder().yes_no({"use": "mplug", "device": "cpu"}).answer(IMAGES[:1], [["a dog"]])


def test_numbers_that_are_none_are_no_answer(folder: Path):
    model = mplug_vqa(folder)
    model.loaded.network.decoder.bias.data[7] = math.nan
    with pytest.raises(BackendError, match="not finite"):
        model.answer(IMAGES[:1], [["a dog"]])
    model.loaded.network.decoder.bias.data[WORDS.index("yes")] = math.nan
    with pytest.raises(BackendError, match="not finite"):
        model.probability(IMAGES[:1], [["a dog"]])


def test_config_heads_that_do_not_fit_are_told(tmp_path: Path):
    folder = write_folder(tmp_path, draw_weights())
    config = json.loads((folder / "config_bert.json").read_text())
    (folder / "config_bert.json").write_text(json.dumps(config | {"num_attention_heads": 5}))
    with pytest.raises(DataError, match="multiples of 5 heads"):
        load_folder(folder)
