"""Mask2Former against mmdet 2.28.2 on random weights that a recipe draws anew: shared reference data only."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.models.detectors._mask2former_folder import IMMATERIAL
from gotr1_eval.models.detectors._mask2former_masks import Instance, read_instances
from gotr1_eval.models.detectors._mask2former_openmmlab import load_openmmlab, swin_small, to_transformers
from gotr1_eval.models.detectors._mask2former_pictures import Frame, frame_of, prepare
from gotr1_eval.models.detectors._opencv import decode
from tests.conftest import shared_files, shared_parameters

ROOT = "data/detectors/mask2former"
BOUNDS = {"small": (320, 192), "full": (1333, 800)}
STRIDES = {"stage1": 4, "stage2": 2, "stage3": 1, "stage4": 1, "pixdec0": 1, "pixdec1": 1, "pixdec2": 2,
           "mask_features": 4}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums over a single mask are split among threads, and then round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights() -> dict[str, NDArray[np.float32]]:
    """The recipe's tensors by mmdet's names."""
    path = shared_files(f"{ROOT}/golden*/recipe.py")[0]
    spec = importlib.util.spec_from_file_location("mask2former_recipe", path)
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    drawn: dict[str, NDArray[np.float32]] = recipe.state_dict(json.loads((path.parent / "manifest.json").read_text()))
    return drawn


@pytest.fixture(scope="module")
def model(weights: dict[str, NDArray[np.float32]], tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("openmmlab") / "random.pth"
    torch.save({"meta": {}, "state_dict": {name: torch.from_numpy(array) for name, array in weights.items()}}, path)
    loaded = load_openmmlab(path, swin_small())
    path.unlink()
    return loaded


@dataclass
class Answer:
    """What the model makes of a picture, batch axis dropped; `classes` of all decoder layers."""

    input: NDArray[Any]
    stages: dict[str, NDArray[Any]]
    classes: list[NDArray[Any]]
    masks: NDArray[Any]
    rows: list[Instance]


def run(model: Any, picture: Path, bounds: tuple[int, int], dtype: torch.dtype = torch.float32) -> Answer:
    with Image.open(picture) as image:
        levels = decode(image)
    frame = frame_of((levels.shape[1], levels.shape[0]), bounds)
    pixels = prepare(levels, frame)
    classes: list[torch.Tensor] = []
    hook = model.class_predictor.register_forward_hook(lambda module, given, made: classes.append(made[0]))
    with torch.inference_mode():
        answer = model(pixel_values=pixels[None].to(dtype), output_hidden_states=True)
    hook.remove()
    named = {f"stage{i + 1}": features for i, features in enumerate(answer.encoder_hidden_states)}
    named |= {f"pixdec{i}": features for i, features in enumerate(answer.pixel_decoder_hidden_states)}
    named["mask_features"] = answer.pixel_decoder_last_hidden_state
    masks = answer.masks_queries_logits[0]
    rows = read_instances(answer.class_queries_logits[0], masks, frame, above=None)
    stages = {name: features[0].numpy() for name, features in named.items()}
    return Answer(pixels.numpy(), stages, [layer.numpy() for layer in classes], masks.numpy(), in_mmdets_order(rows))


def in_mmdets_order(rows: list[Instance]) -> list[Instance]:
    return sorted(rows, key=lambda row: row.place)


def table(rows: list[Instance]) -> NDArray[np.float64]:
    """Class, box, score."""
    return np.array([[row.place, *row.box, row.score] for row in rows])


def areas(rows: list[Instance]) -> NDArray[np.int64]:
    return np.array([row.mask.sum() for row in rows])


def uncompress(text: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """COCO's run lengths: five bits a character, the sixth says that more follow; from the third on, differences."""
    counts: list[int] = []
    place = 0
    while place < len(text):
        value = shift = 0
        while True:
            code = ord(text[place]) - 48
            value |= (code & 31) << shift
            shift, place = shift + 5, place + 1
            if not code & 32:
                break
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(shape[::-1]).T


@pytest.mark.parametrize("path", shared_parameters(f"{ROOT}/golden*/preprocess.json"))
def test_pictures_are_prepared_bit_for_bit(path: Path, read_shared: Callable[[Path], str]):
    compared = 0
    for name, expected in json.loads(read_shared(path)).items():
        if not (path.parent / "images" / name).is_file():
            continue
        with Image.open(path.parent / "images" / name) as picture:
            levels = decode(picture)
        assert sha256(levels[:, :, ::-1]) == expected["decoded_bgr_sha256"], name
        prepared = prepare(levels, frame_of((levels.shape[1], levels.shape[0])))
        assert [1, *prepared.shape] == expected["shape"], name
        assert sha256(prepared.numpy()) == expected["sha256"], name
        compared += 1
    assert compared


def sha256(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.mark.parametrize("path", shared_parameters(f"{ROOT}/golden*/weights_sha256.json"))
def test_the_recipe_gives_the_weights_bit_for_bit(
    path: Path, read_shared: Callable[[Path], str], weights: dict[str, NDArray[np.float32]]
):
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].tobytes())
    assert digest.hexdigest() == json.loads(read_shared(path))["all_sorted_sha256"]


@pytest.mark.parametrize("path", shared_parameters(f"{ROOT}/manifest_mmdet*.json"))
def test_all_649_names_have_their_place(path: Path, read_shared: Callable[[Path], str]):
    shapes = json.loads(read_shared(path))
    assert len(shapes) == 649
    renamed = to_transformers({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    assert renamed.unknown == ()
    ours = {name: list(tensor.shape) for name, tensor in renamed.tensors.items()}
    constants = [name for name in ours if name.endswith("relative_position_index")]
    assert len(constants) == 24
    wanted = json.loads(read_shared(path.parent / "manifest_hf.json"))
    assert {name: shape for name, shape in ours.items() if name not in constants} == {
        name: shape for name, shape in wanted.items() if not name.endswith(IMMATERIAL)
    }


@pytest.mark.parametrize("path", shared_parameters(f"{ROOT}/mapping.json"))
def test_every_name_goes_where_the_reference_mapping_sends_it(path: Path, read_shared: Callable[[Path], str]):
    for name, entry in json.loads(read_shared(path))["expanded"].items():
        if entry["op"] != "drop":
            renamed = to_transformers({name: torch.empty(entry["shape"], device="meta")})
            assert list(renamed.tensors) == entry["to"], name


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", shared_parameters(f"{ROOT}/golden*/post_*.npz") + shared_parameters(f"{ROOT}/golden*/small_*.npz")
)
def test_instances_are_mmdets(path: Path, count_shared: Callable[[Path], Path]):
    golden = np.load(count_shared(path))
    frame = Frame(*(tuple(golden[f"{kind}_shape"].tolist()[::-1]) for kind in ("ori", "img", "pad")))
    logits = torch.from_numpy(golden["cls_logits"]), torch.from_numpy(golden["mask_logits"])
    rows = in_mmdets_order(read_instances(*logits, frame, above=None))
    assert_detections(rows, golden["det"])
    if "masks_packed" in golden:
        np.testing.assert_array_equal([np.packbits(row.mask) for row in rows], golden["masks_packed"])
    else:
        np.testing.assert_array_equal(areas(rows), golden["mask_area"])
        for index, text in zip(golden["rle_index"], golden["rle"], strict=True):
            np.testing.assert_array_equal(rows[index].mask, uncompress(str(text), rows[index].mask.shape))
    for above in (0.0, 0.3, 0.9):
        fewer = in_mmdets_order(read_instances(*logits, frame, above=above))
        kept = golden["det"][golden["det"][:, 5] > np.float32(above)]
        assert_detections(fewer, kept)


def assert_detections(rows: Sequence[Any], golden: NDArray[np.float32]) -> None:
    """Labels and boxes to the bit; scores to a few last bits of float32, in which a softmax differs between CPUs."""
    found = table(rows).astype(np.float32).reshape(-1, 6)
    np.testing.assert_array_equal(found[:, :5], golden[:, :5])
    np.testing.assert_allclose(found[:, 5], golden[:, 5], rtol=1e-6, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", shared_parameters(f"{ROOT}/golden*/small_*.npz") + shared_parameters(f"{ROOT}/golden*/full_*.npz")
)
def test_every_stage_is_mmdets(path: Path, count_shared: Callable[[Path], Path], model: Any):
    golden = np.load(count_shared(path))
    mode, full = str(golden["mode"]), str(golden["mode"]) == "full"
    answer = run(model, path.parent / "images" / str(golden["image"]), BOUNDS[mode])
    assert sha256(answer.input) == str(golden["input_sha256"])
    for name, stride in STRIDES.items():
        step = stride * 4 if full else stride
        seen = answer.stages[name][::16, ::step, ::step]
        np.testing.assert_allclose(seen, golden[name], rtol=0, atol=5e-5, err_msg=name)
    for layer, name in ((0, "cls_logits_layer0"), (3, "cls_logits_layer3"), (9, "cls_logits")):
        np.testing.assert_allclose(answer.classes[layer], golden[name], rtol=0, atol=1e-3, err_msg=name)
    masks = answer.masks[:, ::8, ::8] if full else answer.masks
    np.testing.assert_allclose(masks, golden["mask_logits"], rtol=0, atol=5e-3)
    found, expected = table(answer.rows), golden["det"]
    np.testing.assert_array_equal(found[:, 0], expected[:, 0])
    apart = np.abs(found[:, 1:5] - expected[:, 1:5]).max(axis=1)
    assert (apart > 0).sum() <= full
    assert apart.max() <= full
    np.testing.assert_allclose(found[:, 5], expected[:, 5], rtol=0, atol=5e-4)
    assert np.abs(areas(answer.rows) - golden["mask_area"]).max() <= 5


@pytest.mark.slow
@pytest.mark.parametrize("path", shared_parameters(f"{ROOT}/golden*/fp64_*.npz"))
def test_in_float64_nothing_is_left_but_rounding(path: Path, count_shared: Callable[[Path], Path], model: Any):
    golden = np.load(count_shared(path))
    _, mode, name = path.stem.split("_", 2)
    picture = path.parent / "images" / f"{name}.png"
    try:
        answer = run(model.double(), picture, BOUNDS[mode], torch.float64)
    finally:
        model.float()
    np.testing.assert_allclose(answer.classes[-1], golden["cls_logits"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(table(answer.rows), golden["det"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(areas(answer.rows), golden["mask_area"])
