"""NaN and infinity: found in weights when they are read and in numbers when they are made; never sampled or scored."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run as command
from gotr1_eval.core.errors import BackendError, DataError, RunError
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.models.detectors.unidet.network import merge_levels, select
from gotr1_eval.models.generators.janus import JanusGenerator, Settings
from gotr1_eval.models.janus.loading import Checkpoint, load_checkpoint
from gotr1_eval.models.vlms import qwen
from tests.grpo_runs import trainer
from tests.tiny_models import loaded_random, random_checkpoint
from tests.tiny_vlms import save_tiny_qwen
from tests.unit.test_unidet import stages


@pytest.fixture(scope="module")
def pristine() -> Checkpoint:
    return loaded_random()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_checkpoint(tmp_path_factory.mktemp("janus"))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "weight",
    [
        "lm_head.weight",
        "model.vision_model.embeddings.position_embedding.weight",
        "model.vqmodel.decoder.conv_in.bias",
    ],
)
def test_weights_that_are_no_numbers_are_refused_by_name(folder, tmp_path, weight, number):
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for file in folder.iterdir():
        (spoilt / file.name).write_bytes(file.read_bytes())
    tensors = load_file(spoilt / "model.safetensors")
    tensors[weight].view(-1)[-1] = number
    save_file(tensors, spoilt / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"model\.safetensors: 1 of .* weights are not finite") as caught:
        load_checkpoint(spoilt, device=torch.device("cpu"), dtype=torch.float32)
    assert weight in str(caught.value)
    assert "\n" not in str(caught.value)


def painting(pristine: Checkpoint, weight: str, row: int | slice, number: float, **settings: object) -> list[object]:
    """A generation after a weight has turned bad, as numbers that outgrow float16 do in the middle of a run."""
    model = copy.deepcopy(pristine.model)
    model.get_parameter(weight).data[row] = number
    generator = JanusGenerator(Settings(ckpt=".", chain_cap=6, **settings))
    generator.__dict__["checkpoint"] = Checkpoint(model, pristine.tokenizer, pristine.special)
    return list(generator.generate(["a red circle", "a blue square"], [1, 2]))


@pytest.mark.parametrize(
    ("weight", "row", "words"),
    [
        ("lm_head.weight", slice(None), "the language head's logits are not finite"),
        ("lm_head.weight", 7, "the language head's logits are not finite"),
        ("model.language_model.embed_tokens.weight", slice(None), "the language head's logits are not finite"),
        ("model.language_model.norm.weight", 3, "the language head's logits are not finite"),
        ("model.generation_head.vision_head.bias", 5, "the image head's logits are not finite"),
        ("model.generation_embeddings.weight", slice(None), "the image head's logits are not finite"),
        ("model.vqmodel.quantize.embedding.weight", slice(None), "the picture decoder's pixels are not finite"),
        ("model.vqmodel.decoder.conv_out.bias", 1, "the picture decoder's pixels are not finite"),
    ],
)
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_generator_stops_where_its_numbers_end(pristine, weight, row, words, number):
    with pytest.raises(BackendError, match=words) as caught:
        painting(pristine, weight, row, number)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings", [{"guidance": 1.0}, {"text_temperature": 0, "image_temperature": 0}, {"image_top_p": 0.9}]
)
def test_however_it_is_sampled(pristine, settings):
    with pytest.raises(BackendError, match="image head"):
        painting(pristine, "model.generation_head.vision_head.bias", 5, math.nan, **settings)


def test_a_token_that_is_never_drawn_is_no_fault(pristine):
    assert len(painting(pristine, "model.generation_head.vision_head.bias", 5, -math.inf, guidance=1.0)) == 2


def test_nothing_of_a_broken_tile_is_kept(folder, tmp_path, monkeypatch):
    """The first tile is whole; the run ends in one line, and goes on with the second."""
    (tmp_path / "prompts.txt").write_text("a red circle\na blue square\n")
    asked = ["generate", "--ckpt", str(folder), "--suite", str(tmp_path / "prompts.txt"), "--tile", "1"]
    asked += ["--images-per-prompt", "1", "--out", str(tmp_path / "run")]
    decoded = []

    def breaks(self: JanusGenerator, pairs: object, whole: object = JanusGenerator._generate) -> object:
        decoded.append(pairs)
        if len(decoded) == 2:
            self.checkpoint.model.lm_head.weight.data.fill_(math.nan)
        return whole(self, pairs)

    with monkeypatch.context() as patch:
        patch.setattr(JanusGenerator, "_generate", breaks)
        with pytest.raises(BackendError, match="not finite"):
            command(asked)
    rows = tmp_path / "run/samples.jsonl"
    assert len(rows.read_text().splitlines()) == 1
    assert command(asked) == 0
    assert len(rows.read_text().splitlines()) == 2


@pytest.fixture(scope="module")
def judge_model(tmp_path_factory):
    folder = save_tiny_qwen(tmp_path_factory.mktemp("vlm") / "qwen2_5_vl")
    return qwen.build(qwen.Settings(model=str(folder), share_beginnings=False), Builder())


@pytest.mark.parametrize("choices", [(), ("1", "10")])
def test_a_judges_question_without_numbers_is_unscored_and_its_neighbour_is_not(judge_model, choices, monkeypatch):
    broken = Image.new("RGB", (84, 56), "red")
    encode = type(judge_model)._encode

    def spoilt(self, image):
        seen = encode(self, image)
        return seen if image is not broken else type(seen)(tuple(part * math.nan for part in seen.tokens), seen.deep)

    monkeypatch.setattr(type(judge_model), "_encode", spoilt)
    asked = [
        Request(prompt="red?", images=(image,), max_tokens=4, choices=choices)
        for image in (broken, Image.new("RGB", (84, 56), "blue"))
    ]
    first, second = judge_model.reply(asked)
    assert isinstance(first, Unscored)
    assert first.why is Why.BACKEND
    assert "not finite" in first.detail
    assert isinstance(second, Reply)


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_judges_broken_head(judge_model, number, temperature, monkeypatch):
    weight = judge_model.loaded.model.lm_head.weight
    before = weight.data.clone()
    weight.data[3] = number
    asked = [Request(prompt="red?", max_tokens=4, temperature=temperature), Request(prompt="red?", choices=("1", "2"))]
    found = judge_model.reply(asked)
    weight.data.copy_(before)
    assert all(isinstance(each, Unscored) and each.why is Why.BACKEND for each in found)


def test_a_detector_without_a_finite_number_has_not_found_nothing():
    boxes = torch.tensor([[0.0, 0, 5, 5], [10.0, 0, 15, 5]])
    with pytest.raises(BackendError, match="no score is finite"):
        select(stages(boxes, torch.full((2, 3), math.nan)))
    with pytest.raises(BackendError, match="no proposal is finite"):
        merge_levels([torch.full((2,), math.nan)], [boxes])


def test_a_rollout_of_a_broken_policy_ends_the_training(tmp_path):
    one = trainer(tmp_path)
    one.learner.policy.model.lm_head.weight.data[3] = math.nan
    with pytest.raises(BackendError, match="language head"):
        one.train()


def test_a_supervised_step_that_is_not_finite_is_not_made(tmp_path):
    from tests.unit.test_sft_run import run, write_data

    one = run(tmp_path / "run", write_data(tmp_path), 3, save_every=3)
    one.report = lambda metrics: one.learner.policy.model.lm_head.weight.data.fill_(math.nan)
    with pytest.raises(RunError, match="gradient is nan"):
        one.train()
    assert (tmp_path / "run/checkpoints/step-000001").is_dir()
