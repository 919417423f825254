"""Judges that share pictures: each is decoded once, and what was made of it is forgotten afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gotr1_eval.core.types import Sample
from gotr1_eval.files import pictures
from gotr1_eval.files.pictures import open_picture, open_stored
from gotr1_eval.files.shared_pictures import once, once_each, shared_pictures
from gotr1_eval.models.encoders import clip
from rewards.cosine import CosineJudge
from rewards.reward_set import RewardSet
from tests.tiny_clip import random_clip_folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The files that Pillow opens, in order, by their numbers on the disk."""
    numbers: list[int] = []
    real = Image.open

    def count(file, *arguments, **settings):  # type: ignore[no-untyped-def]
        numbers.append(os.fstat(file.fileno()).st_ino)
        return real(file, *arguments, **settings)

    monkeypatch.setattr(pictures.Image, "open", count)
    return numbers


def test_a_file_is_opened_once_within_and_each_time_outside(tmp_path: Path, opened: list[int]):
    Image.new("RGBA", (3, 2), (255, 0, 0, 0)).save(path := tmp_path / "a.png")
    with shared_pictures(), shared_pictures():
        assert open_picture(path) is open_picture(path)
        assert open_stored(path).mode == "RGBA"
        assert open_picture(path, "dropped").getpixel((0, 0)) == (255, 0, 0)
        assert open_picture(path).getpixel((0, 0)) == (255, 255, 255)
    assert len(opened) == 1
    assert open_picture(path) is not open_picture(path)
    assert len(opened) == 3


def test_stored_is_as_the_file_says_and_upright_is_turned(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("P", (4, 2)).save(tmp_path / "p.png", exif=exif)
    with shared_pictures():
        stored, upright = open_stored(tmp_path / "p.png"), open_picture(tmp_path / "p.png")
    assert (stored.mode, stored.size) == ("P", (4, 2))
    assert (upright.mode, upright.size) == ("RGB", (2, 4))


def test_what_is_made_is_remembered_by_picture_and_name_and_forgotten_at_the_end():
    red, blue = Image.new("RGB", (1, 1), "red"), Image.new("RGB", (1, 1), "red")
    asked: list[int] = []

    def make(several):  # type: ignore[no-untyped-def]
        asked.append(len(several))
        return [picture.getpixel((0, 0)) for picture in several]

    with shared_pictures():
        assert once_each([red, blue, red], "x", make) == [(255, 0, 0)] * 3
        assert once_each([blue, red], "x", make) == [(255, 0, 0)] * 2
        assert once(red, "y", lambda: 7) == once(red, "y", lambda: 8) == 7
    assert asked == [2]
    blue.putpixel((0, 0), (0, 0, 255))
    with shared_pictures():
        assert once_each([blue], "x", make) == [(0, 0, 255)]
    assert once(red, "y", lambda: 8) == 8


def test_judges_of_a_set_share_the_file_and_the_encoder_s_one_look(tmp_path: Path, opened: list[int]):
    folder = random_clip_folder(tmp_path / "clip")
    encoder = clip.ClipModelEncoder(clip.Settings(model=str(folder), device="cpu"))
    samples = []
    for place in range(3):
        path = tmp_path / f"{place}.png"
        Image.fromarray(np.full((40, 50, 3), 60 * place, np.uint8)).save(path)
        samples.append(Sample(id=str(place), prompt="a", image=path))
    looks: list[int] = []
    encoder.loaded.model.vision_model.register_forward_hook(lambda m, i, o: looks.append(len(o.pooler_output)))
    both = RewardSet({"one": CosineJudge("one", encoder), "two": CosineJudge("two", encoder)})
    rows = both.judge(samples)
    assert looks == [3]
    assert len(opened) == len(set(opened)) == 3
    assert [row["one"] for row in rows] == [row["two"] for row in rows]
