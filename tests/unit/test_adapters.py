"""What trainers hold becomes samples: texts, chat messages, pictures of every kind, facts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.core.errors import UsageError
from rewards.adapters.in_memory import facts_of_row, make_samples

PROMPT = "a cat on the left of a dog"


def tensors() -> dict[str, Any]:
    """The same two pictures, orange and wider than high, as trainers hold them."""
    orange = np.tile(np.array([1.0, 0.5, 0.0], np.float32), (2, 4, 8, 1))
    planes = torch.from_numpy(orange.transpose(0, 3, 1, 2).copy())
    grades = (planes * 255).round().to(torch.uint8)
    return {
        "bfloat16": planes.bfloat16(),
        "float16": planes.half(),
        "float8": planes.to(torch.float8_e4m3fn),
        "float64": planes.double(),
        "gradient": planes.clone().requires_grad_(),
        "channels last in memory": planes.contiguous(memory_format=torch.channels_last),
        "floats, channels last": orange,
        "uint8, channels first": grades,
        "uint8, channels last": grades.permute(0, 2, 3, 1).numpy(),
        "list of tensors": list(planes.bfloat16()),
        "tuple of arrays": tuple(orange),
        "tuple of pictures": tuple(Image.fromarray(np.round(one * 255).astype(np.uint8)) for one in orange),
    }


@pytest.mark.parametrize("kind", list(tensors()))
def test_pictures_of_every_kind_are_the_same_picture(kind: str):
    for sample in make_samples(["a", "b"], [None, None], tensors()[kind]):
        assert isinstance(sample.image, Image.Image)
        assert sample.image.size == (8, 4)
        red, green, blue = np.asarray(sample.image)[2, 5]
        assert (red, abs(int(green) - 128) <= 1, blue) == (255, True, 0)


def test_grey_and_transparent_arrays_are_pictures():
    grey, clear = make_samples(["a", "b"], [None] * 2, [torch.zeros(1, 4, 8), np.zeros((4, 8, 4), np.uint8)])
    assert (getattr(grey.image, "mode", ""), getattr(clear.image, "mode", "")) == ("L", "RGBA")


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (torch.full((1, 3, 8, 8), float("nan")).bfloat16(), "picture 0: holds values that are no finite numbers"),
        (np.full((1, 3, 8, 8), np.inf), "no finite numbers"),
        ([torch.zeros(3, 8, 8), torch.full((3, 8, 8), -1.0)], r"picture 1: expected values in \[0, 1\], got -1 to -1"),
        (torch.full((1, 3, 8, 8), 255.0), r"got 255 to 255.*x / 255"),
        (np.zeros((1, 3, 8, 8), np.int64), "expected floats in .* or uint8, got int64"),
        (torch.zeros(1, 5, 8, 8), r"1, 3 or 4 channels .* got the shape \[5, 8, 8\]"),
        (torch.zeros(1, 3, 0, 8), r"got the shape \[3, 0, 8\]"),
        (torch.zeros(3, 8, 8), r"four dimensions, got the shape \[3, 8, 8\]"),
        ([b"\x89PNG"], "picture 0: expected a file, a PIL picture or an array, got bytes"),
        ("one.png", "expected a sequence or a batch of pictures, got str"),
        ([None, None], "got 1 prompts, 1 chains and 2 pictures"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(pictures: Any, words: str):
    with pytest.raises(UsageError, match=words) as refused:
        make_samples(["a"], [None], pictures)
    assert "\n" not in str(refused.value)


def test_prompts_that_are_no_text_are_refused():
    with pytest.raises(UsageError, match="expected a text or chat messages, got None"):
        make_samples([None], [None], [None])


SPOKEN = [
    {"role": "system", "content": "Plan first."},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PROMPT}]},
]


@pytest.mark.parametrize(
    "prompt",
    [
        PROMPT,
        SPOKEN,
        tuple(SPOKEN),
        np.array(SPOKEN),
        [*SPOKEN, {"role": "assistant", "content": "<think>"}],
        SPOKEN[1],
    ],
)
def test_the_prompt_is_what_the_user_said_last(prompt: Any):
    (sample,) = make_samples([prompt], [None], [None])
    assert sample.prompt == PROMPT


@pytest.mark.parametrize("chain", ["plan", [{"role": "assistant", "content": [{"type": "text", "text": "plan"}]}]])
def test_the_chain_is_the_last_message(chain: Any):
    (sample,) = make_samples(["p"], [chain], [None])
    assert sample.chain == "plan"


@pytest.mark.parametrize(("chain", "read"), [(None, None), (float("nan"), None), ([{"content": None}], "")])
def test_a_missing_chain_is_none_and_an_empty_one_is_a_chain(chain: Any, read: str | None):
    (sample,) = make_samples(["p"], [chain], [None])
    assert sample.chain == read


def test_facts_of_a_row_are_its_entries_and_those_named_otherwise():
    row = {"geneval": 1, "reward_model": {"ground_truth": {"tag": "counting"}}, "prompt_id": "p", "a.b": 2}
    named = {"task": "reward_model.ground_truth.tag", "dotted": "a.b", "absent": "reward_model.no.such"}
    facts = facts_of_row(row, named, ("prompt_id", "reward_model", None))
    assert facts == {"geneval": 1, "a.b": 2, "task": "counting", "dotted": 2, "absent": None}
