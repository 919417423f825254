"""UnifiedReward and VQAScore: what the model is shown and asked, and what its answer is worth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, MissingWeightsError, UsageError
from gotr1_eval.core.outcome import Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import FollowedAnswer, FollowsAnswers, Request
from gotr1_eval.core.types import Sample
from gotr1_eval.models.vlms import qwen
from rewards.unified_reward import Settings as UnifiedSettings
from rewards.unified_reward import UnifiedRewardJudge
from rewards.vqa_score import Settings as VqaSettings
from rewards.vqa_score import VqaScoreJudge
from tests.fakes import ScriptedVlm
from tests.tiny_vlms import save_tiny_qwen

REQUEST = Path(__file__).parents[1] / "plugins/request_script.py"
MARKS = "Alignment Score (1-5): 4.5\nCoherence Score (1-5): 3\nStyle Score (1-5): 1.5"
VLM: dict[str, Any] = {"use": "scripted"}


def unified(reply: str, **settings: Any) -> UnifiedRewardJudge:
    vlm = ScriptedVlm(lambda request: Reply(text=reply, model="m", finish="stop"))
    return UnifiedRewardJudge(vlm, UnifiedSettings(vlm=VLM, **{"request": REQUEST} | settings))


def shown(judge: UnifiedRewardJudge | VqaScoreJudge) -> list[Request]:
    requests: list[Request] = judge.vlm.requests  # type: ignore[attr-defined]
    return requests


def test_unified_reward_asks_in_its_authors_words_about_the_picture_through_jpeg():
    judge = unified(MARKS)
    picture = Image.effect_noise((16, 16), 60).convert("RGBA")
    outcomes = judge.judge([Sample(id="1", prompt="a {cat}", image=picture), Sample(id="2", prompt="b")])
    assert judge.name == "unified_reward[scripted, three marks]"
    assert outcomes[0] == Score(
        value=3.0, parts={"alignment": 4.5, "coherence": 3.0, "style": 1.5}, replies=outcomes[0].replies
    )
    assert isinstance(outcomes[1], Unscored)
    (request,) = shown(judge)
    assert request.prompt.endswith("Text Caption: [a {cat}]")
    assert request.temperature == 0
    (image,) = request.images
    assert image.mode == "RGB"
    assert image.tobytes() != picture.convert("RGB").tobytes()
    other = unified(MARKS, version="1", request=None)
    assert other.name == "unified_reward[scripted, final score]"


def test_what_unified_reward_does_not_say_is_no_number():
    judge = unified("Alignment Score (1-5): 4.5")
    (outcome,) = judge.judge([Sample(id="1", prompt="a", image=Image.new("RGB", (8, 8)))])
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.UNREADABLE
    assert outcome.replies[0].text == "Alignment Score (1-5): 4.5"


def test_without_the_authors_script_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOTR1_EVAL_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="gotr1-eval weights unified-reward-request --download"):
        unified(MARKS, request=None).fingerprint  # noqa: B018
    (tmp_path / "other.py").write_text("problem = 7 + 7\n")
    with pytest.raises(DataError, match="problem is no text"):
        unified(MARKS, request=tmp_path / "other.py").fingerprint  # noqa: B018


def vqa(first: float | None, **settings: Any) -> VqaScoreJudge:
    def answer(request: Request) -> Reply:
        named = dict.fromkeys(request.first_tokens, first)
        return Reply(text="", model="m", finish="first_tokens", first_tokens=named, unlisted=math.log(0.001))

    return VqaScoreJudge(ScriptedVlm(answer), VqaSettings(vlm=VLM, **settings))


def test_vqa_score_is_the_probability_of_yes():
    judge = vqa(math.log(0.25))
    (outcome,) = judge.judge([Sample(id="1", prompt='a "red" {cat}', image=Image.new("RGB", (8, 8)))])
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx(0.25)
    (request,) = shown(judge)
    assert request.prompt == 'Does this figure show "a "red" {cat}"? Please answer Yes or No.'
    assert request.first_tokens == ("Yes",)


def test_another_wording_or_answer_is_another_name():
    assert vqa(0.0).name == "vqa_score[scripted, t2v_metrics]"
    own = vqa(0.0, question="Is it {}?", answer="yes")
    assert own.name.startswith("vqa_score[scripted, own question ")
    assert own.name.endswith(", answer yes]")
    assert own.fingerprint != vqa(0.0).fingerprint
    with pytest.raises(UsageError, match="where the prompt goes"):
        vqa(0.0, question="Is it?")
    with pytest.raises(UsageError, match="take a model in this process"):
        vqa(0.0, answer_tokens=2)


def test_a_probability_that_is_not_told_is_no_zero():
    (outcome,) = vqa(None).judge([Sample(id="1", prompt="a", image=Image.new("RGB", (8, 8)))])
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.UNREADABLE
    assert "it is below 0.001" in outcome.detail


def test_a_model_in_this_process_tells_every_step_as_it_tells_the_first(tmp_path: Path):
    """The first step of a followed answer is the first-token probability; the name says what was set."""
    model = qwen.build(qwen.Settings(model=str(save_tiny_qwen(tmp_path)), device="cpu"), Builder())
    assert isinstance(model, FollowsAnswers)
    sample = Sample(id="1", prompt="a cat", image=Image.effect_noise((56, 56), 80))
    first = VqaScoreJudge(model, VqaSettings(vlm=VLM))
    longer = VqaScoreJudge(model, VqaSettings(vlm=VLM, answer_tokens=3))
    (one,) = first.judge([sample])
    request = Request(prompt=first.settings.question.replace("{}", "a cat"), images=(sample.image.convert("RGB"),))  # type: ignore[union-attr]
    (followed,) = model.follow([request], "Yes", 1.0)
    assert isinstance(one, Score)
    assert isinstance(followed, FollowedAnswer)
    assert math.exp(followed.log_probs[0][0]) == pytest.approx(one.value, abs=1e-6)
    (warm,) = model.follow([request], "Yes", 2.0)
    assert warm.log_probs[0][0] != followed.log_probs[0][0]  # type: ignore[union-attr]
    assert longer.name.endswith("t2v_metrics, 3 tokens]")
    (several,) = longer.judge([sample])
    assert isinstance(several, Score | Unscored)
    assert several.replies
