"""DPT-Hybrid with random weights of the true classes; what real weights see is not tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy import ndimage
from transformers import DPTConfig, DPTForDepthEstimation
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BackendError, DataError, UsageError
from gotr1_eval.models.depth import dpt
from gotr1_eval.models.depth.dpt import DptDepth, prepare, stretch
from tests.tiny_dpt import SIDE, TRAINED, tiny_config, write_folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("dpt"))


def depth(folder: Path, **settings: Any) -> DptDepth:
    return DptDepth(dpt.Settings(model=str(folder), **{"device": "cpu", "image_size": SIDE} | settings))


def noise(size: tuple[int, int], seed: int) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (size[1] // 10, size[0] // 10, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.NEAREST)


IMAGES = [noise((100, 100), 0), noise((130, 70), 1), noise((60, 90), 2)]


def place(count: int, into: int) -> np.ndarray:
    """Where `into` points on `count` places lie when the corners are aligned."""
    return np.arange(into) * (count - 1) / (into - 1)


def by_other_means(folder: Path, picture: Image.Image) -> np.ndarray:
    """Positions widened by scipy in a model made for the larger picture, transformers' processor, scipy's resize."""
    model = DPTForDepthEstimation(tiny_config(SIDE)).eval()
    tensors = load_file(folder / "model.safetensors")
    table = tensors["dpt.embeddings.position_embeddings"][0].numpy()
    old, new = TRAINED // 16, SIDE // 16
    points = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    grid = table[1:].reshape(old, old, -1)
    wide = [
        ndimage.map_coordinates(grid[..., channel], np.meshgrid(points, points, indexing="ij"), order=1)
        for channel in range(grid.shape[-1])
    ]
    widened = np.concatenate([table[:1], np.stack(wide, axis=-1).reshape(new * new, -1)])
    tensors["dpt.embeddings.position_embeddings"] = torch.from_numpy(widened)[None]
    model.load_state_dict(tensors)
    processor = DPTImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, resample=Image.Resampling.BILINEAR, image_mean=[0.5] * 3,
        image_std=[0.5] * 3, ensure_multiple_of=1, keep_aspect_ratio=False,
    )  # fmt: skip
    with torch.inference_mode():
        found = model(processor(picture, return_tensors="pt")["pixel_values"]).predicted_depth[0].double().numpy()
    unit = (found - found.min()) / (found.max() - found.min())
    rows, columns = place(len(unit), picture.height), place(len(unit), picture.width)
    resized: np.ndarray = ndimage.map_coordinates(unit, np.meshgrid(rows, columns, indexing="ij"), order=1)
    return resized


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_maps_are_those_of_an_independent_computation(checkpoint: Path, batch_size: int):
    maps = depth(checkpoint, batch_size=batch_size).depth(IMAGES)
    for found, picture in zip(maps, IMAGES, strict=True):
        assert found.shape == (picture.height, picture.width)
        assert found.dtype == np.float32
        expected = by_other_means(checkpoint, picture)
        assert expected.std() > 0.02
        np.testing.assert_allclose(found, expected, atol=2e-4)
        assert found.min() >= 0
        assert found.max() <= 1


def test_by_hand_preparing():
    """In [-1, 1], squashed: of a picture twice as wide, each pixel is the mean of its neighbourhood."""
    grey = prepare(Image.new("RGB", (7, 3), (51, 0, 255)), 4)
    assert grey.shape == (3, 4, 4)
    np.testing.assert_allclose(grey[:, 0, 0], [-0.6, -1, 1], atol=1e-6)
    # A triangle over four columns with weights 1, 3, 3, 1 of 8; at the border its outer part is missing.
    ramp = Image.fromarray(np.tile(np.array([0, 80, 160, 240], dtype=np.uint8), (2, 1))).convert("RGB")
    halved = prepare(ramp, 2)[0, 0] * 127.5 + 127.5
    np.testing.assert_allclose(halved, [(3 * 0 + 3 * 80 + 160) / 7, (80 + 3 * 160 + 3 * 240) / 7], atol=0.51)


def test_by_hand_stretching():
    """Extremes first, then the size; the corners keep their values."""
    unit = stretch(torch.tensor([[2.0, 4.0], [6.0, 10.0]]), (3, 2))
    np.testing.assert_allclose(unit, [[0, 0.125, 0.25], [0.5, 0.75, 1]], atol=1e-6)
    assert stretch(torch.full((2, 2), 3.0), (3, 5)).tolist() == [[0.0] * 3] * 5
    # What resizing cuts off stays cut off: the brightest point is not stretched back to 1.
    peak = torch.zeros(5, 5)
    peak[1, 1] = 1.0
    assert stretch(peak, (2, 2)).max() == 0
    assert stretch(peak, (3, 3)).max() == 0


def test_nothing_asked_loads_nothing(tmp_path: Path):
    assert depth(tmp_path).depth([]) == []


def test_names_and_fingerprints(checkpoint: Path):
    assert Builder().depth({"use": "dpt", "device": "cpu"}).name == "dpt-hybrid-midas"
    one = depth(checkpoint)
    assert one.name == f"{checkpoint.name}-{SIDE}px"
    assert depth(checkpoint, batch_size=3).fingerprint == one.fingerprint
    assert depth(checkpoint, image_size=480).fingerprint != one.fingerprint
    assert depth(checkpoint, dtype="bfloat16").fingerprint != one.fingerprint


def test_memory_that_runs_out_halves_the_batch(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    model = depth(checkpoint)
    expected = model.depth(IMAGES)
    inner, sizes = model.loaded.forward, []

    def scarce(pixel_values: torch.Tensor) -> Any:
        sizes.append(len(pixel_values))
        if len(pixel_values) > most:
            raise torch.OutOfMemoryError
        return inner(pixel_values)

    monkeypatch.setattr(model.loaded, "forward", scarce)
    most = 1
    for one, other in zip(model.depth(IMAGES), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert sizes == [3, 3, 2, 1, 1, 1]
    most = 0
    with pytest.raises(BackendError, match="out of memory for a single input"):
        model.depth(IMAGES)


def rewritten(checkpoint: Path, folder: Path, change: Any) -> Path:
    tensors = load_file(checkpoint / "model.safetensors")
    change(tensors)
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    return folder


def test_weights_that_nothing_reads_may_be_absent_or_surplus(checkpoint: Path, tmp_path: Path):
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if name.startswith("neck.fusion_stage.layers.0.residual_layer1.")]:
            del tensors[name]
        tensors["dpt.pooler.dense.weight"] = torch.zeros(2, 2)

    other = depth(rewritten(checkpoint, tmp_path / "published", change))
    np.testing.assert_array_equal(other.depth(IMAGES[:1])[0], depth(checkpoint).depth(IMAGES[:1])[0])


def test_what_cannot_be_used_is_said_in_one_line(checkpoint: Path, tmp_path: Path):
    torn = rewritten(checkpoint, tmp_path / "torn", lambda tensors: tensors.pop("dpt.layernorm.bias"))
    with pytest.raises(DataError, match=r"1 missing \(dpt.layernorm.bias\)"):
        depth(torn).depth(IMAGES)
    with pytest.raises(UsageError, match="multiple of 32, got 80"):
        depth(checkpoint, image_size=80).depth(IMAGES)
    (torn / "config.json").write_text('{"model_type": "glpn"}')
    with pytest.raises(UsageError, match="expected model_type 'dpt', got 'glpn'"):
        depth(torn).depth(IMAGES)
    with pytest.raises(UsageError, match="no such device"):
        depth(checkpoint, device="cuda:99")
    whole = tmp_path / "large"
    DPTForDepthEstimation(
        DPTConfig(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, image_size=32,
                  backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8)
    ).save_pretrained(whole)  # fmt: skip
    with pytest.raises(UsageError, match="expected a hybrid DPT"):
        depth(whole).depth(IMAGES)


def test_a_depth_that_is_not_finite_is_no_depth(checkpoint: Path, tmp_path: Path):
    bad = rewritten(checkpoint, tmp_path / "bad", lambda tensors: tensors["neck.convs.3.weight"].fill_(torch.nan))
    with pytest.raises(BackendError, match="not finite"):
        depth(bad).depth(IMAGES)
