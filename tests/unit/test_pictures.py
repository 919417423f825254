"""Opening pictures: every odd kind of file becomes RGB or a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gotr1_eval.core import pictures
from gotr1_eval.core.pictures import PictureError, open_picture, picture_remarks, picture_size


def saved(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


def test_sixteen_bit_greys_are_scaled(tmp_path: Path):
    levels = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    opened = open_picture(saved(Image.fromarray(levels), tmp_path / "grey.png"))
    assert np.asarray(opened)[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_transparency_lies_over_white(tmp_path: Path):
    layer = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    layer.putpixel((1, 0), (255, 0, 0, 255))
    opened = open_picture(saved(layer, tmp_path / "layer.png"))
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (255, 0, 0)]


def test_cmyk_palette_and_animation(tmp_path: Path):
    assert open_picture(saved(Image.new("CMYK", (3, 3)), tmp_path / "c.jpg")).mode == "RGB"
    assert open_picture(saved(Image.new("P", (3, 3)), tmp_path / "p.png")).mode == "RGB"
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert open_picture(tmp_path / "a.gif").getpixel((0, 0)) == (254, 0, 0) or open_picture(
        tmp_path / "a.gif"
    ).getpixel((0, 0)) == (255, 0, 0)


def test_exif_orientation_is_applied(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_picture(saved(Image.new("RGB", (4, 2)), tmp_path / "turned.jpg", exif=exif)).size == (2, 4)


def test_bad_files_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(PictureError, match="does not exist"):
        open_picture(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(PictureError, match="not a picture in a known format"):
        open_picture(tmp_path / "text.png")
    whole = saved(Image.effect_noise((64, 64), 50), tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PictureError, match="cannot be decoded"):
        open_picture(tmp_path / "cut.png")
    with pytest.raises(PictureError, match="cannot be decoded"):
        open_picture(tmp_path)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 10)
    with pytest.raises(PictureError, match="4x4 pixels are over the limit of 10"):
        open_picture(saved(Image.new("RGB", (4, 4)), tmp_path / "big.png"))


def test_odd_pictures_are_remarked_on(tmp_path: Path):
    noise = Image.effect_noise((8, 8), 50)
    assert picture_remarks(saved(noise.convert("RGB"), tmp_path / "fine.png")) == []
    assert picture_remarks(saved(noise.convert("CMYK"), tmp_path / "c.jpg")) == ["mode CMYK, judged as RGB"]
    (tmp_path / "wrong.jpg").write_bytes((tmp_path / "fine.png").read_bytes())
    assert picture_remarks(tmp_path / "wrong.jpg") == ["a PNG under the name of a JPEG"]
    assert picture_remarks(saved(Image.new("RGB", (4, 4)), tmp_path / "black.png")) == [
        "one constant colour, (0, 0, 0)"
    ]
    frames = [noise.convert("RGB"), noise.rotate(90).convert("RGB")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert "animated: the first frame is judged" in picture_remarks(tmp_path / "a.gif")


def test_the_size_is_read_without_pixels_where_no_orientation_can_change_it(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "square.png"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:200])
    assert picture_size(path) == (64, 64)
    with pytest.raises(PictureError, match="cannot be decoded"):
        open_picture(path)
    exif = Image.Exif()
    exif[0x0112] = 6
    for ending in ("png", "jpg"):
        Image.fromarray(noise[:32]).save(tmp_path / f"turned.{ending}", exif=exif)
        assert picture_size(tmp_path / f"turned.{ending}") == (32, 64)
