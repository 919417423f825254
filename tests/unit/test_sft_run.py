"""Supervised runs from files: what is read, what is kept, and that a broken run ends as an unbroken one."""

from __future__ import annotations

import json
import os
import subprocess
import threading

import numpy as np
import pandas as pd
import pytest
import torch

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.files.writing import write_parquet
from tests.grpo_runs import launcher
from tests.sft_runs import run, write_data
from tests.tiny_models import CODES, TOKENS, loaded_random
from training import sft_data, sft_examples
from training.policies import Sampling
from training.policies.janus import JanusPolicy
from training.prefetch import one_ahead
from training.settings import ColumnSettings, SftSettings
from training.sft_data import read_examples
from training.sft_run import SftTrainer


@pytest.fixture
def policy():
    return JanusPolicy(loaded_random(), Sampling(guidance=1.0))


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path)


def test_rows_become_examples(tmp_path, policy, data):
    examples = read_examples([data], policy, tmp_path / "kept")
    assert len(examples) == 6
    for example in examples:
        text = policy.tokenizer.decode(list(example.chain), skip_special_tokens=False)
        assert text in (f" A red circle.{BEGIN_OF_IMAGE}", f" x{BEGIN_OF_IMAGE}")
        assert example.chain[-1] == policy.special.begin_of_image
        assert len(example.image) == TOKENS
    assert examples[5].image == tuple(index % CODES for index in range(TOKENS))


def test_examples_are_made_once(tmp_path, policy, data, monkeypatch):
    first = list(read_examples([data], policy, tmp_path / "kept"))
    monkeypatch.setattr(policy, "picture_encoder", lambda: pytest.fail("encoded again"))
    monkeypatch.setattr("training.sft_data.read_table", lambda *given: pytest.fail("read again"))
    assert list(read_examples([data], policy, tmp_path / "kept")) == first
    assert list(read_examples([tmp_path / "kept"], policy, tmp_path / "other")) == first, "another run's folder"
    with pytest.raises(UsageError, match="made of other data, columns"):
        read_examples([data], policy, tmp_path / "kept", ColumnSettings(chain="got"))
    data.write_text(data.read_text() + "\n")
    with pytest.raises(UsageError, match="delete that folder to make them anew"):
        read_examples([data], policy, tmp_path / "kept")
    policy.tokenizer.add_tokens(["<new>"])
    with pytest.raises(UsageError, match="of another tokenizer"):
        read_examples([tmp_path / "kept"], policy, tmp_path / "other")


def test_the_next_batchs_pictures_are_read_while_this_ones_are_encoded(tmp_path, policy, data, monkeypatch):
    """Encoding waits for the next batch's pictures, which are read in the meantime; and the examples are the same."""
    whole = list(read_examples([data], policy, tmp_path / "whole"))
    opened: list[str] = []
    again = threading.Condition()
    open_picture, encode = sft_data.open_picture, policy.picture_encoder()

    def noted(path):
        with again:
            opened.append(path.name)
            again.notify_all()
        return open_picture(path)

    def slow(pixels):
        with again:
            assert again.wait_for(lambda: len(opened) in (4, 5), timeout=5)
        return encode(pixels)

    monkeypatch.setattr(sft_data, "open_picture", noted)
    monkeypatch.setattr(policy, "picture_encoder", lambda: slow)
    assert list(read_examples([data], policy, tmp_path / "kept", batch_size=2)) == whole
    assert opened == [f"{index}.png" for index in range(5)]


def test_what_cannot_be_prepared_is_told_in_its_place():
    def items():
        yield 1
        yield 2
        raise UsageError("the third")

    seen = []
    with pytest.raises(UsageError, match="the third"):
        seen.extend(each for each in one_ahead(items()) if seen.append(each) or False)
    assert seen == [1, 2]


def test_a_killed_preparation_goes_on_behind_its_last_shard(tmp_path, policy, data, monkeypatch):
    whole = list(read_examples([data], policy, tmp_path / "whole"))
    monkeypatch.setattr("training.sft_examples.write_examples.__defaults__", (2,))
    encode, calls = policy.picture_encoder(), []

    def counted(pixels):
        calls.append(len(pixels))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(pixels)

    monkeypatch.setattr(policy, "picture_encoder", lambda: counted)
    with pytest.raises(KeyboardInterrupt):
        read_examples([data], policy, tmp_path / "kept", batch_size=2)
    assert sft_examples.rows_written(tmp_path / "kept") in (2, 4)
    done = sft_examples.rows_written(tmp_path / "kept")
    assert list(read_examples([data], policy, tmp_path / "kept", batch_size=2)) == whole
    assert sum(calls[3:]) == 5 - done
    # Shards of other rows are not gone on with.
    (tmp_path / "kept" / sft_examples.COMPLETE).unlink()
    data.write_text("".join(data.read_text().splitlines(keepends=True)[1:]))
    assert list(read_examples([data], policy, tmp_path / "kept", batch_size=2)) == whole[1:]


def test_rows_of_got_are_read(tmp_path, policy):
    image = {"image_tokens": [0] * TOKENS}
    rows = [
        {"prompt": "a cat and a dog", "got": "a cat (0,400),(200,600) and a dog", **image},
        {
            "prompt": "add", "got": "Put <box1> left of <box10>.",
            "coord": {"<box1>": "(1,2),(3,4)", "<box10>": "(5,6),(7,8)"}, **image,
        },
        {"prompt": "json", "got": "At [A].", "coord": json.dumps({"[A]": "(1,2),(3,4)"}), **image},
    ]  # fmt: skip
    (tmp_path / "got.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = ColumnSettings(chain="got", coord="coord")
    found = read_examples([tmp_path / "got.jsonl"], policy, tmp_path / "kept", columns)
    texts = [policy.tokenizer.decode(list(each.chain), skip_special_tokens=False) for each in found]
    assert texts == [
        f" a cat (0,400),(200,600) and a dog{BEGIN_OF_IMAGE}", f" Put (1,2),(3,4) left of (5,6),(7,8).{BEGIN_OF_IMAGE}",
        f" At (1,2),(3,4).{BEGIN_OF_IMAGE}",
    ]  # fmt: skip
    # Without the name of the column, placeholders stay: nobody guesses.
    plain = read_examples([tmp_path / "got.jsonl"], policy, tmp_path / "plain", ColumnSettings(chain="got"))
    assert "<box1>" in policy.tokenizer.decode(list(plain[1].chain), skip_special_tokens=False)


@pytest.mark.parametrize(
    ("coord", "words"),
    [
        ({"<b>": "(1,2),(3,4)"}, "no placeholder '<b>'"),
        ([1, 2], "expected an object from placeholders to texts"),
        ("{broken", "expected an object from placeholders"),
        ({"<a>": [1, 2, 3, 4]}, "expected an object from placeholders"),
    ],
)
def test_placeholders_that_do_not_fit_are_named(tmp_path, policy, coord, words):
    row = {"prompt": "a", "chain": "at <a>", "coord": coord, "image_tokens": [0] * TOKENS}
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=words):
        read_examples([tmp_path / "x.jsonl"], policy, tmp_path / "kept", ColumnSettings(coord="coord"))


def test_shards_are_a_sequence(tmp_path):
    rng = np.random.default_rng(0)
    examples = [
        sft_examples.SftExample(
            tuple(rng.integers(0, 100_000, rng.integers(1, 9)).tolist()),
            tuple(rng.integers(0, 100_000, rng.integers(1, 9)).tolist()),
            tuple(rng.integers(0, 16_384 if row < 7 else 70_000, 4).tolist()),
        )
        for row in range(10)
    ]
    shards = sft_examples.write_examples(tmp_path / "shards", examples, {"x": 1}, rows=3)
    assert list(shards) == examples
    assert (shards[-1], shards[2:5], len(shards), shards.made_of) == (examples[-1], examples[2:5], 10, {"x": 1})
    assert shards.lengths.tolist() == [len(each.prompt) + len(each.chain) for each in examples]
    with pytest.raises(IndexError):
        shards[10]
    image = tmp_path / "shards/shard-000001/image.npy"
    image.write_bytes(image.read_bytes()[:-4])
    with pytest.raises(DataError, match="not a shard of examples"):
        sft_examples.ExampleShards(tmp_path / "shards")[4]
    (tmp_path / "shards" / sft_examples.COMPLETE).write_text("{}")
    with pytest.raises(DataError, match="no complete set"):
        sft_examples.ExampleShards(tmp_path / "shards")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_pictures_get_the_same_codes_in_half_precision(tmp_path, policy, data, dtype):
    """The codes are those of the weights as they are rounded, which float32 holds exactly."""
    policy.model.to(dtype)
    half = read_examples([data], policy, tmp_path / "half")
    policy.model.float()
    assert list(half) == list(read_examples([data], policy, tmp_path / "full"))


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
    found = read_examples([tmp_path / "data.parquet"], policy, tmp_path / "parquet")
    assert list(found) == read_examples([data], policy, tmp_path / "kept")[:5]


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
        read_examples([tmp_path / "x.jsonl"], policy, tmp_path / "kept")
    assert words in str(caught.value)


def test_another_kind_of_file_is_refused(tmp_path, policy):
    with pytest.raises(UsageError, match=r"data: .*x\.txt: expected a table"):
        read_examples([tmp_path / "x.txt"], policy, tmp_path / "kept")


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


def learned(folder, step):
    """Weights and losses of a run."""
    state = torch.load(folder / f"checkpoints/step-{step:06}/trainer.pt", weights_only=True)["weights"]
    return state, [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "environment"),
    [
        ({}, {}),
        ({"gradient_checkpointing": True}, {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}),
        ({"lora": {"rank": 4, "alpha": 4}}, {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}),
    ],
    ids=["copies", "FSDP2", "FSDP2 with adapters"],
)
def test_two_processes_learn_what_one_learns(tmp_path, data, changes, environment):
    """Three micro-batches a step: the processes have two and one, and the last alone is told to stop."""
    command = [*launcher(), "-m", "tests.sft_runs", str(tmp_path), str(data), json.dumps(changes)]
    known = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=known)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "done-0").exists()
    assert (tmp_path / "done-1").exists()
    alone = run(tmp_path / "one", data, 5, batch_size=3, micro_batch=1, **changes)
    alone.report = lambda metrics: setattr(alone, "stopping", metrics["step"] == 3)
    assert alone.train() == 3
    (two, two_rows), (one, one_rows) = learned(tmp_path / "two", 3), learned(tmp_path / "one", 3)
    start = dict(run(tmp_path / "start", data, 1, **changes).learner.policy.named_parameters())
    for name, weight in one.items():
        moved = (weight - start[name].detach()).norm()
        assert (two[name] - weight).norm() <= 1e-3 * moved + 1e-7, name
    for mine, theirs in zip(one_rows, two_rows, strict=True):
        assert theirs == {name: pytest.approx(value, rel=1e-5) for name, value in mine.items()}
    # And one process goes on where two stopped.
    assert run(tmp_path / "two", data, 5, batch_size=3, micro_batch=1, **changes).train() == 5
