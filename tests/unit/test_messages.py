"""Messages in qwen-vl-utils' form as questions: order, sizes, sources, and what is refused."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from gotr1_eval import read_messages
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Request

PICTURE = Image.effect_noise((100, 60), 80).convert("RGB")


def image(source: object = PICTURE, **asked: int) -> dict[str, Any]:
    return {"type": "image", "image": source, **asked}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def test_a_conversation_becomes_a_question():
    messages = [
        {"role": "system", "content": "You judge."},
        user(image(), image(), text("Is it "), text("a cat?")),
        {"role": "assistant", "content": [text("Yes.")]},
        {"role": "user", "content": "Sure?"},
    ]
    asked = read_messages(messages, max_tokens=7)
    assert asked == Request(
        prompt="Is it a cat?", images=asked.images, system="You judge.", followups=(("Yes.", "Sure?"),), max_tokens=7
    )
    assert [picture.size for picture in asked.images] == [(100, 60)] * 2
    assert read_messages([user(text("Look: "), image())]).pictures_last
    assert read_messages([{"role": "user", "content": "No picture."}]) == Request(prompt="No picture.")


@pytest.mark.parametrize("side", [28, 32])
@pytest.mark.parametrize(
    "asked", [{"min_pixels": 50_000}, {"max_pixels": 3_200}, {"min_pixels": 9_000, "max_pixels": 10_000}]
)
def test_pictures_have_the_size_that_their_part_asks_for(asked: dict[str, int], side: int):
    limits = {"min_pixels": 4 * side**2, "max_pixels": 16_384 * side**2} | asked
    height, width = smart_resize(60, 100, side, **limits)
    (seen,) = read_messages([user(image(**asked), text("?"))], token_side=side).images
    assert seen.size == (width, height)
    assert np.array_equal(seen, PICTURE.resize((width, height), Image.Resampling.BICUBIC))


def test_a_stated_size_is_rounded_to_whole_tokens():
    (seen,) = read_messages([user(image(resized_height=100, resized_width=150), text("?"))]).images
    assert seen.size == (140, 112)


def encoded() -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_come_from_files_and_data_urls(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded())
    url = f"data:image/png;base64,{base64.b64encode(encoded()).decode()}"
    parts = [image(source) for source in (str(path), f"file://{path}", path, url)]
    parts += [{"type": "image_url", "image_url": given} for given in (url, {"url": url})]
    for seen in read_messages([user(*parts, text("?"))]).images:
        assert np.array_equal(seen, PICTURE)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "expected user, assistant, user"),
        ([{"role": "assistant", "content": "x"}], "got assistant"),
        ([user(text("a")), user(text("b"))], "got user, user"),
        ([user(image(), text("a"), image())], r"messages\[0\]: pictures are taken before the text or after it"),
        ([user(text("a")), {"role": "assistant", "content": "b"}, user(image())], "in the first user turn only"),
        ([user({"type": "video", "video": "a.mp4"})], "expected parts of text and pictures, got .*video"),
        ([{"role": "tool", "content": "x"}], "expected the role system, user or assistant, got 'tool'"),
        ([{"role": "user", "content": 5}], "expected content as a text or a list of parts, got 5"),
        ([user(image("https://example.com/a.png"))], "are not fetched"),
        ([user(image("missing.png"))], "the picture cannot be read"),
        ([user(image("data:image/png;base64,%%%"))], "the picture cannot be read"),
        ([user(image(7))], "expected a picture as a file, a data URL or a PIL picture, got int"),
    ],
)
def test_what_no_judge_could_be_asked_is_one_line(messages: list[dict[str, Any]], words: str):
    with pytest.raises(UsageError, match=words) as caught:
        read_messages(messages)
    assert "\n" not in str(caught.value)
