"""Opening pictures: every odd kind of file becomes RGB or a reason."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gotr1_eval.core.types import Sample
from gotr1_eval.files import pictures, remote_pictures
from gotr1_eval.files.pictures import PictureError, open_picture, picture_remarks, picture_size


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


@pytest.mark.parametrize(
    ("greys", "expected", "told"),
    [
        (np.float32([0, 0.5, 1]), [0, 128, 255], "greys of 0 to 1 are taken"),
        (np.float32([0, 100, 255]), [0, 100, 255], "greys of 0 to 255 are taken"),
        (np.float32([0, 25700, 65535]), [0, 100, 255], "greys of 0 to 65535 are taken"),
        (np.float32([-1, 0, 1]), [0, 128, 255], "greys of -1 to 1 are taken"),
        (np.int32([0, 100, 255]), [0, 100, 255], "greys of 0 to 255 are taken"),
        (np.int32([0, 25700, 65535]), [0, 100, 255], "greys of 0 to 65535 are taken"),
        (np.int32([-(2**31), 0, 2**31 - 1]), [0, 128, 255], "greys of -2.14748e+09 to 2.14748e+09 are taken"),
    ],
)
def test_greys_of_32_bits_are_scaled_by_their_range(tmp_path: Path, greys: np.ndarray, expected: list[int], told: str):
    path = saved(Image.fromarray(greys[None]), tmp_path / "grey.tiff")
    assert np.asarray(open_picture(path))[0, :, 0].tolist() == expected
    assert any(told in remark for remark in picture_remarks(path))


def test_greys_that_are_no_numbers_are_refused(tmp_path: Path):
    with pytest.raises(PictureError, match="not all finite"):
        open_picture(saved(Image.fromarray(np.float32([[0, np.nan]])), tmp_path / "nan.tiff"))


@pytest.mark.parametrize("ending", ["avif", "jp2", "webp", "bmp", "ppm", "gif", "png"])
def test_every_format_is_read_under_any_name(tmp_path: Path, ending: str):
    path = saved(Image.new("RGB", (16, 8), (200, 40, 40)), tmp_path / f"x.{ending}")
    red = np.asarray(open_picture(path), dtype=int)[0, 0]
    assert np.abs(red - (200, 40, 40)).max() <= 8
    assert open_picture(path.rename(tmp_path / "x.png")).size == (16, 8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + b"\0" * 40, "PostScript"),
        (b"%PDF-1.7", "a PDF"),
        (b"<svg xmlns='x'/>", "an SVG"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\0\x05\x16\x07" + b"\0" * 60, "a companion file of macOS"),
    ],
)
def test_other_files_are_named(tmp_path: Path, data: bytes, message: str):
    (tmp_path / "x.png").write_bytes(data)
    for source in (tmp_path / "x.png", data):
        with pytest.raises(PictureError, match=message):
            open_picture(source)


def test_postscript_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started = []
    monkeypatch.setattr("subprocess.check_call", lambda *given, **_: started.append(given))
    for name in ("x.eps", "x.png"):
        (tmp_path / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
        with pytest.raises(PictureError, match="PostScript"):
            open_picture(tmp_path / name)
    assert started == []


def test_only_ordinary_files_are_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero"), tmp_path):
        with pytest.raises(PictureError, match="a folder, a pipe or a device"):
            open_picture(path)
    with pytest.raises(PictureError, match="cannot be decoded"):
        open_picture(tmp_path / "nul\0.png")


def test_a_picture_behind_a_url_may_not_be_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import fsspec

    monkeypatch.setattr(remote_pictures, "MOST_BYTES", 1000)
    fsspec.filesystem("memory").pipe_file("/large.png", b"x" * 1001)
    os.mkfifo(tmp_path / "pipe.png")
    urls = ["memory://large.png", f"file://{tmp_path}/pipe.png", "file:///dev/zero", "simplecache::file:///dev/zero"]
    samples = [Sample(id=url, prompt="a", meta={"image_url": url}) for url in urls]
    with remote_pictures.at_hand(samples) as found:
        reasons = [found.lost[url].detail for url in urls]
    assert "more than the 1000 bytes" in reasons[0]
    assert all("a pipe or a device" in reason for reason in reasons[1:])


def test_transparency_of_palettes_and_16_bit_colours(tmp_path: Path):
    picture = Image.new("P", (2, 1), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((0, 0), 0)
    path = saved(picture, tmp_path / "p.png", transparency=0)
    assert [open_picture(path).getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]


def test_pages_are_not_called_an_animation(tmp_path: Path):
    noise = Image.effect_noise((8, 8), 50)
    noise.save(tmp_path / "a.tiff", save_all=True, append_images=[noise.rotate(90)])
    assert picture_remarks(tmp_path / "a.tiff") == ["several pages: the first is judged"]
