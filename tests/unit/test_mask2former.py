"""The detector on tiny random checkpoints of the true class, and OpenMMLab's files; real weights are not tested."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Mask2FormerForUniversalSegmentation

from gotr1_eval.build import Builder
from gotr1_eval.core.coco import NAMES, class_place
from gotr1_eval.core.errors import BackendError, DataError, LabelError, UsageError
from gotr1_eval.core.types import Detection
from gotr1_eval.models.detectors import _mask2former_openmmlab as openmmlab
from gotr1_eval.models.detectors import mask2former
from gotr1_eval.models.detectors._mask2former_pictures import Frame
from gotr1_eval.models.detectors.mask2former import Mask2FormerDetector
from tests.conftest import shared_parameters
from tests.tiny_mask2former import as_in_3x, mmdet_tensors, tiny_config, tiny_model, write_folder
from tests.unit.test_mask2former_masks import plain_rows
from tests.unit.test_mask2former_pictures import plain_resize


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hf") / "tiny"
    write_folder(folder)
    return folder


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 pixels instead of 800, so that a test takes a moment."""
    monkeypatch.setattr(mask2former, "BOUNDS", (160, 128))


@pytest.fixture
def tiny_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the tiny model as OpenMMLab would, under its sha256."""
    monkeypatch.setattr(openmmlab, "swin_small", tiny_config)

    def write(tensors: dict[str, torch.Tensor] | None = None, name: str | None = None) -> Path:
        path = tmp_path / "new.pth"
        torch.save({"meta": {"CLASSES": NAMES}, "state_dict": tensors or mmdet_tensors(tiny_model())}, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return path.rename(tmp_path / (name or f"m2f-{digest[:8]}.pth"))

    return write


def detector(model: Path, **settings: Any) -> Mask2FormerDetector:
    chosen = {"device": "cpu", "threshold": 0.0} | settings
    return Mask2FormerDetector(mask2former.Settings(model=str(model), **chosen))


def noise(size: tuple[int, int], seed: int) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(levels)


def assert_close(left: Sequence[Detection], right: Sequence[Detection]) -> None:
    assert [one.label for one in left] == [one.label for one in right]
    for one, other in zip(left, right, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.box.corners == pytest.approx(other.box.corners, abs=0.05)


IMAGES = [noise((80, 80), 0), noise((90, 60), 1), noise((40, 40), 2), noise((60, 90), 3), noise((91, 61), 4)]


def test_what_is_found_is_what_plain_loops_find(checkpoint: Path):
    """From the picture's pixels and the weights on disk: only the network itself is shared with the detector."""
    picture = noise((90, 60), 1)
    (found,) = detector(checkpoint).detect([picture])
    model = Mask2FormerForUniversalSegmentation.from_pretrained(checkpoint, local_files_only=True).eval()
    resized = plain_resize(np.asarray(picture), 160, 107)
    padded = np.full((128, 160, 3), 128, dtype=np.float64)
    padded[:107] = resized
    pixels = (padded - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    with torch.inference_mode():
        answer = model(pixel_values=torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
    classes, masks = answer.class_queries_logits[0].double().numpy(), answer.masks_queries_logits[0].double().numpy()
    rows = plain_rows(classes, masks, Frame((90, 60), (160, 107), (160, 128)))
    expected = sorted((row for row in rows if row[1] > 0), key=lambda row: -row[1])
    assert len(found) == len(expected) > 50
    for one, (place, score, box, mask) in zip(found, expected, strict=True):
        assert one.label == NAMES[place]
        assert one.score == pytest.approx(score, abs=1e-5)
        assert in_pixels(one, picture) == box
        np.testing.assert_array_equal(one.mask, mask)


def in_pixels(one: Detection, picture: Image.Image) -> tuple[int, ...]:
    sides = (*picture.size, *picture.size)
    return tuple(round(corner * side) for corner, side in zip(one.box.corners, sides, strict=True))


def test_batched_is_single_and_in_order(checkpoint: Path):
    """Pictures of one padded size share a batch, also where their own sizes differ."""
    together = detector(checkpoint, batch_size=4).detect(IMAGES)
    alone = detector(checkpoint, batch_size=1)
    for image, found in zip(IMAGES, together, strict=True):
        assert_close(found, alone.detect([image])[0])
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        assert {one.mask.shape for one in found if one.mask is not None} == {image.size[::-1]}


def test_boxes_are_tight_in_whole_pixels(checkpoint: Path):
    for one in detector(checkpoint).detect(IMAGES[:1])[0]:
        assert one.mask is not None
        left, top, right, bottom = in_pixels(one, IMAGES[0])
        assert one.mask[top:bottom, left:right].sum() == one.mask.sum() > 0
        assert one.mask[top].any()
        assert one.mask[bottom - 1].any()
        assert one.mask[:, left].any()
        assert one.mask[:, right - 1].any()


def test_names_that_are_asked_for(checkpoint: Path):
    finder = detector(checkpoint)
    (every,) = finder.detect(IMAGES[:1])
    wanted = [every[0].label, every[3].label]
    found, nothing = finder.detect(IMAGES[:2], [wanted, []])
    assert nothing == []
    assert found == [one for one in every if one.label in wanted]
    (twice,) = finder.detect(IMAGES[:1], [["Computer  Mouse", "mouse"]])
    plain = [one for one in every if one.label == "computer mouse"]
    assert [one.label for one in twice] == ["Computer  Mouse", "mouse"] * len(plain)
    with pytest.raises(LabelError, match="got 'couchh'; did you mean 'couch'"):
        finder.detect(IMAGES[:1], [["dog", "couchh"]])


def test_nothing_asked_loads_nothing(tmp_path: Path):
    assert detector(tmp_path).detect([], None) == []
    assert detector(tmp_path).detect(IMAGES[:2], [[], []]) == [[], []]


@pytest.mark.parametrize("threshold", [0.2, 1.0])
def test_threshold(checkpoint: Path, threshold: float):
    (every,) = detector(checkpoint).detect(IMAGES[:1])
    (found,) = detector(checkpoint, threshold=threshold).detect(IMAGES[:1])
    assert found == [one for one in every if one.score > threshold]


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_pictures_of_one_pixel_and_lines(checkpoint: Path, size: tuple[int, int]):
    (found,) = detector(checkpoint).detect([noise(size, 5)])
    assert all(one.mask is not None and one.mask.shape == size[::-1] for one in found)


def test_pictures_of_other_kinds_are_read_as_opencv_reads_files(checkpoint: Path):
    greys = np.random.default_rng(0).integers(0, 65536, (50, 50), dtype=np.uint16)
    high = Image.fromarray((greys >> 8).astype(np.uint8)).convert("RGB")
    clear = IMAGES[0].copy()
    clear.putalpha(3)
    turned, exif = noise((60, 40), 6), Image.Exif()
    exif[0x0112] = 6
    turned.getexif().update(exif)
    pairs = [(Image.fromarray(greys), high), (clear, IMAGES[0]), (turned, noise((60, 40), 6).rotate(-90, expand=True))]
    found = detector(checkpoint).detect([left for left, _ in pairs])
    assert found == detector(checkpoint).detect([right for _, right in pairs])


def test_bfloat16_is_near_and_named(checkpoint: Path):
    half, whole = detector(checkpoint, dtype="bfloat16"), detector(checkpoint)
    assert (whole.name, half.name) == ("mask2former-hf,tiny", "mask2former-hf,tiny,bfloat16")
    near = half.detect(IMAGES[:1])[0][0]
    assert near.score == pytest.approx(whole.detect(IMAGES[:1])[0][0].score, abs=0.1)


def test_memory_halves_the_batch(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    finder = detector(checkpoint, batch_size=8)
    (expected,), run = finder.detect(IMAGES[:1]), finder._run

    def narrow(looks: Any) -> Any:
        if len(looks) > 2:
            raise torch.OutOfMemoryError("too much")
        return run(looks)

    monkeypatch.setattr(finder, "_run", narrow)
    for found in finder.detect([IMAGES[0]] * 5):
        assert_close(found, expected)


def test_numbers_that_are_none(checkpoint: Path):
    finder = detector(checkpoint)
    with torch.no_grad():
        finder.loaded.class_predictor.bias[3] = float("nan")
    with pytest.raises(BackendError, match="not finite"):
        finder.detect(IMAGES[:1])


def test_fingerprint(checkpoint: Path):
    first = detector(checkpoint).fingerprint
    assert first == detector(checkpoint, batch_size=7).fingerprint
    others = [{"threshold": 0.1}, {"dtype": "bfloat16"}]
    assert len({first, *(detector(checkpoint, **other).fingerprint for other in others)}) == 3
    assert Builder().detector({"use": "mask2former"}).name == "mask2former-hf"


def test_files_of_older_transformers_are_read(checkpoint: Path, tmp_path: Path):
    """They lack a layer that is never called, and hold tables of constants."""
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "swin.layernorm" not in name}
    assert len(kept) == len(tensors) - 2
    index = "model.pixel_level_module.encoder.encoder.layers.0.blocks.0.attention.self.relative_position_index"
    save_file({**kept, index: torch.zeros(16, 16)}, copy / "model.safetensors", metadata={"format": "pt"})
    assert_close(detector(copy).detect(IMAGES[:1])[0], detector(checkpoint).detect(IMAGES[:1])[0])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"model_type": "clip"}, "expected model_type 'mask2former'"),
        ({"id2label": {str(i): f"LABEL_{i}" for i in range(133)}}, r"expected 80 classes \(COCO's things\), got 133"),
        ({"id2label": {str(i): "wall" for i in range(80)}}, "expected class 0 to be 'person', got 'wall'"),
    ],
)
def test_folders_of_other_models(checkpoint: Path, tmp_path: Path, change: dict[str, Any], line: str):
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UsageError, match=line):
        _ = detector(copy).loaded


def test_damaged_folders(checkpoint: Path, tmp_path: Path):
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace('"decoder_layers": 3', '"decoder_layers": 4'))
    with pytest.raises(DataError, match="missing"):
        _ = detector(copy).loaded
    with pytest.raises(UsageError, match="no such device"):
        detector(copy, device="gpu9")


@pytest.mark.parametrize("newer", [False, True])
def test_openmmlabs_file_is_the_same_model(tiny_file: Callable[..., Path], checkpoint: Path, newer: bool):
    """Put together for this test as mmdet 2.x and 3.x name the tensors."""
    tensors = mmdet_tensors(tiny_model())
    path = tiny_file({as_in_3x(name): tensor for name, tensor in tensors.items()} if newer else tensors)
    finder = detector(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert finder.name == f"mask2former-openmmlab,sha256 {digest[:8]}"
    expected = tiny_model().state_dict()
    for name, tensor in finder.loaded.state_dict().items():
        assert torch.equal(tensor, expected[name]) or "swin.layernorm" in name, name
    assert finder.detect(IMAGES[:2]) == detector(checkpoint).detect(IMAGES[:2])


def test_the_official_files_have_the_plain_name(tiny_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    """By their content: GenEval's own script saves the file under a name without its hash."""
    path = tiny_file(name="renamed.pth")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(openmmlab, "OFFICIAL", {digest[:8]})
    assert detector(path).name == "mask2former-openmmlab"
    assert detector(path, dtype="bfloat16").name == "mask2former-openmmlab,bfloat16"


def test_a_file_that_is_not_what_its_name_promises(tiny_file: Callable[..., Path]):
    path = tiny_file(name="m2f-743b7d99.pth")
    for ask in (lambda: detector(path).name, lambda: detector(path).loaded, lambda: detector(path).fingerprint):
        with pytest.raises(DataError, match="its name promises a sha256 that begins with 743b7d99") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_the_panoptic_model_of_the_same_name_is_refused(tiny_file: Callable[..., Path]):
    tensors = mmdet_tensors(tiny_model(classes=133))
    with pytest.raises(DataError, match="panoptic model") as caught:
        _ = detector(tiny_file(tensors)).loaded
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "tensor", "fault"),
    [
        ("panoptic_head.query_feat.weight", None, "1 missing (model.transformer_module.queries_features.weight)"),
        ("backbone.stages.1.blocks.0.attn.w_msa.qkv.bias", None, "3 missing"),
        ("ema_backbone.norm0.weight", torch.zeros(3), "1 unknown (ema_backbone.norm0.weight)"),
        ("backbone.norm0.weight", torch.zeros(9), "1 misshapen"),
        ("backbone.stages.0.downsample.norm.weight", torch.zeros(9), "1 misshapen"),
        ("backbone.stages.0.blocks.0.attn.w_msa.qkv.bias", torch.tensor(1.0), "3 missing"),
        ("backbone.stages.0.blocks.0.attn.w_msa.relative_position_index", torch.zeros(16, 16), "another order"),
    ],
)
def test_every_tensor_is_accounted_for(
    tiny_file: Callable[..., Path], name: str, tensor: torch.Tensor | None, fault: str
):
    tensors = mmdet_tensors(tiny_model())
    tensors.pop(name, None)
    path = tiny_file(tensors if tensor is None else tensors | {name: tensor})
    with pytest.raises(DataError, match=re.escape(fault)) as caught:
        _ = detector(path).loaded
    assert "\n" not in str(caught.value)


def test_the_tables_of_constants_may_be_absent(tiny_file: Callable[..., Path], checkpoint: Path):
    tensors = {name: one for name, one in mmdet_tensors(tiny_model()).items() if not name.endswith("_index")}
    assert detector(tiny_file(tensors)).detect(IMAGES[:1]) == detector(checkpoint).detect(IMAGES[:1])


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(UsageError, match=r"no such file.*download\.openmmlab\.com.*743b7d99\.pth"):
        detector(tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("not found")
    with pytest.raises(DataError, match="not a checkpoint that can be read"):
        _ = detector(tmp_path / "text.pth").loaded


@pytest.mark.parametrize("path", shared_parameters("data/geneval/object_names.txt"))
def test_names_are_genevals(path: Path, read_shared: Callable[[Path], str]):
    assert tuple(read_shared(path).split("\n")[:80]) == NAMES


def test_names_by_hand():
    assert (len(NAMES), NAMES[0], NAMES[15], NAMES[79]) == (80, "person", "cat", "toothbrush")
    assert [class_place(name) for name in ("mouse", "computer mouse", "REMOTE", "tv  remote", "keyboard")] == [
        64, 64, 65, 65, 66,
    ]  # fmt: skip
