"""The images generator against servers that fail in every way: no sample lost, and none black."""

from __future__ import annotations

import numpy as np
import pytest

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import BudgetError, RunError, UsageError
from gotr1_eval.core.outcome import Why
from gotr1_eval.models.generators.openai_images import Settings, build, token_budget
from gotr1_eval.runs.store import read_judgments, read_samples
from gotr1_eval.settings import read_settings
from tests.faulty_painter import drawing, faulty_painter
from tests.free_port import free_port

pytestmark = pytest.mark.slow

PROMPTS = ("a red circle", "a blue square", "a green cross", "a yellow star")
SEEDS = (1, 2**40 + 2, 3, 4)


def painter(*servers, **settings):
    urls = [server if isinstance(server, str) else server.url for server in servers]
    values = {"base_url": urls, "model": "lab/painter", "size": "16x16", "first_wait_s": 0.01, "retries": 2, **settings}
    return build(read_settings(Settings, values, where="test"), workshop=None)


def same(made, prompt, seed, size=(16, 16)):
    return np.array_equal(np.asarray(made.image), np.asarray(drawing(prompt, seed % 2**31, size)))


def all_as_asked(made):
    return all(same(one, prompt, seed) for one, prompt, seed in zip(made, PROMPTS, SEEDS, strict=True))


def test_every_prompt_gets_its_picture_with_its_seed():
    with faulty_painter() as server:
        server.revises = True
        made = painter(server, quality="low", extra_body={"steps": 4}).generate(PROMPTS, SEEDS)
    assert all_as_asked(made)
    assert [one.meta["revised_prompt"] for one in made] == [f"{prompt}, in oil" for prompt in PROMPTS]
    assert [one.meta["seed_sent"] for one in made] == [seed % 2**31 for seed in SEEDS]
    sent = next(body for body in server.bodies if body["prompt"] == PROMPTS[0])
    assert sent == {
        "model": "lab/painter", "prompt": PROMPTS[0], "n": 1, "size": "16x16", "quality": "low",
        "response_format": "b64_json", "seed": 1, "steps": 4,
    }  # fmt: skip


def test_what_passes_is_tried_again():
    faults = {
        PROMPTS[0]: ["429:0.05", "half"], PROMPTS[1]: ["broken", "size"], PROMPTS[2]: ["no data", "500"],
        PROMPTS[3]: ["cut", "slow"],
    }  # fmt: skip
    with faulty_painter(faults) as server:
        made = painter(server, timeout_s=1.0, retries=3).generate(PROMPTS, SEEDS)
        assert all_as_asked(made)
        assert min(server.asked.values()) == 3


@pytest.mark.parametrize("fault", ["half", "broken", "size", "no data", "500", "429", "cut", "address"])
def test_what_lasts_is_a_failure_of_that_sample_alone_and_no_picture(fault):
    with faulty_painter({PROMPTS[1]: [fault] * 9}) as server:
        made = painter(server).generate(PROMPTS, SEEDS)
    assert [one.image is None for one in made] == [False, True, False, False]
    assert made[1].missing.why is Why.BACKEND
    assert "gave up after 3 attempts" in made[1].missing.detail


@pytest.mark.parametrize("fault", ["declined", "refused", "400"])
def test_a_refusal_is_final_and_no_picture(fault):
    with faulty_painter({PROMPTS[1]: [fault]}) as server:
        made = painter(server, workers=1).generate(PROMPTS, SEEDS)
        assert server.asked[PROMPTS[1]] == 1
    assert made[1].image is None
    assert made[1].missing.why is Why.NOT_GENERATED
    assert made[1].missing.detail.startswith("the server rejects" if fault == "400" else "the server declines")
    assert same(made[2], PROMPTS[2], SEEDS[2])


def test_parameters_that_the_server_does_not_take_are_left_out():
    with faulty_painter() as server:
        server.strict = ("response_format", "seed")
        made = painter(server, workers=1).generate(PROMPTS, SEEDS)
        assert all(same(one, prompt, 0) for one, prompt in zip(made, PROMPTS, strict=True))
        assert [one.meta["seed_sent"] for one in made] == [None] * 4
        assert len(server.bodies) == 2 + len(PROMPTS)
        assert not {"response_format", "seed"} & set(server.bodies[-1])


def test_settings_that_the_server_rejects_for_everything_stop_the_run():
    with faulty_painter() as server:
        server.strict = ("size",)
        with pytest.raises(UsageError, match=r"no picture is painted: .*Unknown parameter: 'size'"):
            painter(server).generate(PROMPTS, SEEDS)


def test_one_odd_prompt_alone_does_not_stop_a_run_that_is_resumed_for_it():
    with faulty_painter({PROMPTS[0]: ["400"]}) as server:
        (made,) = painter(server).generate(PROMPTS[:1], SEEDS[:1])
        assert made.missing.why is Why.NOT_GENERATED
        assert all_as_asked(painter(server).generate(PROMPTS, SEEDS))


def test_a_key_that_is_refused_and_a_server_that_is_not_there():
    with faulty_painter() as server:
        server.mood = "401"
        with pytest.raises(UsageError, match="refuses"):
            painter(server).generate(PROMPTS, SEEDS)
    gone = f"http://127.0.0.1:{free_port()}/v1"
    made = painter(gone, retries=1).generate(PROMPTS, SEEDS)
    assert {one.missing.why for one in made} == {Why.BACKEND}


def test_a_fleet_goes_on_without_its_sick_server():
    with faulty_painter() as sick, faulty_painter() as well:
        sick.mood = "500"
        made = painter(sick, well, workers=1, retries=0).generate(PROMPTS * 3, SEEDS * 3)
        assert all(one.image is not None for one in made)
        assert sum(sick.asked.values()) <= 4


def test_no_more_are_under_way_than_asked_for():
    with faulty_painter() as server:
        server.mood = "slow"
        painter(server, workers=2).generate(PROMPTS, SEEDS)
        assert server.most_under_way == 2


def test_a_budget_ends_the_painting_and_keeps_what_was_made():
    with faulty_painter() as server:
        made = painter(server, workers=1, budget_images=2)
        found = made.generate(PROMPTS, SEEDS)
        assert [one.image is None for one in found] == [False, False, True, True]
        assert {one.missing.why for one in found[2:]} == {Why.BACKEND}
        with pytest.raises(BudgetError, match=r"the painter's budget is spent \(2 of 2 pictures"):
            made.generate(PROMPTS, SEEDS)
        assert "2 of 2 pictures" in made.traffic()
        assert sum(server.asked.values()) == 2
        costly = painter(server, workers=1, price=0.04, budget_cost=0.1)
        assert [one.image is None for one in costly.generate(PROMPTS, SEEDS)] == [False, False, False, True]
    with pytest.raises(UsageError, match="needs the price"):
        painter("http://127.0.0.1:1/v1", budget_cost=1)


@pytest.mark.parametrize("size", ["big", "0x16", "16", "16x16x3"])
def test_a_size_is_two_numbers(size):
    with pytest.raises(UsageError, match="such as 1024x1024"):
        painter("http://127.0.0.1:1/v1", size=size)


def test_names_and_fingerprints_hold_what_decides_a_picture_and_no_address():
    one = painter("http://127.0.0.1:1/v1/images/generations")
    assert one.name == "painter"
    assert one.independent
    assert one.fingerprint == painter("http://127.0.0.1:2/v1", workers=9, timeout_s=1).fingerprint
    others = [painter("http://127.0.0.1:1/v1", **more) for more in ({"size": ""}, {"seeds": False}, {"revision": "2"})]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert token_budget(Settings(base_url="http://127.0.0.1:1/v1", model="m")).image == 0


def test_nothing_in_nothing_out():
    assert painter("http://127.0.0.1:1/v1").generate([], []) == []
    with pytest.raises(UsageError, match="as many seeds"):
        painter("http://127.0.0.1:1/v1").generate(["a"], [])


def test_a_run_loses_nothing_and_resumes_with_what_failed_only(tmp_path):
    """One prompt is refused and one fails at first; the others are not painted, nor paid for, a second time."""
    prompts = [sample.prompt for sample in shapes_plan()]
    with faulty_painter({prompts[1]: ["declined"] * 2, prompts[2]: ["500"] * 2}) as server:

        def bench(url):
            generator = f"openai_images,base_url={url},model=painter,size=16x16,retries=1,first_wait_s=0.01"
            options = [
                "--limit",
                "4",
                "--images-per-prompt",
                "1",
                "--categories",
                "color",
                "--out",
                str(tmp_path / "run"),
            ]
            with pytest.raises(RunError, match="under 95% of their samples scored"):  # a quarter is refused
                run(["bench", "shapes", "--generator", generator, "--judges", "shapes_prompt_image", *options])

        bench(server.url)
        assert sum(server.asked.values()) == 5
        with faulty_painter() as moved:
            bench(moved.url)
            assert dict(moved.asked) == {prompts[2]: 1}
    samples = list(read_samples(tmp_path / "run").values())
    assert [sample.image is None for sample in samples] == [False, True, False, False]
    latest = {key[0]: judgment.outcome for key, judgment in read_judgments(tmp_path / "run").items()}
    assert [latest[sample.id].why for sample in samples if sample.image is None] == [Why.NOT_GENERATED]


def shapes_plan():
    from gotr1_eval.bench import planned_samples
    from gotr1_eval.runs.request import RunRequest

    request = RunRequest(suite="shapes", categories=("color",), limit=4, images_per_prompt=1)
    return planned_samples(request, Builder().suite({"use": "shapes"}))
