"""Grounding DINO with a random checkpoint of the true classes; what the numbers mean on real weights is not tested."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, LabelError, UsageError
from gotr1_eval.core.outcome import Unscored
from gotr1_eval.core.protocols import Grounding
from gotr1_eval.core.types import Detection
from gotr1_eval.models.detectors import _grounding_dino_inputs as pictures
from gotr1_eval.models.detectors import grounding_dino
from gotr1_eval.models.detectors._grounding_dino_inputs import load_tokenizer, write_captions
from gotr1_eval.models.detectors.grounding_dino import GroundingDinoDetector
from rewards.grounders import DetectorGrounder
from tests.tiny_grounding_dino import VOCABULARY, write_folder

MODEL_SIDE = (128, 213)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("dino"))


@pytest.fixture(autouse=True)
def small_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """128 pixels instead of 800, so that a test takes a moment; not where the real sizes are tested."""
    if "real_sizes" not in request.keywords.get("usefixtures", pytest.mark.usefixtures()).args:
        monkeypatch.setattr(pictures, "_SHORTER", MODEL_SIDE[0])
        monkeypatch.setattr(pictures, "_LONGER", MODEL_SIDE[1])


@pytest.fixture
def real_sizes() -> None:
    """Marks a test that wants the real sizes."""


def detector(folder: Path, **settings: Any) -> GroundingDinoDetector:
    chosen = {"device": "cpu", "box_threshold": 0.0, "text_threshold": 0.0} | settings
    return GroundingDinoDetector(grounding_dino.Settings(model=str(folder), **chosen))


def noise(size: tuple[int, int], seed: int) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(levels)


def assert_close(left: Sequence[Detection], right: Sequence[Detection]) -> None:
    assert [one.label for one in left] == [one.label for one in right]
    for one, other in zip(left, right, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.box.corners == pytest.approx(other.box.corners, abs=1e-4)


IMAGES = [noise((80, 80), 0), noise((90, 60), 1), noise((80, 80), 2), noise((60, 90), 3), noise((160, 160), 4)]
LABELS = [["a cat", "dog"], ["red apple"], ["dog"], ["sky", "cats", "a green apple"], []]


def test_batched_is_single_and_in_order(checkpoint: Path):
    """Also for texts of different lengths: padding and the other names' tokens must not be seen."""
    together = detector(checkpoint, batch_size=4).detect(IMAGES, LABELS)
    assert [bool(found) for found in together] == [True, True, True, True, False]
    alone = detector(checkpoint, batch_size=1)
    for image, labels, found in zip(IMAGES, LABELS, together, strict=True):
        assert_close(found, alone.detect([image], [labels])[0])
        assert {one.label for one in found} <= set(labels)
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert_close(alone.detect(IMAGES[::-1], LABELS[::-1])[::-1][3], together[3])


def test_the_names_do_not_see_one_another(checkpoint: Path):
    """In the text's own encoder; this is what the wrong implementation of attention would break."""
    loaded = detector(checkpoint).loaded
    model = loaded.model.model
    features = []
    for labels in (["a cat", "dog"], ["a cat", "sky"]):
        (caption,) = write_captions(loaded.tokenizer, labels, 24)
        ids = torch.tensor([caption.ids])
        seen: list[torch.Tensor] = []
        hook = model.text_projection.register_forward_hook(lambda module, given, made, seen=seen: seen.append(made))
        with torch.inference_mode():
            loaded.model(pixel_values=torch.zeros(1, 3, 128, 128), input_ids=ids)
        hook.remove()
        features.append(seen[0][0, 1:3])
    assert torch.allclose(features[0], features[1], atol=1e-6)


def test_the_score_is_the_surest_token_of_the_name(checkpoint: Path):
    """Recomputed from the model's raw output."""
    found = detector(checkpoint, box_threshold=0, text_threshold=0).detect(IMAGES[:1], [["a cat", "dog"]])[0]
    loaded = detector(checkpoint).loaded
    ids = torch.tensor([[101, 200, 201, 1012, 202, 1012, 102]])
    with torch.inference_mode():
        answer = loaded.model(pixel_values=pictures.prepare(IMAGES[0])[None], input_ids=ids)
    chances = answer.logits[0].sigmoid().numpy()
    rows = [(max(row[1:3]), row[4], box) for row, box in zip(chances, answer.pred_boxes[0].tolist(), strict=True)]
    rows.sort(key=lambda row: -max(row[:2]))
    assert len(found) == 20
    for one, (cat, dog, (x, y, w, h)) in zip(found, rows, strict=True):
        assert one.label == ("a cat" if cat >= dog else "dog")
        assert one.score == pytest.approx(max(cat, dog), abs=1e-5)
        corners = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, 1)
        assert one.box.corners == pytest.approx(corners, abs=1e-5)


@pytest.mark.parametrize(("box", "text", "floor"), [(0.5, 0.05, 0.5), (0.05, 0.6, 0.6), (1.0, 0.0, 1.0)])
def test_thresholds(checkpoint: Path, box: float, text: float, floor: float):
    every = detector(checkpoint, box_threshold=0, text_threshold=0).detect(IMAGES[:1], LABELS[:1])[0]
    found = detector(checkpoint, box_threshold=box, text_threshold=text).detect(IMAGES[:1], LABELS[:1])[0]
    assert_close(found, [one for one in every if one.score > floor])


def test_nothing_asked_loads_nothing(tmp_path: Path):
    unread = detector(tmp_path)
    assert unread.detect([], []) == []
    assert unread.detect(IMAGES[:2], [[], []]) == [[], []]
    with pytest.raises(UsageError, match="finds only what it is asked for"):
        unread.detect(IMAGES)


def test_many_names_are_looked_for_in_several_passes(checkpoint: Path):
    names = [f"{colour} {thing}" for colour in ("red", "green", "a") for thing in ("cat", "dog", "apple", "sky")]
    tokenizer = load_tokenizer(checkpoint, VOCABULARY)
    captions = write_captions(tokenizer, names, 24)
    assert [label for one in captions for phrase in one.phrases for label in phrase.labels] == names
    assert [len(one.ids) for one in captions] == [23, 17]
    found = detector(checkpoint).detect(IMAGES[:1], [names])[0]
    parts = [[name for phrase in one.phrases for name in phrase.labels] for one in captions]
    apart = [one for part in parts for one in detector(checkpoint).detect(IMAGES[:1], [part])[0]]
    assert_close(found, sorted(apart, key=lambda one: -one.score))


def test_the_text_is_what_the_tokenizer_makes_of_the_whole(checkpoint: Path):
    tokenizer = load_tokenizer(checkpoint, VOCABULARY)
    (caption,) = write_captions(tokenizer, ["A Cat", "red apples", "St. Dog?", "a cat"], 24)
    assert list(caption.ids[1:-1]) == tokenizer("a cat . red apples . st dog .", add_special_tokens=False)["input_ids"]
    assert [phrase.labels for phrase in caption.phrases] == [("A Cat", "a cat"), ("red apples",), ("St. Dog?",)]
    assert [(phrase.start, phrase.end) for phrase in caption.phrases] == [(1, 3), (4, 7), (8, 10)]


@pytest.mark.parametrize("label", ["", " . ", "cat " * 22, "\0"])
def test_a_name_that_cannot_be_looked_for(checkpoint: Path, label: str):
    """One line from the detector; from the grounder one unscored picture, and the others as they are."""
    finder = detector(checkpoint)
    with pytest.raises(LabelError) as caught:
        finder.detect(IMAGES[:1], [["dog", label]])
    assert "\n" not in str(caught.value)
    sound, broken = DetectorGrounder(finder).ground(IMAGES[:2], [["dog"], ["dog", label]])
    assert isinstance(broken, Unscored)
    assert isinstance(sound, Grounding)
    assert_close(sound.detections, finder.detect(IMAGES[:1], [["dog"]])[0])


def test_hostile_names_are_read(checkpoint: Path):
    names = ["\ud800 cat", "[SEP]", "x" * 5000, "🦊", "<|obj_start|>"]
    assert {one.label for one in detector(checkpoint).detect(IMAGES[:1], [names])[0]} <= set(names)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_runs_or_says_from_which_release_it_does(
    checkpoint: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
):
    if not grounding_dino.RELEASE.startswith(("5.10.", "5.15.")):
        assert detector(checkpoint, dtype=dtype).detect(IMAGES[:2], LABELS[:2])
    monkeypatch.setattr(grounding_dino, "RELEASE", "5.16.1")
    with pytest.raises(UsageError, match=f"dtype {dtype}: .* from transformers 5.17 on, and this is 5.16.1"):
        detector(checkpoint, dtype=dtype)


def test_memory_halves_the_batch(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    finder = detector(checkpoint, batch_size=8)
    expected, run = finder.detect([IMAGES[0]] * 5, [["dog"]] * 5), finder._run

    def narrow(looks: Any) -> Any:
        if len(looks) > 2:
            raise torch.OutOfMemoryError("too much")
        return run(looks)

    monkeypatch.setattr(finder, "_run", narrow)
    for one, other in zip(finder.detect([IMAGES[0]] * 5, [["dog"]] * 5), expected, strict=True):
        assert_close(one, other)


def test_fingerprint(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grounding_dino, "RELEASE", "5.23.0")
    first = detector(checkpoint).fingerprint
    assert first == detector(checkpoint, batch_size=7).fingerprint
    others = [{"box_threshold": 0.1}, {"text_threshold": 0.1}, {"dtype": "float16"}]
    assert len({first, *(detector(checkpoint, **other).fingerprint for other in others)}) == 4
    built = Builder().detector({"use": "grounding_dino", "model": str(checkpoint)})
    assert built.name == "grounding-dino"


def test_damaged_folders(checkpoint: Path, tmp_path: Path):
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match="not a tokenizer file"):
        _ = detector(copy).loaded
    (copy / "tokenizer.json").unlink()
    with pytest.raises(UsageError, match=r"no tokenizer\.json"):
        _ = detector(copy).loaded
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace('"decoder_layers": 2', '"decoder_layers": 3'))
    with pytest.raises(DataError, match="missing"):
        _ = detector(copy).loaded
    (copy / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(UsageError, match="expected model_type 'grounding-dino'"):
        _ = detector(copy).loaded
    with pytest.raises(UsageError, match="no such device"):
        detector(copy, device="gpu9")


@pytest.mark.usefixtures("real_sizes")
@pytest.mark.parametrize(
    ("size", "expected"),
    [((600, 300), (1333, 666)), ((300, 600), (666, 1333)), ((384, 384), (800, 800)), ((640, 480), (1066, 800)),
     ((1000, 800), (1000, 800)), ((2000, 10), (1333, 33))],
)  # fmt: skip
def test_sizes(size: tuple[int, int], expected: tuple[int, int]):
    assert pictures.model_size(size) == expected


@pytest.mark.usefixtures("real_sizes")
def test_a_constant_picture_in_imagenets_units():
    pixels = pictures.prepare(Image.new("RGB", (50, 40), (255, 0, 128)))
    assert pixels.shape == (3, 800, 1000)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    assert pixels.amin((1, 2)).tolist() == pytest.approx(expected, abs=1e-5)
    assert pixels.amax((1, 2)).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("real_sizes")
def test_as_transformers_prepares_pictures():
    module = pytest.importorskip("transformers.models.grounding_dino.image_processing_pil_grounding_dino")
    processor = module.GroundingDinoImageProcessorPil()
    for seed, size in enumerate([(384, 384), (600, 300), (333, 517), (1500, 90)]):
        picture = noise(size, seed)
        theirs = processor(images=[picture], return_tensors="pt")["pixel_values"][0]
        assert torch.allclose(pictures.prepare(picture), theirs, atol=1e-5)


@pytest.mark.usefixtures("real_sizes")
def test_sizes_are_transformers_own():
    from transformers.image_transforms import get_size_with_aspect_ratio

    draw = np.random.default_rng(0)
    for width, height in draw.integers(20, 2000, (3000, 2)).tolist():
        theirs = get_size_with_aspect_ratio((height, width), 800, 1333)[::-1]
        assert pictures.model_size((width, height)) == theirs or min(theirs) < 33
