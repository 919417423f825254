"""UniDet as a detector, with tiny random networks of both kinds; real sizes are in tests/golden."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BackendError, DataError, LabelError, UsageError
from gotr1_eval.core.plugins import DETECTORS
from gotr1_eval.core.types import Detection
from gotr1_eval.models.detectors.unidet import preprocessing
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES, R50, RS200
from gotr1_eval.models.detectors.unidet.detector import Files, UniDetDetector
from gotr1_eval.models.detectors.unidet.labels import Vocabulary, read_labels
from gotr1_eval.models.detectors.unidet.network import UniDet
from gotr1_eval.models.detectors.unidet.preprocessing import frame_size, resize, to_batch, to_planes

LABELS = ["cat", "table, desk", "bottle", "bottle", "Dog"]
SMALL: dict[str, Any] = {"blocks": (1, 1, 1, 2), "width": 8, "channels": 16, "head_width": 24, "classes": len(LABELS)}
TINY = {"r50": replace(R50, **SMALL), "rs200": replace(RS200, **SMALL)}
Tensors = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels, and pictures of 95 pixels instead of 479, so that a test takes a moment."""
    for size, architecture in TINY.items():
        monkeypatch.setitem(ARCHITECTURES, size, architecture)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocessing, "_SHORTER", 95)
    monkeypatch.setattr(preprocessing, "_LONGER", 96)


def random_weights(size: str) -> Tensors:
    torch.manual_seed(0)
    weights = {}
    for name, tensor in UniDet(TINY[size]).state_dict().items():
        if tensor.dim() == 1:
            level = 1.0 if name.endswith(("norm.weight", "bn0.weight", "bn1.weight", "running_var")) else 0.0
            weights[name] = level + 0.2 * torch.rand_like(tensor)
        else:
            gain = 0.02 if "stem.conv1.weight" in name else 0.3 if "deltas" in name or "bbox" in name else 1.2
            weights[name] = torch.randn_like(tensor) * gain / tensor[0].numel() ** 0.5
    return weights


def write(folder: Path, size: str = "r50", change: Callable[[Tensors], object] = lambda tensors: None) -> Files:
    tensors = random_weights(size)
    change(tensors)
    torch.save({"model": tensors}, folder / f"{size}.pth")
    (folder / "labels.json").write_text(json.dumps(LABELS))
    return Files(folder / f"{size}.pth", folder / "labels.json")


def detector(files: Files, size: str = "r50", **settings: Any) -> UniDetDetector:
    chosen = {"semantics": "reference", "half": False, "device": "cpu", "batch_size": 3} | settings
    return UniDetDetector(size, files, **chosen)


def noise(size: tuple[int, int], seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def assert_close(some: Sequence[Detection], others: Sequence[Detection]) -> None:
    """The same detections, but for a few: among hundreds of noise, rounding decides some overlaps and ties."""
    numbers = [
        np.array([[LABELS.index(one.label), one.score, *one.box.corners] for one in each]) for each in (some, others)
    ]
    near = (np.abs(numbers[0][:, None] - numbers[1][None]) < 1e-3).all(axis=2)
    assert min(near.any(axis=0).mean(), near.any(axis=1).mean()) > 0.95


IMAGES = [noise((80, 80), 0), noise((120, 60), 1), noise((80, 80), 2), noise((160, 160), 3), noise((60, 120), 4)]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("size", ["r50", "rs200"])
def test_a_picture_does_not_depend_on_its_neighbours(tmp_path: Path, size: str):
    files = write(tmp_path, size)
    together = detector(files, size).detect(IMAGES)
    assert all(together)
    assert together[::-1] == detector(files, size).detect(IMAGES[::-1])
    for image, found in zip(IMAGES, together, strict=True):
        (alone,) = detector(files, size, batch_size=1).detect([image])
        assert_close(alone, found)
        assert len(found) <= 300
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        assert all(one.score > 0.1 and one.box.area > 0 and one.label in LABELS for one in found)


@pytest.mark.usefixtures("small")
def test_the_models_own_pixels_come_back_to_the_last_bit(tmp_path: Path):
    finder = detector(write(tmp_path))
    for image, found, raw in zip(IMAGES, finder.detect(IMAGES), finder.find(IMAGES), strict=True):
        width, height = finder.box_frame(image.size)
        frame = np.array([width, height, width, height], dtype=np.float64)
        fractions = np.array([one.box.corners for one in found])
        assert np.array_equal((fractions * frame).astype(np.float32), raw.boxes.numpy())


@pytest.mark.usefixtures("small")
def test_names_choose_among_what_is_found(tmp_path: Path):
    finder = detector(write(tmp_path))
    every = finder.detect(IMAGES[:1])[0]
    wanted = finder.detect(IMAGES[:1], [["Desk", "bottle"]])[0]
    known = {"table, desk": "Desk", "bottle": "bottle"}
    expected = [(known[one.label], one.box, one.score) for one in every if one.label in known]
    assert [(one.label, one.box, one.score) for one in wanted] == expected
    assert {one.label for one in wanted} == {"Desk", "bottle"}
    assert finder.detect(IMAGES[:1], [[]]) == [[]]
    with pytest.raises(LabelError, match=r"no class named 'botle'; did you mean 'bottle'\?"):
        finder.detect(IMAGES[:1], [["botle"]])


def test_vocabulary():
    words = Vocabulary(LABELS)
    assert [words.classes(name) for name in ("bottle", " table ", "TABLE, desk", "dog")] == [[2, 3], [1], [1], [4]]


@pytest.mark.usefixtures("small")
def test_nothing_found_is_no_failure_and_no_number_is(tmp_path: Path):
    def silence(tensors: Tensors) -> None:
        for stage in range(3):
            tensors[f"roi_heads.box_predictor.{stage}.cls_score.bias"].fill_(-100)

    assert detector(write(tmp_path, change=silence)).detect(IMAGES[:1]) == [[]]
    broken = write(tmp_path, change=lambda tensors: tensors["backbone.fpn_output3.bias"].fill_(float("nan")))
    with pytest.raises(BackendError, match="a feature is not finite"):
        detector(broken).detect(IMAGES[:1])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (1000, 3), (2, 5)])
def test_pictures_of_a_pixel_and_of_a_line(tmp_path: Path, size: tuple[int, int]):
    finder = detector(write(tmp_path))
    (found,) = finder.find([Image.new("RGB", size, "teal")])
    width, height = finder.box_frame(size)
    assert min(width, height) >= 1
    assert found.boxes.numel() == 0 or bool((found.boxes.amax(0) <= torch.tensor([width, height] * 2)).all())


@pytest.mark.parametrize(
    ("size", "expected"),
    [((512, 512), (479, 479)), ((600, 300), (480, 240)), ((640, 512), (480, 384)), ((200, 365), (263, 480)),
     ((479, 479), (479, 479)), ((1, 1), (479, 479)), ((1000, 1), (480, 1)), ((64, 168), (182, 480))],
)  # fmt: skip
def test_frames_worked_by_hand(size: tuple[int, int], expected: tuple[int, int]):
    """168 x 479 / 64 = 1257.375, cut to 1257; 480 x 479 / 1257 = 182.9, cut again."""
    assert frame_size(size) == expected
    assert frame_size(size[::-1]) == expected[::-1]


def test_planes_and_units():
    red = Image.new("RGB", (479, 479), (255, 10, 0))
    assert to_planes(red, R50, "reference")[:, 0, 0].tolist() == [0, 10, 255]
    assert to_planes(red, R50, "corrected")[:, 0, 0].tolist() == [0, 10, 255]
    assert to_planes(red, RS200, "reference")[:, 0, 0].tolist() == [0, 10, 255]
    planes = to_planes(red, RS200, "corrected")
    assert planes[:, 0, 0].tolist() == [255, 10, 0]
    batch = to_batch([planes, planes], RS200, torch.device("cpu"))
    assert batch.shape == (2, 3, 480, 480)
    assert batch[1, :, 0, 0].tolist() == pytest.approx(
        [(255 - 123.68) / 58.393, (10 - 116.779) / 57.12, -103.939 / 57.375]
    )
    assert not batch[:, :, 479].any()
    assert not batch[:, :, :, 479].any()


def test_palettes_transparency_and_sixteen_bits():
    """Clipped and opaque as the scripts' conversion makes them, scaled and over white when corrected."""
    layer = Image.new("RGBA", (479, 479), (0, 0, 255, 0))
    grey = Image.fromarray(np.full((479, 479), 25700, dtype=np.uint16))
    palette = Image.new("RGB", (479, 479), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    read = {
        "reference": [(0, 0, 255), (255, 255, 255), (10, 20, 30)],
        "corrected": [(255,) * 3, (100,) * 3, (10, 20, 30)],
    }
    for semantics, colours in read.items():
        pictures = [resize(picture, semantics) for picture in (layer, grey, palette)]  # type: ignore[arg-type]
        assert [picture.getpixel((5, 5)) for picture in pictures] == colours


@pytest.mark.usefixtures("small")
def test_memory_halves_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    finder = detector(write(tmp_path), batch_size=8)
    expected, run = finder.detect([IMAGES[0]] * 5), finder._run

    def narrow(pictures: Sequence[Image.Image], size: tuple[int, int]) -> Any:
        if len(pictures) > 2:
            raise torch.OutOfMemoryError("too much")
        return run(pictures, size)

    monkeypatch.setattr(finder, "_run", narrow)
    found = finder.detect([IMAGES[0]] * 5)
    for each, other in zip(found, expected, strict=True):
        assert_close(each, other)


def test_names_and_fingerprints_tell_what_changes_a_score(tmp_path: Path):
    files = write(tmp_path)
    first = detector(files)
    assert first.name == "unidet-r50"
    assert first.fingerprint == detector(files, batch_size=1).fingerprint
    assert detector(files, semantics="corrected").name == "unidet-r50-corrected"
    assert detector(files, semantics="corrected").fingerprint != first.fingerprint
    with pytest.raises(UsageError, match="float16 needs a GPU, got device 'cpu'"):
        detector(files, half=True)


def test_the_plug_in_finds_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert "unidet" in DETECTORS.list()
    monkeypatch.setenv("GOTR1_EVAL_WEIGHTS", str(tmp_path))
    with pytest.raises(UsageError, match=r"unidet weights: no Unified_learned_OCIM_R50.*gdown"):
        Builder().detector({"use": "unidet", "size": "r50"})
    files = write(tmp_path)
    files.weights.rename(tmp_path / "Unified_learned_OCIM_R50_6x+2x.pth")
    with pytest.raises(UsageError, match=r"unidet labels: no detection_features.pt .*weights unidet-labels --download"):
        Builder().detector({"use": "unidet", "size": "r50"})
    torch.save({"labels": LABELS, "features": torch.zeros(5, 2)}, tmp_path / "detection_features.pt")
    built = Builder().detector({"use": "unidet", "size": "r50", "device": "cpu"})
    assert built.name == "unidet-r50"
    assert built.fingerprint
    with pytest.raises(UsageError, match=r"unidet weights: no file .*nowhere.pth"):
        Builder().detector({"use": "unidet", "weights": str(tmp_path / "nowhere.pth")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("backbone.top_block.p6.bias"), "1 missing (backbone.top_block.p6.bias)"),
        (lambda t: t.update(extra=torch.zeros(1)), "1 surplus (extra)"),
        (lambda t: t.update({"roi_heads.box_head.0.fc1.bias": torch.zeros(3)}), "1 misshapen (roi_heads.box_head.0"),
        (lambda t: t.update({"no.norm.num_batches_tracked": torch.tensor(1)}), "1 surplus (no.norm.num_batches"),
        (lambda t: t.update({"backbone.fpn_output3.bias": torch.zeros(16, dtype=torch.int64)}), "not of floating"),
        (lambda t: t.update(x="text"), "expected tensors by name"),
        (lambda t: t.clear(), "missing (backbone."),
    ],
)  # fmt: skip
def test_every_tensor_is_accounted_for(tmp_path: Path, change: Callable[[Tensors], object], message: str):
    with pytest.raises(DataError) as caught:
        _ = detector(write(tmp_path, change=change)).network
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_comes_with_published_weights_is_ignored(tmp_path: Path):
    """Constants of the detectron2 of that time, counters of training, the prefix of parallel training."""
    plain, extra = random_weights("rs200"), write(tmp_path, "rs200")
    norms = [name.removesuffix("running_var") for name in plain if name.endswith("running_var")]
    more = {f"{norm}num_batches_tracked": torch.tensor(7) for norm in norms}
    more |= {"pixel_mean": torch.zeros(3, 1, 1)}
    more |= {"proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(9, 4)}
    torch.save({f"module.{name}": tensor for name, tensor in (plain | more).items()}, extra.weights)
    loaded = detector(extra, "rs200").network.state_dict()
    assert loaded.keys() == plain.keys()
    assert all(torch.equal(loaded[name], plain[name]) for name in plain)


def test_other_files_are_refused_in_one_line(tmp_path: Path):
    other = write(tmp_path, "rs200")
    with pytest.raises(DataError, match=r"expected the weights of UniDet r50: .*; it looks like rs200"):
        _ = detector(other).network
    other.weights.write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match="not a checkpoint"):
        _ = detector(other).network
    torch.save({"model": print}, other.weights)
    with pytest.raises(DataError, match="not a checkpoint of tensors alone"):
        _ = detector(other).network


def test_labels_that_are_none_are_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "labels.json"
    for content, message in (
        ("{", "not a JSON"),
        ('["a", 1]', "expected a list of names"),
        ('["a"]', "of 5 classes, got 1"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=message):
            read_labels(path, 5)
    with pytest.raises(DataError, match="not a file of labels"):
        read_labels(tmp_path / "none.pt", 5)
