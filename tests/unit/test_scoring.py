"""Scoring arbitrary pictures in three lines of Python."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from gotr1_eval import score_images
from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Box, Sample

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


def test_one_picture_and_one_prompt_may_stand_alone(tmp_path: Path):
    """A file, a PIL picture, an array and a tensor are the same picture; one prompt is that of all of them."""
    array = np.zeros((24, 24, 3), np.uint8)
    array[6:18, 6:18] = (255, 0, 0)
    Image.fromarray(array).save(tmp_path / "red.png")
    one = [tmp_path / "red.png", str(tmp_path / "red.png"), Image.fromarray(array), array, array / 255]
    one.append(torch.from_numpy(array).permute(2, 0, 1) / 255)
    values = [score_images(each, "a red square", "shapes_prompt_image")["shapes_prompt_image"].tolist() for each in one]
    assert len({value for (value,) in values}) == 1
    together = score_images(one, "a red square", "shapes_prompt_image")
    assert together["shapes_prompt_image"].tolist() == [value for (value,) in values]
    assert together["image"][1] == str(tmp_path / "red.png")
    assert pd.isna(together["image"][2])
    batch = score_images(np.stack([array, 255 - array]), "a red square", "shapes_prompt_image")
    assert batch["shapes_prompt_image"][0] == values[0][0] > batch["shapes_prompt_image"][1]
    with pytest.raises(UsageError, match="expected a file, a PIL picture or an array, got int"):
        score_images([7], "a red square", "shapes_prompt_image")


def test_a_reward_set_has_its_total(tmp_path: Path):
    """The same numbers as the set's own judges and total say."""
    prompts = ["a red circle on the left of a blue square", "a red circle"]
    pictures = [Image.new("RGB", (24, 24), "white")] * 2
    chain = write_chain([("red circle", Box(0, 0.4, 0.2, 0.6)), ("blue square", Box(0.8, 0.4, 1, 0.6))])
    table = score_images(pictures, prompts, "shapes", [chain, chain], details=True, progress=True)
    rewards = Builder().reward_set("shapes")
    samples = [Sample(id=str(at), prompt=p, image=pictures[at], chain=chain) for at, p in enumerate(prompts)]
    rows = rewards.judge(samples)
    assert rewards.total is not None
    names = {factor: one.name for factor, one in rewards.judges.items()} | {"total": rewards.total.name}
    for factor, name in names.items():
        for at, row in enumerate(rows):
            outcome = row[factor]
            if isinstance(outcome, Score):
                assert table[name][at] == outcome.value
                assert table[f"{name}/why"][at] == ""
                assert {part: table[f"{name}/{part}"][at] for part in outcome.parts} == outcome.parts
            else:
                assert table[f"{name}/why"][at] == outcome.why.value
                assert table[f"{name}/note"][at] == outcome.detail


def test_facts_reach_the_judge():
    row = {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a photo of a cat"}
    judge = Builder().judge({"use": "geneval", "detector": {"use": "tests.plugins.fake_eyes", "finds": []}})
    asked = Image.new("RGB", (24, 24)), "a photo of a cat", [judge]
    for facts in ({"geneval": row}, [{"geneval": row}]):
        assert score_images(*asked, facts=facts)[judge.name].tolist() == [0.0]
    assert score_images(*asked)[f"{judge.name}/why"].tolist() == ["not_applicable"]
    with pytest.raises(UsageError, match="facts: needed one a picture, got 2 for 1"):
        score_images(*asked, facts=[{}, {}])


def test_three_lines(tmp_path: Path):
    prompts = ["a cat on the left of a dog", "a cat", "a cat on the right of a dog"]
    table = score_images([None, None, None], prompts, judges=["geometric"], chains=[CHAIN, CHAIN, None])
    assert table["geometric"].tolist()[0] == 1.0
    assert math.isnan(table["geometric"][1])
    assert table["geometric/why"].tolist() == ["", "not_applicable", "no_input"]
    with pytest.raises(UsageError, match="prompts: needed one a picture, got 2 for 1"):
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
