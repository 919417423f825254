"""Diversity within a prompt: against scipy and brute counts, over a run, in its page, and while training."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import cosine, pdist
from scipy.stats import entropy
from torch import nn

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run as command
from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.errors import DataError, MissingWeightsError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.diversity import (
    chain_diversity,
    distinct,
    layout_entropy,
    layout_of,
    mean_pairwise_distance,
    mean_pairwise_square,
)
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.shapes.features import colour_grid
from gotr1_eval.training_run import HeldOutEvaluation
from reports.diversity import FILE, run_diversity
from reports.run_data import load_run
from reports.run_page.page import render_page
from reports.run_summary import summarise_run
from rewards.reward_set import RewardSet
from tests.fakes import OracleGenerator, ScriptedJudge
from tests.made_runs import made_run
from tests.tiny_clip import random_clip_folder
from training.metrics import Judged, group_diversity
from training.settings_tables import EvaluationSettings


@pytest.mark.parametrize("count", [2, 3, 9])
def test_pairwise_distance_is_scipys(count):
    rows = np.random.default_rng(count).normal(size=(count, 12))
    assert mean_pairwise_distance(rows) == pytest.approx(pdist(rows, "cosine").mean())
    assert mean_pairwise_distance(np.repeat(rows[:1], count, axis=0)) == pytest.approx(0, abs=1e-12)


def test_mean_squares_over_pairs_are_scipys():
    rows = np.random.default_rng(4).normal(size=(7, 30))
    assert mean_pairwise_square(rows) == pytest.approx(pdist(rows, "sqeuclidean").mean())
    assert mean_pairwise_square(rows[:1]) is None


def test_layout_entropy_is_scipys_over_the_most_there_can_be():
    generator = np.random.default_rng(0)
    for _ in range(20):
        drawn = generator.integers(0, 4, generator.integers(2, 12)).tolist()
        counts = [drawn.count(one) for one in set(drawn)]
        assert layout_entropy(drawn) == pytest.approx(entropy(counts) / np.log(len(drawn)))
    assert layout_entropy(["a", "a", "a"]) == 0
    assert layout_entropy(["a", "b", "c"]) == pytest.approx(1)


def test_distinct_n_is_counted_by_hand():
    texts = ["A red cat, a red dog.", "a red cat"]
    # words: a red cat a red dog / a red cat; distinct words: a red cat dog; pairs: a-red red-cat cat-a red-dog
    assert distinct(texts, 1) == pytest.approx(4 / 9)
    assert distinct(texts, 2) == pytest.approx(4 / 9)
    generator = np.random.default_rng(1)
    drawn = [" ".join(generator.choice(list("abcde"), 7)) for _ in range(4)]
    words = [text.split() for text in drawn]
    pairs = {f"{one} {two}" for text in words for one, two in pairwise(text)}
    assert distinct(drawn, 2) == pytest.approx(len(pairs) / 28)


def test_what_is_undefined_has_no_value():
    assert mean_pairwise_distance(np.ones((1, 3))) is None
    assert mean_pairwise_distance(np.array([[1.0, 0.0], [0.0, 0.0]])) is None
    assert layout_entropy([("a", 0, 0)]) is None
    assert distinct(["a b c"], 1) is None
    assert distinct(["", "…"], 1) is None
    assert set(chain_diversity(["a cat (0,0),(500,500)"]).values()) == {None}


def test_a_layout_is_what_stands_where():
    one = layout_of(parse_chain("a red cat (0,0),(300,300) and two dogs (600,600),(1000,1000)"))
    moved = layout_of(parse_chain("two dogs (650,650),(990,990), a red cat (10,10),(290,290)"))
    other = layout_of(parse_chain("a red cat (600,600),(1000,1000) and two dogs (0,0),(300,300)"))
    assert one == moved == (("dog", 2, 2), ("red cat", 0, 0))
    assert one != other
    assert layout_of(parse_chain("nothing is planned")) is None


def test_the_grid_of_colours_sees_what_lies_where():
    left, right = (Image.new("RGB", (64, 64), "white") for _ in range(2))
    left.paste((255, 0, 0), (0, 0, 16, 16))
    right.paste((255, 0, 0), (48, 48, 64, 64))
    assert mean_pairwise_distance(np.stack([colour_grid(left), colour_grid(right)])) == pytest.approx(1)
    assert not colour_grid(Image.new("RGB", (8, 8), "white")).any()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of four prompts with three samples each, in which every sample of a prompt is the same but in "spatial"."""
    folder = tmp_path_factory.mktemp("diversity") / "run"
    made_run(folder, {"one": lambda _: Score(value=0.5)}, prompts=2, images=3)
    return folder


def same(run):
    """The run, with the first sample of each prompt in place of all of them, in the category "color"."""
    firsts = {name.rpartition("/")[0]: sample for name, sample in run.samples.items() if name.endswith("/0")}
    samples = {
        name: replace(sample, chain=first.chain, image=first.image) if run.category(sample) == "color" else sample
        for name, sample in run.samples.items()
        for first in [firsts[name.rpartition("/")[0]]]
    }
    return replace(run, samples=samples)


def test_a_collapsed_category_is_seen(folder):
    measures = {one.name: one for one in run_diversity(same(load_run(folder)))}
    assert list(measures) == ["pictures", "layout entropy", "distinct-1", "distinct-2"]
    for name in ("pictures", "layout entropy"):
        rows = measures[name].rows
        assert rows["color"].value == pytest.approx(0, abs=1e-9)
        assert measures[name].prompts == {"color": 2, "spatial": 2, "all": 4}
        assert rows["all"].low <= rows["all"].value <= rows["all"].high
    of_prompts = measures["distinct-2"].values
    assert measures["distinct-2"].rows["all"].value == pytest.approx(np.mean([*of_prompts.values()]))


def test_one_sample_a_prompt_is_undefined(tmp_path):
    run = made_run(tmp_path / "run", {"one": lambda _: Score(value=0.5)}, prompts=2, images=1)
    for one in run_diversity(run):
        assert {row.why for row in one.rows.values()} == {"one sample a prompt"}
        assert set(one.prompts.values()) == {0}
    assert "undefined: one sample a prompt" in render_page(run, summarise_run(run))


def test_the_page_the_command_and_json_say_the_same(folder, tmp_path, capsys):
    run = load_run(folder)
    page = render_page(run, summarise_run(run))
    value = next(one for one in run_diversity(run) if one.name == "distinct-2").rows["all"].value
    assert f"<b>{value:.3f}</b>" in page
    assert command(["diversity", str(folder), "--export", str(tmp_path / "d.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"]["distinct-2"]["rows"]["all"]["value"] == pytest.approx(value)
    assert (tmp_path / "d.csv").read_text().count("distinct-2") == 3
    assert command(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["diversity"]["distinct-2"] == told["run"]["distinct-2"]


def distances(folder, distance):
    """The mean over prompts of the mean over pairs of a run's pictures."""
    run = load_run(folder)
    found = []
    for prompt in {name.rpartition("/")[0] for name in run.samples}:
        images = [Image.open(run.samples[f"{prompt}/{index}"].image).convert("RGB") for index in range(3)]
        found.append(np.mean([distance(one, other) for one, other in combinations(images, 2)]))
    return np.mean(found)


def test_a_clips_distances_stay_with_the_run(folder, tmp_path, capsys):
    path = tmp_path / "tiny-clip"
    random_clip_folder(path)
    assert command(["diversity", str(folder), "--encoder", f"clip,model={path}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["run"]["pictures"]
    assert told["made_by"] == "tiny-clip, mean pairwise cosine distance"
    clip = Builder().encoder({"use": "clip", "model": str(path)})
    expected = distances(folder, lambda *pair: cosine(*clip.embed_images(pair)))
    assert told["rows"]["all"]["value"] == pytest.approx(expected, abs=1e-6)
    run = load_run(folder)
    assert "tiny-clip" in render_page(run, summarise_run(run))
    write_atomically(folder / FILE, "{1}")
    with pytest.raises(DataError, match="expected a model's distances"):
        run_diversity(run)
    (folder / FILE).unlink()


def write_lpips(folder):
    """Random weights in the authors' two files, and what they are made of."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    heads = [torch.rand(1, channels, 1, 1) for channels in (64, 192, 384, 256, 256)]
    torch.save({f"features.{name}": each for name, each in layers.state_dict().items()}, folder / "alexnet.pth")
    torch.save({f"lin{place}.model.1.weight": head for place, head in enumerate(heads)}, folder / "alex.pth")
    return layers, heads


def plain_lpips(layers, heads, one, other):
    """The published formula, pair by pair, of two pictures of 64 pixels."""
    states, total = [], 0.0
    for picture in (one, other):
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        states.append((pixels - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1))
    taken = iter(heads)
    for place, layer in enumerate(layers):
        states = [layer(state) for state in states]
        if place in (1, 4, 7, 9, 11):
            units = [state / (state.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for state in states]
            total += nn.functional.conv2d((units[0] - units[1]).square(), next(taken)).mean().item()
    return total


@torch.no_grad()
def test_a_perceptual_distance_is_lpips(folder, tmp_path, capsys):
    layers, heads = write_lpips(tmp_path)
    asked = f"lpips,backbone={tmp_path / 'alexnet.pth'},heads={tmp_path / 'alex.pth'},side=64"
    assert command(["diversity", str(folder), "--perceptual", asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["run"]
    assert list(told)[:2] == ["pictures", "perceptual"]
    assert told["perceptual"]["made_by"] == "lpips-alex[64 px], mean pairwise distance"
    expected = distances(folder, lambda *pair: plain_lpips(layers, heads, *pair))
    assert told["perceptual"]["rows"]["all"]["value"] == pytest.approx(expected, rel=1e-4)
    (folder / FILE).unlink()
    torch.save({}, tmp_path / "alex.pth")
    with pytest.raises(DataError, match="the weights do not make LPIPS's heads on AlexNet: 5 missing"):
        command(["diversity", str(folder), "--perceptual", asked])
    with pytest.raises(MissingWeightsError, match="lpips: no file none; give the weights as `heads`"):
        command(["diversity", str(folder), "--perceptual", f"lpips,backbone={tmp_path / 'alexnet.pth'},heads=none"])


def test_a_steps_groups_are_measured_apart():
    """Two prompts with three samples each: one group is all the same, in the other all differ."""
    chains = ["a cat (0,0),(300,300)"] * 3 + [f"a {name} (0,0),(300,300)" for name in ("dog", "fox", "owl")]
    pictures = [np.eye(4)[0]] * 3 + [*np.eye(4)[:3]]
    judged = [
        Judged({}, {}, chain, tokens=1, truncated=False, colours=row)
        for chain, row in zip(chains, pictures, strict=True)
    ]
    found = group_diversity(judged, 3)
    assert found["diversity/layout_entropy"] == pytest.approx((0 + 1) / 2)
    assert found["diversity/picture_colours"] == pytest.approx((0 + 1) / 2)
    # Of "a cat" three times: two words of six; of three animals: "a" and three names of six.
    assert found["diversity/distinct-1"] == pytest.approx((2 / 6 + 4 / 6) / 2)
    assert "diversity/picture_colours" not in group_diversity([replace(one, colours=None) for one in judged], 3)
    assert group_diversity(judged, 1) == {}


def test_held_out_evaluations_can_tell_diversity(tmp_path):
    settings = EvaluationSettings(prompts_per_category=1, samples_per_prompt=2)
    rewards = RewardSet({"one": ScriptedJudge(lambda _: Score(value=0.5), name="one")})
    evaluation = HeldOutEvaluation(settings, tmp_path, Builder(), rewards)
    evaluation.judge(OracleGenerator(), 0, tile=8)
    evaluation.measure(0)
    found = run_diversity(load_run(tmp_path / "evaluations" / "step-000000"))
    assert [one.prompts["all"] for one in found] == [6, 6, 6, 6]
