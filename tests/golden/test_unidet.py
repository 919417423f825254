"""UniDet against what detectron2 and T2I-CompBench's code answer, with random weights that a recipe makes anew.

Every stage is fed what the reference fed it, so that a fault shows where it is; then whole pictures. Tolerances are a
few times what another machine or another number of threads changes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES, LEVELS
from gotr1_eval.models.detectors.unidet.cascade import STAGE_WEIGHTS, pool
from gotr1_eval.models.detectors.unidet.labels import read_labels
from gotr1_eval.models.detectors.unidet.loading import load_unidet
from gotr1_eval.models.detectors.unidet.network import UniDet
from gotr1_eval.models.detectors.unidet.preprocessing import resize, to_batch, to_planes
from gotr1_eval.models.detectors.unidet.proposals import cell_anchors
from tests.conftest import SHARED, shared_parameters

pytestmark = pytest.mark.slow

HOME = SHARED / "data/detectors/unidet"
STRIDE = {"stem": 4, "res2": 4, "res3": 2, "p3": 2}
"""Between the cells that the reference kept of a map; 1 for the others."""
ROWS = slice(None, None, 8)
"""Of the thousand boxes, those that each stage is checked on alone."""


@lru_cache(maxsize=1)
def recipe() -> Any:
    spec = importlib.util.spec_from_file_location("unidet_recipe", HOME / "weights_recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=1)
def network(size: str, folder: Path) -> UniDet:
    """The network, read from a file of the published layout; the recipe's weights are checked bit for bit."""
    manifest = json.loads((HOME / f"manifest_{size}.json").read_text())
    weights = {key: recipe().make(key, tuple(entry["shape"])) for key, entry in manifest["state_dict"].items()}
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(weights[key].tobytes())
    assert digest.hexdigest() == manifest["recipe_sha256"]
    constants = {key: torch.tensor(one["values"]) for key, one in manifest["non_persistent_buffers"].items()}
    tensors = {key: torch.from_numpy(value) for key, value in weights.items()}
    path = folder / f"{size}.pth"
    torch.save({"model": tensors | constants, "iteration": 1}, path)
    loaded = load_unidet(path, ARCHITECTURES[size])
    path.unlink()
    return loaded


class Run:
    """What the network makes of one picture, beside what the reference made of it."""

    def __init__(self, golden: Path, folder: Path) -> None:
        self.path = golden
        size = golden.parent.name.removeprefix("golden_")
        self.golden: dict[str, Any] = dict(np.load(golden))
        self.architecture, self.network = ARCHITECTURES[size], network(size, folder)
        picture = resize(Image.open(HOME / "images" / f"{golden.stem}.png"), "reference")
        self.frame = picture.size
        self.planes = to_planes(picture, self.architecture, "reference")
        self.pixels = to_batch([self.planes], self.architecture, torch.device("cpu"))
        self.maps: dict[str, torch.Tensor] = {}
        trunk = self.network.backbone.bottom_up
        hooks = [
            getattr(trunk, name).register_forward_hook(self._keep(name))
            for name in ("stem", "res2", "res3", "res4", "res5")
        ]
        with torch.inference_mode():
            self.pyramid = self.network.backbone(self.pixels)
        for hook in hooks:
            hook.remove()
        self.maps |= dict(zip(LEVELS, self.pyramid, strict=True))

    def _keep(self, name: str) -> Callable[..., None]:
        def keep(module: object, given: object, made: torch.Tensor) -> None:
            self.maps[name] = made

        return keep

    def assert_close(self, found: torch.Tensor, key: str, tolerance: float, rows: slice = slice(None)) -> None:
        np.testing.assert_allclose(found.numpy(), self.golden[key][rows], atol=tolerance, rtol=0, err_msg=key)


@pytest.fixture(scope="module", params=shared_parameters("data/detectors/unidet/golden_*/*.npz"))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(request.param, tmp_path_factory.mktemp("unidet"))


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_the_picture_is_prepared_to_the_bit(run: Run, count_shared: Callable[[Path], Path]):
    count_shared(run.path)
    assert np.array_equal(run.planes[:, ::8, ::8].numpy(), run.golden["image_chw_u8"])
    assert np.array_equal(run.pixels[0, :, ::8, ::8].numpy(), run.golden["input_stride8"])


def test_trunk_and_pyramid(run: Run):
    for name, cells_NCHW in run.maps.items():
        cells, step = cells_NCHW[0], STRIDE.get(name, 1)
        run.assert_close(cells.mean((1, 2)), f"{name}_chan_mean", 5e-5)
        run.assert_close(cells.std((1, 2), correction=0), f"{name}_chan_std", 5e-5)
        run.assert_close(cells[:8, ::step, ::step], f"{name}_slice", 1e-4)


def test_proposals(run: Run):
    proposer = run.network.proposal_generator
    for level, cells_NCHW, step in zip(LEVELS, run.pyramid, (4, 2, 1, 1, 1), strict=True):
        logits, deltas = proposer.rpn_head(cells_NCHW)
        run.assert_close(logits[0, :, ::step, ::step], f"rpn_obj_{level}", 1e-4)
        run.assert_close(deltas[0, :, ::step, ::step], f"rpn_delta_{level}", 1e-4)
    (found,) = proposer(run.pyramid, run.frame)
    assert_same_set(found.numpy(), run.golden["proposals"], 5e-3)


def test_each_stage_of_the_cascade(run: Run):
    heads = run.network.roi_heads
    levels = [cells[0] for cells in run.pyramid]
    for stage in range(len(STAGE_WEIGHTS)):
        entering = run.golden["proposals" if stage == 0 else f"stage{stage}_boxes"]
        run.assert_close(pool(levels, torch.from_numpy(entering[:8]))[:, :16], f"stage{stage}_pooled_8x16", 2e-4)
        features = heads.box_head[stage](pool(levels, torch.from_numpy(entering[ROWS])))
        logits, deltas = heads.box_predictor[stage](features)
        run.assert_close(logits[:, ::32], f"stage{stage}_logits_cls_stride32", 2e-3, ROWS)
        run.assert_close(deltas, f"stage{stage}_deltas", 1e-3, ROWS)


def test_whole_pictures(run: Run):
    """Of RS200 the oblong ones only: a thousand boxes through its heads take as long as everything else here."""
    if run.architecture.name == "rs200" and run.frame[0] == run.frame[1]:
        pytest.skip("square pictures are checked stage by stage")
    (found,) = run.network(run.pixels, run.frame)
    golden = run.golden
    assert len(found.scores) == len(golden["scores"])
    mine = np.column_stack([found.classes.numpy() * 1e4, found.scores.numpy() * 25, found.boxes.numpy()])
    theirs = np.column_stack([golden["classes"] * 1e4, golden["scores"] * 25, golden["boxes"]])
    assert_same_set(mine, theirs, 5e-3)
    assert np.all(np.diff(found.scores.numpy()) <= 0)


def test_anchors(run: Run):
    manifest = json.loads((HOME / f"manifest_{run.architecture.name}.json").read_text())["non_persistent_buffers"]
    for level, side in enumerate((32, 64, 128, 256, 512)):
        values = manifest[f"proposal_generator.anchor_generator.cell_anchors.{level}"]["values"]
        assert cell_anchors(side).flatten().tolist() == values
    for name, values in (("pixel_mean", run.architecture.mean), ("pixel_std", run.architecture.deviation)):
        assert torch.tensor(values).tolist() == manifest[name]["values"]


@pytest.mark.parametrize("path", shared_parameters("golden/unidet_labels.json"))
def test_labels(path: Path, count_shared: Callable[[Path], Path]):
    labels = read_labels(count_shared(path), ARCHITECTURES["r50"].classes)
    assert len(set(labels)) == 677


def assert_same_set(mine: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    """Each row of one has exactly one of the other within the tolerance, in whatever order."""
    assert mine.shape == theirs.shape
    near = np.abs(mine[:, None] - theirs[None]).max(axis=2) <= tolerance
    assert near.any(axis=1).all()
    assert near.any(axis=0).all()
