"""What the doctor says of packages that others need: absent, agreeing, differing, broken."""

from __future__ import annotations

import sys
from importlib import metadata
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from gotr1_eval.models.expected_packages import DiffersError, expected_packages, hpsv2_agrees, qwen_vl_utils_agrees


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of qwen-vl-utils' functions, by transformers and Pillow."""

    def fetch(part: dict[str, object]) -> Image.Image:
        picture = part["image"]
        assert isinstance(picture, Image.Image)
        white = Image.new("RGB", picture.size, "white")
        if picture.mode == "RGBA":
            white.paste(picture, mask=picture.getchannel("A"))
        else:
            white = picture.convert("RGB")
        height, width = (part.get(f"resized_{side}", length) for side, length in
                         (("height", picture.height), ("width", picture.width)))  # fmt: skip
        limits = {name: part[name] for name in ("min_pixels", "max_pixels") if name in part}
        height, width = smart_resize(height, width, 28, **{"min_pixels": 3136, "max_pixels": 28 * 28 * 16384} | limits)
        return white.resize((width, height))

    def process(messages: list[dict[str, list[dict[str, object]]]]) -> tuple[list[Image.Image], None]:
        return [fetch(part) for part in messages[0]["content"] if "image" in part], None

    package, vision = ModuleType("qwen_vl_utils"), ModuleType("qwen_vl_utils.vision_process")
    package.process_vision_info = process  # type: ignore[attr-defined]
    vision.smart_resize = smart_resize  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "qwen_vl_utils", package)
    monkeypatch.setitem(sys.modules, "qwen_vl_utils.vision_process", vision)
    return package


def test_what_agrees_says_over_what(stand_in: ModuleType):
    assert qwen_vl_utils_agrees() == "2000 sizes and 3 pictures of a message, to the pixel"


def test_other_pixels_are_a_difference(stand_in: ModuleType):
    process = stand_in.process_vision_info
    stand_in.process_vision_info = lambda messages: (  # type: ignore[attr-defined]
        [picture.resize(picture.size).point(lambda grey: grey ^ 1) for picture in process(messages)[0]], None
    )  # fmt: skip
    with pytest.raises(DiffersError, match="picture 0 of a message is another"):
        qwen_vl_utils_agrees()


def test_other_sizes_are_a_difference(stand_in: ModuleType):
    sys.modules["qwen_vl_utils.vision_process"].smart_resize = lambda height, width, **_: (height, width)  # type: ignore[attr-defined]
    with pytest.raises(DiffersError, match=r"\d+x\d+: ours "):
        qwen_vl_utils_agrees()


def test_the_doctor_tells_absent_agreeing_differing_and_broken(monkeypatch: pytest.MonkeyPatch):
    def version(name: str) -> str:
        if name == "janus":
            raise metadata.PackageNotFoundError
        return "1.0"

    def differs() -> str:
        raise DiffersError("3x4: ours 1, theirs 2")

    module = sys.modules[expected_packages.__module__]
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(
        module, "EXPECTED",
        [
            SimpleNamespace(name="janus", instead="ours", agree=None),
            SimpleNamespace(name="a", instead="ours", agree=lambda: "all"),
            SimpleNamespace(name="b", instead="ours", agree=differs),
            SimpleNamespace(name="c", instead="ours", agree=lambda: str(next(iter(())))),
            SimpleNamespace(name="d", instead="ours", agree=None),
        ],
    )  # fmt: skip
    assert expected_packages() == {
        "janus": "not installed, and not needed: ours",
        "a": "1.0, agrees with ours: all",
        "b": "1.0, DIFFERS from ours: 3x4: ours 1, theirs 2",
        "c": "1.0, does not run here (StopIteration: ): ours",
        "d": "1.0, not used: ours",
    }


def test_hpsv2s_file_is_loaded_without_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path):
    folder = tmp_path / "hpsv2" / "src" / "open_clip"
    folder.mkdir(parents=True)
    (folder.parents[1] / "__init__.py").write_text("raise ImportError('a dozen packages')")
    (folder / "constants.py").write_text("SIDE = 224")
    (folder / "transform.py").write_text(
        "from .constants import SIDE\nfrom gotr1_eval.models.encoders.hps import fit_and_pad\n"
        "def image_transform(side, is_train, resize_longest_max):\n"
        "    return lambda picture: fit_and_pad(picture, SIDE) + OFF\nOFF = 0\n"
    )
    monkeypatch.setattr(
        metadata, "distribution", lambda name: SimpleNamespace(locate_file=lambda path: tmp_path / path)
    )
    assert hpsv2_agrees() == "5 pictures, within 1e-05 in CLIP's units"
    sys.modules["_hpsv2_alone.transform"].OFF = 0.01  # type: ignore[attr-defined]
    with pytest.raises(DiffersError, match=r"512x512: 0.01 apart"):
        hpsv2_agrees()
