"""BLIP-VQA against golden vectors: what the authors' own model answers on random weights, and how it is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.models.vqa import blip
from gotr1_eval.models.vqa._blip_files import clean_question, rename
from tests.conftest import shared_parameters
from tests.tiny_blip import PlainBlip, blip_vqa, draw_weights, write_original, write_tokenizer

Read = Callable[[Path], str]
YES, NO, DEC, ENC = 2748, 2053, 30522, 30523


@pytest.mark.parametrize("path", shared_parameters("golden/blip/pre_question*.json"))
def test_questions_are_cleaned_as_the_reference_does(path: Path, read_shared: Read):
    cases = json.loads(read_shared(path))
    assert len(cases) >= 10
    for asked, cleaned in cases:
        assert clean_question(asked) == cleaned


@pytest.mark.parametrize("path", shared_parameters("golden/blip/preprocess_480*.json"))
def test_pictures_are_prepared_as_the_reference_does(path: Path, read_shared: Read):
    for name, golden in json.loads(read_shared(path)).items():
        # The reference drops the alpha channel; every other mode comes out alike.
        picture = Image.open(path.parent.parent / "hps" / f"{name}.png").convert("RGB")
        prepared = blip.prepare(picture, 480).numpy()
        assert list(prepared.shape) == golden["shape"]
        np.testing.assert_allclose(prepared[:, ::60, ::60], golden["sample_stride60"], atol=1e-6, err_msg=name)
        assert prepared.mean() == pytest.approx(golden["mean"], abs=1e-5)
        assert hashlib.sha256(np.ascontiguousarray(prepared).tobytes()).hexdigest() == golden["sha256_f32"], name


@pytest.mark.parametrize("path", shared_parameters("golden/blip/tiny_blip_parity*.json"))
def test_answers_are_the_reference_s(path: Path, read_shared: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Through the authors' file: questions of four lengths about six pictures, in one call."""
    golden = json.loads(read_shared(path))
    for original, renamed in golden["key_map"].items():
        if not original.endswith("position_ids"):
            assert rename(original) == renamed
    noise = np.random.default_rng(7)
    pixels = torch.from_numpy(noise.standard_normal((6, 3, 64, 64)).astype(np.float32))
    tensors = draw_weights(golden["state_dict_shapes"], np.random.default_rng(99), 0.15)
    weights = write_original(tmp_path, tensors=tensors)
    marks = {"[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "yes": YES, "no": NO}
    write_tokenizer(tmp_path, marks | {f"w{place}": place for place in range(DEC) if place not in marks.values()})
    rows = [[one for one in row if one] for row in golden["input_ids"]]
    pictures = [Image.new("RGB", (place + 1, 1)) for place in range(6)]
    monkeypatch.setattr(blip, "prepare", lambda picture, side: pixels[picture.width - 1])
    model = blip_vqa(weights, image_size=64)
    found = model.probability(pictures, [[" ".join(f"w{one}" for one in row[1:-1])] for row in rows])
    expected = golden["results"]["ref_vqa_prob"]
    assert np.ravel(found) == pytest.approx(expected, abs=2e-7)
    assert [f"{one:.4f}" for one in np.ravel(found)] == golden["results"]["ref_strings"]
    plain = PlainBlip(tensors)
    for row, picture, chance in zip(rows, pixels, expected, strict=True):
        answer = plain.probability(picture, [ENC, *row[1:]], start=DEC, yes=YES, no=NO)
        assert answer == pytest.approx(chance, abs=2e-7)
