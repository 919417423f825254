"""HPS against what HPSv2's own code gave: its prepared pictures, and its scores with fully specified tiny weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.core.types import Sample
from gotr1_eval.models.encoders.clip import fit_and_crop
from gotr1_eval.models.encoders.hps import HpsEncoder, Settings, fit_and_pad
from rewards.cosine import CosineJudge
from tests.conftest import shared_parameters
from tests.tiny_clip import OpenClip, write_tokenizer

MEAN, DEVIATION = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
BLACK = -MEAN / DEVIATION
GOLDEN_TOKENS = {
    "a</w>": 320, "photo</w>": 1125, "of</w>": 539, "cat</w>": 2368, "red</w>": 736, "car</w>": 1615, "next</w>": 1131,
    "to</w>": 531, "blue</w>": 1746, "bench</w>": 8771, ".</w>": 269, "weird</w>": 5613, "spac": 588, "ing</w>": 9442,
    "&</w>": 261, "html</w>": 18231, '"</w>': 257, "quotes</w>": 5808, "na": 1097, "Ã¯": 35689, "ve</w>": 563,
    "the</w>": 518,
}  # fmt: skip
"""The part of CLIP's vocabulary that the reference's prompts use."""


@pytest.mark.parametrize("path", shared_parameters("golden/hps/*.png"))
def test_pictures_are_prepared_as_by_the_reference(path: Path, count_shared: Callable[[Path], Path]):
    expected = np.load(count_shared(path.parent / "ref_preprocess_val.npz"))[path.stem]
    with Image.open(count_shared(path)) as picture:
        prepared = fit_and_pad(picture, 224).numpy()
        assert prepared.shape == (3, 224, 224)
        if picture.mode == "RGBA":  # the reference keeps four channels and then fails
            return
    top, left = ((224 - length) // 2 for length in expected.shape[1:])  # 0 unless the reference forgot to pad
    rows, columns = expected.shape[1:]
    inner = prepared[:, top : top + rows, left : left + columns]
    assert np.abs(inner - expected).max() <= 1e-5
    added = np.delete(prepared, range(top, top + rows), axis=1)
    np.testing.assert_allclose(added, np.broadcast_to(BLACK[:, None, None], added.shape), atol=1e-5)


@pytest.mark.parametrize("path", shared_parameters("golden/hps/tiny_clip_scores.json"))
def test_scores_are_the_reference_s(path: Path, read_shared: Callable[[Path], str], tmp_path: Path):
    golden = json.loads(read_shared(path))
    encoder = tiny_encoder(path, golden, tmp_path, read_shared)
    samples = [
        Sample(id=str(i), prompt=c["prompt"], image=path.parent / c["image"]) for i, c in enumerate(golden["cases"])
    ]
    outcomes = CosineJudge("aesthetic", encoder).judge(samples)
    compared = 0
    for case, outcome in zip(golden["cases"], outcomes, strict=True):
        value = outcome.value  # type: ignore[union-attr]
        assert -1 <= value <= 1
        if case["error"] is None:
            compared += 1
            assert value == pytest.approx(case["ref_score"], abs=1e-6), case
    assert compared >= 32


def tiny_encoder(path: Path, golden: dict[str, Any], folder: Path, read_shared: Callable[[Path], str]) -> HpsEncoder:
    """The reference's tiny model: its weights drawn anew as its description says, in a checkpoint file."""
    config = json.loads(read_shared(path.parent / "tiny_clip_config.json"))
    sums = json.loads(read_shared(path.parent / "tiny_clip_weight_sums.json"))
    vision, text = config["vision_cfg"], config["text_cfg"]
    shapes = OpenClip(
        side=vision["image_size"], patch=vision["patch_size"], image_width=vision["width"], text_width=text["width"],
        layers=vision["layers"], common=config["embed_dim"], vocabulary=text["vocab_size"],
    ).state_dict()  # fmt: skip
    assert sorted(shapes) == golden["state_dict_keys"]
    weights = drawn_weights({name: tuple(tensor.shape) for name, tensor in shapes.items()})
    for name, tensor in weights.items():
        assert float(tensor.double().sum()) == pytest.approx(sums[name][0], abs=1e-3), name
    torch.save({"state_dict": weights}, folder / "tiny.pt")
    write_tokenizer(folder, GOLDEN_TOKENS, markers=(49406, 49407))
    heads = vision["width"] // vision["head_width"]
    settings = Settings(weights=str(folder / "tiny.pt"), image_heads=heads, text_heads=text["heads"], device="cpu")
    return HpsEncoder(settings)


def drawn_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    generator = np.random.default_rng(1234)
    weights = {}
    for name in sorted(shapes):
        drawn = torch.from_numpy(np.asarray(generator.standard_normal(shapes[name])).astype(np.float32))
        if name == "logit_scale":
            drawn = torch.tensor(math.log(1 / 0.07))
        elif ".ln_" in f".{name}" and name.endswith("weight"):
            drawn = 1 + 0.1 * drawn
        else:
            drawn = (0.3 if "embedding" in name else 0.08) * drawn
        weights[name] = drawn
    return weights


def columns_of(prepared: torch.Tensor, row: int) -> list[list[float]]:
    return prepared[:, row].T.tolist()


def test_by_hand_two_pixels_side_by_side():
    """Longer side doubled to 4: two rows of picture between one row of zeros above and one below, then normalised.

    Between white and black, bicubic (a = -0.5) at a distance of 1/4 and 3/4 pixel, edge weights renormalised.
    """
    picture = Image.new("RGB", (2, 1), "white")
    picture.putpixel((1, 0), (0, 0, 0))
    prepared = fit_and_pad(picture, 4)
    assert prepared.shape == (3, 4, 4)
    for row in (0, 3):
        np.testing.assert_allclose(columns_of(prepared, row), [BLACK] * 4, atol=1e-6)
    near, far = 1.5 * 0.25**3 - 2.5 * 0.25**2 + 1, 1.5 * 0.75**3 - 2.5 * 0.75**2 + 1
    beyond = -0.5 * 1.25**3 + 2.5 * 1.25**2 - 4 * 1.25 + 2
    greys = [near / (near + beyond), near / (near + far), far / (near + far), beyond / (near + beyond)]
    for row in (1, 2):
        np.testing.assert_allclose(columns_of(prepared, row), [(g - MEAN) / DEVIATION for g in greys], atol=1e-5)
    assert greys[0] > 1  # overshoots, and is not clipped


@pytest.mark.parametrize(
    ("size", "top", "bottom"), [((8, 5), 1, 2), ((8, 8), 0, 0), ((16, 6), 2, 3), ((1000, 1), 3, 4)]
)
def test_by_hand_borders_are_black_and_the_odd_line_is_below(size: tuple[int, int], top: int, bottom: int):
    prepared = fit_and_pad(Image.new("RGB", size, (255, 0, 51)), 8)
    colour = (np.array([1.0, 0.0, 0.2]) - MEAN) / DEVIATION
    for row in range(8):
        expected = BLACK if row < top or row >= 8 - bottom else colour
        np.testing.assert_allclose(columns_of(prepared, row), [expected] * 8, atol=1e-5)


def test_by_hand_what_is_transparent_is_white():
    clear = fit_and_pad(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), 4)
    np.testing.assert_allclose(columns_of(clear, 0), [(1 - MEAN) / DEVIATION] * 4, atol=1e-6)


def test_by_hand_clip_cuts_the_middle_out():
    """Ten columns by four rows to four by four: columns 3 to 6 stay; an odd surplus of three is cut two to one."""
    ramp = Image.fromarray(np.tile(np.arange(10, dtype=np.uint8) * 20, (4, 1))).convert("RGB")
    for width, first in ((10, 3), (7, 2)):
        prepared = fit_and_crop(ramp.crop((0, 0, width, 4)), 4)
        expected = [((first + column) * 20 / 255 - MEAN) / DEVIATION for column in range(4)]
        np.testing.assert_allclose(columns_of(prepared, 0), expected, atol=1e-5)
