"""UniDet against what the reference program answers with the same random weights, stage by stage (float32)."""

from __future__ import annotations

import hashlib
import json
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.core.frames import unidet_frame
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES
from gotr1_eval.models.detectors.unidet.cascade import Stage
from gotr1_eval.models.detectors.unidet.detector import resize, to_batch, to_planes
from gotr1_eval.models.detectors.unidet.network import UniDet, mean_scores, select
from tests.conftest import shared_parameters

pytestmark = pytest.mark.slow

ANSWERS = shared_parameters("data/detectors/unidet/golden_*/*.npz")
MANIFESTS = shared_parameters("data/detectors/unidet/manifest_*.json")


@cache
def weights(manifest: Path) -> dict[str, np.ndarray]:
    """The recipe's arrays for every name of the manifest."""
    make = runpy.run_path(str(manifest.with_name("weights_recipe.py")))["make"]
    listed = json.loads(manifest.read_text())["state_dict"]
    return {name: make(name, tuple(facts["shape"])) for name, facts in listed.items()}


@cache
def network(manifest: Path) -> UniDet:
    size = manifest.stem.removeprefix("manifest_")
    with torch.device("meta"):
        built = UniDet(ARCHITECTURES[size])
    tensors = {name: torch.from_numpy(array) for name, array in weights(manifest).items() if name in built.state_dict()}
    built.load_state_dict(tensors, assign=True)
    return built.requires_grad_(False).eval()


def opened(answer: Path):
    """(network, batch, size, what the reference answered) of one golden file."""
    size = answer.parent.name.removeprefix("golden_")
    manifest = answer.parents[1] / f"manifest_{size}.json"
    picture = Image.open(answer.parents[1] / "images" / f"{answer.stem}.png").convert("RGB")
    architecture = ARCHITECTURES[size]
    planes = to_planes(resize(picture, "reference"), architecture, "reference")
    return (
        network(manifest),
        planes,
        to_batch([planes], architecture, torch.device("cpu")),
        unidet_frame(*picture.size),
        np.load(answer),
    )


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_the_recipe_gives_the_weights_bit_for_bit(manifest, count_shared):
    digest = hashlib.sha256()
    arrays = weights(count_shared(manifest))
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    listed = json.loads(manifest.read_text())
    assert digest.hexdigest() == listed["recipe_sha256"]
    expected = {name: tuple(facts["shape"]) for name, facts in listed["state_dict"].items()}
    found = {name: tuple(tensor.shape) for name, tensor in network(manifest).state_dict().items()}
    assert found == {name: shape for name, shape in expected.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda path: f"{path.parent.name}-{path.stem}" if path else "absent")
@torch.inference_mode()
def test_every_stage_is_the_references(answer, count_shared):
    model, planes, batch, size, known = opened(count_shared(answer))
    assert np.array_equal(planes.numpy()[:, ::8, ::8], known["image_chw_u8"])
    assert np.abs(batch[0].numpy()[:, ::8, ::8] - known["input_stride8"]).max() <= 1e-5
    pyramid = model.backbone(batch)
    for level, cells in zip(("p3", "p4", "p5", "p6", "p7"), pyramid, strict=True):
        stride = 2 if level == "p3" else 1
        assert np.abs(cells[0, :8, ::stride, ::stride].numpy() - known[f"{level}_slice"]).max() <= 1e-3
        assert np.abs(cells[0].mean((1, 2)).numpy() - known[f"{level}_chan_mean"]).max() <= 1e-4
    (proposals,) = model.proposal_generator(pyramid, size)
    distance = torch.cdist(proposals, torch.from_numpy(known["proposals"]), p=float("inf")).min(dim=1).values
    assert (distance > 0.02).sum() <= 16
    # From here on with the reference's own proposals, so that rows stand side by side.
    stages: list[Stage] = model.roi_heads([cells[0] for cells in pyramid], torch.from_numpy(known["proposals"]), size)
    for number, stage in enumerate(stages):
        assert np.abs(stage.deltas.numpy() - known[f"stage{number}_deltas"]).max() <= 1e-3
        assert np.abs(stage.logits[:4].numpy() - known[f"stage{number}_logits_first4"]).max() <= 5e-3
    scores = mean_scores(stages)
    assert np.abs(scores[:, :-1].max(dim=1).values.numpy() - known["prob_max"]).max() <= 2e-4
    same_set(select(stages), known)


def same_set(found, known):
    """The same detections, whatever the order of near-equal scores: by class and nearest box."""
    classes, boxes, scores = found.classes.numpy(), found.boxes.numpy(), found.scores.numpy()
    assert sorted(classes.tolist()) == sorted(known["classes"].tolist())
    for number in set(classes.tolist()):
        mine, theirs = classes == number, known["classes"] == number
        gaps = np.abs(boxes[mine][:, None] - known["boxes"][theirs][None]).max(axis=2)
        assert sorted(gaps.argmin(axis=1).tolist()) == list(range(int(theirs.sum())))
        assert gaps.min(axis=1).max() <= 5e-3
        assert np.abs(scores[mine] - known["scores"][theirs][gaps.argmin(axis=1)]).max() <= 2e-4


@pytest.mark.parametrize(
    "answer", [one for one in ANSWERS if "r50" in str(getattr(one, "values", [""])[0])] or ANSWERS[:1]
)
@torch.inference_mode()
def test_the_whole_way_gives_the_references_detections(answer, count_shared):
    model, _, batch, size, known = opened(count_shared(answer))
    same_set(model(batch, size)[0], known)
