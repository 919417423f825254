"""Answers held to a form in this process: random weights, and still every answer is of the form and ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.forms import boxes_form, marks_form, read_form
from gotr1_eval.core.outcome import Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import Asking, Request
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.models.vlms import qwen, transformers_auto
from gotr1_eval.models.vlms.in_process import LocalVlm
from tests.tiny_vlms import save_tiny_llava, save_tiny_qwen

MARKS = marks_form(["score", "other"], [0, 0.5, 1, 10])
BOXES = boxes_form((100.0, 40.0), ['a "red" cat', "Ü\n"])
WORDS = marks_form(["score"], range(11), [f"reason {place}" for place in range(12)])
"""Twelve reasons of at most 100 characters."""
SAMPLE = Sample(
    id="s",
    prompt="a cat on the left of a dog",
    chain=write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))]),
    image=Image.new("RGB", (56, 56), "white"),
)
JUDGES: tuple[dict[str, Any], ...] = (
    {"use": "semantic"},
    {"use": "semantic", "single": True},
    {"use": "spatial"},
    {"use": "spatial", "text": True},
    {"use": "prompt_image"},
    {"use": "prompt_image", "mode": "sampled", "samples": 2},
    {"use": "reasoning_image", "grounder": {"use": "vlm"}},
    {"use": "reasoning_image", "grounder": {"use": "vlm", "one_question": True}},
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("held")
    return {"qwen2_5_vl": save_tiny_qwen(root / "qwen"), "llava": save_tiny_llava(root / "llava")}


@pytest.fixture(scope="module")
def build(folders: dict[str, Path]) -> Callable[..., LocalVlm]:
    def made(kind: str, **settings: Any) -> LocalVlm:
        module = transformers_auto if kind == "llava" else qwen
        return module.build(module.Settings(**{"model": str(folders[kind]), **settings}), Builder())

    return made


def texts(replies: list[Reply | Unscored]) -> list[str]:
    assert all(isinstance(reply, Reply) and reply.finish == "stop" for reply in replies), replies
    return [reply.text for reply in replies if isinstance(reply, Reply)]


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "llava"])
def test_rows_of_different_forms_end_side_by_side_each_in_its_own(build, kind: str):
    vlm = build(kind)
    assert vlm.constrains()
    forms = [MARKS, BOXES, None, MARKS, BOXES]
    asked = [
        Request(prompt="?", form=form, max_tokens=5, temperature=heat, seed=seed)
        for heat, seed in ((0.0, 0), (1.0, 1), (1.0, 2))
        for form in forms
    ]
    together = vlm.reply(asked)
    assert together == [vlm.reply([request])[0] for request in asked], "neighbours change nothing"
    for request, reply in zip(asked, together, strict=True):
        assert isinstance(reply, Reply)
        assert request.form is None or reply.finish == "stop"
        if request.form is not None:
            read_form(reply.text, request.form)
            assert (
                reply.text == json.dumps(json.loads(reply.text), ensure_ascii='"\\u' in reply.text) or "Ü" in reply.text
            )


@pytest.mark.slow
def test_long_texts_end_for_many_seeds(build):
    asked = [Request(prompt="?", form=WORDS, temperature=1.0, seed=seed) for seed in range(12)]
    answers = texts(build("qwen2_5_vl", batch_size=12).reply(asked))
    assert len({read_form(text, WORDS)["score"] for text in answers}) > 3


def test_the_likeliest_token_of_the_form_is_taken(build):
    """By hand: of a list with every token's logit, the greatest that keeps to '{"score": ' and the marks."""
    vlm = build("qwen2_5_vl")
    form = marks_form(["score"], [3, 7, 10])
    (reply,) = vlm.reply([Request(prompt="How well?", form=form)])
    options = ("3", "7", "1")
    (scored,) = vlm.reply([Request(prompt="How well?", answer_prefix='{"score": ', choices=(*options, "10"))])
    # "1" and "10" together are what the token "1" holds, where the form can go on to "10" alone.
    three, seven, one, ten = (torch.tensor(each).exp() for each in scored.choice_log_probs)
    best = ("3", "7", "10")[int(torch.stack([three, seven, one + ten]).argmax())]
    assert reply.text == f'{{"score": {best}}}'


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen2_5_vl", "llava"])
@pytest.mark.parametrize("spec", JUDGES, ids=lambda spec: "-".join(map(str, spec.values())))
def test_every_judge_gets_answers_of_its_form(folders, kind: str, spec: dict[str, Any]):
    model = {"use": "transformers_auto" if kind == "llava" else "qwen", "model": str(folders[kind])}
    model |= {"boxes": "thousand"} if kind == "llava" else {}
    grounder = {"grounder": {**spec["grounder"], "vlm": model}} if "grounder" in spec else {"vlm": model}
    judge = Builder().judge({**spec, **grounder})
    assert isinstance(judge, Asking)
    assert judge.answers == "constrained"
    (outcome,) = judge.judge([SAMPLE])
    assert outcome.replies
    assert all(json.loads(reply.text) and reply.finish == "stop" for reply in outcome.replies)
    # Random weights give boxes whose corners are swapped, which no form can rule out.
    assert isinstance(outcome, Score) or (spec["use"] == "reasoning_image" and "box" in outcome.detail)


def test_settings_and_thinking_models(build, folders, tmp_path: Path, caplog):
    free = build("qwen2_5_vl", constrained=False)
    assert not free.constrains()
    with pytest.raises(UsageError, match="not held to one"):
        free.reply([Request(prompt="?", form=MARKS)])
    thinking = tmp_path / "thinking"
    shutil.copytree(folders["qwen2_5_vl"], thinking)
    template = {"chat_template": "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"}
    (thinking / "chat_template.json").write_text(json.dumps(template), encoding="utf-8")
    assert not build("qwen2_5_vl", model=str(thinking)).constrains()
    assert "answers of thinking are free text, not held to a form: its chat template lets it think" in caplog.text
    with pytest.raises(UsageError, match="constrained = true cannot be had: its chat template"):
        build("qwen2_5_vl", model=str(thinking), constrained=True).constrains()


def test_a_tokenizer_that_cannot_write_the_form_is_said_so(build, monkeypatch, caplog):
    vlm = build("qwen2_5_vl")
    monkeypatch.setattr(type(vlm), "tokenizer", object())
    assert not vlm.constrains()
    assert "llguidance cannot read the tokenizer" in caplog.text


def test_predictions_that_are_no_numbers_are_no_answer(folders, build, tmp_path: Path):
    spoilt = tmp_path / "spoilt"
    shutil.copytree(folders["qwen2_5_vl"], spoilt)
    tensors = load_file(spoilt / "model.safetensors")
    save_file({k: v * float("nan") if "norm" in k else v for k, v in tensors.items()}, spoilt / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    (found,) = build("qwen2_5_vl", model=str(spoilt)).reply([Request(prompt="?", form=MARKS)])
    assert isinstance(found, Unscored)
    assert found.why is Why.BACKEND
    assert "not finite" in found.detail


def test_forms_that_cannot_be_followed_are_refused(build):
    vlm = build("qwen2_5_vl")
    for form, message in (
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, "'maxLength' is missing"),
        ({"type": "object", "properties": {"a": {"not": {}}}, "required": ["a"]}, "cannot be held to this form"),
    ):
        with pytest.raises(UsageError, match=message):
            vlm.reply([Request(prompt="?", form=form)])
    with pytest.raises(ValueError, match="not both"):
        Request(prompt="?", form=MARKS, answer_prefix="{")
