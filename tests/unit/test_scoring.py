"""Scoring arbitrary pictures in three lines of Python."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval import score_images
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Box

CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


@pytest.mark.parametrize("judges", ["geometric", " geometric ", ["geometric"]])
def test_one_judge_may_be_a_text(judges):
    table = score_images([None], ["a cat on the left of a dog"], judges=judges, chains=[CHAIN])
    assert table["geometric"].tolist() == [1.0]


def test_several_judges_in_a_text():
    with pytest.raises(UsageError, match="asked once"):
        score_images([None], ["a cat"], judges="geometric, geometric")
    with pytest.raises(UsageError):
        score_images([None], ["a cat"], judges="")


@pytest.mark.parametrize("given", [{"prompts": "a cat"}, {"images": "cat.png"}, {"chains": CHAIN}])
def test_a_text_is_no_list(given):
    asked = {"images": [None], "prompts": ["a cat"], "judges": "geometric", "chains": None, **given}
    with pytest.raises(UsageError, match=f"{next(iter(given))}: expected a list, got the text"):
        score_images(**asked)


def test_three_lines(tmp_path: Path):
    prompts = ["a cat on the left of a dog", "a cat", "a cat on the right of a dog"]
    table = score_images([None, None, None], prompts, judges=["geometric"], chains=[CHAIN, CHAIN, None])
    assert table["geometric"].tolist()[0] == 1.0
    assert math.isnan(table["geometric"][1])
    assert table["geometric/why"].tolist() == ["", "not_applicable", "no_input"]
    with pytest.raises(UsageError, match="got 1, 2, 2"):
        score_images([None], ["a", "b"], judges=["geometric"])
    with pytest.raises(UsageError, match="asked once"):
        score_images([None], ["a"], judges=["geometric", "geometric"])


def test_judges_that_ask_a_model_get_the_one_that_is_named(tmp_path: Path):
    picture, settings = tmp_path / "cat.png", tmp_path / "judge.toml"
    Image.new("RGB", (28, 28), "white").save(picture)
    settings.write_text('use = "tests.plugins.scripted_vlm"\n', encoding="utf-8")
    for model in (str(settings), {"use": "tests.plugins.scripted_vlm"}):
        table = score_images([picture], ["a cat"], judges=["prompt_image", "geometric"], judge_model=model)
        assert table["prompt_image[scripted]"].tolist() == [0.5]


def test_a_model_too_few_or_too_many_is_said():
    with pytest.raises(UsageError, match=r"'prompt_image' asks a language-vision model; .* \(judge_model\)"):
        score_images([None], ["a"], judges=["prompt_image"])
    with pytest.raises(UsageError, match="none of the named judges asks a model"):
        score_images([None], ["a"], judges=["geometric"], judge_model={"use": "tests.plugins.scripted_vlm"})
