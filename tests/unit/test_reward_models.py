"""Judging by reward models: what they are shown, long prompts, and files that are another model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, MissingWeightsError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.models.encoders import hps
from gotr1_eval.models.reward_models import image_reward, laion_aesthetic, pick_score
from rewards.total import read_map
from tests.tiny_clip import clip_encoder, random_clip_folder, write_checkpoint
from tests.tiny_reward_models import head_file, hps_v3_model, image_reward_file

FAKE = "tests.plugins.fake_reward_model"


@pytest.mark.parametrize(("sees", "mode"), [("stored", "P"), ("upright", "RGB")])
def test_the_model_is_shown_the_picture_as_it_wants_it(tmp_path: Path, sees: str, mode: str):
    Image.new("P", (4, 4)).save(tmp_path / "p.png")
    builder, spec = Builder(), {"use": FAKE, "sees": sees}
    builder.judge({"use": "pick_score", "model": spec}).judge([Sample(id="1", prompt="a", image=tmp_path / "p.png")])
    assert builder.reward_model(spec).modes == [mode]  # type: ignore[attr-defined]


def test_long_prompts_are_noted_and_counted_and_a_refused_one_keeps_its_place():
    judge: Any = Builder().judge({"use": "image_reward", "model": FAKE})
    prompts = ["one two", "one two three four five", "an unspeakable thing", "x"]
    picture = Image.new("RGB", (2, 2))
    samples = [Sample(id=str(i), prompt=p, image=None if p == "x" else picture) for i, p in enumerate(prompts)]
    outcomes = judge.judge(samples)
    assert [outcome.note for outcome in outcomes[:2]] == ["", "the prompt's last 2 tokens were not read"]
    assert [outcome.value for outcome in outcomes[:2]] == pytest.approx([0.2, 0.3])
    assert [outcome.why for outcome in outcomes[2:]] == [Why.UNDEFINED, Why.NO_INPUT]
    assert judge.remarks(samples) == ["fake does not read the end of 1 of 4 prompts: they are longer than it takes"]
    assert judge.remarks(samples[:1]) == []


def test_clip_says_what_it_does_not_read(tmp_path: Path):
    encoder = clip_encoder(random_clip_folder(tmp_path))
    assert encoder.cut_off(["abc", "a" * 75, "a" * 80, ""]) == [0, 0, 5, 0]
    assert "loaded" not in encoder.__dict__
    judge: Any = Builder().judge({"use": "clip_score", "encoder": {"use": "clip", "model": str(tmp_path)}})
    (outcome,) = judge.judge([Sample(id="1", prompt="a" * 80, image=Image.new("RGB", (40, 40)))])
    assert outcome.note == "the prompt's last 5 tokens were not read"


def test_pick_score_takes_the_middle_as_transformers_does_and_leaves_prompts_alone(tmp_path: Path):
    """An odd surplus of three: one pixel goes left of the middle, two right; OpenAI's code does the opposite."""
    model = pick_score.PickScore(pick_score.Settings(model=str(random_clip_folder(tmp_path)), device="cpu"))
    wide = Image.new("RGB", (35, 32))
    wide.putpixel((1, 0), (255, 255, 255))
    assert model.prepare(wide, 32)[0, 0].argmax() == 0
    turned = Image.new("LA", (35, 32), (9, 0))
    assert model.prepare(turned, 32).shape == (3, 32, 32)
    assert model.clean("a &amp; b") == "a &amp; b"
    one, two = Image.new("RGB", (40, 32), "red"), Image.new("RGBA", (32, 40), "blue")
    together = model.rate([one, two], ["a", "b"])
    alone = [*model.rate([one], ["a"]), *model.rate([two], ["b"])]
    assert [o.value for o in together] == pytest.approx([o.value for o in alone], abs=1e-5)  # type: ignore[union-attr]


def image_reward_model(path: Path, **settings: Any) -> image_reward.ImageReward:
    heads = {"image_heads": 2, "text_heads": 2, "device": "cpu"} | settings
    return image_reward.ImageReward(image_reward.Settings(weights=path, **heads))


@pytest.mark.parametrize(
    ("mode", "size"),
    [("RGB", (300, 205)), ("RGBA", (97, 260)), ("P", (230, 233)), ("L", (227, 224)), ("LA", (224, 227))],
)
def test_pick_score_s_pictures_are_those_of_transformers_processor(mode: str, size: tuple[int, int]):
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    picture = Image.fromarray(noise).convert(mode)
    theirs = CLIPImageProcessorPil()(picture.convert("RGB"), return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(pick_score.fit_and_crop(picture, 224), theirs, atol=1e-6)


def test_image_reward_rates_in_batches_as_alone(tmp_path: Path):
    image_reward_file(path := tmp_path / "ImageReward.pt")
    model = image_reward_model(path)
    pictures = [Image.new("RGB", (240, 230), colour) for colour in ("red", "green", "blue")]
    together = model.rate(pictures, ["a", "b c", ""])
    alone = [model.rate([picture], [prompt])[0] for picture, prompt in zip(pictures, ["a", "b c", ""], strict=True)]
    assert [o.value for o in together] == pytest.approx([o.value for o in alone], abs=1e-5)  # type: ignore[union-attr]
    assert len({o.value for o in together}) == 3  # type: ignore[union-attr]
    assert model.cut_off(["a", "a " * 40]) == [0, 7]
    assert model.fingerprint != image_reward_model(path, dtype="bfloat16").fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("mlp.layers.6.bias"), "1 missing (mlp.layers.6.bias)"),
        (lambda t: t.pop("blip.visual_encoder.pos_embed"), "not ImageReward's weights"),
        (lambda t: t.update({"itm_head.weight": torch.zeros(2, 16)}), "1 surplus (itm_head.weight)"),
        (lambda t: t.update({"blip.text_proj.bias": torch.zeros(3)}), "1 misshapen (blip.text_proj.bias)"),
    ],
)
def test_files_that_are_not_image_reward_s_are_refused(tmp_path: Path, change: Any, message: str):
    tensors = image_reward_file(path := tmp_path / "ImageReward.pt")
    change(tensors)
    torch.save(tensors, path)
    with pytest.raises(DataError) as caught:
        image_reward_model(path).loaded  # noqa: B018
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_positions_that_old_files_hold_are_no_weights(tmp_path: Path):
    tensors = image_reward_file(path := tmp_path / "ImageReward.pt")
    torch.save(tensors | {"blip.text_encoder.embeddings.position_ids": torch.arange(40)[None]}, path)
    assert image_reward_model(path).loaded
    with pytest.raises(UsageError, match="no multiple of its 3 heads"):
        image_reward_model(path, text_heads=3).loaded  # noqa: B018


def test_heads_that_go_by_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOTR1_EVAL_WEIGHTS", str(tmp_path))
    encoder = clip_encoder(random_clip_folder(tmp_path / "clip-tiny"))
    official = laion_aesthetic.LaionAesthetic(laion_aesthetic.Settings(), encoder)
    assert official.name == "aesthetic-v2, clip-tiny"
    with pytest.raises(MissingWeightsError, match="gotr1-eval weights laion-aesthetic --download"):
        official.fingerprint  # noqa: B018
    path = head_file(tmp_path / "sac+logos+ava1-l14-linearMSE.pth")
    with pytest.raises(UsageError, match="another head under this name"):
        laion_aesthetic.LaionAesthetic(laion_aesthetic.Settings(), encoder).fingerprint  # noqa: B018
    one, two = (
        laion_aesthetic.LaionAesthetic(laion_aesthetic.Settings(head=each), encoder)
        for each in (path, head_file(tmp_path / "two.pth", seed=1))
    )
    assert one.name.startswith("head ")
    assert one.name != two.name
    with pytest.raises(UsageError, match="has 16 features, the head takes 768"):
        one.rate([Image.new("RGB", (40, 40))], ["a"])
    torch.save({"weight": torch.zeros(1, 768), "bias": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="LAION's first predictor"):
        laion_aesthetic.LaionAesthetic(laion_aesthetic.Settings(head=path), encoder)._head  # noqa: B018


def test_weights_of_hps_v2_0_are_called_what_they_are(tmp_path: Path):
    older = write_checkpoint(tmp_path).rename(tmp_path / hps.OLDER_FILE)
    settings = {"image_heads": 4, "text_heads": 2, "device": "cpu"}
    assert hps.HpsEncoder(hps.Settings(weights=str(older), **settings)).name == "hps-v2.0"


def test_a_prompt_that_a_model_refuses_is_unscored_and_no_number():
    judge = Builder().judge({"use": "pick_score", "model": FAKE})
    (outcome,) = judge.judge([Sample(id="1", prompt="unspeakable", image=Image.new("RGB", (2, 2)))])
    assert isinstance(outcome, Unscored)


def test_other_projects_scales_are_maps():
    scale = read_map("over(26)")
    assert (scale.name, scale(13.0), scale(30.0)) == ("over(26)", 0.5, 1.0)
    with pytest.raises(UsageError, match="above 0"):
        read_map("over(0)")
    assert isinstance(Score(value=scale(22.1)), Score)


def test_hps_v3_rates_pictures_of_any_shape_in_batches_as_alone(tmp_path: Path):
    model = hps_v3_model(tmp_path)
    pictures = [Image.effect_noise(size, 80) for size in ((40, 90), (64, 64), (100, 30))]
    prompts = ["a", "a red circle left of a blue square", "{text_prompt} <|im_end|>"]
    together = model.rate(pictures, prompts)
    alone = [model.rate([picture], [prompt])[0] for picture, prompt in zip(pictures, prompts, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Score)
        assert isinstance(other, Score)
        assert one.value == pytest.approx(other.value, abs=1e-5)
        assert one.parts["sigma"] == pytest.approx(other.parts["sigma"], abs=1e-5)
    assert len({outcome.value for outcome in together}) == 3  # type: ignore[union-attr]
    assert model.name == "HPSv3"
    other = hps_v3_model(tmp_path, positions="mrope")
    assert other.name == "HPSv3 with M-RoPE"
    assert other.fingerprint != model.fingerprint
    assert other.rate(pictures[:1], prompts[:1]) != together[:1]


def test_hps_v3_refuses_what_would_mix_up_a_batch(tmp_path: Path):
    model = hps_v3_model(tmp_path)
    square, strip = Image.new("RGB", (40, 40)), Image.new("RGB", (801, 4))
    asked = [(square, "x <|Reward|>"), (square, "a"), (square, "<|image_pad|>"), (strip, "a")]
    outcomes = model.rate(*map(list, zip(*asked, strict=True)))  # type: ignore[arg-type]
    assert [type(outcome) for outcome in outcomes] == [Unscored, Score, Unscored, Unscored]
    assert outcomes[1] == model.rate([square], ["a"])[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("rm_head.3.bias"), "1 missing (rm_head.3.bias)"),
        (lambda t: t.update({"model.layers.9.mlp.up_proj.weight": torch.zeros(1)}), "1 surplus"),
        (lambda t: t.update({"rm_head.5.weight": torch.zeros(1, 16)}), "1 misshapen (rm_head.5.weight)"),
        (lambda t: t.pop("model.embed_tokens.weight"), "not HPSv3's weights"),
    ],
)
def test_files_that_are_not_hps_v3_s_are_refused(tmp_path: Path, change: Any, message: str):
    with pytest.raises(DataError) as caught:
        hps_v3_model(tmp_path, change).loaded  # noqa: B018
    assert message in str(caught.value)


def test_a_tokenizer_that_does_not_fit_hps_v3_is_refused(tmp_path: Path):
    def one_row_less(tensors: dict[str, torch.Tensor]) -> None:
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            tensors[name] = tensors[name][:-1].contiguous()

    with pytest.raises(DataError, match="the tokenizer has"):
        hps_v3_model(tmp_path, one_row_less).loaded  # noqa: B018
    with pytest.raises(DataError, match="expected the package hpsv3"):
        hps_v3_model(tmp_path, package=tmp_path / "tokenizer.json").fingerprint  # noqa: B018
