"""Supervised runs from files: what is read, what is kept, and that a broken run ends as an unbroken one."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.files.writing import write_parquet
from tests.tiny_models import CODES, TOKENS, loaded_random
from training.policies import Sampling
from training.policies.janus import JanusPolicy
from training.settings import SftSettings
from training.sft_run import SftTrainer, read_examples


@pytest.fixture
def policy():
    return JanusPolicy(loaded_random(), Sampling(guidance=1.0))


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path)


def write_data(tmp_path):
    """Five rows with pictures and one with image tokens."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(5):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(tmp_path / f"{index}.png")
        rows.append({"prompt": f"a red circle {index}", "chain": "A red circle.", "image": f"{index}.png"})
    rows.append(
        {"prompt": "codes", "chain": f"x{BEGIN_OF_IMAGE}", "image_tokens": [index % CODES for index in range(TOKENS)]}
    )
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_become_examples(tmp_path, policy, data):
    examples = read_examples([data], policy, tmp_path / "kept.jsonl")
    assert len(examples) == 6
    for example in examples:
        text = policy.tokenizer.decode(list(example.chain), skip_special_tokens=False)
        assert text in (f" A red circle.{BEGIN_OF_IMAGE}", f" x{BEGIN_OF_IMAGE}")
        assert example.chain[-1] == policy.special.begin_of_image
        assert len(example.image) == TOKENS
    assert examples[5].image == tuple(index % CODES for index in range(TOKENS))


def test_pictures_are_encoded_once(tmp_path, policy, data, monkeypatch):
    first = read_examples([data], policy, tmp_path / "kept.jsonl")
    monkeypatch.setattr("training.sft_run.encode_pictures", lambda *given: pytest.fail("encoded again"))
    assert read_examples([data], policy, tmp_path / "kept.jsonl") == first
    Image.new("RGB", (9, 9), "red").save(tmp_path / "0.png")
    with pytest.raises(pytest.fail.Exception, match="encoded again"):
        read_examples([data], policy, tmp_path / "kept.jsonl")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_pictures_get_the_same_codes_in_half_precision(tmp_path, policy, data, dtype):
    """The codes are those of the weights as they are rounded, which float32 holds exactly."""
    policy.model.to(dtype)
    half = read_examples([data], policy, tmp_path / "half.jsonl")
    policy.model.float()
    assert half == read_examples([data], policy, tmp_path / "full.jsonl")


def test_a_run_from_pictures_makes_its_folder(tmp_path, policy, data):
    settings = SftSettings(ckpt="random", data=(data,), steps=1, batch_size=2, micro_batch=2, device="cpu")
    assert SftTrainer(settings, tmp_path / "new" / "run", policy).train() == 1
    assert (tmp_path / "new/run/checkpoints/step-000001").is_dir()


def test_adapters_learn_beside_weights_of_bfloat16(tmp_path, data):
    asked = {"lora": {"rank": 4, "alpha": 4}, "dtype": "bfloat16"}
    settings = SftSettings(ckpt="random", data=(data,), steps=1, batch_size=2, micro_batch=2, device="cpu", **asked)
    policy = JanusPolicy(loaded_random(), Sampling(guidance=1.0))
    policy.model.to(torch.bfloat16)
    assert SftTrainer(settings, tmp_path / "run", policy).train() == 1


def test_parquet_is_read_alike(tmp_path, policy, data):
    rows = [json.loads(line) for line in data.read_text().splitlines()][:5]
    write_parquet(pd.DataFrame(rows), tmp_path / "data.parquet")
    kept = tmp_path / "kept.jsonl"
    assert read_examples([tmp_path / "data.parquet"], policy, kept) == read_examples([data], policy, kept)[:5]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "a", "image_tokens": [0] * TOKENS}, "x.jsonl:1: expected a text under 'chain', got null"),
        ({"prompt": 3, "chain": "b", "image_tokens": [0] * TOKENS}, "expected a text under 'prompt', got 3"),
        (
            {"prompt": "a", "chain": "b", "image_tokens": [0]},
            f"expected {TOKENS} image tokens in 0..{CODES - 1}, got 1",
        ),
        ({"prompt": "a", "chain": "b", "image_tokens": [CODES] * TOKENS}, f"got {TOKENS} in {CODES}..{CODES}"),
        ({"prompt": "a", "chain": "b", "image_tokens": []}, "got none"),
        ({"prompt": "a", "chain": "b", "image_tokens": "12"}, "whole numbers under 'image_tokens', got \"12\""),
        ({"prompt": "a", "chain": "b", "image_tokens": [0.5]}, "whole numbers under 'image_tokens', got [0.5]"),
        ({"prompt": "a", "chain": "b", "image": "gone.png"}, "x.jsonl:1: the picture cannot be read"),
    ],
)
def test_a_bad_row_is_named(tmp_path, policy, row, words):
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError) as caught:
        read_examples([tmp_path / "x.jsonl"], policy, tmp_path / "kept.jsonl")
    assert words in str(caught.value)


def test_another_kind_of_file_is_refused(tmp_path, policy):
    with pytest.raises(UsageError, match=r"data: .*x\.txt: expected a table"):
        read_examples([tmp_path / "x.txt"], policy, tmp_path / "kept.jsonl")


def run(folder, data, steps, **changes):
    folder.mkdir(exist_ok=True)
    values = {"ckpt": "random", "data": [data], "steps": steps, "batch_size": 4, "micro_batch": 2, "device": "cpu"}
    settings = SftSettings.model_validate(values | {"save_every": 2, "learning_rate": 1e-3} | changes)
    return SftTrainer(settings, folder, JanusPolicy(loaded_random(), Sampling(guidance=1.0)))


@pytest.mark.parametrize("lora", [None, {"rank": 4, "alpha": 4}])
def test_a_resumed_run_is_an_unbroken_one(tmp_path, data, lora):
    assert run(tmp_path / "unbroken", data, 5, lora=lora).train() == 5
    broken = run(tmp_path / "broken", data, 5, lora=lora)
    broken.report = lambda metrics: setattr(broken, "stopping", metrics["step"] == 3)
    assert broken.train() == 3
    assert run(tmp_path / "broken", data, 5, lora=lora).train() == 5
    one, two = (
        torch.load(tmp_path / name / "checkpoints/step-000005/trainer.pt", weights_only=True)["weights"]
        for name in ("broken", "unbroken")
    )
    assert all(torch.equal(one[name], two[name]) for name in two)
    rows = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("broken", "unbroken")]
    assert rows[0] == rows[1]
